/** The unit price of a held line, and whom a cart is for, as a client sees them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADMIN_KEY, MemoryShop, openCart } from '../memory-shop.ts';

let shop: MemoryShop;
before(async () => {
  shop = await MemoryShop.open();
});
after(async () => {
  assert.deepEqual(shop.errors, []);
  await shop.close();
});

async function lockedLine(cart: { id: string }): Promise<unknown> {
  const reply = (await shop.system.ask({ type: 'cart', id: cart.id }, { kind: 'glance' })) as {
    cart: { lines: { locked?: unknown }[] };
  };
  return reply.cart.lines[0]?.locked;
}

test('a sku that is held at the cart keeps the price that it had, set to another quantity too; others follow the book', async () => {
  const { sku, prices, compareAtPrices } = shop.product(
    ({ holdAt, maxPerOrder }) => holdAt === 'cart' && (maxPerOrder ?? 2) >= 2,
  );
  const cart = await openCart(shop);
  await shop.call('POST', `${cart.path}/lines`, { token: cart.token, body: { sku, quantity: 1 } });
  const compareAt = compareAtPrices.USD;
  const price = { unitPrice: prices.USD, list: null, ...(compareAt === undefined ? {} : { compareAt }) };
  assert.deepEqual(await lockedLine(cart), price);
  const set = await shop.call('PATCH', `${cart.path}/lines/${sku}`, { token: cart.token, body: { quantity: 2 } });
  assert.equal(set.status, 200, set.text);
  assert.deepEqual(await lockedLine(cart), price);
  const other = await openCart(shop);
  const plain = shop.product(({ holdAt }) => holdAt === 'checkout').sku;
  await shop.call('POST', `${other.path}/lines`, { token: other.token, body: { sku: plain, quantity: 1 } });
  assert.equal(await lockedLine(other), undefined);
});

test('only an operator says for which group or channel a cart is', async () => {
  const body = { currency: 'USD', customerGroup: 'wholesale', channel: 'pos' };
  const refused = await shop.call('POST', '/v1/carts', { body });
  assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden']);
  const made = await shop.call('POST', '/v1/carts', { body, token: ADMIN_KEY });
  assert.equal(made.status, 201, made.text);
  const reply = (await shop.system.ask({ type: 'cart', id: made.body.cart.id }, { kind: 'glance' })) as {
    cart: { facts: unknown };
  };
  assert.deepEqual(reply.cart.facts, { customerGroup: 'wholesale', channel: 'pos' });
  const plain = await shop.call('POST', '/v1/carts', { body: { currency: 'USD' }, token: ADMIN_KEY });
  assert.equal(plain.status, 201);
});
