/**
 * Whole shops beside ours, on request: `npm run bench:peers -- --with vendure,medusa`. Each is installed by npm outside of the project, runs in production mode
 * on the same PostgreSQL and cores with a database of its own, and is driven through its public API by the same generator: adds, whole checkouts, and a crowd
 * for few units, whose orders are looked for in its database until no more come.
 */
import { rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Arena } from './arena.ts';
import type { CrowdRow } from './crowd.ts';
import { drive, type Run, type Target } from './drive.ts';
import { installed, workFolder } from './installed.ts';
import type { Script } from './journeys.ts';
import { MEDUSA } from './medusa-shop.ts';
import type { Peer } from './peer-process.ts';
import type { Sweep } from './result.ts';
import { alternate, type Rounds, rowOf } from './rounds.ts';
import { scratchDatabase } from './scratch-database.ts';
import type { ShopTargets } from './shop-targets.ts';
import { VENDURE } from './vendure-shop.ts';

export const WHOLE_SHOPS = ['vendure', 'medusa'] as const;
export type WholeShop = (typeof WHOLE_SHOPS)[number];

export const SHOP_KINDS: Readonly<Record<WholeShop, ShopKind>> = { vendure: VENDURE, medusa: MEDUSA };

export interface ShopKind {
  readonly name: string;
  readonly packages: readonly string[];
  /** For one order. */
  readonly calls: number;
  /** Of the generator: enough to fill the cores. */
  readonly connections: number;
  /** How many times as long as others it is measured, so that a run has enough orders in it. */
  readonly measuredTimes: number;
  /** All that is tried; the best is measured. */
  readonly settings: readonly Setting[];
  /** Whether a failed call says that there is none left. */
  isRefusal(failure: string): boolean;
  open(place: Place): Promise<OpenShop>;
}

export interface Setting {
  readonly processes: number;
  readonly pool: number;
  /** What else is set. */
  readonly words: string;
}

/** How the PostgreSQL server that everything is measured on is reached: over a unix socket in a folder. */
export interface Account {
  readonly socketFolder: string;
  readonly user: string;
  readonly password: string;
  readonly name: string;
}

export interface Place {
  /** In which what was installed can be required. */
  readonly folder: string;
  /** Its database. */
  readonly database: Account;
  /** Of the scarce product. */
  readonly units: number;
  readonly tell: (line: string) => void;
}

export interface OpenShop {
  start(setting: Setting): Promise<Peer>;
  script(way: 'adds' | 'orders' | 'one-order', product: 'plain' | 'scarce'): Script;
  /** Of servers besides its own and PostgreSQL. */
  pids(): readonly number[];
  /** Asks its database for `n`, the orders of the scarce product. */
  readonly sold: { readonly text: string; readonly values: readonly unknown[] };
  close(): Promise<void>;
}

/** Of the scarce product, and who want it. */
export const UNITS = 100;
export const BUYERS = 500;
const BUYING_AT_MOST_MS = 600_000;
/** Orders may come after the last answer: until for so long none has, and at most for so long. */
const QUIET_MS = 60_000;
const LATE_AT_MOST_MS = 300_000;

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

