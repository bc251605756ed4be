/**
 * The actor types of the shop: the one place to name a new one.
 */
import type { AnyActorType } from '../runtime/actor.ts';
import { cart } from './cart.ts';
import { coupon } from './coupon.ts';
import { createOrder, type OrderOptions } from './order.ts';
import { sku } from './sku.ts';

export function actorTypes(options: { readonly order?: OrderOptions } = {}): AnyActorType[] {
  return [sku, cart, createOrder(options.order), coupon];
}
