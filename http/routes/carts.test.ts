import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fits, MemoryShop, openCart, SECRETS, TEXAS } from '../memory-shop.ts';
import { Cart, CartCreated, ShippingMethodList } from '../schemas-cart.ts';
import { CartTokens } from '../tokens.ts';

let shop: MemoryShop;
before(async () => {
  shop = await MemoryShop.open();
});
after(async () => {
  assert.deepEqual(shop.errors, []);
  await shop.close();
});

const plain = () => shop.product(({ holdAt, maxPerOrder }) => holdAt === 'checkout' && maxPerOrder === null).sku;
const scarce = () => shop.product(({ holdAt }) => holdAt === 'cart').sku;

test('a cart is opened with its token, its place and its version', async () => {
  const created = await shop.call('POST', '/v1/carts', { body: { currency: 'EUR' } });
  assert.equal(created.status, 201);
  assert.ok(fits(CartCreated, created.body), created.text);
  assert.equal(created.headers.location, `/v1/carts/${created.body.cart.id}`);
  assert.equal(created.headers.etag, `"${created.body.cart.version}"`);
  assert.equal(created.body.cart.taxState, 'unknown');
  const bare = await shop.call('POST', '/v1/carts');
  assert.equal(bare.body.cart.currency, 'USD');
});

test('a cart opened twice under one UUID is one cart with one token, and the token is nowhere on disk', async () => {
  const key = randomUUID();
  const body = { currency: 'USD', destination: TEXAS };
  const first = await shop.call('POST', '/v1/carts', { key, body });
  const second = await shop.call('POST', '/v1/carts', { key, body });
  assert.equal(second.status, 201);
  assert.deepEqual(second.body, first.body);
  assert.equal(first.headers['idempotency-replayed'], undefined);
  assert.equal(second.headers['idempotency-replayed'], 'true');
  assert.equal(second.headers.location, first.headers.location);
  assert.equal(shop.written().includes(first.body.token), false);
  const other = await shop.call('POST', '/v1/carts', { key, body: { currency: 'EUR' } });
  assert.equal(other.status, 422);
  assert.equal(other.body.code, 'idempotency_key_reused');
  const shouted = await shop.call('POST', '/v1/carts', { key: key.toUpperCase(), body: { currency: 'EUR' } });
  assert.equal(shouted.body.code, 'idempotency_key_reused', 'the letters of a UUID have no case');
  const word = await shop.call('POST', '/v1/carts', { key: 'not-a-uuid' });
  assert.equal(word.status, 400);
});

test('a retry finds the cart that its key made under the secret before, and its earlier token still opens it', async () => {
  const key = randomUUID();
  const first = await shop.call('POST', '/v1/carts', { key });
  const before = shop.tokens;
  shop.tokens = new CartTokens(['a-newer-secret-0123456789abcdef', ...SECRETS]);
  const retry = await shop.call('POST', '/v1/carts', { key });
  const opened = await shop.call('GET', `/v1/carts/${first.body.cart.id}`, { token: first.body.token });
  const other = await shop.call('POST', '/v1/carts', { key: randomUUID() });
  shop.tokens = before;
  assert.deepEqual(retry.body.cart, first.body.cart);
  assert.notEqual(retry.body.token, first.body.token);
  assert.equal(opened.status, 200);
  assert.equal(other.status, 201);
});

test('a currency that the store does not sell in is refused with its place in the body', async () => {
  const { status, body } = await shop.call('POST', '/v1/carts', { body: { currency: 'CHF' } });
  assert.equal(status, 400);
  assert.equal(body.errors[0].path, '/currency');
});

