/**
 * `npm run bench:pricing`: what a price costs. Processor time of one thread for a cart with promotions and US taxes; how it grows with lines
 * and promotions; what the pool spares the calling thread and where that begins to pay; what calls that need no price feel of a pool
 * that is busy all the time.
 *
 *   npm run bench:pricing [-- --ms 300]
 */
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Type from 'typebox';
import { createEdge } from '../http/edge.ts';
import { get, RawClient } from '../http/raw-client.ts';
import { route } from '../http/route.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { PricingPool } from '../workers/pool.ts';
import { BookEncoder } from '../workers/price-book.ts';
import { price } from '../workers/pricing.ts';
import { figureBatch } from '../workers/pricing-worker.ts';
import { joinCarts, writeCart } from '../workers/wire.ts';
import { machine, median } from './machine.ts';
import { type PricingScene, pricingScene } from './pricing-shop.ts';

export interface PricingBenchOptions {
  /** For one figure, milliseconds. */
  readonly ms: number;
  /** True: as little as shows that every part runs. Default false. */
  readonly short?: boolean;
  readonly tell: (line: string) => void;
}

const BATCH = 64;
const ROUNDS = 5;

/** Processor time of this thread alone, in microseconds (Linux: /proc, in nanoseconds). */
function threadMicros(): number {
  const [ns = '0'] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
  return Number(ns) / 1_000;
}

/** Microseconds of this thread for one of `items` that `run` does; the median of some rounds. */
async function costOf(ms: number, items: number, run: () => unknown): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const until = performance.now() + ms / ROUNDS;
    const before = threadMicros();
    let count = 0;
    do {
      await run();
      count++;
    } while (performance.now() < until);
    // The first is for the compiler.
    if (round > 0) rounds.push((threadMicros() - before) / (count * items));
  }
  return median(rounds);
}

/** One for all: a thread knows books by the numbers that their encoder gives. */
const encoder = new BookEncoder();

function workerTask({ book, request }: PricingScene, carts: number) {
  const fields: string[] = [];
  for (let i = 0; i < carts; i++) writeCart(request, fields);
  return { book: encoder.encode(book), carts: joinCarts(fields) };
}

async function oneCart({ ms, tell }: PricingBenchOptions): Promise<void> {
  tell('## One cart, microseconds of processor time');
  const row = async (what: string, lines: number, promotions: number, others = 0) => {
    const scene = pricingScene(lines, promotions, others);
    const task = workerTask(scene, BATCH);
    const worker = await costOf(ms, BATCH, () => figureBatch(task));
    const here = await costOf(ms, 1, () => price(scene.book, scene.request));
    tell(`${what}: ${worker.toFixed(1)} on a pricing thread, ${here.toFixed(1)} on the calling thread`);
  };
  await row('1 line, no promotion, US tax', 1, 0);
  await row('10 lines, 20 live promotions, US tax (aim: under 60)', 10, 20);
  await row('10 lines, 20 live promotions among 2,000 others', 10, 20, 2_000);
}

async function curve({ ms, short, tell }: PricingBenchOptions): Promise<void> {
  tell('## Growth: microseconds on a pricing thread, and per line × promotion that matches it');
  for (const promotions of short === true ? [2] : [20, 50, 100, 200]) {
    const cells: string[] = [];
    for (const lines of short === true ? [2, 4] : [10, 25, 50, 100, 200]) {
      const scene = pricingScene(lines, promotions);
      const task = workerTask(scene, 4);
      const micros = await costOf(ms / 2, 4, () => figureBatch(task));
      cells.push(`${lines} lines ${micros.toFixed(0)} (${(micros / matches(scene)).toFixed(3)})`);
    }
    tell(`${promotions} promotions: ${cells.join(', ')}`);
  }
}

/** Pairs of a line and a promotion that selects it. */
function matches({ book, request }: PricingScene): number {
  let pairs = 0;
  for (const { action } of book.promotions) {
    const items = action.kind === 'buy_get' ? action.get.items : 'items' in action ? action.items : {};
    for (const { sku } of request.lines) {
      const category = book.products.get(sku)?.category ?? '';
      const named = items.skus?.includes(sku) ?? items.categories?.includes(category) ?? true;
      if (named) pairs++;
    }
  }
  return Math.max(1, pairs);
}

