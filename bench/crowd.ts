/**
 * A crowd for few units: so many buyers at one moment for so many units of one sku. What counts is that exactly the units are sold, each buyer is told
 * the truth, and how soon it is over. What the shop says is held against its own books afterwards.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Arena, stockedSku } from './arena.ts';
import type { CrowdJob, CrowdResult } from './crowd-buyers.ts';
import { Histogram } from './histogram.ts';
import { cpuSince, cpuTable } from './machine.ts';
import { emptyCarts } from './numbered-carts.ts';

export interface CrowdRow {
  readonly who: string;
  readonly buyers: number;
  readonly connections: number;
  readonly units: number;
  readonly confirmed: number;
  /** Confirmed beyond the units there were. */
  readonly oversold: number;
  /** Told that there is none left. */
  readonly refused: number;
  /** Calls that were repeated, after a 503 or a connection that broke. */
  readonly retries: number;
  readonly others: Readonly<Record<string, number>>;
  readonly soldOutMs: number;
  readonly overMs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly serverCpuMs: number;
  readonly generatorCpuMs: number;
  /** How long after the end its jobs were done; null: not in 10 s. */
  readonly backlogEndMs: number | null;
  /** Units that the books have as sold. */
  readonly allocated: number;
}

/** A server and its generator are allowed some 20,000 open files each on most machines. */
const CONNECTIONS_MAX = 16_000;

export async function crowdRow(
  arena: Arena,
  buyers: number,
  units: number,
  tell: (line: string) => void,
): Promise<CrowdRow> {
  const { shop } = arena;
  const sku = await stockedSku(shop, `BENCH-CROWD-${buyers}-${units}`, units);
  const carts = await emptyCarts(arena, buyers);
  const connections = Math.min(buyers, CONNECTIONS_MAX);
  const job: CrowdJob = { port: shop.port, sku, buyers: carts.map(({ id, token }) => ({ id, token })), connections };
  const child = fork(fileURLToPath(new URL('./crowd-buyers.js', import.meta.url)), ['crowd']);
  const message = <T>() =>
    new Promise<T>((resolve, reject) => {
      child.once('message', (told) => resolve(told as T));
      child.once('exit', (code) => reject(new Error(`the crowd ended with ${code}`)));
    });
  const ready = message();
  child.send(job);
  await ready;
  const before = cpuTable(shop.family());
  const ended = message<CrowdResult>();
  child.send('go');
  const result = await ended;
  const serverCpuMs = cpuSince(before, cpuTable(shop.family()));
  const backlogEndMs = await arena.backlogEnds();
  const stock = (await shop.admin('GET', `/v1/admin/stock/${sku}`)).body;
  const histogram = Histogram.from(result.counts);
  const row: CrowdRow = {
    who: 'Stampede',
    buyers,
    connections,
    units,
    confirmed: result.confirmed,
    oversold: Math.max(0, result.confirmed - units),
    refused: result.refused,
    retries: result.retries,
    others: result.others,
    soldOutMs: result.soldOutMs,
    overMs: result.overMs,
    p50Us: histogram.percentile(50),
    p99Us: histogram.percentile(99),
    serverCpuMs,
    generatorCpuMs: result.cpuMs,
    backlogEndMs,
    allocated: Number(stock.allocated),
  };
  tell(
    `${buyers} buyers for ${units} units: ${row.confirmed} confirmed, ${row.oversold} oversold, ${row.refused} refused, ${row.retries} calls repeated, others ${JSON.stringify(row.others)}, sold out in ${Math.round(row.soldOutMs)} ms, over in ${Math.round(row.overMs)} ms`,
  );
  return row;
}