test('adding, setting and removing a line answers each time with the whole cart, priced, in the form of the contract', async () => {
  const { path, token } = await openCart(shop);
  const sku = plain();
  const added = await shop.call('POST', `${path}/lines`, { token, body: { sku, quantity: 2 } });
  assert.equal(added.status, 200, added.text);
  assert.ok(fits(Cart, added.body), added.text);
  const [line] = added.body.lines;
  assert.equal(line.subtotal.amount, 2 * line.unitPrice.amount);
  assert.equal(line.total.amount, line.subtotal.amount - line.discount.amount + line.tax.amount);
  const { totals } = added.body;
  const { subtotal, discount, shipping, taxAdded, total } = totals;
  assert.equal(total.amount, subtotal.amount - discount.amount + shipping.amount + taxAdded.amount);
  assert.equal(total.amount, line.total.amount + added.body.shipping.total.amount);
  assert.ok(taxAdded.amount > 0);
  assert.equal(added.body.taxes[0].rate, 0.0625);
  const again = await shop.call('POST', `${path}/lines`, { token, body: { sku, quantity: 1 } });
  assert.equal(again.body.lines[0].quantity, 3);
  const set = await shop.call('PATCH', `${path}/lines/${sku}`, { token, body: { quantity: 7 } });
  assert.equal(set.body.lines[0].quantity, 7);
  assert.ok(set.body.version > again.body.version);
  const gone = await shop.call('PATCH', `${path}/lines/${line.id}`, { token, body: { quantity: 0 } });
  assert.deepEqual(gone.body.lines, []);
  const absent = await shop.call('DELETE', `${path}/lines/${line.id}`, { token });
  assert.equal(absent.status, 404);
  assert.equal(absent.body.code, 'line_unknown');
});

test('a keyed add has one effect and one answer, also after the sku has gone; another body is refused', async () => {
  const { path, token } = await openCart(shop);
  const sku = 'TEST-GOING';
  const put = await shop.admin('PUT', `/v1/admin/products/${sku}`, {
    body: { name: 'Going', category: 'x', prices: { USD: 100 } },
  });
  assert.equal(put.status, 201, put.text);
  const add = { token, key: randomUUID(), body: { sku, quantity: 2 } };
  const first = await shop.call('POST', `${path}/lines`, add);
  assert.equal(first.status, 200, first.text);
  await shop.call('POST', `${path}/lines`, { token, body: { sku: plain(), quantity: 1 } });
  assert.equal((await shop.admin('DELETE', `/v1/admin/products/${sku}`)).status, 204);
  const second = await shop.call('POST', `${path}/lines`, add);
  assert.equal(second.status, 200, second.text);
  assert.equal(second.headers['idempotency-replayed'], 'true');
  assert.equal(second.text, first.text);
  assert.equal(second.headers.etag, first.headers.etag);
  const unknown = await shop.call('POST', `${path}/lines`, { ...add, key: randomUUID() });
  assert.equal(unknown.body.code, 'sku_unknown');
  const reused = await shop.call('POST', `${path}/lines`, { ...add, body: { sku: plain(), quantity: 1 } });
  assert.equal(reused.body.code, 'idempotency_key_reused');
});

test('a replay comes before If-Match; a stale If-Match without a key gets 412 and the present version', async () => {
  const { path, token } = await openCart(shop);
  const headers = { 'if-match': '"1"' };
  const add = { token, key: randomUUID(), headers, body: { sku: plain(), quantity: 1 } };
  assert.equal((await shop.call('POST', `${path}/lines`, add)).status, 200);
  assert.equal((await shop.call('POST', `${path}/lines`, add)).status, 200);
  const stale = await shop.call('POST', `${path}/lines`, { token, headers, body: { sku: plain(), quantity: 1 } });
  assert.equal(stale.status, 412);
  assert.equal(stale.body.code, 'version_mismatch');
  const now = await shop.call('GET', path, { token });
  assert.equal(stale.headers.etag, now.headers.etag);
  assert.equal(now.body.lines[0].quantity, 1);
});

test('a sku without a price in the currency of the cart is refused', async () => {
  const sku = 'TEST-EUR-ONLY';
  await shop.admin('PUT', `/v1/admin/products/${sku}`, { body: { name: 'x', category: 'x', prices: { EUR: 100 } } });
  const { path, token } = await openCart(shop);
  const { status, body } = await shop.call('POST', `${path}/lines`, { token, body: { sku, quantity: 1 } });
  assert.equal(status, 409);
  assert.equal(body.code, 'price_unavailable');
});

