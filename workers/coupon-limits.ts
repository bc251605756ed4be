/**
 * What a quote says of how often what took part in it may be used. Pricing counts nothing: it passes on what the book says, so that
 * the limits are those of the version that the cart was priced by. The order holds the uses, at the coupon actors.
 */
import type { PriceBook } from '../schema/price-book.ts';
import type { Quote, QuotedDiscount, QuotedLimit } from './quote.ts';

const NOTHING = Object.freeze({});

export function limitsOf(book: PriceBook, discounts: readonly QuotedDiscount[]): Pick<Quote, 'limits'> {
  if (discounts.length === 0) return NOTHING;
  const limits: QuotedLimit[] = [];
  for (const { code } of discounts) {
    // An automatic promotion is named by its id, which no coupon is called.
    const known = book.coupons.get(code)?.limits;
    if (known === undefined || limits.some((other) => other.code === code)) continue;
    if (known.total !== undefined || known.perCustomer !== undefined) limits.push({ code, ...known });
  }
  return limits.length === 0 ? NOTHING : { limits };
}
