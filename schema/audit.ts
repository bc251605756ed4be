/**
 * Reading the audit trail: operators' calls and the changes of rules, newest first, by key (at, id), so that a page stays what it is while
 * lines come in. Lists leave out what a change was (documents may be large); one line read by its id has it.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './tables.ts';

/** Of a target or an actor, characters that their indexes hold: longer ones are told apart by the rows themselves. */
export const AUDIT_INDEXED = 200;

export interface AuditCursor {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly id: string;
}

export interface AuditQuery {
  readonly actor?: string | undefined;
  /** The path that was called, or `<kind>/<id>` of a rule. */
  readonly target?: string | undefined;
  /** At this time or later, milliseconds since the epoch. */
  readonly since?: number | undefined;
  readonly limit: number;
  /** Cursor of the last line of the page before. */
  readonly after?: AuditCursor | undefined;
}

export interface AuditLine extends AuditCursor {
  readonly actor: string;
  readonly operation: string;
  readonly target: string;
  /** Of a call: `status` and `clientIp`. Of a rule: `version`, and where one line is read `before` and `after`. */
  readonly doc: Readonly<Record<string, unknown>>;
}

export async function listAudit(db: Kysely<Tables>, query: AuditQuery): Promise<AuditLine[]> {
  let select = db
    .selectFrom('audit')
    .select(['id', 'at', 'actor', 'action', 'target', sql<Row['doc']>`doc - 'before' - 'after'`.as('doc')])
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(query.limit);
  const { actor, target, since, after } = query;
  if (actor !== undefined) select = select.where(isText('actor', actor));
  if (target !== undefined) select = select.where(isText('target', target));
  if (since !== undefined) select = select.where('at', '>=', new Date(since));
  if (after !== undefined) {
    select = select.where(sql<boolean>`(at, id) < (${new Date(after.at)}::timestamptz, ${after.id})`);
  }
  return (await select.execute()).map(lineOf);
}

/** Null where there is no such line. */
export async function getAudit(db: Kysely<Tables>, id: string): Promise<AuditLine | null> {
  const row = await db.selectFrom('audit').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : lineOf(row as Row);
}

/** In the words of the index, and then the whole. */
function isText(column: 'actor' | 'target', text: string) {
  const whole = sql.ref(column);
  const indexed = sql.lit(AUDIT_INDEXED);
  return sql<boolean>`left(${whole}, ${indexed}) = left(${text}, ${indexed}) AND ${whole} = ${text}`;
}

interface Row {
  readonly id: string;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly doc: Readonly<Record<string, unknown>>;
}

function lineOf({ id, at, actor, action: operation, target, doc }: Row): AuditLine {
  return { id, at: at.getTime(), actor, operation, target, doc };
}
