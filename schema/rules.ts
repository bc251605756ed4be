/**
 * The commercial rules as they are stored: store, coupons, tax rates, shipping methods. Plain documents; what they do to a cart
 * is decided by the pure functions in `workers/`. Amounts are integers in minor units, rates in parts per million
 * (8.25 % = 82,500).
 */

/** Amounts by ISO 4217 code, in minor units. */
export type Amounts = Readonly<Record<string, number>>;

export interface Store {
  readonly defaultCurrency: string;
  /** What a cart may be opened in. */
  readonly currencies: readonly string[];
  /** The shipping method that counts where the buyer has chosen none; null: nothing is shipped by default. */
  readonly defaultShipping: string | null;
}

interface CouponTerms {
  /** Upper case; see `couponCode`. */
  readonly code: string;
  readonly label: string;
  /**
   * The goods must come to this much before any discount. Where it is given, the coupon does nothing in a currency that
   * it does not name.
   */
  readonly minSubtotal?: Amounts;
}
/** Takes a part of what is left of the goods' price after the coupons before it. */
export interface PercentCoupon extends CouponTerms {
  readonly kind: 'percent';
  /** 1 to 1,000,000. */
  readonly ratePpm: number;
}
/** Takes an amount, at most what is left of the goods' price; does nothing in a currency that it does not name. */
export interface FixedCoupon extends CouponTerms {
  readonly kind: 'fixed';
  readonly amounts: Amounts;
}
export type Coupon = PercentCoupon | FixedCoupon;

export interface TaxRate {
  readonly id: string;
  /** As shown to the buyer. */
  readonly name: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  /** Second half of an ISO 3166-2 code; null: the whole country. A country's and a region's rate both apply. */
  readonly region: string | null;
  /** Tax categories (of products and of shipping) that the rate is for. */
  readonly categories: readonly string[];
  /** 0 to 1,000,000. */
  readonly ratePpm: number;
  /** True: prices contain it. False: it is added on top. */
  readonly included: boolean;
}

export interface ShippingZone {
  /** null: everywhere that no zone before it names. */
  readonly countries: readonly string[] | null;
  readonly prices: Amounts;
}
export interface ShippingMethod {
  readonly id: string;
  readonly name: string;
  readonly taxCategory: string;
  /** In order: the first zone that has the destination counts; without a destination the first of all (the store's home). */
  readonly zones: readonly ShippingZone[];
}

/** Codes are compared in upper case without surrounding space. */
export function couponCode(typed: string): string {
  return typed.trim().toUpperCase();
}
