import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CartRefusal, CartReply } from '../actors/cart-protocol.ts';
import { type CartState, initialCart } from '../actors/cart-state.ts';
import { demoData } from '../schema/demo.ts';
import { createBook } from '../workers/price-book.ts';
import { price } from '../workers/pricing.ts';
import { type CartAnswer, cartResponder } from './cart-view.ts';
import { PROBLEMS } from './problem.ts';
import type { EdgeReply } from './reply.ts';

const data = demoData();
const book = createBook({
  ...data,
  version: 1,
  products: Object.fromEntries(data.products.map((product) => [product.sku, product])),
});
const ref = { type: 'cart', id: 'cart_0198c0de-0000-7000-8000-000000000001' };
const responder = cartResponder({
  pricing: { price: async (request, options) => price(book, request, options) },
  stock: {
    get: () => undefined,
    isFresh: () => false,
    ensure: () => Promise.reject(new Error('the table cannot be read')),
  },
});

function state(): CartState {
  const cart = initialCart(ref.id);
  cart.status = 'open';
  cart.currency = 'USD';
  cart.visibleSeq = 7;
  cart.createdAt = cart.updatedAt = 1_000;
  cart.expiresAt = 2_000;
  const lines = data.products.slice(0, 3);
  cart.lines = lines.map(({ sku }, i) => ({
    id: `lin_0198c0de-0000-7000-8000-00000000000${i}`,
    sku,
    quantity: 1,
    maxPerOrder: null,
    holdTtlMs: null,
    hold: null,
  }));
  return cart;
}

async function rendered(reply: CartReply, keyed: boolean) {
  return await responder.render(ref, state(), reply, { seq: 9, now: 1_500, keyed });
}

const REFUSALS: Readonly<Record<CartRefusal, number>> = {
  not_found: 404,
  version_mismatch: 412,
  line_unknown: 404,
  ambiguous_line: 409,
  limit_reached: 409,
  out_of_stock: 409,
  hold_cooldown: 409,
  coupon_limit: 409,
  cart_full: 409,
  cart_empty: 409,
  cart_closed: 409,
  checkout_in_progress: 409,
  cart_checked_out: 409,
  idempotency_key_reused: 422,
  price_changed: 409,
  hold_expired: 409,
  payment_declined: 402,
  price_unavailable: 409,
  shipping_unavailable: 409,
  coupon_not_applicable: 409,
  order_failed: 409,
};
const RECORDED: readonly CartRefusal[] = [
  'payment_declined',
  'price_changed',
  'out_of_stock',
  'hold_expired',
  'cart_empty',
];

for (const [name, status] of Object.entries(REFUSALS)) {
  const code = name as CartRefusal;
  test(`${code} is answered with ${status} and recorded only where the contract says so`, async () => {
    assert.equal(PROBLEMS[code].status, status);
    const checkout = await rendered({ ok: false, code, checkout: true }, true);
    const reply = checkout.value as EdgeReply & { body: { code: string } };
    assert.equal(reply.status, status);
    assert.equal(reply.body.code, code);
    assert.equal(reply.headers?.['content-type'], 'application/problem+json');
    assert.equal(checkout.recorded !== undefined, RECORDED.includes(code));
    assert.equal((await rendered({ ok: false, code, checkout: true }, false)).recorded, undefined);
    assert.equal((await rendered({ ok: false, code }, true)).recorded, undefined);
    if (checkout.recorded === undefined) return;
    const again = responder.replay(ref, checkout.recorded) as EdgeReply;
    assert.deepEqual(again.body, reply.body);
    assert.equal(again.status, status);
    assert.equal(again.headers?.['idempotency-replayed'], 'true');
  });
}

test('a refusal says when to try again, which order it is about, and which lines', async () => {
  const wait = (await rendered({ ok: false, code: 'hold_cooldown', retryAfterMs: 1_200 }, false)).value as EdgeReply;
  assert.equal(wait.headers?.['retry-after'], '2');
  const done = (await rendered({ ok: false, code: 'cart_checked_out', orderId: 'ord_1' }, false)).value as EdgeReply;
  assert.equal((done.body as { orderId: string }).orderId, 'ord_1');
  const skus = [data.products[2]?.sku ?? '', 'NOT-THERE'];
  const out = (await rendered({ ok: false, code: 'out_of_stock', checkout: true, skus }, false)).value as EdgeReply;
  const { errors } = out.body as { errors: { path: string; message: string }[] };
  assert.deepEqual(
    errors.map(({ path }) => path),
    ['/lines/2', '/lines'],
  );
  for (const [i, { message }] of errors.entries()) assert.ok(message.includes(skus[i] ?? '?'));
  const stale = (await rendered({ ok: false, code: 'version_mismatch' }, false)).value as EdgeReply;
  assert.equal(stale.headers?.etag, '"7"');
});

test('a cart is answered at the version that a shopper sees, and its replay is the same reply, marked', async () => {
  const { value, recorded } = await rendered({ ok: true, kind: 'cart', created: true }, true);
  const reply = value as EdgeReply;
  assert.equal(reply.status, 201);
  assert.deepEqual(reply.headers, { etag: '"7"', location: `/v1/carts/${ref.id}` });
  assert.ok(recorded !== undefined);
  const again = responder.replay(ref, recorded) as EdgeReply;
  assert.deepEqual(again.body, reply.body);
  assert.deepEqual(again.headers, { ...reply.headers, 'idempotency-replayed': 'true' });
  assert.equal((await rendered({ ok: true, kind: 'cart' }, false)).recorded, undefined);
});

test('a glance is given as it is and never recorded', async () => {
  const cart = {
    status: 'open',
    currency: 'USD',
    destination: null,
    lines: [],
    coupons: [],
    shippingMethod: null,
    facts: null,
    orderId: null,
  } as const;
  const { value, recorded } = await rendered({ ok: true, kind: 'glance', cart }, true);
  assert.deepEqual(value as CartAnswer, { glance: cart });
  assert.equal(recorded, undefined);
});

test('recorded bytes of an unknown form are refused, not guessed at', () => {
  assert.throws(() => responder.replay(ref, Buffer.from([0x91, 0x63])), /unknown form/);
});
