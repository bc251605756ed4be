/**
 * Whole-number arithmetic for money. Every amount is an integer in minor units below 2^53; the limits below prove it for sums:
 * 200 lines × 999 units × 10^10 is 2 × 10^15, and with taxes of 300 % on top still below 2^53, which is 9 × 10^15. Products of an amount with a rate or with another amount
 * may pass 2^53; only those go through BigInt, and no cart of an ordinary size meets one.
 */

/** The highest price of one unit, in minor units. */
export const UNIT_PRICE_MAX = 10_000_000_000;
export const QUANTITY_MAX = 999;
export const LINES_MAX = 200;
/** Parts per million: the unit of all rates. */
export const PPM = 1_000_000;

/** `⌊a × b / divisor⌋` for integers a, b ≥ 0 and divisor > 0, exact. */
export function mulDiv(a: number, b: number, divisor: number): number {
  const product = a * b;
  // A product above 2^53 is rounded, but never to below 2^53: the comparison itself is exact.
  if (product <= Number.MAX_SAFE_INTEGER) return (product - (product % divisor)) / divisor;
  return Number((BigInt(a) * BigInt(b)) / BigInt(divisor));
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
  const parts: number[] = [];
  const left: { index: number; rest: number; id: string }[] = [];
  let missing = amount;
  weights.forEach((weight, index) => {
    const part = mulDiv(amount, weight, sum);
    const rest = mulMod(amount, weight, sum);
    parts.push(part);
    missing -= part;
    if (rest > 0) left.push({ index, rest, id: ids[index] ?? '' });
  });
  if (missing === 0) return parts;
  left.sort((a, b) => b.rest - a.rest || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  for (const { index } of left.slice(0, missing)) parts[index] = (parts[index] ?? 0) + 1;
  return parts;
}
