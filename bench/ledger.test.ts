import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { type CartRecord, Ledger } from './ledger.ts';
import type { Answer } from './shop-process.ts';

const TOTAL = { amount: 0, currency: 'USD' };
let ledger: Ledger;
let cart: CartRecord;

beforeEach(() => {
  ledger = new Ledger();
  const body = { token: 't', cart: { id: 'cart_1', version: 1, totals: { total: TOTAL } } };
  cart = ledger.opened({ status: 201, headers: {}, body, text: '' });
});

function shows(version: number, units: number, more: { state?: string; replayed?: true } = {}): Answer {
  const lines = units === 0 ? [] : [{ sku: 'a', quantity: units }];
  const body = { version, state: more.state ?? 'open', lines, totals: { total: TOTAL } };
  return { status: 200, headers: more.replayed ? { 'idempotency-replayed': 'true' } : {}, body, text: '' };
}

test('answers in order, with every acknowledged unit, are no violation', () => {
  ledger.adding(cart, 'a', 2).answered(shows(2, 2));
  ledger.reading(cart).answered(shows(2, 2));
  ledger.adding(cart, 'a', 1).answered(shows(4, 3));
  assert.deepEqual(ledger.violations, []);
  assert.equal(ledger.tally.unitsTold, 3);
});

test('a read that began after an acknowledged write and shows an older version is a stale read', () => {
  ledger.adding(cart, 'a', 1).answered(shows(2, 1));
  ledger.reading(cart).answered(shows(1, 1));
  assert.match(String(ledger.violations), /version 1, after 2/);
});

test('a read that began before the write may show the older version', () => {
  const read = ledger.reading(cart);
  ledger.adding(cart, 'a', 1).answered(shows(2, 1));
  read.answered(shows(1, 0));
  assert.deepEqual(ledger.violations, []);
});

test('an acknowledged unit that is not shown is lost, whatever the version says', () => {
  ledger.adding(cart, 'a', 2).answered(shows(2, 2));
  ledger.reading(cart).answered(shows(3, 1));
  assert.match(String(ledger.violations), /showed 1 units of a, after 2/);
});

test('a unit beyond those asked for is a double', () => {
  ledger.adding(cart, 'a', 1).answered(shows(2, 1));
  ledger.reading(cart).answered(shows(3, 2));
  assert.match(String(ledger.violations), /at most 1 were asked for/);
});

test('what broke off may be there or not', () => {
  ledger.adding(cart, 'a', 1).brokeOff();
  ledger.reading(cart).answered(shows(1, 0));
  ledger.reading(cart).answered(shows(2, 1));
  assert.deepEqual(ledger.violations, []);
  assert.equal(ledger.tally.unitsOpen, 1);
});

test('what was refused may not be there', () => {
  ledger.adding(cart, 'a', 1).refused();
  ledger.reading(cart).answered(shows(2, 1));
  assert.match(String(ledger.violations), /at most 0/);
});

test('two acknowledged writes of one version are two truths', () => {
  ledger.adding(cart, 'a', 1).answered(shows(2, 1));
  ledger.adding(cart, 'a', 1).answered(shows(2, 2));
  assert.match(String(ledger.violations), /at version 2, after 2/);
});

test('a replayed answer may show what another saw meanwhile, but nothing from before its own call', () => {
  const add = ledger.adding(cart, 'a', 1);
  ledger.reading(cart).answered(shows(3, 1));
  add.answered(shows(2, 1, { replayed: true }));
  assert.deepEqual(ledger.violations, []);
  ledger.adding(cart, 'a', 1).answered(shows(2, 2, { replayed: true }));
  assert.match(String(ledger.violations), /at version 2, after 2/);
});

test('a cart that was checked out and is open again is a violation, and so is an order that comes back', () => {
  const order = { id: 'ord_1', status: 201, payWith: 'tok_ok', version: 5, cancelled: true };
  ledger.checkedOut(cart, order);
  ledger.reading(cart).answered(shows(7, 0));
  ledger.readingOrder(order)({
    status: 200,
    headers: {},
    body: { id: 'ord_1', version: 6, state: 'confirmed' },
    text: '',
  });
  assert.match(String(ledger.violations), /is open.*is confirmed/);
});

test('a cart may hear of its order later than who looks at the order, but does not forget it', () => {
  const order = { id: 'ord_1', status: 201, payWith: 'tok_ok', version: 5, cancelled: false };
  const shown = (version: number, state: string) => shows(version, 0, { state });
  ledger.checkedOut(cart, order, 'order');
  ledger.reading(cart).answered(shown(7, 'checking_out'));
  ledger.reading(cart).answered(shown(8, 'checked_out'));
  assert.deepEqual(ledger.violations, []);
  ledger.reading(cart).answered(shown(8, 'checking_out'));
  assert.match(String(ledger.violations), /is checking_out/);
  ledger.reading(cart).answered(shown(9, 'open'));
  assert.match(String(ledger.violations), /is open/);
});
