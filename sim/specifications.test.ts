/** What each kind of actor may and may not have answered, and how attempts become operations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallRecord, Outcome } from './history.ts';
import { checkLinearizable, type Specification } from './linearizability.ts';
import type { Answer } from './shop.ts';
import { cartSpecification, operationsOf, orderSpecification, skuSpecification } from './specifications.ts';

let order = 0;
/** A call that begins after all before it have ended. */
function call(command: object, outcome: Outcome, intent = `i${order}`): CallRecord {
  const start = ++order;
  const ended = outcome.kind === 'lost' ? null : ++order;
  return {
    number: start,
    client: 'c',
    node: 'n',
    ref: { type: 'cart', id: 'c' },
    command: command as CallRecord['command'],
    key: null,
    intent,
    startedAt: start,
    start,
    endedAt: start,
    end: ended,
    outcome,
    abandoned: false,
  };
}

const reply = (value: unknown): Outcome => ({ kind: 'reply', value });
const LOST: Outcome = { kind: 'lost' };
const cartWith = (...lines: [string, number][]): Outcome =>
  reply({ kind: 'cart', status: 'open', version: 1, lines, coupons: [], replayed: false });
const refused = (code: string): Outcome =>
  reply({ kind: 'refused', code, skus: [], recorded: false, replayed: false } satisfies Answer);
const create = { kind: 'create', currency: 'EUR', destination: null };
const add = (sku: string, quantity: number) => ({ kind: 'add_line', product: { sku }, quantity });

function explains<State, Input, Output>(
  specification: Specification<State, Input, Output>,
  ...calls: CallRecord[]
): boolean {
  return checkLinearizable(specification, operationsOf<Input, Output>(calls)).ok === true;
}

test('a cart shows what was put into it, in order, and nothing else', () => {
  const start = call(create, cartWith());
  const added = call(add('MUG', 2), cartWith(['MUG', 2]));
  assert.ok(explains(cartSpecification, start, added, call(add('PIN', 1), cartWith(['MUG', 2], ['PIN', 1]))));
  assert.ok(!explains(cartSpecification, start, added, call(add('PIN', 1), cartWith(['PIN', 1]))));
  assert.ok(!explains(cartSpecification, start, added, call({ kind: 'get' }, cartWith())));
});

test('an add that nobody answered may have been done once, or not, but not twice', () => {
  const start = call(create, cartWith());
  const lost = call(add('MUG', 2), LOST);
  for (const lines of [[], [['MUG', 2]]] as [string, number][][]) {
    assert.ok(explains(cartSpecification, start, lost, call({ kind: 'get' }, cartWith(...lines))));
  }
  assert.ok(!explains(cartSpecification, start, lost, call({ kind: 'get' }, cartWith(['MUG', 4]))));
});

test('attempts under one key are one operation, whichever of them was answered', () => {
  const start = call(create, cartWith());
  const attempts = [call(add('MUG', 2), LOST, 'one'), call(add('MUG', 2), cartWith(['MUG', 2]), 'one')];
  assert.ok(explains(cartSpecification, start, ...attempts, call({ kind: 'get' }, cartWith(['MUG', 2]))));
  assert.ok(!explains(cartSpecification, start, ...attempts, call({ kind: 'get' }, cartWith(['MUG', 4]))));
});

test('a fault that says that nothing was done is held to it', () => {
  const start = call(create, cartWith());
  const overloaded = call(add('MUG', 2), { kind: 'fault', code: 'overloaded' });
  assert.ok(explains(cartSpecification, start, overloaded, call({ kind: 'get' }, cartWith())));
  assert.ok(!explains(cartSpecification, start, overloaded, call({ kind: 'get' }, cartWith(['MUG', 2]))));
});

test('a cart that was checked out takes no more, and one that was not is not refused for it', () => {
  const filled = [call(create, cartWith()), call(add('MUG', 2), cartWith(['MUG', 2]))];
  const paid = call({ kind: 'checkout' }, reply({ kind: 'order', order: { id: 'o' }, replayed: false }));
  assert.ok(explains(cartSpecification, ...filled, paid, call(add('PIN', 1), refused('cart_checked_out'))));
  assert.ok(!explains(cartSpecification, ...filled, paid, call(add('PIN', 1), cartWith(['MUG', 2], ['PIN', 1]))));
  assert.ok(!explains(cartSpecification, ...filled, call(add('PIN', 1), refused('cart_checked_out'))));
});

test('a sku adds what it was told to and ships a hold once', () => {
  const level = (onHand: number): Outcome => reply({ ok: true, kind: 'stock', stock: { onHand } });
  const done = reply({ ok: true, kind: 'done' });
  const ship = { kind: 'ship', holdId: 'h', owner: 'o', quantity: 2 };
  const begun = [call({ kind: 'adjust', delta: 5 }, level(5)), call(ship, done), call(ship, done)];
  assert.ok(explains(skuSpecification, ...begun, call({ kind: 'get' }, level(3))));
  assert.ok(!explains(skuSpecification, ...begun, call({ kind: 'get' }, level(1))));
  assert.ok(!explains(skuSpecification, ...begun, call({ kind: 'get' }, level(5))));
});

test('an order goes forward only, and is cancelled by nobody but a caller', () => {
  const shows = (state: string): Outcome => reply({ kind: 'order', order: { state }, replayed: false });
  const get = { kind: 'get' };
  const cancel = { kind: 'cancel' };
  assert.ok(explains(orderSpecification, call(get, shows('pending')), call(get, shows('confirmed'))));
  assert.ok(!explains(orderSpecification, call(get, shows('confirmed')), call(get, shows('pending'))));
  assert.ok(!explains(orderSpecification, call(get, shows('confirmed')), call(get, shows('cancelled'))));
  assert.ok(explains(orderSpecification, call(cancel, LOST), call(get, shows('cancelled'))));
  assert.ok(!explains(orderSpecification, call(cancel, shows('cancelled')), call(get, shows('confirmed'))));
  assert.ok(!explains(orderSpecification, call(get, shows('failed')), call(cancel, shows('cancelled'))));
});
