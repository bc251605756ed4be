/** A cart whose buyer owes no taxes: who is told of it, and what members of earlier releases are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PriceRequest, TaxExemption } from '../workers/quote.ts';
import { type CartCommand, type CartEvent, type CartReply, type CartState, cart } from './cart.ts';
import { createOrder, type OrderEvent } from './order.ts';
import { sku } from './sku.ts';
import { throughMsgpack, World } from './test-world.ts';

const REF = { type: 'cart', id: 'cart_1' };
const KEY = { hash: 'key', fingerprint: 'f' };
const FRENCH: TaxExemption = { kind: 'reverse_charge', id: { subject: 'cart_1', sealed: 'AbC-_' }, countries: ['DE'] };
const TEXAN: TaxExemption = { kind: 'exempt', id: { subject: 'cart_1', sealed: 'XyZ' } };
const CHECKOUT: CartCommand = {
  kind: 'checkout',
  request: {
    contact: { subject: 'cart_1', bytes: new Uint8Array([1]) },
    destination: { country: 'DE' },
    expectedTotal: { amount: 500, currency: 'EUR' },
    paymentToken: 'tok_ok',
  },
};

class Cart {
  readonly world = new World(1, [cart, sku, createOrder()]);

  constructor(facts?: CartState['facts']) {
    this.ask({ kind: 'create', currency: 'EUR', destination: null, ...(facts ? { facts } : {}) });
    const product = { sku: 'MUG', maxPerOrder: null, holdAt: 'checkout', holdTtlMs: 1, currencies: ['EUR'] } as const;
    this.ask({ kind: 'add_line', product, quantity: 1 });
  }

  ask(command: CartCommand): CartReply {
    const caller = this.world.ask(REF, command, command.kind === 'checkout' ? KEY : undefined);
    return caller.reply as CartReply;
  }

  set(exemption: TaxExemption | null, ifMatch?: number): CartReply {
    return this.ask({ kind: 'set_exemption', exemption, ifMatch });
  }

  get state(): CartState {
    return this.world.actor(REF).state as CartState;
  }
  get seq(): number {
    return this.world.actor(REF).seq;
  }
  get events(): CartEvent[] {
    return this.world.eventsOf(this.world.actor(REF)) as CartEvent[];
  }
}

test('an exemption is kept from the beginning, or set and taken away, and leaves what else is known of the buyer', () => {
  const c = new Cart({ customerGroup: 'trade', exemption: FRENCH });
  assert.deepEqual(c.state.facts, { customerGroup: 'trade', exemption: FRENCH });
  assert.deepEqual(c.set(TEXAN), { ok: true, kind: 'cart' });
  assert.deepEqual(c.state.facts, { customerGroup: 'trade', exemption: TEXAN });
  c.set(null);
  assert.deepEqual(c.state.facts, { customerGroup: 'trade' });
  const plain = new Cart();
  plain.set(FRENCH);
  assert.deepEqual(plain.state.facts, { exemption: FRENCH });
  assert.deepEqual(throughMsgpack(cart.snapshot(plain.state)), plain.state);
  plain.set(null);
  assert.equal(plain.state.facts, null);
});

test('the same exemption again, or none where there is none, writes nothing; each part of it makes it another', () => {
  const c = new Cart();
  c.set(null);
  const before = c.seq;
  c.set(FRENCH);
  c.set({ ...FRENCH });
  assert.equal(c.seq, before + 1);
  for (const change of [
    { kind: 'exempt' },
    { id: TEXAN.id },
    { countries: ['AT'] },
    { countries: undefined },
  ] as const) {
    const next = { ...(c.state.facts?.exemption as TaxExemption), ...change } as TaxExemption;
    const seq = c.seq;
    c.set(next);
    assert.equal(c.seq, seq + 1, JSON.stringify(change));
  }
});

test('it is guarded by the version, is a change that a shopper sees, and comes too late once the cart is being checked out', () => {
  const c = new Cart();
  const seen = c.state.visibleSeq;
  assert.deepEqual(c.set(FRENCH, seen), { ok: true, kind: 'cart' });
  assert.equal(c.state.visibleSeq, seen + 1);
  const stale = c.set(null, seen);
  assert.deepEqual(stale, { ok: false, code: 'version_mismatch' });
  c.ask(CHECKOUT);
  const late = c.set(null);
  assert.ok(!late.ok && late.code === 'checkout_in_progress');
  assert.deepEqual(c.state.facts?.exemption, FRENCH);
  const nobodys = new World(1, [cart]).ask(REF, { kind: 'set_exemption', exemption: FRENCH });
  assert.deepEqual(nobodys.reply, { ok: false, code: 'not_found' });
});

test('its order is priced with it, however late the order asks', () => {
  const c = new Cart();
  c.set(FRENCH);
  c.ask(CHECKOUT);
  const start = c.world.pendingOf(c.world.actor(REF)).find(({ id }) => id.startsWith('start:'));
  assert(start?.kind === 'send');
  c.world.ask(start.to, throughMsgpack(start.command));
  c.world.now += 60_000;
  const [effect] = c.world.pendingOf(c.world.actor(start.to));
  assert(effect?.kind === 'call');
  assert.deepEqual((effect.input as PriceRequest).exemption, FRENCH);
});

test('what is exempt waits until all members read it; all else is said to them as before', () => {
  const exempt = new Cart({ exemption: FRENCH });
  exempt.set(TEXAN);
  exempt.ask(CHECKOUT);
  const plain = new Cart({ customerGroup: 'trade' });
  plain.ask(CHECKOUT);
  for (const version of [1, 2]) {
    const told = (events: readonly CartEvent[]) =>
      events.flatMap((event) => (cart.downgrade?.(event, version) === null ? [event.kind] : []));
    assert.deepEqual(told(exempt.events), ['created', 'exemption_set', 'checkout_started']);
    assert.deepEqual(told(plain.events), []);
  }
  for (const event of plain.events) assert.equal(cart.downgrade?.(event, 2), event, 'version 2 knows groups');
  for (const event of exempt.events) assert.equal(cart.downgrade?.(event, 3), event, 'version 3 knows exemptions');
});

test('an order that is exempt waits likewise', () => {
  const type = createOrder();
  const started = (c: Cart): OrderEvent => {
    c.ask(CHECKOUT);
    const start = c.state.checkout?.start;
    assert(start);
    return { kind: 'started', at: 1, start, holdIds: ['hold_1'], giveUpAt: 2 };
  };
  const exempt = started(new Cart({ exemption: FRENCH }));
  const plain = started(new Cart({ customerGroup: 'trade' }));
  assert.deepEqual([type.downgrade?.(exempt, 1), type.downgrade?.(exempt, 2)], [null, null]);
  assert.equal(type.downgrade?.(plain, 2), plain);
  assert.ok(!JSON.stringify(type.downgrade?.(plain, 1)).includes('trade'));
});
