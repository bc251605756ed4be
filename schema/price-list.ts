/**
 * Price lists: prices of skus in one currency, for some buyers, for some time. A line's unit price is looked up list by list, in order
 * of `priority` and then id, among those that fit the cart; the first that names the sku counts. Where none does, the
 * product's own price counts. A price change that lies ahead is an entry's `changes`, or a list of its own with a validity.
 */
import type { PriceTaxes, Validity } from './rules.ts';

/** Skus in one list. */
export const PRICE_LIST_ENTRIES_MAX = 20_000;
/** Quantity tiers of one price. */
export const TIERS_MAX = 20;
/** Scheduled changes of one entry. */
export const PRICE_CHANGES_MAX = 20;
/** Lists in one book. */
export const PRICE_LISTS_MAX = 500;

/** From this many units of the line on, all its units cost `amount`. */
export interface PriceTier {
  /** 2 to 999. */
  readonly from: number;
  /** Minor units for one. */
  readonly amount: number;
}

export interface ListedPrice {
  /** Minor units for one. */
  readonly amount: number;
  /** `from` strictly rising. Default: none. */
  readonly tiers?: readonly PriceTier[];
  /** A former or usual price, above `amount`: the goods are then on sale. */
  readonly compareAt?: number;
}

export interface PriceListEntry extends ListedPrice {
  /** Each replaces the price before it wholly at its instant; `at` strictly rising. Default: none. */
  readonly changes?: readonly PriceChange[];
}
export interface PriceChange extends ListedPrice {
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface PriceList {
  /** 1 to 64 of A-Z a-z 0-9 . _ -. */
  readonly id: string;
  readonly name: string;
  readonly currency: string;
  /** 0 to 10,000; lower comes first. Default 1,000. */
  readonly priority?: number;
  /** Left out: all buyers, also those in no group. */
  readonly customerGroups?: readonly string[];
  /** Left out: all channels, also none. */
  readonly channels?: readonly string[];
  readonly validity?: Validity;
  /** Default: `as_rate`. */
  readonly priceTaxes?: PriceTaxes;
  /** True: what it sells is on sale, whether or not an entry has `compareAt`. Default false. */
  readonly sale?: boolean;
  /** By sku. */
  readonly entries: Readonly<Record<string, PriceListEntry>>;
}

const NOT_LISTED: readonly string[] = Object.freeze([]);

/** Currencies of the lists that name the sku. */
export function listedIn(lists: readonly PriceList[], sku: string): readonly string[] {
  if (lists.length === 0) return NOT_LISTED;
  return lists.filter(({ entries }) => Object.hasOwn(entries, sku)).map(({ currency }) => currency);
}
