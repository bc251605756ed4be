/**
 * What may be asked of a coupon actor, and what it answers. One actor counts the uses of one limit: those of a coupon in all
 * (its id is the code), those that one customer has of it (`couponCustomer`), or all orders of a customer (for promotions on the first). It knows usage, never the rules: what the limit is
 * comes with each `hold`, from the version of the price book that the order was priced by. So a raised limit holds at once, and a
 * lowered one refuses new uses only.
 *
 * A use is held like stock. `hold` (owner = order, never expires by itself, counts at once) → `confirm` (used). `release` ends it from
 * either state: an order that fails or is cancelled gives its use back, a refund does not. The order's id is the business key: an
 * order has at most one use of each limit, so every command may come twice, late, or after its opposite.
 *
 * A hold without an expiry is safe for the reason that `sku-protocol.ts` gives: the order and its timer are durable before it
 * is sent; what is delivered after the order's `release` finds a tombstone, and later than that `notAfter` refuses it.
 *
 * `serial` is the number that a hold got when it was taken. With it `confirm` and `release` are exact for ever, although the actor keeps no order
 * ids of confirmed uses, of which there may be a million: one bit each says whether it stands (`coupon-uses.ts`).
 */
export type CouponCommand =
  | { readonly kind: 'get' }
  | {
      readonly kind: 'hold';
      readonly orderId: string;
      /** Held and confirmed uses together do not go beyond it; null: only counted. */
      readonly limit: number | null;
      /** When the order stops wanting it, in milliseconds since the epoch: later than that nothing is taken. */
      readonly notAfter: number;
    }
  | { readonly kind: 'confirm'; readonly orderId: string; readonly serial: number }
  /** `serial` null: the order never heard whether it got one. */
  | { readonly kind: 'release'; readonly orderId: string; readonly serial: number | null };

export interface CouponUsage {
  readonly id: string;
  /** By orders that are not at their end yet. */
  readonly held: number;
  /** By confirmed orders that were not cancelled. */
  readonly used: number;
  /** The actor's sequence. */
  readonly version: number;
}

export type CouponReply =
  | { readonly ok: true; readonly kind: 'usage'; readonly usage: CouponUsage }
  | { readonly ok: true; readonly kind: 'hold'; readonly serial: number }
  | { readonly ok: true; readonly kind: 'done' }
  | { readonly ok: false; readonly code: 'used_up' | 'hold_gone' };

export type CouponRefusal = Extract<CouponReply, { ok: false }>['code'];

/**
 * Id of the actor that counts one customer's uses of a coupon: a stripe for each customer, so that no actor grows with their number.
 * @param customer the keyed hash that stands for the e-mail address or account; never either of them
 */
export function couponCustomer(code: string, customer: string): string {
  return `${code}|${customer}`;
}
