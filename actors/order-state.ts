/**
 * The state of an order: how far its saga got, what its payment is known to be, and what its events change. Relies on
 * events being decided by `order.ts` and `order-saga.ts`. The payment's token leaves the state as soon as the charge is
 * definite, the address's coarse part as soon as the order is priced; the sealed contact stays, opaque.
 */
import type { KeyRef } from '../runtime/actor.ts';
import type { Destination, Quote } from '../workers/quote.ts';
import type { CheckoutFailure, SealedContact } from './cart-protocol.ts';
import type { OrderDoc, OrderLineRequest, OrderStart, PaymentStatus, PaymentStep } from './order-protocol.ts';

/**
 * `pricing` → `holding` → `charging` (skipped where the total is 0) → `confirming` → `confirmed` → `cancelling` → `cancelled`.
 * From any of the first four: `failing` (undo what was done) → `failed`. The payment goes its own way beside the phase:
 * a charge whose outcome is unknown is resolved, and voided, also after the order has failed.
 */
export type OrderPhase =
  | 'absent'
  | 'pricing'
  | 'holding'
  | 'charging'
  | 'confirming'
  | 'confirmed'
  | 'failing'
  | 'failed'
  | 'cancelling'
  | 'cancelled';

/** `idle`: the sku was never asked. `asked`: a hold may stand. `undone`: released, or returned to the cart. */
export type LineStep = 'idle' | 'asked' | 'held' | 'refused' | 'confirmed' | 'undone';

export interface OrderLine extends OrderLineRequest {
  /** The order's own hold, or the cart's that it adopts. */
  readonly holdId: string;
  step: LineStep;
  refusal: string | null;
  /** Of an adopted hold that went back to the cart: when it ends. */
  returnedUntil: number | null;
}

/** The two ways to give a charge back. */
export type PaymentUndo = 'void' | 'refund';

export interface OrderPayment {
  readonly state: PaymentStatus;
  readonly provider: string | null;
  readonly reference: string | null;
  readonly amount: number;
  readonly currency: string;
  readonly declineCode: string | null;
  readonly problem: string | null;
  readonly history: readonly PaymentStep[];
  /** The capture job was let go ahead: it may have captured. */
  readonly captureRequested: boolean;
  /** Ways back that the provider has refused for good. */
  readonly refusedUndo: readonly PaymentUndo[];
}

export interface OrderFailure {
  readonly code: CheckoutFailure;
  readonly skus: readonly string[];
  readonly declineCode: string | null;
}

export interface OrderState {
  readonly id: string;
  phase: OrderPhase;
  cartId: string;
  lines: OrderLine[];
  /** What pricing needs; null once priced (or failed). */
  toPrice: {
    readonly destination: Destination;
    readonly coupons: readonly string[];
    readonly shippingMethod: string | null;
    readonly expectedTotal: OrderStart['expectedTotal'];
  } | null;
  quote: Quote | null;
  contact: SealedContact;
  paymentToken: string | null;
  payment: OrderPayment;
  failure: OrderFailure | null;
  placedAt: number;
  giveUpAt: number;
  /** Who asked for the cancel; the answer is recorded under it. */
  cancelKey: KeyRef | null;
  /** The cart knows the outcome. */
  resultAcked: boolean;
  emailSent: boolean;
  seq: number;
  /** Sequence of the last event that changed what a shopper sees. */
  visibleSeq: number;
}

