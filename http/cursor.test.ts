import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeCursor, encodeCursor, filtersHash } from './cursor.ts';

const SECRET = 'secret-0123456789abcdef0123456789abcdef';
const FILTERS = filtersHash('products', { category: 'tea', q: undefined });

test('a cursor gives back its position', () => {
  const part = fc.oneof(fc.string({ maxLength: 64 }), fc.maxSafeInteger(), fc.constant(null));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 3 }), (position) => {
      const cursor = encodeCursor(SECRET, FILTERS, position);
      assert.match(cursor, /^[\w-]+$/);
      assert.deepEqual(decodeCursor(SECRET, FILTERS, cursor), position);
    }),
  );
});

test('a cursor of another list, filter or secret, or one that was changed, is none', () => {
  const cursor = encodeCursor(SECRET, FILTERS, ['a', 1]);
  assert.equal(decodeCursor(SECRET, filtersHash('products', { category: 'mugs' }), cursor), null);
  assert.equal(decodeCursor(SECRET, filtersHash('orders', { category: 'tea' }), cursor), null);
  assert.equal(decodeCursor(`${SECRET}x`, FILTERS, cursor), null);
  for (let i = 0; i < cursor.length - 1; i++) {
    const changed = `${cursor.slice(0, i)}${cursor[i] === 'A' ? 'B' : 'A'}${cursor.slice(i + 1)}`;
    assert.equal(decodeCursor(SECRET, FILTERS, changed), null, changed);
  }
  for (const junk of ['', '!', 'A', 'A'.repeat(16), 'A'.repeat(2_000), `${cursor}=`])
    assert.equal(decodeCursor(SECRET, FILTERS, junk), null, junk);
});

test('a cursor of an older secret is read while that is in the list', () => {
  const cursor = encodeCursor(SECRET, FILTERS, ['a']);
  assert.deepEqual(decodeCursor(['newer', SECRET], FILTERS, cursor), ['a']);
});

test('the order in which filters are given does not matter', () => {
  assert.equal(filtersHash('l', { a: 1, b: '2' }), filtersHash('l', { b: '2', a: 1 }));
  assert.notEqual(filtersHash('l', { a: 1 }), filtersHash('l', { a: '1' }));
});
