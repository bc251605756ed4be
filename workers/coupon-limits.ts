/**
 * What a quote says of how often what took part in it may be used. Pricing counts nothing: it passes on what the book says, so that
 * the limits are those of the version that the cart was priced by. The order holds the uses, at the coupon actors.
 */
import type { PriceBook } from '../schema/price-book.ts';
import { isForFirstOrders, type Promotion } from '../schema/promotion.ts';
import type { Quote, QuotedDiscount, QuotedLimit } from './quote.ts';

const NOTHING = Object.freeze({});

export function limitsOf(book: PriceBook, discounts: readonly QuotedDiscount[]): Pick<Quote, 'limits' | 'firstOrder'> {
  if (discounts.length === 0) return NOTHING;
  const first = discounts.some(
    ({ promotion }) => promotion !== undefined && firstOrders(book.promotions).has(promotion),
  );
  const limits: QuotedLimit[] = [];
  for (const { code } of discounts) {
    // An automatic promotion is named by its id, which no coupon is called.
    const stated = book.coupons.get(code)?.limits;
    if (stated === undefined || limits.some((other) => other.code === code)) continue;
    if (stated.total !== undefined || stated.perCustomer !== undefined) limits.push({ code, ...stated });
  }
  if (limits.length === 0) return first ? FIRST : NOTHING;
  return first ? { limits, ...FIRST } : { limits };
}

const FIRST = Object.freeze({ firstOrder: true });
const known = new WeakMap<readonly Promotion[], ReadonlySet<string>>();

/** Ids of the promotions for first orders; found once for each list of promotions. */
function firstOrders(promotions: readonly Promotion[]): ReadonlySet<string> {
  let ids = known.get(promotions);
  if (ids === undefined) {
    ids = new Set(promotions.filter(isForFirstOrders).map(({ id }) => id));
    known.set(promotions, ids);
  }
  return ids;
}
