/**
 * The public contract as a shopper's client meets it, sentence by sentence, against a real shop: products, carts, coupons, checkout,
 * orders, and the conventions that hold for every call. Operators and the feed are in `stampede.operators.test.ts` and
 * `stampede.feed.test.ts`, hostile input in `stampede.hostile.test.ts`.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  assertCart,
  assertCartAnswer,
  assertOrderAnswer,
  assertPage,
  assertProblem,
  assertProduct,
} from './bench/contract.ts';
import { type Answer, type RequestOptions, ShopProcess, until } from './bench/shop-process.ts';
import { addLine, type CartHandle, cartOf, checkout, inParallel, newCart, setAvailable } from './bench/shopper.ts';

const ORIGIN = 'https://shop.example';
let shop: ShopProcess;

before(async () => {
  shop = await ShopProcess.start({ env: { CORS_ORIGINS: ORIGIN } });
});
after(async () => {
  if (shop === undefined) return;
  const warnings = shop.logTail();
  await shop.stop();
  await shop.cleanUp();
  assert.ok(!warnings.includes('a request failed'), warnings);
});

const call = (method: string, path: string, options?: RequestOptions) => shop.request(method, path, options);
const onCart = (cart: CartHandle, method: string, rest: string, options: RequestOptions = {}) =>
  shop.request(method, `/v1/carts/${cart.id}${rest}`, { token: cart.token, ...options });

let made = 0;
/** A product of one's own with stock, so that no test meets another's. */
async function product(fields: object = {}, stock = 100): Promise<string> {
  made += 1;
  const sku = `CT-${made}`;
  const body = {
    name: `Contract ${made}`,
    category: 'Contract',
    prices: { USD: 1999, EUR: 1899, JPY: 2500 },
    ...fields,
  };
  const put = await shop.admin('PUT', `/v1/admin/products/${sku}`, { body });
  assert.equal(put.status, 201, put.text);
  if (stock > 0) await setAvailable(shop, sku, stock);
  return sku;
}

test('products are listed and read with their price in the currency, cacheable for a moment', async () => {
  for (const currency of ['USD', 'EUR', 'JPY']) {
    const list = await call('GET', `/v1/products?currency=${currency}&limit=100`);
    for (const item of assertPage(list)) assertProduct(item, currency);
    assert.ok(list.body.items.length >= 60);
  }
  const sku = await product();
  for (const path of ['/v1/products', `/v1/products/${sku}`]) {
    const answer = await call('GET', path);
    assert.equal(answer.headers['cache-control'], 'max-age=2, stale-while-revalidate=10');
    const etag = String(answer.headers.etag);
    assert.match(etag, /^"[^"]+"$/);
    const same = await call('GET', path, { headers: { 'if-none-match': etag } });
    assert.deepEqual([same.status, same.text, same.headers.etag], [304, '', etag]);
    const head = await call('HEAD', path);
    assert.deepEqual([head.status, head.text, head.headers.etag], [200, '', etag]);
    assert.equal(Number(head.headers['content-length']), Buffer.byteLength(answer.text));
  }
  assertProduct((await call('GET', `/v1/products/${sku}`)).body, 'USD');
  const stock = await call('GET', `/v1/products/${sku}/stock`);
  assert.equal(stock.headers['cache-control'], 'no-store');
  assert.deepEqual([stock.body.sku, stock.body.available, Number.isInteger(stock.body.version)], [sku, 100, true]);
  assertProblem(await call('GET', '/v1/products/none'), 404, 'sku_unknown');
  assertProblem(await call('GET', '/v1/products/none/stock'), 404, 'sku_unknown');
  assertProblem(await call('GET', `/v1/products/${sku}?currency=CHF`), 409, 'price_unavailable');
  const image = await call('GET', (await call('GET', `/v1/products/${sku}`)).body.image);
  assert.deepEqual([image.status, image.headers['content-type']], [200, 'image/svg+xml']);
});

test('a product tells whether stock is low or gone, where it is held and how many one order takes', async () => {
  const sku = await product({ maxPerOrder: 3, holdAt: 'cart' }, 200);
  const shown = async () => (await call('GET', `/v1/products/${sku}`)).body;
  assert.deepEqual([(await shown()).maxPerOrder, (await shown()).holdAt], [3, 'cart']);
  for (const [units, status] of [
    [200, 'in_stock'],
    [2, 'low'],
    [0, 'sold_out'],
  ] as const) {
    await setAvailable(shop, sku, units);
    await until(status, async () => (await shown()).stock.status === status, 5_000);
  }
});

