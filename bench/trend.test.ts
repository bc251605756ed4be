import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Point, slopeOf } from './trend.ts';

const line = (slope: number, count: number): Point[] =>
  Array.from({ length: count }, (_, index) => [index / 10, 100 + slope * (index / 10)] as const);

test('the slope of a line is its slope', () => {
  fc.assert(
    fc.property(fc.integer({ min: -50, max: 50 }), fc.integer({ min: 2, max: 900 }), (slope, count) => {
      assert.ok(Math.abs(slopeOf(line(slope, count)) - slope) < 1e-6);
    }),
    { numRuns: 30 },
  );
});

test('a quarter of wild samples does not move it', () => {
  const points = line(2, 80).map(
    ([at, value], index) => [at, index % 4 === 0 ? 1e6 * (index % 8 === 0 ? 1 : -1) : value] as const,
  );
  assert.ok(Math.abs(slopeOf(points) - 2) < 0.5);
});

test('a saw that comes back to where it was has next to no slope', () => {
  const points = Array.from({ length: 300 }, (_, index) => [index / 60, 100 + (index % 30)] as const);
  // Over its five minutes a sixth of its height.
  assert.ok(Math.abs(slopeOf(points)) < 1);
});

test('fewer than two samples have none', () => {
  assert.ok(Number.isNaN(slopeOf([])));
  assert.ok(Number.isNaN(slopeOf([[1, 1]])));
});
