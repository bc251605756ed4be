/** A payment provider whose answers are lost, and one that tells everything again and again, in the wrong order. */
import assert from 'node:assert/strict';
import { atRandom, goesOn, underLoad } from './bench/cluster-scene.ts';
import { figuresOf } from './bench/fault-figures.ts';
import { testRow } from './bench/fault-test.ts';
import { NOTICE_SECRET, NoticeStorm } from './bench/notice-storm.ts';
import { redisMissing } from './bench/redis-process.ts';
import { pause, until } from './bench/shop-process.ts';

const skip = redisMissing() ?? false;
const server = process.env.TEST_DATABASE_URL;

testRow('charge-and-drop', { skip }, async (times) => {
  let charged = 0;
  const load = { shoppers: 24 };
  const result = await underLoad({ server, proxies: ['provider'], load }, async ({ cluster, load: shoppers }) => {
    for (let round = 0; round < times; round++) {
      const before = (await cluster.provider.payments()).length;
      cluster.providerProxy?.behave({ kind: 'lose', way: 'down' });
      await until('it has charged', async () => (await cluster.provider.payments()).length > before + 3, 60_000);
      await pause(1_000 + Math.random() * 3_000);
      charged += (await cluster.provider.payments()).length - before;
      cluster.providerProxy?.behave({ kind: 'pass' });
      await goesOn(shoppers, 100);
    }
  });
  return { 'charges whose answers were lost': charged, ...figuresOf(result) };
});

testRow('duplicate-notices', { skip }, async (copies) => {
  const storm = new NoticeStorm(copies);
  const env = { PAYMENT_WEBHOOK_SECRET: NOTICE_SECRET };
  const result = await underLoad({ server, env, noticesTo: 'the first node' }, async ({ cluster, load }) => {
    const ended = storm.run(cluster, () => atRandom(cluster).port);
    try {
      await until('it has met many orders', () => storm.sent > 2_000 && load.count('201') > 400, 240_000);
    } finally {
      storm.stop();
      await ended;
    }
  });
  assert.ok(storm.sent > 100, `${storm.sent} notices`);
  const { taken, refused } = storm;
  assert.ok(refused < storm.sent / 20, `${refused} of ${storm.sent} were not taken`);
  return {
    'further notices': storm.sent,
    'of these taken': taken,
    'payments told of': storm.payments,
    ...figuresOf(result),
  };
});
