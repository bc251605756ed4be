/**
 * What changes a cart's price besides its lines: coupons, destination, shipping. Whether a coupon applies or a method serves the
 * cart is a matter of pricing, not of the actor: the route prices the cart as it would be, then sends the command. Where the cart
 * changes in between, the coupon stays and does nothing, and a warning tells; so the race is harmless.
 */
import type { CartCommand, CartGlance } from '../../actors/cart-protocol.ts';
import { CHANNEL_DEFAULT } from '../../actors/cart-state.ts';
import { couponCode } from '../../schema/coupon.ts';
import type { PriceRequest, Quote } from '../../workers/quote.ts';
import type { App } from '../app.ts';
import { moneyIn, shippingDocument } from '../order-view.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, type EdgeRequest, route } from '../route.ts';
import { closed, Destination, listQuery } from '../schemas.ts';
import { Cart, CartCouponParams, CartParams, ShippingInput, ShippingMethodList } from '../schemas-cart.ts';
import { askCart, CART_PROBLEMS, CART_WRITE_PROBLEMS, glanceOrReplay, shut } from './cart-access.ts';
import { nextCursor, pagingOf } from './paging.ts';

export function cartTermRoutes(app: App): AnyRoute[] {
  const applyCoupon = route({
    method: 'PUT',
    path: '/v1/carts/{id}/coupons/{code}',
    operationId: 'applyCoupon',
    summary: 'Apply a coupon',
    tag: 'carts',
    access: 'cart',
    params: CartCouponParams,
    responses: { 200: { description: 'The cart.', schema: Cart } },
    problems: [...CART_WRITE_PROBLEMS, 'coupon_unknown', 'coupon_not_applicable', 'coupon_limit'],
    handle: (request) => shut(app, request, request.params.id) ?? putCoupon(app, request, request.params),
  });

  const removeCoupon = route({
    method: 'DELETE',
    path: '/v1/carts/{id}/coupons/{code}',
    operationId: 'removeCoupon',
    summary: 'Take a coupon off',
    tag: 'carts',
    access: 'cart',
    params: CartCouponParams,
    responses: { 200: { description: 'The cart.', schema: Cart } },
    problems: [...CART_WRITE_PROBLEMS, 'coupon_unknown'],
    handle: (request) => shut(app, request, request.params.id) ?? deleteCoupon(app, request, request.params),
  });

  const setDestination = route({
    method: 'PUT',
    path: '/v1/carts/{id}/destination',
    operationId: 'setDestination',
    summary: 'Say where the goods go; tax and shipping follow',
    tag: 'carts',
    access: 'cart',
    params: CartParams,
    body: Destination,
    responses: { 200: { description: 'The cart.', schema: Cart } },
    problems: CART_WRITE_PROBLEMS,
    handle(request) {
      const { id } = request.params;
      const command: CartCommand = { kind: 'set_destination', destination: request.body, ifMatch: request.ifMatch };
      return shut(app, request, id) ?? askCart(app, request, id, command);
    },
  });

  const listMethods = route({
    method: 'GET',
    path: '/v1/carts/{id}/shipping-methods',
    operationId: 'listShippingMethods',
    summary: 'Shipping methods that serve this cart, with what each would cost',
    tag: 'carts',
    access: 'cart',
    params: CartParams,
    query: closed(listQuery),
    responses: {
      200: { description: 'A page of them, in the order in which they are offered.', schema: ShippingMethodList },
    },
    problems: [...CART_PROBLEMS, 'cursor_invalid'],
    handle: (request) => shut(app, request, request.params.id) ?? methodsFor(app, request, request.query),
  });

  const setShipping = route({
    method: 'PUT',
    path: '/v1/carts/{id}/shipping',
    operationId: 'setShipping',
    summary: 'Choose a shipping method',
    tag: 'carts',
    access: 'cart',
    params: CartParams,
    body: ShippingInput,
    responses: { 200: { description: 'The cart.', schema: Cart } },
    problems: [...CART_WRITE_PROBLEMS, 'shipping_unknown', 'shipping_unavailable'],
    handle: (request) => shut(app, request, request.params.id) ?? putShipping(app, request, request.body.method),
  });

  return [applyCoupon, removeCoupon, setDestination, listMethods, setShipping];
}

