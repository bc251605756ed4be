import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchCluster, PARTS } from './cluster.ts';
import { redisMissing } from './redis-process.ts';

test('the cluster bench measures every part without a failure', { skip: redisMissing() ?? false }, async (t) => {
  const report = await benchCluster({
    parts: PARTS,
    kills: 1,
    drains: 1,
    rounds: 1,
    secondsEach: 0.3,
    connections: [2],
    carts: 500,
    server: process.env.TEST_DATABASE_URL,
    tell: (line) => t.diagnostic(line),
  });
  assert.ok((report.failover?.shards ?? 0) > 0);
  assert.ok((report.drain?.requests ?? 0) > 0);
  assert.deepEqual(report.drain?.failures, {});
  const rows = [...(report.remote?.rows ?? []), ...(report.scale?.rows ?? [])];
  assert.equal(rows.length, 5);
  for (const row of rows) {
    assert.ok(row.perSecond > 0, row.target);
    assert.deepEqual(row.failures, {}, row.target);
  }
  assert.equal(report.model?.batched.at(-1)?.nodes, 64);
});
