/**
 * The checkout saga: what the order waits for in each phase (`pendingOf`), and what each answer leads to (`takeOutcome`).
 *
 * Promises: every message and call may be repeated, late, or answered twice; every line that was ever asked for is
 * undone when the order fails, also one that refused or did not answer (the sku's tombstone bars what is still on its
 * way); the cart hears of a failure only once its own holds are back and the order's are released, so what it is told of
 * them is true. It does not wait for the money: whether a charge is unknown, or authorised and to be voided, the order
 * can no longer be confirmed, and a provider that is away must not keep a cart locked. The order is at rest when nothing
 * is pending.
 */
import type { DecideContext, Decision, Effect } from '../runtime/actor.ts';
import type { Quote } from '../workers/quote.ts';
import type { CheckoutFailure, CheckoutResult, CheckoutResultMessage } from './cart-protocol.ts';
import type { OrderHandlers, OrderReply } from './order-protocol.ts';
import {
  applyOrder,
  copyOrder,
  type OrderEvent,
  type OrderFailure,
  type OrderLine,
  type OrderState,
  orderDoc,
  type PaymentUndo,
} from './order-state.ts';
import type { SkuCommand, SkuReply } from './sku-protocol.ts';

export type OrderDecision = Decision<OrderEvent, OrderReply>;

export const CANCEL_TOKEN = 'cancel';
export const EVENT_VERSION = 1;
const NOTHING: OrderDecision = {};

export function captureRow(orderId: string): string {
  return `capture:${orderId}`;
}
export function emailRow(orderId: string): string {
  return `email:${orderId}`;
}

/** The order as it will be after `events`; for answers that show it. */
export function replyAfter(state: OrderState, events: readonly OrderEvent[], ctx: DecideContext): OrderReply {
  const next = copyOrder(state);
  for (const [index, event] of events.entries()) applyOrder(next, event, EVENT_VERSION, ctx.seq + index + 1);
  return { ok: true, kind: 'order', order: orderDoc(next) };
}

// --- failing ---

function needsUndo(line: OrderLine): boolean {
  return line.step !== 'idle' && line.step !== 'undone';
}

