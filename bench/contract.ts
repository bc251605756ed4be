/**
 * The documents of the public contract, checked as a client reads them: written from the contract's page and not from the shop's own
 * schemas, so that a mistake in those is seen. Every check throws with the place that is wrong; fields that the contract does
 * not know are let be, as clients must.
 */
import assert from 'node:assert/strict';
import type { Answer } from './shop-process.ts';

type Json = Answer['body'];

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** A problem with this status and code, with every member that the contract names. */
export function assertProblem(answer: Answer, status: number, code: string, what = ''): void {
  const place = `${what} ${answer.text.slice(0, 300)}`;
  assert.equal(answer.status, status, place);
  assert.equal(answer.headers['content-type'], 'application/problem+json', place);
  const { body } = answer;
  assert.equal(body.code, code, place);
  assert.equal(body.status, status, place);
  for (const member of ['type', 'title', 'detail', 'instance'])
    assert.equal(typeof body[member], 'string', member + place);
  assert.equal(body.type, `/docs/problems#${code}`, place);
  if (body.errors !== undefined) {
    assert.ok(Array.isArray(body.errors) && body.errors.length > 0, place);
    for (const error of body.errors) {
      assert.match(error.path, /^(\/.*)?$/, place);
      assert.ok(error.message.length > 0, place);
    }
  }
  if (status === 429 || status === 503) assert.ok(Number(answer.headers['retry-after']) >= 1, place);
  if (status === 401) assert.match(String(answer.headers['www-authenticate']), /^Bearer/, place);
  if (code === 'rate_limited') {
    assert.match(String(answer.headers.ratelimit), /^"\w+";r=0;t=\d+$/, place);
    assert.match(String(answer.headers['ratelimit-policy']), /^"\w+";q=\d+(;w=\d+)?$/, place);
  }
}

export function assertId(id: unknown, prefix: string): void {
  assert.match(String(id), new RegExp(`^${prefix}_${UUID}$`));
}

export function assertTime(time: unknown, what: string): void {
  assert.match(String(time), TIME, what);
}

/** `{ items, nextCursor }`; returns the items. */
export function assertPage(answer: Answer): Json[] {
  assert.equal(answer.status, 200, answer.text.slice(0, 300));
  const { items, nextCursor } = answer.body;
  assert.ok(Array.isArray(items));
  assert.ok(nextCursor === null || (typeof nextCursor === 'string' && nextCursor !== ''));
  return items;
}

/** The amount, of money in this currency. */
function amountOf(money: Json, currency: string, what: string): number {
  assert.ok(Number.isSafeInteger(money?.amount), `${what}: ${JSON.stringify(money)}`);
  assert.equal(money.currency, currency, what);
  return money.amount;
}

function oneOf(value: unknown, words: readonly string[], what: string): void {
  assert.ok(words.includes(String(value)), `${what}: ${value}`);
}

export function assertProduct(product: Json, currency: string): void {
  const what = String(product.sku);
  for (const field of ['sku', 'name', 'description', 'category', 'image', 'taxCategory'])
    assert.equal(typeof product[field], 'string', `${what}.${field}`);
  assert.ok(amountOf(product.price, currency, `${what}.price`) >= 0);
  if ('compareAtPrice' in product) amountOf(product.compareAtPrice, currency, `${what}.compareAtPrice`);
  if ('maxPerOrder' in product) assert.ok(Number.isInteger(product.maxPerOrder) && product.maxPerOrder > 0, what);
  oneOf(product.holdAt, ['cart', 'checkout'], `${what}.holdAt`);
  oneOf(product.stock.status, ['in_stock', 'low', 'sold_out'], `${what}.stock.status`);
}