/** What the cart costs now. */
export function priceRequestOf(app: App, cart: CartGlance): PriceRequest {
  const { currency, destination, coupons, shippingMethod, facts } = cart;
  const lines = cart.lines.map(({ held: _unasked, ...line }) => line);
  const at = app.clock.now();
  return { currency, lines, destination, coupons, shippingMethod, at, channel: CHANNEL_DEFAULT, ...facts };
}

async function putCoupon(app: App, request: EdgeRequest, params: { id: string; code: string }): Promise<EdgeReply> {
  const code = couponCode(params.code);
  const command: CartCommand = { kind: 'apply_coupon', code, ifMatch: request.ifMatch };
  const earlier = await glanceOrReplay(app, request, params.id);
  if ('reply' in earlier) return earlier.reply;
  const { cart } = earlier;
  if (!app.catalogue.hasCoupon(code)) return problem('coupon_unknown');
  if (cart.status === 'open' && !cart.coupons.includes(code)) {
    const candidate = { ...priceRequestOf(app, cart), coupons: [...cart.coupons, code] };
    const quote = await app.pricing.price(candidate, ESTIMATE);
    if (quote.warnings.includes(`coupon_not_applicable:${code}`)) return problem('coupon_not_applicable');
  }
  return await askCart(app, request, params.id, command).promise();
}

/** What no coupon is called and no cart has is unknown; one that was retired can still be taken off the carts that have it. */
async function deleteCoupon(app: App, request: EdgeRequest, params: { id: string; code: string }): Promise<EdgeReply> {
  const code = couponCode(params.code);
  if (!app.catalogue.hasCoupon(code)) {
    const earlier = await glanceOrReplay(app, request, params.id);
    if ('reply' in earlier) return earlier.reply;
    if (!earlier.cart.coupons.includes(code)) return problem('coupon_unknown');
  }
  return await askCart(app, request, params.id, { kind: 'remove_coupon', code, ifMatch: request.ifMatch }).promise();
}
const ESTIMATE = Object.freeze({ final: false });

async function methodsFor(
  app: App,
  request: EdgeRequest<{ id: string }>,
  query: { limit?: number; cursor?: string },
): Promise<EdgeReply> {
  const { id: cartId } = request.params;
  const paging = pagingOf(app, `listShippingMethods ${cartId}`, query);
  if ('refused' in paging) return paging.refused;
  const earlier = await glanceOrReplay(app, request, cartId);
  if ('reply' in earlier) return earlier.reply;
  const asked = priceRequestOf(app, earlier.cart);
  const methods = app.catalogue.shippingMethods();
  const [now, ...quotes] = await Promise.all([
    app.pricing.price(asked, ESTIMATE),
    ...methods.map(({ id }) => app.pricing.price({ ...asked, shippingMethod: id }, ESTIMATE)),
  ]);
  const money = moneyIn(asked.currency);
  const items = methods.flatMap(({ id, name }, i) => {
    const quote = quotes[i] as Quote;
    // a method that does not serve the cart is not what its price was computed with
    if (quote.shipping?.method !== id) return [];
    const { price, tax, taxIncluded, total } = shippingDocument(quote, money) as NonNullable<
      ReturnType<typeof shippingDocument>
    >;
    const { delivery } = quote.shipping;
    const told = delivery === undefined ? undefined : { delivery };
    return [{ id, name, price, tax, taxIncluded, total, ...told, chosen: now?.shipping?.method === id }];
  });
  const from = paging.after === null ? 0 : items.findIndex(({ id }) => id === paging.after?.[0]) + 1;
  const page = items.slice(from, from + paging.limit);
  const next = from + paging.limit < items.length ? [page.at(-1)?.id ?? null] : null;
  return {
    status: 200,
    headers: { 'cache-control': 'no-store' },
    body: { items: page, nextCursor: nextCursor(app, paging, next) },
  };
}

async function putShipping(app: App, request: EdgeRequest<{ id: string }>, method: string): Promise<EdgeReply> {
  const { id } = request.params;
  const earlier = await glanceOrReplay(app, request, id);
  if ('reply' in earlier) return earlier.reply;
  const { cart } = earlier;
  if (!app.catalogue.shippingMethods().some((known) => known.id === method)) return problem('shipping_unknown');
  if (cart.status === 'open') {
    const quote = await app.pricing.price({ ...priceRequestOf(app, cart), shippingMethod: method }, ESTIMATE);
    if (quote.shipping !== null && quote.shipping.method !== method) return problem('shipping_unavailable');
  }
  return await askCart(app, request, id, { kind: 'set_shipping', method, ifMatch: request.ifMatch }).promise();
}
