/** Feed fan-out: how long a change of stock takes to so many readers, and what each message costs the shop. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Arena, stockedSku } from './arena.ts';
import { answerOf } from './child-answer.ts';
import type { FeedJob, FeedWord, NewsResult } from './feed-subscribers.ts';
import { curve, type GrowthCurve } from './growth.ts';
import { Histogram } from './histogram.ts';
import { cpuSince, cpuTable, openFilesMax, residentBytes } from './machine.ts';

export interface FanoutRow {
  readonly readers: number;
  /** From the sending of the write until a reader has its news, in microseconds. */
  readonly p50Us: number;
  readonly p99Us: number;
  /** Until the last reader has it: median over the pieces of news. */
  readonly lastP50Us: number;
  readonly writeP50Us: number;
  readonly messages: number;
  readonly missing: number;
  readonly broken: number;
  /** CPU of the shop for each message, and of the readers' process. */
  readonly serverCpuUs: number;
  readonly readersCpuUs: number;
  /** Of the node's process. */
  readonly residentMiB: number;
}

/** What the shop and the readers' process have open besides readers. */
const OTHER_FILES = 500;

export async function feedFanout(
  arena: Arena,
  sizes: readonly number[],
  news: number,
  tell: (line: string) => void,
): Promise<FanoutRow[]> {
  const { shop } = arena;
  const sku = await stockedSku(shop, 'BENCH-FEED', 1_000_000);
  const child = fork(fileURLToPath(new URL('./feed-subscribers.js', import.meta.url)), ['feed']);
  const rows: FanoutRow[] = [];
  try {
    const ask = <T>(word: FeedJob | FeedWord) => answerOf<T>(child, 'the readers', word);
    await ask({ port: shop.port, sku });
    for (const wanted of sizes) {
      const size = Math.min(wanted, openFilesMax() - OTHER_FILES);
      if (size < wanted)
        tell(`${size} readers instead of ${wanted}: a process may have ${openFilesMax()} open files here`);
      await ask({ kind: 'grow', to: size });
      const before = cpuTable(arena.nodePids());
      const result = await ask<NewsResult>({ kind: 'news', count: news });
      const serverMs = cpuSince(before, cpuTable(arena.nodePids()));
      const histogram = Histogram.from(result.counts);
      const row: FanoutRow = {
        readers: result.readers,
        p50Us: histogram.percentile(50),
        p99Us: histogram.percentile(99),
        lastP50Us: result.lastP50Us,
        writeP50Us: result.writeP50Us,
        messages: result.messages,
        missing: result.missing,
        broken: result.broken,
        serverCpuUs: (serverMs * 1000) / Math.max(1, result.messages),
        readersCpuUs: (result.cpuMs * 1000) / Math.max(1, result.messages),
        residentMiB: residentBytes(shop.child.pid ?? 0) / 2 ** 20,
      };
      rows.push(row);
      tell(
        `${row.readers} readers: news after ${ms(row.p50Us)} (p99 ${ms(row.p99Us)}, the last ${ms(row.lastP50Us)}), shop ${row.serverCpuUs.toFixed(1)} µs a message, ${row.missing} missing, ${Math.round(row.residentMiB)} MiB`,
      );
    }
  } finally {
    child.kill('SIGKILL');
  }
  return rows;
}

const WHY =
  'A message is made once for all readers of a sku and sent to each in turn: its cost is that of one send. The last reader waits for all sends before his, so the 99th percentile may grow as the readers do; a socket and its subscription take some memory each.';

/** What a message costs the shop, and how late it comes, as readers become more. The cost is that of its node alone: the write is one for all. */
export function feedCurve(rows: readonly FanoutRow[]): GrowthCurve {
  const points = rows.map((row) => ({
    x: row.readers,
    perSecond: (row.readers * 1e6) / row.lastP50Us,
    cpuUs: row.serverCpuUs,
    nodeUs: row.serverCpuUs,
    postgresUs: 0,
    p50Us: row.p50Us,
    p99Us: row.p99Us,
    residentMiB: row.residentMiB,
    activationsPerSecond: 0,
    failures: {
      ...(row.missing === 0 ? {} : { missing: row.missing }),
      ...(row.broken === 0 ? {} : { broken: row.broken }),
    },
  }));
  return curve('news of stock, a message to each reader', 'readers of the feed', 'be flat', points, WHY);
}

const ms = (us: number) => `${(us / 1000).toFixed(1)} ms`;
