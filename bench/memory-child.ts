/**
 * The processes that the memory bench measures, each with one task and told of by messages to its parent:
 *   idle <way> <carts>              bytes of heap for each idle cart of three lines (needs --expose-gc)
 *   bounded <url> <carts> <bound>   memory while carts are touched under a bound, on a real PostgreSQL (--expose-gc)
 *   fill <data dir> <carts>         puts carts into an embedded shop that is not running, then waits to be killed
 */
import { fileURLToPath } from 'node:url';
import { uuidv7 } from 'uuidv7';
import type { ProductTerms } from '../actors/cart-protocol.ts';
import { actorTypes } from '../actors/registry.ts';
import { boundHeapGrowth } from '../http/heap.ts';
import type { ActorRef } from '../runtime/actor.ts';
import { encodeEvent } from '../runtime/codec.ts';
import type { EventRow, Journal } from '../runtime/journal.ts';
import type { Limits } from '../runtime/limits.ts';
import { type Membership, soleMember } from '../runtime/members.ts';
import { shardOf } from '../runtime/shard.ts';
import { type ActorSystem, createActorSystem } from '../runtime/system.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { openDatabase } from '../schema/database.ts';
import { demoData } from '../schema/demo.ts';
import { startEmbedded } from '../schema/embedded.ts';
import { PgJournal } from '../schema/journal.ts';
import { joinAlone } from '../schema/members.ts';
import { migrate } from '../schema/migrate.ts';
import { NullJournal } from './null-journal.ts';

/**
 * How the carts came into memory: by commands; by commands that each had an idempotency key; or read back from the journal, where
 * each cart has strings of its own.
 */
export type IdleWay = 'made' | 'keyed' | 'loaded';

export interface IdleResult {
  readonly bytesPerCart: number;
  readonly actors: number;
}

export interface Sample {
  /** Taken at the end, after a full collection: what is left is alive. */
  readonly collected: boolean;
  readonly carts: number;
  readonly actors: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
}

const WIDTH = 512;
const LINES = 3;
const TEXAS = { country: 'US', region: 'TX', postalCode: '73301' };

function terms(): ProductTerms[] {
  return demoData()
    .products.filter((product) => product.holdAt === 'checkout')
    .map(({ sku, prices }) => ({
      sku,
      maxPerOrder: null,
      holdAt: 'checkout',
      holdTtlMs: 600_000,
      currencies: Object.keys(prices),
    }));
}

function systemOn(journal: Journal, membership: Membership, clock: SystemClock, limits: Partial<Limits>): ActorSystem {
  return createActorSystem({ types: actorTypes(), journal, clock, membership, limits });
}

async function makeCart(
  system: ActorSystem,
  id: string,
  products: readonly ProductTerms[],
  lines: number,
  keyed: boolean,
): Promise<void> {
  const ref = { type: 'cart', id };
  const key = () => (keyed ? { hash: uuidv7().slice(0, 22), fingerprint: 'bench' } : undefined);
  await system.ask(ref, { kind: 'create', currency: 'USD', destination: TEXAS }, { fresh: true, key: key() });
  for (let i = 0; i < lines; i++) {
    const product = products[(id.charCodeAt(id.length - 1) + i * 7) % products.length];
    const reply = await system.ask(ref, { kind: 'add_line', product, quantity: 1 + i }, { key: key() });
    if ((reply as { ok: boolean }).ok !== true) throw new Error(JSON.stringify(reply));
  }
}

async function inParallel(count: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async () => {
    for (let index = next++; index < count; index = next++) await task(index);
  };
  await Promise.all(Array.from({ length: WIDTH }, work));
}

