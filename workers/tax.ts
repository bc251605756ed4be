/**
 * What taxes come to. Contained rates come first: of a gross price g with rates that sum to S, `g × S / (1 + S)` is tax, rounded once
 * and then split over the rates by largest remainder, so that it can never be more than g. Added rates are computed on what is left after that, each
 * rounded by itself. A compound rate is computed on the price with the taxes before it.
 *
 * Rounded per line, a line's tax depends on that line alone. Rounded per order, each rate's tax is computed on the sum of all it is
 * for (shipping too) and split over that by largest remainder; contained rates are taken together where they are the same.
 */
import type { TaxRounding } from '../schema/rules.ts';
import { mulDivRound, PPM, type RoundingMode, scaleRound, split, splitBig } from './money.ts';
import type { Factor, FittingRate, TaxSet } from './tax-place.ts';

/** What is taxed: a line after its discounts, or (a part of) the shipping. */
export interface Taxed {
  readonly id: string;
  readonly set: TaxSet;
  /** Minor units, after discount. */
  readonly price: number;
  /** Results. */
  added: number;
  included: number;
}

/**
 * Sums by rate over a whole cart: index in the book's rates, base and amount. A rate that is spared has amount 0. A cart meets a few rates at
 * most, so they are looked for one by one.
 */
export class TaxSums {
  readonly #sums: { readonly index: number; base: number; amount: number }[] = [];

  add(index: number, base: number, amount: number): void {
    for (const sum of this.#sums) {
      if (sum.index !== index) continue;
      sum.base += base;
      sum.amount += amount;
      return;
    }
    this.#sums.push({ index, base, amount });
  }

  /** Their number, then each, in the order of the book. */
  write(out: number[]): void {
    const sums = this.#sums;
    if (sums.length > 1) sums.sort((a, b) => a.index - b.index);
    out.push(sums.length);
    for (const { index, base, amount } of sums) out.push(index, base, amount);
  }
}

export const PER_LINE: TaxRounding = Object.freeze({ mode: 'half_up', per: 'line' });

/** Taxes the lines and the parts of the shipping: writes their results, and adds to `sums`. */
export function taxAll(lines: readonly Taxed[], parts: readonly Taxed[], rounding: TaxRounding, sums: TaxSums): void {
  if (rounding.per === 'order') {
    taxOrder([...lines, ...parts], rounding.mode, sums);
    return;
  }
  for (const line of lines) taxOne(line, rounding.mode, sums);
  for (const part of parts) taxOne(part, rounding.mode, sums);
}

/** `price` with the taxes of `from` in it, as one with those of `to` instead. */
export function convert(price: number, from: Factor | null, to: Factor | null, mode: RoundingMode): number {
  if (from === to) return price;
  const num = (to?.num ?? 1n) * (from?.den ?? 1n);
  const den = (to?.den ?? 1n) * (from?.num ?? 1n);
  return num === den ? price : scaleRound(price, num, den, mode);
}

function taxOne(one: Taxed, mode: RoundingMode, sums: TaxSums): void {
  const { set, price } = one;
  if (set.spared.length > 0) for (const { index } of set.spared) sums.add(index, price, 0);
  let base = price;
  if (set.factor !== null) {
    one.included = containedTax(price, set.factor, mode);
    base = price - one.included;
    recordContained(set.contained, one.included, base, sums);
  } else if (set.contained.length > 0) recordContained(set.contained, 0, base, sums);
  let added = 0;
  for (const { index, ratePpm, compound } of set.added) {
    const on = compound ? base + added : base;
    const amount = mulDivRound(on, ratePpm, PPM, mode);
    sums.add(index, on, amount);
    added += amount;
  }
  one.added = added;
}

function containedTax(price: number, { num, den, simplePpm }: Factor, mode: RoundingMode): number {
  if (simplePpm > 0) return mulDivRound(price, simplePpm, PPM + simplePpm, mode);
  return scaleRound(price, num - den, num, mode);
}