function failing(
  state: OrderState,
  at: number,
  code: CheckoutFailure,
  more: Partial<Omit<OrderFailure, 'code'>> & { readonly quote?: Quote } = {},
): OrderEvent[] {
  const failure = { code, skus: more.skus ?? [], declineCode: more.declineCode ?? null };
  const events: OrderEvent[] = [{ kind: 'failing', at, failure, quote: more.quote ?? null }];
  if (!state.lines.some(needsUndo)) events.push({ kind: 'failed', at });
  return events;
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

function takeQuote(state: OrderState, quote: Quote, at: number): OrderDecision {
  if (state.phase !== 'pricing' || state.toPrice === null) return NOTHING;
  const { expectedTotal } = state.toPrice;
  // Before the totals are compared: a cart that shows what it cannot order has a total that a buyer may well agree to.
  if (quote.blocked !== undefined) {
    const skus = quote.blocked === 'price_unavailable' ? unpricedSkus(quote) : [];
    return { events: failing(state, at, quote.blocked, { skus, quote }) };
  }
  if (quote.total !== expectedTotal.amount || quote.currency !== expectedTotal.currency) {
    return { events: failing(state, at, 'price_changed', { quote }) };
  }
  return { events: [{ kind: 'priced', at, quote }] };
}

/** Waits for all lines before it fails, so that the buyer hears of every sku that is short at once. */
function takeHoldAnswer(state: OrderState, index: number, reply: SkuReply, at: number): OrderDecision {
  const line = state.lines[index];
  if (state.phase !== 'holding' || line === undefined || line.step !== 'asked') return NOTHING;
  const held = reply.ok && reply.kind === 'hold' && reply.quantity === line.quantity;
  // The cart's own hold is either adopted as it is, or no longer there.
  const code = !reply.ok && reply.code === 'out_of_stock' && line.cartHoldId === null ? 'out_of_stock' : 'hold_expired';
  const events: OrderEvent[] = [
    held ? { kind: 'line_held', at, line: index } : { kind: 'line_refused', at, line: index, code },
  ];
  if (state.lines.some((other) => other !== line && other.step === 'asked')) return { events };
  const refused = state.lines.filter((other) => (other === line ? !held : other.step === 'refused'));
  if (refused.length === 0) {
    events.push({ kind: state.payment.amount > 0 ? 'charging' : 'confirming', at });
    return { events };
  }
  const short = refused.some((other) => (other === line ? code : other.refusal) === 'out_of_stock');
  const skus = [...new Set(refused.map((other) => other.sku))];
  events.push(...failing(state, at, short ? 'out_of_stock' : 'hold_expired', { skus }));
  return { events };
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

function takeConfirm(state: OrderState, index: number, reply: SkuReply, at: number): OrderDecision {
  const line = state.lines[index];
  if (state.phase !== 'confirming' || line === undefined || line.step !== 'held') return NOTHING;
  if (!reply.ok) return { events: failing(state, at, 'order_failed', { skus: [line.sku] }) };
  const events: OrderEvent[] = [{ kind: 'line_confirmed', at, line: index }];
  if (state.lines.some((other) => other !== line && other.step !== 'confirmed')) return { events };
  events.push({ kind: 'confirmed', at });
  const doc = { orderId: state.id };
  const email = { id: emailRow(state.id), job: 'email', doc };
  const charged = state.payment.state === 'authorized';
  return { events, outboxAdd: charged ? [{ id: captureRow(state.id), job: 'capture', doc }, email] : [email] };
}

function takeUndo(state: OrderState, index: number, reply: SkuReply, at: number): OrderDecision {
  const line = state.lines[index];
  if (line === undefined || !undoesStock(state) || !needsUndo(line)) return NOTHING;
  const returnedUntil = reply.ok && reply.kind === 'returned' && reply.returned ? reply.expiresAt : null;
  const events: OrderEvent[] = [{ kind: 'line_undone', at, line: index, returnedUntil }];
  const last = !state.lines.some((other) => other !== line && needsUndo(other));
  if (state.phase === 'failing' && last) events.push({ kind: 'failed', at });
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
  const [what, holdId] = effectId.split(':');
  const at = ctx.now;
  const index = holdId === undefined ? -1 : state.lines.findIndex((line) => line.holdId === holdId);
  switch (what) {
    case 'price':
      return takeQuote(state, outcome as Quote, at);
    case 'hold':
      return takeHoldAnswer(state, index, outcome as SkuReply, at);
    case 'confirm':
      return takeConfirm(state, index, outcome as SkuReply, at);
    case 'undo':
      return takeUndo(state, index, outcome as SkuReply, at);
    case 'authorise':
      return takeCharge(state, outcome as Authorised, at);
    case 'void':
    case 'refund':
      return takePaymentUndo(state, what, outcome as Undone, ctx);
    case 'result':
      return state.resultAcked || resultOf(state) === null ? NOTHING : { events: [{ kind: 'result_acked', at }] };
    default:
      return NOTHING;
  }
}

// --- what the state waits for ---

function undoesStock(state: OrderState): boolean {
  return state.phase === 'failing' || state.phase === 'cancelling' || state.phase === 'cancelled';
}

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
      const { code, skus, declineCode } = state.failure;
      const adopted = state.lines.filter((line) => line.cartHoldId !== null && line.step === 'undone');
      return {
        outcome: 'failed',
        code,
        ...(skus.length === 0 ? {} : { skus }),
        ...(declineCode === null ? {} : { declineCode }),
        returned: adopted.map((line) => ({ holdId: line.holdId, expiresAt: line.returnedUntil })),
      };
    }
    default:
      return null;
  }
}

function stockEffect(state: OrderState, line: OrderLine): Effect | null {
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
  if (!undoesStock(state) || !needsUndo(line)) return null;
  return phase === 'failing' && cartHoldId !== null
    ? send('undo', { kind: 'return', holdId, orderId, cartId })
    : send('undo', { kind: 'release', holdId, owner: orderId });
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

const NO_EFFECTS: readonly Effect[] = [];

export function pendingOf(state: OrderState): readonly Effect[] {
  const effects: Effect[] = [];
  if (state.phase === 'pricing' && state.toPrice !== null) {
    const { destination, coupons, shippingMethod } = state.toPrice;
    const lines = state.lines.map(({ id, sku, quantity, cartHoldId }) => ({ id, sku, quantity, cartHoldId }));
    const { currency } = state.payment;
    effects.push(call('price', 'order.price', { currency, lines, destination, coupons, shippingMethod }));
  }
  for (const line of state.lines) {
    const effect = stockEffect(state, line);
    if (effect !== null) effects.push(effect);
  }
  const payment = paymentEffect(state);
  if (payment !== null) effects.push(payment);
  const result = state.resultAcked ? null : resultOf(state);
  if (result !== null) {
    const command: CheckoutResultMessage = { kind: 'checkout_result', orderId: state.id, result };
    effects.push({ id: 'result', kind: 'send', to: { type: 'cart', id: state.cartId }, command });
  }
  return effects.length === 0 ? NO_EFFECTS : effects;
}
