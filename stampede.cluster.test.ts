/**
 * A cluster of three real nodes under load while nodes are killed, paused, restarted, and Redis goes away; then every book is compared.
 * The short form; each fault many times over, and those that take long, are in `stampede.cluster.faults.test.ts`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killRounds, pauseRounds, redisRounds, rollingRestart, underLoad } from './bench/cluster-scene.ts';
import { redisMissing } from './bench/redis-process.ts';

const skip = redisMissing() ?? false;
const server = process.env.TEST_DATABASE_URL;

test('a cluster under load: nodes killed, paused, restarted, and Redis away; then every book agrees', {
  skip,
}, async (t) => {
  const result = await underLoad({ server }, async (scene) => {
    await t.test('a rolling restart of all nodes fails no request', () => rollingRestart(scene));
    await t.test('two nodes die by kill -9', () => killRounds(scene, 2));
    await t.test('a node stands still for longer than its lease, and joins anew', () => pauseRounds(scene, 1));
    await t.test('Redis is killed and comes back', () => redisRounds(scene, 1));
  });
  t.diagnostic(JSON.stringify(result));
  assert.equal(result.failures['timed out'], undefined, 'no request hung');
});
