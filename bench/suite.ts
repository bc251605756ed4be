/**
 * The parts of the suite in the order in which they run on one arena: what is small and paired first, what fills tables and memory last. Each part adds to
 * one result; a part that fails is told in the result and takes nothing else with it.
 */
import { type Arena, openArena } from './arena.ts';
import { calibrate } from './calibration.ts';
import { clusterPart } from './cluster-part.ts';
import { coldCarts } from './cold-carts.ts';
import { crowdRow } from './crowd.ts';
import { drive, type Run } from './drive.ts';
import type { Effort } from './effort.ts';
import { feedCurve, feedFanout } from './feed-fanout.ts';
import { growth } from './growth.ts';
import { holdPeers } from './hold-peers.ts';
import { median } from './machine.ts';
import { benchMicro } from './micro.ts';
import { batchedRowsPerSecond, oneRowCommitUs } from './one-row-commit.ts';
import { openLoop } from './open-loop.ts';
import { orders } from './orders.ts';
import { Peer } from './peer-process.ts';
import { benchPricing } from './pricing.ts';
import { redisMissing } from './redis-process.ts';
import type { BenchResult, NamedRatio } from './result.ts';
import { alternate, type Rounds } from './rounds.ts';
import { recountAfterKill, type ShopTargets, shopTargets } from './shop-targets.ts';
import { stagesOf, stagesSince } from './stage-breakdown.ts';
import { type Ratio, ratioText } from './statistics.ts';
import { BUYERS, SHOP_KINDS, UNITS, type WholeShop, wholeShop } from './whole-shops.ts';

export const PARTS = [
  'micro',
  'pricing',
  'load',
  'peers',
  'orders',
  'open-loop',
  'crowd',
  'feed',
  'cold',
  'cluster',
  'growth',
  'shops',
  'recount',
] as const;
export type PartName = (typeof PARTS)[number];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type Findings = Omit<
  BenchResult,
  'form' | 'startedAt' | 'seconds' | 'command' | 'machine' | 'versions' | 'settings'
>;

export interface SuiteOptions {
  readonly arena: Arena;
  readonly effort: Effort;
  readonly parts: readonly PartName[];
  readonly tell: (line: string) => void;
  /** Whole shops to be installed and measured beside ours in the part `shops`. */
  readonly shops?: readonly WholeShop[];
  /** Told when a part begins. */
  readonly begin?: (part: PartName) => void;
}

interface Suite extends SuiteOptions {
  readonly echo: Peer;
  readonly targets: ShopTargets;
  readonly found: Mutable<Findings>;
}

const nothingFound = (): Mutable<Findings> => ({
  calibrationNs: [],
  rows: [],
  ratios: [],
  sweeps: [],
  commits: null,
  orders: null,
  openLoop: [],
  crowds: [],
  feed: [],
  cold: null,
  failover: null,
  recount: null,
  stages: null,
  growth: [],
  micro: [],
  pricing: [],
  leftOut: [],
});

export async function runSuite(options: SuiteOptions): Promise<Findings> {
  const { arena, effort, parts, tell, begin } = options;
  const found = nothingFound();
  const started = performance.now();
  const echo = await Peer.start('echo');
  try {
    tell(`making carts`);
    const targets = await shopTargets(arena, echo, effort.carts);
    const suite: Suite = { ...options, echo, targets, found };
    for (const part of PARTS) {
      if (!parts.includes(part)) continue;
      if (performance.now() - started > effort.partsBeginWithinMs && part !== 'recount') {
        found.leftOut = [...found.leftOut, `${part}: no time was left`];
        continue;
      }
      begin?.(part);
      found.calibrationNs = [...found.calibrationNs, calibrate()];
      try {
        await RUN[part](suite);
      } catch (error) {
        const reason = `${part}: ${error instanceof Error ? error.message : String(error)}`;
        found.leftOut = [...found.leftOut, reason];
        tell(`left out: ${reason}`);
      }
    }
    found.calibrationNs = [...found.calibrationNs, calibrate()];
    return found;
  } finally {
    echo.close();
  }
}

