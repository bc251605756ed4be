import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Fault } from '../runtime/fault.ts';
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
