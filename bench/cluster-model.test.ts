import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterCurve, erlangC, firstBottleneck, meanTimeUs } from './cluster-model.ts';

const costs = { localUs: 100, remoteUs: 200, postgresUs: 50, redisUs: 10 };
const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-9 * Math.max(1, expected), `${actual} is not ${expected}`);

test('one server half busy doubles the time, and two wait as Erlang said', () => {
  near(meanTimeUs(0.005, 100, 1), 200);
  near(erlangC(1, 2), 1 / 3);
  near(erlangC(0.5, 1), 0.5);
  assert.equal(meanTimeUs(0.01, 100, 1), Number.POSITIVE_INFINITY);
});

test('one node has no remote call, and its own loop is full first', () => {
  const [one] = clusterCurve({ costs, postgresCores: 2, aimed: 0, load: 0.7 }, [1]);
  assert.deepEqual([one?.remoteShare, one?.mostPerSecond, one?.bottleneck], [0, 10_000, 'node']);
});

test('two nodes behind a balancer that knows nothing take 4/3 of one where a remote call costs twice a local one', () => {
  const [two] = clusterCurve({ costs, postgresCores: 2, aimed: 0, load: 0.7 }, [2]);
  near(two?.mostPerSecond ?? 0, (2 * 1e6) / 150);
});

test('nodes add until PostgreSQL is full; then nothing more comes of them', () => {
  const rows = clusterCurve({ costs, postgresCores: 2, aimed: 0.9, load: 0.7 }, [1, 2, 4, 8, 16]);
  assert.deepEqual(
    rows.map((row) => row.bottleneck),
    ['node', 'node', 'node', 'PostgreSQL', 'PostgreSQL'],
  );
  assert.equal(firstBottleneck(rows)?.nodes, 8);
  near(rows.at(-1)?.mostPerSecond ?? 0, 40_000);
});

test('Redis is the bottleneck where PostgreSQL is large enough and nobody aims', () => {
  const rows = clusterCurve({ costs, postgresCores: 64, aimed: 0, load: 0.7 }, [64]);
  assert.equal(rows[0]?.bottleneck, 'Redis');
});