export type OrderEvent =
  | {
      readonly kind: 'started';
      readonly at: number;
      readonly start: OrderStart;
      readonly holdIds: readonly string[];
      readonly giveUpAt: number;
    }
  | { readonly kind: 'priced'; readonly at: number; readonly quote: Quote }
  | { readonly kind: 'line_held'; readonly at: number; readonly line: number }
  | { readonly kind: 'line_refused'; readonly at: number; readonly line: number; readonly code: string }
  /** All lines are held. */
  | { readonly kind: 'charging'; readonly at: number }
  | { readonly kind: 'confirming'; readonly at: number }
  | { readonly kind: 'authorised'; readonly at: number; readonly paymentId: string; readonly provider: string }
  | { readonly kind: 'declined'; readonly at: number; readonly code: string }
  | { readonly kind: 'line_confirmed'; readonly at: number; readonly line: number }
  | { readonly kind: 'confirmed'; readonly at: number }
  /** `quote`: where pricing itself ended the order. */
  | {
      readonly kind: 'failing';
      readonly at: number;
      readonly failure: OrderFailure;
      readonly quote: Quote | null;
    }
  | { readonly kind: 'line_undone'; readonly at: number; readonly line: number; readonly returnedUntil: number | null }
  | { readonly kind: 'failed'; readonly at: number }
  | { readonly kind: 'result_acked'; readonly at: number }
  | { readonly kind: 'cancel_started'; readonly at: number; readonly key: KeyRef | null }
  | { readonly kind: 'voided'; readonly at: number }
  | { readonly kind: 'refunded'; readonly at: number }
  | { readonly kind: 'undo_refused'; readonly at: number; readonly how: PaymentUndo; readonly code: string }
  | { readonly kind: 'cancelled'; readonly at: number }
  | { readonly kind: 'capture_requested'; readonly at: number }
  | { readonly kind: 'captured'; readonly at: number }
  | { readonly kind: 'capture_refused'; readonly at: number; readonly code: string }
  | { readonly kind: 'email_sent'; readonly at: number };

const NO_CONTACT: SealedContact = { subject: '', bytes: new Uint8Array() };

export function initialOrder(id: string): OrderState {
  return {
    id,
    phase: 'absent',
    cartId: '',
    lines: [],
    toPrice: null,
    quote: null,
    contact: NO_CONTACT,
    paymentToken: null,
    payment: {
      state: 'none',
      provider: null,
      reference: null,
      amount: 0,
      currency: '',
      declineCode: null,
      problem: null,
      history: [],
      captureRequested: false,
      refusedUndo: [],
    },
    failure: null,
    placedAt: 0,
    giveUpAt: 0,
    cancelKey: null,
    resultAcked: false,
    emailSent: false,
    seq: 0,
    visibleSeq: 0,
  };
}

function pay(state: OrderState, change: Partial<OrderPayment>, at?: number): void {
  const old = state.payment;
  const moved = change.state !== undefined && at !== undefined;
  const history = moved ? [...old.history, { state: change.state ?? old.state, at }] : old.history;
  state.payment = { ...old, ...change, history };
}

function begin(state: OrderState, event: Extract<OrderEvent, { kind: 'started' }>): void {
  const { start } = event;
  state.phase = 'pricing';
  state.cartId = start.cartId;
  state.lines = start.lines.map((line, index) => ({
    ...line,
    holdId: line.cartHoldId ?? event.holdIds[index] ?? '',
    step: 'idle',
    refusal: null,
    returnedUntil: null,
  }));
  const { destination, coupons, shippingMethod, expectedTotal } = start;
  state.toPrice = { destination, coupons, shippingMethod, expectedTotal };
  state.contact = start.contact;
  state.paymentToken = start.paymentToken;
  state.placedAt = event.at;
  state.giveUpAt = event.giveUpAt;
  pay(state, { amount: expectedTotal.amount, currency: start.currency });
}

function setStep(state: OrderState, index: number, step: LineStep): OrderLine | undefined {
  const line = state.lines[index];
  if (line !== undefined) line.step = step;
  return line;
}

/** Events that a shopper's next read does not show. */
const INTERNAL: ReadonlySet<OrderEvent['kind']> = new Set([
  'line_held',
  'line_refused',
  'line_confirmed',
  'line_undone',
  'confirming',
  'failing',
  'result_acked',
  'cancel_started',
  'capture_requested',
  'email_sent',
]);

export function isVisible(event: OrderEvent): boolean {
  return !INTERNAL.has(event.kind);
}