function recordContained(rates: readonly FittingRate[], tax: number, base: number, sums: TaxSums): void {
  const first = rates[0];
  if (first !== undefined && rates.length === 1) {
    sums.add(first.index, base, tax);
    return;
  }
  const shares = sharesOf(rates, tax);
  let before = 0;
  rates.forEach(({ index, compound }, i) => {
    const share = shares[i] ?? 0;
    sums.add(index, compound ? base + before : base, share);
    before += share;
  });
}

function sharesOf(rates: readonly FittingRate[], tax: number): readonly number[] {
  const ids = rates.map(({ id }) => id);
  if (!rates.some(({ compound }) => compound)) {
    return split(
      tax,
      rates.map(({ ratePpm }) => ratePpm),
      ids,
    );
  }
  // Of a net price of 1, in units of PPM to the power of `level`: what each rate adds, the compound ones on all before them.
  let weights: bigint[] = [];
  let sum = BigInt(PPM);
  for (const { ratePpm, compound } of rates) {
    if (compound) {
      weights = weights.map((weight) => weight * BigInt(PPM));
      const weight = sum * BigInt(ratePpm);
      weights.push(weight);
      sum = sum * BigInt(PPM) + weight;
    } else {
      weights.push(BigInt(ratePpm));
      sum += BigInt(ratePpm);
    }
  }
  return splitBig(tax, weights, ids);
}

function taxOrder(taxed: readonly Taxed[], mode: RoundingMode, sums: TaxSums): void {
  for (const one of taxed) for (const { index } of one.set.spared) sums.add(index, one.price, 0);
  const bases = containedByOrder(taxed, mode, sums);
  const rates = new Map<number, FittingRate>();
  for (const { set } of taxed) for (const rate of set.added) rates.set(rate.index, rate);
  const inOrder = [...rates.values()].sort((a, b) => Number(a.compound) - Number(b.compound) || a.index - b.index);
  for (const { index, ratePpm, compound } of inOrder) {
    const mine = [...taxed.keys()].filter((i) => taxed[i]?.set.added.some((rate) => rate.index === index));
    const on = mine.map((i) => (bases[i] ?? 0) + (compound ? (taxed[i]?.added ?? 0) : 0));
    const sum = on.reduce((total, base) => total + base, 0);
    const amount = mulDivRound(sum, ratePpm, PPM, mode);
    sums.add(index, sum, amount);
    const parts = split(amount, on, idsOf(taxed, mine));
    mine.forEach((i, at) => {
      const one = taxed[i];
      if (one !== undefined) one.added += parts[at] ?? 0;
    });
  }
}

/** @returns what each is without its contained taxes */
function containedByOrder(taxed: readonly Taxed[], mode: RoundingMode, sums: TaxSums): number[] {
  const groups = new Map<string, number[]>();
  taxed.forEach(({ set }, i) => {
    if (set.contained.length === 0) return;
    const key = set.contained.map(({ index }) => index).join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  });
  const bases = taxed.map(({ price }) => price);
  for (const group of groups.values()) {
    const set = taxed[group[0] ?? 0]?.set;
    if (set === undefined) continue;
    const prices = group.map((i) => taxed[i]?.price ?? 0);
    const gross = prices.reduce((total, price) => total + price, 0);
    const tax = set.factor === null ? 0 : containedTax(gross, set.factor, mode);
    recordContained(set.contained, tax, gross - tax, sums);
    const parts = split(tax, prices, idsOf(taxed, group));
    group.forEach((i, at) => {
      const one = taxed[i];
      if (one !== undefined) one.included = parts[at] ?? 0;
      bases[i] = (bases[i] ?? 0) - (parts[at] ?? 0);
    });
  }
  return bases;
}

function idsOf(taxed: readonly Taxed[], places: readonly number[]): string[] {
  return places.map((i) => taxed[i]?.id ?? '');
}