test('a list narrows by words, category and currency, sorts both ways, and its pages join under inserts', async () => {
  const [first, second] = [await product({ name: 'Zebra lantern' }), await product({ name: 'aardvark Lantern' })];
  const skus = async (query: string) => assertPage(await call('GET', `/v1/products?${query}`)).map(({ sku }) => sku);
  assert.deepEqual(await skus('q=LANTERN'), [second, first]);
  assert.deepEqual(await skus('q=lantern&sort=-name'), [first, second]);
  assert.deepEqual(await skus('q=lantern&category=Books'), []);
  assert.ok((await skus('category=Books')).length > 0);
  const usdOnly = await product({ name: 'Only dollars', prices: { USD: 1 } });
  assert.ok(!(await skus('category=Contract&currency=EUR&limit=100')).includes(usdOnly));
  assert.deepEqual((await skus('category=Contract&currency=USD&sort=price'))[0], usdOnly);
  assert.equal((await skus('')).length, 20);

  const whole = await skus('sort=name&limit=100');
  const pages: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page: Answer = await call('GET', `/v1/products?sort=name&limit=7${cursor && `&cursor=${cursor}`}`);
    pages.push(...assertPage(page).map(({ sku }) => sku));
    cursor = page.body.nextCursor;
    // what comes in before the place where the page ended moves nothing
    if (pages.length <= 21) await product({ name: `AAA ${pages.length}` });
  }
  assert.deepEqual(pages, whole);
  const next = (await call('GET', '/v1/products?sort=name&limit=7')).body.nextCursor;
  for (const query of [
    `cursor=${next}`,
    `sort=name&category=Books&cursor=${next}`,
    'cursor=',
    'cursor=x',
    `sort=name&cursor=${next}A`,
  ])
    assertProblem(await call('GET', `/v1/products?${query}`), 400, 'cursor_invalid', query);
  for (const query of [
    'limit=0',
    'limit=101',
    'limit=-1',
    'limit=many',
    'sort=colour',
    'colour=red',
    'q=%00',
    'q=%ED%A0%80',
    'q=%',
  ])
    assertProblem(await call('GET', `/v1/products?${query}`), 400, 'invalid_request', query);
});

test('a cart is opened with its token, in any currency of the store, and only the token opens it', async () => {
  for (const currency of ['USD', 'EUR', 'JPY']) {
    const made = await call('POST', '/v1/carts', { body: { currency, destination: { country: 'DE' } } });
    const cart = assertCartAnswer(made, 201);
    assert.equal(made.headers.location, `/v1/carts/${cart.id}`);
    assert.deepEqual([cart.currency, cart.state, cart.destination], [currency, 'open', { country: 'DE' }]);
    assert.equal(typeof made.body.token, 'string');
    const handle = { id: cart.id, token: made.body.token, total: null };
    const added = assertCartAnswer(await addLine(shop, handle, await product()));
    assert.equal(added.lines[0].total.currency, currency);
    assert.deepEqual(assertCartAnswer(await onCart(handle, 'GET', '')), added);
  }
  const bare = assertCartAnswer(await call('POST', '/v1/carts'), 201);
  assert.deepEqual([bare.currency, bare.destination, bare.taxState, bare.shipping], ['USD', null, 'unknown', null]);
  const [mine, foreign] = [await newCart(shop), await newCart(shop)];
  assertProblem(await onCart(mine, 'GET', '', { token: foreign.token }), 404, 'not_found');
  assertProblem(await call('GET', `/v1/carts/${mine.id}`), 401, 'unauthenticated');
  assertProblem(
    await call('GET', `/v1/carts/${mine.id}`, { headers: { authorization: 'Basic eDp5' } }),
    401,
    'unauthenticated',
  );
  assertProblem(await call('POST', '/v1/carts', { body: { currency: 'XXX' } }), 400, 'invalid_request');
});

