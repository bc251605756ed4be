import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitPower, ratioOf, ratioText } from './statistics.ts';

test('a ratio and its inverse say the same', () => {
  const [a, b] = [
    [10, 12, 11, 13],
    [5, 5.5, 6, 5.2],
  ];
  const over = ratioOf(a, b);
  const under = ratioOf(b, a);
  assert.ok(Math.abs(over.value * under.value - 1) < 1e-9);
  assert.ok(over.low !== null && under.high !== null && Math.abs(over.low * under.high - 1) < 1e-9);
});

test('two targets that are alike but for noise are inside the noise; one that is twice as fast is not', () => {
  const base = [100, 103, 98, 101];
  assert.equal(ratioOf(base, [101, 99, 102, 100]).insideNoise, true);
  const twice = ratioOf(
    base.map((rate) => rate * 2),
    [101, 99, 102, 100],
  );
  assert.equal(twice.insideNoise, false);
  assert.ok(twice.low !== null && twice.low > 1.8 && twice.high !== null && twice.high < 2.3);
});

test('one round gives a ratio without an interval, none gives no ratio', () => {
  assert.deepEqual(ratioOf([4], [2]), { value: 2, low: null, high: null, insideNoise: true });
  assert.match(ratioText(ratioOf([], [])), /void/);
});

test('the exponent of a power is found, with an interval around it; a flat line has 0', () => {
  const points = [1, 10, 100, 1000].map((x) => [x, 3 * x ** 0.5] as const);
  const fit = fitPower(points);
  assert.ok(fit !== null && Math.abs(fit.exponent - 0.5) < 1e-9);
  const flat = fitPower([1, 10, 100, 1000].map((x, i) => [x, i % 2 === 0 ? 10 : 11] as const));
  assert.ok(flat?.low != null && flat.high !== null && flat.low < 0 && flat.high > 0);
  assert.equal(fitPower([[1, 1]]), null);
});
