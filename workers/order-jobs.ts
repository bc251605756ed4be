/**
 * What jobs say to actors and hear from them. The order actor's own types in `actors/` are a superset of these: jobs stand
 * below the actors and do not import them.
 */
import { Fault } from '../runtime/fault.ts';
import type { Destination, Quote } from './quote.ts';

export type OrderJobCommand =
  /** What is to be written about; `done` where the mail is on record as sent. */
  | { readonly kind: 'request_email'; readonly outboxId: string }
  /** May the payment be captured? From here on a cancel refunds instead of voiding. */
  | { readonly kind: 'request_capture'; readonly outboxId: string }
  | { readonly kind: 'capture_done'; readonly outboxId: string }
  | { readonly kind: 'capture_refused'; readonly outboxId: string; readonly code: string }
  | { readonly kind: 'email_sent'; readonly outboxId: string };

/** Asks an actor; resolves once the reply rests on committed events. */
export type AskActor = (
  ref: { readonly type: 'order'; readonly id: string },
  command: OrderJobCommand,
) => Promise<unknown>;

/** What the confirmation says of an order. */
export interface OrderSummary {
  readonly id: string;
  readonly quote: Quote | null;
  readonly placedAt: number;
}

/** Opened from the order's sealed contact; its personal data is never kept. */
export interface OrderContact {
  readonly email: string;
  readonly shippingAddress: Destination & {
    readonly name: string;
    readonly line1: string;
    readonly line2?: string;
    readonly city: string;
  };
}

/** @throws Fault `rejected`, not retryable, for a document that names no order: it will never name one. */
export function orderIdOf(doc: Readonly<Record<string, unknown>>): string {
  const { orderId } = doc;
  if (typeof orderId === 'string' && orderId !== '') return orderId;
  throw new Fault('rejected', 'the job names no order', { retryable: false });
}

export function replyOf(reply: unknown): { readonly ok: boolean } & Readonly<Record<string, unknown>> {
  if (typeof reply === 'object' && reply !== null && 'ok' in reply && typeof reply.ok === 'boolean') {
    return reply as { readonly ok: boolean } & Readonly<Record<string, unknown>>;
  }
  throw new Fault('internal', 'the order answered what no job understands', { retryable: false });
}
