import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { AppendError } from '../../runtime/journal.ts';
import { ADDRESS, type Answer, EMAIL, fits, MemoryShop, type OpenedCart, openCart } from '../memory-shop.ts';
import { Order } from '../schemas-order.ts';
import { ORDER_TOKEN_MS } from './orders.ts';

let shop: MemoryShop;
before(async () => {
  shop = await MemoryShop.open({ checkoutWaitMs: 150 });
});
after(async () => {
  assert.deepEqual(shop.errors, []);
  await shop.close();
});

const plain = () => shop.product(({ holdAt, maxPerOrder }) => holdAt === 'checkout' && maxPerOrder === null).sku;

async function filled(quantity = 2): Promise<OpenedCart & { total: unknown }> {
  const cart = await openCart(shop);
  const { body } = await shop.call('POST', `${cart.path}/lines`, {
    token: cart.token,
    body: { sku: plain(), quantity },
  });
  return { ...cart, total: body.totals.total };
}

interface Wish {
  readonly key?: string;
  readonly total?: unknown;
  readonly card?: string;
  readonly change?: object;
}
function checkOut(cart: OpenedCart & { total?: unknown }, wish: Wish = {}): Promise<Answer> {
  const { key = randomUUID(), total = cart.total, card = 'tok_ok' } = wish;
  const payment = { method: 'card', token: card };
  const body = { email: EMAIL, shippingAddress: ADDRESS, expectedTotal: total, payment, ...wish.change };
  return shop.call('POST', `${cart.path}/checkout`, { token: cart.token, key, body });
}

test('a checkout confirms one order; its retry gets the same answer, another key is told the order', async () => {
  const cart = await filled();
  const key = randomUUID();
  const placed = await checkOut(cart, { key });
  assert.equal(placed.status, 201, placed.text);
  assert.ok(fits(Order, placed.body), placed.text);
  assert.equal(placed.body.state, 'confirmed');
  assert.equal(placed.body.email, EMAIL);
  assert.deepEqual(placed.body.shippingAddress, ADDRESS);
  assert.deepEqual(placed.body.totals.total, cart.total);
  assert.equal(placed.body.payment.state, 'authorized');
  assert.equal(placed.headers.location, `/v1/orders/${placed.body.id}`);
  const retry = await checkOut(cart, { key });
  assert.equal(retry.status, 201);
  assert.deepEqual(retry.body, placed.body);
  assert.equal(retry.headers['idempotency-replayed'], 'true');
  const other = await checkOut(cart);
  assert.equal(other.status, 409);
  assert.equal(other.body.code, 'cart_checked_out');
  assert.equal(other.body.orderId, placed.body.id);
  const shown = await shop.call('GET', cart.path, { token: cart.token });
  assert.equal(shown.body.state, 'checked_out');
  assert.equal(shown.body.orderId, placed.body.id);
  assert.equal(shown.body.lines.length, 1);
  const order = await shop.call('GET', `/v1/orders/${placed.body.id}`, { token: cart.token });
  assert.equal(order.headers.etag, `"${order.body.version}"`);
  assert.ok(fits(Order, order.body), order.text);
});

test('nothing that is written down holds the e-mail, the name or the street in clear', async () => {
  const cart = await filled();
  const placed = await checkOut(cart, { change: { billingAddress: { ...ADDRESS, line1: '9 Billing Road' } } });
  assert.equal(placed.status, 201, placed.text);
  const cancelled = await shop.call('POST', `/v1/orders/${placed.body.id}/cancel`, {
    token: cart.token,
    key: randomUUID(),
  });
  assert.equal(cancelled.status, 200, cancelled.text);
  const written = shop.written();
  assert.ok(written.includes(placed.body.id));
  for (const secret of [EMAIL, 'wilhelmina', 'Wilhelmina', 'Quux', 'Hidden Lane', 'Billing Road']) {
    assert.equal(written.includes(secret), false, secret);
  }
});

