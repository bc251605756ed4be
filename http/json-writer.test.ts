import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fragment, JsonWriter } from './json-writer.ts';

const textOf = (document: Uint8Array): string => Buffer.from(document).toString();

test('strings, numbers and times are written as JSON writes them, whatever they hold', () => {
  const out = new JsonWriter();
  const strings = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
  const numbers = fc.oneof(fc.maxSafeInteger(), fc.nat(), fc.double({ noNaN: true, noDefaultInfinity: true }));
  const times = fc.integer({ min: 0, max: 4_102_444_800_000 });
  fc.assert(
    fc.property(fc.array(fc.tuple(strings, numbers, times)), (rows) => {
      out.begin().raw('[');
      rows.forEach(([text, number, time], i) => {
        out
          .raw(i > 0 ? ',[' : '[')
          .text(text)
          .raw(',')
          .number(number)
          .raw(',')
          .time(time)
          .raw(']');
      });
      const expected = rows.map(([text, number, time]) => [text, number, new Date(time).toISOString()]);
      assert.equal(textOf(out.raw(']').take()), JSON.stringify(expected));
    }),
  );
});

test('every count of digits is written whole', () => {
  const out = new JsonWriter();
  for (let bound = 1; bound <= 1e15; bound *= 10)
    for (const number of [bound - 1, bound, bound + 1])
      assert.equal(textOf(out.begin().number(number).take()), String(number));
});

test('a document larger than any block is whole, and those before it stay as they were', () => {
  const out = new JsonWriter();
  const first = out.begin().text('first').take();
  out.begin().raw('[');
  const piece = fragment('"0123456789abcdef",');
  for (let i = 0; i < 40_000; i++) out.bytes(piece).text('é').raw(',');
  const large = out.raw('0]').take();
  const last = out.begin().text('last').take();
  assert.equal(textOf(first), '"first"');
  assert.equal((JSON.parse(textOf(large)) as unknown[]).length, 80_001);
  assert.equal(textOf(last), '"last"');
});

test('many documents one after the other do not touch each other, nor does one that was dropped', () => {
  const out = new JsonWriter();
  const documents = Array.from({ length: 20_000 }, (_, i) => {
    out.begin().text('dropped');
    return out.begin().raw('{"i":').number(i).raw(',"name":').text(`number ${i}`).raw('}').take();
  });
  documents.forEach((document, i) => {
    assert.equal(textOf(document), `{"i":${i},"name":"number ${i}"}`);
  });
});