test('lines add up, are set by id or sku, end at 0 or by DELETE, and an absent one is 404', async () => {
  const cart = await newCart(shop);
  const [sku, other] = [await product(), await product({ maxPerOrder: 5 })];
  assertCartAnswer(await addLine(shop, cart, sku, 2));
  const two = assertCartAnswer(await addLine(shop, cart, sku, 3));
  assert.deepEqual([two.lines.length, two.lines[0].quantity], [1, 5]);
  assert.ok(two.totals.taxAdded.amount > 0 && two.taxState === 'estimated', 'Texas adds its tax');
  assertCartAnswer(await addLine(shop, cart, other, 5));
  assertProblem(await addLine(shop, cart, other, 1), 409, 'limit_reached');
  assertProblem(await addLine(shop, cart, sku, 995), 409, 'limit_reached');
  assertProblem(await onCart(cart, 'PATCH', `/lines/${other}`, { body: { quantity: 6 } }), 409, 'limit_reached');
  const byId = assertCartAnswer(await onCart(cart, 'PATCH', `/lines/${two.lines[0].id}`, { body: { quantity: 1 } }));
  assert.equal(byId.lines[0].quantity, 1);
  const gone = assertCartAnswer(await onCart(cart, 'PATCH', `/lines/${sku}`, { body: { quantity: 0 } }));
  assert.deepEqual(
    gone.lines.map((line: { sku: string }) => line.sku),
    [other],
  );
  for (const quantity of [0, 3]) {
    assertProblem(await onCart(cart, 'PATCH', `/lines/${sku}`, { body: { quantity } }), 404, 'line_unknown');
    assertProblem(
      await onCart(cart, 'PATCH', `/lines/${byId.lines[0].id}`, { body: { quantity } }),
      404,
      'line_unknown',
    );
  }
  assertProblem(await onCart(cart, 'DELETE', `/lines/${sku}`), 404, 'line_unknown');
  assert.deepEqual(assertCartAnswer(await onCart(cart, 'DELETE', `/lines/${other}`)).lines, []);
  assertProblem(await addLine(shop, cart, 'NONE'), 404, 'sku_unknown');
  assertProblem(await addLine(shop, cart, await product({ prices: { EUR: 1 } })), 409, 'price_unavailable');
  for (const quantity of [0, -1, 1000, 1.5, '1', null, 1e300])
    assertProblem(await onCart(cart, 'POST', '/lines', { body: { sku, quantity } }), 400, 'invalid_request');
});

test('what is not held is only told to be short; what is held at the cart is refused, kept, cooled down, expires', async () => {
  const plain = await product({}, 1);
  const held = await product({ holdAt: 'cart', holdTtlMs: 60_000 }, 5);
  const cart = await newCart(shop);
  assert.equal(assertCartAnswer(await addLine(shop, cart, plain, 1)).lines[0].stock, 'ok');
  await until('short', async () => (await addLine(shop, cart, plain, 1)).body.lines[0].stock === 'short', 5_000);
  const lineOf = (answer: Answer, sku: string) =>
    assertCartAnswer(answer).lines.find((line: { sku: string }) => line.sku === sku);
  const first = lineOf(await addLine(shop, cart, held, 2), held);
  assert.equal(first.stock, 'held');
  const more = lineOf(await addLine(shop, cart, held, 3), held);
  assert.deepEqual([more.quantity, more.hold], [5, first.hold], 'it joins the same hold, which lasts no longer');
  assertProblem(await addLine(shop, cart, held, 1), 409, 'out_of_stock');
  const left = async () => (await shop.admin('GET', `/v1/admin/stock/${held}`)).body;
  assert.deepEqual([(await left()).available, (await left()).held], [0, 5]);
  const less = lineOf(await onCart(cart, 'PATCH', `/lines/${held}`, { body: { quantity: 1 } }), held);
  assert.equal(less.hold.expiresAt, first.hold.expiresAt);
  await until('the difference is given back', async () => (await left()).held === 1);
  assertCartAnswer(await onCart(cart, 'DELETE', `/lines/${held}`));
  const soon = await addLine(shop, cart, held, 1);
  assertProblem(soon, 409, 'hold_cooldown');
  const wait = Number(soon.headers['retry-after']);
  assert.ok(wait > 50 && wait <= 60, `one lifetime after the removal: ${wait}`);
  await until('all is given back', async () => (await left()).held === 0);

  const brief = await product({ holdAt: 'cart', holdTtlMs: 1000 }, 3);
  const slow = await newCart(shop);
  const before = lineOf(await addLine(shop, slow, brief, 3), brief);
  const expired = await until('the hold expires', async () => {
    const line = (await onCart(slow, 'GET', '')).body.lines[0];
    return line.stock === 'hold_expired' ? line : undefined;
  });
  assert.equal('hold' in expired, false);
  await until(
    'the units are back',
    async () => (await call('GET', `/v1/products/${brief}/stock`)).body.available === 3,
  );
  const total = (await onCart(slow, 'GET', '')).body.totals.total;
  const refused = await checkout(shop, slow, { total });
  assertProblem(refused, 409, 'hold_expired');
  assert.ok(refused.body.errors[0].message.includes(brief), refused.text);
  const anew = lineOf(await onCart(slow, 'PATCH', `/lines/${brief}`, { body: { quantity: 2 } }), brief);
  assert.ok(anew.stock === 'held' && anew.hold.id !== before.hold.id);
});

