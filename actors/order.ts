/**
 * The order actor: made by a cart's checkout, carried by the saga in `order-saga.ts` to confirmed or failed; then it is
 * the one place that says whether its payment may be captured or the order cancelled. Capture and cancel are decided
 * here, one after the other, so they cannot both win: a job asks before it captures, and a cancel that comes after that
 * refunds instead of voiding.
 */
import type { ActorType, DecideContext, RuntimeCommand } from '../runtime/actor.ts';
import { invariant } from '../runtime/fault.ts';
import { orderDoc } from './order-document.ts';
import { captureRow, type OrderDecision } from './order-holds.ts';
import type { OrderCommand, OrderReply, OrderStart } from './order-protocol.ts';
import {
  CANCEL_TOKEN,
  downgradeOrder,
  EVENT_VERSION,
  giveUp,
  pendingOf,
  replyAfter,
  takeOutcome,
  wakeAt,
} from './order-saga.ts';
import {
  applyOrder,
  copyOrder,
  initialOrder,
  isVisible,
  type OrderEvent,
  type OrderState,
  restoreOrder,
} from './order-state.ts';
import { WANTED_MS_MAX } from './sku-holds.ts';

export type {
  OrderCommand,
  OrderDoc,
  OrderHandlers,
  OrderLineRequest,
  OrderReply,
  OrderStart,
  PaymentStatus,
  PaymentStep,
} from './order-protocol.ts';
export type { OrderEvent, OrderPhase, OrderState } from './order-state.ts';

export interface OrderOptions {
  /** How long after its start an order without a definite charge gives up. Default, and at most, 600,000 (10 minutes). */
  readonly giveUpAfterMs?: number;
}

const DONE: OrderReply = { ok: true, kind: 'done' };

function start(state: OrderState, command: OrderStart, giveUpAfterMs: number, ctx: DecideContext): OrderDecision {
  if (state.phase !== 'absent') return { reply: replyAfter(state, [], ctx) };
  invariant(command.lines.length > 0, 'an order has lines');
  const at = ctx.now;
  // Every line gets an id, used where it adopts none: the list stays in step with the lines.
  const holdIds = command.lines.map((line) => line.cartHoldId ?? ctx.newId('hold'));
  const events: OrderEvent[] = [{ kind: 'started', at, start: command, holdIds, giveUpAt: at + giveUpAfterMs }];
  return { events, reply: replyAfter(state, events, ctx) };
}

function read(state: OrderState, ctx: DecideContext): OrderDecision {
  return { reply: state.phase === 'absent' ? { ok: false, code: 'not_found' } : replyAfter(state, [], ctx) };
}

function cancel(state: OrderState, ifMatch: number | undefined, ctx: DecideContext): OrderDecision {
  const at = ctx.now;
  switch (state.phase) {
    case 'absent':
      return { reply: { ok: false, code: 'not_found' } };
    case 'cancelled':
      return { reply: replyAfter(state, [], ctx) };
    case 'cancelling':
      return { park: CANCEL_TOKEN };
    case 'confirmed': {
      // Any version since the last change that the caller could see.
      const stale = ifMatch !== undefined && (ifMatch < state.visibleSeq || ifMatch > ctx.seq);
      if (stale) return { reply: { ok: false, code: 'version_mismatch' } };
      const started: OrderEvent = { kind: 'cancel_started', at, key: ctx.key ?? null };
      if (state.payment.state !== 'none') return { events: [started], park: CANCEL_TOKEN };
      const events: OrderEvent[] = [started, { kind: 'cancelled', at }];
      return { events, reply: replyAfter(state, events, ctx) };
    }
    default:
      return { reply: { ok: false, code: 'not_cancellable' } };
  }
}

/** Until the money is on its way back, and only from the state that says it is still held. */
function mayCapture(state: OrderState): boolean {
  return state.phase === 'confirmed' && state.payment.state === 'authorized';
}

function requestCapture(state: OrderState, at: number): OrderDecision {
  const { reference, amount, captureRequested } = state.payment;
  // Captured, or cancelled: the append that made it so closed the job's row, or the one that ends the cancel will.
  if (!mayCapture(state) || reference === null) return { reply: DONE };
  const reply: OrderReply = { ok: true, kind: 'capture', paymentId: reference, amount };
  return captureRequested ? { reply } : { events: [{ kind: 'capture_requested', at }], reply };
}

/** The job was let go ahead: what it reports counts also where a cancel has begun since. */
function awaitsCapture(state: OrderState): boolean {
  const { payment, phase } = state;
  return (
    payment.captureRequested && payment.state === 'authorized' && (phase === 'confirmed' || phase === 'cancelling')
  );
}

function report(
  state: OrderState,
  command: Extract<OrderCommand, { kind: 'capture_done' | 'capture_refused' | 'email_sent' }>,
  at: number,
): OrderDecision {
  const outboxClose = [command.outboxId];
  switch (command.kind) {
    case 'capture_done':
      if (!awaitsCapture(state)) return { reply: DONE };
      return { events: [{ kind: 'captured', at }], reply: DONE, outboxClose };
    case 'capture_refused':
      if (!awaitsCapture(state)) return { reply: DONE };
      // Nobody has the money yet: the row stays open for whoever runs the failed job again, which asks anew.
      return { events: [{ kind: 'capture_refused', at, code: command.code }], reply: DONE };
    case 'email_sent':
      if (state.phase === 'absent' || state.emailSent) return { reply: DONE };
      return { events: [{ kind: 'email_sent', at }], reply: DONE, outboxClose };
  }
}

/** For a registry that wants another give-up time than `order` has. Throws where it is too long. */
export function createOrder(options: OrderOptions = {}): ActorType<OrderState, OrderCommand, OrderEvent, OrderReply> {
  const giveUpAfterMs = options.giveUpAfterMs ?? WANTED_MS_MAX;
  invariant(giveUpAfterMs <= WANTED_MS_MAX, 'an order gives up before a tombstone of its holds may be gone');
  return {
    type: 'order',
    eventVersion: EVENT_VERSION,
    initial: initialOrder,
    decide(state, command: OrderCommand | RuntimeCommand, ctx): OrderDecision {
      switch (command.kind) {
        case 'start':
          return start(state, command, giveUpAfterMs, ctx);
        case 'get':
          return read(state, ctx);
        case 'request_email':
          // The append that recorded it has closed the row.
          return state.emailSent ? { reply: DONE } : read(state, ctx);
        case 'cancel':
          return cancel(state, command.ifMatch, ctx);
        case 'payment_notice':
          return { reply: DONE, hasten: true };
        case 'request_capture':
          return requestCapture(state, ctx.now);
        case 'capture_done':
        case 'capture_refused':
        case 'email_sent':
          return report(state, command, ctx.now);
        case '$wake':
          return giveUp(state, ctx.now);
        case '$outcome':
          return takeOutcome(state, command.effectId, command.outcome, ctx);
      }
    },
    apply: applyOrder,
    downgrade: downgradeOrder,
    snapshot: copyOrder,
    restore: restoreOrder,
    pending: pendingOf,
    wakeAt,
    /**
     * The read side carries neither the contact nor the payment's token, and has an order from when it was priced or has failed: that is a moment
     * after its start, and a row of four for each order is spared.
     */
    project(id, state, events, seq) {
      if (state.phase === 'pricing' || !events.some(isVisible)) return [];
      const { contact: _sealed, ...doc } = orderDoc(state);
      return [{ table: 'orders', key: id, version: seq, doc }];
    },
  };
}

export const order = createOrder();
export { captureRow };
