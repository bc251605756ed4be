/**
 * Notices of a payment provider. None is believed: a genuine one only makes the order ask the provider again now, under its own key, for what
 * it waits for; an order at rest does nothing. So duplicates, late ones and ones in the wrong order are harmless, and nothing of a notice is kept.
 */
import type { OrderCommand } from '../../actors/order-protocol.ts';
import type { App } from '../app.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, type EdgeRequest, route } from '../route.ts';
import { PaymentNotice } from '../schemas-order.ts';
import { Checker, parseJson } from '../validation.ts';
import { orderRef } from './orders.ts';

const NOTICE_BYTES_MAX = 16_384;

export function webhookRoutes(app: App): AnyRoute[] {
  const checker = new Checker(PaymentNotice);
  const notice = route({
    method: 'POST',
    path: '/v1/webhooks/payments',
    operationId: 'receivePaymentNotice',
    summary: 'Tell that a payment has changed at the provider',
    description:
      'Signed as [Standard Webhooks](https://www.standardwebhooks.com) says, with a secret of `PAYMENT_WEBHOOK_SECRET` (without one there is no such call: 404). The shop believes nothing of it: where the order waits for an answer of its provider, it asks for it again now.',
    tag: 'webhooks',
    access: 'none',
    idempotency: 'ignored',
    limit: 'webhook',
    rawBody: { maxBytes: NOTICE_BYTES_MAX, contentTypes: ['application/json'], schema: PaymentNotice },
    responses: { 204: { description: 'Taken; whether it changes anything the provider says when it is asked.' } },
    problems: ['not_found', 'signature_invalid'],
    handle: (request) => take(app, checker, request),
  });
  return [notice];
}

async function take(app: App, checker: Checker, request: EdgeRequest): Promise<EdgeReply> {
  const { notices } = app;
  const raw = Buffer.from(request.raw ?? []);
  if (notices === null) return problem('not_found');
  if (!notices.isGenuine(raw, (name) => request.header(name), app.clock.now()))
    return problem('signature_invalid', { headers: { 'www-authenticate': 'StandardWebhooks' } });
  const parsed = parseJson(raw);
  if (!parsed.ok) return problem('invalid_request', { errors: [{ path: '', message: parsed.detail }] });
  const { value } = parsed;
  if (!checker.accepts(value)) return problem('invalid_request', { errors: checker.errors(value, '') });
  const { reference } = value as PaymentNotice;
  await app.system.ask(orderRef(reference), { kind: 'payment_notice' } satisfies OrderCommand, { repeatable: true });
  return { status: 204 };
}
