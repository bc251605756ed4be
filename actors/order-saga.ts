/**
 * The checkout saga: what the order waits for in each phase (`pendingOf`), and what each answer leads to (`takeOutcome`).
 *
 * Promises: every message and call may be repeated, late, or answered twice; what the order holds of skus and coupons is in
 * `order-holds.ts`; the cart hears of a failure only once its own holds are back and the order's are released, so what it is told of
 * them is true. It does not wait for the money: whether a charge is unknown, or authorised and to be voided, the order
 * can no longer be confirmed, and a provider that is away must not keep a cart locked. The order is at rest when nothing
 * is pending.
 */
import type { DecideContext, Effect } from '../runtime/actor.ts';
import type { PriceRequest, Quote } from '../workers/quote.ts';
import { isExempt } from './cart-events.ts';
import type { CheckoutResult, CheckoutResultMessage } from './cart-protocol.ts';
import { CHANNEL_DEFAULT } from './cart-state.ts';
import { type CouponCommand, type CouponReply, couponCustomer } from './coupon-protocol.ts';
import { orderDoc } from './order-document.ts';
import { captureRow, failing, holdEffects, ORDERS, type OrderDecision, takeHoldOutcome } from './order-holds.ts';
import type { OrderHandlers, OrderReply } from './order-protocol.ts';
import {
  applyOrder,
  copyOrder,
  type GiftLine,
  type OrderEvent,
  type OrderState,
  type PaymentUndo,
} from './order-state.ts';

type PricedUse = NonNullable<Extract<OrderEvent, { kind: 'priced' }>['uses']>[number];

export const CANCEL_TOKEN = 'cancel';
export const EVENT_VERSION = 3;
/** From which on an order may use limited coupons and have gifts. */
const USES_VERSION = 2;
const NOTHING: OrderDecision = {};

/** The event in an earlier version; null where it cannot be said in it. Version 3 brings the start of an order that is exempt from taxes. */
export function downgradeOrder(event: OrderEvent, version: number): OrderEvent | null {
  if (event.kind === 'started' && isExempt(event.start.facts)) return null;
  return version === 1 ? inVersion1(event) : event;
}

/** Version 1 says neither who is counted nor that a coupon is used; null where it must. */
function inVersion1(event: OrderEvent): OrderEvent | null {
  switch (event.kind) {
    case 'started': {
      const { customer: _unsaid, firstOrder: _nor, facts: _neither, ...start } = event.start;
      return { ...event, start: { ...start, lines: start.lines.map(({ locked: _book, ...line }) => line) } };
    }
    case 'priced':
      return event.uses === undefined && event.gifts === undefined ? event : null;
    case 'first_order_told':
    case 'use_held':
    case 'use_refused':
    case 'use_confirmed':
    case 'use_undone':
      return null;
    default:
      return event;
  }
}

/** The order as it will be after `events`; for answers that show it. */
export function replyAfter(state: OrderState, events: readonly OrderEvent[], ctx: DecideContext): OrderReply {
  const next = copyOrder(state);
  for (const [index, event] of events.entries()) applyOrder(next, event, EVENT_VERSION, ctx.seq + index + 1);
  return { ok: true, kind: 'order', order: orderDoc(next) };
}

/** The order's own timer: it stops trying, unless the charge is made already; then only the stock can keep it waiting. */
export function giveUp(state: OrderState, now: number): OrderDecision {
  const early = state.phase === 'pricing' || state.phase === 'holding' || state.phase === 'charging';
  if (!early || now < state.giveUpAt) return NOTHING;
  return { events: failing(state, now, 'order_failed') };
}

export function wakeAt(state: OrderState): number | null {
  return state.phase === 'pricing' || state.phase === 'holding' || state.phase === 'charging' ? state.giveUpAt : null;
}

// --- outcomes ---

const UNPRICED = ['price_unavailable:', 'sku_gone:'] as const;

function unpricedSkus(quote: Quote): string[] {
  return quote.warnings.flatMap((warning) =>
    UNPRICED.filter((code) => warning.startsWith(code)).map((code) => warning.slice(code.length)),
  );
}

/** One for each limit of the coupons that the quote used; null where a customer is counted and none is known. */
function usesOf(quote: Quote, customer: string | undefined): PricedUse[] | null {
  const uses: PricedUse[] = [];
  for (const { code, total, perCustomer } of quote.limits ?? []) {
    if (total !== undefined) uses.push({ code, coupon: code, limit: total });
    if (perCustomer === undefined) continue;
    if (customer === undefined) return null;
    uses.push({ code, coupon: couponCustomer(code, customer), limit: perCustomer });
  }
  return uses;
}

/** Counts the order among its customer's; where a promotion for first orders took part, it must be the only one. */
function countOf(quote: Quote, customer: string): PricedUse {
  return { code: ORDERS, coupon: couponCustomer(ORDERS, customer), limit: quote.firstOrder === true ? 1 : null };
}