export async function wholeShop(which: WholeShop, options: WholeShopOptions): Promise<WholeShopFound> {
  const { arena, targets, rounds, tell } = options;
  const kind = SHOP_KINDS[which];
  const { name, calls, connections } = kind;
  const folder = workFolder(await installed(name, kind.packages, tell));
  const database = await scratchDatabase(arena.server, `stampede_${which}`);
  const open = new Set<Peer>();
  let shop: OpenShop | null = null;
  try {
    const opened = await kind.open({ folder, database: accountOf(database.url), units: UNITS, tell });
    shop = opened;
    const target = (peer: Peer, what: string, script: Script): Target => ({
      name: `${name}, ${what}`,
      doors: peer.doorsOf(script),
      pids: () => [...peer.pids, ...opened.pids(), ...arena.postgresPids()],
    });
    const orders = (peer: Peer) => target(peer, `full checkout (${calls} calls)`, opened.script('orders', 'plain'));
    const msEach = kind.measuredTimes * options.msEach;
    const tried: [string, number][] = [];
    let best: { readonly peer: Peer; readonly setting: string; readonly perSecond: number } | null = null;
    for (const setting of kind.settings) {
      const peer = await opened.start(setting);
      open.add(peer);
      const run = await drive(orders(peer), connections, msEach);
      // By calls: in a short run few orders begin and end.
      const perSecond = run.perSecond / calls;
      const words = settingText(setting);
      tried.push([words, perSecond]);
      tell(`     sweep ${name}: ${words}: ${perSecond.toFixed(1)} orders/s, failures ${JSON.stringify(run.failures)}`);
      const loser: Peer | null = best === null ? null : perSecond > best.perSecond ? best.peer : peer;
      if (best === null || perSecond > best.perSecond) best = { peer, setting: words, perSecond };
      loser?.close();
    }
    if (best === null) throw new Error(`${name} was not measured`);
    const { peer, setting } = best;
    const common = { connections, rounds, msEach, tell };
    const adds = await alternate([targets.add, target(peer, 'add', opened.script('adds', 'plain'))], common);
    const checkouts = await alternate([targets.checkout, orders(peer)], common);
    const buyers = target(peer, 'a crowd', opened.script('one-order', 'scarce'));
    const crowd = await buying(kind, buyers, () => count(database.url, opened.sold), tell);
    return { adds, checkouts, sweep: { name: `${name}, orders a second`, best: setting, tried }, crowd };
  } finally {
    for (const peer of open) peer.close();
    await shop?.close();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function accountOf(url: string): Account {
  const [, user = '', password = '', name = '', host = ''] =
    /^postgres:\/\/([^:@]*):?([^@]*)@[^/]*\/([^?]*)\?host=(.*)$/.exec(url) ?? [];
  return { socketFolder: decodeURIComponent(host), user, password: decodeURIComponent(password), name };
}

function settingText({ processes, pool, words }: Setting): string {
  const text = `${processes} ${processes === 1 ? 'process' : 'processes'}, ${pool} connections each`;
  return words === '' ? text : `${text}, ${words}`;
}

async function count(connectionString: string, { text, values }: OpenShop['sold']): Promise<number> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return Number((await client.query(text, [...values])).rows[0]?.n);
  } finally {
    await client.end();
  }
}

/** 500 buyers, each on a connection of its own, each with one order for one of 100 units. */
async function buying(
  kind: ShopKind,
  target: Target,
  sold: () => Promise<number>,
  tell: (line: string) => void,
): Promise<CrowdRow> {
  const run = await drive(target, BUYERS, BUYING_AT_MOST_MS, undefined, 0);
  const { inBooks, endMs } = await whenQuiet(sold);
  const crowd = crowdOf(kind, target.name, run, inBooks, endMs);
  const { confirmed, oversold, refused, others } = crowd;
  tell(
    `${kind.name}: ${BUYERS} buyers for ${UNITS} units: ${confirmed} confirmed, ${inBooks} in its books ${Math.round(endMs)} ms after the end, ${oversold} oversold, ${refused} refused, others ${JSON.stringify(others)}`,
  );
  return crowd;
}

/** Until no order has come for a while. @returns how many there are, and when after the begin the last had come */
async function whenQuiet(sold: () => Promise<number>): Promise<{ inBooks: number; endMs: number }> {
  const began = performance.now();
  let inBooks = await sold();
  let endMs = 0;
  for (;;) {
    await pause(500);
    const passed = performance.now() - began;
    const now = await sold();
    if (now !== inBooks) [inBooks, endMs] = [now, passed];
    if (passed - endMs > QUIET_MS || passed > LATE_AT_MOST_MS) return { inBooks, endMs };
  }
}

function crowdOf({ name, isRefusal }: ShopKind, what: string, run: Run, inBooks: number, endMs: number): CrowdRow {
  const { p50Us, p99Us } = rowOf(what, BUYERS, [run]);
  const failures = Object.entries(run.failures);
  const refusals = failures.filter(([failure]) => isRefusal(failure));
  return {
    who: name,
    buyers: BUYERS,
    connections: BUYERS,
    units: UNITS,
    confirmed: run.ordersInAll,
    oversold: Math.max(0, run.ordersInAll - UNITS, inBooks - UNITS),
    refused: refusals.reduce((sum, [, times]) => sum + times, 0),
    retries: 0,
    others: Object.fromEntries(failures.filter(([failure]) => !isRefusal(failure))),
    soldOutMs: run.elapsedMs,
    overMs: run.elapsedMs,
    p50Us,
    p99Us,
    serverCpuMs: (run.serverCpuUsPerRequest * run.served) / 1000,
    generatorCpuMs: run.wholeCpuMs,
    backlogEndMs: endMs,
    allocated: inBooks,
  };
}
