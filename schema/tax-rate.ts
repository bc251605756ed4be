/**
 * Tax rates. A rate belongs to a place and to tax categories; all rates that fit a line apply to it. What they come to is in
 * `workers/tax.ts`.
 */
import type { Validity } from './rules.ts';

export const TAX_RATES_MAX = 20_000;

interface TaxTerms {
  readonly id: string;
  /** As shown to the buyer. */
  readonly name: string;
  /** Tax categories (of products and of shipping) that the rate is for. */
  readonly categories: readonly string[];
  /** 0 to 1,000,000. */
  readonly ratePpm: number;
  /** True: prices contain it. False: it is added on top. */
  readonly included: boolean;
  /**
   * True: computed on the price with the taxes of all rates before it (those that are not compound, then the compound ones in
   * order of their ids). Default false: on the price alone.
   */
  readonly compound?: boolean;
  readonly validity?: Validity;
  /** True: a buyer with a valid id owes it instead of the store (EU VAT between businesses). Default false. */
  readonly reverseCharge?: boolean;
  /** False: also exempt buyers pay it. Default true. */
  readonly exemptible?: boolean;
}
/** A country, or one of its regions. */
export interface CountryTaxRate extends TaxTerms {
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  /** Second half of an ISO 3166-2 code; null: the whole country. A country's and a region's rate both apply. */
  readonly region: string | null;
}
/** A zone, by id: a county or a city by its postal codes, a customs union. */
export interface ZoneTaxRate extends TaxTerms {
  readonly zone: string;
}
export type TaxRate = CountryTaxRate | ZoneTaxRate;
