/**
 * The relay's and the operators' side of the outbox. Rows are born and closed by appends only (`append.ts`); what
 * stands in between is bookkeeping that may be lost or repeated without harm.
 *
 * States of a row: `open` → `taken` (by a relay, for the moment) → `relayed` (the queue has it) → `closed` (the append
 * that recorded the job's outcome). A row whose relay died while it was `taken` counts as open again after `TAKEN_MS`. One
 * that stays `relayed` too long is opened again under the next attempt, for the queue may have lost it. `failed`: the job
 * gave up; it stays until an operator has it run again.
 *
 * Rows are taken by state, never by a cursor: several lanes make ids visible out of order. They are not kept locked
 * while the queue is called, since the append that closes a row would wait behind a queue that hangs.
 */
import { type Kysely, sql } from 'kysely';
import type { OutboxState, Tables } from './tables.ts';

/** How long a relay may take from taking a row to telling that the queue has it. */
const TAKEN_MS = 30_000;

export interface OutboxJob {
  /** The row; a job reports its outcome under this. */
  readonly id: string;
  /** 0 at first; one more for each time that it is opened again. */
  readonly attempt: number;
  readonly shard: number;
  readonly job: string;
  readonly doc: Record<string, unknown>;
}

export interface OutboxEntry extends OutboxJob {
  readonly state: OutboxState;
  readonly error: string | null;
  readonly addedAt: Date;
  readonly changedAt: Date;
}

/** Takes up to `limit` open rows, oldest first; two relays never get the same. Follow with `markRelayed` or `putBack`. */
export async function takeOpen(db: Kysely<Tables>, limit: number): Promise<OutboxJob[]> {
  const { rows } = await sql<OutboxJob>`
    WITH picked AS MATERIALIZED (
      SELECT id FROM outbox
      WHERE state = 'open' OR (state = 'taken' AND changed_at < now() - ${ms(TAKEN_MS)})
      ORDER BY changed_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox AS o SET state = 'taken', changed_at = now() FROM picked WHERE o.id = picked.id
    RETURNING o.id, o.attempt, o.shard, o.job, o.doc`.execute(db);
  return rows;
}

/** The queue has them. A row that its job has closed meanwhile stays closed. */
export async function markRelayed(db: Kysely<Tables>, ids: readonly string[]): Promise<void> {
  await change(db, ids, 'taken', 'relayed');
}

/**
 * Opened again by `reopenStale` although the queue still has their jobs, each under the attempt given: they are relayed as
 * before. Counting these looks as attempts would in the end lose sight of the job that is there.
 */
export async function keepRelayed(
  db: Kysely<Tables>,
  rows: readonly { readonly id: string; readonly attempt: number }[],
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    UPDATE outbox AS o SET state = 'relayed', attempt = r.attempt, changed_at = now()
    FROM unnest(${rows.map((row) => row.id)}::text[], ${rows.map((row) => row.attempt)}::int[]) AS r (id, attempt)
    WHERE o.id = r.id AND o.state = 'taken'`.execute(db);
}

/** The queue did not take them: they are open again, under the same attempt. */
export async function putBack(db: Kysely<Tables>, ids: readonly string[]): Promise<void> {
  await change(db, ids, 'taken', 'open');
}

/** Opens rows again that were relayed longer ago than `olderThanMs` and not closed, under their next attempt. Returns how many. */
export async function reopenStale(db: Kysely<Tables>, olderThanMs: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    WITH picked AS MATERIALIZED (
      SELECT id FROM outbox
      WHERE state = 'relayed' AND changed_at < now() - ${ms(olderThanMs)}
      ORDER BY changed_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox AS o SET state = 'open', attempt = o.attempt + 1, changed_at = now()
    FROM picked WHERE o.id = picked.id`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/** The job has failed for good. `error` is cut to 1,000 characters. False where the row is closed or unknown. */
export async function markFailed(db: Kysely<Tables>, id: string, error: string): Promise<boolean> {
  const result = await db
    .updateTable('outbox')
    .set({ state: 'failed', error: error.slice(0, 1000), changed_at: sql`now()` })
    .where('id', '=', id)
    .where('state', '<>', 'closed')
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Has a failed row run again, under its next attempt. False where it is not failed. */
export async function rerunFailed(db: Kysely<Tables>, id: string): Promise<boolean> {
  const result = await db
    .updateTable('outbox')
    .set((eb) => ({ state: 'open', attempt: eb('attempt', '+', 1), changed_at: sql`now()` }))
    .where('id', '=', id)
    .where('state', '=', 'failed')
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

export interface OutboxQuery {
  /** Default: all but closed ones. */
  readonly state?: OutboxState | undefined;
  readonly job?: string | undefined;
  readonly limit: number;
  /** Id of the last row of the page before. */
  readonly after?: string | undefined;
}

/** A page for operators, in the order of ids. */
export async function listOutbox(db: Kysely<Tables>, query: OutboxQuery): Promise<OutboxEntry[]> {
  let select = db.selectFrom('outbox').selectAll().orderBy('id').limit(query.limit);
  select = query.state === undefined ? select.where('state', '<>', 'closed') : select.where('state', '=', query.state);
  if (query.job !== undefined) select = select.where('job', '=', query.job);
  if (query.after !== undefined) select = select.where('id', '>', query.after);
  return (await select.execute()).map(entryOf);
}

export async function getOutbox(db: Kysely<Tables>, id: string): Promise<OutboxEntry | null> {
  const row = await db.selectFrom('outbox').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : entryOf(row);
}

type Row = OutboxJob & { state: OutboxState; error: string | null; added_at: Date; changed_at: Date };

function entryOf({ added_at, changed_at, ...row }: Row): OutboxEntry {
  return { ...row, addedAt: added_at, changedAt: changed_at };
}

async function change(db: Kysely<Tables>, ids: readonly string[], from: OutboxState, to: OutboxState): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('outbox')
    .set({ state: to, changed_at: sql`now()` })
    .where('id', 'in', ids)
    .where('state', '=', from)
    .execute();
}

function ms(milliseconds: number) {
  return sql`make_interval(secs => ${milliseconds / 1000}::float8)`;
}