export async function idle(way: IdleWay, carts: number): Promise<IdleResult> {
  const products = terms();
  const limits = { actorsLimit: 2 * carts + 1000, actorsHardLimit: 2 * carts + 1000, answerCacheBytes: 1 };
  const journal = new NullJournal(1, (ref) => (way === 'loaded' ? historyOf(ref, products) : []));
  const system = systemOn(journal, soleMember(), new SystemClock(), limits);
  const make = (id: string) =>
    way === 'loaded'
      ? system.ask({ type: 'cart', id }, { kind: 'get' }).then(() => undefined)
      : makeCart(system, id, products, LINES, way === 'keyed');
  // Compiled code, pools and tables of a first thousand carts are no part of the next one's cost.
  await inParallel(Math.min(1000, carts), () => make(`cart_${uuidv7()}`));
  const before = await liveBytes();
  const actorsBefore = system.stats.actorsInMemory ?? 0;
  await inParallel(carts, () => make(`cart_${uuidv7()}`));
  const after = await liveBytes();
  const actors = (system.stats.actorsInMemory ?? 0) - actorsBefore;
  system.stop();
  return { bytesPerCart: (after - before) / actors, actors };
}

/** What a cart of three lines left in the journal. */
function historyOf(ref: ActorRef, products: readonly ProductTerms[]): EventRow[] {
  const at = Date.now();
  const events: unknown[] = [{ kind: 'created', at, currency: 'USD', destination: TEXAS }];
  for (let i = 0; i < LINES; i++) {
    const sku = products[(ref.id.charCodeAt(ref.id.length - 1) + i * 7) % products.length]?.sku;
    events.push({ kind: 'line_set', at, lineId: `lin_${uuidv7()}`, sku, quantity: 1 + i, maxPerOrder: null });
  }
  const shard = shardOf(ref.type, ref.id);
  return events.map((event, i) => ({
    ...ref,
    shard,
    seq: i + 1,
    epoch: 1,
    version: 1,
    payload: encodeEvent(event),
    at,
  }));
}

async function liveBytes(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error('the heap is measured under --expose-gc');
  for (let i = 0; i < 4; i++) {
    await new Promise<void>((resolve) => setTimeout(resolve, 50));
    gc();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

export async function bounded(
  url: string,
  carts: number,
  bound: number,
  tell: (sample: Sample) => void,
): Promise<void> {
  boundHeapGrowth();
  const database = openDatabase({ url });
  await migrate(database);
  const clock = new SystemClock();
  const membership = await joinAlone({ database, nodeId: 'bench', lanes: 1, clock });
  const journal = new PgJournal({ database, incarnation: membership.incarnation, lanes: 1 });
  const system = systemOn(journal, membership, clock, { actorsLimit: bound });
  await system.start();
  const products = terms();
  const every = Math.max(1, Math.floor(carts / 40));
  let done = 0;
  const sample = (collected = false) => {
    const { rss, heapUsed } = process.memoryUsage();
    const actors = system.stats.actorsInMemory ?? 0;
    tell({ collected, carts: done, actors, residentBytes: rss, heapBytes: heapUsed });
  };
  await inParallel(carts, async () => {
    await makeCart(system, `cart_${uuidv7()}`, products, 1, false);
    if (++done % every === 0) sample();
  });
  await liveBytes();
  sample(true);
  await system.drain(10_000);
  await journal.close();
  await membership.leave();
  await database.close();
}

/** @param tell with one of the carts, when all are durable */
async function fill(dataDir: string, carts: number, tell: (cartId: string) => void): Promise<void> {
  const embedded = await startEmbedded({ dataDir, log: { info() {}, warn() {}, error() {} } });
  const database = openDatabase({ url: embedded.url });
  const clock = new SystemClock();
  const membership = await joinAlone({ database, nodeId: 'bench', lanes: 1, clock, takeAtOnce: true });
  const journal = new PgJournal({ database, incarnation: membership.incarnation, lanes: 1 });
  const system = systemOn(journal, membership, clock, {});
  await system.start();
  const products = terms();
  let last = '';
  await inParallel(carts, async () => {
    const id = `cart_${uuidv7()}`;
    await makeCart(system, id, products, LINES, false);
    last = id;
  });
  tell(last);
  setInterval(() => {}, 60_000);
}

if (process.send && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [task, first = '', second = '', third = ''] = process.argv.slice(2);
  const tell = (message: unknown) => void process.send?.(message);
  if (task === 'idle') tell(await idle(first as IdleWay, Number(second)));
  else if (task === 'bounded') await bounded(first, Number(second), Number(third), tell);
  else if (task === 'fill') await fill(first, Number(second), tell);
  if (task !== 'fill') process.disconnect();
}
