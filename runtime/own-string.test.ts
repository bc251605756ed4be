import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesKept } from './fixture-heap.ts';
import { ownString, ownStrings } from './own-string.ts';

test('the text stays what it is, whatever it is cut from', () => {
  const utf8 = (text: string) => Buffer.from(text).toString();
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 3_000 }), fc.nat(50), (whole, from) => {
      const cut = whole.slice(from);
      assert.equal(utf8(ownString(cut)), utf8(cut));
    }),
  );
  for (const long of ['x'.repeat(5_000), 'ü€😀'.repeat(2_000)]) assert.equal(ownString(long), long);
});

test('values stay what they are', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => assert.deepEqual(ownStrings(structuredClone(value)), value)));
  const bytes = Buffer.from('of no concern');
  assert.equal((ownStrings({ bytes }) as { bytes: Buffer }).bytes, bytes);
});

test('an own string keeps nothing but itself', async () => {
  const each = await bytesKept(10_000, 200, (index) => ownString(`${index} ${'-'.repeat(6_000)}`.slice(0, 40)));
  assert.ok(each < 200, `${each} bytes for 40 characters`);
});
