/** Limited coupons at checkout, as a client sees them. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type CouponReply, couponCustomer } from '../../actors/coupon.ts';
import { inParallel } from '../../bench/shopper.ts';
import { ADDRESS, type Answer, fits, MemoryShop, type OpenedCart, openCart } from '../memory-shop.ts';
import { CouponUsage } from '../schemas-admin.ts';
import { canonicalEmail } from './checkout.ts';

let shop: MemoryShop;
before(async () => {
  const off = { label: 'One dollar off', kind: 'fixed', amounts: { USD: 100 } } as const;
  const coupons = [
    { code: 'FIVE', limits: { total: 5 }, ...off },
    { code: 'ONCE', limits: { perCustomer: 1 }, ...off },
    { code: 'BACK', limits: { total: 1 }, ...off },
  ];
  shop = await MemoryShop.open({ coupons });
});
after(async () => {
  assert.deepEqual(shop.errors, []);
  await shop.close();
});

const sku = () => shop.product(({ holdAt, maxPerOrder }) => holdAt === 'checkout' && maxPerOrder === null).sku;

interface Filled extends OpenedCart {
  readonly total: { readonly amount: number };
}
async function filled(code: string): Promise<Filled> {
  const cart = await openCart(shop);
  await shop.call('POST', `${cart.path}/lines`, { token: cart.token, body: { sku: sku(), quantity: 1 } });
  const { body } = await shop.call('PUT', `${cart.path}/coupons/${code}`, { token: cart.token });
  assert.deepEqual(body.coupons, [code]);
  return { ...cart, total: body.totals.total };
}

interface Wish {
  readonly key?: string;
  readonly card?: string;
}
function checkOut(cart: Filled, email: string, { key = randomUUID(), card = 'tok_ok' }: Wish = {}): Promise<Answer> {
  const payment = { method: 'card', token: card };
  const body = { email, shippingAddress: ADDRESS, expectedTotal: cart.total, payment };
  return shop.call('POST', `${cart.path}/checkout`, { token: cart.token, key, body });
}

async function usage(id: string): Promise<[held: number, used: number]> {
  const reply = (await shop.system.ask({ type: 'coupon', id }, { kind: 'get' })) as CouponReply;
  assert(reply.ok && reply.kind === 'usage');
  return [reply.usage.held, reply.usage.used];
}

test('of twenty buyers at once with a coupon of five uses five get it; the others hear which coupon it was', async () => {
  const carts = await inParallel(20, 20, () => filled('FIVE'));
  const answers = await inParallel(20, 20, (i) => checkOut(carts[i] as Filled, `buyer${i}@example.com`));
  const placed = answers.filter(({ status }) => status === 201);
  assert.equal(placed.length, 5);
  for (const { body } of placed) assert.deepEqual(body.discounts[0].amount, { amount: 100, currency: 'USD' });
  for (const { status, body } of answers) {
    if (status === 201) continue;
    assert.deepEqual([status, body.code], [409, 'coupon_not_applicable']);
    assert.deepEqual(body.errors, [{ path: '/coupons/0', message: 'FIVE: has no uses left' }]);
  }
  assert.deepEqual(await usage('FIVE'), [0, 5]);
});

test('a refused coupon leaves the cart open, and is decided anew under the same key', async () => {
  const first = await filled('BACK');
  const second = await filled('BACK');
  const key = randomUUID();
  const placed = await checkOut(first, 'first@example.com');
  assert.equal(placed.status, 201, placed.text);
  assert.equal((await checkOut(second, 'second@example.com', { key })).body.code, 'coupon_not_applicable');
  const open = await shop.call('GET', second.path, { token: second.token });
  assert.deepEqual([open.body.state, open.body.coupons], ['open', ['BACK']]);
  const path = `/v1/orders/${placed.body.id}/cancel`;
  assert.equal((await shop.call('POST', path, { token: first.token, key: randomUUID() })).body.state, 'cancelled');
  const retry = await checkOut(second, 'second@example.com', { key });
  assert.equal(retry.status, 201, retry.text);
  assert.deepEqual(await usage('BACK'), [0, 1]);
});

test('a declined card gives the use back', async () => {
  const cart = await filled('ONCE');
  assert.equal((await checkOut(cart, 'poor@example.com', { card: 'tok_declined' })).status, 402);
  assert.equal((await checkOut(cart, 'poor@example.com')).status, 201);
});

test('one customer has one use however the address is written, another one too, and nothing shows who they are', async () => {
  const answers: Answer[] = [];
  for (const email of ['Ann@example.com', 'ann@EXAMPLE.com', 'ann+again@example.com', 'bob@example.com']) {
    answers.push(await checkOut(await filled('ONCE'), email));
  }
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 409, 409, 201],
  );
  assert.deepEqual(await usage(couponCustomer('ONCE', shop.app.subjects.pseudonym('ann@example.com'))), [0, 1]);
  assert.deepEqual(await usage('ONCE'), [0, 0], 'what has no limit in all is not counted in all');
  assert.equal(/ann@|Ann@|bob@/.test(shop.written().toString('latin1')), false);
});

test('operators see how many uses are held, used and left, by numbers alone', async () => {
  const show = async (code: string) => {
    const answer = await shop.admin('GET', `/v1/admin/coupons/${code}/usage`);
    assert.ok(answer.status === 200 && fits(CouponUsage, answer.body), answer.text);
    assert.equal(answer.headers['cache-control'], 'no-store');
    return answer.body;
  };
  const limits = async (code: string, limits: object) => {
    const body = { label: 'One dollar off', kind: 'fixed', amounts: { USD: 100 }, limits };
    const put = await shop.admin('PUT', `/v1/admin/coupons/${code}`, { body });
    assert.ok(put.status < 300, put.text);
  };
  await limits('SEEN', { total: 3, perCustomer: 2 });
  const whole = { code: 'SEEN', limit: 3, limitPerCustomer: 2 };
  assert.deepEqual(await show('seen'), { ...whole, held: 0, used: 0, taken: 0, remaining: 3 });
  let charge = () => {};
  let asked = () => {};
  const charging = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const before = shop.beforeCharge;
  shop.beforeCharge = () => {
    asked();
    return new Promise((resolve) => {
      charge = resolve;
    });
  };
  const placed = checkOut(await filled('SEEN'), 'eve@example.com');
  await charging;
  assert.deepEqual(await show('SEEN'), { ...whole, held: 1, used: 0, taken: 1, remaining: 2 });
  shop.beforeCharge = before;
  charge();
  assert.equal((await placed).status, 201);
  assert.equal((await checkOut(await filled('SEEN'), 'eve@example.com')).status, 201);
  assert.deepEqual(await show('SEEN'), { ...whole, held: 0, used: 2, taken: 2, remaining: 1 });
  await limits('SEEN', { total: 1 });
  const lowered = await show('SEEN');
  assert.deepEqual([lowered.taken, lowered.remaining, lowered.limitPerCustomer], [2, 0, null]);
  const none = { held: null, used: null, taken: null, remaining: null };
  assert.deepEqual(await show('ONCE'), { code: 'ONCE', limit: null, limitPerCustomer: 1, ...none });
  for (const code of ['NOPE', 'x'.repeat(100), 'SEEN%7Csomebody']) {
    assert.equal((await shop.admin('GET', `/v1/admin/coupons/${code}/usage`)).status, 404);
  }
});

test('all spellings of one mailbox are one customer', () => {
  for (const typed of ['A.B@Example.com', 'a.b+x@example.com', 'a.b+@EXAMPLE.COM', 'A.B+x+y@example.com']) {
    assert.equal(canonicalEmail(typed), 'a.b@example.com');
  }
  assert.notEqual(canonicalEmail('ab@example.com'), canonicalEmail('a.b@example.com'));
});

test('a first order is told its lower price at checkout, once; the next of that customer pays in full', async () => {
  const offer = {
    label: 'Welcome',
    trigger: 'automatic',
    conditions: { firstOrder: true },
    action: { kind: 'percent', items: {}, ratePpm: 100_000 },
  };
  const put = await shop.admin('PUT', '/v1/admin/promotions/welcome', { key: randomUUID(), body: offer });
  assert.equal(put.status, 201, put.text);
  const simple = async (): Promise<Filled> => {
    const cart = await openCart(shop);
    const body = { sku: sku(), quantity: 1 };
    const added = await shop.call('POST', `${cart.path}/lines`, { token: cart.token, body });
    return { ...cart, total: added.body.totals.total };
  };
  const cart = await simple();
  const told = await checkOut(cart, 'new@example.com');
  assert.deepEqual([told.status, told.body.code], [409, 'price_changed'], told.text);
  const { total } = told.body.cart.totals;
  assert.ok(total.amount < cart.total.amount);
  const placed = await checkOut({ ...cart, total }, 'new@example.com');
  assert.equal(placed.status, 201, placed.text);
  assert.equal(placed.body.discounts[0].promotion, 'welcome');
  const next = await checkOut(await simple(), 'new@example.com');
  assert.equal(next.status, 201, next.text);
  assert.deepEqual(next.body.discounts, []);
  const gone = await shop.admin('DELETE', '/v1/admin/promotions/welcome', { key: randomUUID() });
  assert.equal(gone.status, 204, gone.text);
});
