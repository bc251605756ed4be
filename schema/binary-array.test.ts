import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { BinaryArrayWriter, isStorableText } from './binary-array.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
});
after(async () => {
  await database.drop();
});

/** What the server makes of an array, element by element. */
async function echo(type: string, array: Buffer): Promise<unknown[]> {
  const text = `SELECT value FROM unnest($1::${type}[]) WITH ORDINALITY AS r (value, n) ORDER BY n`;
  const { rows } = await database.pool.query({ text, values: [array] });
  return rows.map((row) => row.value);
}

const same = <Value>(value: Value): Value => value;
const orNull = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.array(fc.option(arbitrary), { maxLength: 40 });
const storable = fc
  .oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom('NULL', '{}', '"', '\\', "'", '', '🦀', ' ', ','))
  .filter(isStorableText);

describe('a binary array', () => {
  it('arrives as it was sent, for every element type, with NULLs and empty arrays', async () => {
    const writer = new BinaryArrayWriter();
    const rows = fc.record({
      texts: orNull(storable),
      bytes: orNull(fc.uint8Array({ maxLength: 300 })),
      longs: orNull(fc.oneof(fc.maxSafeInteger(), fc.integer())),
      ints: orNull(fc.integer()),
    });
    await fc.assert(
      fc.asyncProperty(rows, async ({ texts, bytes, longs, ints }) => {
        writer.reset();
        const arrays = [
          writer.text(texts, same),
          writer.bytea(bytes, same),
          writer.int8(longs, same),
          writer.int4(ints, same),
        ] as const;
        assert.deepEqual(await echo('text', arrays[0]), texts);
        const received = (await echo('bytea', arrays[1])) as (Buffer | null)[];
        assert.deepEqual(
          received.map((value) => value && [...value]),
          bytes.map((value) => value && [...value]),
        );
        assert.deepEqual(
          await echo('int8', arrays[2]),
          longs.map((value) => value && value + 0),
        );
        assert.deepEqual(await echo('int4', arrays[3]), ints);
        assert.equal(writer.bytes, arrays[0].length + arrays[1].length + arrays[2].length + arrays[3].length);
      }),
      { numRuns: 60 },
    );
  });

  it('stays whole when a later one outgrows the memory', async () => {
    const writer = new BinaryArrayWriter();
    const first = writer.text(['early'], same);
    const large = writer.bytea([new Uint8Array(1_000_000).fill(7), new Uint8Array(2_000_000).fill(8)], same);
    const last = writer.int4([1, 2, 3], same);
    assert.deepEqual(await echo('text', first), ['early']);
    const [seven, eight] = (await echo('bytea', large)) as Buffer[];
    assert.ok(seven?.length === 1_000_000 && seven.every((byte) => byte === 7));
    assert.ok(eight?.length === 2_000_000 && eight.every((byte) => byte === 8));
    assert.deepEqual(await echo('int4', last), [1, 2, 3]);
  });

  it('refuses what the column type cannot hold', () => {
    const writer = new BinaryArrayWriter();
    for (const text of ['nul\0', 'lone \ud800', '\udc00 lone']) {
      assert.throws(() => writer.text([text], same), RangeError);
    }
    for (const value of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.throws(() => writer.int8([value], same), RangeError);
    }
    for (const value of [0.5, Number.NaN, 2 ** 31, -(2 ** 31) - 1]) {
      assert.throws(() => writer.int4([value], same), RangeError);
    }
    assert.ok(isStorableText('pair 🦀'));
  });
});
