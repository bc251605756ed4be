/**
 * The long form of `stampede.cluster.test.ts`: each fault on a cluster of its own, many times over, under a load of adds, holds, cancels and
 * checkouts with every sandbox token. After each, what shoppers were told is compared with the shop, the provider's books and the journal.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  atRandom,
  everyShardServes,
  goesOn,
  incarnationOf,
  killRounds,
  NOT_TAKEN,
  pauseRounds,
  redisRounds,
  rollingRestart,
  type Scene,
  servesEverywhere,
  underLoad,
} from './bench/cluster-scene.ts';
import { faketimeMissing, SteppedClock } from './bench/faketime.ts';
import { type NextRelease, nextRelease } from './bench/next-release.ts';
import { redisMissing } from './bench/redis-process.ts';
import { entryPoint, pause, until } from './bench/shop-process.ts';

const skip = redisMissing() ?? false;
const server = process.env.TEST_DATABASE_URL;

test('30 random kill -9 under load', { skip }, async (t) => {
  const result = await underLoad({ server }, async (scene) => {
    await killRounds(scene, 30);
    await everyShardServes(scene.cluster);
  });
  t.diagnostic(JSON.stringify(result));
});

test('10 pauses past the lease', { skip }, async (t) => {
  const result = await underLoad({ server }, async (scene) => {
    await pauseRounds(scene, 10);
    await everyShardServes(scene.cluster);
  });
  t.diagnostic(JSON.stringify(result));
});

test('Redis killed and restarted 5 times', { skip }, async (t) => {
  const result = await underLoad({ server }, (scene) => redisRounds(scene, 5));
  t.diagnostic(JSON.stringify(result));
  assert.equal(result.failures['timed out'], undefined, 'no request hung');
});

test('PostgreSQL restarted with -m immediate 5 times: nobody is taken over because of it', { skip }, async (t) => {
  const result = await underLoad({ server }, async (scene) => {
    const { cluster, load } = scene;
    const incarnations = () => Promise.all(cluster.nodes.map((node) => incarnationOf(cluster, node)));
    const before = await incarnations();
    for (let round = 0; round < 5; round++) {
      await pause(500 + Math.random() * 1_500);
      cluster.crashPostgres();
      await goesOn(load);
      await cluster.settled();
    }
    assert.deepEqual(await incarnations(), before);
  });
  t.diagnostic(JSON.stringify(result));
  assert.equal(result.failures['timed out'], undefined, 'no request hung');
});

test('a one-way partition between a node and Redis, each way, with loss and with delay', { skip }, async (t) => {
  const result = await underLoad({ server, proxies: ['redis'] }, async (scene) => {
    for (const kind of ['lose', 'stall'] as const)
      for (const way of ['up', 'down', 'both'] as const) {
        const { redis, name } = atRandom(scene.cluster);
        redis?.behave({ kind, way });
        t.diagnostic(`${name}: ${kind} ${way}`);
        await goesOn(scene.load);
        await pause(4_000);
        redis?.behave({ kind: 'pass' });
        await servesEverywhere(scene.cluster);
      }
  });
  t.diagnostic(JSON.stringify(result));
  assert.equal(result.failures['timed out'], undefined, 'no request hung');
});

test('a one-way partition between a node and PostgreSQL past the lease: it answers nothing, and is taken over', {
  skip,
}, async (t) => {
  const result = await underLoad({ server, proxies: ['postgres'] }, async (scene) => {
    for (const way of ['up', 'down', 'both'] as const) {
      const node = atRandom(scene.cluster);
      const before = await incarnationOf(scene.cluster, node);
      node.postgres?.behave({ kind: 'stall', way });
      await until(
        'it is taken over',
        async () => (await scene.cluster.ownership()).counts.get(node.name) === undefined,
      );
      node.postgres?.behave({ kind: 'pass' });
      await until(
        'it joins anew',
        async () => (await incarnationOf(scene.cluster, node).catch(() => before)) !== before,
      );
      await scene.cluster.settled();
      await goesOn(scene.load);
    }
  });
  t.diagnostic(JSON.stringify(result));
});

test("a node's clock an hour ahead and an hour behind, from its start and stepped while it runs", {
  skip: skip || (faketimeMissing() ?? false),
}, async (t) => {
  const clock = new SteppedClock();
  clock.step(3_600);
  try {
    const startOf = (index: number) => (index === 1 ? { env: clock.env } : {});
    const result = await underLoad({ server, startOf }, (scene) => stepped(scene, clock));
    t.diagnostic(JSON.stringify(result));
    assert.deepEqual(result.failures, {}, 'nobody noticed');
  } finally {
    clock.close();
  }
});

async function stepped({ cluster, load }: Scene, clock: SteppedClock): Promise<void> {
  const before = await incarnationOf(cluster, cluster.node(1));
  for (const offset of [3_600, -3_600, 0, 3_600]) {
    clock.step(offset);
    // The library looks at its file once a second.
    await pause(1_500);
    await goesOn(load, 300);
  }
  assert.equal(await incarnationOf(cluster, cluster.node(1)), before, 'it kept its membership');
}

test('three rolling restarts under load fail no request', { skip }, async (t) => {
  const result = await underLoad({ server }, async (scene) => {
    for (let round = 0; round < 3; round++) await rollingRestart(scene);
  });
  t.diagnostic(JSON.stringify(result));
});

test('a rolling upgrade, back and forth: events are written in the version that all read, and no actor is quarantined', {
  skip,
}, async (t) => {
  const next = nextRelease();
  try {
    const result = await underLoad({ server }, (scene) => upgrade(scene, next));
    t.diagnostic(JSON.stringify(result));
    const noticed = Object.keys(result.failures).filter((end) => !/^503/.test(end) && !NOT_TAKEN.includes(end));
    assert.deepEqual(noticed, [], 'no actor is quarantined, no request is cut off');
  } finally {
    next.remove();
  }
});

async function upgrade({ cluster, load }: Scene, next: NextRelease): Promise<void> {
  const written = async () => {
    const [row] = await cluster.query<{ version: number }>(
      `SELECT max(version) AS version FROM stampede.journal WHERE type = 'cart'`,
    );
    return row?.version;
  };
  const release = async (index: number, entry: string) => {
    const node = cluster.node(index);
    assert.equal(await node.terminate(), 0, node.logTail());
    await node.start({ entry });
    await cluster.settled();
    await goesOn(load);
  };
  for (const index of [0, 1]) await release(index, next.entry);
  assert.equal(await written(), next.cartVersion - 1, 'while the old release lives its version is written');
  for (const index of [1, 0]) await release(index, entryPoint());
  for (const index of [0, 1, 2]) await release(index, next.entry);
  await until(
    'the next version is written once nobody needs the old',
    async () => (await written()) === next.cartVersion,
  );
  await goesOn(load);
  // What is written now the old release cannot read: it must not come back.
  const node = cluster.node(0);
  assert.equal(await node.terminate(), 0, node.logTail());
  await assert.rejects(node.start({ entry: entryPoint() }), /cart/);
  await node.start({ entry: next.entry });
}
