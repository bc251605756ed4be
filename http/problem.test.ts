import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Fault } from '../runtime/fault.ts';
import { problemCodes } from './openapi.ts';
import { declaredRoutes } from './openapi-lint.ts';
import { faultReply, isProblemCode, PROBLEMS, problem, retryAfter } from './problem.ts';

test('every code is a snake_case word with an error status and one sentence', () => {
  for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/);
    assert.ok(status >= 400 && status < 600, code);
    assert.match(title, /^[A-Z][^.]*\.$/, code);
  }
  assert.equal(new Set(Object.values(PROBLEMS).map(({ title }) => title)).size, Object.keys(PROBLEMS).length);
});

test('every code that a file of the edge asks for is in the table', () => {
  const folder = import.meta.dirname;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
  let seen = 0;
  for (const file of files) {
    for (const [, code = ''] of readFileSync(join(folder, file), 'utf8').matchAll(/\bproblem\('(\w+)'/g)) {
      assert.ok(isProblemCode(code), `${code} in ${file}`);
      seen++;
    }
  }
  assert.ok(seen > 20);
});

test('every code of the table is given by some part of the shop', () => {
  const root = join(import.meta.dirname, '..');
  const files = ['runtime', 'actors', 'payments', 'http'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(root, folder, name)),
  );
  const sources = files
    .filter((name) => /(?<!\.test|\/problem)\.js$/.test(name))
    .map((name) => readFileSync(name, 'utf8'));
  for (const code of Object.keys(PROBLEMS)) {
    assert.ok(
      sources.some((source) => source.includes(`'${code}'`)),
      `${code} is given by nothing`,
    );
  }
});

test("the README's table of problems is the table of the code", () => {
  const rows = Object.entries(PROBLEMS).map(([code, { status, title }]) => `| \`${code}\` | ${status} | ${title} |`);
  const expected = ['<!-- problems -->', '| code | status | meaning |', '|---|---|---|', ...rows, '<!-- /problems -->'];
  const readme = readFileSync(upwards(import.meta.dirname, 'README.md'), 'utf8');
  const from = readme.indexOf('<!-- problems -->');
  const end = '<!-- /problems -->';
  const shown = from < 0 ? '' : readme.slice(from, readme.indexOf(end) + end.length);
  assert.equal(shown, expected.join('\n'), `this belongs into the README:\n${expected.join('\n')}`);
});

test('the OpenAPI document tells every code but those of no call', () => {
  const told = new Set(declaredRoutes().flatMap(problemCodes));
  assert.deepEqual(
    Object.keys(PROBLEMS).filter((code) => isProblemCode(code) && !told.has(code)),
    // an unknown path, another method, a probe, and what only other parts of the shop are told
    ['route_unknown', 'method_not_allowed', 'hold_gone', 'not_ready', 'effect_failed'],
  );
});

test('further members cannot replace the standard ones, and no name of Object is a code', () => {
  const reply = problem('cart_checked_out', { extra: { orderId: 'ord_1', status: 200, code: 'x' }, detail: 'Done.' });
  assert.deepEqual(reply.body, {
    orderId: 'ord_1',
    type: '/docs/problems#cart_checked_out',
    title: 'The cart has been checked out.',
    status: 409,
    code: 'cart_checked_out',
    detail: 'Done.',
  });
  assert.equal(problem('cart_empty').body.detail, 'The cart is empty.', 'there is always a detail');
  const errors = [{ path: '/quantity', message: 'must be integer' }];
  assert.equal(problem('invalid_request', { errors }).body.detail, '/quantity must be integer');
  assert.equal(isProblemCode('constructor'), false);
});

test('429 and 503 always say when to come back, in whole seconds of at least one', () => {
  for (const [code, { status }] of Object.entries(PROBLEMS)) {
    if (!isProblemCode(code)) continue;
    assert.equal(problem(code).headers?.['retry-after'], status === 429 || status === 503 ? '1' : undefined, code);
  }
  assert.deepEqual([0, 1, 999, 1000, 1001, 59_999].map(retryAfter), ['1', '1', '1', '1', '2', '60']);
  assert.equal(faultReply(new Fault('overloaded', 'm', { retryAfterMs: 2_100 })).headers?.['retry-after'], '3');
  assert.equal(problem('hold_cooldown', { retryAfterMs: 4_000 }).headers?.['retry-after'], '4');
});

test('what is thrown is never told', () => {
  for (const thrown of [new Error('a'), 'a', undefined, null, { code: 'overloaded' }])
    assert.deepEqual(faultReply(thrown).body, problem('internal').body);
  assert.ok(!JSON.stringify(faultReply(new Fault('rejected', 'relation "x"'))).includes('relation'));
});

/** The nearest file of this name in the folder or one above it. */
function upwards(folder: string, name: string): string {
  const file = join(folder, name);
  if (existsSync(file) || dirname(folder) === folder) return file;
  return upwards(dirname(folder), name);
}