/** Total over version 1; in place. */
export function applyOrder(state: OrderState, event: OrderEvent, _version: number, seq: number): OrderState {
  const { at } = event;
  state.seq = seq;
  if (isVisible(event)) state.visibleSeq = seq;
  switch (event.kind) {
    case 'started':
      begin(state, event);
      return state;
    case 'priced':
      state.phase = 'holding';
      state.quote = event.quote;
      state.toPrice = null;
      for (const line of state.lines) line.step = 'asked';
      pay(state, { amount: event.quote.total });
      return state;
    case 'line_held':
      setStep(state, event.line, 'held');
      return state;
    case 'line_refused': {
      const line = setStep(state, event.line, 'refused');
      if (line !== undefined) line.refusal = event.code;
      return state;
    }
    case 'charging':
      state.phase = 'charging';
      pay(state, { state: 'unknown' }, at);
      return state;
    case 'confirming':
      state.phase = 'confirming';
      state.paymentToken = null;
      return state;
    case 'authorised':
      if (state.phase === 'charging') state.phase = 'confirming';
      state.paymentToken = null;
      pay(state, { state: 'authorized', reference: event.paymentId, provider: event.provider }, at);
      return state;
    case 'declined':
      state.paymentToken = null;
      pay(state, { state: 'declined', declineCode: event.code }, at);
      return state;
    case 'line_confirmed':
      setStep(state, event.line, 'confirmed');
      return state;
    case 'confirmed':
      state.phase = 'confirmed';
      return state;
    case 'failing':
      state.phase = 'failing';
      state.failure = event.failure;
      state.toPrice = null;
      if (event.quote !== null) {
        state.quote = event.quote;
        pay(state, { amount: event.quote.total });
      }
      // Only a charge that may have been made still needs it.
      if (state.payment.state !== 'unknown') state.paymentToken = null;
      return state;
    case 'line_undone': {
      const line = setStep(state, event.line, 'undone');
      if (line !== undefined) line.returnedUntil = event.returnedUntil;
      return state;
    }
    case 'failed':
      state.phase = 'failed';
      return state;
    case 'result_acked':
      state.resultAcked = true;
      return state;
    case 'cancel_started':
      state.phase = 'cancelling';
      state.cancelKey = event.key;
      return state;
    case 'voided':
      pay(state, { state: 'voided', problem: null }, at);
      return state;
    case 'refunded':
      pay(state, { state: 'refunded', problem: null }, at);
      return state;
    case 'undo_refused':
      pay(state, {
        problem: `${event.how}: ${event.code}`,
        refusedUndo: [...state.payment.refusedUndo, event.how],
      });
      return state;
    case 'cancelled':
      state.phase = 'cancelled';
      return state;
    case 'capture_requested':
      pay(state, { captureRequested: true });
      return state;
    case 'captured':
      pay(state, { state: 'captured', problem: null }, at);
      return state;
    case 'capture_refused':
      pay(state, { captureRequested: false, problem: `capture: ${event.code}` });
      return state;
    case 'email_sent':
      state.emailSent = true;
      return state;
    default:
      throw new TypeError(`unknown order event ${String((event as { kind: unknown }).kind)}`);
  }
}

/** The state is plain data: only what `apply` changes in place needs a copy. */
export function copyOrder(state: OrderState): OrderState {
  return { ...state, lines: state.lines.map((line) => ({ ...line })) };
}

export function restoreOrder(id: string, data: unknown): OrderState {
  return { ...initialOrder(id), ...copyOrder(data as OrderState) };
}

function shownState(phase: OrderPhase): OrderDoc['state'] {
  switch (phase) {
    case 'failed':
      return 'failed';
    case 'confirmed':
    // A cancel shows when its money is back, and then for good.
    case 'cancelling':
      return 'confirmed';
    case 'cancelled':
      return 'cancelled';
    default:
      return 'pending';
  }
}

export function orderDoc(state: OrderState): OrderDoc {
  const { provider, reference, amount, currency, history, declineCode, problem } = state.payment;
  return {
    id: state.id,
    version: state.seq,
    cartId: state.cartId,
    state: shownState(state.phase),
    fulfilment: 'none',
    quote: state.quote,
    lines: state.lines.map(({ id, sku, quantity, cartHoldId }) => ({ id, sku, quantity, cartHoldId })),
    payment: {
      state: state.payment.state,
      provider,
      reference,
      amount,
      currency,
      ...(declineCode === null ? {} : { declineCode }),
      ...(problem === null ? {} : { problem }),
      history,
    },
    failure: state.phase === 'failed' ? (state.failure?.code ?? null) : null,
    placedAt: state.placedAt,
    contact: state.contact,
  };
}