test('coupons, destination and shipping change the price as they say', async () => {
  const cart = await newCart(shop, { currency: 'EUR' });
  const sku = await product({ prices: { EUR: 1000, USD: 1000 } });
  assertProblem(await onCart(cart, 'PUT', '/coupons/NOSUCH'), 404, 'coupon_unknown');
  assertProblem(await onCart(cart, 'DELETE', '/coupons/NOSUCH'), 404, 'coupon_unknown');
  await addLine(shop, cart, sku, 2);
  assertProblem(await onCart(cart, 'PUT', '/coupons/STAMPEDE25'), 409, 'coupon_not_applicable');
  const cheaper = assertCartAnswer(await onCart(cart, 'PUT', '/coupons/WELCOME10'));
  assert.deepEqual([cheaper.coupons, cheaper.totals.discount.amount], [['WELCOME10'], 200]);
  const full = assertCartAnswer(await onCart(cart, 'DELETE', '/coupons/WELCOME10'));
  assert.deepEqual([full.coupons, full.discounts, full.totals.discount.amount], [[], [], 0]);
  const german = assertCartAnswer(
    await onCart(cart, 'PUT', '/destination', { body: { country: 'DE', postalCode: '10115' } }),
  );
  assert.deepEqual([german.taxState, german.totals.taxAdded.amount], ['estimated', 0]);
  assert.ok(german.totals.taxIncluded.amount > 0 && german.taxes.every((tax: { included: boolean }) => tax.included));
  assert.equal(german.shipping.method, 'standard', 'the default counts where none was chosen');
  const methods = assertPage(await onCart(cart, 'GET', '/shipping-methods'));
  assert.ok(methods.some(({ id }) => id === 'express'));
  assertProblem(await onCart(cart, 'GET', '/shipping-methods?limit=0'), 400, 'invalid_request');
  assertProblem(await onCart(cart, 'GET', '/shipping-methods?cursor=x'), 400, 'cursor_invalid');
  const express = assertCartAnswer(await onCart(cart, 'PUT', '/shipping', { body: { method: 'express' } }));
  assert.equal(express.shipping.method, 'express');
  assertProblem(await onCart(cart, 'PUT', '/shipping', { body: { method: 'pigeon' } }), 404, 'shipping_unknown');
  const far = assertCartAnswer(await onCart(cart, 'PUT', '/destination', { body: { country: 'BR' } }));
  assert.equal(far.shipping.method, 'standard', 'express does not go there');
  assertProblem(await onCart(cart, 'PUT', '/shipping', { body: { method: 'express' } }), 409, 'shipping_unavailable');
});

test('If-Match guards a cart, an order and every way to change them', async () => {
  const cart = await newCart(shop);
  const sku = await product();
  const { body } = await addLine(shop, cart, sku);
  const stale = { 'if-match': '"0"' };
  for (const [method, rest, sent] of [
    ['POST', '/lines', { sku, quantity: 1 }],
    ['PATCH', `/lines/${sku}`, { quantity: 1 }],
    ['DELETE', `/lines/${sku}`, undefined],
    ['PUT', '/coupons/WELCOME10', undefined],
    ['DELETE', '/coupons/WELCOME10', undefined],
    ['PUT', '/destination', { country: 'DE' }],
    ['PUT', '/shipping', { method: 'express' }],
  ] as const) {
    const refused = await onCart(cart, method, rest, { headers: stale, body: sent });
    assertProblem(refused, 412, 'version_mismatch', `${method} ${rest}`);
  }
  const headers = { 'if-match': `"${body.version}"` };
  const set = { headers, key: randomUUID(), body: { quantity: 7 } };
  const first = assertCartAnswer(await onCart(cart, 'PATCH', `/lines/${sku}`, set));
  const again = await onCart(cart, 'PATCH', `/lines/${sku}`, set);
  assert.deepEqual([again.status, again.body], [200, first], 'the key is looked at before If-Match');
  assertProblem(
    await onCart(cart, 'PATCH', `/lines/${sku}`, { headers, body: { quantity: 1 } }),
    412,
    'version_mismatch',
  );
  for (const tag of ['W/"1"', '"x"', '"99"']) {
    const refused = await onCart(cart, 'DELETE', `/lines/${sku}`, { headers: { 'if-match': tag } });
    assertProblem(refused, 412, 'version_mismatch', tag);
  }
  assertCartAnswer(await onCart(cart, 'DELETE', `/lines/${sku}`, { headers: { 'if-match': '*' } }));
});