/** What carts and orders have in common: priced lines, shipping, taxes, totals; all of it adds up. */
function assertPriced(document: Json, currency: string): void {
  const sums = { lines: 0, shipping: 0 };
  for (const line of document.lines) {
    assertId(line.id, 'lin');
    assert.equal(typeof line.sku, 'string');
    assert.equal(typeof line.name, 'string');
    oneOf(line.kind, ['item', 'gift'], 'kind');
    const { quantity } = line;
    assert.ok(Number.isInteger(quantity) && quantity >= 1 && quantity <= 999);
    const of = (field: string) => amountOf(line[field], currency, `${line.sku}.${field}`);
    assert.equal(of('subtotal'), of('unitPrice') * quantity);
    assert.ok(of('taxIncluded') >= 0 && of('discount') >= 0);
    assert.equal(of('total'), of('subtotal') - of('discount') + of('tax'));
    sums.lines += of('total');
  }
  if (document.shipping !== null) {
    assert.equal(typeof document.shipping.method, 'string');
    const of = (field: string) => amountOf(document.shipping[field], currency, `shipping.${field}`);
    assert.equal(of('total'), of('price') + of('tax'));
    assert.ok(of('taxIncluded') >= 0);
    assert.equal(of('price'), document.totals.shipping.amount);
    sums.shipping = of('total');
  }
  for (const tax of document.taxes) {
    assert.equal(typeof tax.name, 'string');
    assert.equal(typeof tax.rate, 'number');
    assert.equal(typeof tax.included, 'boolean');
    assert.ok(amountOf(tax.base, currency, 'tax.base') >= amountOf(tax.amount, currency, 'tax.amount'));
  }
  const of = (field: string) => amountOf(document.totals[field], currency, `totals.${field}`);
  assert.equal(of('total'), of('subtotal') - of('discount') + of('shipping') + of('taxAdded'));
  assert.equal(of('total'), sums.lines + sums.shipping);
  assert.ok(of('taxIncluded') >= 0);
}

export function assertCart(cart: Json): void {
  assertId(cart.id, 'cart');
  assert.ok(Number.isInteger(cart.version) && cart.version >= 1);
  oneOf(cart.state, ['open', 'checking_out', 'checked_out', 'merged', 'expired'], 'state');
  if ('orderId' in cart) assertId(cart.orderId, 'ord');
  assert.ok(cart.destination === null || /^[A-Z]{2}$/.test(cart.destination.country));
  for (const code of cart.coupons) assert.equal(typeof code, 'string');
  for (const discount of cart.discounts) {
    assert.ok(cart.coupons.includes(discount.code));
    assert.equal(typeof discount.label, 'string');
    amountOf(discount.amount, cart.currency, 'discount');
  }
  oneOf(cart.taxState, ['unknown', 'estimated', 'final'], 'taxState');
  assert.ok(Array.isArray(cart.warnings));
  for (const field of ['createdAt', 'updatedAt', 'expiresAt']) assertTime(cart[field], field);
  for (const line of cart.lines) {
    oneOf(line.stock, ['ok', 'held', 'hold_expired', 'short'], 'line.stock');
    assert.equal('hold' in line, line.stock === 'held', 'a line that is held names its hold');
    if ('hold' in line) {
      assertId(line.hold.id, 'hold');
      assertTime(line.hold.expiresAt, 'hold.expiresAt');
    }
  }
  assertPriced(cart, cart.currency);
}

/** The answer to a call that shows a cart; returns the cart. */
export function assertCartAnswer(answer: Answer, status = 200): Json {
  assert.equal(answer.status, status, answer.text.slice(0, 300));
  const cart = status === 201 ? answer.body.cart : answer.body;
  assertCart(cart);
  assert.equal(answer.headers.etag, `"${cart.version}"`);
  assert.equal(answer.headers['cache-control'], 'no-store');
  return cart;
}

const PAYMENT_STATES = [
  'none',
  'unknown',
  'requires_action',
  'authorized',
  'captured',
  'voided',
  'partially_refunded',
  'refunded',
  'declined',
];

export function assertOrder(order: Json): void {
  assertId(order.id, 'ord');
  assertId(order.cartId, 'cart');
  assert.ok(Number.isInteger(order.version) && order.version >= 0);
  oneOf(order.state, ['pending', 'confirmed', 'cancelled', 'failed', 'refunded'], 'state');
  oneOf(order.fulfilment, ['none', 'partial', 'full'], 'fulfilment');
  assert.equal(typeof order.email, 'string');
  for (const field of ['name', 'line1', 'city', 'postalCode', 'country'])
    assert.equal(typeof order.shippingAddress[field], 'string', field);
  oneOf(order.payment.state, PAYMENT_STATES, 'payment.state');
  assert.ok('provider' in order.payment && 'reference' in order.payment);
  assert.ok(Array.isArray(order.refunds));
  assertTime(order.placedAt, 'placedAt');
  if (order.totals !== null) assertPriced(order, order.totals.total.currency);
  else oneOf(order.state, ['pending', 'failed'], 'an order that has no price yet');
}

/** The answer to a call that shows an order; returns the order. */
export function assertOrderAnswer(answer: Answer, status = 200): Json {
  assert.equal(answer.status, status, answer.text.slice(0, 300));
  assertOrder(answer.body);
  assert.equal(answer.headers.etag, `"${answer.body.version}"`);
  assert.equal(answer.headers['cache-control'], 'no-store');
  return answer.body;
}
