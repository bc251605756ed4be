/**
 * When a price book changes by itself: the instants at which one of its rules begins, ends, or changes a price. Between two of
 * them the same request comes to the same quote, whenever it is asked.
 */
import type { PriceBook } from '../schema/price-book.ts';
import type { Validity } from '../schema/rules.ts';

// Derived from an immutable book, and gone with it.
const instants = new WeakMap<PriceBook, readonly number[]>();
const ofRules = new WeakMap<object, readonly number[]>();
const NONE: readonly number[] = Object.freeze([]);

/** The first instant after `at` (milliseconds since 1970); undefined: nothing changes by itself any more. */
export function nextChange(book: PriceBook, at: number): number | undefined {
  let all = instants.get(book);
  if (all === undefined) {
    all = instantsOf(book);
    instants.set(book, all);
  }
  if (all.length === 0) return undefined;
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((all[middle] as number) <= at) low = middle + 1;
    else high = middle;
  }
  return all[low];
}

function instantsOf({ priceLists, promotions, coupons, taxRates, shippingMethods }: PriceBook): readonly number[] {
  const all = new Set<number>();
  for (const rules of [promotions, taxRates, shippingMethods]) for (const at of known(rules, () => rules)) all.add(at);
  for (const at of known(coupons, () => coupons.values())) all.add(at);
  for (const list of priceLists) {
    if (list.validity !== undefined) for (const at of ends(list.validity)) all.add(at);
    for (const at of known(list.entries, () => changesIn(list.entries))) all.add(at);
  }
  return all.size === 0 ? NONE : [...all].sort((a, b) => a - b);
}

function known(key: object, rules: () => Iterable<{ readonly validity?: Validity }>): readonly number[] {
  let found = ofRules.get(key);
  if (found === undefined) {
    const all = new Set<number>();
    for (const { validity } of rules()) if (validity !== undefined) for (const at of ends(validity)) all.add(at);
    found = all.size === 0 ? NONE : [...all];
    ofRules.set(key, found);
  }
  return found;
}

function* changesIn(entries: PriceBook['priceLists'][number]['entries']): Iterable<{ readonly validity: Validity }> {
  for (const { changes } of Object.values(entries)) {
    for (const { at } of changes ?? []) yield { validity: { from: at } };
  }
}

function ends({ from, until }: Validity): number[] {
  return [from, until].filter((at) => at !== undefined);
}
