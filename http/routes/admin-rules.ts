/**
 * The commercial rules as operators keep them, one set of calls for each kind: list, read, create or replace, change, take out, import,
 * export. What they do is in `rule-calls.ts`, what each kind is in `rule-resources.ts`.
 */
import Type from 'typebox';
import type { RuleChange } from '../../schema/rule-changes.ts';
import { STORE_ID } from '../../schema/rule-rows.ts';
import type { App } from '../app.ts';
import { CSV, NDJSON } from '../import-rows.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeRequest, route } from '../route.ts';
import { exportRules, importRules, listRules, merged, ruleReply, storedStore, writeRule } from '../rule-calls.ts';
import { RULE_IMPORT_BYTES_MAX } from '../rule-import.ts';
import { RULE_RESOURCES, type RuleResource, Store, StoreChanges, StoreInput } from '../rule-resources.ts';
import { storedTimes } from '../rule-times.ts';
import { closed } from '../schemas.ts';
import { ImportResult } from '../schemas-product.ts';

const TAG = 'admin: pricing';
type Fields = Readonly<Record<string, unknown>>;

export function adminRuleRoutes(app: App): AnyRoute[] {
  return [...RULE_RESOURCES.flatMap((resource) => routesOf(app, resource)), ...storeRoutes(app)];
}

function routesOf(app: App, resource: RuleResource): AnyRoute[] {
  const { kind, segment, name, one, many, id, idOf, params, bytesMax } = resource;
  const path = `/v1/admin/${segment}`;
  const single = `${path}/{${id}}`;
  const common = { tag: TAG, limit: 'admin' } as const;
  const nameIn = (request: EdgeRequest) => idOf((request.params as Readonly<Record<string, string>>)[id] ?? '');

  const list = route({
    ...common,
    method: 'GET',
    path,
    operationId: `adminList${name}s`,
    summary: `The ${many}`,
    access: 'viewer',
    query: resource.query,
    responses: { 200: { description: `A page of ${many}.`, schema: resource.list } },
    problems: ['cursor_invalid'],
    handle: (request) => listRules(app, resource, request.query as Fields),
  });

  const read = route({
    ...common,
    method: 'GET',
    path: single,
    operationId: `adminGet${name}`,
    summary: `Read ${one}`,
    access: 'viewer',
    params,
    responses: { 200: { description: 'As it is stored.', schema: resource.document } },
    handle(request) {
      const rule = app.catalogue.rules.get(kind, nameIn(request));
      return rule === undefined ? problem('not_found') : ruleReply(200, rule);
    },
  });

  const put = route({
    ...common,
    method: 'PUT',
    path: single,
    operationId: `adminPut${name}`,
    summary: `Create or replace ${one}`,
    access: 'operator',
    params,
    body: resource.input,
    maxBodyBytes: bytesMax,
    ifMatch: true,
    responses: {
      200: { description: 'Replaced.', schema: resource.document },
      201: { description: 'Created.', schema: resource.document },
    },
    handle(request) {
      const document = storedTimes({ [id]: nameIn(request), ...(request.body as Fields) });
      return writeRule(app, request, { kind, id: nameIn(request), edit: () => document }, path);
    },
  });

  const patch = route({
    ...common,
    method: 'PATCH',
    path: single,
    operationId: `adminChange${name}`,
    summary: `Change some fields of ${one}`,
    description: `What is given replaces what was there; null takes an optional field away.${kind === 'price_list' ? ' Of `entries` only those that are given change; null takes one out.' : ''}`,
    access: 'operator',
    params,
    body: resource.changes,
    maxBodyBytes: bytesMax,
    ifMatch: true,
    responses: { 200: { description: 'As it is now.', schema: resource.document } },
    handle(request) {
      const changes = storedTimes(request.body) as Fields;
      const edit = (current: unknown) => (current === undefined ? undefined : merged(current as Fields, changes));
      return writeRule(app, request, { kind, id: nameIn(request), edit }, path);
    },
  });

  const remove = route({
    ...common,
    method: 'DELETE',
    path: single,
    operationId: `adminDelete${name}`,
    summary: `Take out ${one}`,
    access: 'operator',
    params,
    ifMatch: true,
    responses: { 204: { description: 'Gone.' } },
    handle(request) {
      const edit = (current: unknown) => (current === undefined ? undefined : null);
      return writeRule(app, request, { kind, id: nameIn(request), edit }, path);
    },
  });

  const load = route({
    ...common,
    method: 'POST',
    path: `${path}/import`,
    operationId: `adminImport${name}s`,
    summary: `Create or replace many ${many}, all or none`,
    description:
      kind === 'price_list'
        ? 'NDJSON: a list in a line. CSV: `list,sku,currency,price,minQuantity,compareAtPrice`, all prices of each list that it names.'
        : 'A document in a line, as the export writes it.',
    access: 'operator',
    rawBody: { maxBytes: RULE_IMPORT_BYTES_MAX, contentTypes: kind === 'price_list' ? [...NDJSON, CSV] : [...NDJSON] },
    responses: { 200: { description: 'How many documents were written.', schema: ImportResult } },
    handle: (request) => importRules(app, request, resource),
  });

  const save = route({
    ...common,
    method: 'GET',
    path: `${path}/export`,
    operationId: `adminExport${name}s`,
    summary: `All ${many} as a file that the import reads`,
    access: 'viewer',
    query: closed(kind === 'price_list' ? { format: Type.Optional(Type.Enum(['ndjson', 'csv'])) } : {}),
    responses: { 200: { description: 'NDJSON, or what was asked for.', contentType: NDJSON[0] } },
    handle: (request) => exportRules(app, resource, (request.query as Fields).format === 'csv'),
  });

  return [list, load, save, read, put, patch, remove];
}

function storeRoutes(app: App): AnyRoute[] {
  const path = '/v1/admin/store';
  const common = { path, tag: TAG, limit: 'admin' } as const;
  const responses = { 200: { description: 'As it is now.', schema: Store } };
  const change = (request: EdgeRequest, edit: RuleChange['edit']) =>
    writeRule(app, request, { kind: 'store', id: STORE_ID, edit }, null);

  const read = route({
    ...common,
    method: 'GET',
    operationId: 'adminGetStore',
    summary: 'What holds for the whole store',
    access: 'viewer',
    responses,
    handle: () => ruleReply(200, storedStore(app)),
  });
  const put = route({
    ...common,
    method: 'PUT',
    operationId: 'adminPutStore',
    summary: 'Replace what holds for the whole store',
    access: 'operator',
    body: StoreInput,
    ifMatch: true,
    responses,
    handle: (request) => change(request, () => request.body),
  });
  const patch = route({
    ...common,
    method: 'PATCH',
    operationId: 'adminChangeStore',
    summary: 'Change some of what holds for the whole store',
    access: 'operator',
    body: StoreChanges,
    ifMatch: true,
    responses,
    handle: (request) =>
      change(request, (current) => merged((current ?? app.catalogue.rules.store) as Fields, request.body as Fields)),
  });
  return [read, put, patch];
}
