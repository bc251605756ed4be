/**
 * What an operation costs as something grows: carts, skus, lines of a cart, the journal. Each step measures the processor time of node and PostgreSQL for
 * each request, the latency and the memory, while all of what has grown is touched; a curve ends in an exponent. The memory bound is the shop's own
 * (50,000 actors), whatever the number of carts: beyond it, carts leave memory and come back, and the activations are told.
 *
 * Each step is measured twice, with other dice: as it begins after a checkpoint, nothing of it in memory and each page of the database logged whole when
 * it first changes; and as it goes on, once as many carts as the bound allows were asked for. Where only what is touched differs between steps, the
 * smallest step is touched right before and right after, and the curve is fitted over the ratio to it: a machine that others share is twice as fast in
 * one minute as in another.
 */
import { DEFAULT_LIMITS } from '../runtime/limits.ts';
import { generatedProducts } from '../schema/demo.ts';
import type { Arena } from './arena.ts';
import { drive, type Run } from './drive.ts';
import type { GrowthEffort } from './effort.ts';
import { skuOf } from './growth-journeys.ts';
import { request } from './http-request.ts';
import type { Script } from './journeys.ts';
import { median, residentBytes } from './machine.ts';
import { journalLength, lengthenJournal, makeNumberedCarts, numberedCart } from './numbered-carts.ts';
import { rowOf } from './rounds.ts';
import { metric } from './shop-metrics.ts';
import { until } from './shop-process.ts';
import { addLine, inParallel, newCart } from './shopper.ts';
import { type Fit, fitPower } from './statistics.ts';

export interface GrowthPoint {
  readonly x: number;
  readonly perSecond: number;
  /** For each request: in all, of the node, of PostgreSQL. */
  readonly cpuUs: number;
  readonly nodeUs: number;
  readonly postgresUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly residentMiB: number;
  readonly activationsPerSecond: number;
  /** For each request, in all, of what came before: after a checkpoint, with memory that knows other things. */
  readonly firstCpuUs?: number;
  /** For each request, in all, of the smallest step as measured beside this one. */
  readonly besideCpuUs?: number;
  readonly failures: Readonly<Record<string, number>>;
}

export interface GrowthCurve {
  readonly title: string;
  /** What grows. */
  readonly what: string;
  readonly must: 'be flat' | 'be linear at most';
  readonly points: readonly GrowthPoint[];
  /** Exponents of the cost, of what it is at first, of the 99th percentile, of the memory. */
  readonly cost: Fit | null;
  readonly first?: Fit | null;
  readonly p99: Fit | null;
  readonly memory: Fit | null;
  readonly why: string;
}

export interface GrowthOptions {
  readonly arena: Arena;
  readonly effort: GrowthEffort;
  readonly tell: (line: string) => void;
}

/** By then each cart that stays in memory has been asked for, unless the machine is far too slow. */
const WARM_MS = 60_000;
const IMPORT_ROWS = 4_000;
/** A cart of 200 lines takes 200 calls to make. */
const LINES_CARTS = 16;

export async function growth(options: GrowthOptions): Promise<GrowthCurve[]> {
  const { arena, effort } = options;
  // First, while the journal is short: carts lengthen it.
  const curves: GrowthCurve[] = [await journalCurve(options)];
  const carts: Record<'uniform' | 'zipf', GrowthPoint[]> = { uniform: [], zipf: [] };
  let made = 0;
  for (const count of effort.carts) {
    await makeNumberedCarts(arena, made, count);
    made = count;
    for (const access of ['zipf', 'uniform'] as const)
      carts[access].push(
        await point(
          options,
          `${count} carts, ${access}`,
          count,
          { kind: 'numbered-carts', count, sku: arena.sku, access },
          { smallest: Math.min(...effort.carts) },
        ),
      );
  }
  curves.push(
    curve('change of a line, carts by Zipf’s law', 'carts', 'be flat', carts.zipf, WHY.zipf),
    curve('change of a line, each cart alike', 'carts', 'be flat', carts.uniform, WHY.uniform),
  );
  curves.push(await linesCurve(options));
  curves.push(...(await skuCurves(options)));
  return curves;
}

