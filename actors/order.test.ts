import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOrder } from './order.ts';
import { AUTHORISED, DONE, GIVE_UP, HELD, Order, quote, REF, RETURNED, SHORT, shown, start } from './order-fixture.ts';
import { World } from './test-world.ts';

test('an order that would want its holds longer than a tombstone lasts is refused as a type', () => {
  assert.throws(() => createOrder({ giveUpAfterMs: 600_001 }), /gives up before/);
});

test('an order that never started is not found', () => {
  const world = new World(1, [createOrder()]);
  for (const kind of ['get', 'cancel']) {
    assert.deepEqual(world.ask(REF, { kind }).reply, { ok: false, code: 'not_found' });
  }
});

test('a start that comes again changes nothing and answers the same order', () => {
  const o = new Order();
  const { seq } = o.world.actor(REF);
  const reply = o.ask(start({ currency: 'USD' }));
  assert(reply.ok && reply.kind === 'order');
  assert.deepEqual([reply.order.state, reply.order.payment.currency, o.world.actor(REF).seq], ['pending', 'EUR', seq]);
});

test('own holds are pinned at birth under the order, the cart’s are adopted, both before any charge', () => {
  const o = new Order().answer('price', quote(500));
  const own = o.state.lines[0]?.holdId;
  assert.match(own ?? '', /^hold_/);
  const notAfter = o.world.now + GIVE_UP;
  assert.deepEqual(o.pending(), {
    'hold OWN': { kind: 'hold', holdId: own, owner: 'ord_1', rev: 1, quantity: 2, ttlMs: null, notAfter },
    'hold CARTS': { kind: 'adopt', holdId: 'hold_cart', cartId: 'cart_1', orderId: 'ord_1', notAfter },
  });
});

test('another total or currency than the buyer saw ends the order before it holds anything', () => {
  for (const changed of [quote(501), quote(500, { currency: 'USD' })]) {
    const o = new Order().answer('price', changed);
    assert.deepEqual(o.failure, ['price_changed', []]);
    const result = { outcome: 'failed', code: 'price_changed', returned: [] };
    assert.deepEqual(o.pending(), { result: { kind: 'checkout_result', orderId: 'ord_1', result } });
  }
});

test('a line that cannot be priced ends the order by name', () => {
  const o = new Order().answer(
    'price',
    quote(500, { blocked: 'price_unavailable', warnings: ['sku_gone:OWN', 'coupon_not_applicable:X'] }),
  );
  assert.deepEqual(o.failure, ['price_unavailable', ['OWN']]);
});

test('what nothing ships to the address is refused by name, whatever total the buyer agreed to', () => {
  const unshippable = { blocked: 'shipping_unavailable' as const, warnings: ['shipping_unavailable:standard'] };
  const o = new Order().answer('price', quote(500, unshippable));
  assert.deepEqual(o.failure, ['shipping_unavailable', []]);
  assert.deepEqual(o.waiting, ['result']);
});

test('the order waits for every line, names all that were refused, and undoes all before it tells the cart', () => {
  const o = new Order().answer('price', quote(500)).answer('hold OWN', SHORT);
  assert.deepEqual(o.waiting, ['hold CARTS']);
  o.answer('hold CARTS', { ok: false, code: 'hold_expired' });
  assert.deepEqual(o.failure, ['out_of_stock', ['OWN', 'CARTS']]);
  assert.deepEqual(o.waiting, ['undo OWN', 'undo CARTS']);
  o.answer('undo OWN', DONE);
  assert.deepEqual(o.waiting, ['undo CARTS']);
  o.answer('undo CARTS', { ...RETURNED, returned: false, expiresAt: null });
  const returned = [{ holdId: 'hold_cart', expiresAt: null }];
  const result = { outcome: 'failed', code: 'out_of_stock', skus: ['OWN', 'CARTS'], returned };
  assert.deepEqual(o.pending(), { result: { kind: 'checkout_result', orderId: 'ord_1', result } });
});

test('a cart’s hold that is gone, or of another quantity, ends in hold_expired', () => {
  for (const answer of [{ ok: false, code: 'hold_gone' }, HELD(7)]) {
    const o = new Order().answer('price', quote(500)).answer('hold OWN', HELD(2)).answer('hold CARTS', answer);
    assert.deepEqual(o.failure, ['hold_expired', ['CARTS']]);
  }
});

test('a declined charge gives everything back, says where the cart’s hold ends, and forgets the token', () => {
  const o = new Order().held().answer('authorise', { ok: false, code: 'insufficient_funds' });
  assert.equal(o.state.paymentToken, null);
  const undoing = o.ask({ kind: 'get' });
  assert(undoing.ok && undoing.kind === 'order');
  assert.deepEqual([undoing.order.state, undoing.order.failure], ['pending', null]);
  o.answer('undo OWN', DONE).answer('undo CARTS', RETURNED);
  const { result } = o.pending() as { result: { result: unknown } };
  const returned = [{ holdId: 'hold_cart', expiresAt: 99 }];
  const expected = { outcome: 'failed', code: 'payment_declined', declineCode: 'insufficient_funds', returned };
  assert.deepEqual(result.result, expected);
  assert.deepEqual(shown(o.ask({ kind: 'get' })), ['failed', 'declined']);
});

