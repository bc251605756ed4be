/**
 * What may be concluded from few noisy runs. Ratios are taken round by round (both runs of a round met the same noise), in logarithms,
 * since a ratio and its inverse must say the same; their interval is Student's at 95 %. Growth is a straight line through the logarithms.
 * Pure.
 */
import { median } from './machine.ts';

export interface Ratio {
  /** Median over the rounds. */
  readonly value: number;
  /** 95 % interval of the ratio; null where one round alone says nothing of it. */
  readonly low: number | null;
  readonly high: number | null;
  /** The interval has 1 in it: no difference was shown. */
  readonly insideNoise: boolean;
}

/** Two-sided 95 % points of Student's distribution for 1, 2, … degrees of freedom. */
const STUDENT_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086,
];

function student95(freedom: number): number {
  if (freedom < 1) return Number.POSITIVE_INFINITY;
  return STUDENT_95[freedom - 1] ?? 1.96 + 2.4 / freedom;
}

/** @param over and @param under by round; rounds in which one of them was void are left out by the caller */
export function ratioOf(over: readonly number[], under: readonly number[]): Ratio {
  const logs = over.map((value, round) => Math.log(value / (under[round] ?? Number.NaN)));
  if (logs.length === 0 || !logs.every(Number.isFinite))
    return { value: Number.NaN, low: null, high: null, insideNoise: true };
  const value = Math.exp(median(logs));
  if (logs.length === 1) return { value, low: null, high: null, insideNoise: true };
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
  const half = student95(logs.length - 1) * Math.sqrt(variance / logs.length);
  const [low, high] = [Math.exp(mean - half), Math.exp(mean + half)];
  return { value, low, high, insideNoise: low <= 1 && high >= 1 };
}

export interface Fit {
  /** y grows as x to this power: 0 is flat, 1 is linear. */
  readonly exponent: number;
  /** 95 % interval; null where two points alone say nothing of it. */
  readonly low: number | null;
  readonly high: number | null;
}

/** Least squares through the logarithms, with the 95 % interval of the slope; null for fewer than two different x. */
export function fitPower(points: readonly (readonly [x: number, y: number])[]): Fit | null {
  const logs = points.filter(([x, y]) => x > 0 && y > 0).map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const n = logs.length;
  const meanX = logs.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = logs.reduce((sum, [, y]) => sum + y, 0) / n;
  let xx = 0;
  let xy = 0;
  for (const [x, y] of logs) {
    xx += (x - meanX) ** 2;
    xy += (x - meanX) * (y - meanY);
  }
  if (n < 2 || xx === 0) return null;
  const exponent = xy / xx;
  if (n === 2) return { exponent, low: null, high: null };
  const residual = logs.reduce((sum, [x, y]) => sum + (y - meanY - exponent * (x - meanX)) ** 2, 0);
  const half = student95(n - 2) * Math.sqrt(residual / (n - 2) / xx);
  return { exponent, low: exponent - half, high: exponent + half };
}

/** "0.05 (0.01 to 0.09)". */
export function exponentText({ exponent, low, high }: Fit): string {
  return `${exponent.toFixed(2)}${low === null || high === null ? '' : ` (${low.toFixed(2)} to ${high.toFixed(2)})`}`;
}

/** "1.23 (1.10–1.40)", with a word where it is inside the noise. */
export function ratioText({ value, low, high, insideNoise }: Ratio): string {
  if (!Number.isFinite(value)) return 'not known: every round was void';
  const interval = low === null || high === null ? 'one round' : `${figure(low)}–${figure(high)}`;
  return `${figure(value)} (${interval}${insideNoise && low !== null ? ', inside the noise' : ''})`;
}

function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** Half the distance between the least and the most, as a share of the median. */
export function spreadOf(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / 2 / median(values);
}
