/**
 * `npm run soak -- --minutes 30`: three nodes under a mixed load (browsing, carts, holds, checkouts with every card, cancels, big carts, followers
 * of the feed) with a random fault every quarter of a minute or so, looked at all the while. It fails on a leak's slope (`soak-verdict.ts`)
 * and on books that do not agree; the samples are drawn as an SVG and kept as JSON in `bench/report`.
 *
 *   npm run soak [-- --minutes 30] [--out bench/report/soak]
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BigCarts, putBigCartGoods } from './big-carts.ts';
import { type Scene, type SceneResult, underLoad } from './cluster-scene.ts';
import { type Figures, figuresOf } from './fault-figures.ts';
import { FeedReader } from './feed-readers.ts';
import { machine, median } from './machine.ts';
import { PROBE } from './node-probe.ts';
import { noAnswerOf, pause, type Storefront } from './shop-process.ts';
import { drawSoak } from './soak-chart.ts';
import { befall, drawnFaults, SOAK_FAULTS, type SoakEvent } from './soak-faults.ts';
import { type JournalSample, type NodeSample, sampleJournal, sampleNode } from './soak-samples.ts';
import { judge, SHORT_LIMITS, SOAK_LIMITS, type SoakVerdict } from './soak-verdict.ts';

export interface SoakOptions {
  readonly minutes: number;
  readonly server: string | undefined;
  readonly tell: (line: string) => void;
}

export interface SoakRecord {
  readonly machine: string;
  readonly minutes: number;
  readonly samples: readonly NodeSample[];
  readonly journal: readonly JournalSample[];
  readonly events: readonly SoakEvent[];
  readonly verdict: SoakVerdict;
  readonly figures: Figures;
}

/** Runs this long are judged as short ones. */
const SHORT_MINUTES = 6;
const READERS = 30;
const BROWSERS = 4;
const BIG_BUYERS = 2;

export async function soak({ minutes, server, tell }: SoakOptions): Promise<SoakRecord> {
  const samples: NodeSample[] = [];
  const journal: JournalSample[] = [];
  const events: SoakEvent[] = [];
  let browsed = 0;
  let followed = 0;
  let books: string | null = null;
  const told = (error: Error) => {
    books = error.message;
    return null;
  };
  const result = await underLoad({ server, env: PROBE, load: { shoppers: 8 } }, async (scene) => {
    const began = performance.now();
    const at = () => (performance.now() - began) / 60_000;
    const readers = await openReaders(scene);
    const big = new BigCarts(scene.cluster, await putBigCartGoods(scene.cluster.nodes)).start(BIG_BUYERS);
    const over = new AbortController();
    const besides = [
      ...Array.from({ length: BROWSERS }, () => browse(scene.cluster, scene.goods.plainSkus, over.signal)),
      look(scene, at, samples, journal, over.signal, Math.max(1_000, minutes * 200)),
    ];
    const faults = drawnFaults(Math.random);
    try {
      while (at() < minutes || events.length < SOAK_FAULTS.length) {
        await pause(Math.min(4_000 + Math.random() * 12_000, minutes * 8_000));
        const what = faults.next().value;
        events.push({ at: at(), what });
        tell(`${at().toFixed(1)} min: ${what}`);
        await befall(scene, readers, what);
      }
    } finally {
      over.abort();
      await big.stop();
    }
    browsed = (await Promise.all(besides)).reduce((sum, count) => sum + count, 0);
    followed = readers.reduce((sum, { messages }) => sum + messages, 0);
    assert.ok(
      readers.every(({ repeated }) => repeated === 0),
      'no follower was told a version twice',
    );
    for (const reader of readers) reader.close();
  }).catch(told);
  // What was sampled is worth a look also where the books do not agree.
  const judged = judge(samples, journal, minutes < SHORT_MINUTES ? SHORT_LIMITS : SOAK_LIMITS);
  const verdict = books === null ? judged : { ...judged, objections: [books, ...judged.objections] };
  const figures = soakFigures(result, verdict, samples, journal, events, { browsed, followed });
  return { machine: machine(), minutes, samples, journal, events, verdict, figures };
}

/** On every node, some of them of each sku. Nodes that die take theirs with them: those on the first stay. */
async function openReaders({ cluster, goods }: Scene): Promise<FeedReader[]> {
  const skus = [...goods.plainSkus, ...goods.heldSkus];
  return await Promise.all(
    Array.from({ length: READERS }, (_, index) =>
      FeedReader.open(cluster.node(index % cluster.nodes.length).port, skus),
    ),
  );
}

/** Looks at products, on any node, until it is over; returns how many were shown. */
async function browse(shop: Storefront, skus: readonly string[], over: AbortSignal): Promise<number> {
  let shown = 0;
  while (!over.aborted) {
    const sku = skus[Math.floor(Math.random() * skus.length)] ?? '';
    const path = Math.random() < 0.5 ? `/v1/products/${sku}` : '/v1/products?limit=20';
    try {
      if ((await shop.request('GET', path)).status === 200) shown++;
    } catch (error) {
      noAnswerOf(error);
    }
    await pause(Math.random() * 60);
  }
  return shown;
}

async function look(
  { cluster }: Scene,
  at: () => number,
  samples: NodeSample[],
  journal: JournalSample[],
  over: AbortSignal,
  everyMs: number,
): Promise<number> {
  while (!over.aborted) {
    for (const node of cluster.nodes) {
      const sample = await sampleNode(node, at());
      if (sample !== null) samples.push(sample);
    }
    const grown = await sampleJournal(cluster, at());
    if (grown !== null) journal.push(grown);
    await pause(everyMs);
  }
  return 0;
}

function soakFigures(
  result: SceneResult | null,
  { trends, bytesPerEvent }: SoakVerdict,
  samples: readonly NodeSample[],
  journal: readonly JournalSample[],
  events: readonly SoakEvent[],
  { browsed, followed }: { readonly browsed: number; readonly followed: number },
): Figures {
  const most = (values: readonly number[]) => Number(Math.max(...values).toFixed(2));
  return {
    faults: events.length,
    'product reads': browsed,
    'news to followers': followed,
    'processes judged': trends.length,
    'steepest heap MiB/min': most(trends.map((trend) => trend.heapMiBPerMinute)),
    'steepest resident MiB/min': most(trends.map((trend) => trend.residentMiBPerMinute)),
    'steepest handles/min': most(trends.map((trend) => trend.handlesPerMinute)),
    'event loop p99 ms, median': Math.round(median(samples.map(({ loopDelayMs }) => loopDelayMs))),
    'journal MiB': Number((journal.at(-1)?.mebibytes ?? 0).toFixed(1)),
    'bytes per event, by halves': bytesPerEvent.map(Math.round).join(' then '),
    ...(result === null ? undefined : figuresOf(result)),
  };
}

/** Throws with what it objects to, and leaves picture and numbers either way. */
export function keep(soaked: SoakRecord, out: string): void {
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(`${out}.json`, `${JSON.stringify(soaked)}\n`);
  writeFileSync(`${out}.svg`, drawSoak(soaked));
  assert.deepEqual(soaked.verdict.objections, []);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { minutes: { type: 'string' }, out: { type: 'string' }, server: { type: 'string' } },
  });
  const tell = (line: string) => void process.stdout.write(`${line}\n`);
  const soaked = await soak({ minutes: Number(values.minutes ?? 30), server: values.server, tell });
  tell(JSON.stringify(soaked.figures, null, 2));
  for (const trend of soaked.verdict.trends) tell(JSON.stringify(trend));
  keep(soaked, resolve(values.out ?? 'bench/report/soak'));
}
