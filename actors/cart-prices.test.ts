/** What a cart keeps of prices: those that its holds lock, and what pricing is told besides its contents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LockedPrice, PriceRequest } from '../workers/quote.ts';
import { type CartCommand, type CartEvent, type CartReply, type CartState, cart, type ProductTerms } from './cart.ts';
import { createOrder } from './order.ts';
import { sku } from './sku.ts';
import { throughMsgpack, World } from './test-world.ts';

const REF = { type: 'cart', id: 'cart_1' };
const TTL = 900_000;
const own = (unitPrice: number): LockedPrice => ({ unitPrice, list: null });
const tier = (unitPrice: number, from: number): LockedPrice => ({ unitPrice, list: 'bulk', tier: from });

class Cart {
  readonly world = new World(1, [cart, sku, createOrder()]);

  constructor(create: Partial<Extract<CartCommand, { kind: 'create' }>> = {}) {
    this.world.ask({ type: 'sku', id: 'SCARCE' }, { kind: 'adjust', delta: 50, reason: 'delivery' });
    this.ask({ kind: 'create', currency: 'EUR', destination: null, ...create });
  }

  /** Asks, and lets the skus answer. */
  ask(command: CartCommand): CartReply {
    const key = command.kind === 'checkout' ? { hash: 'key', fingerprint: 'f' } : undefined;
    const caller = this.world.ask(REF, command, key);
    this.world.rest();
    return caller.reply as CartReply;
  }

  add(quantity: number, price?: LockedPrice, prices?: ProductTerms['prices']): void {
    const product = { sku: 'SCARCE', maxPerOrder: null, holdAt: 'cart', holdTtlMs: TTL, currencies: ['EUR'] } as const;
    const terms = prices === undefined ? product : { ...product, prices };
    this.ask({ kind: 'add_line', product: terms, quantity, ...(price === undefined ? {} : { price }) });
  }

  set(quantity: number, price?: LockedPrice): void {
    this.ask({ kind: 'set_quantity', line: 'SCARCE', quantity, ...(price === undefined ? {} : { price }) });
  }

  get state(): CartState {
    return this.world.actor(REF).state as CartState;
  }

  /** What pricing would be told of the line. */
  get locked(): LockedPrice | undefined {
    const reply = this.ask({ kind: 'glance' });
    assert(reply.ok && reply.kind === 'glance');
    return reply.cart.lines[0]?.locked;
  }
}

const request = (more: object = {}) => ({
  contact: { subject: 's', bytes: new Uint8Array([1]) },
  destination: { country: 'DE' },
  expectedTotal: { amount: 500, currency: 'EUR' },
  paymentToken: 'tok_ok',
  ...more,
});

test('a hold locks the price in the currency of its cart, or the one that its caller was told', () => {
  const plain = new Cart();
  plain.add(1, undefined, { EUR: own(900), USD: own(1_000) });
  assert.deepEqual(plain.locked, own(900));
  const told = new Cart();
  told.add(1, tier(800, 1), { EUR: own(900) });
  assert.deepEqual(told.locked, tier(800, 1));
  const unknown = new Cart();
  unknown.add(1);
  assert.equal(unknown.locked, undefined);
});

test('more units join at the price that is locked, unless so many are cheaper by now', () => {
  const c = new Cart();
  c.add(1, own(900));
  c.add(1, own(950));
  assert.deepEqual(c.locked, own(900), 'dearer');
  c.set(5);
  assert.deepEqual(c.locked, own(900), 'nothing known');
  c.set(10, tier(700, 10));
  assert.deepEqual(c.locked, tier(700, 10), 'cheaper');
  assert.deepEqual(c.state.lines[0]?.quantity, 10);
});

test('a price for many units is not kept for fewer', () => {
  const c = new Cart();
  c.add(12, tier(700, 10));
  c.set(10);
  assert.deepEqual(c.locked, tier(700, 10));
  c.set(9);
  assert.equal(c.locked, undefined);
  c.set(11, tier(720, 10));
  assert.deepEqual(c.locked, tier(720, 10));
});

test('the price ends with its hold, at the very millisecond, and a new hold has the price of its time', () => {
  const c = new Cart();
  c.add(1, own(900));
  c.world.now += TTL - 1;
  assert.deepEqual(c.locked, own(900));
  c.world.now += 1;
  assert.equal(c.locked, undefined);
  c.add(1, own(990));
  assert.deepEqual(c.locked, own(990));
});

