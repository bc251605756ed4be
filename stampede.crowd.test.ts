/** A crowd at a real shop process: never oversold, one order for each cart, however often and with however many keys it is asked for. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ShopProcess, until } from './bench/shop-process.ts';
import { addLine, cartOf, checkout, inParallel, newCart, orderAtRest, setAvailable } from './bench/shopper.ts';

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

test('500 buyers at once for 100 units buy exactly 100, and stock is conserved', async () => {
  const sku = plain[0] ?? '';
  await setAvailable(shop, sku, 100);
  const statuses = await inParallel(500, 500, async () => {
    const cart = await newCart(shop);
    const added = await addLine(shop, cart, sku);
    if (added.status !== 200) return added.status;
    const answer = await checkout(shop, cart);
    if (answer.status === 202) return (await orderAtRest(shop, cart, answer.body.id)).state === 'confirmed' ? 201 : 409;
    if (answer.status === 409) assert.equal(answer.body.code, 'out_of_stock');
    return answer.status;
  });
  const count = (status: number) => statuses.filter((s) => s === status).length;
  assert.equal(count(201), 100, JSON.stringify({ 201: count(201), 409: count(409), 503: count(503) }));
  assert.equal(count(201) + count(409), 500, 'every other buyer hears that it is sold out');
  const stock = (await shop.admin('GET', `/v1/admin/stock/${sku}`)).body;
  assert.equal(stock.available, 0);
  assert.equal(stock.held, 0);
  assert.equal(stock.onHand, stock.allocated);
});

test('one checkout key 50 times at once makes one order and one answer', async () => {
  const cart = await cartOf(shop, plain[1] ?? '');
  const key = randomUUID();
  const answers = await inParallel(50, 50, () => checkout(shop, cart, { key }));
  for (const answer of answers) assert.equal(answer.status, 201, answer.text);
  assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1);
  assert.ok(answers.filter((answer) => answer.headers['idempotency-replayed'] !== 'true').length >= 1);
  const orders = await shop.admin('GET', `/v1/admin/orders?cartId=${cart.id}`);
  assert.equal(orders.body.items.length, 1);
});

test('20 keys at once on one cart make one order', async () => {
  const cart = await cartOf(shop, plain[2] ?? '');
  const answers = await inParallel(20, 20, () => checkout(shop, cart));
  assert.equal(answers.filter((answer) => answer.status === 201).length, 1);
  for (const answer of answers)
    if (answer.status !== 201) {
      assert.equal(answer.status, 409);
      assert.match(answer.body.code, /^(checkout_in_progress|cart_checked_out)$/);
    }
  const orders = await shop.admin('GET', `/v1/admin/orders?cartId=${cart.id}`);
  assert.equal(orders.body.items.filter((order: { state: string }) => order.state !== 'failed').length, 1);
});

test('one add key 50 times at once adds once', async () => {
  const cart = await newCart(shop);
  const key = randomUUID();
  const answers = await inParallel(50, 50, () => addLine(shop, cart, plain[3] ?? '', 2, key));
  for (const answer of answers) {
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body.lines[0].quantity, 2);
  }
  assert.equal(answers.filter((answer) => answer.headers['idempotency-replayed'] !== 'true').length, 1);
});

test('a scarce sku is held when it is put into the cart, and given back when it is taken out', async () => {
  await setAvailable(shop, scarce, 3);
  const cart = await cartOf(shop, scarce);
  const read = await shop.request('GET', `/v1/carts/${cart.id}`, { token: cart.token });
  assert.equal(read.body.lines[0].stock, 'held');
  assert.ok(read.body.lines[0].hold.expiresAt);
  assert.equal((await shop.admin('GET', `/v1/admin/stock/${scarce}`)).body.available, 2);
  const removed = await shop.request('DELETE', `/v1/carts/${cart.id}/lines/${scarce}`, { token: cart.token });
  assert.equal(removed.status, 200, removed.text);
  await until(
    'the unit is back on the shelf',
    async () => (await shop.admin('GET', `/v1/admin/stock/${scarce}`)).body.available === 3,
  );
  const again = await addLine(shop, cart, scarce);
  assert.equal(again.status, 409);
  assert.equal(again.body.code, 'hold_cooldown');
  assert.ok(Number(again.headers['retry-after']) >= 1);
});

test('40 carts at once for the last 3 scarce units: 3 hold one, the others hear out_of_stock', async () => {
  await setAvailable(shop, scarce, 3);
  const answers = await inParallel(40, 40, async () => addLine(shop, await newCart(shop), scarce));
  assert.equal(answers.filter((answer) => answer.status === 200).length, 3);
  for (const answer of answers) if (answer.status !== 200) assert.equal(answer.body.code, 'out_of_stock', answer.text);
});

test('every token of the provider comes to one definite end', async () => {
  for (const [token, state] of [
    ['tok_ok', 'confirmed'],
    ['tok_declined', 'failed'],
    ['tok_insufficient_funds', 'failed'],
    ['tok_timeout', 'confirmed'],
    ['tok_late', 'confirmed'],
    ['tok_error', 'confirmed'],
    ['tok_slow', 'confirmed'],
  ] as const) {
    const cart = await cartOf(shop, plain[4] ?? '');
    const answer = await checkout(shop, cart, { payWith: token });
    const outcome =
      answer.status === 202
        ? (await orderAtRest(shop, cart, answer.body.id)).state
        : answer.status === 201
          ? 'confirmed'
          : 'failed';
    assert.equal(outcome, state, `${token}: ${answer.status} ${answer.text}`);
    if (answer.status === 402) assert.equal(answer.body.code, 'payment_declined');
  }
});

test('a cancelled order gives its units back and its payment ends voided or refunded', async () => {
  const sku = plain[5] ?? '';
  const before = (await shop.admin('GET', `/v1/admin/stock/${sku}`)).body;
  const cart = await cartOf(shop, sku, 2);
  const placed = await checkout(shop, cart);
  assert.equal(placed.status, 201, placed.text);
  const cancelled = await shop.request('POST', `/v1/orders/${placed.body.id}/cancel`, {
    token: cart.token,
    key: randomUUID(),
  });
  assert.equal(cancelled.status, 200, cancelled.text);
  assert.equal(cancelled.body.state, 'cancelled');
  const order = await until('the payment is undone', async () => {
    const read = await shop.request('GET', `/v1/orders/${placed.body.id}`, { token: cart.token });
    return ['voided', 'refunded'].includes(read.body.payment.state) ? read.body : undefined;
  });
  assert.equal(order.state, 'cancelled');
  await until(
    'the units are back',
    async () => (await shop.admin('GET', `/v1/admin/stock/${sku}`)).body.available === before.available,
  );
});

test('an order whose total is 0 is confirmed without a charge', async () => {
  const sku = `FREE-${randomUUID().slice(0, 8)}`;
  const put = await shop.admin('PUT', `/v1/admin/products/${sku}`, {
    body: {
      name: 'Sticker',
      description: 'A sticker that costs nothing.',
      category: 'gifts',
      prices: { USD: 0 },
      taxCategory: 'standard',
      holdAt: 'checkout',
    },
  });
  assert.ok(put.status === 200 || put.status === 201, put.text);
  await setAvailable(shop, sku, 5);
  const cart = await newCart(shop);
  await addLine(shop, cart, sku);
  const free = await shop.request('PUT', `/v1/carts/${cart.id}/shipping`, {
    token: cart.token,
    body: { method: 'pickup' },
  });
  assert.equal(free.status, 200, free.text);
  assert.equal(free.body.totals.total.amount, 0);
  const placed = await checkout(shop, cart, { total: free.body.totals.total });
  assert.equal(placed.status, 201, placed.text);
  assert.equal(placed.body.payment.state, 'none');
});

test('after a crowd the captures are made and each order has its one e-mail', async () => {
  const cart = await cartOf(shop, plain[6] ?? '');
  const placed = await checkout(shop, cart);
  assert.equal(placed.status, 201, placed.text);
  await until('the payment is captured', async () => {
    const read = await shop.admin('GET', `/v1/admin/payments?orderId=${placed.body.id}`);
    return read.body.items[0]?.state === 'captured';
  });
});
