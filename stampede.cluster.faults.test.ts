/**
 * The long form of `stampede.cluster.test.ts`: each fault on a cluster of its own, many times over, under a load of adds, holds, cancels and
 * checkouts with every sandbox token. After each, what shoppers were told is compared with the shop, the provider's books and the journal.
 */
import assert from 'node:assert/strict';
import {
  atRandom,
  everyShardServes,
  goesOn,
  incarnationOf,
  killRounds,
  NOT_TAKEN,
  noneHung,
  pauseRounds,
  redisRounds,
  rollingRestart,
  type Scene,
  servesEverywhere,
  underLoad,
} from './bench/cluster-scene.ts';
import { faketimeMissing, SteppedClock } from './bench/faketime.ts';
import { figuresOf } from './bench/fault-figures.ts';
import { testRow } from './bench/fault-test.ts';
import { type NextRelease, nextRelease } from './bench/next-release.ts';
import { redisMissing } from './bench/redis-process.ts';
import { entryPoint, pause, until } from './bench/shop-process.ts';

const skip = redisMissing() ?? false;
const server = process.env.TEST_DATABASE_URL;

testRow('kill-node', { skip }, async (times) => {
  const result = await underLoad({ server }, async (scene) => {
    await killRounds(scene, times);
    await everyShardServes(scene.cluster);
  });
  return figuresOf(result);
});

testRow('pause-node', { skip }, async (times) => {
  const result = await underLoad({ server }, async (scene) => {
    await pauseRounds(scene, times);
    await everyShardServes(scene.cluster);
  });
  return figuresOf(result);
});

testRow('redis', { skip }, async (times) => {
  return figuresOf(noneHung(await underLoad({ server }, (scene) => redisRounds(scene, times))));
});

testRow('postgres-immediate', { skip }, async (times) => {
  const result = await underLoad({ server }, async ({ cluster, load }) => {
    const incarnations = () => Promise.all(cluster.nodes.map((node) => incarnationOf(cluster, node)));
    const before = await incarnations();
    for (let round = 0; round < times; round++) {
      await pause(500 + Math.random() * 1_500);
      cluster.crashPostgres();
      await goesOn(load);
      await cluster.settled();
    }
    assert.deepEqual(await incarnations(), before);
  });
  return figuresOf(noneHung(result));
});

testRow('redis-partition', { skip }, async (times, t) => {
  const result = await underLoad({ server, proxies: ['redis'] }, async (scene) => {
    const ways = (['lose', 'stall'] as const).flatMap((kind) =>
      (['up', 'down', 'both'] as const).map((way) => ({ kind, way })),
    );
    assert.equal(ways.length, times);
    for (const behaviour of ways) {
      const { redis, name } = atRandom(scene.cluster);
      redis?.behave(behaviour);
      t.diagnostic(`${name}: ${behaviour.kind} ${behaviour.way}`);
      await goesOn(scene.load);
      await pause(4_000);
      redis?.behave({ kind: 'pass' });
      await servesEverywhere(scene.cluster);
    }
  });
  return figuresOf(noneHung(result));
});

testRow('postgres-partition', { skip }, async (times) => {
  const result = await underLoad({ server, proxies: ['postgres'] }, async ({ cluster, load }) => {
    for (const way of (['up', 'down', 'both'] as const).slice(0, times)) {
      const node = atRandom(cluster);
      const before = await incarnationOf(cluster, node);
      node.postgres?.behave({ kind: 'stall', way });
      await until('it is taken over', async () => (await cluster.ownership()).counts.get(node.name) === undefined);
      node.postgres?.behave({ kind: 'pass' });
      await until('it joins anew', async () => (await incarnationOf(cluster, node).catch(() => before)) !== before);
      await cluster.settled();
      await goesOn(load);
    }
  });
  return figuresOf(result);
});

testRow('clock', { skip: skip || (faketimeMissing() ?? false) }, async (times) => {
  const clock = new SteppedClock();
  clock.step(3_600);
  try {
    const startOf = (index: number) => (index === 1 ? { env: clock.env } : {});
    const result = await underLoad({ server, startOf }, (scene) => stepped(scene, clock, times));
    assert.deepEqual(result.failures, {}, 'nobody noticed');
    return figuresOf(result);
  } finally {
    clock.close();
  }
});

/** The first of the steps is the one that it was started with. */
async function stepped({ cluster, load }: Scene, clock: SteppedClock, times: number): Promise<void> {
  const before = await incarnationOf(cluster, cluster.node(1));
  for (const offset of [3_600, 3_600, -3_600, 0, 3_600].slice(0, times)) {
    clock.step(offset);
    // The library looks at its file once a second.
    await pause(1_500);
    await goesOn(load, 300);
  }
  assert.equal(await incarnationOf(cluster, cluster.node(1)), before, 'it kept its membership');
}

testRow('rolling-restart', { skip }, async (times) => {
  const result = await underLoad({ server }, async (scene) => {
    for (let round = 0; round < times; round++) await rollingRestart(scene);
  });
  return figuresOf(result);
});

testRow('rolling-upgrade', { skip }, async (times) => {
  const next = nextRelease();
  try {
    const result = await underLoad({ server }, (scene) => upgrade(scene, next, times));
    const noticed = Object.keys(result.failures).filter((end) => !/^503/.test(end) && !NOT_TAKEN.includes(end));
    assert.deepEqual(noticed, [], 'no actor is quarantined, no request is cut off');
    return figuresOf(result);
  } finally {
    next.remove();
  }
});

async function upgrade({ cluster, load }: Scene, next: NextRelease, times: number): Promise<void> {
  let replaced = 0;
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
    replaced++;
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
  assert.equal(++replaced, times);
}
