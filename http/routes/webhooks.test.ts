/** Notices of the payment provider over the socket: none is believed, and none does harm. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { signNotice } from '../../payments/notice.ts';
import { ADDRESS, EMAIL, MemoryShop, openCart } from '../memory-shop.ts';

const SECRET = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
const PATH = '/v1/webhooks/payments';
let shop: MemoryShop;

before(async () => {
  shop = await MemoryShop.open({ noticeSecret: SECRET, checkoutWaitMs: 1, effectRetryMs: 3_600_000 });
});
after(() => shop.close());

const noticeOf = (reference: string) =>
  JSON.stringify({ type: 'payment.authorized', reference, paymentId: 'pay_1', state: 'authorized' });

function send(body: string, { secret = SECRET, at = shop.clock.now(), headers = {} } = {}) {
  return shop.call('POST', PATH, {
    body,
    headers: { ...signNotice(secret, `msg_${randomUUID()}`, body, at), ...headers },
  });
}

/** An order whose authorisation fails until the returned function lets it through. */
async function orderInDoubt(): Promise<{ id: string; token: string; attempts: () => number; letThrough(): void }> {
  const { sku } = shop.product(({ holdAt }) => holdAt === 'checkout');
  const cart = await openCart(shop);
  const line = await shop.call('POST', `${cart.path}/lines`, { body: { sku, quantity: 1 }, token: cart.token });
  let failing = true;
  let attempts = 0;
  shop.beforeCharge = async () => {
    attempts++;
    if (failing) throw new Error('the provider does not answer');
  };
  const answer = await shop.call('POST', `${cart.path}/checkout`, {
    token: cart.token,
    key: randomUUID(),
    body: {
      email: EMAIL,
      shippingAddress: ADDRESS,
      expectedTotal: line.body.totals.total,
      payment: { method: 'card', token: 'tok_ok' },
    },
  });
  assert.equal(answer.status, 202, answer.text);
  return {
    id: answer.body.id,
    token: cart.token,
    attempts: () => attempts,
    letThrough: () => {
      failing = false;
    },
  };
}

async function stateOf(id: string, token: string): Promise<string> {
  return (await shop.call('GET', `/v1/orders/${id}`, { token })).body.state;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 2_000; turn++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.fail(`not reached: ${what}`);
}

test('a notice makes an order in doubt ask its provider again at once; what it says is not believed', async () => {
  const order = await orderInDoubt();
  await until('the first try', () => order.attempts() === 1);
  await until('the wait', async () => {
    // The notice says authorised, the provider does not.
    assert.equal((await send(noticeOf(order.id))).status, 204);
    return order.attempts() >= 2;
  });
  assert.equal(await stateOf(order.id, order.token), 'pending');
  order.letThrough();
  await until('it is confirmed', async () => {
    await send(noticeOf(order.id));
    return (await stateOf(order.id, order.token)) === 'confirmed';
  });
});

test('duplicates, and notices about an order at rest or about none, change nothing', async () => {
  const order = await orderInDoubt();
  order.letThrough();
  await until('it is confirmed', async () => {
    await send(noticeOf(order.id));
    return (await stateOf(order.id, order.token)) === 'confirmed';
  });
  const attempts = order.attempts();
  const written = shop.written();
  const body = noticeOf(order.id);
  const headers = signNotice(SECRET, 'msg_same', body, shop.clock.now());
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => shop.call('POST', PATH, { body, headers: { ...headers } })),
  );
  assert.deepEqual(
    answers.map(({ status, text }) => [status, text]),
    answers.map(() => [204, '']),
  );
  assert.equal((await send(noticeOf(`ord_${randomUUID()}`))).status, 204);
  assert.equal(order.attempts(), attempts);
  assert.deepEqual(shop.written(), written);
});

test('what is not signed, signed with another secret, or too old is refused and asks nobody', async () => {
  const body = noticeOf(`ord_${randomUUID()}`);
  const bare = await shop.call('POST', PATH, { body });
  const other = await send(body, { secret: `whsec_${Buffer.alloc(24, 2).toString('base64')}` });
  const late = await send(body, { at: shop.clock.now() - 600_000 });
  for (const answer of [bare, other, late])
    assert.deepEqual([answer.status, answer.body.code], [401, 'signature_invalid'], answer.text);
});

test('what is signed and is no notice is refused', async () => {
  const good = JSON.parse(noticeOf(`ord_${randomUUID()}`));
  const bad = [
    '{',
    '[]',
    'null',
    JSON.stringify({ ...good, reference: 'cart_1' }),
    JSON.stringify({ ...good, more: 1 }),
  ];
  for (const body of bad) {
    const answer = await send(body);
    assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_request'], body);
  }
  assert.equal((await send(JSON.stringify(good) + ' '.repeat(20_000))).status, 413);
  assert.equal((await send(JSON.stringify(good), { headers: { 'content-type': 'text/plain' } })).status, 415);
});

test('a shop without a secret has no such call', async () => {
  const closed = await MemoryShop.open();
  try {
    const body = noticeOf(`ord_${randomUUID()}`);
    const answer = await closed.call('POST', PATH, {
      body,
      headers: { ...signNotice(SECRET, 'msg_1', body, closed.clock.now()) },
    });
    assert.deepEqual([answer.status, answer.body.code], [404, 'not_found']);
  } finally {
    await closed.close();
  }
});
