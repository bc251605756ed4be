/**
 * Checkout. The contact is sealed before anything is sent, under a key of the cart's own that is durable by then, so that no event ever
 * holds it in clear. The cart's actor starts the order and answers once its outcome is known; after 5 s without one the
 * buyer gets the pending order, and the actor's answer, when it comes, is recorded under the key all the same. The
 * 202 itself is not recorded: a retry gets the outcome, or waits for it again.
 */
import type { CartCommand, CartReply, SealedContact } from '../../actors/cart-protocol.ts';
import type { OrderDoc, OrderReply } from '../../actors/order-protocol.ts';
import type { KeyRef } from '../../runtime/actor.ts';
import { Fault } from '../../runtime/fault.ts';
import type { Destination } from '../../workers/quote.ts';
import type { App } from '../app.ts';
import type { CartAnswer } from '../cart-view.ts';
import { CheckoutRoom } from '../checkout-room.ts';
import { type Contact, orderReply } from '../order-view.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, type EdgeRequest, route } from '../route.ts';
import type { ShippingAddress } from '../schemas.ts';
import { CartParams, CheckoutInput } from '../schemas-cart.ts';
import { Order } from '../schemas-order.ts';
import { CART_WRITE_PROBLEMS, cartRef, finish, keyOf, shut } from './cart-access.ts';

/** The actor's answer is let go this long after the 202, so that callers who wait stay few. */
const ANSWER_MARGIN_MS = 5_000;
/** Who found no room may come again after this. */
const NO_ROOM_RETRY_MS = 2_000;

export function checkoutRoutes(app: App): AnyRoute[] {
  const room = new CheckoutRoom(app.clock);
  const checkout = route({
    method: 'POST',
    path: '/v1/carts/{id}/checkout',
    operationId: 'checkoutCart',
    summary: 'Order what is in the cart',
    tag: 'checkout',
    access: 'cart',
    params: CartParams,
    body: CheckoutInput,
    idempotency: 'required',
    limit: 'checkout',
    responses: {
      201: { description: 'The order is confirmed and the charge authorised.', schema: Order },
      202: { description: 'The outcome is not known yet; the order ends `confirmed` or `failed`.', schema: Order },
    },
    problems: [
      ...CART_WRITE_PROBLEMS,
      'payment_declined',
      'price_changed',
      'out_of_stock',
      'hold_expired',
      'cart_empty',
      'price_unavailable',
      'shipping_unavailable',
      'coupon_not_applicable',
      'order_failed',
    ],
    handle: (request) =>
      shut(app, request, request.params.id) ?? checkOut(app, room, request, request.params.id, request.body),
  });
  return [checkout];
}

async function checkOut(
  app: App,
  room: CheckoutRoom,
  request: EdgeRequest,
  cartId: string,
  input: CheckoutInput,
): Promise<EdgeReply> {
  const key = keyOf(request);
  if (key === undefined) return problem('idempotency_key_required');
  if (!room.enter()) return problem('overloaded', { retryAfterMs: NO_ROOM_RETRY_MS });
  const answer = ordered(app, key, request, cartId, input);
  // The buyer may be let go before, the order still takes its place.
  answer.then(
    () => room.leave(),
    () => room.leave(),
  );
  const inTime = await within(app, answer, app.settings.checkoutWaitMs);
  if (inTime !== LATE) return finish(app, inTime);
  const order = await orderInTheMaking(app, cartId);
  // no order is in the making any more: the answer is on its way
  return order === null ? finish(app, await answer) : orderReply({ order, status: 202, replayed: false }, app.subjects);
}

/** The cart's answer, once the outcome of its order is known. */
async function ordered(
  app: App,
  key: KeyRef,
  request: EdgeRequest,
  cartId: string,
  input: CheckoutInput,
): Promise<CartAnswer> {
  const contact = await seal(app, cartId, input);
  const command: CartCommand = {
    kind: 'checkout',
    request: {
      contact,
      destination: destinationOf(input.shippingAddress),
      expectedTotal: input.expectedTotal,
      paymentToken: input.payment.token,
      ...(app.catalogue.countsOrders() ? { firstOrder: true } : undefined),
      customer: app.subjects.pseudonym(canonicalEmail(input.email)),
    },
    ifMatch: request.ifMatch,
  };
  const timeoutMs = app.settings.checkoutWaitMs + ANSWER_MARGIN_MS;
  return (await app.system.ask(cartRef(cartId), command, { render: true, key, timeoutMs })) as CartAnswer;
}

const LATE = Symbol('late');

/** The promise's outcome, or `LATE` after the time is over; it is then let go on, and a later failure of it is nobody's. */
function within<T>(app: App, promise: Promise<T>, waitMs: number): Promise<T | typeof LATE> {
  return new Promise((resolve, reject) => {
    const timer = app.clock.setTimeout(() => resolve(LATE), waitMs);
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (fault) => {
        timer.cancel();
        reject(fault);
      },
    );
  });
}

/** What a stored order needs of the buyer, encrypted under the cart's own key. One subject is one guest's one cart. */
async function seal(app: App, subject: string, input: CheckoutInput): Promise<SealedContact> {
  const { email, shippingAddress, billingAddress } = input;
  const contact: Contact = {
    email,
    shippingAddress,
    ...(billingAddress === undefined ? undefined : { billingAddress }),
  };
  await app.subjects.ensure(subject);
  return { subject, bytes: await app.subjects.seal(subject, contact) };
}

/**
 * One form for all spellings of one mailbox, for whatever is limited per customer: in lower case, and without a tag after `+` (RFC 5233), with
 * which one person has as many addresses as they like. Mail goes to the address as it was typed.
 */
export function canonicalEmail(typed: string): string {
  return typed.replace(/^([^+@]+)\+[^@]*@/, '$1@').toLowerCase();
}

export function destinationOf(address: ShippingAddress): Destination {
  const { country, region, postalCode } = address;
  return { country, ...(region === undefined ? undefined : { region }), postalCode };
}

/**
 * Null where the cart has none. Throws where the cart's message has not reached the order yet (it may be another node's, and out of reach):
 * who was shown that order would look for it and find nothing.
 */
async function orderInTheMaking(app: App, cartId: string): Promise<OrderDoc | null> {
  const glance = (await app.system.ask(cartRef(cartId), { kind: 'glance' } satisfies CartCommand, {
    repeatable: true,
  })) as CartReply;
  if (!glance.ok || glance.kind !== 'glance' || glance.cart.orderId === null) return null;
  if (glance.cart.status !== 'checking_out') return null;
  const reply = (await app.system.ask(
    { type: 'order', id: glance.cart.orderId },
    { kind: 'get' },
    { repeatable: true },
  )) as OrderReply;
  if (reply.ok && reply.kind === 'order') return reply.order;
  throw new Fault('outcome_unknown', 'the order has not begun yet');
}
