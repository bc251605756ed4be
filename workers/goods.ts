/**
 * The goods of a cart while it is priced: a line with its price before anything is taken off, and what promotions have
 * left of it. Made by `pricing.ts`, changed by promotions and taxes, written down at the end.
 */
import type { PriceTerms } from '../schema/price-book.ts';
import type { FoundPrice } from './price-lookup.ts';
import type { TaxSet } from './tax-place.ts';

export interface GoodsLine {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  /** undefined: there is none, or it has no price; then all amounts are 0 and nothing applies to it. */
  readonly product: PriceTerms | undefined;
  /** Where the price is from; null: there is none. */
  readonly found: FoundPrice | null;
  readonly unitPrice: number;
  readonly subtotal: number;
  readonly onSale: boolean;
  readonly set: TaxSet;
  /** `subtotal` less all discounts. */
  left: number;
  /** What took something off: source, amount and units, one after the other; null: nothing did. Sources as in `promotion.ts`. */
  discounts: number[] | null;
  /** The name that tax results have in `tax.ts`. */
  price: number;
  added: number;
  included: number;
}

/** What shipping is asked for. */
export interface Parcel {
  /** Of all goods, before discounts: so that no discount makes the shipping dearer. */
  readonly subtotal: number;
  readonly weightGrams: number;
  /** Units that are shipped. */
  readonly items: number;
}

export function parcelOf(lines: readonly GoodsLine[]): Parcel {
  let subtotal = 0;
  let weightGrams = 0;
  let items = 0;
  for (const line of lines) {
    const { product, quantity } = line;
    if (product === undefined) continue;
    subtotal += line.subtotal;
    if (product.digital === true) continue;
    items += quantity;
    weightGrams += (product.weightGrams ?? 0) * quantity;
  }
  return { subtotal, weightGrams, items };
}

/** By line id: the order that decides where the lines' own order must not. */
export function byId(a: GoodsLine, b: GoodsLine): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
