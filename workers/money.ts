/**
 * Whole-number arithmetic for money. Every amount is an integer in minor units below 2^53; the limits below prove it for sums:
 * 200 lines × 999 units × 10^10 is 2 × 10^15, and with taxes of 300 % on top still below 2^53, which is 9 × 10^15. Products of an amount with a rate or with another amount
 * may pass 2^53; only those go through BigInt, and no cart of an ordinary size meets one.
 */
import type { TaxRounding } from '../schema/rules.ts';

/** The highest price of one unit, in minor units. */
export const UNIT_PRICE_MAX = 10_000_000_000;
export const QUANTITY_MAX = 999;
export const LINES_MAX = 200;
/** Parts per million: the unit of all rates. */
export const PPM = 1_000_000;

export type RoundingMode = TaxRounding['mode'];

/** `⌊a × b / divisor⌋` for integers a, b ≥ 0 and divisor > 0, exact. */
export function mulDiv(a: number, b: number, divisor: number): number {
  const product = a * b;
  // A product above 2^53 is rounded, but never to below 2^53: the comparison itself is exact.
  if (product <= Number.MAX_SAFE_INTEGER) return compact((product - (product % divisor)) / divisor);
  return Number((BigInt(a) * BigInt(b)) / BigInt(divisor));
}

/**
 * The same value. V8 leaves a quotient of numbers beyond 2^31 in the form of a fraction even where it is a small integer; stored in a field
 * that held none, it changes the shape of all objects of that kind, and code that is compiled already goes on making the old one.
 */
function compact(value: number): number {
  const small = value | 0;
  return small === value ? small : value;
}

/** What `mulDiv` leaves over: `a × b mod divisor`, exact. */
export function mulMod(a: number, b: number, divisor: number): number {
  const product = a * b;
  if (product <= Number.MAX_SAFE_INTEGER) return product % divisor;
  return Number((BigInt(a) * BigInt(b)) % BigInt(divisor));
}

/** `a × b / divisor`, rounded half up. */
export function mulDivHalfUp(a: number, b: number, divisor: number): number {
  const rest = mulMod(a, b, divisor);
  return mulDiv(a, b, divisor) + (rest >= divisor - rest ? 1 : 0);
}

/** `a × b / divisor`, rounded as asked: a half goes up, or to the even neighbour. */
export function mulDivRound(a: number, b: number, divisor: number, mode: RoundingMode): number {
  const whole = mulDiv(a, b, divisor);
  const rest = mulMod(a, b, divisor);
  const gap = rest - (divisor - rest);
  if (gap !== 0) return gap > 0 ? whole + 1 : whole;
  return mode === 'half_up' || whole % 2 === 1 ? whole + 1 : whole;
}

/** `a × num / den`, rounded as asked, for factors that may themselves pass 2^53. */
export function scaleRound(a: number, num: bigint, den: bigint, mode: RoundingMode): number {
  const product = BigInt(a) * num;
  const whole = product / den;
  const twice = 2n * (product % den);
  const up = twice > den || (twice === den && (mode === 'half_up' || whole % 2n === 1n));
  return Number(up ? whole + 1n : whole);
}

/**
 * Splits `amount` in proportion to `weights` by largest remainder: the parts add up to it, none differs from its exact share by
 * one unit or more, and none is above its weight while `amount` is not above their sum. Among equal remainders the lower
 * `ids` comes first, so that the order of the lines does not matter. All weights 0: nothing is split.
 */
export function split(amount: number, weights: readonly number[], ids: readonly string[]): number[] {
  let sum = 0;
  for (const weight of weights) sum += weight;
  if (sum === 0 || amount === 0) return weights.map(() => 0);
  if (weights.length === 1) return [amount];
  if (amount === sum) return weights.slice();
  const parts: number[] = [];
  const left: Remainder<number>[] = [];
  let missing = amount;
  for (let index = 0; index < weights.length; index++) {
    const weight = weights[index] as number;
    const part = mulDiv(amount, weight, sum);
    const rest = mulMod(amount, weight, sum);
    parts.push(part);
    missing -= part;
    if (rest > 0) left.push({ index, rest, id: ids[index] ?? '' });
  }
  if (missing > 0) giveRest(parts, left, missing);
  return parts;
}

/** As `split`, for weights that may pass 2^53. */
export function splitBig(amount: number, weights: readonly bigint[], ids: readonly string[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0n);
  if (sum === 0n || amount === 0) return weights.map(() => 0);
  const parts: number[] = [];
  const left: Remainder<bigint>[] = [];
  let missing = amount;
  weights.forEach((weight, index) => {
    const share = BigInt(amount) * weight;
    const part = Number(share / sum);
    parts.push(part);
    missing -= part;
    if (share % sum > 0n) left.push({ index, rest: share % sum, id: ids[index] ?? '' });
  });
  if (missing > 0) giveRest(parts, left, missing);
  return parts;
}

interface Remainder<N> {
  readonly index: number;
  readonly rest: N;
  readonly id: string;
}

function giveRest<N extends number | bigint>(parts: number[], left: Remainder<N>[], missing: number): void {
  left.sort((a, b) => (a.rest > b.rest ? -1 : a.rest < b.rest ? 1 : a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  for (const { index } of left.slice(0, missing)) parts[index] = (parts[index] ?? 0) + 1;
}
