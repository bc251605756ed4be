import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Histogram, RELATIVE_ERROR } from './histogram.ts';

const latency = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }));

test('a percentile is that of the values themselves, to its relative error', () => {
  fc.assert(
    fc.property(
      fc.array(latency, { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 1, max: 100 }),
      (values, percent) => {
        const histogram = new Histogram();
        for (const value of values) histogram.record(value);
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil((percent / 100) * sorted.length)) - 1] ?? Number.NaN;
        const told = histogram.percentile(percent);
        assert.ok(Math.abs(told - exact) <= exact * RELATIVE_ERROR, `${told} for ${exact}`);
      },
    ),
  );
});

test('histograms merge without loss, also through their counts as JSON', () => {
  fc.assert(
    fc.property(fc.array(latency), fc.array(latency), (left, right) => {
      const [whole, a, b] = [new Histogram(), new Histogram(), new Histogram()];
      for (const value of [...left, ...right]) whole.record(value);
      for (const value of left) a.record(value);
      for (const value of right) b.record(value);
      a.merge(JSON.parse(JSON.stringify(b.counts())));
      assert.deepEqual(a.counts(), whole.counts());
      assert.equal(a.count, left.length + right.length);
    }),
  );
});

test('counts of a bucket that there is not are refused', () => {
  assert.throws(() => Histogram.from([[1e9, 1]]), RangeError);
});
