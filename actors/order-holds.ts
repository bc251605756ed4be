/**
 * What an order holds of others before it charges: the units of its lines, at their skus, and the uses of its limited coupons, at the coupon
 * actors. Both go the same way: asked for after pricing, confirmed with the order, undone where it fails or is cancelled.
 *
 * Promises: the order fails only after all have answered, so that the buyer hears of everything that is short at once; everything that was
 * ever asked for is undone, also what refused or did not answer (a tombstone bars what is still on its way).
 *
 * A gift's line is held as any other, and an order fails where the gift is out of stock: the buyer was shown it. The cart hears which
 * promotion's gift that was and is priced without it from then on, so the next checkout goes through if the buyer wants it so. A refund gives no
 * coupon back: it has been used.
 */
import type { Decision, Effect } from '../runtime/actor.ts';
import type { Quote } from '../workers/quote.ts';
import type { CheckoutFailure } from './cart-protocol.ts';
import type { CouponCommand, CouponReply } from './coupon-protocol.ts';
import type { OrderReply } from './order-protocol.ts';
import type { CouponUse, OrderEvent, OrderFailure, OrderLine, OrderState } from './order-state.ts';
import type { SkuCommand, SkuReply } from './sku-protocol.ts';

export type OrderDecision = Decision<OrderEvent, OrderReply>;
type Claim = OrderLine | CouponUse;

/** In place of a coupon's code: all orders of a customer are counted under it. No coupon is called so. */
export const ORDERS = '';
const NOTHING: OrderDecision = {};

export function captureRow(orderId: string): string {
  return `capture:${orderId}`;
}
function emailRow(orderId: string): string {
  return `email:${orderId}`;
}

function someOther(state: OrderState, one: Claim, what: (claim: Claim) => boolean): boolean {
  const is = (claim: Claim): boolean => claim !== one && what(claim);
  return state.lines.some(is) || state.uses.some(is);
}

function needsUndo({ step }: Claim): boolean {
  return step !== 'idle' && step !== 'undone';
}

function undoes({ phase }: OrderState): boolean {
  return phase === 'failing' || phase === 'cancelling' || phase === 'cancelled';
}

export function failing(
  state: OrderState,
  at: number,
  code: CheckoutFailure,
  more: Partial<Omit<OrderFailure, 'code'>> & { readonly quote?: Quote } = {},
): OrderEvent[] {
  const { skus = [], declineCode = null, coupons = [], gifts = [], quote = null } = more;
  const named = {
    ...(coupons.length === 0 ? {} : { coupons }),
    ...(gifts.length === 0 ? {} : { gifts }),
    ...(more.firstOrder === undefined ? {} : { firstOrder: more.firstOrder }),
  };
  const failure = { code, skus, declineCode, ...named };
  const events: OrderEvent[] = [{ kind: 'failing', at, failure, quote }];
  if (!state.lines.some(needsUndo) && !state.uses.some(needsUndo)) events.push({ kind: 'failed', at });
  return events;
}

// --- answers ---

/** After the answer of `claim`, which `event` tells; `refusal` null: it is held. */
function afterHold(
  state: OrderState,
  claim: Claim,
  event: OrderEvent,
  refusal: 'out_of_stock' | 'hold_expired' | 'coupon_not_applicable' | null,
): OrderDecision {
  const events = [event];
  if (someOther(state, claim, ({ step }) => step === 'asked')) return { events };
  const refused = (one: Claim): boolean => (one === claim ? refusal !== null : one.step === 'refused');
  const lines = state.lines.filter(refused);
  const uses = state.uses.filter(refused);
  const coupons = [...new Set(uses.map(({ code }) => code))].filter((code) => code !== ORDERS);
  const { at } = event;
  if (lines.length > 0) {
    const short = lines.some((line) => (line === claim ? refusal : line.refusal) === 'out_of_stock');
    const skus = [...new Set(lines.map(({ sku }) => sku))];
    const gifts = lines.flatMap(({ gift }) => (gift === undefined ? [] : [gift]));
    events.push(...failing(state, at, short ? 'out_of_stock' : 'hold_expired', { skus, coupons, gifts }));
  } else if (coupons.length > 0) {
    events.push(...failing(state, at, 'coupon_not_applicable', { coupons }));
  } else if (uses.length > 0) {
    // Another order of the customer came first: what this one was priced as, it is no longer.
    events.push(...failing(state, at, 'price_changed'));
  } else {
    events.push({ kind: state.payment.amount > 0 ? 'charging' : 'confirming', at });
  }
  return { events };
}

function takeLineHeld(state: OrderState, index: number, line: OrderLine, reply: SkuReply, at: number): OrderDecision {
  if (state.phase !== 'holding' || line.step !== 'asked') return NOTHING;
  if (reply.ok && reply.kind === 'hold' && reply.quantity === line.quantity) {
    return afterHold(state, line, { kind: 'line_held', at, line: index }, null);
  }
  // The cart's own hold is either adopted as it is, or no longer there.
  const code = !reply.ok && reply.code === 'out_of_stock' && line.cartHoldId === null ? 'out_of_stock' : 'hold_expired';
  return afterHold(state, line, { kind: 'line_refused', at, line: index, code }, code);
}

