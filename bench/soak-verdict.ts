/**
 * What a soak fails on. A leak is a slope that goes on: of the heap after a full collection without gaps, of resident memory then, of file handles; over what one
 * process lived after its warm-up, by Theil and Sen (`trend.ts`). What an actor in memory may take is taken off first: actors stay for
 * 5 minutes after their last use, so that in a young process their number rises with the load.
 *
 * The journal grows with the work and with nothing else: bytes for each event are the same in both halves of the run.
 */
import type { JournalSample, NodeSample } from './soak-samples.ts';
import { type Point, slopeOf } from './trend.ts';

export interface SoakLimits {
  /** Of one process, in which nothing is judged: caches fill, code is compiled. */
  readonly warmUpMinutes: number;
  /** A process that lived for less after that is not judged. */
  readonly judgedMinutes: number;
  readonly heapMiBPerMinute: number;
  readonly residentMiBPerMinute: number;
  readonly handlesPerMinute: number;
}

export const SOAK_LIMITS: SoakLimits = {
  warmUpMinutes: 2,
  judgedMinutes: 3,
  heapMiBPerMinute: 0.5,
  residentMiBPerMinute: 3,
  handlesPerMinute: 1,
};

/** For a run of a minute: only what grows by the second is a leak in it. */
export const SHORT_LIMITS: SoakLimits = {
  warmUpMinutes: 0.3,
  judgedMinutes: 0.3,
  heapMiBPerMinute: 30,
  residentMiBPerMinute: 150,
  handlesPerMinute: 60,
};

/** An actor with all that belongs to it; a cart of three lines takes 1.6 KB (`npm run bench:memory`), an order more. */
const MIB_OF_AN_ACTOR = 6 / 1024;
/** More in one half of the run than in the other, at most: pages are filled by chance. */
const JOURNAL_RATIO_MAX = 1.5;

export interface ProcessTrend {
  readonly node: string;
  readonly pid: number;
  readonly judgedMinutes: number;
  readonly heapMiBPerMinute: number;
  readonly residentMiBPerMinute: number;
  readonly handlesPerMinute: number;
}

export interface SoakVerdict {
  readonly trends: readonly ProcessTrend[];
  readonly bytesPerEvent: readonly [firstHalf: number, secondHalf: number];
  /** Empty: it holds. */
  readonly objections: readonly string[];
}

export function judge(
  samples: readonly NodeSample[],
  journal: readonly JournalSample[],
  limits: SoakLimits,
): SoakVerdict {
  const trends: ProcessTrend[] = [];
  for (const pid of new Set(samples.map((sample) => sample.pid))) {
    const own = samples.filter((sample) => sample.pid === pid);
    const trend = trendOf(own, limits);
    if (trend !== null) trends.push(trend);
  }
  const objections = trends.flatMap((trend) => objectionsTo(trend, limits));
  if (trends.length === 0) objections.push('no process lived long enough to be judged');
  const bytesPerEvent = growthOf(journal);
  const [first, second] = bytesPerEvent;
  if (!(second / first <= JOURNAL_RATIO_MAX))
    objections.push(`the journal took ${Math.round(first)} bytes for each event, then ${Math.round(second)}`);
  return { trends, bytesPerEvent, objections };
}

function trendOf(own: readonly NodeSample[], limits: SoakLimits): ProcessTrend | null {
  const [first] = own;
  if (first === undefined) return null;
  const judged = own.filter(({ at }) => at >= first.at + limits.warmUpMinutes);
  const judgedMinutes = (judged.at(-1)?.at ?? 0) - (judged[0]?.at ?? 0);
  if (judgedMinutes < limits.judgedMinutes) return null;
  const slope = (value: (sample: NodeSample) => number) =>
    slopeOf(judged.map((sample): Point => [sample.at, value(sample)]));
  return {
    node: first.node,
    pid: first.pid,
    judgedMinutes,
    heapMiBPerMinute: slope(({ heapMiB, actors }) => heapMiB - actors * MIB_OF_AN_ACTOR),
    residentMiBPerMinute: slope(({ residentMiB, actors }) => residentMiB - actors * MIB_OF_AN_ACTOR),
    handlesPerMinute: slope(({ handles }) => handles),
  };
}

function objectionsTo(trend: ProcessTrend, limits: SoakLimits): string[] {
  const names = ['heapMiBPerMinute', 'residentMiBPerMinute', 'handlesPerMinute'] as const;
  return names
    .filter((name) => !(trend[name] <= limits[name]))
    .map((name) => `${trend.node} (${trend.pid}): ${name} is ${trend[name].toFixed(2)}, allowed ${limits[name]}`);
}

function growthOf(journal: readonly JournalSample[]): [number, number] {
  const middle = journal[journal.length >> 1];
  const between = (from: JournalSample | undefined, to: JournalSample | undefined) =>
    (((to?.mebibytes ?? Number.NaN) - (from?.mebibytes ?? Number.NaN)) * 2 ** 20) /
    ((to?.events ?? Number.NaN) - (from?.events ?? Number.NaN));
  return [between(journal[0], middle), between(middle, journal.at(-1))];
}
