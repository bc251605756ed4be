/**
 * Ten times as many whole checkouts as the shop can do, in an open loop: those that it takes on still come to their end, and when the crowd
 * has gone it is what it was. The peak is measured first, in the same run, by the same crowd in a closed loop.
 */
import assert from 'node:assert/strict';
import pg from 'pg';
import { crowd, type OpenLoopResult } from './bench/checkout-crowd.ts';
import { testRow } from './bench/fault-test.ts';
import { goodsFor } from './bench/goods.ts';
import { median } from './bench/machine.ts';
import { SandboxProvider } from './bench/sandbox-provider.ts';
import { scratchDatabase } from './bench/scratch-database.ts';
import { pause, ShopProcess, until } from './bench/shop-process.ts';

const WIDTHS = [16, 32, 64, 128];
const PEAK_SECONDS = 6;
const OVERLOAD_SECONDS = 20;
/** Until the queues are full, and what was there before has ended. */
const SETTLE_SECONDS = 5;
const BACK_WITHIN_SECONDS = 30;

testRow('ten-times', {}, async () => {
  const server = process.env.TEST_DATABASE_URL;
  const database = await scratchDatabase(server, 'stampede_overload');
  const provider = await SandboxProvider.start(server);
  const shop = await ShopProcess.start({ env: { DATABASE_URL: database.url, PAYMENT_SANDBOX_URL: provider.url } });
  try {
    const { plainSkus: skus } = await goodsFor([shop], { plain: 50, held: 0 });
    const run = (perSecond: number | null, width: number, seconds: number) =>
      crowd({ port: shop.port, skus, perSecond, width, durationMs: seconds * 1000 });
    await run(null, 32, 3);
    let peak = 0;
    let best = 0;
    for (const width of WIDTHS) {
      const rate = rateOf(await run(null, width, PEAK_SECONDS), 1);
      if (rate > peak) [peak, best] = [rate, width];
    }
    const [overload, goodput] = await Promise.all([
      run(peak * 10, 4_000, OVERLOAD_SECONDS),
      confirmedPerSecond(database.url, SETTLE_SECONDS, OVERLOAD_SECONDS),
    ]);
    const gone = performance.now();
    let after = 0;
    const backAfterMs = await until(
      'it is back',
      async () => {
        after = rateOf(await run(null, best, 3), 1);
        return after >= 0.8 * peak ? performance.now() - gone : undefined;
      },
      BACK_WITHIN_SECONDS * 1000,
    );
    const charges = await atRest(database.url, provider);
    const figures = {
      'peak per s': Math.round(peak),
      'buyers in the closed loop of the peak': best,
      'offered per s': Math.round(overload.offered / OVERLOAD_SECONDS),
      'goodput per s': Math.round(goodput),
      'goodput / peak': Number((goodput / peak).toFixed(2)),
      'answered 201': overload.ends['201'] ?? 0,
      'answered 202': overload.ends['202 checkout'] ?? 0,
      'refused with 503': Object.entries(overload.ends).reduce(
        (sum, [end, n]) => sum + (end.startsWith('503') ? n : 0),
        0,
      ),
      'median ms of 201': Math.round(overload.medianMs),
      'turned away by the crowd itself': overload.ends['turned away'] ?? 0,
      'CPU of the crowd, of one core': Number((overload.cpuMs / OVERLOAD_SECONDS / 1000).toFixed(2)),
      'back after s': Math.round(backAfterMs / 1000),
      'per s then': Math.round(after),
      'open charges': charges,
    };
    assert.ok(goodput >= 0.8 * peak, JSON.stringify({ ...figures, ends: overload.ends }));
    return figures;
  } finally {
    await shop.stop();
    await shop.cleanUp();
    await provider.close();
    await database.drop();
  }
});

/** Orders that came to be confirmed, whether or not their buyers still waited, in a second of this part of a run that begins now. */
async function confirmedPerSecond(databaseUrl: string, from: number, to: number): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const count = async () => {
    const { rows } = await client.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM stampede.orders WHERE state = 'confirmed'`,
    );
    return { n: rows[0]?.n ?? 0, at: performance.now() };
  };
  try {
    await pause(from * 1000);
    const before = await count();
    await pause((to - from) * 1000);
    const after = await count();
    return ((after.n - before.n) * 1000) / (after.at - before.at);
  } finally {
    await client.end();
  }
}

/** Orders confirmed a second, the median over the seconds from this one on. */
function rateOf({ confirmedBySecond }: OpenLoopResult, from: number): number {
  return median(confirmedBySecond.slice(from));
}

/** Every order is at rest, and every confirmed one has its charge, and no other. Returns how many. */
async function atRest(databaseUrl: string, provider: SandboxProvider): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await until(
      'every order is at rest and the provider agrees',
      async () => {
        const { rows } = await client.query<{ id: string; state: string }>(
          'SELECT key AS id, state FROM stampede.orders',
        );
        if (rows.some(({ state }) => state === 'pending')) return undefined;
        const confirmed = new Set(rows.filter(({ state }) => state === 'confirmed').map(({ id }) => id));
        const payments = await provider.payments();
        const open = payments.filter(({ state }) => state === 'authorized' || state === 'captured');
        const agrees = open.length === confirmed.size && open.every(({ reference }) => confirmed.has(reference));
        return agrees ? open.length : undefined;
      },
      120_000,
    );
  } finally {
    await client.end();
  }
}
