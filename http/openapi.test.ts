import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openApiDocument, problemCodes } from './openapi.ts';
import { declaredRoutes, lintDocument, packageVersion } from './openapi-lint.ts';
import { PROBLEMS } from './problem.ts';
import type { AnyRoute } from './route.ts';
import { SampleWorld, sampleRoutes } from './sample-edge.ts';

type Tree = { readonly [name: string]: Tree } & { readonly enum?: readonly string[]; readonly required?: unknown };

const documentOf = (routes: readonly AnyRoute[]) => openApiDocument(routes, { version: '1.2.3' }) as unknown as Tree;
const SAMPLE = sampleRoutes(new SampleWorld());

/** Pointers to the objects in a schema that would let unknown fields in. */
function openObjects(schema: unknown, at: string): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  if (Array.isArray(schema)) return schema.flatMap((part, index) => openObjects(part, `${at}/${index}`));
  const own = 'type' in schema && schema.type === 'object' && !isClosed(schema) ? [at] : [];
  return [...own, ...Object.entries(schema).flatMap(([name, part]) => openObjects(part, `${at}/${name}`))];
}

/** A map with values of one schema says itself what may be in it. */
function isClosed(schema: object): boolean {
  const rest = 'additionalProperties' in schema ? schema.additionalProperties : undefined;
  return rest === false || 'patternProperties' in schema || (typeof rest === 'object' && rest !== null);
}

test("the shop's document passes the linter without a warning, and one with a hole in it does not", () => {
  const document = openApiDocument(declaredRoutes(), { version: '1.2.3' });
  const { ok, output } = lintDocument(document);
  assert.ok(ok, output);
  assert.equal(lintDocument({ ...document, components: {} }).ok, false, 'an error');
  const { license: _none, ...info } = document.info as { license: unknown };
  assert.equal(lintDocument({ ...document, info }).ok, false, 'what is only a warning elsewhere');
});

test('every request of every route refuses unknown fields, in the body and in the query', () => {
  const routes = declaredRoutes();
  assert.ok(routes.length > 20);
  for (const route of [...routes, ...SAMPLE]) {
    const name = `${route.method} ${route.path}`;
    assert.deepEqual(openObjects(route.body, ''), [], `${name}: body`);
    assert.deepEqual(openObjects(route.query, ''), [], `${name}: query`);
  }
});

test('every route says how it is called once, and names only codes of the table', () => {
  const routes = declaredRoutes();
  const ids = routes.map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, ids.length);
  for (const route of routes) {
    for (const code of problemCodes(route)) assert.ok(Object.hasOwn(PROBLEMS, code), code);
    assert.ok(route.limit === undefined || route.limit !== '');
  }
});

test('parameters, bodies, answers and credentials are told as they are declared', () => {
  const { paths, components } = documentOf(SAMPLE);
  const read = paths?.['/things/{id}']?.get;
  const parameters = JSON.parse(JSON.stringify(read?.parameters)) as { name: string; in: string; required: boolean }[];
  assert.deepEqual(
    parameters.map(({ name, in: place, required }) => [name, place, required]),
    [
      ['id', 'path', true],
      ['limit', 'query', false],
      ['all', 'query', false],
      ['skus', 'query', false],
    ],
  );
  const echo = paths?.['/echo']?.post;
  assert.deepEqual(echo?.requestBody?.content?.['application/json']?.schema, { $ref: '#/components/schemas/Echo' });
  assert.ok(echo?.responses?.['200']?.headers?.['Idempotency-Replayed']);
  assert.ok(components?.schemas?.Echo?.properties?.sku);
  assert.equal(JSON.stringify(components).includes('$id'), false);
  assert.deepEqual(echo?.security, []);
  assert.deepEqual(paths?.['/opened']?.post?.security, [{ cartToken: [] }]);
  assert.deepEqual(paths?.['/admin/import']?.post?.security, [{ operatorKey: [] }]);
  assert.ok(paths?.['/admin/import']?.post?.requestBody?.content?.['text/csv']);
});

test('problems are listed with their codes for each status, and limits with their headers', () => {
  const { paths } = documentOf(SAMPLE);
  const answers = paths?.['/keyed/{id}']?.delete?.responses;
  const codesOf = (status: string) =>
    (answers?.[status]?.content?.['application/problem+json']?.schema?.allOf?.[1]?.properties?.code?.enum ??
      []) as string[];
  assert.deepEqual([...codesOf('400')].sort(), ['idempotency_key_required', 'invalid_request']);
  assert.ok(codesOf('503').includes('database_unavailable') && codesOf('503').includes('outcome_unknown'));
  assert.deepEqual(Object.keys(answers?.['429']?.headers ?? {}), ['Retry-After', 'RateLimit', 'RateLimit-Policy']);
  assert.deepEqual(Object.keys(answers?.['503']?.headers ?? {}), ['Retry-After']);
});

test('hidden routes are not told, and two schemas of one name are refused', () => {
  const [echo] = SAMPLE;
  assert.ok(echo);
  assert.deepEqual(documentOf([{ ...echo, hidden: true }]).paths, {});
  const other = { ...echo, path: '/other', body: { ...echo.body, description: 'Another.' } };
  assert.throws(() => documentOf([echo, other]), /Echo/);
});

test('the version is that of the package', () => {
  assert.match(packageVersion(), /^\d+\.\d+\.\d+/);
});