test('a refused hold changes neither the line nor its price', () => {
  const c = new Cart();
  c.add(1, own(900));
  c.add(60, own(100));
  assert.deepEqual([c.locked, c.state.lines[0]?.quantity], [own(900), 1]);
});

test('an order prices what the cart locked, for whom the cart is, as of its start, however late it asks', () => {
  const c = new Cart({ facts: { customerGroup: 'vip' } });
  c.add(2, own(900));
  c.world.ask(REF, { kind: 'checkout', request: request() }, { hash: 'key', fingerprint: 'f' });
  const start = c.world.pendingOf(c.world.actor(REF)).find(({ id }) => id.startsWith('start:'));
  assert(start?.kind === 'send');
  const at = c.world.now;
  c.world.ask(start.to, start.command);
  c.world.now += 60_000;
  const [effect] = c.world.pendingOf(c.world.actor(start.to));
  assert(effect?.kind === 'call');
  const { lines, ...rest } = effect.input as PriceRequest;
  assert.deepEqual(
    lines.map(({ id: _any, ...line }) => line),
    [{ sku: 'SCARCE', quantity: 2, locked: own(900) }],
  );
  const facts = { currency: 'EUR', destination: { country: 'DE' }, coupons: [], shippingMethod: null };
  assert.deepEqual(rest, { ...facts, at, channel: 'web', customerGroup: 'vip' });
});

test('a gift that a checkout found out of stock is not offered again until the cart is changed', () => {
  const c = new Cart({ facts: { channel: 'pos' } });
  c.add(2);
  const fail = (gifts?: readonly string[]) => {
    c.world.ask(REF, { kind: 'checkout', request: request() }, { hash: 'key', fingerprint: 'f' });
    const result = { outcome: 'failed', code: 'out_of_stock', skus: ['MUG'], returned: [], ...(gifts && { gifts }) };
    c.world.ask(REF, { kind: 'checkout_result', orderId: c.state.checkout?.orderId, result });
  };
  fail(['mug']);
  fail(['cap', 'mug']);
  assert.deepEqual(c.state.facts, { channel: 'pos', withoutGifts: ['mug', 'cap'] });
  fail();
  assert.deepEqual(c.state.facts, { channel: 'pos', withoutGifts: ['mug', 'cap'] });
  c.ask({ kind: 'set_destination', destination: { country: 'FR' } });
  assert.deepEqual(c.state.facts, { channel: 'pos', withoutGifts: ['mug', 'cap'] });
  c.set(1);
  assert.deepEqual(c.state.facts, { channel: 'pos' });
  const nobodys = new Cart();
  nobodys.add(1);
  assert.equal(nobodys.state.facts, null);
});

test('what version 2 says more is left out in version 1, and the cart goes on without it', () => {
  const c = new Cart({ facts: { customerGroup: 'vip' } });
  c.add(2, own(900));
  c.world.ask(REF, { kind: 'checkout', request: request({ customer: 'me' }) }, { hash: 'key', fingerprint: 'f' });
  const gone = { outcome: 'failed', code: 'out_of_stock', returned: [], gifts: ['mug'] };
  c.world.ask(REF, { kind: 'checkout_result', orderId: c.state.checkout?.orderId, result: gone });
  const events = c.world.eventsOf(c.world.actor(REF)) as CartEvent[];
  const before = events.map((event) => cart.downgrade?.(event, 1) as CartEvent);
  const text = JSON.stringify(before);
  for (const word of ['customerGroup', 'facts', '"price"', 'locked', 'customer', 'goneGifts']) {
    assert.ok(!text.includes(word) && JSON.stringify(events).includes(word), word);
  }
  const state = before.reduce<CartState>((old, event, i) => cart.apply(old, event, 1, i + 1), cart.initial(REF.id));
  assert.deepEqual(
    [state.status, state.facts, state.lines.map(({ quantity, hold }) => [quantity, hold?.locked])],
    ['open', null, [[2, undefined]]],
  );
  const { facts: _unknown, ...saved } = throughMsgpack(cart.snapshot(state)) as CartState;
  assert.deepEqual(cart.restore(REF.id, saved), state);
});
