/** Exemption from taxes as operators say it of a cart, and as the shopper, the order and the disk have it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ADDRESS, ADMIN_KEY, EMAIL, fits, MemoryShop, type OpenedCart, openCart } from '../memory-shop.ts';
import { Cart } from '../schemas-cart.ts';
import { Order } from '../schemas-order.ts';

let shop: MemoryShop;
before(async () => {
  shop = await MemoryShop.open();
});
after(async () => {
  assert.deepEqual(shop.errors, []);
  await shop.close();
});

const ID = 'TX-RESALE-31415926535';
const TEXAN = { kind: 'exempt', id: ID };

async function filled(): Promise<OpenedCart> {
  const { sku } = shop.product(({ holdAt, maxPerOrder }) => holdAt === 'checkout' && maxPerOrder === null);
  const cart = await openCart(shop);
  const { body } = await shop.call('POST', `${cart.path}/lines`, { token: cart.token, body: { sku, quantity: 2 } });
  assert.ok(body.totals.taxAdded.amount > 0);
  return cart;
}
const place = ({ id }: { id: string }) => `/v1/admin/carts/${id}/exemption`;

test('a buyer who is verified while shopping owes no tax from then on, until an operator takes that back', async () => {
  const cart = await filled();
  const before = await shop.call('GET', cart.path, { token: cart.token });
  assert.equal(before.body.exemption, undefined);
  const set = await shop.admin('PUT', place(cart), { body: { ...TEXAN, countries: ['US'] } });
  assert.equal(set.status, 200, set.text);
  assert.ok(fits(Cart, set.body), set.text);
  assert.deepEqual(set.body.exemption, { kind: 'exempt', countries: ['US'] });
  assert.equal(set.headers.etag, `"${set.body.version}"`);
  assert.equal(set.body.totals.taxAdded.amount, 0);
  assert.ok(set.body.taxes.every((tax: { exempt?: string; amount: { amount: number } }) => tax.exempt === 'exempt'));
  const read = await shop.call('GET', cart.path, { token: cart.token });
  assert.deepEqual(read.body, set.body);
  const same = await shop.admin('PUT', place(cart), { body: { ...TEXAN, countries: ['US'] } });
  assert.equal(same.body.version, set.body.version, 'nothing changed');
  const elsewhere = await shop.admin('PUT', place(cart), { body: { ...TEXAN, countries: ['CA'] } });
  assert.deepEqual(elsewhere.body.totals, before.body.totals);
  await shop.admin('PUT', place(cart), { body: TEXAN });
  const gone = await shop.admin('DELETE', place(cart));
  assert.deepEqual([gone.body.exemption, gone.body.totals], [undefined, before.body.totals]);
  const again = await shop.admin('DELETE', place(cart));
  assert.deepEqual([again.status, again.body.version], [200, gone.body.version]);
});

test('a cart can be exempt from the beginning, which only an operator may say, and a retry under its key shows the same', async () => {
  const body = { currency: 'USD', exemption: { ...TEXAN, countries: ['US', 'CA'] } };
  const refused = await shop.call('POST', '/v1/carts', { body });
  assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden']);
  const key = randomUUID();
  const made = await shop.call('POST', '/v1/carts', { body, token: ADMIN_KEY, key });
  assert.equal(made.status, 201, made.text);
  assert.deepEqual(made.body.cart.exemption, { kind: 'exempt', countries: ['US', 'CA'] });
  const again = await shop.call('POST', '/v1/carts', { body, token: ADMIN_KEY, key });
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.deepEqual(again.body, made.body);
});

test('its order says which id spared the tax; no stored byte has that id in clear, and it goes with the person', async () => {
  const cart = await filled();
  const set = await shop.admin('PUT', place(cart), { body: TEXAN });
  const placed = await shop.call('POST', `${cart.path}/checkout`, {
    token: cart.token,
    key: randomUUID(),
    body: {
      email: EMAIL,
      shippingAddress: ADDRESS,
      expectedTotal: set.body.totals.total,
      payment: { method: 'card', token: 'tok_ok' },
    },
  });
  assert.equal(placed.status, 201, placed.text);
  assert.ok(fits(Order, placed.body), placed.text);
  assert.deepEqual(placed.body.exemption, TEXAN);
  assert.deepEqual([placed.body.totals.taxAdded.amount, placed.body.totals.total], [0, set.body.totals.total]);
  const path = `/v1/orders/${placed.body.id}`;
  assert.deepEqual((await shop.call('GET', path, { token: cart.token })).body.exemption, TEXAN);
  const list = await shop.admin('GET', `/v1/admin/orders?cartId=${cart.id}`);
  assert.deepEqual(list.body.items[0].exemption, TEXAN);
  assert.ok(!shop.written().includes(ID));
  shop.erased.add(cart.id);
  const erased = await shop.call('GET', path, { token: cart.token });
  assert.ok(fits(Order, erased.body), erased.text);
  assert.deepEqual([erased.body.exemption, erased.body.email], [{ kind: 'exempt', id: null }, null]);
  const late = await shop.admin('PUT', place(cart), { body: TEXAN });
  assert.deepEqual([late.status, late.body.code], [409, 'cart_checked_out']);
});

test('what is no exemption is refused with its place, and nothing is changed', async () => {
  const cart = await filled();
  const { body: before } = await shop.call('GET', cart.path, { token: cart.token });
  const wrong: readonly (readonly [unknown, string])[] = [
    [{ kind: 'exempt' }, ''],
    [{ id: ID }, ''],
    [{ kind: 'diplomat', id: ID }, '/kind'],
    [{ kind: 'exempt', id: '' }, '/id'],
    [{ kind: 'exempt', id: ' ' }, '/id'],
    [{ kind: 'exempt', id: 'a\nb' }, '/id'],
    [{ kind: 'exempt', id: 'x'.repeat(65) }, '/id'],
    [{ kind: 'exempt', id: 7 }, '/id'],
    [{ ...TEXAN, countries: [] }, '/countries'],
    [{ ...TEXAN, countries: ['usa'] }, '/countries/0'],
    [{ ...TEXAN, countries: ['US', 'US'] }, '/countries'],
    [{ ...TEXAN, until: 'tomorrow' }, '/until'],
  ];
  for (const [body, path] of wrong) {
    const put = await shop.admin('PUT', place(cart), { body });
    assert.deepEqual([put.status, put.body.code], [400, 'invalid_request'], put.text);
    const paths = put.body.errors.map((error: { path: string }) => error.path);
    assert.ok(
      paths.some((at: string) => at.startsWith(path)),
      put.text,
    );
    assert.ok(put.body.errors.every(({ message }: { message: string }) => message !== ''));
    const create = await shop.call('POST', '/v1/carts', { token: ADMIN_KEY, body: { exemption: body } });
    assert.equal(create.status, 400, create.text);
    assert.ok(create.body.errors.some((error: { path: string }) => error.path.startsWith(`/exemption${path}`)));
  }
  const stale = await shop.admin('PUT', place(cart), { body: TEXAN, headers: { 'if-match': '"1"' } });
  assert.deepEqual([stale.status, stale.body.code], [412, 'version_mismatch']);
  for (const id of ['x', 'cart_1', `cart_${randomUUID()}`]) {
    assert.equal((await shop.admin('PUT', place({ id }), { body: TEXAN })).status, 404);
    assert.equal((await shop.admin('DELETE', place({ id }))).status, 404);
  }
  const shopper = await shop.call('PUT', place(cart), { token: cart.token, body: TEXAN });
  assert.equal(shopper.status, 401);
  assert.deepEqual((await shop.call('GET', cart.path, { token: cart.token })).body, before);
});

test('under one key an exemption is set once, and the answer is given again', async () => {
  const cart = await filled();
  const key = randomUUID();
  const first = await shop.admin('PUT', place(cart), { body: TEXAN, key });
  await shop.admin('DELETE', place(cart));
  const again = await shop.admin('PUT', place(cart), { body: TEXAN, key });
  assert.deepEqual([again.headers['idempotency-replayed'], again.body], ['true', first.body]);
  assert.equal((await shop.call('GET', cart.path, { token: cart.token })).body.exemption, undefined);
  const other = await shop.admin('PUT', place(cart), { body: { ...TEXAN, kind: 'reverse_charge' }, key });
  assert.equal(other.body.code, 'idempotency_key_reused');
});