test('a key has one effect and one answer on POST, PUT, PATCH and DELETE, and belongs to the resource', async () => {
  const cart = await newCart(shop);
  const sku = await product();
  await addLine(shop, cart, sku);
  const calls: readonly [string, string, unknown, unknown][] = [
    ['POST', '/lines', { sku, quantity: 2 }, { sku, quantity: 3 }],
    ['PATCH', `/lines/${sku}`, { quantity: 9 }, { quantity: 8 }],
    ['PUT', '/destination', { country: 'DE' }, { country: 'FR' }],
    ['DELETE', `/lines/${sku}`, undefined, {}],
  ];
  for (const [method, rest, body, otherBody] of calls) {
    const key = `key of ${method}`.replaceAll(' ', '-');
    const first = await onCart(cart, method, rest, { key, body });
    assertCartAnswer(first);
    assert.equal(first.headers['idempotency-replayed'], undefined);
    const again = await onCart(cart, method, rest, { key: `"${key}"`, body });
    assert.deepEqual([again.status, again.text, again.headers.etag], [200, first.text, first.headers.etag], method);
    assert.equal(again.headers['idempotency-replayed'], 'true');
    if (method !== 'DELETE') {
      const respelled = JSON.stringify(body, null, 2);
      assert.equal((await onCart(cart, method, rest, { key, body: respelled })).text, first.text, 'the body as parsed');
      assertProblem(await onCart(cart, method, rest, { key, body: otherBody }), 422, 'idempotency_key_reused', method);
    }
    const elsewhere = await onCart(cart, 'PUT', '/shipping', { key, body: { method: 'express' } });
    assertProblem(elsewhere, 422, 'idempotency_key_reused', method);
    const neighbour = await cartOf(shop, sku);
    const same = await onCart(neighbour, method, rest, { key, body });
    assert.deepEqual(
      [same.status, same.headers['idempotency-replayed']],
      [200, undefined],
      'another cart has its own keys',
    );
  }
  const refusedKey = randomUUID();
  assertProblem(await addLine(shop, cart, 'LATE-1', 1, refusedKey), 404, 'sku_unknown');
  await shop.admin('PUT', '/v1/admin/products/LATE-1', {
    body: { name: 'Late', category: 'Contract', prices: { USD: 1 } },
  });
  assertCartAnswer(await addLine(shop, cart, 'LATE-1', 1, refusedKey));
  for (const key of ['', 'a b', 'ü', 'k'.repeat(256), '"open'])
    assertProblem(
      await onCart(cart, 'POST', '/lines', { key, body: { sku, quantity: 1 } }),
      400,
      'invalid_request',
      key,
    );
  assertCartAnswer(await onCart(cart, 'POST', '/lines', { key: 'k'.repeat(255), body: { sku, quantity: 1 } }));
});

test('a cart opened under a UUID is found again with its token; no other word is a key there', async () => {
  const key = randomUUID();
  const body = { currency: 'EUR', destination: { country: 'DE' } };
  const answers = await inParallel(10, 10, () => call('POST', '/v1/carts', { key, body }));
  for (const answer of answers) assert.deepEqual([answer.status, answer.text], [201, answers[0]?.text]);
  assert.equal(answers.filter((answer) => answer.headers['idempotency-replayed'] === 'true').length, 9);
  assertProblem(await call('POST', '/v1/carts', { key, body: { currency: 'USD' } }), 422, 'idempotency_key_reused');
  assertProblem(await call('POST', '/v1/carts', { key: 'my-cart', body }), 400, 'invalid_request');
});

test('a cart takes 200 keyed writes a minute', async () => {
  const cart = await newCart(shop);
  const sku = await product();
  // a minute may turn in between: then as many again
  const answers = await inParallel(420, 16, () =>
    onCart(cart, 'POST', '/lines', { key: randomUUID(), body: { sku, quantity: 1 } }),
  );
  const taken = answers.filter(({ status }) => status === 200).length;
  assert.ok(taken === 200 || taken === 400, String(taken));
  for (const answer of answers.filter(({ status }) => status !== 200)) assertProblem(answer, 429, 'idempotency_full');
  assertCartAnswer(await onCart(cart, 'PATCH', `/lines/${sku}`, { body: { quantity: 1 } }));
});

