/**
 * The form of the golden cases: a cart, the few rules that it meets, where the figures are from, and what it must come to. Amounts are
 * minor units. Cases are data: what is computed by hand stands beside them, and no case is written from what the engine says.
 */
import type { TaxRate } from '../../schema/tax-rate.ts';
import type { BookParts, BookProduct } from '../price-book.ts';
import type { PriceRequest } from '../quote.ts';

export interface GoldenCase {
  readonly title: string;
  /** Where the example or the rule is published; what is added to it is said. */
  readonly source: string;
  /** Price of one, or the whole product. The tax category is `standard` where nothing else is said, the category `goods`. */
  readonly goods: Readonly<
    Record<string, number | (Partial<Omit<BookProduct, 'prices'>> & { readonly price: number })>
  >;
  /** Units by sku; the line's id is `lin_` and the sku. */
  readonly cart: Readonly<Record<string, number>>;
  /** Default USD. */
  readonly currency?: string;
  /** Country, region, postal code, separated by a space. Default: none. */
  readonly to?: string;
  readonly rules?: Partial<BookParts>;
  readonly asked?: Partial<PriceRequest>;
  readonly expected: {
    readonly total: number;
    readonly discount?: number;
    readonly taxAdded?: number;
    readonly taxIncluded?: number;
    /** Base and amount by the rate's id. */
    readonly taxes?: Readonly<Record<string, readonly [base: number, amount: number]>>;
    /** Unit prices, discounts, added and contained taxes by sku, where they are said. */
    readonly unitPrice?: Readonly<Record<string, number>>;
    readonly discounts?: Readonly<Record<string, number>>;
    readonly tax?: Readonly<Record<string, number>>;
    readonly contained?: Readonly<Record<string, number>>;
    readonly shipping?: readonly [price: number, tax: number];
    readonly gifts?: readonly string[];
  };
}

/** @param where a country, a country and a region (`US TX`), or `zone:` and an id */
export function rate(id: string, ratePpm: number, where: string, more: Partial<TaxRate> = {}): TaxRate {
  const terms = { id, name: id, categories: ['standard'], ratePpm, included: false, ...more };
  if (where.startsWith('zone:')) return { ...terms, zone: where.slice(5) } as TaxRate;
  const [country = '', region = null] = where.split(' ');
  return { ...terms, country, region } as TaxRate;
}
/** The same, contained in prices. */
export function vat(id: string, ratePpm: number, where: string, more: Partial<TaxRate> = {}): TaxRate {
  return rate(id, ratePpm, where, { included: true, ...more });
}
