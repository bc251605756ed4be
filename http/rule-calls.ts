/**
 * What operators' calls on rules do, whatever the kind: a page of a list, one write, a file in, a file out. A write is checked together
 * with all other rules and is stored as a whole or not at all; its answer is kept in its own transaction, as is its line of the
 * audit log.
 */
import type { PriceList } from '../schema/price-list.ts';
import type { ChangedBy, RuleChange, RuleRefusal } from '../schema/rule-changes.ts';
import { type RuleKind, STORE_ID, type StoredRule } from '../schema/rule-rows.ts';
import { answerRow, earlierAnswer } from './admin-answers.ts';
import type { App } from './app.ts';
import { CSV, importForm, NDJSON } from './import-rows.ts';
import { readPrices, writePrices } from './price-file.ts';
import { type InputError, problem } from './problem.ts';
import type { EdgeReply, EdgeRequest } from './route.ts';
import { nextCursor, pagingOf } from './routes/paging.ts';
import { readRules, writeRuleFile } from './rule-import.ts';
import type { RuleResource } from './rule-resources.ts';
import { shownTimes, timeError } from './rule-times.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Where none was set up: what counts then, as version 0. */
export function storedStore({ catalogue }: App): StoredRule {
  const { rules } = catalogue;
  return (
    rules.get('store', STORE_ID) ?? {
      kind: 'store',
      id: STORE_ID,
      doc: rules.store,
      version: 0,
      updatedAt: new Date(0),
    }
  );
}

function ruleBody({ doc, version, updatedAt }: StoredRule): object {
  return { ...shownTimes(doc), version, updatedAt: updatedAt.toISOString() };
}

export function ruleReply(status: number, rule: StoredRule, location?: string): EdgeReply {
  const headers = { etag: `"${rule.version}"`, ...(location === undefined ? undefined : { location }) };
  return { status, headers, body: ruleBody(rule) };
}

/** RFC 7396 for the fields of a document, and for the entries of a price list. */
export function merged(current: Fields, changes: Fields): Fields {
  const { entries, ...fields } = changes;
  const given = isFields(entries)
    ? { ...fields, entries: withoutNulls({ ...(current.entries as Fields), ...entries }) }
    : changes;
  const all = { ...current, ...given };
  // Null says something there: no method, and the whole country (which a rate of a zone does not name).
  const { defaultShipping, region, ...others } = all;
  return {
    ...withoutNulls(others),
    ...(defaultShipping === undefined ? undefined : { defaultShipping }),
    ...(region === undefined || (region === null && all.zone) ? undefined : { region }),
  };
}

function withoutNulls(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

export function listRules(app: App, resource: RuleResource, query: Fields): EdgeReply {
  const { kind, name, id, filters, summary } = resource;
  const paging = pagingOf(app, `adminList${name}s`, query);
  if ('refused' in paging) return paging.refused;
  const { q = '', sort = id, limit: _limit, cursor: _cursor, ...wanted } = query;
  const words = String(q).toLowerCase();
  const down = sort !== id;
  const position = paging.after?.[0] ?? null;
  const items: object[] = [];
  let last: string | null = null;
  let next: string | null = null;
  const all = app.catalogue.rules.all(kind);
  for (let i = 0; i < all.length; i++) {
    const rule = all[down ? all.length - 1 - i : i] as StoredRule;
    if (position !== null && (down ? rule.id >= position : rule.id <= position)) continue;
    const document = rule.doc as Fields;
    const text = `${rule.id}\n${document.name ?? ''}\n${document.label ?? ''}`.toLowerCase();
    if (!text.includes(words)) continue;
    if (!Object.entries(wanted).every(([filter, value]) => filters[filter]?.(document, value))) continue;
    if (items.length === paging.limit) {
      next = last;
      break;
    }
    items.push(summary(ruleBody(rule) as Fields));
    last = rule.id;
  }
  return { status: 200, body: { items, nextCursor: nextCursor(app, paging, next === null ? null : [next]) } };
}

function changedBy(app: App, operation: string): ChangedBy {
  return { actor: 'admin-key', operation, at: app.clock.now() };
}

/** @param path of its kind, where it is found under its id; null: it has none */
export async function writeRule(
  app: App,
  request: EdgeRequest,
  change: RuleChange,
  path: string | null,
): Promise<EdgeReply> {
  const earlier = await earlierAnswer(app.adminAnswers, request);
  if (earlier !== null) return earlier;
  const by = changedBy(app, `${change.kind}.write`);
  let reply: EdgeReply = { status: 204 };
  const outcome = await app.catalogue.changeRules(
    [{ ...change, ifMatch: request.ifMatch }],
    by,
    ({ rules, created }) => {
      const [rule] = rules;
      const location = path === null ? undefined : `${path}/${change.id}`;
      if (rule !== undefined) reply = ruleReply(created > 0 && path !== null ? 201 : 200, rule, location);
      return answerRow(request, reply, by.at);
    },
  );
  return outcome.ok ? reply : refusal(outcome, change.kind);
}

function refusal(outcome: RuleRefusal, kind: RuleKind | null): EdgeReply {
  if (outcome.code === 'absent') return problem('not_found');
  if (outcome.code === 'version_mismatch') return problem('version_mismatch');
  const id = kind === 'coupon' ? 'code' : 'id';
  const errors = outcome.errors.map(timeError).map(({ path, message }): InputError => {
    // Of what stands in the path of the call.
    return { path: kind !== null && path === `/${id}` ? `/params/${id}` : path, message };
  });
  return problem('invalid_request', { errors });
}

export async function importRules(app: App, request: EdgeRequest, resource: RuleResource): Promise<EdgeReply> {
  const earlier = await earlierAnswer(app.adminAnswers, request);
  if (earlier !== null) return earlier;
  const bytes = request.raw ?? new Uint8Array();
  const csv = importForm(request.header('content-type')) === 'csv';
  const read = csv ? readPrices(bytes) : readRules(bytes, resource);
  if ('errors' in read) return problem('invalid_request', { errors: read.errors });
  const reply = { status: 200, body: { imported: read.changes.length } };
  const by = changedBy(app, `${resource.kind}.import`);
  const outcome = await app.catalogue.changeRules(read.changes, by, () => answerRow(request, reply, by.at));
  if (outcome.ok) return reply;
  if (outcome.code === 'invalid') return problem('invalid_request', { errors: outcome.errors.map(read.placed) });
  return refusal(outcome, null);
}

export function exportRules(app: App, { kind, segment }: RuleResource, csv: boolean): EdgeReply {
  const rules = app.catalogue.rules.all(kind);
  const name = `${segment}.${csv ? 'csv' : 'ndjson'}`;
  const headers = {
    'content-type': csv ? `${CSV}; charset=utf-8` : NDJSON[0],
    'content-disposition': `attachment; filename="${name}"`,
    'cache-control': 'no-store',
  };
  return {
    status: 200,
    headers,
    body: csv ? writePrices(rules.map(({ doc }) => doc as PriceList)) : writeRuleFile(rules),
  };
}
