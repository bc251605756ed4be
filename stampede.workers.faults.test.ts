/** Worker threads that end under load: those that price, and those that renew the lease. */
import assert from 'node:assert/strict';
import { BigCarts, putBigCartGoods } from './bench/big-carts.ts';
import { atRandom, goesOn, incarnationOf, underLoad } from './bench/cluster-scene.ts';
import { figuresOf } from './bench/fault-figures.ts';
import { testRow } from './bench/fault-test.ts';
import { PROBE } from './bench/node-probe.ts';
import { kill } from './bench/outside.ts';
import { redisMissing } from './bench/redis-process.ts';
import { pause, until } from './bench/shop-process.ts';

testRow('worker-thread', { skip: redisMissing() ?? false }, async (times) => {
  let ended: readonly string[] = [];
  let big = { priced: 0, refused: 0 };
  const result = await underLoad(
    {
      server: process.env.TEST_DATABASE_URL,
      nodes: 2,
      env: PROBE,
      load: { shoppers: 4 },
    },
    async ({ cluster, load }) => {
      const buyers = new BigCarts(cluster, await putBigCartGoods(cluster.nodes)).start(6);
      await until('the carts are big', () => buyers.isFull, 120_000);
      const incarnations = () => Promise.all(cluster.nodes.map((node) => incarnationOf(cluster, node)));
      const before = await incarnations();
      for (let round = 0; round < times; round++) {
        await pause(100 + Math.random() * 500);
        kill(atRandom(cluster).pid, 'SIGUSR2');
        const priced = buyers.priced;
        await until('big carts are priced again', () => buyers.priced > priced + 10, 30_000);
        await goesOn(load, 10);
      }
      big = await buyers.stop();
      assert.deepEqual(await incarnations(), before, 'no node lost its membership');
      ended = cluster.nodes.flatMap((node) =>
        [...node.log().matchAll(/ended a thread of (\w+)/g)].map(([, kind]) => kind ?? ''),
      );
    },
  );
  assert.deepEqual(
    Object.keys(result.failures).filter((end) => !end.startsWith('503')),
    [],
  );
  const count = (kind: string) => ended.filter((one) => one === kind).length;
  assert.ok(count('pricing') > 0 && count('lease') > 0, `ended: ${ended}`);
  return {
    'pricing threads ended': count('pricing'),
    'lease threads ended': count('lease'),
    'big carts priced': big.priced,
    'and asked for again': big.refused,
    ...figuresOf(result),
  };
});