function takeFirstOrder(state: OrderState, reply: CouponReply, at: number): OrderDecision {
  if (state.phase !== 'pricing' || state.toPrice?.firstOrder !== 'asked') return NOTHING;
  if (!reply.ok || reply.kind !== 'usage') return NOTHING;
  const { held, used } = reply.usage;
  return { events: [{ kind: 'first_order_told', at, first: held + used === 0 }] };
}

function giftsOf({ lines }: Quote, ctx: DecideContext): GiftLine[] {
  return lines
    .filter(({ kind }) => kind === 'gift')
    .map(({ id, sku, quantity, discounts }) => {
      return { id, sku, quantity, holdId: ctx.newId('hold'), gift: discounts?.[0]?.promotion ?? id };
    });
}

function takeQuote(state: OrderState, quote: Quote, ctx: DecideContext): OrderDecision {
  if (state.phase !== 'pricing' || state.toPrice === null) return NOTHING;
  const at = ctx.now;
  const { expectedTotal, customer, firstOrder } = state.toPrice;
  // Before the totals are compared: a cart that shows what it cannot order has a total that a buyer may well agree to.
  if (quote.blocked !== undefined) {
    const skus = quote.blocked === 'price_unavailable' ? unpricedSkus(quote) : [];
    return { events: failing(state, at, quote.blocked, { skus, quote }) };
  }
  if (quote.total !== expectedTotal.amount || quote.currency !== expectedTotal.currency) {
    const first = firstOrder === true ? { firstOrder } : {};
    return { events: failing(state, at, 'price_changed', { quote, ...first }) };
  }
  const uses = usesOf(quote, customer);
  // Members of an earlier release would not know what is to be given back: until they are gone no limited coupon is taken and no gift given.
  const old = ctx.version < USES_VERSION;
  if (uses === null || (uses.length > 0 && old)) {
    const coupons = (quote.limits ?? []).map(({ code }) => code);
    return { events: failing(state, at, 'coupon_not_applicable', { coupons }) };
  }
  if (firstOrder !== undefined && customer !== undefined) uses.push(countOf(quote, customer));
  const given = giftsOf(quote, ctx);
  if (given.length > 0 && old) {
    const skus = given.map(({ sku }) => sku);
    return { events: failing(state, at, 'out_of_stock', { skus, gifts: given.map(({ gift }) => gift) }) };
  }
  const more = { ...(uses.length === 0 ? {} : { uses }), ...(given.length === 0 ? {} : { gifts: given }) };
  return { events: [{ kind: 'priced', at, quote, ...more }] };
}

type Authorised = OrderHandlers['payment.authorise']['outcome'];

function takeCharge(state: OrderState, outcome: Authorised, at: number): OrderDecision {
  if (state.payment.state !== 'unknown') return NOTHING;
  if (outcome.ok) {
    return { events: [{ kind: 'authorised', at, paymentId: outcome.paymentId, provider: outcome.provider }] };
  }
  const events: OrderEvent[] = [{ kind: 'declined', at, code: outcome.code }];
  if (state.phase === 'charging') {
    events.push(...failing(state, at, 'payment_declined', { declineCode: outcome.code }));
  }
  return { events };
}

type Undone = OrderHandlers['payment.void']['outcome'];

/** A void or refund has a definite outcome. A cancel ends with it, also where the provider refuses both for good. */
function takePaymentUndo(state: OrderState, how: PaymentUndo, outcome: Undone, ctx: DecideContext): OrderDecision {
  if (!isOpen(state) || !undoesPayment(state)) return NOTHING;
  const at = ctx.now;
  const { refusedUndo } = state.payment;
  if (!outcome.ok && refusedUndo.includes(how)) return NOTHING;
  const events: OrderEvent[] = outcome.ok
    ? [{ kind: how === 'void' ? 'voided' : 'refunded', at }]
    : [{ kind: 'undo_refused', at, how, code: outcome.code }];
  const final = outcome.ok || refusedUndo.length > 0;
  if (state.phase !== 'cancelling' || !final) return { events };
  events.push({ kind: 'cancelled', at });
  const reply = replyAfter(state, events, ctx);
  return {
    events,
    settle: [{ token: CANCEL_TOKEN, key: state.cancelKey ?? undefined, reply }],
    outboxClose: [captureRow(state.id)],
  };
}

export function takeOutcome(state: OrderState, effectId: string, outcome: unknown, ctx: DecideContext): OrderDecision {
  const at = ctx.now;
  switch (effectId) {
    case 'price':
      return takeQuote(state, outcome as Quote, ctx);
    case 'first_order':
      return takeFirstOrder(state, outcome as CouponReply, at);
    case 'authorise':
      return takeCharge(state, outcome as Authorised, at);
    case 'void':
    case 'refund':
      return takePaymentUndo(state, effectId, outcome as Undone, ctx);
    case 'result':
      return state.resultAcked || resultOf(state) === null ? NOTHING : { events: [{ kind: 'result_acked', at }] };
    default:
      return takeHoldOutcome(state, effectId, outcome, at);
  }
}