/** Explained where it is worse than flat, or might be. */
const WHY = {
  zipf: 'The popular carts stay in memory, once they were asked for; the further carts of a long tail are loaded, and leave again. Such loads come mostly alone, each with a statement of its own, and take several times what one takes among others.',
  uniform:
    'Up to the bound of 50,000 actors a cart is loaded once. With more carts than that each alike likely, the share 1 − 50,000/n of the changes finds its cart out of memory and pays for loading it, and for the one that has to leave: the cost steps up there and then stays, since a load is one index look-up in a batch with others. At first PostgreSQL logs each page whole that changes after the checkpoint; of a million carts nearly each change meets another page, and goes on to for longer than is measured.',
  journal:
    'An append touches the end of an index that is a level deeper for each factor of some 300; what grows is what PostgreSQL has to keep in its cache.',
  lines:
    'Each answer is the whole cart, priced: it is linear in the lines by the contract. Below some ten lines the fixed cost of a durable request outweighs that.',
  read: 'Of 10,000 skus the answer is kept ready as bytes, and a read is one look-up in a map. With more of them each alike likely, the share 1 − 10,000/n of the reads has to be written anew: the cost steps up there and then stays. A product takes about 1 KB of memory.',
  turns:
    'Each add looks at a copy of the sku’s stock that is at most 2 s old: with more skus than are asked for in 2 s, each add has to read its sku’s stock.',
};

/** @param what what grows; costs, p99 and memory are fitted over it */
export function curve(
  title: string,
  what: string,
  must: GrowthCurve['must'],
  points: readonly GrowthPoint[],
  why: string,
): GrowthCurve {
  const fit = (pick: (point: GrowthPoint) => number) => fitPower(points.map((one) => [one.x, pick(one)] as const));
  return {
    title,
    what,
    must,
    points,
    cost: fit((one) => one.cpuUs / (one.besideCpuUs ?? 1)),
    first: fit((one) => (one.firstCpuUs ?? Number.NaN) / (one.besideCpuUs ?? 1)),
    p99: fit((one) => one.p99Us),
    memory: fit((one) => one.residentMiB),
    why,
  };
}

/** @param smallest of the curve; what grows is touched by a script that counts it */
async function point(
  { arena, effort, tell }: GrowthOptions,
  name: string,
  x: number,
  script: Script,
  { connections = effort.connections, smallest }: { connections?: number; smallest?: number } = {},
): Promise<GrowthPoint> {
  const { shop } = arena;
  const target = (of: Script) => ({
    name,
    doors: [{ port: shop.port, script: of }],
    pids: () => shop.family(),
    groups: { node: () => arena.nodePids(), postgres: () => arena.postgresPids() },
  });
  const driven = async (seed: number, count = x) =>
    await drive(
      target('count' in script && smallest !== undefined ? { ...script, seed, count } : script),
      connections,
      effort.msEach,
    );
  await arena.tidy();
  const first = await driven(1);
  const warm: Run[] = [];
  if (script.kind === 'numbered-carts') {
    const all: Script = { ...script, count: Math.min(script.count, DEFAULT_LIMITS.actorsLimit), access: 'each-once' };
    warm.push(await drive(target(all), connections, WARM_MS, undefined, 0));
  }
  const beside = smallest === undefined ? [] : [await driven(2, smallest)];
  const before = await metric(shop, 'actors_activations');
  const run = await driven(3);
  const activations = (await metric(shop, 'actors_activations')) - before;
  if (smallest !== undefined) beside.push(await driven(4, smallest));
  const besideUs = beside.map((one) => one.serverCpuUsPerRequest);
  const row = rowOf(name, connections, [run]);
  const found: GrowthPoint = {
    x,
    perSecond: run.perSecond,
    cpuUs: run.serverCpuUsPerRequest,
    nodeUs: run.groupCpuUsPerRequest.node ?? Number.NaN,
    postgresUs: run.groupCpuUsPerRequest.postgres ?? Number.NaN,
    p50Us: row.p50Us,
    p99Us: row.p99Us,
    residentMiB: residentBytes(shop.child.pid ?? 0) / 2 ** 20,
    activationsPerSecond: (activations * 1000) / run.wallMs,
    firstCpuUs: first.serverCpuUsPerRequest,
    ...(smallest === undefined ? {} : { besideCpuUs: median(besideUs) }),
    failures: rowOf(name, connections, [first, ...warm, run, ...beside]).failures,
  };
  tell(
    `growth ${name.padEnd(36)} ${Math.round(found.cpuUs)} µs of CPU (node ${Math.round(found.nodeUs)}; at first ${Math.round(first.serverCpuUsPerRequest)}${smallest === undefined ? '' : `; of ${smallest} beside ${besideUs.map(Math.round).join(' and ')}`}), p99 ${Math.round(found.p99Us)} µs, ${Math.round(found.perSecond)}/s, ${Math.round(found.activationsPerSecond)} activations/s, ${Math.round(found.residentMiB)} MiB${Object.keys(found.failures).length > 0 ? ` failures ${JSON.stringify(found.failures)}` : ''}`,
  );
  return found;
}

