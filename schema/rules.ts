/**
 * What all commercial rules have in common, and the store itself. A rule is a plain document, stored as it is; what it does to a cart
 * is decided by the pure functions in `workers/`. Amounts are integers in minor units, rates in parts per million
 * (8.25 % = 82,500), instants milliseconds since 1970. A field that a document leaves out has the default that stands
 * beside it, so that documents of earlier versions stay readable.
 */

/** Amounts by ISO 4217 code, in minor units. */
export type Amounts = Readonly<Record<string, number>>;

/** When a rule holds: `from` included, `until` excluded, each left out where it has no bound; milliseconds since 1970. */
export interface Validity {
  readonly from?: number;
  readonly until?: number;
}

/**
 * What the stored prices say of tax.
 * - `as_rate`: the number stands in every market. A rate with `included` is contained in it, any other comes on top.
 * - `net`: the price is without tax. Where the destination's rates are contained in prices, it is raised by them.
 * - `gross`: the price contains the taxes of `home`. It is converted where the destination has others.
 */
export type PriceTaxes =
  | { readonly kind: 'as_rate' }
  | { readonly kind: 'net' }
  | { readonly kind: 'gross'; readonly home: { readonly country: string; readonly region?: string } };

/** How taxes are rounded to the minor unit. */
export interface TaxRounding {
  readonly mode: 'half_up' | 'half_even';
  /**
   * `line`: the tax of each rate on each line, and the shipping's, is rounded. `order`: the tax of each rate on the order; what it
   * comes to is then split over the lines by largest remainder.
   */
  readonly per: 'line' | 'order';
}

export interface Store {
  readonly defaultCurrency: string;
  /** What a cart may be opened in. */
  readonly currencies: readonly string[];
  /** The shipping method that counts where the buyer has chosen none; null: nothing is shipped by default. */
  readonly defaultShipping: string | null;
  /** Default: half up, per line. */
  readonly taxRounding?: TaxRounding;
  /** Of the products' own prices; a price list says its own. Default: `as_rate`. */
  readonly priceTaxes?: PriceTaxes;
  /**
   * What shipping is taxed as. `method` (the default): its method's tax category. `goods`: the categories of what is shipped, in
   * proportion to what they cost after discounts; the method's category where they cost nothing.
   */
  readonly shippingTaxedAs?: 'method' | 'goods';
  /** All promotions together take off at most this part of the goods' price; 0 to 1,000,000. Default: no limit. */
  readonly discountMaxPpm?: number;
  /** Groups that a customer can be in. Rules name only these. Default: none. */
  readonly customerGroups?: readonly string[];
  /** Ways of selling (`web`, `pos`). Rules name only these. Default: none. */
  readonly channels?: readonly string[];
}