test('a line held at the cart shows its hold; more than the stock is refused there, and only told elsewhere', async () => {
  const { path, token } = await openCart(shop);
  const held = await shop.call('POST', `${path}/lines`, { token, body: { sku: scarce(), quantity: 1 } });
  assert.equal(held.status, 200, held.text);
  assert.ok(fits(Cart, held.body), held.text);
  assert.equal(held.body.lines[0].stock, 'held');
  assert.match(held.body.lines[0].hold.id, /^hold_/);
  const sku = plain();
  await shop.setStock(sku, 3);
  const short = await shop.call('POST', `${path}/lines`, { token, body: { sku, quantity: 4 } });
  assert.equal(short.status, 200);
  assert.equal(short.body.lines[1].stock, 'short');
  await shop.setStock(sku, 900);
  const limited = await shop.call('POST', `${path}/lines`, { token, body: { sku: scarce(), quantity: 900 } });
  assert.equal(limited.body.code, 'limit_reached');
  const removed = await shop.call('DELETE', `${path}/lines/${scarce()}`, { token });
  assert.equal(removed.status, 200);
  const soon = await shop.call('POST', `${path}/lines`, { token, body: { sku: scarce(), quantity: 1 } });
  assert.equal(soon.body.code, 'hold_cooldown');
  assert.ok(Number(soon.headers['retry-after']) >= 1);
});

test('a coupon is unknown, does not apply, or takes its part off; typed in any case, taken off again', async () => {
  const { path, token } = await openCart(shop);
  const unknown = await shop.call('PUT', `${path}/coupons/NOSUCH`, { token });
  assert.equal(unknown.body.code, 'coupon_unknown');
  const idle = await shop.call('PUT', `${path}/coupons/WELCOME10`, { token });
  assert.equal(idle.status, 409);
  assert.equal(idle.body.code, 'coupon_not_applicable');
  await shop.call('POST', `${path}/lines`, { token, body: { sku: plain(), quantity: 5 } });
  const key = randomUUID();
  const taken = await shop.call('PUT', `${path}/coupons/welcome10`, { token, key });
  assert.equal(taken.status, 200, taken.text);
  assert.ok(fits(Cart, taken.body), taken.text);
  assert.deepEqual(taken.body.coupons, ['WELCOME10']);
  assert.ok(taken.body.discounts[0].amount.amount > 0);
  assert.equal(taken.body.totals.discount.amount, taken.body.discounts[0].amount.amount);
  const off = await shop.call('DELETE', `${path}/coupons/Welcome10`, { token });
  assert.deepEqual(off.body.coupons, []);
  const again = await shop.call('DELETE', `${path}/coupons/WELCOME10`, { token });
  assert.deepEqual([again.status, again.body.version], [200, off.body.version], 'off already');
  assert.equal((await shop.call('DELETE', `${path}/coupons/NOSUCH`, { token })).body.code, 'coupon_unknown');
  const replay = await shop.call('PUT', `${path}/coupons/welcome10`, { token, key });
  assert.equal(replay.text, taken.text);
});

test('the destination moves tax and shipping; methods are listed with what they cost and one is chosen', async () => {
  const { path, token } = await openCart(shop, { currency: 'EUR' });
  await shop.call('POST', `${path}/lines`, { token, body: { sku: plain(), quantity: 1 } });
  const german = await shop.call('PUT', `${path}/destination`, { token, body: { country: 'DE', postalCode: '10115' } });
  assert.ok(fits(Cart, german.body), german.text);
  assert.deepEqual(german.body.destination, { country: 'DE', postalCode: '10115' });
  assert.ok(german.body.totals.taxIncluded.amount > 0);
  assert.equal(german.body.totals.taxAdded.amount, 0);
  const list = await shop.call('GET', `${path}/shipping-methods`, { token });
  assert.equal(list.status, 200, list.text);
  assert.ok(fits(ShippingMethodList, list.body), list.text);
  assert.equal(list.body.items.filter(({ chosen }: { chosen: boolean }) => chosen).length, 1);
  const page = await shop.call('GET', `${path}/shipping-methods?limit=1`, { token });
  const rest = await shop.call('GET', `${path}/shipping-methods?cursor=${page.body.nextCursor}`, { token });
  assert.deepEqual([...page.body.items, ...rest.body.items], list.body.items);
  const other = list.body.items.find(({ chosen }: { chosen: boolean }) => !chosen);
  const chosen = await shop.call('PUT', `${path}/shipping`, { token, body: { method: other.id } });
  assert.deepEqual(chosen.body.shipping, {
    method: other.id,
    price: other.price,
    tax: other.tax,
    taxIncluded: other.taxIncluded,
    total: other.total,
    delivery: other.delivery,
  });
  const unknown = await shop.call('PUT', `${path}/shipping`, { token, body: { method: 'pigeon' } });
  assert.equal(unknown.body.code, 'shipping_unknown');
});