function takeUseHeld(state: OrderState, index: number, use: CouponUse, reply: CouponReply, at: number): OrderDecision {
  if (state.phase !== 'holding' || use.step !== 'asked') return NOTHING;
  if (reply.ok && reply.kind === 'hold') {
    return afterHold(state, use, { kind: 'use_held', at, use: index, serial: reply.serial }, null);
  }
  return afterHold(state, use, { kind: 'use_refused', at, use: index }, 'coupon_not_applicable');
}

function takeConfirmed(state: OrderState, claim: Claim, event: OrderEvent, ok: boolean): OrderDecision {
  if (state.phase !== 'confirming' || claim.step !== 'held') return NOTHING;
  const { at } = event;
  if (!ok) return { events: failing(state, at, 'order_failed', 'sku' in claim ? { skus: [claim.sku] } : {}) };
  const events = [event];
  if (someOther(state, claim, ({ step }) => step !== 'confirmed')) return { events };
  events.push({ kind: 'confirmed', at });
  const doc = { orderId: state.id };
  const email = { id: emailRow(state.id), job: 'email', doc };
  const charged = state.payment.state === 'authorized';
  return { events, outboxAdd: charged ? [{ id: captureRow(state.id), job: 'capture', doc }, email] : [email] };
}

function takeUndone(state: OrderState, claim: Claim, event: OrderEvent): OrderDecision {
  if (!undoes(state) || !needsUndo(claim)) return NOTHING;
  const events = [event];
  if (state.phase === 'failing' && !someOther(state, claim, needsUndo)) events.push({ kind: 'failed', at: event.at });
  return { events };
}

/** Outcomes of the effects that `holdEffects` makes; anything else comes to nothing. */
export function takeHoldOutcome(state: OrderState, effectId: string, outcome: unknown, at: number): OrderDecision {
  const [what, name = ''] = effectId.split(':');
  if (what?.startsWith('use_')) {
    const index = Number(name);
    const use = state.uses[index];
    if (use === undefined) return NOTHING;
    if (what === 'use_hold') return takeUseHeld(state, index, use, outcome as CouponReply, at);
    if (what === 'use_undo') return takeUndone(state, use, { kind: 'use_undone', at, use: index });
    return takeConfirmed(state, use, { kind: 'use_confirmed', at, use: index }, (outcome as CouponReply).ok);
  }
  const index = state.lines.findIndex((line) => line.holdId === name);
  const line = state.lines[index];
  if (line === undefined) return NOTHING;
  const reply = outcome as SkuReply;
  switch (what) {
    case 'hold':
      return takeLineHeld(state, index, line, reply, at);
    case 'confirm':
      return takeConfirmed(state, line, { kind: 'line_confirmed', at, line: index }, reply.ok);
    case 'undo': {
      const returnedUntil = reply.ok && reply.kind === 'returned' && reply.returned ? reply.expiresAt : null;
      return takeUndone(state, line, { kind: 'line_undone', at, line: index, returnedUntil });
    }
    default:
      return NOTHING;
  }
}

// --- what the state waits for ---

function lineEffect(state: OrderState, line: OrderLine): Effect | null {
  const { id: orderId, cartId, phase, giveUpAt: notAfter } = state;
  const { holdId, quantity, cartHoldId } = line;
  const send = (what: string, command: SkuCommand): Effect => {
    return { id: `${what}:${holdId}`, kind: 'send', to: { type: 'sku', id: line.sku }, command };
  };
  if (phase === 'holding' && line.step === 'asked') {
    return cartHoldId === null
      ? send('hold', { kind: 'hold', holdId, owner: orderId, rev: 1, quantity, ttlMs: null, notAfter })
      : send('hold', { kind: 'adopt', holdId, cartId, orderId, notAfter });
  }
  if (phase === 'confirming' && line.step === 'held')
    return send('confirm', { kind: 'confirm', holdId, owner: orderId });
  if (!undoes(state) || !needsUndo(line)) return null;
  return phase === 'failing' && cartHoldId !== null
    ? send('undo', { kind: 'return', holdId, orderId, cartId })
    : send('undo', { kind: 'release', holdId, owner: orderId });
}

function useEffect(state: OrderState, use: CouponUse, index: number): Effect | null {
  const { id: orderId, phase, giveUpAt: notAfter } = state;
  const { limit, serial, step } = use;
  const send = (what: string, command: CouponCommand): Effect => {
    return { id: `use_${what}:${index}`, kind: 'send', to: { type: 'coupon', id: use.coupon }, command };
  };
  if (phase === 'holding' && step === 'asked') return send('hold', { kind: 'hold', orderId, limit, notAfter });
  if (phase === 'confirming' && step === 'held' && serial !== null) {
    return send('confirm', { kind: 'confirm', orderId, serial });
  }
  return undoes(state) && needsUndo(use) ? send('undo', { kind: 'release', orderId, serial }) : null;
}

export function holdEffects(state: OrderState, effects: Effect[]): void {
  for (const line of state.lines) {
    const effect = lineEffect(state, line);
    if (effect !== null) effects.push(effect);
  }
  for (const [index, use] of state.uses.entries()) {
    const effect = useEffect(state, use, index);
    if (effect !== null) effects.push(effect);
  }
}
