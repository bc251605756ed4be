/**
 * Whole shops beside ours, on request: `npm run bench:peers -- --with vendure`. Each is installed by npm into a folder of its own outside of the project,
 * runs in production mode on the same PostgreSQL and cores, and is driven through its public API by the same generator.
 */
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Arena } from './arena.ts';
import type { CrowdRow } from './crowd.ts';
import { drive, type Target } from './drive.ts';
import { Peer } from './peer-process.ts';
import type { Sweep } from './result.ts';
import { alternate, type Rounds, rowOf } from './rounds.ts';
import { scratchDatabase } from './scratch-database.ts';
import type { ShopTargets } from './shop-targets.ts';
import type { VendureShopping } from './vendure-journeys.ts';

export const WHOLE_SHOPS = ['vendure'] as const;
export type WholeShop = (typeof WHOLE_SHOPS)[number];

export const VENDURE = 'Vendure 3.7.3';
const PACKAGES = ['@vendure/core@3.7.3', 'pg@8.23.1'];
const UNITS = 100;
const BUYERS = 500;
const BUYING_AT_MOST_MS = 300_000;
const CONNECTIONS = 16;

export interface WholeShopFound {
  /** Ours and theirs in turn: adds (0, 1), whole checkouts (0, 1). */
  readonly adds: Rounds;
  readonly checkouts: Rounds;
  readonly sweep: Sweep;
  readonly crowd: CrowdRow;
}

export interface WholeShopOptions {
  readonly arena: Arena;
  readonly targets: ShopTargets;
  readonly rounds: number;
  readonly msEach: number;
  readonly tell: (line: string) => void;
}

export async function vendure(options: WholeShopOptions): Promise<WholeShopFound> {
  const { arena, targets, rounds, msEach, tell } = options;
  const folder = mkdtempSync(join(tmpdir(), 'stampede-vendure-'));
  const database = await scratchDatabase(arena.server, 'stampede_vendure');
  const open = new Set<Peer>();
  try {
    tell(`installing ${PACKAGES.join(' ')} into ${folder}`);
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const quiet: ExecFileSyncOptions = { cwd: folder, stdio: 'ignore', timeout: 600_000 };
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...PACKAGES], quiet);
    const args = (pool: number, task: string) => [folder, database.name, connection(database.url), pool, task];
    tell('filling its database');
    const server = fileURLToPath(new URL('./peers/vendure.js', import.meta.url));
    const [, , json] = args(10, 'populate');
    const environment = { ...process.env, NODE_ENV: 'production' };
    execFileSync(process.execPath, [server, folder, String(json), String(UNITS), '10', 'populate'], {
      ...quiet,
      env: environment,
    });
    const start = async (processes: number, pool: number) => {
      const peer = await Peer.start(
        'vendure',
        [folder, String(json), String(UNITS), String(pool), 'serve'],
        processes,
        environment,
      );
      open.add(peer);
      return peer;
    };
    const target = (peer: Peer, name: string, script: Omit<VendureShopping, 'kind'>): Target => ({
      name: `${VENDURE}, ${name}`,
      doors: peer.doorsOf({ kind: 'vendure', ...script }),
      pids: () => [...peer.pids, ...arena.postgresPids()],
    });
    const orders = (peer: Peer) => target(peer, 'full checkout (7 calls)', { variant: 1, way: 'orders' });
    const tried: [string, number][] = [];
    let best: { readonly peer: Peer; readonly setting: string; readonly perSecond: number } | null = null;
    for (const [processes, pool] of [
      [1, 10],
      [2, 10],
      [1, 30],
    ] as const) {
      const peer = await start(processes, pool);
      const run = await drive(orders(peer), CONNECTIONS, 2 * msEach);
      const perSecond = (run.orders * 1000) / run.elapsedMs;
      const setting = `${processes} ${processes === 1 ? 'process' : 'processes'}, ${pool} connections each`;
      tried.push([setting, perSecond]);
      tell(
        `     sweep ${VENDURE}: ${setting}: ${perSecond.toFixed(1)} orders/s, failures ${JSON.stringify(run.failures)}`,
      );
      const loser: Peer | null = best === null ? null : perSecond > best.perSecond ? best.peer : peer;
      if (best === null || perSecond > best.perSecond) best = { peer, setting, perSecond };
      loser?.close();
    }
    if (best === null) throw new Error('Vendure was not measured');
    const { peer, setting } = best;
    const common = { connections: CONNECTIONS, rounds, msEach: 2 * msEach, tell };
    const adds = await alternate([targets.add, target(peer, 'add to an order', { variant: 1, way: 'adds' })], common);
    const checkouts = await alternate([targets.checkout, orders(peer)], common);
    const crowd = await buying(arena, target(peer, 'a crowd', { variant: 2, way: 'one-order' }), tell);
    return { adds, checkouts, sweep: { name: `${VENDURE}, orders a second`, best: setting, tried }, crowd };
  } finally {
    for (const peer of open) peer.close();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** 500 buyers, each on a connection of its own, each with one order for one of 100 units. */
async function buying(arena: Arena, target: Target, tell: (line: string) => void): Promise<CrowdRow> {
  const run = await drive(target, BUYERS, BUYING_AT_MOST_MS, undefined, 0);
  const row = rowOf(target.name, BUYERS, [run]);
  const refused = Object.entries(run.failures).filter(([name]) => name.includes('INSUFFICIENT_STOCK'));
  const others = Object.fromEntries(
    Object.entries(run.failures).filter(([name]) => !name.includes('INSUFFICIENT_STOCK')),
  );
  const crowd: CrowdRow = {
    who: VENDURE,
    buyers: BUYERS,
    connections: BUYERS,
    units: UNITS,
    confirmed: run.ordersInAll,
    oversold: Math.max(0, run.ordersInAll - UNITS),
    refused: refused.reduce((sum, [, count]) => sum + count, 0),
    retries: 0,
    others,
    soldOutMs: run.elapsedMs,
    overMs: run.elapsedMs,
    p50Us: row.p50Us,
    p99Us: row.p99Us,
    serverCpuMs: (run.serverCpuUsPerRequest * run.served) / 1000,
    generatorCpuMs: run.wholeCpuMs,
    backlogEndMs: await arena.backlogEnds(),
    allocated: run.ordersInAll,
  };
  tell(
    `${VENDURE}: ${BUYERS} buyers for ${UNITS} units: ${crowd.confirmed} confirmed, ${crowd.oversold} oversold, ${crowd.refused} refused, others ${JSON.stringify(others)}`,
  );
  return crowd;
}

/** As its database driver takes it. */
function connection(url: string): string {
  const [, username = '', password = '', database = '', host = ''] =
    /^postgres:\/\/([^:@]*):?([^@]*)@[^/]*\/([^?]*)\?host=(.*)$/.exec(url) ?? [];
  return JSON.stringify({
    host: decodeURIComponent(host),
    username,
    password: decodeURIComponent(password),
    database,
  });
}