test('when prices cannot be computed a keyed write changes nothing, and the retry does it once', async () => {
  const { path, token } = await openCart(shop);
  const add = { token, key: randomUUID(), body: { sku: plain(), quantity: 2 } };
  shop.pricingDown = true;
  const down = await shop.call('POST', `${path}/lines`, add);
  shop.pricingDown = false;
  assert.equal(down.status, 503);
  assert.equal(down.body.code, 'pricing_unavailable');
  assert.ok(Number(down.headers['retry-after']) >= 1);
  assert.deepEqual((await shop.call('GET', path, { token })).body.lines, []);
  const retry = await shop.call('POST', `${path}/lines`, add);
  assert.equal(retry.body.lines[0].quantity, 2);
});

test('a credential that does not open the cart sees no cart; none at all is 401', async () => {
  const mine = await openCart(shop);
  const foreign = await openCart(shop);
  const calls: [string, string, unknown?][] = [
    ['GET', ''],
    ['POST', '/lines', { sku: plain(), quantity: 1 }],
    ['PATCH', `/lines/${plain()}`, { quantity: 1 }],
    ['DELETE', `/lines/${plain()}`],
    ['PUT', '/coupons/WELCOME10'],
    ['DELETE', '/coupons/WELCOME10'],
    ['PUT', '/destination', TEXAS],
    ['GET', '/shipping-methods'],
    ['PUT', '/shipping', { method: 'standard' }],
  ];
  for (const [method, rest, body] of calls) {
    const none = await shop.call(method, mine.path + rest, { body });
    assert.equal(none.status, 401, `${method} ${rest}`);
    assert.equal(none.headers['www-authenticate'], 'Bearer');
    for (const token of [foreign.token, 'x', `${mine.token}x`]) {
      const hidden = await shop.call(method, mine.path + rest, { token, body });
      assert.equal(hidden.status, 404, `${method} ${rest}`);
      assert.equal(hidden.body.code, 'not_found');
    }
    const malformed = await shop.call(method, `/v1/carts/cart_1${rest}`, { token: mine.token, body });
    assert.equal(malformed.status, 404);
  }
  assert.equal((await shop.call('GET', mine.path, { token: mine.token })).body.version, 1);
});

test('input that is not in the form of the contract is refused with its place, and changes nothing', async () => {
  const { path, token } = await openCart(shop);
  const sku = plain();
  const wrong: [string, string, unknown, string][] = [
    ['POST', '/lines', { sku, quantity: -1 }, '/quantity'],
    ['POST', '/lines', { sku, quantity: 0 }, '/quantity'],
    ['POST', '/lines', { sku, quantity: 1000 }, '/quantity'],
    ['POST', '/lines', { sku, quantity: 1.5 }, '/quantity'],
    ['POST', '/lines', { sku, quantity: '1' }, '/quantity'],
    ['POST', '/lines', { sku }, '/quantity'],
    ['POST', '/lines', { sku, quantity: 1, price: 1 }, '/price'],
    ['POST', '/lines', { sku: '../x', quantity: 1 }, '/sku'],
    ['PATCH', `/lines/${sku}`, { quantity: -1 }, '/quantity'],
    ['PUT', '/destination', { country: 'us' }, '/country'],
    ['PUT', '/destination', { country: 'US', region: 'texas' }, '/region'],
    ['PUT', '/destination', { country: 'US', postalCode: 'a\nb' }, '/postalCode'],
    ['PUT', '/shipping', {}, '/method'],
  ];
  for (const [method, rest, body, place] of wrong) {
    const { status, body: told } = await shop.call(method, path + rest, { token, body });
    assert.equal(status, 400, JSON.stringify(body));
    assert.equal(told.code, 'invalid_request');
    assert.ok(
      told.errors.some((error: { path: string }) => error.path === place),
      JSON.stringify(told.errors),
    );
  }
  const broken = await shop.call('POST', `${path}/lines`, { token, body: '{"sku":' });
  assert.equal(broken.status, 400);
  assert.match(String(broken.headers['content-type']), /problem\+json/);
  assert.equal((await shop.call('GET', path, { token })).body.version, 1);
});
