/**
 * Buyers who owe the store no tax, against a real shop: an operator says so of a cart, the order is charged without the tax and names the
 * id for the invoice, also after everything was killed.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { assertOrderAnswer, assertProblem } from './bench/contract.ts';
import { type Answer, ShopProcess } from './bench/shop-process.ts';
import { ADDRESS, addLine, type CartHandle, cartOf, checkout, newCart } from './bench/shopper.ts';

type Json = Answer['body'];

let shop: ShopProcess;
before(async () => {
  shop = await ShopProcess.start({ env: { RATE_LIMITS: 'off' } });
});
after(async () => {
  await shop?.stop();
  await shop?.cleanUp();
});

const BERLIN = { name: 'Käufer GmbH', line1: 'Hofweg 1', city: 'Berlin', postalCode: '10115', country: 'DE' };

function order(cart: CartHandle, shippingAddress: object): Promise<Answer> {
  return shop.request('POST', `/v1/carts/${cart.id}/checkout`, {
    token: cart.token,
    key: randomUUID(),
    timeoutMs: 30_000,
    body: {
      email: 'buyer@example.com',
      shippingAddress,
      expectedTotal: cart.total,
      payment: { method: 'card', token: 'tok_ok' },
    },
  });
}

test('a German order under reverse charge costs the net price, and its invoice has the VAT number', async () => {
  const rates = (await shop.admin('GET', '/v1/admin/tax-rates?limit=100')).body.items as Json[];
  const german = rates.filter(({ country }) => country === 'DE');
  assert.equal(german.length, 2);
  for (const { id } of german) {
    const body = { reverseCharge: true };
    assert.equal((await shop.admin('PATCH', `/v1/admin/tax-rates/${id}`, { body })).status, 200);
  }
  const opened = await shop.admin('POST', '/v1/carts', {
    body: {
      currency: 'EUR',
      destination: { country: 'DE', postalCode: '10115' },
      exemption: { kind: 'reverse_charge', id: 'ATU12345678', countries: ['DE'] },
    },
  });
  assert.equal(opened.status, 201, opened.text);
  const cart: CartHandle = { id: opened.body.cart.id, token: opened.body.token, total: null };
  const taxed = await newCart(shop, { currency: 'EUR', destination: { country: 'DE', postalCode: '10115' } });
  // 35.90 with 19 % in it: 30.17 net (35.90 / 1.19 = 30.168)
  assert.equal((await addLine(shop, taxed, 'KIT-SCALE')).body.lines[0].unitPrice.amount, 3590);
  const { body } = await addLine(shop, cart, 'KIT-SCALE');
  assert.deepEqual([body.lines[0].unitPrice.amount, body.lines[0].total.amount], [3017, 3017]);
  assert.deepEqual(body.exemption, { kind: 'reverse_charge', countries: ['DE'] });
  const placed = assertOrderAnswer(await order(cart, BERLIN), 201);
  const { totals } = placed;
  assert.deepEqual([totals.taxAdded.amount, totals.taxIncluded.amount], [0, 0]);
  assert.equal(totals.total.amount, totals.subtotal.amount + totals.shipping.amount);
  assert.ok(totals.total.amount < (taxed.total?.amount ?? 0));
  assert.deepEqual(placed.exemption, { kind: 'reverse_charge', id: 'ATU12345678', countries: ['DE'] });
  assert.deepEqual(
    placed.taxes.map(({ exempt, rate, amount, base }: Json) => [exempt, rate, amount.amount, base.amount]),
    [['reverse_charge', 0.19, 0, totals.total.amount]],
  );
});

test('a Texan who is verified while shopping orders without the tax; who did not see that price hears it before it is charged', async () => {
  const cart = await cartOf(shop, 'DSK-PAD-WOOL');
  const before = cart.total;
  const place = `/v1/admin/carts/${cart.id}/exemption`;
  const set = await shop.admin('PUT', place, { body: { kind: 'exempt', id: 'TX-4711' } });
  assert.equal(set.status, 200, set.text);
  const changed = await checkout(shop, cart);
  assertProblem(changed, 409, 'price_changed');
  assert.deepEqual(changed.body.cart.totals.total, set.body.totals.total);
  assert.deepEqual(changed.body.cart.exemption, { kind: 'exempt' });
  cart.total = set.body.totals.total;
  const placed = assertOrderAnswer(await order(cart, ADDRESS), 201);
  assert.deepEqual(placed.exemption, { kind: 'exempt', id: 'TX-4711' });
  assert.deepEqual([placed.totals.taxAdded.amount, placed.totals.total], [0, cart.total]);
  assert.ok((before?.amount ?? 0) > placed.totals.total.amount);
  const { items } = (await shop.admin('GET', `/v1/admin/payments?orderId=${placed.id}`)).body;
  assert.deepEqual(items[0].amount, cart.total);
});

test('carts and orders are exempt still after everything was killed', async () => {
  const cart = await cartOf(shop, 'DSK-PAD-WOOL');
  await shop.admin('PUT', `/v1/admin/carts/${cart.id}/exemption`, { body: { kind: 'exempt', id: 'TX-42' } });
  const other = await cartOf(shop, 'DSK-PAD-WOOL');
  const set = await shop.admin('PUT', `/v1/admin/carts/${other.id}/exemption`, {
    body: { kind: 'exempt', id: 'TX-43' },
  });
  other.total = set.body.totals.total;
  const placed = assertOrderAnswer(await order(other, ADDRESS), 201);
  const { dataDir } = shop;
  shop.killAll();
  shop = await ShopProcess.start({ env: { RATE_LIMITS: 'off' }, dataDir });
  const read = await shop.request('GET', `/v1/carts/${cart.id}`, { token: cart.token });
  assert.deepEqual([read.body.exemption, read.body.totals.taxAdded.amount], [{ kind: 'exempt' }, 0]);
  const again = await shop.request('GET', `/v1/orders/${placed.id}`, { token: other.token });
  assert.deepEqual([again.body.exemption, again.body.totals], [placed.exemption, placed.totals]);
  cart.total = read.body.totals.total;
  assert.equal(assertOrderAnswer(await order(cart, ADDRESS), 201).exemption.id, 'TX-42');
});