// --- what the state waits for ---

function undoesPayment(state: OrderState): boolean {
  return state.phase === 'failing' || state.phase === 'failed' || state.phase === 'cancelling';
}

/** The provider holds or has taken the money. */
function isOpen(state: OrderState): boolean {
  return state.payment.state === 'authorized' || state.payment.state === 'captured';
}

/** Void what was never let to be captured, else refund; where the provider refuses that for good, the other; then none. */
function nextUndo(state: OrderState): PaymentUndo | null {
  const { captureRequested, refusedUndo, state: known } = state.payment;
  const order: readonly PaymentUndo[] =
    captureRequested || known === 'captured' ? ['refund', 'void'] : ['void', 'refund'];
  return order.find((how) => !refusedUndo.includes(how)) ?? null;
}

function resultOf(state: OrderState): CheckoutResult | null {
  switch (state.phase) {
    case 'confirmed':
    case 'cancelling':
    case 'cancelled':
      return { outcome: 'confirmed', order: orderDoc(state) };
    case 'failed': {
      if (state.failure === null) return null;
      const { code, skus, declineCode, coupons, gifts, firstOrder } = state.failure;
      const adopted = state.lines.filter((line) => line.cartHoldId !== null && line.step === 'undone');
      return {
        outcome: 'failed',
        code,
        ...(skus.length === 0 ? {} : { skus }),
        ...(declineCode === null ? {} : { declineCode }),
        ...(coupons === undefined ? {} : { coupons }),
        ...(gifts === undefined ? {} : { gifts }),
        ...(firstOrder === undefined ? {} : { firstOrder }),
        returned: adopted.map((line) => ({ holdId: line.holdId, expiresAt: line.returnedUntil })),
      };
    }
    default:
      return null;
  }
}

function call<Name extends keyof OrderHandlers>(
  id: string,
  handler: Name,
  input: OrderHandlers[Name]['input'],
): Effect {
  return { id, kind: 'call', handler, input };
}

function paymentEffect(state: OrderState): Effect | null {
  const { id: orderId, payment } = state;
  const { amount, currency, reference: paymentId } = payment;
  if (payment.state === 'unknown' && state.paymentToken !== null) {
    return call('authorise', 'payment.authorise', { orderId, amount, currency, token: state.paymentToken });
  }
  if (paymentId === null || !isOpen(state) || !undoesPayment(state)) return null;
  switch (nextUndo(state)) {
    case 'void':
      return call('void', 'payment.void', { orderId, paymentId });
    case 'refund': {
      const captureFirst = payment.captureRequested && payment.state === 'authorized';
      return call('refund', 'payment.refund', { orderId, paymentId, amount, captureFirst });
    }
    default:
      return null;
  }
}

/** As of the order's start, so that it asks for the same each time; null: priced already. */
function priceRequestOf({ phase, toPrice, lines, payment, placedAt: at }: OrderState): PriceRequest | null {
  if (phase !== 'pricing' || toPrice === null || toPrice.firstOrder === 'asked') return null;
  const { destination, coupons, shippingMethod, facts } = toPrice;
  const first = toPrice.firstOrder === true ? { firstOrder: true } : {};
  const asked = lines.map(({ id, sku, quantity, locked }) => {
    return { id, sku, quantity, ...(locked === undefined ? {} : { locked }) };
  });
  const { currency } = payment;
  return {
    currency,
    lines: asked,
    destination,
    coupons,
    shippingMethod,
    at,
    channel: CHANNEL_DEFAULT,
    ...facts,
    ...first,
  };
}

const NO_EFFECTS: readonly Effect[] = [];

export function pendingOf(state: OrderState): readonly Effect[] {
  const effects: Effect[] = [];
  const request = priceRequestOf(state);
  if (request !== null) effects.push(call('price', 'order.price', request));
  const { toPrice } = state;
  if (toPrice?.firstOrder === 'asked' && toPrice.customer !== undefined) {
    const to = { type: 'coupon', id: couponCustomer(ORDERS, toPrice.customer) };
    effects.push({ id: 'first_order', kind: 'send', to, command: { kind: 'get' } satisfies CouponCommand });
  }
  holdEffects(state, effects);
  const payment = paymentEffect(state);
  if (payment !== null) effects.push(payment);
  const result = state.resultAcked ? null : resultOf(state);
  if (result !== null) {
    const command: CheckoutResultMessage = { kind: 'checkout_result', orderId: state.id, result };
    effects.push({ id: 'result', kind: 'send', to: { type: 'cart', id: state.cartId }, command });
  }
  return effects.length === 0 ? NO_EFFECTS : effects;
}