test('a total of 0 is confirmed without a charge and without a capture job', () => {
  const o = new Order({ expectedTotal: { amount: 0, currency: 'EUR' } }).answer('price', quote(0));
  o.answer('hold OWN', HELD(2)).answer('hold CARTS', HELD(1)).answer('confirm OWN', DONE).answer('confirm CARTS', DONE);
  assert.deepEqual(o.waiting, ['result']);
  assert.deepEqual([...o.world.outbox.keys()], ['email:ord_1']);
  assert.deepEqual(shown(o.ask({ kind: 'cancel' })), ['cancelled', 'none']);
});

test('a confirmed order has its jobs written in the append that confirms it', () => {
  const o = new Order().confirmed();
  assert.deepEqual(
    [...o.world.outbox.values()],
    [
      { id: 'capture:ord_1', job: 'capture', doc: { orderId: 'ord_1' } },
      { id: 'email:ord_1', job: 'email', doc: { orderId: 'ord_1' } },
    ],
  );
  assert.deepEqual(o.waiting, []);
  const asked = o.ask({ kind: 'request_email', outboxId: 'email:ord_1' });
  assert(asked.ok && asked.kind === 'order' && asked.order.state === 'confirmed');
  o.ask({ kind: 'email_sent', outboxId: 'email:ord_1' });
  o.ask({ kind: 'email_sent', outboxId: 'email:ord_1' });
  assert.deepEqual(o.ask({ kind: 'request_email', outboxId: 'email:ord_1' }), { ok: true, kind: 'done' });
  assert.deepEqual([...o.world.outbox.keys()], ['capture:ord_1']);
});

test('a charge without an outcome is repeated after the order gave up, then voided; the cart is not kept waiting', () => {
  const o = new Order().held();
  const charge = o.pending().authorise;
  o.world.pass(GIVE_UP);
  assert.deepEqual(o.failure, ['order_failed', []]);
  assert.deepEqual(o.waiting, ['undo OWN', 'undo CARTS', 'authorise']);
  assert.deepEqual(o.pending().authorise, charge);
  o.answer('undo OWN', DONE).answer('undo CARTS', RETURNED).answer('result', { ok: true });
  o.answer('authorise', AUTHORISED);
  assert.deepEqual(o.waiting, ['void']);
  o.answer('void', { ok: true });
  assert.deepEqual(shown(o.ask({ kind: 'get' })), ['failed', 'voided']);
  assert.deepEqual(o.waiting, []);
});

test('an order whose charge is made does not give up', () => {
  const o = new Order().held().answer('authorise', AUTHORISED);
  o.world.pass(100 * GIVE_UP);
  assert.deepEqual(o.waiting, ['confirm OWN', 'confirm CARTS']);
});

test('a confirm that is refused undoes every line and voids the charge', () => {
  const o = new Order().held().answer('authorise', AUTHORISED).answer('confirm OWN', DONE);
  o.answer('confirm CARTS', { ok: false, code: 'hold_gone' });
  assert.deepEqual(o.waiting, ['undo OWN', 'undo CARTS', 'void']);
});

test('an order is cancelled only once it is confirmed, and answered once the money is back', () => {
  const o = new Order();
  assert.deepEqual(o.ask({ kind: 'cancel' }), { ok: false, code: 'not_cancellable' });
  o.confirmed();
  assert.deepEqual(o.ask({ kind: 'cancel', ifMatch: 1 }), { ok: false, code: 'version_mismatch' });
  const first = o.call({ kind: 'cancel', ifMatch: o.world.actor(REF).seq });
  const second = o.call({ kind: 'cancel' });
  assert.deepEqual(o.waiting, ['undo OWN', 'undo CARTS', 'void']);
  assert.deepEqual(o.pending()['undo CARTS'], { kind: 'release', holdId: 'hold_cart', owner: 'ord_1' });
  assert.equal(first.reply, undefined);
  o.answer('void', { ok: true });
  assert.deepEqual(shown(first.reply), ['cancelled', 'voided']);
  assert.deepEqual(second.reply, first.reply);
  assert.deepEqual([...o.world.outbox.keys()], ['email:ord_1']);
  assert.deepEqual(o.ask({ kind: 'request_capture', outboxId: 'capture:ord_1' }), { ok: true, kind: 'done' });
  assert.deepEqual(shown(o.ask({ kind: 'cancel' })), ['cancelled', 'voided']);
  o.answer('undo OWN', DONE).answer('undo CARTS', DONE);
  assert.deepEqual(o.waiting, []);
});

