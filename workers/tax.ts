/**
 * Tax by destination. A rate belongs to a country or to one of its regions, and to tax categories; all rates that fit a line
 * apply to it side by side, none on top of another. Rounding is per line and half up.
 *
 * Contained rates come first: of a gross price g with rates that sum to S, `g × S / (1 + S)` is tax, rounded once and then split over the
 * rates, so that it can never be more than g. Added rates are computed on what is left after that.
 */
import type { TaxRate } from '../schema/tax-rate.ts';
import { mulDivHalfUp, PPM, split } from './money.ts';
import type { Destination } from './quote.ts';

/** What one line (or the shipping) comes to, in minor units. */
export interface LineTax {
  readonly added: number;
  readonly included: number;
}
const NONE: LineTax = { added: 0, included: 0 };

/** Sums by rate over a whole cart: index in the book's rates → base (without tax) and amount. */
export type TaxSums = Map<number, { base: number; amount: number }>;

/** The places in the book's list of the rates for the destination, by country then region; categories are left to `taxLine`. */
export function ratesAt(rates: readonly TaxRate[], destination: Destination | null): readonly number[] {
  if (destination === null) return [];
  let byCountry = countries.get(rates);
  if (byCountry === undefined) {
    byCountry = new Map();
    for (const [index, rate] of rates.entries()) {
      if ('zone' in rate) continue;
      const list = byCountry.get(rate.country);
      if (list === undefined) byCountry.set(rate.country, [index]);
      else list.push(index);
    }
    countries.set(rates, byCountry);
  }
  const here = byCountry.get(destination.country) ?? [];
  return here.filter((index) => {
    const rate = rates[index];
    if (rate === undefined || 'zone' in rate) return false;
    return rate.region === null || rate.region === destination.region;
  });
}
// Derived from an immutable list, and gone with it.
const countries = new WeakMap<readonly TaxRate[], Map<string, number[]>>();

/** Taxes `price` (after discount, in minor units) and adds to `sums`. */
export function taxLine(
  rates: readonly TaxRate[],
  here: readonly number[],
  category: string,
  price: number,
  sums: TaxSums,
): LineTax {
  const fitting: { index: number; rate: TaxRate }[] = [];
  for (const index of here) {
    const rate = rates[index];
    if (rate?.categories.includes(category)) fitting.push({ index, rate });
  }
  if (fitting.length === 0) return NONE;
  const contained = fitting.filter(({ rate }) => rate.included);
  const sumPpm = contained.reduce((sum, { rate }) => sum + rate.ratePpm, 0);
  const included = mulDivHalfUp(price, sumPpm, PPM + sumPpm);
  const base = price - included;
  const shares = split(
    included,
    contained.map(({ rate }) => rate.ratePpm),
    contained.map(({ rate }) => rate.id),
  );
  contained.forEach(({ index }, i) => {
    record(sums, index, base, shares[i] ?? 0);
  });
  let added = 0;
  for (const { index, rate } of fitting) {
    if (rate.included) continue;
    const amount = mulDivHalfUp(base, rate.ratePpm, PPM);
    record(sums, index, base, amount);
    added += amount;
  }
  return { added, included };
}

function record(sums: TaxSums, index: number, base: number, amount: number): void {
  const sum = sums.get(index);
  if (sum === undefined) {
    sums.set(index, { base, amount });
  } else {
    sum.base += base;
    sum.amount += amount;
  }
}
