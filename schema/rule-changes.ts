/**
 * Changing rules, inside the transaction that holds the catalogue's lock: what would be stored is worked out from what is stored at
 * that moment, checked by itself and together with all other rules, and written with its line of the audit log. A refusal names the
 * errors, and whoever called rolls everything back.
 *
 * What stored rules come to without the change stops none: rules that an earlier release wrote, or that name a product which
 * has gone since, are no fault of it. Only what the change itself would break is refused.
 */
import { uuidv7 } from 'uuidv7';
import type { CatalogueDb } from './catalogue-tables.ts';
import { difference } from './rule-difference.ts';
import type { RuleError } from './rule-fields.ts';
import { RULE_FORMS } from './rule-forms.ts';
import { RULE_KINDS, type RuleKind, type RuleNews, type RuleWrite, type StoredRule, writeRules } from './rule-rows.ts';
import { validateRules } from './rule-set.ts';
import { StoredRules } from './stored-rules.ts';

/** Documents in one change. */
export const RULE_CHANGES_MAX = 10_000;

export interface RuleChange {
  readonly kind: RuleKind;
  readonly id: string;
  /** From the document as it is (undefined: there is none) to what is to be; null removes it, undefined: there is nothing to change. */
  edit(current: unknown): unknown;
  /** Only where this is its version. */
  readonly ifMatch?: number | undefined;
  /** Goes before the paths of its errors, such as the line of an import. */
  readonly place?: string | undefined;
}

