/**
 * `npm run bench:memory`: what an idle cart costs in memory; whether memory stays flat while many more carts are touched than the bound
 * lets stay; how soon a shop is ready on an empty directory, and after `kill -9` of everything with many carts in its journal.
 *
 *   npm run bench:memory [-- --quick] [-- --only idle|bounded|start]
 *
 * Needs a PostgreSQL server (`TEST_DATABASE_URL`) for the bound; the starts use the embedded one.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CartTokens } from '../http/tokens.ts';
import { machine } from './machine.ts';
import type { IdleResult, IdleWay, Sample } from './memory-child.ts';
import { DEFAULT_SERVER, scratchDatabase } from './scratch-database.ts';
import { ShopProcess, TEST_SECRETS } from './shop-process.ts';

export interface MemoryOptions {
  readonly idleCarts: number;
  readonly touchedCarts: number;
  readonly bound: number;
  readonly journalCarts: number;
  readonly server: string;
  readonly only?: string;
  readonly tell: (line: string) => void;
}

export const TARGETS = {
  bytesPerCart: { made: 1024, keyed: 2048, loaded: 1024 },
  slopeBytesPerCart: 200,
  firstStartMs: 15_000,
  restartMs: 2_000,
} as const;

export interface MemoryReport {
  bytesPerCart?: Readonly<Record<IdleWay, number>>;
  bounded?: { readonly samples: readonly Sample[]; readonly slopeBytesPerCart: number };
  start?: { readonly firstStartMs: number; readonly restartMs: number; readonly replays: number };
}

export async function benchMemory(options: MemoryOptions): Promise<MemoryReport> {
  const { tell, only } = options;
  tell(`machine: ${machine()}`);
  const report: MemoryReport = {};
  const wants = (part: string) => only === undefined || only === part;
  if (wants('idle')) report.bytesPerCart = await idleCarts(options);
  if (wants('bounded')) report.bounded = await boundedCarts(options);
  if (wants('start')) report.start = await starts(options);
  return report;
}

const verdict = (value: number, target: number) => (value <= target ? 'held' : 'MISSED');

async function idleCarts({ idleCarts: carts, tell }: MemoryOptions): Promise<Record<IdleWay, number>> {
  const found = { made: 0, keyed: 0, loaded: 0 };
  for (const way of ['made', 'keyed', 'loaded'] as const) {
    const { bytesPerCart, actors } = await resultOf<IdleResult>(child(['idle', way, String(carts)], ['--expose-gc']));
    found[way] = bytesPerCart;
    tell(
      `idle cart with three lines, ${way.padEnd(6)}: ${Math.round(bytesPerCart)} bytes (${actors} carts; at most ${TARGETS.bytesPerCart[way]}: ${verdict(bytesPerCart, TARGETS.bytesPerCart[way])})`,
    );
  }
  return found;
}

async function boundedCarts({ touchedCarts, bound, server, tell }: MemoryOptions) {
  const database = await scratchDatabase(server, 'stampede_memory');
  const samples: Sample[] = [];
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0).padStart(5);
  try {
    const process = child(['bounded', database.url, String(touchedCarts), String(bound)], ['--expose-gc']);
    process.on('message', (message) => {
      const sample = message as Sample;
      samples.push(sample);
      tell(
        `${String(sample.carts).padStart(8)} carts touched, ${String(sample.actors).padStart(6)} in memory: RSS ${mib(sample.residentBytes)} MiB, heap ${mib(sample.heapBytes)} MiB${sample.collected ? ' after a full collection' : ''}`,
      );
    });
    await endOf(process);
  } finally {
    await database.drop();
  }
  // Before its first full collection the heap grows to about twice what lives in it: a bound's worth of carts more.
  const slopeBytesPerCart = slope(samples.filter((sample) => !sample.collected && sample.carts >= 2 * bound));
  tell(
    `RSS over carts touched past the bound of ${bound}: ${slopeBytesPerCart.toFixed(1)} bytes a cart (at most ${TARGETS.slopeBytesPerCart}: ${verdict(slopeBytesPerCart, TARGETS.slopeBytesPerCart)})`,
  );
  return { samples, slopeBytesPerCart };
}

/** Least squares: bytes of resident memory for each cart more. */
export function slope(samples: readonly Sample[]): number {
  const mean = (pick: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + pick(sample), 0) / samples.length;
  const x = mean((sample) => sample.carts);
  const y = mean((sample) => sample.residentBytes);
  let above = 0;
  let below = 0;
  for (const sample of samples) {
    above += (sample.carts - x) * (sample.residentBytes - y);
    below += (sample.carts - x) ** 2;
  }
  return above / below;
}

async function starts({ journalCarts, tell }: MemoryOptions) {
  let shop = await ShopProcess.start();
  const firstStartMs = shop.readyMs;
  tell(
    `first start on an empty directory: ${Math.round(firstStartMs)} ms (at most ${TARGETS.firstStartMs}: ${verdict(firstStartMs, TARGETS.firstStartMs)})`,
  );
  try {
    shop.killAll();
    const started = performance.now();
    const filler = child(['fill', shop.dataDir, String(journalCarts)]);
    const cartId = await resultOf<string>(filler);
    tell(`${journalCarts} carts of three lines made in ${Math.round(performance.now() - started)} ms; kill -9`);
    filler.kill('SIGKILL');
    shop.killAll();
    shop = await ShopProcess.start({ dataDir: shop.dataDir, port: shop.port });
    const restartMs = shop.readyMs;
    const metrics = (await shop.request('GET', '/metrics')).text;
    const replays = Number(/^stampede_actors_replays (\d+)/m.exec(metrics)?.[1]);
    const cart = await shop.request('GET', `/v1/carts/${cartId}`, {
      token: new CartTokens([TEST_SECRETS.TOKEN_SECRET]).issue(cartId),
    });
    if (cart.body.lines?.length !== 3) throw new Error(`a cart is not there: ${cart.status} ${cart.text}`);
    tell(
      `ready after kill -9 with ${journalCarts} carts in the journal: ${Math.round(restartMs)} ms, ${replays} events replayed (at most ${TARGETS.restartMs}: ${verdict(restartMs, TARGETS.restartMs)})`,
    );
    return { firstStartMs, restartMs, replays };
  } finally {
    await shop.cleanUp();
  }
}

function child(args: readonly string[], execArgv: readonly string[] = []): ChildProcess {
  return fork(fileURLToPath(new URL('./memory-child.js', import.meta.url)), args, { execArgv: [...execArgv] });
}

/** The first message of a child. */
function resultOf<T>(process: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    process.once('message', (message) => resolve(message as T));
    process.once('exit', (code) => reject(new Error(`a measured process ended with ${code}`)));
  });
}

function endOf(process: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    process.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`a measured process ended with ${code}`)),
    );
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, only: { type: 'string' }, server: { type: 'string' } },
  });
  const quick = values.quick === true;
  await benchMemory({
    idleCarts: quick ? 5_000 : 50_000,
    touchedCarts: quick ? 20_000 : 200_000,
    bound: quick ? 5_000 : 50_000,
    journalCarts: quick ? 5_000 : 100_000,
    server: values.server ?? process.env.TEST_DATABASE_URL ?? DEFAULT_SERVER,
    ...(values.only === undefined ? {} : { only: values.only }),
    tell: (line) => void process.stdout.write(`${line}\n`),
  });
}
