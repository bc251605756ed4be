/**
 * Subscribers that stop reading at a real shop process: what they cost, what the others notice, and what becomes of them. As a program of its
 * own it is run where sockets' buffers are small (`small-buffers.ts`): else the kernel takes megabytes for each before the shop notices anything.
 *
 *   node dist/bench/stalled-readers.js <how many>
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Figures } from './fault-figures.ts';
import { FeedReader } from './feed-readers.ts';
import { residentBytes } from './machine.ts';
import { type Answer, freePort, noAnswerOf, type RequestOptions, ShopProcess, until } from './shop-process.ts';
import { inParallel } from './shopper.ts';

const SKUS = 400;
const LIVE = 20;
const MIB = 2 ** 20;
/** Changes of every sku after all are stalled. */
const ROUNDS = 30;
/** What a process takes that becomes busy. If what is not read were kept, it would be 200 MiB more for each hundred that never read on. */
const GROWTH_MAX_MIB = 200;

export async function stalledReaders(times: number): Promise<Figures> {
  const shop = await ShopProcess.start({ opsPort: await freePort(), env: { RATE_LIMITS: 'off' } });
  const readers: FeedReader[] = [];
  try {
    const skus = Array.from(
      { length: SKUS },
      (_, index) => `FOLLOWED-${String(index).padStart(5, '0')}-${'LONG-NAME-'.repeat(4)}X`,
    );
    const product = { category: 'Feed', prices: { USD: 100 } };
    const imported = await shop.admin('POST', '/v1/admin/products/import', {
      headers: { 'content-type': 'application/x-ndjson' },
      body: skus.map((sku) => JSON.stringify({ sku, name: sku, ...product })).join('\n'),
    });
    assert.equal(imported.status, 200, imported.text);
    await change(shop, skus);
    readers.push(...(await inParallel(LIVE + times, 20, () => FeedReader.open(shop.port, skus))));
    await until('everybody has every snapshot', () => readers.every(({ versions }) => versions.size === SKUS));
    const [live, stalled] = [readers.slice(0, LIVE), readers.slice(LIVE)];
    const feed = async (name: string) => {
      const { text } = await asked(shop, 'GET', '/metrics');
      return Number(new RegExp(`^stampede_feed_${name} (\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
    };
    const resident = () => residentBytes(shop.child.pid ?? 0) / MIB;

    for (const reader of stalled) reader.stall();
    const before = resident();
    let changes = 0;
    let most = before;
    await until(
      'all of them are stalled',
      async () => {
        changes += await change(shop, skus);
        most = Math.max(most, resident());
        return (await feed('stalled')) === times;
      },
      60_000,
    );
    // Half of them read on before they are given up; the others once they are, which is when they hear of it.
    const returning = stalled.slice(0, times / 2);
    const lost = stalled.slice(times / 2);
    for (const reader of returning) reader.readOn();
    const givenUp = until(
      'who does not read on is given up',
      async () => (await feed('closed_slow')) === lost.length,
      90_000,
    ).then(() => {
      for (const reader of lost) reader.readOn();
    });
    for (let round = 0; round < ROUNDS; round++) {
      changes += await change(shop, skus);
      most = Math.max(most, resident());
    }
    const newest = await newestOf(shop, skus);
    const started = performance.now();
    await until('the others know the newest of each', () => live.every((reader) => reader.knows(newest)), 5_000);
    const lagMs = performance.now() - started;
    await until('who reads on is brought up to date', () => returning.every((reader) => reader.knows(newest)));
    await givenUp;
    await until('they hear of it', () => lost.every(({ closeCode }) => closeCode !== null), 60_000);
    // A connection that goes before the close frame is read says 1006.
    const codes = new Set(lost.map(({ closeCode }) => closeCode));
    assert.ok(codes.has(4008) && [...codes].every((code) => code === 4008 || code === 1006), `${[...codes]}`);
    const told = lost.filter(({ closeCode }) => closeCode === 4008).length;
    assert.ok(
      returning.every(({ closeCode }) => closeCode === null),
      'nobody else was',
    );
    assert.ok(
      readers.every(({ repeated }) => repeated === 0),
      'no version was told twice',
    );
    assert.ok(most - before < GROWTH_MAX_MIB, `memory grew by ${most - before} MiB`);
    assert.equal((await shop.request('GET', '/healthz')).status, 200);
    return {
      'stock changes': changes,
      'messages to the others': live.reduce((sum, { messages }) => sum + messages, 0),
      'the others up to date after ms': Math.round(lagMs),
      'memory before MiB': Math.round(before),
      'at most MiB': Math.round(most),
      'brought up to date': returning.length,
      'given up': lost.length,
      'who read 4008': told,
    };
  } finally {
    for (const reader of readers) reader.close();
    await shop.stop();
    await shop.cleanUp();
  }
}

/** Again where the connection had stood idle for so long that the shop was just closing it. */
async function asked(shop: ShopProcess, method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
  for (;;) {
    try {
      return await shop.admin(method, path, options);
    } catch (error) {
      if (noAnswerOf(error) !== 'broken off') throw error;
    }
  }
}

/** One unit more of each. */
async function change(shop: ShopProcess, skus: readonly string[]): Promise<number> {
  await inParallel(skus.length, 32, async (index) => {
    const path = `/v1/admin/stock/${skus[index]}/adjustments`;
    const answer = await asked(shop, 'POST', path, { key: randomUUID(), body: { delta: 1, reason: 'news' } });
    assert.equal(answer.status, 200, answer.text);
  });
  return skus.length;
}

async function newestOf(shop: ShopProcess, skus: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const versions = await inParallel(skus.length, 16, async (index) => {
    const { body } = await asked(shop, 'GET', `/v1/admin/stock/${skus[index]}`);
    return [skus[index] ?? '', body.version] as const;
  });
  return new Map(versions);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const figures = await stalledReaders(Number(process.argv[2]));
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
