/**
 * What changed between two results, beyond noise: rates of the same rows by Welch's interval of the logarithms of their rounds, ratios where their intervals
 * lie apart. What is inside the noise is counted, not listed.
 */
import type { BenchResult } from './result.ts';

export interface Change {
  readonly name: string;
  readonly before: number;
  readonly after: number;
  /** After ÷ before, with its 95 % interval. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

export interface Comparison {
  readonly changes: readonly Change[];
  readonly insideNoise: number;
  /** Of one result only. */
  readonly unmatched: readonly string[];
}

/** Of so few rounds the normal distribution is too sure of itself: as Student's with 2 degrees of freedom. */
const WIDTH = 4.303;

export function compare(a: BenchResult, b: BenchResult): Comparison {
  const [before, after] = [samplesOf(a), samplesOf(b)];
  const changes: Change[] = [];
  let insideNoise = 0;
  for (const [name, one] of before) {
    const other = after.get(name);
    if (other === undefined) continue;
    const change = changeOf(name, one, other);
    if (change === null) insideNoise++;
    else changes.push(change);
  }
  const unmatched = [...before.keys(), ...after.keys()].filter((name) => !before.has(name) || !after.has(name));
  return { changes, insideNoise, unmatched };
}

function samplesOf({ rows, orders, growth }: BenchResult): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, readonly number[]>();
  for (const row of rows)
    if (row.voided.length === 0) found.set(`${row.name}, ${row.connections} connections, per second`, row.samples);
  if (orders !== null) found.set('orders with their jobs done, per second', orders.settledPerSecond);
  for (const curve of growth)
    found.set(
      `${curve.title}, µs of CPU`,
      curve.points.map(({ cpuUs }) => cpuUs),
    );
  return found;
}

function changeOf(name: string, a: readonly number[], b: readonly number[]): Change | null {
  if (a.length < 2 || b.length < 2) return null;
  const [one, other] = [logarithms(a), logarithms(b)];
  const difference = other.mean - one.mean;
  const half = WIDTH * Math.sqrt(one.variance / a.length + other.variance / b.length);
  // Nor is there a change where a figure is 0, which has no logarithm.
  if (!(Math.abs(difference) > half)) return null;
  return {
    name,
    before: Math.exp(one.mean),
    after: Math.exp(other.mean),
    ratio: Math.exp(difference),
    low: Math.exp(difference - half),
    high: Math.exp(difference + half),
  };
}

function logarithms(values: readonly number[]): { mean: number; variance: number } {
  const logs = values.map(Math.log);
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  return { mean, variance: logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1) };
}

export function comparisonText({ changes, insideNoise, unmatched }: Comparison): string[] {
  const lines = changes.map(
    ({ name, before, after, ratio, low, high }) =>
      `${name}: ${before.toFixed(0)} → ${after.toFixed(0)}, ${ratio.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`,
  );
  lines.push(`inside the noise: ${insideNoise}`);
  if (unmatched.length > 0) lines.push(`in one of them only: ${unmatched.join('; ')}`);
  return lines;
}