test('a total other than the expected one is answered with the cart at the price of the shipping address', async () => {
  const cart = await openCart(shop, { currency: 'USD' });
  const added = await shop.call('POST', `${cart.path}/lines`, {
    token: cart.token,
    body: { sku: plain(), quantity: 1 },
  });
  const key = randomUUID();
  const untaxed = added.body.totals.total;
  const changed = await checkOut(cart, { key, total: untaxed });
  assert.equal(changed.status, 409, changed.text);
  assert.equal(changed.body.code, 'price_changed');
  assert.equal(changed.body.cart.taxState, 'final');
  assert.deepEqual(changed.body.cart.destination, { country: 'US', region: 'TX', postalCode: '73301' });
  assert.ok(changed.body.cart.totals.total.amount > untaxed.amount);
  const retry = await checkOut(cart, { key, total: untaxed });
  assert.deepEqual(retry.body, changed.body);
  assert.equal(retry.headers['idempotency-replayed'], 'true');
  const agreed = await checkOut(cart, { total: changed.body.cart.totals.total });
  assert.equal(agreed.status, 201, agreed.text);
});

test('a declined card leaves the cart open; the refusal is the answer to its key, another key tries anew', async () => {
  const cart = await filled();
  const key = randomUUID();
  const declined = await checkOut(cart, { key, card: 'tok_declined' });
  assert.equal(declined.status, 402, declined.text);
  assert.equal(declined.body.code, 'payment_declined');
  assert.equal((await shop.call('GET', cart.path, { token: cart.token })).body.state, 'open');
  const retry = await checkOut(cart, { key, card: 'tok_declined' });
  assert.equal(retry.status, 402);
  assert.equal(retry.headers['idempotency-replayed'], 'true');
  assert.equal((await checkOut(cart)).status, 201);
});

test('what is out of stock is named by its line', async () => {
  const other = shop.product(({ sku, holdAt }) => holdAt === 'checkout' && sku !== plain()).sku;
  await shop.setStock(other, 1);
  const cart = await filled(1);
  const { body } = await shop.call('POST', `${cart.path}/lines`, {
    token: cart.token,
    body: { sku: other, quantity: 2 },
  });
  const refused = await checkOut(cart, { total: body.totals.total });
  assert.equal(refused.status, 409, refused.text);
  assert.equal(refused.body.code, 'out_of_stock');
  assert.deepEqual(
    refused.body.errors.map(({ path }: { path: string }) => path),
    ['/lines/1'],
  );
  assert.match(refused.body.errors[0].message, new RegExp(other));
});

test('an empty cart, a missing key and a wrong contact are refused', async () => {
  const empty = await openCart(shop);
  const total = { amount: 0, currency: 'USD' };
  assert.equal((await checkOut(empty, { total })).body.code, 'cart_empty');
  const cart = await filled();
  const body = {
    email: EMAIL,
    shippingAddress: ADDRESS,
    expectedTotal: cart.total,
    payment: { method: 'card', token: 'tok_ok' },
  };
  const keyless = await shop.call('POST', `${cart.path}/checkout`, { token: cart.token, body });
  assert.equal(keyless.status, 400);
  assert.equal(keyless.body.code, 'idempotency_key_required');
  const wrong: [object, string][] = [
    [{ email: 'nobody' }, '/email'],
    [{ email: 'a@b.example\r\nBcc: c@d.example' }, '/email'],
    [{ shippingAddress: { ...ADDRESS, name: 'A\nB' } }, '/shippingAddress/name'],
    [{ shippingAddress: { ...ADDRESS, name: '   ' } }, '/shippingAddress/name'],
    [{ shippingAddress: { ...ADDRESS, country: 'USA' } }, '/shippingAddress/country'],
    [{ expectedTotal: { amount: -1, currency: 'USD' } }, '/expectedTotal/amount'],
    [{ payment: { method: 'cash', token: 'x' } }, '/payment/method'],
    [{ note: 'x' }, '/note'],
  ];
  for (const [change, place] of wrong) {
    const { status, body: told } = await checkOut(cart, { change });
    assert.equal(status, 400, place);
    assert.ok(
      told.errors.some(({ path }: { path: string }) => path === place),
      `${place}: ${JSON.stringify(told.errors)}`,
    );
  }
});

