/**
 * Whether a promotion is open to a cart. Looked at is the cart before any discount, so that no promotion opens or closes
 * another and the answer depends on no order.
 */
import type { Coupon } from '../schema/coupon.ts';
import { inZone, type Zone } from '../schema/zone.ts';
import type { GoodsLine } from './goods.ts';
import { isAmong, isValid, ownAmount } from './price-lookup.ts';
import { type ReadyGoods, type ReadyPromotion, selects } from './promotion-index.ts';
import type { PriceRequest } from './quote.ts';

/** Why a promotion does nothing in a cart. */
export type Closed =
  | 'not_valid_now'
  | 'customer_group'
  | 'channel'
  | 'not_first_order'
  | 'destination'
  | 'goods'
  | 'min_subtotal';

/** null: it is open. */
export function closedBecause(
  { promotion, goods }: ReadyPromotion,
  lines: readonly GoodsLine[],
  zones: ReadonlyMap<string, Zone>,
  request: PriceRequest,
): Closed | null {
  if (!isValid(promotion.validity, request.at ?? 0)) return 'not_valid_now';
  const { conditions } = promotion;
  if (conditions === undefined) return null;
  if (!isAmong(conditions.customerGroups, request.customerGroup)) return 'customer_group';
  if (!isAmong(conditions.channels, request.channel)) return 'channel';
  if (conditions.firstOrder === true && request.firstOrder !== true) return 'not_first_order';
  if (conditions.zones !== undefined && !isIn(conditions.zones, zones, request)) return 'destination';
  for (const one of goods) if (!hasGoods(one, lines, request.currency)) return 'goods';
  return null;
}

/** The coupon's own conditions, whether it opens a promotion or has terms. */
export function couponClosedBecause(coupon: Coupon, lines: readonly GoodsLine[], request: PriceRequest): Closed | null {
  if (!isValid(coupon.validity, request.at ?? 0)) return 'not_valid_now';
  if (coupon.minSubtotal === undefined) return null;
  const minimum = ownAmount(coupon.minSubtotal, request.currency);
  let goods = 0;
  for (const { subtotal } of lines) goods += subtotal;
  return minimum !== undefined && goods >= minimum ? null : 'min_subtotal';
}

function isIn(ids: readonly string[], zones: ReadonlyMap<string, Zone>, { destination }: PriceRequest): boolean {
  if (destination === null) return false;
  return ids.some((id) => {
    const zone = zones.get(id);
    return zone !== undefined && inZone(zone, destination);
  });
}

function hasGoods({ condition, items }: ReadyGoods, lines: readonly GoodsLine[], currency: string): boolean {
  let units = 0;
  let sum = 0;
  for (const line of lines) {
    if (!selects(items, line)) continue;
    units += line.quantity;
    sum += line.subtotal;
  }
  const { quantity, subtotal } = condition;
  if (quantity?.min !== undefined && units < quantity.min) return false;
  if (quantity?.max !== undefined && units > quantity.max) return false;
  if (subtotal?.min !== undefined && !(sum >= (ownAmount(subtotal.min, currency) ?? Number.POSITIVE_INFINITY)))
    return false;
  return subtotal?.max === undefined || sum <= (ownAmount(subtotal.max, currency) ?? -1);
}
