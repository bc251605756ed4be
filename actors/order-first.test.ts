/** A customer's first order: asked for before it is priced, claimed before it is charged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOrder } from './order.ts';
import { HELD, Order, quote, start } from './order-fixture.ts';

const usage = (held: number, used: number) => ({
  ok: true,
  kind: 'usage',
  usage: { id: '|me', held, used, version: 1 },
});
const asked = (more: object = {}) => new Order({ customer: 'me', firstOrder: true, ...more });

test('the count of the customer’s orders is asked for before the price, and told to pricing only where it is none', () => {
  const o = asked();
  assert.deepEqual(o.pending(), { first_order: { kind: 'get' } });
  o.answer('first_order', usage(0, 0));
  assert.deepEqual((o.pending().price as { firstOrder: boolean }).firstOrder, true);
  for (const [held, used] of [
    [1, 0],
    [0, 3],
  ] as const) {
    const other = asked().answer('first_order', usage(held, used));
    assert.ok(!('firstOrder' in (other.pending().price as object)));
  }
  assert.deepEqual(new Order({ customer: 'me' }).waiting, ['price'], 'where the store has no such promotion');
  assert.deepEqual(new Order({ firstOrder: true }).waiting, ['price'], 'where nobody is known');
});

test('an order that was priced as the first holds the one place there is; any other is only counted', () => {
  const first = asked()
    .answer('first_order', usage(0, 0))
    .answer('price', quote(500, { firstOrder: true }));
  assert.equal((first.pending()['use_hold |me'] as { limit: number }).limit, 1);
  const second = asked().answer('first_order', usage(0, 1)).answer('price', quote(500));
  assert.equal((second.pending()['use_hold |me'] as { limit: null }).limit, null);
});

test('where another order came first meanwhile, the price has changed', () => {
  const o = asked()
    .answer('first_order', usage(0, 0))
    .answer('price', quote(500, { firstOrder: true }));
  o.answer('hold OWN', HELD(2)).answer('hold CARTS', HELD(1)).answer('use_hold |me', { ok: false, code: 'used_up' });
  assert.deepEqual(o.failure, ['price_changed', []]);
  assert.deepEqual([o.state.failure?.coupons, o.state.failure?.firstOrder], [undefined, undefined]);
});

test('a buyer who expected another total is told that it was priced as the first', () => {
  const o = asked()
    .answer('first_order', usage(0, 0))
    .answer('price', quote(450, { firstOrder: true }));
  const { result } = o.pending() as { result: { result: { code: string; firstOrder: boolean } } };
  assert.deepEqual([result.result.code, result.result.firstOrder], ['price_changed', true]);
});

test('while members of an earlier release live nobody is counted', () => {
  const type = createOrder();
  const context = { now: 5, seq: 0, key: undefined, version: 1, newId: (prefix: string) => `${prefix}_1` };
  const begin = start({ customer: 'me', firstOrder: true });
  const [started] = type.decide(type.initial('ord_1'), begin, context).events ?? [];
  assert(started !== undefined);
  const state = type.apply(type.initial('ord_1'), type.downgrade?.(started, 1) as never, 1, 1);
  assert.deepEqual(
    type.pending?.(state).map(({ id }) => id),
    ['price'],
  );
  assert.equal(type.downgrade?.({ kind: 'first_order_told', at: 1, first: true }, 1), null);
});