test('a capture that asks after a cancel began is sent home, whatever the void is doing', () => {
  const o = new Order().confirmed();
  o.call({ kind: 'cancel' });
  assert.deepEqual(o.ask({ kind: 'request_capture', outboxId: 'capture:ord_1' }), { ok: true, kind: 'done' });
  assert.equal(o.state.payment.captureRequested, false);
});

test('a cancel after the capture was let go ahead captures and refunds; after the capture it refunds', () => {
  for (const reported of [false, true]) {
    const o = new Order().confirmed();
    const go = { ok: true, kind: 'capture', paymentId: 'pay_1', amount: 500 };
    assert.deepEqual(o.ask({ kind: 'request_capture', outboxId: 'capture:ord_1' }), go);
    assert.deepEqual(o.ask({ kind: 'request_capture', outboxId: 'capture:ord_1' }), go);
    if (reported) o.ask({ kind: 'capture_done', outboxId: 'capture:ord_1' });
    const caller = o.call({ kind: 'cancel' });
    const input = { orderId: 'ord_1', paymentId: 'pay_1', amount: 500, captureFirst: !reported };
    assert.deepEqual(o.pending().refund, input);
    o.answer('refund', { ok: true });
    assert.deepEqual(shown(caller.reply), ['cancelled', 'refunded']);
    o.ask({ kind: 'capture_done', outboxId: 'capture:ord_1' });
    assert.equal(o.state.payment.state, 'refunded');
    assert.deepEqual([...o.world.outbox.keys()], ['email:ord_1']);
  }
});

test('a capture that the provider refuses leaves the payment authorised and the reason visible; a cancel then voids', () => {
  const o = new Order().confirmed();
  o.ask({ kind: 'request_capture', outboxId: 'capture:ord_1' });
  o.ask({ kind: 'capture_refused', outboxId: 'capture:ord_1', code: 'expired' });
  const reply = o.ask({ kind: 'get' });
  assert(reply.ok && reply.kind === 'order');
  assert.deepEqual([reply.order.payment.state, reply.order.payment.problem], ['authorized', 'capture: expired']);
  // Nobody has the money: the row stays, so that the job that failed is seen and can be run again.
  assert(o.world.outbox.has('capture:ord_1'));
  const again = o.ask({ kind: 'request_capture', outboxId: 'capture:ord_1' });
  assert.deepEqual(again, { ok: true, kind: 'capture', paymentId: 'pay_1', amount: 500 });
  o.ask({ kind: 'capture_refused', outboxId: 'capture:ord_1', code: 'expired' });
  o.call({ kind: 'cancel' });
  assert(o.waiting.includes('void'));
  o.answer('void', { ok: true });
  assert(!o.world.outbox.has('capture:ord_1'));
});

test('a cancel ends also where the provider refuses both ways back, with the reason visible', () => {
  const o = new Order().confirmed();
  const caller = o.call({ kind: 'cancel' });
  o.answer('void', { ok: false, code: 'captured_elsewhere' });
  assert.equal(caller.reply, undefined);
  o.answer('refund', { ok: false, code: 'too_old' });
  assert.deepEqual(shown(caller.reply), ['cancelled', 'authorized']);
  assert.equal(o.state.payment.problem, 'refund: too_old');
});

test('the history of a payment tells each step with its time', () => {
  const o = new Order();
  const times: number[] = [];
  const at = (ms: number) => {
    o.world.now += ms;
    times.push(o.world.now);
  };
  o.answer('price', quote(500)).answer('hold OWN', HELD(2));
  at(1);
  o.answer('hold CARTS', HELD(1));
  at(5);
  o.answer('authorise', AUTHORISED).answer('confirm OWN', DONE).answer('confirm CARTS', DONE);
  o.ask({ kind: 'request_capture', outboxId: 'capture:ord_1' });
  at(7);
  o.ask({ kind: 'capture_done', outboxId: 'capture:ord_1' });
  assert.deepEqual(
    o.state.payment.history,
    ['unknown', 'authorized', 'captured'].map((state, i) => ({ state, at: times[i] })),
  );
});

test('the read side shows the order as it is, without contact or token', () => {
  const o = new Order().confirmed();
  const row = o.world.rows.get('orders:ord_1');
  assert.equal(row?.doc?.state, 'confirmed');
  assert.equal(row?.doc?.cartId, 'cart_1');
  assert.doesNotMatch(JSON.stringify(row), /contact|subject-1|tok_secret/);
  assert.doesNotMatch(JSON.stringify(o.world.replay(o.world.actor(REF), false)), /tok_secret/);
  o.world.takeSnapshot(o.world.actor(REF));
  o.world.assertReplays(o.world.actor(REF));
});
