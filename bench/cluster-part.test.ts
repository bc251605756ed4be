import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterPart } from './cluster-part.ts';
import { redisMissing } from './redis-process.ts';
import { DEFAULT_SERVER } from './scratch-database.ts';

test('the suite measures an add on one node and on two, without a failure', {
  skip: redisMissing() ?? false,
}, async (t) => {
  const { failover, nodes } = await clusterPart({
    nodes: [1, 2],
    kills: 0,
    connections: 2,
    msEach: 100,
    server: process.env.TEST_DATABASE_URL ?? DEFAULT_SERVER,
    tell: (line) => t.diagnostic(line),
  });
  assert.equal(failover, null);
  assert.deepEqual(
    nodes.points.map(({ x, failures }) => [x, failures]),
    [
      [1, {}],
      [2, {}],
    ],
  );
  assert.equal(typeof nodes.memory?.exponent, 'number');
});
