import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { decodeRow, encodeEvent } from './codec.ts';
import { packPlain } from './event-bytes.ts';
import { library, plainValues } from './fixture-plain.ts';

it('whatever an event holds is read back as it was, by us and by the library', () => {
  fc.assert(
    fc.property(plainValues(), (event) => {
      fc.pre(event !== null);
      assert.deepEqual(decodeRow(encodeEvent(event)).event, event);
      const written = packPlain(event);
      if (written !== null) assert.deepEqual(library.unpack(Buffer.from(written)), [event]);
    }),
  );
});

it('numbers at the edges of their forms are read back as they were', () => {
  const edges = [
    0,
    -0,
    1,
    -1,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    1.5,
    -(2 ** 53),
    1e300,
  ];
  for (const edge of edges) {
    const [read] = library.unpack(Buffer.from(packPlain(edge) ?? [])) as [number];
    assert.ok(Object.is(read, edge), String(edge));
  }
});

it('texts at the edges of their forms are read back as they were', () => {
  for (const length of [0, 31, 32, 255, 256, 4_000])
    for (const unit of ['a', 'é', '漢', '😀']) {
      const text = unit.repeat(length);
      assert.equal(decodeRow(encodeEvent(text)).event, text);
    }
});

it('what is not plain, deep or large is left to the library, and read back as it was', () => {
  let deep: unknown = 1;
  for (let i = 0; i < 40; i++) deep = [deep];
  const many = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`name${i}`, i]));
  const events = [
    { bytes: Buffer.of(1, 2, 3) },
    { at: new Date(5) },
    { absent: undefined },
    { large: 'x'.repeat(20_000) },
    { large: '漢'.repeat(6_000) },
    many,
    deep,
  ];
  for (const event of events) {
    assert.equal(packPlain(event), null);
    assert.equal(JSON.stringify(decodeRow(encodeEvent(event)).event), JSON.stringify(event));
  }
});

it('events encoded one after the other, and one that failed between them, do not touch each other', () => {
  const events = Array.from({ length: 5_000 }, (_, i) => ({
    kind: 'line_set',
    at: 1_790_000_000_000 + i,
    sku: `SKU-${i}`,
  }));
  const rows = events.map((event, i) => {
    if (i % 7 === 0) assert.equal(packPlain({ i, bad: undefined }), null);
    return encodeEvent(event);
  });
  assert.deepEqual(
    rows.map((row) => decodeRow(row).event),
    events,
  );
});

it('bytes in an event that was read keep nothing of what was read with it', () => {
  const payload = encodeEvent({ kind: 'sealed', bytes: new Uint8Array([1, 2, 3]) });
  const chunk = Buffer.concat([Buffer.alloc(10_000), payload]);
  const { event } = decodeRow(chunk.subarray(10_000));
  const { bytes } = event as { bytes: Uint8Array };
  assert.deepEqual([...bytes], [1, 2, 3]);
  assert.ok(bytes.buffer.byteLength <= 8, `${bytes.buffer.byteLength} bytes are kept for three`);
});
