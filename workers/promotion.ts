/**
 * Coupons. They apply one after another in a fixed order, percentages before amounts and then by code, each to what the ones before
 * it have left of each line; so the result depends neither on the order in which they were typed nor on that of the lines.
 */
import { type Coupon, couponCode } from '../schema/coupon.ts';
import { mulDivHalfUp, PPM, split } from './money.ts';

export interface AppliedCoupon {
  /** Its place among the codes that were asked for. */
  readonly position: number;
  /** What it takes off, in minor units; 0: it does nothing here. */
  readonly amount: number;
}

/**
 * Adds to `discounts[i]` what the coupons take off line i; it never comes to be above `subtotals[i]`. An unknown code takes off
 * nothing. Of a code that is given twice the second is left out.
 */
export function applyCoupons(
  codes: readonly string[],
  coupons: ReadonlyMap<string, Coupon>,
  currency: string,
  ids: readonly string[],
  subtotals: readonly number[],
  discounts: number[],
): AppliedCoupon[] {
  const asked = distinct(codes).map(({ code, position }) => ({ code, position, coupon: coupons.get(code) }));
  asked.sort((a, b) => rank(a.coupon) - rank(b.coupon) || (a.code < b.code ? -1 : 1));
  const goods = subtotals.reduce((sum, subtotal) => sum + subtotal, 0);
  return asked.map(({ position, coupon }) => {
    const weights = subtotals.map((subtotal, i) => subtotal - (discounts[i] ?? 0));
    const left = weights.reduce((sum, weight) => sum + weight, 0);
    const amount = coupon === undefined || !meetsMinimum(coupon, currency, goods) ? 0 : worth(coupon, currency, left);
    if (amount > 0) {
      split(amount, weights, ids).forEach((part, i) => {
        discounts[i] = (discounts[i] ?? 0) + part;
      });
    }
    return { position, amount };
  });
}

function distinct(codes: readonly string[]): { code: string; position: number }[] {
  const seen = new Map<string, number>();
  codes.forEach((typed, position) => {
    const code = couponCode(typed);
    if (!seen.has(code)) seen.set(code, position);
  });
  return [...seen].map(([code, position]) => ({ code, position }));
}

function rank(coupon: Coupon | undefined): number {
  return coupon === undefined ? 2 : coupon.kind === 'percent' ? 0 : 1;
}

function meetsMinimum(coupon: Coupon, currency: string, goods: number): boolean {
  if (coupon.minSubtotal === undefined) return true;
  const minimum = coupon.minSubtotal[currency];
  return minimum !== undefined && goods >= minimum;
}

function worth(coupon: Coupon, currency: string, left: number): number {
  switch (coupon.kind) {
    case 'percent':
      return mulDivHalfUp(left, coupon.ratePpm, PPM);
    case 'fixed':
      return Math.min(coupon.amounts[currency] ?? 0, left);
    case 'promotion':
      return 0;
  }
}
