import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { unpackPlain } from './event-reader.ts';
import { bytesKept } from './fixture-heap.ts';
import { library, plainValues } from './fixture-plain.ts';

const buffers = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const values = plainValues(fc.string({ maxLength: 24 }), fc.constant(Number.NaN), buffers);

it('whatever the library writes is read as the library reads it', () => {
  fc.assert(
    fc.property(values, (value) => {
      const packed = library.pack([value]);
      const read = unpackPlain(packed);
      assert.deepEqual(read, library.unpack(packed));
    }),
    { numRuns: 500 },
  );
});

it('of whatever bytes nothing is said that the library does not say, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const read = unpackPlain(bytes);
      if (read !== undefined) assert.deepEqual(read, library.unpack(Buffer.from(bytes)));
    }),
    { numRuns: 2_000 },
  );
});

it('a value that is cut short, or followed by more, is left to the library', () => {
  const whole = library.pack([{ kind: 'line_set', id: 'x'.repeat(40), bytes: Buffer.alloc(3), at: 1.5, n: 70_000 }]);
  for (let end = 0; end < whole.length; end++)
    assert.equal(unpackPlain(whole.subarray(0, end)), undefined, String(end));
  assert.equal(unpackPlain(Buffer.concat([whole, Buffer.of(0)])), undefined);
  assert.notEqual(unpackPlain(whole), undefined);
});

it('a key that would set what an object inherits, and forms that events do not have, are left to the library', () => {
  const proto = Buffer.concat([Buffer.of(0x81, 0xa9), Buffer.from('__proto__'), Buffer.of(1)]);
  assert.equal(unpackPlain(proto), undefined);
  for (const value of [new Date(5), 2n ** 60n, undefined, new Map([[1, 2]])])
    assert.equal(unpackPlain(library.pack([value])), undefined, String(value));
});

it('short texts that were read lately are one string, however many share a slot', () => {
  const texts = Array.from({ length: 20_000 }, (_, i) => `SKU-${i.toString(36)}`);
  for (const packed of [library.pack(texts), library.pack(texts)]) assert.deepEqual(unpackPlain(packed), texts);
});

it('a text that is kept keeps nothing of the value that it came from', async () => {
  const ids = (i: number) =>
    library.pack([`lin_${String(i).padStart(36, '0')}`, 'much else that nobody keeps '.repeat(40)]);
  const bytes = await bytesKept(20_000, 120, (i) => (unpackPlain(ids(i)) as string[])[0]);
  assert.ok(bytes < 120, `${bytes} bytes for a text of 40`);
});
