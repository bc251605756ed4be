/**
 * A line's unit price before anything is taken off: from the first price list that fits the cart and names the sku, else the
 * product's own. Lists are looked up by sku in a `Map` that is made once for each list document; a list that fits no cart of
 * this kind costs nothing per line.
 */

import type { PriceTerms } from '../schema/price-book.ts';
import type { ListedPrice, PriceList, PriceListEntry } from '../schema/price-list.ts';
import { PRIORITY_DEFAULT } from '../schema/promotion.ts';
import type { PriceTaxes, Store, Validity } from '../schema/rules.ts';
import type { PriceLine, PriceRequest } from './quote.ts';

/** Places in the book's lists, in place of one. */
export const OWN_PRICE = -1;
/** Locked by a hold: the request says which list, if any. */
export const LOCKED_PRICE = -2;

export interface FoundPrice {
  readonly amount: number;
  /** Place in the book's lists, or one of the two above. */
  readonly list: number;
  readonly tier: number;
  /** -1: none. */
  readonly compareAt: number;
  readonly sale: boolean;
  readonly taxes: PriceTaxes;
}

/** A list that fits the cart. */
export interface OpenList {
  readonly index: number;
  readonly list: PriceList;
  readonly entries: ReadonlyMap<string, PriceListEntry>;
}

const NONE: readonly never[] = Object.freeze([]);
export const AS_RATE: PriceTaxes = Object.freeze({ kind: 'as_rate' });

export function isValid(validity: Validity | undefined, at: number): boolean {
  if (validity === undefined) return true;
  const { from, until } = validity;
  return (from === undefined || at >= from) && (until === undefined || at < until);
}

/** @param allowed left out: any; otherwise the word must be there and among them */
export function isAmong(allowed: readonly string[] | undefined, word: string | null | undefined): boolean {
  return allowed === undefined || (word !== null && word !== undefined && allowed.includes(word));
}

/** Those that fit, in the order in which they are looked at. */
export function openLists(lists: readonly PriceList[], request: PriceRequest): readonly OpenList[] {
  if (lists.length === 0) return NONE;
  const byCurrency = inOrder(lists).get(request.currency);
  if (byCurrency === undefined) return NONE;
  const at = request.at ?? 0;
  return byCurrency.filter(
    ({ list }) =>
      isValid(list.validity, at) &&
      isAmong(list.customerGroups, request.customerGroup) &&
      isAmong(list.channels, request.channel),
  );
}

// Derived from an immutable list, and gone with it.
const ordered = new WeakMap<readonly PriceList[], ReadonlyMap<string, readonly OpenList[]>>();
const maps = new WeakMap<PriceList, ReadonlyMap<string, PriceListEntry>>();

function inOrder(lists: readonly PriceList[]): ReadonlyMap<string, readonly OpenList[]> {
  const known = ordered.get(lists);
  if (known !== undefined) return known;
  const made = new Map<string, OpenList[]>();
  lists.forEach((list, index) => {
    let entries = maps.get(list);
    if (entries === undefined) {
      entries = new Map(Object.entries(list.entries));
      maps.set(list, entries);
    }
    const same = made.get(list.currency);
    if (same === undefined) made.set(list.currency, [{ index, list, entries }]);
    else same.push({ index, list, entries });
  });
  const priority = ({ list }: OpenList) => list.priority ?? PRIORITY_DEFAULT;
  for (const same of made.values()) {
    same.sort((a, b) => priority(a) - priority(b) || (a.list.id < b.list.id ? -1 : 1));
  }
  ordered.set(lists, made);
  return made;
}

/** null: the sku has no price in this currency. */
export function findPrice(
  { store, priceLists }: { readonly store: Store; readonly priceLists: readonly PriceList[] },
  product: PriceTerms,
  line: PriceLine,
  open: readonly OpenList[],
  request: PriceRequest,
): FoundPrice | null {
  if (line.locked !== undefined) return lockedPrice(line.locked, priceLists, store);
  for (const { index, list, entries } of open) {
    const entry = entries.get(line.sku);
    if (entry === undefined) continue;
    const listed = entry.changes === undefined ? entry : current(entry, request.at ?? 0);
    const { amount, tier } = tierOf(listed, line.quantity);
    const compareAt = listed.compareAt !== undefined && listed.compareAt > amount ? listed.compareAt : -1;
    const sale = compareAt >= 0 || list.sale === true;
    return { amount, list: index, tier, compareAt, sale, taxes: list.priceTaxes ?? AS_RATE };
  }
  const amount = ownAmount(product.prices, request.currency);
  if (amount === undefined) return null;
  const before =
    product.compareAtPrices === undefined ? undefined : ownAmount(product.compareAtPrices, request.currency);
  const compareAt = before !== undefined && before > amount ? before : -1;
  const taxes = store.priceTaxes ?? AS_RATE;
  return { amount, list: OWN_PRICE, tier: 1, compareAt, sale: compareAt >= 0, taxes };
}

/** What a locked price says of tax is what its list says, where that is still there. */
function lockedPrice(locked: NonNullable<PriceLine['locked']>, lists: readonly PriceList[], store: Store): FoundPrice {
  const { unitPrice, list, tier = 1, compareAt } = locked;
  const above = compareAt !== undefined && compareAt > unitPrice ? compareAt : -1;
  const from = list === null ? undefined : lists.find(({ id }) => id === list);
  const taxes = (list === null ? store.priceTaxes : from?.priceTaxes) ?? AS_RATE;
  return { amount: unitPrice, list: LOCKED_PRICE, tier, compareAt: above, sale: locked.sale ?? above >= 0, taxes };
}

function current(entry: PriceListEntry, at: number): ListedPrice {
  let price: ListedPrice = entry;
  for (const change of entry.changes ?? NONE) {
    if (change.at > at) break;
    price = change;
  }
  return price;
}

function tierOf({ amount, tiers = NONE }: ListedPrice, quantity: number): { amount: number; tier: number } {
  let reached = { amount, tier: 1 };
  for (const { from, amount: lower } of tiers) {
    if (from > quantity) break;
    reached = { amount: lower, tier: from };
  }
  return reached;
}

/** A currency is three letters, but what is asked for may be any text, even the name of a method of all objects. */
export function ownAmount(amounts: Readonly<Record<string, number>>, currency: string): number | undefined {
  const amount = amounts[currency];
  return typeof amount === 'number' ? amount : undefined;
}
