/** What an order does with limited coupons and gifts: held beside its stock, before the charge. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Quote } from '../workers/quote.ts';
import { createOrder, type OrderEvent, type OrderState } from './order.ts';
import { AUTHORISED, DONE, HELD, Order, quote, REF, RETURNED, SHORT, shown, start } from './order-fixture.ts';
import { throughMsgpack } from './test-world.ts';

const USED_UP = { ok: false, code: 'used_up' };
const use = (serial: number) => ({ ok: true, kind: 'hold', serial });
const LIMITS: Partial<Quote> = { limits: [{ code: 'BOTH', total: 20, perCustomer: 1 }] };
const TOTAL = 'use_hold BOTH';
const EACH = 'use_hold BOTH|me';
const GIFT: Partial<Quote> = {
  lines: [
    {
      id: 'gift_mug',
      sku: 'MUG',
      kind: 'gift',
      name: 'A mug',
      quantity: 1,
      ...{ unitPrice: 0, subtotal: 0, discount: 0, tax: 0, taxIncluded: 0, total: 0 },
      discounts: [{ promotion: 'mug', label: 'A mug', amount: 0, why: 'gift' }],
    },
  ],
};

const limited = (): Order => new Order({ customer: 'me', coupons: ['BOTH'] }).answer('price', quote(500, LIMITS));

test('each limit of a coupon that the quote used is held beside the stock, with the limit of the quote', () => {
  const o = limited();
  const { [TOTAL]: total, [EACH]: each } = o.pending();
  const notAfter = o.state.giveUpAt;
  assert.deepEqual(total, { kind: 'hold', orderId: 'ord_1', limit: 20, notAfter });
  assert.deepEqual(each, { kind: 'hold', orderId: 'ord_1', limit: 1, notAfter });
  o.answer('hold OWN', HELD(2)).answer(TOTAL, use(7)).answer('hold CARTS', HELD(1));
  assert.equal(o.state.phase, 'holding', 'the last use is not held yet');
  assert.equal(o.answer(EACH, use(0)).state.phase, 'charging');
});

test('the order is confirmed when every use is, and a refund takes nothing back', () => {
  const o = limited()
    .answer('hold OWN', HELD(2))
    .answer('hold CARTS', HELD(1))
    .answer(TOTAL, use(7))
    .answer(EACH, use(0));
  o.answer('authorise', AUTHORISED).answer('confirm OWN', DONE).answer('confirm CARTS', DONE);
  assert.deepEqual(o.pending()['use_confirm BOTH'], { kind: 'confirm', orderId: 'ord_1', serial: 7 });
  o.answer('use_confirm BOTH', DONE);
  assert.equal(o.state.phase, 'confirming');
  assert.equal(o.answer('use_confirm BOTH|me', DONE).state.phase, 'confirmed');
  assert.deepEqual(o.waiting, ['result']);
});

test('a coupon that is used up ends the order before any charge, by its code, and everything is given back first', () => {
  const o = limited()
    .answer(TOTAL, use(7))
    .answer(EACH, USED_UP)
    .answer('hold OWN', HELD(2))
    .answer('hold CARTS', HELD(1));
  assert.deepEqual(o.state.failure, { code: 'coupon_not_applicable', skus: [], declineCode: null, coupons: ['BOTH'] });
  assert.equal(o.state.payment.state, 'none');
  assert.deepEqual(o.pending()['use_undo BOTH'], { kind: 'release', orderId: 'ord_1', serial: 7 });
  // What was refused is released too: it bars the message that may come again.
  assert.deepEqual(o.pending()['use_undo BOTH|me'], { kind: 'release', orderId: 'ord_1', serial: null });
  o.answer('undo OWN', DONE).answer('use_undo BOTH', DONE).answer('undo CARTS', RETURNED);
  assert.equal(o.state.phase, 'failing');
  o.answer('use_undo BOTH|me', DONE);
  const { result } = o.pending() as { result: { result: { code: string; coupons: string[] } } };
  assert.deepEqual([result.result.code, result.result.coupons], ['coupon_not_applicable', ['BOTH']]);
});

test('where stock is short as well, that is what the buyer hears, and both are named', () => {
  const o = limited()
    .answer('hold OWN', SHORT)
    .answer('hold CARTS', HELD(1))
    .answer(TOTAL, USED_UP)
    .answer(EACH, use(0));
  assert.deepEqual(o.failure, ['out_of_stock', ['OWN']]);
  assert.deepEqual(o.state.failure?.coupons, ['BOTH']);
});

test('a declined card, a give-up and a cancel each give the uses back', () => {
  const held = () =>
    limited().answer('hold OWN', HELD(2)).answer('hold CARTS', HELD(1)).answer(TOTAL, use(7)).answer(EACH, use(0));
  const declined = held().answer('authorise', { ok: false, code: 'declined' });
  assert.ok(declined.waiting.includes('use_undo BOTH') && declined.waiting.includes('use_undo BOTH|me'));
  const late = held();
  late.world.pass(60_000);
  assert.ok(late.waiting.includes('use_undo BOTH'));
  const cancelled = held().answer('authorise', AUTHORISED).answer('confirm OWN', DONE).answer('confirm CARTS', DONE);
  cancelled.answer('use_confirm BOTH', DONE).answer('use_confirm BOTH|me', DONE);
  cancelled.call({ kind: 'cancel' });
  assert.deepEqual(cancelled.pending()['use_undo BOTH'], { kind: 'release', orderId: 'ord_1', serial: 7 });
});

test('a limit per customer is refused to an order that names no customer', () => {
  const o = new Order().answer('price', quote(500, LIMITS));
  assert.deepEqual(o.failure, ['coupon_not_applicable', []]);
  assert.deepEqual(o.state.failure?.coupons, ['BOTH']);
  assert.deepEqual(o.waiting, ['result'], 'nothing was held');
});

test('a gift’s line is held as the buyer’s own, and one that is out of stock ends the order by its sku and promotion', () => {
  const o = new Order().answer('price', quote(500, GIFT));
  const gift = o.pending()['hold MUG'] as { quantity: number; ttlMs: null };
  assert.deepEqual([gift.quantity, gift.ttlMs], [1, null]);
  o.answer('hold OWN', HELD(2)).answer('hold CARTS', HELD(1)).answer('hold MUG', SHORT);
  assert.deepEqual(o.failure, ['out_of_stock', ['MUG']]);
  assert.deepEqual(o.state.failure?.gifts, ['mug']);
  const all = new Order().answer('price', quote(500, GIFT)).answer('hold OWN', HELD(2)).answer('hold CARTS', HELD(1));
  all
    .answer('hold MUG', HELD(1))
    .answer('authorise', AUTHORISED)
    .answer('confirm OWN', DONE)
    .answer('confirm CARTS', DONE);
  all.answer('confirm MUG', DONE);
  const reply = all.ask({ kind: 'get' });
  assert(reply.ok && reply.kind === 'order');
  assert.deepEqual(shown(reply), ['confirmed', 'authorized']);
  assert.deepEqual(
    reply.order.lines.map(({ sku }) => sku),
    ['OWN', 'CARTS', 'MUG'],
  );
});

const context = (version: number) => ({
  now: 5,
  seq: 1,
  key: undefined,
  version,
  newId: (prefix: string) => `${prefix}_1`,
});

test('while members of an earlier release live, limited coupons and gifts are refused, and all else is written as they read it', () => {
  const type = createOrder();
  const begin = start({ customer: 'me', coupons: ['BOTH'] });
  const [started] = type.decide(type.initial('ord_1'), begin, context(1)).events ?? [];
  assert(started !== undefined);
  const before = type.downgrade?.(started, 1) as Extract<OrderEvent, { kind: 'started' }>;
  assert.deepEqual(before.start, start({ coupons: ['BOTH'] }));
  const state = type.apply(type.initial('ord_1'), started, 1, 1);
  const priced = (more: Partial<Quote>) => {
    return (
      type.decide(state, { kind: '$outcome', effectId: 'price', outcome: quote(500, more) }, context(1)).events ?? []
    );
  };
  const codes = (events: readonly OrderEvent[]) =>
    events.flatMap((e) => (e.kind === 'failing' ? [e.failure.code] : []));
  assert.deepEqual(codes(priced(LIMITS)), ['coupon_not_applicable']);
  assert.deepEqual(codes(priced(GIFT)), ['out_of_stock']);
  const [plain] = priced({});
  assert(plain?.kind === 'priced');
  assert.equal(type.downgrade?.(plain, 1), plain);
  for (const kind of ['use_held', 'use_refused', 'use_confirmed', 'use_undone'] as const) {
    assert.equal(type.downgrade?.({ kind, at: 1, use: 0, serial: 0 }, 1), null);
  }
});

test('journals and snapshots of the earlier release are read as before: no uses, nobody counted', () => {
  const type = createOrder();
  const events: OrderEvent[] = [
    { kind: 'started', at: 1, start: start(), holdIds: ['h1', 'h2'], giveUpAt: 9 },
    { kind: 'priced', at: 2, quote: quote(500) },
  ];
  const state = events.reduce<OrderState>((old, event, i) => type.apply(old, event, 1, i + 1), type.initial(REF.id));
  const { uses: _unknown, ...saved } = throughMsgpack(type.snapshot(state)) as OrderState;
  const restored = type.restore(REF.id, saved);
  assert.deepEqual(restored.uses, []);
  assert.deepEqual(type.pending?.(restored), type.pending?.(state));
});