const RUN: Readonly<Record<PartName, (suite: Suite) => Promise<void>>> = {
  async micro({ found, effort, tell }) {
    found.micro = await benchMicro({ msEach: effort.microMs, tell, ...(effort.microMs === 0 ? { batch: 4 } : {}) });
  },

  async pricing({ found, effort, tell }) {
    const told: string[] = [];
    await benchPricing({
      ms: Math.max(10, effort.pricingMs),
      short: effort.pricingMs === 0,
      tell: (line) => {
        told.push(line);
        tell(line);
      },
    });
    found.pricing = told;
  },

  async load(suite) {
    const { arena, effort, targets, found } = suite;
    // Brings the carts into memory, and the shop's code to its speed.
    for (const target of [targets.add, targets.read]) await drive(target, 64, effort.msEach);
    const commitsUs: number[] = [];
    for (const connections of effort.connections) {
      const before = await stagesOf(arena.shop);
      const rounds = await alternate([targets.echo, targets.add, targets.read, targets.change], {
        ...roundsOf(suite, connections),
        afterRound: async () => {
          commitsUs.push(await oneRowCommitUs(arena.peers.url, effort.commits));
        },
      });
      add(suite, rounds);
      const at = `${connections} connections`;
      note(suite, `durable add ÷ bare echo, ${at}`, rounds.ratio(1, 0), wantedOfEcho(connections));
      note(suite, `product read ÷ bare echo, ${at}`, rounds.ratio(2, 0), { atLeast: 0.8 });
      found.stages = stagesSince(before, await stagesOf(arena.shop), connections) ?? found.stages;
    }
    found.commits = {
      oneRowUs: median(commitsUs),
      batchedRowsPerSecond: await batchedRowsPerSecond(arena.peers.url, 256, effort.msEach / 2),
    };
  },

  async peers(suite) {
    const missing = redisMissing();
    if (missing !== null) throw new Error(missing);
    const { arena, effort, targets, tell, found } = suite;
    const connections = effort.connections.at(-1) ?? 256;
    const { peers, close } = await holdPeers(arena, {
      connections,
      msEach: effort.sweepMs,
      pools: effort.sweepPools,
      batchPools: effort.sweepBatchPools,
      processes: effort.sweepProcesses,
      tell,
    });
    try {
      const rounds = await alternate(
        [targets.hold, ...peers.map(({ target }) => target)],
        roundsOf(suite, connections),
      );
      add(suite, rounds);
      found.sweeps = peers.map(({ target, best, sweep }) => ({ name: target.name, best, tried: sweep }));
      for (const [index, { target, wanted }] of peers.entries())
        note(suite, `hold on one hot sku ÷ ${target.name}`, rounds.ratio(0, index + 1), wanted);
    } finally {
      await close();
    }
  },

  async orders(suite) {
    const { found } = suite;
    const { rows, calibrationNs, orders: told } = await orders(suite.arena, suite.targets, roundsOf(suite, 64));
    found.rows = [...found.rows, ...rows];
    found.calibrationNs = [...found.calibrationNs, ...calibrationNs];
    found.orders = told;
  },

  async 'open-loop'({ arena, effort, targets, found, tell }) {
    const most = (name: string) =>
      Math.max(...found.rows.filter((row) => row.name === name).map(({ perSecond }) => perSecond), 0);
    const capacity = most(targets.add.name);
    if (capacity === 0) throw new Error('the capacity is not known: run the part "load" before');
    const connections = 256;
    const common = {
      connections,
      durationMs: effort.openLoopMs,
      commits: effort.commits,
      database: arena.peers.url,
      tell,
    };
    const add = await openLoop({ ...common, target: targets.add, perSecond: capacity / 2 });
    const read = await openLoop({ ...common, target: targets.read, perSecond: most(targets.read.name) / 4 });
    found.openLoop = [add, read];
    const once = { value: add.p99ToCommit, low: null, high: null, insideNoise: true };
    if (add.voided.length === 0)
      found.ratios = [
        ...found.ratios,
        { name: 'open loop at half of capacity: p99 of an add ÷ one-row commit', ...once, wanted: { atMost: 4 } },
      ];
  },

  async crowd({ arena, effort, found, tell }) {
    for (const [buyers, units] of effort.crowds)
      found.crowds = [...found.crowds, await crowdRow(arena, buyers, units, tell)];
  },

  async feed({ arena, effort, found, tell }) {
    found.feed = await feedFanout(arena, effort.readers, effort.news, tell);
    found.growth = [...found.growth, feedCurve(found.feed)];
  },

  async cold({ arena, effort, found, tell }) {
    found.cold = await coldCarts(arena, effort.coldCarts, 64, tell);
  },

  async cluster({ arena, effort, found, tell }) {
    const missing = redisMissing();
    if (missing !== null) throw new Error(missing);
    const { growth: own, kills } = effort;
    const part = await clusterPart({
      nodes: own.nodes,
      kills,
      connections: own.connections,
      msEach: own.msEach,
      server: arena.server,
      tell,
    });
    if (part.failover !== null) {
      const { roundsMs, p50Ms, worstMs, shardP50Ms } = part.failover;
      found.failover = { rounds: roundsMs.length, p50Ms, worstMs, shardP50Ms };
    }
    found.growth = [...found.growth, part.nodes];
  },

  /** On a shop of its own, whose journal is still short and whose memory nothing has filled. */
  async growth({ effort, found, tell }) {
    const arena = await openArena();
    try {
      found.growth = [...found.growth, ...(await growth({ arena, effort: effort.growth, tell }))];
    } finally {
      await arena.close();
    }
  },

  async shops(suite) {
    const { arena, targets, effort, found, tell } = suite;
    const failed: string[] = [];
    const asked = suite.shops ?? [];
    // Ours stands beside theirs, also where the part of the crowds is not run.
    if (asked.length > 0 && !found.crowds.some(({ buyers }) => buyers === BUYERS))
      found.crowds = [...found.crowds, await crowdRow(arena, BUYERS, UNITS, tell)];
    for (const which of asked) {
      const { name } = SHOP_KINDS[which];
      try {
        const other = await wholeShop(which, { arena, targets, rounds: effort.rounds, msEach: effort.msEach, tell });
        add(suite, other.adds);
        add(suite, other.checkouts);
        const orderRate = (run: Run) => run.orders / run.elapsedMs;
        note(suite, `durable add ÷ ${name}’s`, other.adds.ratio(0, 1), null);
        const wanted = which === 'vendure' ? { atLeast: 300 } : null;
        note(suite, `full checkouts (orders) ÷ ${name}’s`, other.checkouts.ratio(0, 1, orderRate), wanted);
        found.sweeps = [...found.sweeps, other.sweep];
        found.crowds = [...found.crowds, other.crowd];
      } catch (error) {
        failed.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (failed.length > 0) throw new Error(failed.join('; '));
  },

  async recount({ arena, targets, found, tell }) {
    tell('kill -9 of everything, then every acknowledged add is counted');
    found.recount = await recountAfterKill(arena, targets);
    tell(`acknowledged adds: ${found.recount.acknowledged}, missing: ${found.recount.missing}`);
  },
};

function roundsOf({ effort, tell }: Suite, connections: number) {
  return { connections, rounds: effort.rounds, msEach: effort.msEach, tell };
}

function wantedOfEcho(connections: number): NamedRatio['wanted'] {
  if (connections >= 256) return { atLeast: 0.5 };
  return connections >= 64 ? { atLeast: 0.4 } : null;
}

function add({ found }: Suite, rounds: Rounds): void {
  found.rows = [...found.rows, ...rounds.rows];
  found.calibrationNs = [...found.calibrationNs, ...rounds.calibrationNs];
}

function note({ found, tell }: Suite, name: string, ratio: Ratio, wanted: NamedRatio['wanted']): void {
  found.ratios = [...found.ratios, { name, ...ratio, wanted }];
  tell(`${name}: ${ratioText(ratio)}`);
}
