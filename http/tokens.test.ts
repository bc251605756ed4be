import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bytesKept } from '../runtime/fixture-heap.ts';
import { AdminKeys, CartTokens, roleCovers } from './tokens.ts';

const [OLD, NEW] = ['old-secret-0123456789abcdef0123456789', 'new-secret-0123456789abcdef0123456789'];
const CART = 'cart_0192f0c1-1111-7000-8000-000000000001';

test('a token opens its own cart and no other', () => {
  const tokens = new CartTokens([NEW]);
  const token = tokens.issue(CART);
  assert.match(token, /^[\w-]{32}$/);
  assert.ok(tokens.opens(token, CART));
  assert.ok(!tokens.opens(token, CART.replace('1', '2')));
  for (const wrong of [null, '', 'x', token.slice(1), `${token}x`, token.toUpperCase(), 'é'.repeat(32)])
    assert.ok(!tokens.opens(wrong, CART), String(wrong));
});

test('a cart that was opened before opens with its token only, and guesses are not remembered', () => {
  const tokens = new CartTokens([NEW]);
  const token = tokens.issue(CART);
  const guess = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
  for (let again = 0; again < 3; again++) {
    assert.ok(!tokens.opens(guess, CART));
    assert.ok(tokens.opens(token, CART));
  }
});

test('through a rotation every token that was issued keeps opening, until its secret leaves the list', () => {
  const before = new CartTokens([OLD]);
  const first = new CartTokens([OLD, NEW]);
  const second = new CartTokens([NEW, OLD]);
  const done = new CartTokens([NEW]);
  assert.equal(first.issue(CART), before.issue(CART));
  assert.ok(second.opens(before.issue(CART), CART));
  assert.ok(first.opens(second.issue(CART), CART));
  assert.ok(!done.opens(before.issue(CART), CART));
});

test('a key names the same cart each time, as a UUIDv8, under every secret of the list', () => {
  const key = 'B3D1C0DE-0000-4000-8000-00000000000A';
  const [old = ''] = new CartTokens([OLD]).candidates(key);
  const both = new CartTokens([NEW, OLD]).candidates(key.toLowerCase());
  assert.match(old, /^cart_[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(both.length, 2);
  assert.equal(both[1], old);
  assert.notEqual(both[0], old);
});

test('no secret is no tokens', () => {
  assert.throws(() => new CartTokens([]), RangeError);
});

test("an operator's key has its role, everything else none", () => {
  const keys = new AdminKeys('k'.repeat(40));
  assert.equal(keys.roleOf('k'.repeat(40)), 'admin');
  for (const wrong of [null, '', 'k', 'k'.repeat(41)]) assert.equal(keys.roleOf(wrong), null);
  assert.ok(roleCovers('admin', 'viewer') && roleCovers('operator', 'operator') && !roleCovers('viewer', 'operator'));
});

test('what is kept of a cart that was opened is no more than its token', async () => {
  const tokens = new CartTokens([NEW, OLD]);
  const each = await bytesKept(4_000, 300, (index) => {
    // As it comes with a request, and what else goes on between two carts takes most of the pool.
    const id = `/v1/carts/cart_${String(index).padStart(8, '0')}-0000-4000-8000-000000000000/lines${'-'.repeat(500)}`;
    assert.ok(tokens.opens(tokens.issue(id.slice(10, 51)), id.slice(10, 51)));
    Buffer.allocUnsafe(3_000);
  });
  assert.ok(each < 300, `${each} bytes for each`);
});