async function poolAgainstInline({ ms, short, tell }: PricingBenchOptions): Promise<void> {
  tell(
    `## Pool against the calling thread: microseconds of the calling thread per cart, batches of ${BATCH}; carts per second`,
  );
  const carts: readonly (readonly [lines: number, promotions: number])[] = [
    [1, 0],
    [3, 0],
    [10, 0],
    [10, 5],
    [10, 20],
    [50, 20],
    [200, 50],
  ];
  let breakEven: string | null = null;
  for (const [lines, promotions] of short === true ? carts.slice(0, 1) : carts) {
    const scene = pricingScene(lines, promotions);
    const inline = await costOf(ms, BATCH, () => {
      for (let i = 0; i < BATCH; i++) price(scene.book, scene.request);
    });
    const cells = [`this thread ${inline.toFixed(1)} (${perSecond(inline)}/s)`];
    for (const threads of [1, 2]) {
      const pool = new PricingPool({ threads });
      pool.setBook(scene.book);
      const batch = () => Promise.all(Array.from({ length: BATCH }, () => pool.priceOnThreads(scene.request)));
      const run = async () => void (await Promise.all([batch(), batch()]));
      await run();
      const from = performance.now();
      const counted = pool.stats.carts;
      const mine = await costOf(ms, BATCH * 2, run);
      const rate = ((pool.stats.carts - counted) / (performance.now() - from)) * 1_000;
      cells.push(`${threads} thread${threads === 1 ? '' : 's'} ${mine.toFixed(1)} (${Math.round(rate)}/s)`);
      if (threads === 1 && mine < inline)
        breakEven ??= `${lines} lines × ${promotions} promotions (${inline.toFixed(0)} µs)`;
      await pool.close();
    }
    tell(`${lines} lines, ${promotions} promotions: ${cells.join(', ')}`);
  }
  tell(`the pool costs the calling thread less from ${breakEven ?? 'none of these carts'} on`);
}

function perSecond(micros: number): number {
  return Math.round(1_000_000 / micros);
}

/** Median latency in microseconds, one call after the other on one connection, from a process of its own. */
async function callFor(port: number, ms: number): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ['--client', String(port), '--ms', String(ms)]);
  return new Promise((resolve, reject) => {
    child.once('message', (found) => resolve(found as number));
    child.once('exit', (code) => reject(new Error(`the client ended with ${code}`)));
  });
}

async function client(port: number, ms: number): Promise<void> {
  const connection = await RawClient.connect(port);
  const request = get(PATH);
  const call = async () => {
    connection.write(request);
    await connection.answer();
  };
  const took: number[] = [];
  const until = performance.now() + ms;
  while (performance.now() < until || took.length < 20) {
    const from = performance.now();
    await call();
    took.push((performance.now() - from) * 1_000);
  }
  // The first calls are for the compiler.
  process.send?.(median(took.slice(took.length >> 2)));
  connection.destroy();
}

const PATH = '/ready';
const QUIET = { warn: () => {}, error: () => {} };

/** The edge with one call that needs nothing: what its loop feels is what every call that needs no price feels. */
function readyEdge() {
  const ready = route({
    method: 'GET',
    path: PATH,
    operationId: 'ready',
    summary: 'Says that it is there',
    tag: 'bench',
    access: 'none',
    responses: { 200: { description: 'There.', schema: Type.Object({ ready: Type.Boolean() }) } },
    handle: () => ({ status: 200, body: { ready: true } }),
  });
  return createEdge({ routes: [ready], rateLimits: 'off', log: QUIET, clock: new SystemClock(), exclusive: true });
}

async function busyPool({ ms, short, tell }: PricingBenchOptions): Promise<void> {
  tell('## Median of calls that need no price, microseconds, beside a pool of one thread (A B A B)');
  const scene = pricingScene(50, 20);
  const pool = new PricingPool({ threads: 1 });
  pool.setBook(scene.book);
  const edge = readyEdge();
  const port = await edge.listen('127.0.0.1', 0);
  const idle: number[] = [];
  const busy: number[] = [];
  let load = { on: false, priced: 0 };
  for (let round = 0; round < (short === true ? 1 : 3); round++) {
    idle.push(await callFor(port, ms * 3));
    load = { on: true, priced: 0 };
    const done = keepBusy(pool, scene, load);
    busy.push(await callFor(port, ms * 3));
    load.on = false;
    await done;
  }
  const [a, b] = [median(idle), median(busy)];
  tell(`idle ${a.toFixed(0)}, pool at 100 % ${b.toFixed(0)}: ${(b / a).toFixed(2)} times (aim: below 1.5)`);
  await pool.close();
  edge.close();
}

/** More is always waiting than the thread can do. */
async function keepBusy(
  pool: PricingPool,
  { request }: PricingScene,
  load: { on: boolean; priced: number },
): Promise<void> {
  const one = async () => {
    while (load.on) {
      await pool.priceOnThreads(request);
      load.priced++;
    }
  };
  await Promise.all(Array.from({ length: BATCH }, one));
}

export async function benchPricing(options: PricingBenchOptions): Promise<void> {
  options.tell(machine());
  await oneCart(options);
  await curve(options);
  await poolAgainstInline(options);
  await busyPool(options);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { ms: { type: 'string' }, client: { type: 'string' } } });
  const ms = Number(values.ms ?? 300);
  if (values.client !== undefined) await client(Number(values.client), ms);
  else await benchPricing({ ms, tell: (line) => void process.stdout.write(`${line}\n`) });
}
