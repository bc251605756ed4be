/**
 * The cart actor: which command is open to a cart in which state, and what comes to it from other actors. What a shopper
 * changes is in `cart-lines.ts`, the checkout in `cart-checkout.ts`, what events do in `cart-state.ts`.
 *
 * Promises: a command that changes nothing writes nothing; nothing that another actor sends ever waits behind a
 * shopper's command (so no two actors wait for each other); a cart that nobody touched for 30 days ends by itself and gives
 * its holds back; a week later it asks for its clean-up, by a job that is written with that decision.
 */
import type { ActorType, DecideContext, Effect, RuntimeCommand } from '../runtime/actor.ts';
import { endCheckout, joinCheckout, startCheckout } from './cart-checkout.ts';
import { type CartEvent, downgradeCart } from './cart-events.ts';
import {
  CART,
  type CartDecision,
  collectHoldEffects,
  decideEdit,
  decideHoldAnswer,
  isUnsettled,
  refuse,
} from './cart-lines.ts';
import type { CartCommand, CartEdit, CartGlance, CartReply } from './cart-protocol.ts';
import {
  applyCart,
  type CartState,
  initialCart,
  lineOfHold,
  lockedPrice,
  restoreCart,
  snapshotCart,
} from './cart-state.ts';
import type { SkuReply } from './sku-protocol.ts';

export type { CartEvent } from './cart-events.ts';
export type {
  CartCommand,
  CartGlance,
  CartRefusal,
  CartReply,
  CartStatus,
  CheckoutFailure,
  CheckoutRequest,
  CheckoutResult,
  ProductTerms,
  SealedContact,
} from './cart-protocol.ts';
export { type CartHold, type CartLine, type CartState, isLive } from './cart-state.ts';

const NO_EFFECTS: readonly Effect[] = [];

/** What time has brought, before the command is looked at: the end of a wait for a sku, of the cart itself, or of its history. */
function whatIsDue(state: CartState, now: number): CartDecision | null {
  const cleanupAt = cleanupDue(state);
  if (cleanupAt !== null && now >= cleanupAt) {
    const id = `cart-cleanup:${state.id}`;
    return {
      events: [{ kind: 'cleanup_asked', at: now }],
      outboxAdd: [{ id, job: 'cart_cleanup', doc: { cartId: state.id } }],
    };
  }
  if (state.status !== 'open') return null;
  if (now >= state.expiresAt) return { events: [{ kind: 'expired', at: now }] };
  if (state.wanted !== null && now >= state.wanted.giveUpAt) return { events: [{ kind: 'hold_abandoned', at: now }] };
  return null;
}

/** Not before every hold is given back: that is told by events, which must find their history. */
function cleanupDue(state: CartState): number | null {
  return state.releases.length === 0 ? state.cleanupAt : null;
}

/** The version that a caller may name: any since the last change that it could see. */
function isStale(state: CartState, ifMatch: number | undefined, seq: number): boolean {
  return ifMatch !== undefined && (ifMatch < state.visibleSeq || ifMatch > seq);
}

function change(
  state: CartState,
  command: CartEdit | Extract<CartCommand, { kind: 'checkout' }>,
  ctx: DecideContext,
): CartDecision {
  const { key } = ctx;
  const checkout = command.kind === 'checkout';
  switch (state.status) {
    case 'absent':
      return refuse('not_found');
    case 'expired':
    case 'merged':
      return refuse('cart_closed');
    case 'checked_out':
      return refuse('cart_checked_out', state.orderId === null ? {} : { orderId: state.orderId });
    case 'checking_out':
      if (state.checkout === null) return refuse('checkout_in_progress');
      return checkout
        ? joinCheckout(state.checkout, key)
        : refuse('checkout_in_progress', { orderId: state.checkout.orderId });
    case 'open': {
      const due = whatIsDue(state, ctx.now);
      if (due !== null && ctx.now >= state.expiresAt) return { ...due, ...refuse('cart_closed') };
      if (state.wanted !== null) {
        if (key === undefined || key.hash !== state.wanted.key?.hash) return { defer: true };
        if (key.fingerprint !== state.wanted.key.fingerprint) return refuse('idempotency_key_reused');
        return { park: state.wanted.token };
      }
      if (isStale(state, command.ifMatch, ctx.seq)) return refuse('version_mismatch');
      return checkout ? startCheckout(state, command, ctx) : decideEdit(state, command, ctx);
    }
  }
}

