/**
 * Coupons: codes that a shopper types. A coupon either carries its own terms (`percent`, `fixed`: over all goods), or opens a
 * promotion. Its limits are kept by the `coupon` actor, not by pricing.
 */
import type { Amounts, Validity } from './rules.ts';

export interface CouponLimits {
  /** Orders in all, 1 to 1,000,000,000. Left out: no limit. */
  readonly total?: number;
  /** Orders of one customer (account or verified e-mail), 1 to 1,000. Left out: no limit. */
  readonly perCustomer?: number;
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
  readonly validity?: Validity;
  readonly limits?: CouponLimits;
}
/** Takes a part of what is left of the goods' price. */
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
/** Opens a promotion whose `trigger` is `coupon`; several coupons may open the same one, which then applies once. */
export interface PromotionCoupon extends CouponTerms {
  readonly kind: 'promotion';
  readonly promotion: string;
}
export type Coupon = PercentCoupon | FixedCoupon | PromotionCoupon;

/** Codes are compared in upper case without surrounding space. */
export function couponCode(typed: string): string {
  return typed.trim().toUpperCase();
}
