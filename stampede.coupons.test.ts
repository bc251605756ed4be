/** Offers at a real shop process: limits that hold in a crowd, gifts that are on the shelf, prices that a hold keeps. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type Answer, ShopProcess, until } from './bench/shop-process.ts';
import {
  ADDRESS,
  addLine,
  type CartHandle,
  cartOf,
  checkout,
  inParallel,
  newCart,
  orderAtRest,
  setAvailable,
} from './bench/shopper.ts';

let shop: ShopProcess;
let plain: string[];
let scarce: string;

before(async () => {
  shop = await ShopProcess.start();
  const list = await shop.request('GET', '/v1/products?limit=100');
  plain = list.body.items
    .filter((p: { holdAt: string; maxPerOrder?: number }) => p.holdAt === 'checkout' && !p.maxPerOrder)
    .map((p: { sku: string }) => p.sku);
  scarce = list.body.items.find((p: { holdAt: string }) => p.holdAt === 'cart').sku;
});
after(async () => {
  await shop.stop();
  await shop.cleanUp();
});

async function put(path: string, body: object): Promise<void> {
  const answer = await shop.admin('PUT', `/v1/admin/${path}`, { key: randomUUID(), body });
  assert.ok(answer.status === 200 || answer.status === 201, answer.text);
}

async function putCoupon(code: string, limits: object): Promise<void> {
  await put(`coupons/${code}`, { label: 'A dollar off', kind: 'fixed', amounts: { USD: 100 }, limits });
}

async function applied(cart: CartHandle, code: string): Promise<CartHandle> {
  const answer = await shop.request('PUT', `/v1/carts/${cart.id}/coupons/${code}`, { token: cart.token });
  assert.equal(answer.status, 200, answer.text);
  cart.total = answer.body.totals.total;
  return cart;
}

function checkoutAs(cart: CartHandle, email: string): Promise<Answer> {
  return shop.request('POST', `/v1/carts/${cart.id}/checkout`, {
    token: cart.token,
    key: randomUUID(),
    timeoutMs: 30_000,
    body: {
      email,
      shippingAddress: ADDRESS,
      expectedTotal: cart.total,
      payment: { method: 'card', token: 'tok_ok' },
    },
  });
}

test('of 200 buyers at once with one coupon of 20 uses exactly 20 get it, and a cancelled order gives its use to another', async () => {
  const sku = plain[0] ?? '';
  await setAvailable(shop, sku, 300);
  await putCoupon('CROWD', { total: 20 });
  const placed: { cart: CartHandle; id: string }[] = [];
  const refused: CartHandle[] = [];
  await inParallel(200, 200, async () => {
    const cart = await applied(await cartOf(shop, sku), 'CROWD');
    const answer = await checkout(shop, cart);
    const order = answer.status === 202 ? await orderAtRest(shop, cart, answer.body.id) : answer.body;
    if (order.state === 'confirmed') {
      assert.equal(order.discounts[0].amount.amount, 100);
      placed.push({ cart, id: order.id });
      return;
    }
    if (answer.status !== 202)
      assert.deepEqual([answer.status, order.code], [409, 'coupon_not_applicable'], answer.text);
    refused.push(cart);
  });
  assert.deepEqual([placed.length, refused.length], [20, 180]);
  const { body: usage } = await shop.admin('GET', '/v1/admin/coupons/CROWD/usage');
  assert.deepEqual([usage.limit, usage.taken, usage.remaining], [20, 20, 0]);
  const [first] = placed;
  const [second] = refused;
  assert(first !== undefined && second !== undefined);
  const cancelled = await shop.request('POST', `/v1/orders/${first.id}/cancel`, {
    token: first.cart.token,
    key: randomUUID(),
  });
  assert.equal(cancelled.body.state, 'cancelled', cancelled.text);
  await until('the use is free again', async () => (await checkout(shop, second)).status === 201);
  assert.equal((await checkout(shop, refused[1] as CartHandle)).body.code, 'coupon_not_applicable');
});

test('the limit per customer holds among carts that one customer checks out at once', async () => {
  const sku = plain[1] ?? '';
  await putCoupon('EACH', { perCustomer: 2 });
  const answers = await inParallel(8, 8, async (i) => {
    const cart = await applied(await cartOf(shop, sku), 'EACH');
    return checkoutAs(cart, i % 2 === 0 ? 'Same@example.com' : 'same+other@example.com');
  });
  assert.equal(answers.filter(({ status }) => status === 201).length, 2, answers.map(({ status }) => status).join());
  const other = await applied(await cartOf(shop, sku), 'EACH');
  assert.equal((await checkoutAs(other, 'another@example.com')).status, 201);
});

test('a gift is a line of the order, from the shelf; one that is gone ends the checkout once, then the cart goes without', async () => {
  const [sku = '', gift = ''] = plain.slice(2);
  await setAvailable(shop, gift, 1);
  await put('promotions/with-it', {
    label: 'A present',
    trigger: 'automatic',
    conditions: { goods: [{ items: { skus: [sku] }, quantity: { min: 1 } }] },
    action: { kind: 'gift', sku: gift },
  });
  const first = await cartOf(shop, sku);
  const second = await cartOf(shop, sku);
  const placed = await checkout(shop, first);
  assert.equal(placed.status, 201, placed.text);
  assert.deepEqual(
    placed.body.lines.map((line: { sku: string; kind: string }) => [line.sku, line.kind]),
    [
      [sku, 'item'],
      [gift, 'gift'],
    ],
  );
  const shelf = (await shop.admin('GET', `/v1/admin/stock/${gift}`)).body;
  assert.equal(shelf.available, 0);
  const refused = await checkout(shop, second);
  assert.deepEqual([refused.status, refused.body.code], [409, 'out_of_stock'], refused.text);
  assert.ok(refused.body.errors[0].message.startsWith(gift), refused.text);
  const without = await shop.request('GET', `/v1/carts/${second.id}`, { token: second.token });
  assert.deepEqual(
    without.body.lines.map((line: { sku: string }) => line.sku),
    [sku],
  );
  assert.equal((await checkout(shop, second)).status, 201);
});

test('a held line keeps its price when the product’s goes up; a cart of the next minute pays the new one', async () => {
  await setAvailable(shop, scarce, 5);
  const cart = await newCart(shop);
  const before = (await addLine(shop, cart, scarce)).body.lines[0].unitPrice.amount;
  const { sku: _same, ...product } = (await shop.admin('GET', `/v1/admin/products/${scarce}`)).body;
  const { stock: _stock, ...fields } = product;
  const prices = { ...fields.prices, USD: before + 700 };
  const changed = await shop.admin('PUT', `/v1/admin/products/${scarce}`, {
    body: { ...fields, prices, compareAtPrices: {} },
  });
  assert.equal(changed.status, 200, changed.text);
  const kept = await shop.request('GET', `/v1/carts/${cart.id}`, { token: cart.token });
  assert.equal(kept.body.lines[0].unitPrice.amount, before);
  assert.equal(kept.body.lines[0].price.locked, true);
  const other = await newCart(shop);
  assert.equal((await addLine(shop, other, scarce)).body.lines[0].unitPrice.amount, before + 700);
  const placed = await checkout(shop, cart, { total: kept.body.totals.total });
  assert.equal(placed.status, 201, placed.text);
  assert.equal(placed.body.lines[0].unitPrice.amount, before);
});