test('a checkout is confirmed once, shows what the cart showed, and closes the cart', async () => {
  const cart = await newCart(shop);
  const sku = await product();
  const shown = assertCartAnswer(await addLine(shop, cart, sku, 2));
  const key = randomUUID();
  assertProblem(await onCart(cart, 'POST', '/checkout', { body: {} }), 400, 'idempotency_key_required');
  const racing = await inParallel(5, 5, () => checkout(shop, cart, { key }));
  const [first] = racing;
  assert.ok(first);
  const order = assertOrderAnswer(first, 201);
  assert.equal(first.headers.location, `/v1/orders/${order.id}`);
  assert.deepEqual(
    [order.state, order.cartId, order.totals, order.fulfilment],
    ['confirmed', cart.id, shown.totals, 'none'],
  );
  assert.ok(['authorized', 'captured'].includes(order.payment.state));
  for (const answer of racing)
    assert.ok(
      (answer.status === 201 && answer.text === first.text) || answer.body.code === 'idempotency_in_progress',
      answer.text,
    );
  const again = await checkout(shop, cart, { key });
  assert.deepEqual([again.status, again.text, again.headers['idempotency-replayed']], [201, first.text, 'true']);
  assertProblem(await checkout(shop, cart, { key, payWith: 'tok_slow' }), 422, 'idempotency_key_reused');
  const other = await checkout(shop, cart);
  assertProblem(other, 409, 'cart_checked_out');
  assert.equal(other.body.orderId, order.id);
  const closed = await addLine(shop, cart, sku);
  assertProblem(closed, 409, 'cart_checked_out');
  assert.equal(closed.body.orderId, order.id);
  const kept = assertCartAnswer(await onCart(cart, 'GET', ''));
  assert.deepEqual([kept.state, kept.orderId, kept.lines.length], ['checked_out', order.id, 1]);

  const read = assertOrderAnswer(await call('GET', `/v1/orders/${order.id}`, { token: cart.token }));
  assert.equal(read.shippingAddress.city, 'Austin');
  const foreign = await newCart(shop);
  for (const path of [`/v1/orders/${order.id}`, `/v1/orders/ord_${randomUUID()}`, '/v1/orders/x'])
    assertProblem(await call('GET', path, { token: foreign.token }), 404, 'not_found');
  assertProblem(await call('GET', `/v1/orders/${order.id}`), 401, 'unauthenticated');
  assertProblem(await call('POST', `/v1/orders/${order.id}/cancel`, { token: foreign.token }), 404, 'not_found');
});

test('a checkout is refused for the price, the stock, the card and the empty cart, each as its key remembers it', async () => {
  const sku = await product({}, 1);
  const cart = await cartOf(shop, sku);
  const wrong = await checkout(shop, cart, { key: 'price', total: { amount: 1, currency: 'USD' } });
  assertProblem(wrong, 409, 'price_changed');
  assertCart(wrong.body.cart);
  assert.equal(wrong.body.cart.taxState, 'final');
  const elsewhere = await newCart(shop, { currency: 'USD', destination: { country: 'DE' } });
  const total = (await addLine(shop, elsewhere, sku)).body.totals.total;
  const moved = await checkout(shop, elsewhere, { total });
  assertProblem(moved, 409, 'price_changed');
  assert.notDeepEqual(moved.body.cart.totals.total, total, 'it is priced for the shipping address');

  const declined = await checkout(shop, cart, { key: 'card', payWith: 'tok_declined' });
  assertProblem(declined, 402, 'payment_declined');
  assert.equal(assertCartAnswer(await onCart(cart, 'GET', '')).state, 'open');
  const released = await shop.admin('GET', `/v1/admin/stock/${sku}`);
  assert.deepEqual([released.body.available, released.body.held], [1, 0]);

  const greedy = await newCart(shop);
  await addLine(shop, greedy, await product());
  await addLine(shop, greedy, sku, 5);
  const short = await checkout(shop, greedy, { key: 'stock' });
  assertProblem(short, 409, 'out_of_stock');
  assert.deepEqual(
    short.body.errors.map((error: { path: string }) => error.path),
    ['/lines/1'],
  );

  const empty = await newCart(shop);
  const nothing = await checkout(shop, empty, { key: 'empty' });
  assertProblem(nothing, 409, 'cart_empty');
  for (const [handle, key, options, first] of [
    [cart, 'price', { total: { amount: 1, currency: 'USD' } }, wrong],
    [cart, 'card', { payWith: 'tok_declined' }, declined],
    [greedy, 'stock', {}, short],
    [empty, 'empty', {}, nothing],
  ] as const) {
    const again = await checkout(shop, handle, { key, ...options });
    assert.deepEqual(
      [again.status, again.text, again.headers['idempotency-replayed']],
      [first.status, first.text, 'true'],
    );
  }
  assertOrderAnswer(await checkout(shop, cart), 201);
});

