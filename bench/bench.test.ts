import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bench } from './bench.ts';
import { compare } from './compare.ts';
import { TINY } from './effort.ts';
import { redisMissing } from './redis-process.ts';
import { reportPage } from './report.ts';
import type { BenchResult } from './result.ts';
import { PARTS } from './suite.ts';

test('the suite runs each part on next to nothing, and its report shows what it found', async (t) => {
  const without = redisMissing() === null ? ['micro', 'pricing', 'cluster'] : ['micro', 'pricing', 'cluster', 'peers'];
  const parts = PARTS.filter((part) => !without.includes(part));
  const told = await bench({ effort: TINY, parts, command: 'test', tell: (line) => t.diagnostic(line) });
  // As it is read from its file.
  const result = JSON.parse(JSON.stringify(told)) as BenchResult;
  assert.deepEqual(result.leftOut, []);
  assert.equal(result.recount?.missing, 0);
  assert.equal(result.cold?.activations, TINY.coldCarts);
  for (const crowd of result.crowds)
    assert.deepEqual(
      [crowd.confirmed, crowd.oversold, crowd.refused, crowd.allocated, crowd.others],
      [crowd.units, 0, crowd.buyers - crowd.units, crowd.units, {}],
    );
  for (const row of result.feed) assert.equal(row.missing + row.broken, 0);
  for (const row of result.rows) assert.deepEqual(row.failures, {}, row.name);
  for (const what of ['carts', 'skus', 'lines of the cart', 'events in the journal', 'readers of the feed'])
    assert.ok(
      result.growth.some((curve) => curve.what === what),
      what,
    );
  for (const { title, points, memory } of result.growth) {
    assert.ok(points.length > 1, title);
    // The clock of processor time has too few ticks in so short a run for the others.
    assert.equal(typeof memory?.exponent, 'number', title);
  }
  for (const curve of result.growth)
    for (const point of curve.points) assert.deepEqual(point.failures, {}, curve.title);

  const page = reportPage(result);
  for (const row of result.rows) assert.ok(page.includes(row.name), row.name);
  for (const id of ['standing', 'throughput', 'latency', 'selling', 'feed', 'recovery', 'growth', 'machine'])
    assert.ok(page.includes(`<section id="${id}">`), id);
  assert.ok(page.includes('measured earlier elsewhere, not in this run'));
  assert.doesNotMatch(page, /<script|(src|href)="(?!#)/, 'it needs nothing from outside');
  assert.doesNotMatch(page, /NaN|undefined|Infinity/);
  assert.deepEqual(compare(result, result).changes, []);
});