test('an outcome that takes long is answered with the pending order; the retry gets the outcome', async () => {
  const cart = await filled();
  let charge = (): void => {};
  shop.charge = new Promise((resolve) => {
    charge = resolve;
  });
  const key = randomUUID();
  const pending = await checkOut(cart, { key });
  assert.equal(pending.status, 202, pending.text);
  assert.ok(fits(Order, pending.body), pending.text);
  assert.equal(pending.body.state, 'pending');
  assert.equal(pending.headers.location, `/v1/orders/${pending.body.id}`);
  const busy = await checkOut(cart);
  assert.equal(busy.body.code, 'checkout_in_progress');
  const edit = await shop.call('POST', `${cart.path}/lines`, {
    token: cart.token,
    body: { sku: plain(), quantity: 1 },
  });
  assert.equal(edit.body.code, 'checkout_in_progress');
  const early = await shop.call('POST', `/v1/orders/${pending.body.id}/cancel`, { token: cart.token });
  assert.equal(early.body.code, 'not_cancellable');
  charge();
  const retry = await checkOut(cart, { key });
  assert.equal(retry.status, 201, retry.text);
  assert.equal(retry.body.id, pending.body.id);
});

test('an order that has not begun is shown to nobody: its checkout is to be asked for again', async () => {
  const cart = await filled();
  const key = randomUUID();
  shop.journal.intercept = async (batch, commit) => {
    if (batch.events.some(({ type }) => type === 'order')) throw new AppendError('unknown', 'cut');
    commit();
  };
  const early = await checkOut(cart, { key });
  assert.equal(early.status, 503, early.text);
  assert.equal(early.body.code, 'outcome_unknown');
  shop.journal.intercept = undefined;
  let answer = early;
  while (answer.status !== 201) {
    answer = await checkOut(cart, { key });
    assert.ok([201, 202, 503].includes(answer.status), answer.text);
    if (answer.status !== 202) continue;
    const order = await shop.call('GET', `/v1/orders/${answer.body.id}`, { token: cart.token });
    assert.equal(order.status, 200, 'what was shown is there');
  }
});

test("an order is opened by its cart's token alone, for 30 days", async () => {
  const cart = await filled();
  const stranger = await openCart(shop);
  const { body: order } = await checkOut(cart);
  const path = `/v1/orders/${order.id}`;
  assert.equal((await shop.call('GET', path)).status, 401);
  assert.equal((await shop.call('POST', `${path}/cancel`)).status, 401);
  for (const [method, rest] of [
    ['GET', ''],
    ['POST', '/cancel'],
  ] as const) {
    assert.equal((await shop.call(method, path + rest, { token: stranger.token })).status, 404);
    assert.equal((await shop.call(method, `/v1/orders/${randomUUID()}${rest}`, { token: cart.token })).status, 404);
    assert.equal((await shop.call(method, `/v1/orders/ord_${randomUUID()}${rest}`, { token: cart.token })).status, 404);
  }
  const placedAt = Date.parse(order.placedAt);
  const now = shop.clock.now;
  shop.clock.now = () => placedAt + ORDER_TOKEN_MS + 1;
  const late = await shop.call('GET', path, { token: cart.token });
  shop.clock.now = now;
  assert.equal(late.status, 404);
  assert.equal((await shop.call('GET', path, { token: cart.token })).status, 200);
});

test('a cancel voids the payment, honours If-Match and is replayed under its key', async () => {
  const cart = await filled();
  const { body: order } = await checkOut(cart);
  const path = `/v1/orders/${order.id}/cancel`;
  const stale = await shop.call('POST', path, { token: cart.token, headers: { 'if-match': '"999"' } });
  assert.equal(stale.status, 412);
  const key = randomUUID();
  const cancelled = await shop.call('POST', path, { token: cart.token, key });
  assert.equal(cancelled.status, 200, cancelled.text);
  assert.ok(fits(Order, cancelled.body), cancelled.text);
  assert.equal(cancelled.body.state, 'cancelled');
  const again = await shop.call('POST', path, { token: cart.token, key });
  assert.deepEqual(again.body, cancelled.body);
  assert.equal(again.headers['idempotency-replayed'], 'true');
});

test('an erased buyer leaves an order without e-mail and address', async () => {
  const cart = await filled();
  const { body: order } = await checkOut(cart);
  shop.erased.add(cart.id);
  const { body } = await shop.call('GET', `/v1/orders/${order.id}`, { token: cart.token });
  assert.equal(body.email, null);
  assert.equal(body.shippingAddress, null);
  assert.deepEqual(body.totals, order.totals);
  assert.ok(fits(Order, body));
});