test('whatever the provider does, a checkout ends in one order; what takes over 5 s is 202 and told by the order', async () => {
  const sku = await product();
  const tokens = ['tok_slow', 'tok_error', 'tok_timeout', 'tok_late'];
  await Promise.all(
    tokens.map(async (payWith) => {
      const cart = await cartOf(shop, sku);
      const answer = await checkout(shop, cart, { payWith });
      assert.ok(answer.status === 201 || answer.status === 202, answer.text);
      const order = assertOrderAnswer(answer, answer.status);
      assert.equal(answer.headers.location, `/v1/orders/${order.id}`);
      if (answer.status === 202) {
        assert.equal(order.state, 'pending');
        assertProblem(await addLine(shop, cart, sku), 409, 'checkout_in_progress');
        assertProblem(
          await call('POST', `/v1/orders/${order.id}/cancel`, { token: cart.token }),
          409,
          'not_cancellable',
        );
      }
      const read = async () => assertOrderAnswer(await call('GET', `/v1/orders/${order.id}`, { token: cart.token }));
      await until(payWith, async () => (await read()).state === 'confirmed', 30_000);
    }),
  );
});

test('an order is cancelled once; its payment ends voided or refunded and its units come back', async () => {
  const sku = await product({}, 10);
  const cart = await cartOf(shop, sku, 4);
  const { id, version } = assertOrderAnswer(await checkout(shop, cart), 201);
  const path = `/v1/orders/${id}/cancel`;
  const stale = await call('POST', path, { token: cart.token, headers: { 'if-match': `"${version + 1000}"` } });
  assertProblem(stale, 412, 'version_mismatch');
  const key = randomUUID();
  const first = await call('POST', path, { token: cart.token, key });
  const order = assertOrderAnswer(first);
  assert.equal(order.state, 'cancelled');
  assert.ok(['voided', 'refunded'].includes(order.payment.state), order.payment.state);
  const again = await call('POST', path, { token: cart.token, key });
  assert.deepEqual([again.status, again.text, again.headers['idempotency-replayed']], [200, first.text, 'true']);
  await until('the units are back', async () => (await call('GET', `/v1/products/${sku}/stock`)).body.available === 10);
});

test('a cart whose total is 0 is ordered without a charge', async () => {
  const sku = await product({ prices: { USD: 0 } });
  const cart = await newCart(shop);
  await addLine(shop, cart, sku);
  const free = assertCartAnswer(await onCart(cart, 'PUT', '/shipping', { body: { method: 'pickup' } }));
  assert.equal(free.totals.total.amount, 0);
  const order = assertOrderAnswer(await checkout(shop, cart, { total: free.totals.total }), 201);
  assert.deepEqual([order.state, order.payment.state, order.payment.reference], ['confirmed', 'none', null]);
  assert.equal(
    assertOrderAnswer(await call('POST', `/v1/orders/${order.id}/cancel`, { token: cart.token })).state,
    'cancelled',
  );
});

test('unknown fields, NUL and lone surrogates are refused wherever a body has room for them', async () => {
  const cart = await newCart(shop);
  const sku = await product();
  const address = { name: 'A', line1: 'B', city: 'C', postalCode: 'D', country: 'DE' };
  const order = {
    email: 'a@example.com',
    shippingAddress: address,
    expectedTotal: { amount: 1, currency: 'USD' },
    payment: { method: 'card', token: 'tok_ok' },
  };
  const bodies: readonly [string, string, object][] = [
    ['POST', '/lines', { sku, quantity: 1 }],
    ['PUT', '/destination', { country: 'DE', postalCode: '1' }],
    ['PUT', '/shipping', { method: 'express' }],
    ['POST', '/checkout', order],
  ];
  for (const [method, rest, body] of bodies) {
    const key = randomUUID();
    const text = JSON.stringify(body);
    for (const bad of [
      text.replace('{', '{"extra":1,'),
      text.replace('{', '{"__proto__":{"admin":true},'),
      text.replace(/"(\w+)":"[^"]*"/, '"$1":"a\\u0000b"'),
      text.replace(/"(\w+)":"[^"]*"/, '"$1":"a\\ud800b"'),
      text.replace('{', '{"\\udfff":1,'),
      text.slice(0, -1),
    ])
      assertProblem(await onCart(cart, method, rest, { key, body: bad }), 400, 'invalid_request', bad);
    const wide = await onCart(cart, method, rest, {
      key,
      body: text.replace('{', `{"extra":"${'x'.repeat(20_000)}",`),
    });
    assertProblem(wide, 413, 'body_too_large');
    const typed = await onCart(cart, method, rest, { key, body: text, headers: { 'content-type': 'text/plain' } });
    assertProblem(typed, 415, 'unsupported_media_type');
  }
  const nested = await onCart(cart, 'POST', '/checkout', {
    key: randomUUID(),
    body: { ...order, shippingAddress: { ...address, planet: 'Earth' } },
  });
  assert.deepEqual(nested.body.errors, [{ path: '/shippingAddress/planet', message: 'is not a known field' }]);
  assert.deepEqual((await onCart(cart, 'GET', '')).body.lines, []);
});

