/**
 * Targets measured in turn, A B A B …, so that what the machine does meanwhile meets all of them alike; a calibration loop before and after each
 * round. A row is the median over its rounds, beside their spread; its latencies are those of all rounds together. A round that is void counts for
 * nothing: where all of a target's are, its row says so and takes part in no ratio.
 */
import { calibrate } from './calibration.ts';
import { drive, type Run, type Target } from './drive.ts';
import { Histogram } from './histogram.ts';
import { median } from './machine.ts';
import type { Pace } from './pacer.ts';
import { type Ratio, ratioOf } from './statistics.ts';

export interface RoundsOptions {
  readonly connections: number;
  readonly rounds: number;
  readonly msEach: number;
  /** Open loop. */
  readonly pace?: Pace;
  readonly tell: (line: string) => void;
  /** After each round, with its runs by target. */
  readonly afterRound?: (runs: readonly Run[]) => Promise<void>;
}

export type Percentiles = readonly (readonly [percent: number, microseconds: number])[];

export interface Row {
  readonly name: string;
  readonly connections: number;
  /** Answers 2xx a second: median over the rounds, least, most, and of each round. */
  readonly perSecond: number;
  readonly spread: readonly [number, number];
  readonly samples: readonly number[];
  readonly percentilesUs: Percentiles;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU of the servers and of the generator for each answered request. */
  readonly serverCpuUs: number;
  readonly generatorCpuUs: number;
  /** Of one core; of all cores; of all cores. */
  readonly generatorShare: number;
  readonly idleShare: number;
  readonly othersShare: number;
  readonly failures: Readonly<Record<string, number>>;
  /** Why rounds were void, one reason for each void round. */
  readonly voided: readonly string[];
  /** Orders finished a second, and calls answered for each order; null where none are made. */
  readonly ordersPerSecond: number | null;
  readonly callsPerOrder: number | null;
}

const PERCENTS = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100];

export class Rounds {
  readonly rows: readonly Row[];
  /** Nanoseconds a step, before the first round and after each. */
  readonly calibrationNs: readonly number[];
  /** By target, then round. */
  readonly runs: readonly (readonly Run[])[];

  constructor(rows: readonly Row[], runs: readonly (readonly Run[])[], calibrationNs: readonly number[]) {
    this.rows = rows;
    this.runs = runs;
    this.calibrationNs = calibrationNs;
  }

  /** Of two targets by their places, round by round; rounds in which one was void are left out. */
  ratio(over: number, under: number, pick: (run: Run) => number = (run) => run.perSecond): Ratio {
    const pairs = (this.runs[over] ?? [])
      .map((run, round) => [run, this.runs[under]?.[round]] as const)
      .filter(([a, b]) => a.voided === null && b?.voided === null);
    return ratioOf(
      pairs.map(([a]) => pick(a)),
      pairs.map(([, b]) => (b === undefined ? Number.NaN : pick(b))),
    );
  }
}

export async function alternate(targets: readonly Target[], options: RoundsOptions): Promise<Rounds> {
  const runs: Run[][] = targets.map(() => []);
  const calibrationNs = [calibrate()];
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, target] of targets.entries()) {
      const run = await drive(target, options.connections, options.msEach, options.pace);
      runs[index]?.push(run);
      options.tell(progress(target.name, options.connections, run));
    }
    calibrationNs.push(calibrate());
    await options.afterRound?.(runs.flatMap((own) => own.slice(-1)));
  }
  const rows = targets.map((target, index) => rowOf(target.name, options.connections, runs[index] ?? []));
  return new Rounds(rows, runs, calibrationNs);
}

export function rowOf(name: string, connections: number, all: readonly Run[]): Row {
  const valid = all.filter((run) => run.voided === null);
  // Where nothing is valid, what there is, is shown, as void.
  const runs = valid.length > 0 ? valid : all;
  const of = (pick: (run: Run) => number) => median(runs.map(pick));
  const samples = runs.map((run) => run.perSecond);
  const histogram = new Histogram();
  const failures: Record<string, number> = {};
  for (const run of runs) histogram.merge(run.counts);
  for (const run of all)
    for (const [kind, count] of Object.entries(run.failures)) failures[kind] = (failures[kind] ?? 0) + count;
  const orders = runs.reduce((sum, run) => sum + run.orders, 0);
  return {
    name,
    connections,
    perSecond: median(samples),
    spread: [Math.min(...samples), Math.max(...samples)],
    samples,
    percentilesUs: PERCENTS.map((percent) => [percent, histogram.percentile(percent)] as const),
    p50Us: histogram.percentile(50),
    p99Us: histogram.percentile(99),
    serverCpuUs: of((run) => run.serverCpuUsPerRequest),
    generatorCpuUs: of((run) => run.generatorCpuUsPerRequest),
    generatorShare: of((run) => run.generatorShare),
    idleShare: of((run) => run.idleShare),
    othersShare: of((run) => run.othersShare),
    failures,
    voided: all.flatMap((run) => run.voided ?? []),
    ordersPerSecond: orders === 0 ? null : of((run) => (run.orders * 1000) / run.elapsedMs),
    callsPerOrder: orders === 0 ? null : runs.reduce((sum, run) => sum + run.ok, 0) / orders,
  };
}

function progress(name: string, connections: number, run: Run): string {
  const orders = run.orders === 0 ? '' : `, ${Math.round((run.orders * 1000) / run.elapsedMs)} orders/s`;
  const failures = Object.keys(run.failures).length === 0 ? '' : `, failures ${JSON.stringify(run.failures)}`;
  const voided = run.voided === null ? '' : `, void: ${run.voided}`;
  return `${String(connections).padStart(4)} conn  ${name.padEnd(44)} ${Math.round(run.perSecond).toString().padStart(7)}/s  p50 ${run.latencyUs.p50} µs, p99 ${run.latencyUs.p99} µs${orders}${failures}${voided}`;
}
