/** What a run of the suite found: the form of the raw JSON, which the report, the comparison and the table in the README are made from. */
import type { CrowdRow } from './crowd.ts';
import type { FanoutRow } from './feed-fanout.ts';
import type { GrowthCurve } from './growth.ts';
import type { MicroRow } from './micro.ts';
import type { OpenLoopRow } from './open-loop.ts';
import type { Row } from './rounds.ts';
import type { Ratio } from './statistics.ts';

/** Counted up whenever a reader of older files would misread new ones. */
export const FORM = 1;

export interface NamedRatio extends Ratio {
  readonly name: string;
  /** What the project wants to reach; null: it is only told. */
  readonly wanted: { readonly atLeast: number } | { readonly atMost: number } | null;
}

/** One stage of a request, from the counters of the shop. */
export interface Stage {
  readonly name: string;
  readonly meanUs: number;
}

export interface BenchResult {
  readonly form: typeof FORM;
  readonly startedAt: string;
  readonly seconds: number;
  readonly command: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, string>>;
  /** Of the calibration loop, over the whole run: nanoseconds a step. */
  readonly calibrationNs: readonly number[];
  readonly rows: readonly Row[];
  readonly ratios: readonly NamedRatio[];
  /** Peers' settings: all that was tried, and which was best. */
  readonly sweeps: readonly Sweep[];
  readonly commits: { readonly oneRowUs: number; readonly batchedRowsPerSecond: number } | null;
  readonly orders: OrdersFound | null;
  readonly openLoop: readonly OpenLoopRow[];
  readonly crowds: readonly CrowdRow[];
  readonly feed: readonly FanoutRow[];
  readonly cold: ColdFound | null;
  readonly failover: {
    readonly rounds: number;
    readonly p50Ms: number;
    readonly worstMs: number;
    readonly shardP50Ms: number;
  } | null;
  readonly recount: { readonly acknowledged: number; readonly missing: number; readonly restartMs: number } | null;
  readonly stages: { readonly sampled: number; readonly connections: number; readonly stages: readonly Stage[] } | null;
  readonly growth: readonly GrowthCurve[];
  readonly micro: readonly MicroRow[];
  /** What the bench of prices told, line by line. */
  readonly pricing: readonly string[];
  /** Parts that were asked for and could not be run, with the reason. */
  readonly leftOut: readonly string[];
}

export interface Sweep {
  readonly name: string;
  readonly best: string;
  readonly tried: readonly (readonly [setting: string, perSecond: number])[];
}

export interface OrdersFound {
  /** Orders whose jobs were done, over the time until the last was. Of each round. */
  readonly settledPerSecond: readonly number[];
  /** How long after the load the backlog was 0; null: not in 10 s, and the round counts for nothing. */
  readonly backlogEndMs: readonly (number | null)[];
  readonly callsPerOrder: number;
}

export interface ColdFound {
  readonly carts: number;
  readonly activationsPerSecond: number;
  /** Activations that the shop counted: one for each cart, or something else was measured. */
  readonly activations: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly serverCpuUs: number;
}