test('paths, methods and origins are answered alike everywhere', async () => {
  for (const path of ['/v1', '/v1/nothing', '/v2/products', '/v1/products/', '/%2e%2e/etc/passwd'])
    assertProblem(await call('GET', path), 404, 'route_unknown', path);
  for (const [method, path, allow] of [
    ['POST', '/v1/products', 'GET, HEAD, OPTIONS'],
    ['GET', '/v1/carts', 'POST, OPTIONS'],
    ['PUT', '/v1/feed', 'GET, HEAD, OPTIONS'],
    ['DELETE', '/healthz', 'GET, HEAD, OPTIONS'],
  ] as const) {
    const refused = await call(method, path);
    assertProblem(refused, 405, 'method_not_allowed', path);
    assert.equal(refused.headers.allow, allow);
  }
  const preflight = await call('OPTIONS', '/v1/carts', {
    headers: {
      origin: ORIGIN,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'idempotency-key',
    },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-origin'], ORIGIN);
  assert.match(String(preflight.headers['access-control-allow-methods']), /POST/);
  assert.match(String(preflight.headers['access-control-allow-headers']), /Idempotency-Key/i);
  for (const path of ['/v1/products', '/v1/nothing', '/v1/feed']) {
    const open = await call('GET', path, { headers: { origin: ORIGIN } });
    assert.equal(open.headers['access-control-allow-origin'], ORIGIN);
    const exposed = 'ETag, Location, Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed';
    assert.equal(open.headers['access-control-expose-headers'], exposed);
    const shut = await call('GET', path, { headers: { origin: 'https://evil.example' } });
    assert.equal(shut.headers['access-control-allow-origin'], undefined);
    assert.match(String(shut.headers.vary), /origin/i);
  }
});

test('the probes, the pages and the document are there', async () => {
  assert.equal((await call('GET', '/healthz')).status, 200);
  assert.equal((await call('GET', '/readyz')).status, 200);
  const metrics = await call('GET', '/metrics');
  assert.match(String(metrics.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  assert.match(metrics.text, /^# TYPE stampede_http_request_duration_seconds histogram$/m);
  const home = await call('GET', '/');
  assert.deepEqual([home.status, home.headers.location], [302, '/docs']);
  assert.match((await call('GET', '/docs')).text, /<title>Stampede API<\/title>/);
  const document = await call('GET', '/openapi.json');
  assert.equal(document.body.openapi, '3.1.0');
  const told = Object.entries(document.body.paths as Record<string, object>).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  for (const promised of [
    'GET /v1/products',
    'GET /v1/products/{sku}',
    'GET /v1/products/{sku}/stock',
    'POST /v1/carts',
    'GET /v1/carts/{id}',
    'POST /v1/carts/{id}/lines',
    'PATCH /v1/carts/{id}/lines/{line}',
    'DELETE /v1/carts/{id}/lines/{line}',
    'PUT /v1/carts/{id}/coupons/{code}',
    'DELETE /v1/carts/{id}/coupons/{code}',
    'PUT /v1/carts/{id}/destination',
    'GET /v1/carts/{id}/shipping-methods',
    'PUT /v1/carts/{id}/shipping',
    'POST /v1/carts/{id}/checkout',
    'GET /v1/orders/{id}',
    'POST /v1/orders/{id}/cancel',
    'GET /v1/feed',
    'GET /v1/admin/products/{sku}',
    'PUT /v1/admin/products/{sku}',
    'DELETE /v1/admin/products/{sku}',
    'POST /v1/admin/products/import',
    'POST /v1/admin/stock/{sku}/adjustments',
    'GET /v1/admin/stock/{sku}',
    'GET /v1/admin/payments',
    'GET /v1/admin/orders',
    'GET /v1/admin/orders/{id}',
    'GET /v1/admin/jobs',
  ])
    assert.ok(told.includes(promised), promised);
});
