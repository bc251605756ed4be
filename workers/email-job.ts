/**
 * Sends the confirmation of an order, then has the order record that it was sent, which closes the outbox row. A crash
 * between the two sends it again as the same mail (`mailer.ts`); one order has one confirmation. The order is asked first:
 * a job that runs again after the record (its own end was lost) sends nothing.
 */
import { Fault } from '../runtime/fault.ts';
import type { Mailer } from './mailer.ts';
import { type AskActor, type OrderContact, type OrderSummary, orderIdOf, replyOf } from './order-jobs.ts';
import { orderMail } from './order-mail.ts';
import type { JobKind } from './queues.ts';

export interface EmailJobOptions<Order extends MailedOrder> {
  readonly ask: AskActor;
  /** Opens the order's sealed contact; null where the person was erased. */
  openContact(order: Order): Promise<OrderContact | null>;
  readonly mailer: Mailer;
}
export interface MailedOrder extends OrderSummary {
  readonly state: string;
}

export function emailJob<Order extends MailedOrder>(options: EmailJobOptions<Order>): JobKind {
  const { ask, mailer } = options;
  return {
    // More than the mail server gets connections: each also waits for two turns of its order.
    concurrency: 48,
    async run(doc, outboxId) {
      const ref = { type: 'order', id: orderIdOf(doc) } as const;
      const reply = replyOf(await ask(ref, { kind: 'request_email', outboxId }));
      if (reply.ok && reply.kind === 'done') return;
      if (!reply.ok || reply.kind !== 'order') {
        throw new Fault('rejected', `there is no order to write about: ${reply.code}`, { retryable: false });
      }
      // The order's own document, as the actor replies with it.
      const order = reply.order as Order;
      const contact = await options.openContact(order);
      // An erased person gets no mail, nor does one whose order was cancelled before this ran; the row is closed all the same.
      if (contact !== null && order.state !== 'cancelled' && order.quote !== null) {
        await mailer.send(orderMail({ ...order, quote: order.quote }, contact));
      }
      const recorded = replyOf(await ask(ref, { kind: 'email_sent', outboxId }));
      if (!recorded.ok)
        throw new Fault('rejected', `the order refuses the outcome: ${recorded.code}`, { retryable: false });
    },
  };
}