/** An answer to something that `pending` sent; one that is no longer waited for changes nothing. */
function takeOutcome(state: CartState, effectId: string, outcome: unknown, ctx: DecideContext): CartDecision {
  const [what, id = '', rev] = effectId.split(':');
  switch (what) {
    case 'hold':
      return decideHoldAnswer(state, id, Number(rev), outcome as SkuReply, ctx);
    case 'release':
      if (!state.releases.some((release) => release.holdId === id)) return {};
      return { events: [{ kind: 'release_acked', at: ctx.now, holdId: id }] };
    case 'start':
      if (state.checkout?.orderId !== id || state.checkout.start === null) return {};
      return { events: [{ kind: 'checkout_sent', at: ctx.now }] };
    default:
      return {};
  }
}

/** Shares nothing with the state that `apply` changes in place. */
function glance(state: CartState, now: number): CartGlance {
  const { status, currency, destination, coupons, shippingMethod, facts } = state;
  const lines = state.lines.map(({ id, sku, quantity, holdTtlMs, hold }) => {
    const locked = lockedPrice(state, hold, now);
    return { id, sku, quantity, held: holdTtlMs !== null, ...(locked === undefined ? {} : { locked }) };
  });
  const orderId = state.checkout?.orderId ?? state.orderId;
  return { status, currency, destination, lines, coupons, shippingMethod, facts, orderId };
}

function read(state: CartState, reply: CartReply, ctx: DecideContext): CartDecision {
  if (state.status === 'absent') return refuse('not_found');
  // Reading a cart whose time is over ends it, so that no answer shows an open one. A glance reports what is there.
  const over = reply.ok && reply.kind === 'cart' && state.status === 'open' && ctx.now >= state.expiresAt;
  return over ? { ...whatIsDue(state, ctx.now), reply } : { reply };
}

function decideCart(state: CartState, command: CartCommand | RuntimeCommand, ctx: DecideContext): CartDecision {
  const at = ctx.now;
  switch (command.kind) {
    case 'create': {
      // Asked again after its key was forgotten: the cart as it is.
      const reply: CartReply = { ok: true, kind: 'cart', created: true };
      if (state.status !== 'absent') return { reply };
      const { currency, destination, facts } = command;
      const said = facts === undefined ? {} : { facts };
      return { events: [{ kind: 'created', at, currency, destination, ...said }], reply };
    }
    case 'get':
      return read(state, CART, ctx);
    case 'glance':
      return read(state, { ok: true, kind: 'glance', cart: glance(state, at) }, ctx);
    case 'hold_expired': {
      const hold = lineOfHold(state, command.holdId)?.hold;
      if (hold === undefined || hold.expired) return { reply: CART };
      return { events: [{ kind: 'hold_expired', at, holdId: command.holdId }], reply: CART };
    }
    case 'checkout_result':
      return endCheckout(state, command, ctx);
    case '$wake':
      return whatIsDue(state, at) ?? {};
    case '$outcome':
      return takeOutcome(state, command.effectId, command.outcome, ctx);
    default:
      return change(state, command, ctx);
  }
}

function pendingEffects(state: CartState): readonly Effect[] {
  const { wanted, releases, lines } = state;
  if (wanted === null && state.checkout === null && releases.length === 0 && !lines.some(isUnsettled))
    return NO_EFFECTS;
  const effects: Effect[] = [];
  collectHoldEffects(state, effects);
  const { checkout } = state;
  if (checkout !== null && checkout.start !== null) {
    const { orderId, start } = checkout;
    effects.push({ id: `start:${orderId}`, kind: 'send', to: { type: 'order', id: orderId }, command: start });
  }
  return effects;
}

export const cart: ActorType<CartState, CartCommand, CartEvent, CartReply> = {
  type: 'cart',
  eventVersion: 4,
  initial: initialCart,
  decide: decideCart,
  apply: applyCart,
  downgrade: downgradeCart,
  snapshot: snapshotCart,
  restore: restoreCart,
  pending: pendingEffects,
  wakeAt: (state) => {
    if (state.status !== 'open') return cleanupDue(state);
    return state.wanted === null ? state.expiresAt : Math.min(state.expiresAt, state.wanted.giveUpAt);
  },
};
