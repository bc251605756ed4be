/**
 * Open loop: adds are due at a fixed rate, half of what the closed loop could take, whatever the shop does; latencies count from when an add was due.
 * Beside it, before and after, what a one-row commit takes on the same server.
 */
import { drive, type Target } from './drive.ts';
import { median } from './machine.ts';
import { oneRowCommitUs } from './one-row-commit.ts';
import { type Percentiles, type Row, rowOf } from './rounds.ts';

export interface OpenLoopRow {
  readonly name: string;
  readonly duePerSecond: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly percentilesUs: Percentiles;
  /** How late the generator itself was, 99th percentile. */
  readonly lateP99Us: number;
  readonly oneRowCommitUs: number;
  /** p99 of the add ÷ the median of a one-row commit. */
  readonly p99ToCommit: number;
  readonly failures: Row['failures'];
  readonly voided: readonly string[];
}

export interface OpenLoopOptions {
  readonly target: Target;
  readonly perSecond: number;
  readonly connections: number;
  readonly durationMs: number;
  readonly commits: number;
  readonly database: string;
  readonly tell: (line: string) => void;
}

export async function openLoop(options: OpenLoopOptions): Promise<OpenLoopRow> {
  const { target, perSecond, connections, durationMs, commits, database, tell } = options;
  const before = await oneRowCommitUs(database, commits);
  const run = await drive(target, connections, durationMs, { perSecond, seed: 1 });
  const commitUs = median([before, await oneRowCommitUs(database, commits)]);
  const row = rowOf(target.name, connections, [run]);
  const found: OpenLoopRow = {
    name: target.name,
    duePerSecond: perSecond,
    perSecond: run.perSecond,
    p50Us: row.p50Us,
    p99Us: row.p99Us,
    percentilesUs: row.percentilesUs,
    lateP99Us: run.lateP99Us ?? Number.NaN,
    oneRowCommitUs: commitUs,
    p99ToCommit: row.p99Us / commitUs,
    failures: row.failures,
    voided: row.voided,
  };
  tell(
    `open loop ${target.name}: due ${Math.round(perSecond)}/s, answered ${Math.round(found.perSecond)}/s, p50 ${Math.round(found.p50Us)} µs, p99 ${Math.round(found.p99Us)} µs, one-row commit ${Math.round(commitUs)} µs, generator late p99 ${found.lateP99Us} µs${row.voided.length > 0 ? `, void: ${row.voided[0]}` : ''}`,
  );
  return found;
}
