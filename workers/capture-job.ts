/**
 * Captures the payment of a confirmed order. The order decides first (`request_capture` is journaled before any money moves,
 * so a cancel that comes later knows that it must refund), then the provider is asked under `<orderId>:capture`, then the
 * order records the outcome and closes the outbox row in the same append. A crash between any two steps repeats all three,
 * each of which is safe to repeat. A capture that the provider refuses for good is recorded too, but is no success: the row
 * stays and the job fails for good, so that an operator sees the uncaptured order and can try again or cancel it.
 */
import { captureKey, find } from '../payments/effects.ts';
import type { PaymentProvider } from '../payments/provider.ts';
import { Fault } from '../runtime/fault.ts';
import { type AskActor, orderIdOf, replyOf } from './order-jobs.ts';
import type { JobKind } from './queues.ts';

export interface CaptureJobOptions {
  readonly ask: AskActor;
  readonly provider: PaymentProvider;
}

export function captureJob({ ask, provider }: CaptureJobOptions): JobKind {
  return {
    // Each waits for two turns of its order, and for the provider in between.
    concurrency: 32,
    async run(doc, outboxId) {
      const ref = { type: 'order', id: orderIdOf(doc) } as const;
      const reply = replyOf(await ask(ref, { kind: 'request_capture', outboxId }));
      if (!reply.ok) throw new Fault('rejected', `the order refuses the capture: ${reply.code}`, { retryable: false });
      // Nothing (more) to capture: the order has closed the row itself.
      if (reply.kind !== 'capture') return;
      const { paymentId, amount } = reply;
      if (typeof paymentId !== 'string' || typeof amount !== 'number') {
        throw new Fault('internal', 'a capture without payment or amount', { retryable: false });
      }
      const refusal = await capture(provider, ref.id, paymentId, amount);
      const outcome =
        refusal === null
          ? ({ kind: 'capture_done', outboxId } as const)
          : ({ kind: 'capture_refused', outboxId, code: refusal } as const);
      const recorded = replyOf(await ask(ref, outcome));
      if (!recorded.ok)
        throw new Fault('rejected', `the order refuses the outcome: ${recorded.code}`, { retryable: false });
      if (refusal !== null)
        throw new Fault('rejected', `the provider refuses the capture: ${refusal}`, { retryable: false });
    },
  };
}

/** @returns null once the payment is captured; else the provider's code for why it never will be. */
async function capture(
  provider: PaymentProvider,
  orderId: string,
  paymentId: string,
  amount: number,
): Promise<string | null> {
  const outcome = await provider.capture(paymentId, amount, captureKey(orderId));
  if (outcome.ok) return null;
  // Refused because it is captured already, by hand or under a key that was lost: the goal is reached.
  const payment = await find(provider, orderId, paymentId);
  return payment?.state === 'captured' ? null : outcome.code;
}