async function journalCurve(options: GrowthOptions): Promise<GrowthCurve> {
  const { arena, effort } = options;
  const touched = Math.min(...effort.carts);
  await makeNumberedCarts(arena, 0, touched);
  const there = await journalLength(arena);
  const longer = effort.journal.filter((events) => events > there);
  // What is there already cannot be made shorter: the curve begins with it.
  const lengths = longer.length < effort.journal.length ? [there, ...longer] : longer;
  const points: GrowthPoint[] = [];
  let filler = 0;
  for (const events of lengths) {
    const missing = events - (await journalLength(arena));
    if (missing > 0) {
      await lengthenJournal(arena, filler, missing);
      filler += missing + 100;
    }
    points.push(
      await point(options, `${events} events`, events, {
        kind: 'numbered-carts',
        count: touched,
        sku: arena.sku,
        access: 'uniform',
      }),
    );
  }
  return curve('change of a line, the journal grows', 'events in the journal', 'be flat', points, WHY.journal);
}

async function linesCurve(options: GrowthOptions): Promise<GrowthCurve> {
  const { arena, effort } = options;
  const most = Math.max(...effort.lines);
  await importSkus(arena, 0, most);
  const connections = Math.min(effort.connections, LINES_CARTS);
  const carts = await inParallel(connections, 64, () => newCart(arena.shop));
  const points: GrowthPoint[] = [];
  let lines = 0;
  for (const count of effort.lines) {
    await inParallel(carts.length, 64, async (index) => {
      const cart = carts[index];
      for (let line = lines; cart !== undefined && line < count; line++) {
        const answer = await addLine(arena.shop, cart, skuOf(line));
        if (answer.status !== 200) throw new Error(`line ${line}: ${answer.status} ${answer.text}`);
      }
    });
    lines = count;
    const requests = [2, 3, 4, 1].flatMap((quantity) =>
      carts.map(({ id, token }) =>
        request('PATCH', `/v1/carts/${id}/lines/${skuOf(0)}`, `Authorization: Bearer ${token}\r\n`, { quantity }),
      ),
    );
    points.push(await point(options, `${count} lines`, count, { kind: 'requests', requests }, { connections }));
  }
  return curve(
    'change of a line in a cart of so many lines',
    'lines of the cart',
    'be linear at most',
    points,
    WHY.lines,
  );
}

async function skuCurves(options: GrowthOptions): Promise<GrowthCurve[]> {
  const { arena, effort } = options;
  const reads: GrowthPoint[] = [];
  const turns: GrowthPoint[] = [];
  const carts = Array.from({ length: Math.min(...effort.carts) }, (_, place) => numberedCart(place));
  const smallest = Math.min(...effort.skus);
  let there = Math.max(...effort.lines);
  for (const count of effort.skus) {
    if (count > there) await importSkus(arena, there, count);
    there = Math.max(there, count);
    reads.push(await point(options, `read, ${count} skus`, count, { kind: 'sku-reads', count }, { smallest }));
    turns.push(
      await point(options, `add and remove, ${count} skus`, count, { kind: 'sku-turns', count, carts }, { smallest }),
    );
  }
  return [
    curve('product read, each sku alike', 'skus', 'be flat', reads, WHY.read),
    curve('add of any sku, and its removal', 'skus', 'be flat', turns, WHY.turns),
  ];
}

/** Brings the generated products `from` to `to` − 1 into the running shop's catalogue. */
async function importSkus(arena: Arena, from: number, to: number): Promise<void> {
  const products = generatedProducts(to).slice(from);
  for (let start = 0; start < products.length; start += IMPORT_ROWS) {
    const slice = products.slice(start, start + IMPORT_ROWS);
    const answer = await arena.shop.admin('POST', '/v1/admin/products/import', {
      headers: { 'content-type': 'application/x-ndjson' },
      body: slice.map((product) => JSON.stringify(product)).join('\n'),
      timeoutMs: 60_000,
    });
    if (answer.status !== 200) throw new Error(`import: ${answer.status} ${answer.text.slice(0, 400)}`);
  }
  const last = skuOf(to - 1);
  await until(`${last} is sold`, async () => (await arena.shop.request('GET', `/v1/products/${last}`)).status === 200);
}