/** For the audit log. */
export interface ChangedBy {
  readonly actor: string;
  readonly operation: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export type RuleRefusal =
  | { readonly ok: false; readonly code: 'absent' }
  | { readonly ok: false; readonly code: 'version_mismatch' }
  | { readonly ok: false; readonly code: 'invalid'; readonly errors: readonly RuleError[] };
export interface RulesChanged {
  readonly ok: true;
  readonly version: number;
  readonly created: number;
  /** As they are now; those that were removed are not among them. */
  readonly rules: readonly StoredRule[];
}
export type RuleOutcome = RulesChanged | RuleRefusal;

interface RuleDecision extends RulesChanged {
  readonly news: readonly RuleNews[];
}

/** Errors that one refusal lists at most. */
const ERRORS_MAX = 10;
/** Rows in one statement, which takes at most 65,535 parameters. */
const AUDIT_CHUNK = 1_000;

interface Planned {
  readonly writes: readonly RuleWrite[];
  /** By kind and id. */
  readonly placeOf: ReadonlyMap<string, string>;
}

/**
 * What the changes come to, decided from nothing but what is handed in.
 * @param before the rules as they are under the lock
 * @param hasSku whether there is a product of that sku under the lock, archived ones too
 * @param version that the change gets
 */
export function decideChanges(
  before: StoredRules,
  hasSku: (sku: string) => boolean,
  version: number,
  changes: readonly RuleChange[],
  at: number,
): RuleDecision | RuleRefusal {
  const planned = plan(before, changes);
  if ('code' in planned) return planned;
  const updatedAt = new Date(at);
  const news = planned.writes.map((write) => ({ ...write, version, updatedAt, deleted: write.doc === null }));
  const errors = brokenBy(before, news, planned, hasSku);
  if (errors.length > 0) return { ok: false, code: 'invalid', errors };
  const created = news.filter(({ kind, id }) => before.get(kind, id) === undefined).length;
  return { ok: true, version, created, rules: news.filter(({ deleted }) => !deleted), news };
}

/** Decides, and writes what was decided. */
export async function changeRules(
  trx: CatalogueDb,
  before: StoredRules,
  hasSku: (sku: string) => boolean,
  version: number,
  changes: readonly RuleChange[],
  by: ChangedBy,
): Promise<RuleOutcome> {
  const decision = decideChanges(before, hasSku, version, changes, by.at);
  if (!decision.ok) return decision;
  await writeRules(trx, version, new Date(by.at), decision.news);
  await writeAudit(trx, before, decision.news, version, by);
  return decision;
}

/** Each change by itself. */
function plan(before: StoredRules, changes: readonly RuleChange[]): Planned | RuleRefusal {
  const writes: RuleWrite[] = [];
  const errors: RuleError[] = [];
  const placeOf = new Map<string, string>();
  for (const { kind, id, edit, ifMatch, place = '' } of changes) {
    const current = before.get(kind, id);
    if (ifMatch !== undefined && ifMatch !== current?.version) return { ok: false, code: 'version_mismatch' };
    const input = edit(current?.doc);
    if (input === undefined) return { ok: false, code: 'absent' };
    placeOf.set(`${kind} ${id}`, place);
    if (input === null) writes.push({ kind, id, doc: null });
    else {
      const check = RULE_FORMS[kind].check(input);
      if (check.ok) writes.push({ kind, id, doc: check.rule });
      else errors.push(...check.errors.map(({ path, message }) => ({ path: place + path, message })));
    }
    if (errors.length >= ERRORS_MAX) break;
  }
  return errors.length > 0 ? { ok: false, code: 'invalid', errors: errors.slice(0, ERRORS_MAX) } : { writes, placeOf };
}

/** What all rules together would come to, and did not before. */
function brokenBy(
  before: StoredRules,
  news: readonly RuleNews[],
  { writes, placeOf }: Planned,
  hasSku: (sku: string) => boolean,
): readonly RuleError[] {
  const after = before.with(news);
  for (const kind of RULE_KINDS) {
    const { countMax } = RULE_FORMS[kind];
    if (after.size(kind) > Math.max(countMax, before.size(kind)))
      return [{ path: '', message: `there may be at most ${countMax} of these` }];
  }
  // Of the products only those are looked for that the change names: others may have gone, and their rules do nothing.
  const named = skusIn(news);
  const exists = (sku: string): boolean => !named.has(sku) || hasSku(sku);
  const old = new Set(errorsOf(before, exists).map(textOf));
  const errors: RuleError[] = [];
  for (const error of errorsOf(after, exists)) {
    if (old.has(textOf(error))) continue;
    const changed = writes.find(({ kind, id }) => `${error.path}/`.startsWith(`${startOf(kind, id)}/`));
    if (changed === undefined) errors.push({ path: '', message: `would break ${error.path}: ${error.message}` });
    else {
      const { kind, id } = changed;
      const path = error.path.slice(startOf(kind, id).length);
      errors.push({ path: placeOf.get(`${kind} ${id}`) + path, message: error.message });
    }
    if (errors.length === ERRORS_MAX) break;
  }
  return errors;
}

/** Where errors of a rule begin. */
function startOf(kind: RuleKind, id: string): string {
  const { setName, id: field } = RULE_FORMS[kind];
  return field === null ? `/${setName}` : `/${setName}/${id}`;
}

function errorsOf(rules: StoredRules, hasSku: (sku: string) => boolean): readonly RuleError[] {
  const check = validateRules(rules.set(), hasSku);
  return check.ok ? [] : check.errors;
}

function textOf({ path, message }: RuleError): string {
  return `${path} ${message}`;
}

/** Skus that the changed rules name: what their check asks for where they stand alone. */
function skusIn(news: readonly RuleNews[]): ReadonlySet<string> {
  const skus = new Set<string>();
  validateRules(StoredRules.EMPTY.with(news).set(), (sku) => {
    skus.add(sku);
    return true;
  });
  return skus;
}

/** One line for each document, with what was there and what is there now. */
async function writeAudit(
  trx: CatalogueDb,
  before: StoredRules,
  writes: readonly RuleWrite[],
  version: number,
  { actor, operation, at }: ChangedBy,
): Promise<void> {
  const rows = writes.map(({ kind, id, doc }) => ({
    id: uuidv7(),
    at: new Date(at),
    actor,
    action: operation,
    target: `${kind}/${id}`,
    doc: JSON.stringify({ version, ...difference(before.get(kind, id)?.doc ?? null, doc) }),
  }));
  for (let i = 0; i < rows.length; i += AUDIT_CHUNK)
    await trx
      .insertInto('audit')
      .values(rows.slice(i, i + AUDIT_CHUNK))
      .execute();
}
