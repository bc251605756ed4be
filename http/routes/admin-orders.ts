/**
 * Orders and payments as operators see them. The read side says which orders a list is of; what they are is asked of their
 * actors, so that a list never shows less than what was already answered. E-mail and address are opened for each answer.
 */
import type { OrderCursor, PaymentRecord } from '../../schema/read-side.ts';
import type { App } from '../app.ts';
import { timestamp } from '../json.ts';
import { openedOrder, orderReply } from '../order-view.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, route } from '../route.ts';
import {
  AdminPaymentList,
  AdminPaymentQuery,
  Order,
  OrderList,
  OrderListQuery,
  OrderParams,
} from '../schemas-order.ts';
import { findOrder } from './orders.ts';
import { nextCursor, type Paging, pagingOf } from './paging.ts';

export function adminOrderRoutes(app: App): AnyRoute[] {
  const list = route({
    method: 'GET',
    path: '/v1/admin/orders',
    operationId: 'adminListOrders',
    summary: 'Orders, newest first',
    tag: 'admin: orders',
    access: 'viewer',
    limit: 'admin',
    query: OrderListQuery,
    responses: { 200: { description: 'A page of orders.', schema: OrderList } },
    problems: ['cursor_invalid'],
    async handle(request) {
      const { state, cartId } = request.query;
      const paging = pagingOf(app, 'adminListOrders', request.query);
      if ('refused' in paging) return paging.refused;
      const after = positionOf(paging);
      const rows = await app.readSide.listOrders({ state, cartId, limit: paging.limit + 1, after });
      const found = await Promise.all(rows.slice(0, paging.limit).map(({ id }) => findOrder(app, id)));
      const orders = found.filter((order) => order !== null);
      const items = await Promise.all(orders.map((order) => openedOrder(order, app.subjects)));
      return { status: 200, headers: NO_STORE, body: { items, nextCursor: cursorAfter(app, paging, rows) } };
    },
  });

  const read = route({
    method: 'GET',
    path: '/v1/admin/orders/{id}',
    operationId: 'adminGetOrder',
    summary: 'Read an order',
    tag: 'admin: orders',
    access: 'viewer',
    limit: 'admin',
    params: OrderParams,
    responses: { 200: { description: 'The order.', schema: Order } },
    problems: ['not_found'],
    async handle(request) {
      const order = await findOrder(app, request.params.id);
      return order === null ? problem('not_found') : orderReply({ order, status: 200, replayed: false }, app.subjects);
    },
  });

  const payments = route({
    method: 'GET',
    path: '/v1/admin/payments',
    operationId: 'adminListPayments',
    summary: 'What the shop believes was charged',
    tag: 'admin: orders',
    access: 'viewer',
    limit: 'admin',
    query: AdminPaymentQuery,
    responses: { 200: { description: 'A page of payments, newest first.', schema: AdminPaymentList } },
    problems: ['cursor_invalid'],
    async handle(request) {
      const { orderId, cartId, state, since } = request.query;
      const paging = pagingOf(app, 'adminListPayments', request.query);
      if ('refused' in paging) return paging.refused;
      const sinceMs = since === undefined ? undefined : Date.parse(since);
      if (Number.isNaN(sinceMs)) {
        return problem('invalid_request', { errors: [{ path: '/query/since', message: 'is no date' }] });
      }
      const query = { orderId, cartId, state, since: sinceMs, limit: paging.limit + 1, after: positionOf(paging) };
      const rows = await app.readSide.listPayments(query);
      const items = rows.slice(0, paging.limit).map(paymentDocument);
      return { status: 200, headers: NO_STORE, body: { items, nextCursor: cursorAfter(app, paging, rows) } };
    },
  });

  return [list, read, payments];
}

const NO_STORE = Object.freeze({ 'cache-control': 'no-store' });

/** Lists are asked for one row more than they show: it tells whether there is a next page. */
function cursorAfter(app: App, paging: Paging, rows: readonly OrderCursor[]): string | null {
  const last = rows.length > paging.limit ? rows[paging.limit - 1] : undefined;
  return nextCursor(app, paging, last === undefined ? null : [last.placedAt, last.id]);
}

/** Of a cursor that we signed, so of this form. */
function positionOf({ after }: Paging): OrderCursor | undefined {
  return after === null ? undefined : { placedAt: Number(after[0]), id: String(after[1]) };
}

function paymentDocument(payment: PaymentRecord): object {
  const { orderId, cartId, state, amount, currency, provider, reference } = payment;
  const history = payment.history as readonly { readonly state: string; readonly at: number }[];
  return {
    id: reference,
    orderId,
    cartId,
    state,
    amount: { amount, currency },
    provider,
    reference: orderId,
    history: history.map((step) => ({ state: step.state, at: timestamp(step.at) })),
    ...(payment.problem === undefined ? undefined : { problem: payment.problem }),
  };
}
