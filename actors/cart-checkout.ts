/**
 * The cart's side of a checkout: one event freezes the cart and names the order; the order is told until it has
 * answered; its result opens the cart again or closes it for good. Relies on the order actor to report a failure only
 * after the cart's own holds are back, and promises one order in the making for each cart, whatever keys are used.
 */
import type { DecideContext, KeyRef } from '../runtime/actor.ts';
import { invariant } from '../runtime/fault.ts';
import { CART, type CartDecision, isUnsettled, refuse } from './cart-lines.ts';
import type { CartCommand, CartReply, CheckoutResult, CheckoutResultMessage } from './cart-protocol.ts';
import { type CartCheckout, type CartState, isLive, lockedPrice } from './cart-state.ts';
import type { OrderLineRequest } from './order-protocol.ts';

type Checkout = Extract<CartCommand, { kind: 'checkout' }>;
type Failed = Extract<CheckoutResult, { outcome: 'failed' }>;

/** A checkout that comes while one is under way: its own caller waits with the first, any other is refused. */
export function joinCheckout(checkout: CartCheckout, key: KeyRef | undefined): CartDecision {
  if (key?.hash !== checkout.key.hash) return refuse('checkout_in_progress', { orderId: checkout.orderId });
  if (key.fingerprint !== checkout.key.fingerprint) return refuse('idempotency_key_reused');
  return { park: checkout.orderId };
}

/** The cart is open and no hold is being asked for. */
export function startCheckout(state: CartState, { request }: Checkout, ctx: DecideContext): CartDecision {
  const { key, now } = ctx;
  invariant(key !== undefined, 'a checkout has a key');
  // The order adopts holds as they stand at the sku: wait until they stand as the lines say.
  if (state.lines.some(isUnsettled)) return { defer: true };
  if (state.lines.length === 0) return refuse('cart_empty', { checkout: true });
  const lapsed = state.lines.filter((line) => line.hold !== null && !isLive(line.hold, now));
  if (lapsed.length > 0) return refuse('hold_expired', { checkout: true, skus: lapsed.map((line) => line.sku) });
  const orderId = ctx.newId('ord');
  const lines = state.lines.map(({ id, sku, quantity, hold }): OrderLineRequest => {
    const locked = lockedPrice(state, hold, now);
    return { id, sku, quantity, cartHoldId: hold?.id ?? null, ...(locked === undefined ? {} : { locked }) };
  });
  const { currency, coupons, shippingMethod, facts } = state;
  const said = facts === null ? {} : { facts };
  const frozen = { kind: 'start' as const, cartId: state.id, currency, lines, coupons, shippingMethod, ...said };
  return {
    events: [{ kind: 'checkout_started', at: now, orderId, key, start: { ...frozen, ...request } }],
    park: orderId,
  };
}

function failureReply(checkout: CartCheckout, result: Failed): CartReply {
  return {
    ok: false,
    code: result.code,
    checkout: true,
    ...(result.skus === undefined ? {} : { skus: result.skus }),
    ...(result.coupons === undefined ? {} : { coupons: result.coupons }),
    ...(result.declineCode === undefined ? {} : { declineCode: result.declineCode }),
    ...(result.code === 'price_changed' ? { destination: checkout.destination } : {}),
    ...(result.firstOrder === undefined ? {} : { firstOrder: result.firstOrder }),
  };
}

/** A result that is late, repeated, or of another order is acknowledged and changes nothing. */
export function endCheckout(state: CartState, message: CheckoutResultMessage, ctx: DecideContext): CartDecision {
  const { orderId, result } = message;
  const { checkout } = state;
  if (state.status !== 'checking_out' || checkout?.orderId !== orderId) return { reply: CART };
  const { key } = checkout;
  if (result.outcome === 'confirmed') {
    const reply: CartReply = { ok: true, kind: 'order', order: result.order };
    return {
      events: [{ kind: 'checked_out', at: ctx.now }],
      reply: CART,
      settle: [{ token: orderId, key, reply }],
    };
  }
  const goneHoldIds = result.returned.filter((hold) => hold.expiresAt === null).map((hold) => hold.holdId);
  const gone = result.gifts === undefined ? {} : { goneGifts: result.gifts };
  return {
    events: [{ kind: 'checkout_failed', at: ctx.now, code: result.code, goneHoldIds, ...gone }],
    reply: CART,
    settle: [{ token: orderId, key, reply: failureReply(checkout, result) }],
  };
}
