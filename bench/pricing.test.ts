import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchPricing } from './pricing.ts';

test('every part of the pricing bench runs and tells its figures', async () => {
  const told: string[] = [];
  await benchPricing({ ms: 0, short: true, tell: (line) => told.push(line) });
  for (const part of ['One cart', 'Growth', 'Pool against', 'Median of calls']) {
    assert.ok(
      told.some((line) => line.includes(part)),
      part,
    );
  }
  assert.ok(!told.some((line) => line.includes('NaN')), told.join('\n'));
});
