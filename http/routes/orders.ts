/**
 * Orders as their buyers see them. A cart's token opens the orders made from it until 30 days after they were placed; to every
 * other credential an order does not exist.
 */
import type { OrderCommand, OrderDoc, OrderReply } from '../../actors/order-protocol.ts';
import type { ActorRef } from '../../runtime/actor.ts';
import type { App } from '../app.ts';
import { type OrderAnswer, orderReply } from '../order-view.ts';
import { type ProblemReply, problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, type EdgeRequest, route } from '../route.ts';
import { UUID } from '../schemas.ts';
import { Order, OrderParams } from '../schemas-order.ts';
import { keyOf } from './cart-access.ts';

export const ORDER_TOKEN_MS = 30 * 24 * 60 * 60 * 1000;
const ORDER_ID = new RegExp(`^ord_${UUID}$`);

export function orderRoutes(app: App): AnyRoute[] {
  const read = route({
    method: 'GET',
    path: '/v1/orders/{id}',
    operationId: 'getOrder',
    summary: 'Read an order',
    tag: 'orders',
    access: 'cart',
    params: OrderParams,
    responses: { 200: { description: 'The order.', schema: Order } },
    problems: ['not_found'],
    async handle(request) {
      const found = await openOrder(app, request, request.params.id);
      if ('refused' in found) return found.refused;
      return orderReply({ order: found.order, status: 200, replayed: false }, app.subjects);
    },
  });

  const cancel = route({
    method: 'POST',
    path: '/v1/orders/{id}/cancel',
    operationId: 'cancelOrder',
    summary: 'Cancel an order whose fulfilment has not started',
    tag: 'orders',
    access: 'cart',
    params: OrderParams,
    responses: {
      200: { description: 'The order, cancelled; its payment ends `voided` or `refunded`.', schema: Order },
    },
    problems: ['not_found', 'not_cancellable', 'version_mismatch', 'idempotency_full'],
    handle: (request) => cancelOrder(app, request, request.params.id),
  });

  return [read, cancel];
}

export function orderRef(id: string): ActorRef {
  return { type: 'order', id };
}

/** Null where there is no such order. */
export async function findOrder(app: App, id: string): Promise<OrderDoc | null> {
  // an id of no form wakes no actor
  if (!ORDER_ID.test(id)) return null;
  const reply = (await app.system.ask(orderRef(id), { kind: 'get' } satisfies OrderCommand, {
    repeatable: true,
  })) as OrderReply;
  return reply.ok && reply.kind === 'order' ? reply.order : null;
}

async function openOrder(
  app: App,
  request: EdgeRequest,
  id: string,
): Promise<{ readonly order: OrderDoc } | { readonly refused: ProblemReply }> {
  if (request.bearer === null) {
    return { refused: problem('unauthenticated', { headers: { 'www-authenticate': 'Bearer' } }) };
  }
  const order = await findOrder(app, id);
  if (order === null || !app.tokens.opens(request.bearer, order.cartId)) return { refused: problem('not_found') };
  if (app.clock.now() > order.placedAt + ORDER_TOKEN_MS) return { refused: problem('not_found') };
  return { order };
}

async function cancelOrder(app: App, request: EdgeRequest, id: string): Promise<EdgeReply> {
  const found = await openOrder(app, request, id);
  if ('refused' in found) return found.refused;
  const command: OrderCommand = { kind: 'cancel', ifMatch: request.ifMatch };
  const key = keyOf(request);
  const answer = (await app.system.ask(orderRef(id), command, { render: true, key })) as EdgeReply | OrderAnswer;
  return 'order' in answer ? orderReply(answer, app.subjects) : answer;
}
