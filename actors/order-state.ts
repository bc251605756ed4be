/**
 * The state of an order: how far its saga got, what its payment is known to be, and what its events change. Relies on
 * events being decided by `order.ts` and `order-saga.ts`. The payment's token leaves the state as soon as the charge is
 * definite, the address's coarse part as soon as the order is priced; the sealed contact stays, opaque.
 */
import type { KeyRef } from '../runtime/actor.ts';
import type { Destination, Quote } from '../workers/quote.ts';
import type { CheckoutFailure, SealedContact } from './cart-protocol.ts';
import type { OrderLineRequest, OrderStart, PaymentStatus, PaymentStep } from './order-protocol.ts';

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

/** A use of a coupon that the order holds, as it holds stock. */
export interface CouponUse {
  /** The coupon as the buyer typed it, for the answer. */
  readonly code: string;
  /** Id of the coupon actor that counts it. */
  readonly coupon: string;
  /** null: it is only counted. */
  readonly limit: number | null;
  step: LineStep;
  /** What the actor knows it by; null until it was held. */
  serial: number | null;
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
  /** Codes of coupons. Left out: none. */
  readonly coupons?: readonly string[];
  /** Promotions whose gift is out of stock. Left out: none. */
  readonly gifts?: readonly string[];
  /** Of `price_changed`: it was priced as a customer's first order. */
  readonly firstOrder?: true;
}

/** A line that a promotion adds, held as the buyer's own are. */
export interface GiftLine {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly holdId: string;
  readonly gift: string;
}

export interface OrderState {
  readonly id: string;
  phase: OrderPhase;
  cartId: string;
  lines: OrderLine[];
  uses: CouponUse[];
  /** What pricing needs; null once priced (or failed). */
  toPrice: {
    readonly destination: Destination;
    readonly coupons: readonly string[];
    readonly shippingMethod: string | null;
    readonly expectedTotal: OrderStart['expectedTotal'];
    readonly customer?: string;
    /** Whether it is the customer's first; `asked`: not answered yet. Left out: nobody wants to know. */
    readonly firstOrder?: boolean | 'asked';
    readonly facts?: OrderStart['facts'];
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
  /**
   * From version 2 on, left out where there are none: `uses` of the coupons that the quote used and whose uses are limited, and the `gifts`
   * that it gives.
   */
  | {
      readonly kind: 'priced';
      readonly at: number;
      readonly quote: Quote;
      readonly uses?: readonly Pick<CouponUse, 'code' | 'coupon' | 'limit'>[];
      readonly gifts?: readonly GiftLine[];
    }
  /** From version 2 on: what the count of the customer's orders says. */
  | { readonly kind: 'first_order_told'; readonly at: number; readonly first: boolean }
  | { readonly kind: 'line_held'; readonly at: number; readonly line: number }
  | { readonly kind: 'line_refused'; readonly at: number; readonly line: number; readonly code: string }
  /** The four events of a use, by its place in `uses`: from version 2 on. */
  | { readonly kind: 'use_held'; readonly at: number; readonly use: number; readonly serial: number }
  | { readonly kind: 'use_refused'; readonly at: number; readonly use: number }
  | { readonly kind: 'use_confirmed'; readonly at: number; readonly use: number }
  | { readonly kind: 'use_undone'; readonly at: number; readonly use: number }
  /** All lines and uses are held. */
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
    uses: [],
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

function lineOf(line: OrderLineRequest, holdId: string): OrderLine {
  return { ...line, holdId, step: 'idle', refusal: null, returnedUntil: null };
}

function begin(state: OrderState, event: Extract<OrderEvent, { kind: 'started' }>): void {
  const { start } = event;
  state.phase = 'pricing';
  state.cartId = start.cartId;
  state.lines = start.lines.map((line, index) => lineOf(line, line.cartHoldId ?? event.holdIds[index] ?? ''));
  const { destination, coupons, shippingMethod, expectedTotal, customer, facts } = start;
  const counted = start.firstOrder === true && customer !== undefined;
  const known = {
    ...(customer === undefined ? {} : { customer }),
    ...(facts === undefined ? {} : { facts }),
    ...(counted ? { firstOrder: 'asked' as const } : {}),
  };
  state.toPrice = { destination, coupons, shippingMethod, expectedTotal, ...known };
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

function setUse(state: OrderState, index: number, step: LineStep, serial?: number): void {
  const use = state.uses[index];
  if (use === undefined) return;
  use.step = step;
  if (serial !== undefined) use.serial = serial;
}

/** Events that a shopper's next read does not show. */
const INTERNAL: ReadonlySet<OrderEvent['kind']> = new Set([
  'line_held',
  'line_refused',
  'line_confirmed',
  'line_undone',
  'first_order_told',
  'use_held',
  'use_refused',
  'use_confirmed',
  'use_undone',
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

/** Total over versions 1 and 2; in place. */
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
      for (const { holdId, ...gift } of event.gifts ?? []) {
        state.lines.push(lineOf({ ...gift, cartHoldId: null }, holdId));
      }
      for (const line of state.lines) line.step = 'asked';
      state.uses = (event.uses ?? []).map((use) => ({ ...use, step: 'asked', serial: null }));
      pay(state, { amount: event.quote.total });
      return state;
    case 'first_order_told':
      if (state.toPrice !== null) state.toPrice = { ...state.toPrice, firstOrder: event.first };
      return state;
    case 'line_held':
      setStep(state, event.line, 'held');
      return state;
    case 'line_refused': {
      const line = setStep(state, event.line, 'refused');
      if (line !== undefined) line.refusal = event.code;
      return state;
    }
    case 'use_held':
      setUse(state, event.use, 'held', event.serial);
      return state;
    case 'use_refused':
      setUse(state, event.use, 'refused');
      return state;
    case 'use_confirmed':
      setUse(state, event.use, 'confirmed');
      return state;
    case 'use_undone':
      setUse(state, event.use, 'undone');
      return state;
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
  const uses = state.uses.length === 0 ? [] : state.uses.map((use) => ({ ...use }));
  return { ...state, lines: state.lines.map((line) => ({ ...line })), uses };
}

export function restoreOrder(id: string, data: unknown): OrderState {
  return copyOrder({ ...initialOrder(id), ...(data as OrderState) });
}
