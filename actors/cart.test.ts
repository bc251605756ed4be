import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KeyRef } from '../runtime/actor.ts';
import { bytesKept } from '../runtime/fixture-heap.ts';
import { type CartCommand, type CartReply, type CartState, cart, type ProductTerms } from './cart.ts';
import { COUPONS_MAX, HOLD_GIVE_UP_MS, LINES_MAX } from './cart-lines.ts';
import { CART_LIFETIME_MS, EXPIRED_SHOWN_MS } from './cart-state.ts';
import type { SkuReply } from './sku.ts';
import { sku } from './sku.ts';
import { type Caller, throughMsgpack, World } from './test-world.ts';

const REF = { type: 'cart', id: 'cart_1' };
const SCARCE = { type: 'sku', id: 'SCARCE' };
const TTL = 900_000;
const OK: CartReply = { ok: true, kind: 'cart' };

function product(name: string, more: Partial<ProductTerms> = {}): ProductTerms {
  return { sku: name, maxPerOrder: null, holdAt: 'checkout', holdTtlMs: TTL, currencies: ['EUR'], ...more };
}
const scarce = product('SCARCE', { holdAt: 'cart' });

function add(terms: ProductTerms, quantity: number): CartCommand {
  return { kind: 'add_line', product: terms, quantity };
}

class Cart {
  readonly world = new World(1, [cart, sku]);

  /** @param atHand how likely it is that the sku can be asked within a decision of the cart */
  constructor(stock = 10, atHand = 0) {
    this.world.atHand = atHand;
    this.world.ask(SCARCE, { kind: 'adjust', delta: stock, reason: 'delivery' });
    this.ask({ kind: 'create', currency: 'EUR', destination: null });
  }

  get state(): CartState {
    return this.world.actor(REF).state as CartState;
  }

  get seq(): number {
    return this.world.actor(REF).seq;
  }

  get lines(): [string, number][] {
    return this.state.lines.map((line) => [line.sku, line.quantity]);
  }

  pending(): string[] {
    return this.world.pendingOf(this.world.actor(REF)).map((effect) => effect.id.replace(/:.*/, ''));
  }

  call(command: CartCommand, key?: KeyRef): Caller {
    return this.world.ask(REF, command, key);
  }

  ask(command: CartCommand, key?: KeyRef): CartReply {
    return this.call(command, key).reply as CartReply;
  }

  code(command: CartCommand, key?: KeyRef): string {
    const reply = this.ask(command, key);
    return reply.ok ? 'ok' : reply.code;
  }

  /** Asks, and lets the skus answer. */
  settled(command: CartCommand, key?: KeyRef): CartReply {
    const caller = this.call(command, key);
    this.world.rest();
    return caller.reply as CartReply;
  }

  stock(): [available: number, held: number] {
    const reply = this.world.ask(SCARCE, { kind: 'get' }).reply as SkuReply;
    assert(reply.ok && reply.kind === 'stock');
    return [reply.stock.available, reply.stock.held];
  }
}

function checkout(): CartCommand {
  return {
    kind: 'checkout',
    request: {
      contact: { subject: 'subject-1', bytes: new Uint8Array([7, 7, 7]) },
      destination: { country: 'DE', postalCode: '10115' },
      expectedTotal: { amount: 500, currency: 'EUR' },
      paymentToken: 'tok_ok',
    },
  };
}
const KEY: KeyRef = { hash: 'key-1', fingerprint: 'f-1' };

test('a cart is made once, however often it is asked for, and none of its commands makes one', () => {
  const world = new World(1, [cart]);
  for (const command of [{ kind: 'get' }, { kind: 'glance' }, add(product('A'), 1), checkout()]) {
    assert.deepEqual(world.ask(REF, command, KEY).reply, { ok: false, code: 'not_found' });
  }
  const create = { kind: 'create', currency: 'EUR', destination: { country: 'DE' } };
  assert.deepEqual(world.ask(REF, create).reply, { ok: true, kind: 'cart', created: true });
  assert.deepEqual(world.ask(REF, create).reply, { ok: true, kind: 'cart', created: true });
  assert.equal(world.actor(REF).seq, 1);
});

test('quantities of one sku join on one line, up to the limit of an order', () => {
  const c = new Cart();
  c.ask(add(product('A'), 2));
  c.ask(add(product('B', { maxPerOrder: 3 }), 2));
  c.ask(add(product('A'), 3));
  assert.deepEqual(c.lines, [
    ['A', 5],
    ['B', 2],
  ]);
  assert.equal(c.code(add(product('B', { maxPerOrder: 3 }), 2)), 'limit_reached');
  assert.equal(c.code({ kind: 'set_quantity', line: 'B', quantity: 4 }), 'limit_reached');
  assert.equal(c.code(add(product('A'), 995)), 'limit_reached');
  assert.equal(c.code(add(product('C', { currencies: ['USD'] }), 1)), 'price_unavailable');
  assert.equal(c.code({ kind: 'set_quantity', line: 'Z', quantity: 1 }), 'line_unknown');
});

test('a cart holds a bounded number of lines and coupons', () => {
  const c = new Cart();
  for (let i = 0; i < LINES_MAX; i++) c.ask(add(product(`S${i}`), 1));
  assert.equal(c.code(add(product('one-more'), 1)), 'cart_full');
  assert.equal(c.code(add(product('S0'), 1)), 'ok');
  for (let i = 0; i < COUPONS_MAX; i++) c.ask({ kind: 'apply_coupon', code: `c${i}` });
  assert.equal(c.code({ kind: 'apply_coupon', code: 'c10' }), 'coupon_limit');
  assert.deepEqual(c.state.coupons.slice(0, 2), ['C0', 'C1']);
});

test('a command that changes nothing writes nothing', () => {
  const c = new Cart();
  c.ask(add(product('A'), 2));
  c.ask({ kind: 'apply_coupon', code: 'Save10' });
  c.ask({ kind: 'set_destination', destination: { country: 'US', region: 'TX' } });
  c.ask({ kind: 'set_shipping', method: 'express' });
  const { seq } = c;
  const idle: CartCommand[] = [
    { kind: 'get' },
    { kind: 'glance' },
    { kind: 'set_quantity', line: 'A', quantity: 2 },
    { kind: 'apply_coupon', code: 'sAVE10' },
    { kind: 'remove_coupon', code: 'other' },
    { kind: 'set_destination', destination: { country: 'US', region: 'TX' } },
    { kind: 'set_shipping', method: 'express' },
    { kind: 'hold_expired', holdId: 'hold_unknown' },
  ];
  for (const command of idle) assert.equal(c.code(command), 'ok', command.kind);
  assert.equal(c.seq, seq);
});

test('a glance shares nothing with the state', () => {
  const c = new Cart();
  c.ask(add(product('A'), 2));
  const reply = c.ask({ kind: 'glance' });
  assert(reply.ok && reply.kind === 'glance');
  const before = structuredClone(reply.cart);
  c.ask({ kind: 'set_quantity', line: 'A', quantity: 9 });
  c.ask({ kind: 'remove_line', line: 'A' });
  assert.deepEqual(reply.cart, before);
});

test('a version that the caller has seen is good until something visible changes', () => {
  const c = new Cart();
  c.settled(add(scarce, 3));
  assert.equal(c.code({ kind: 'set_quantity', line: 'SCARCE', quantity: 2, ifMatch: c.seq - 1 }), 'version_mismatch');
  assert.equal(c.code({ kind: 'set_quantity', line: 'SCARCE', quantity: 2, ifMatch: c.seq }), 'ok');
  const seen = c.seq;
  c.world.rest();
  assert(c.seq > seen, 'the sku did not answer');
  assert.equal(c.code({ kind: 'apply_coupon', code: 'x', ifMatch: seen }), 'ok');
  assert.equal(c.code({ kind: 'apply_coupon', code: 'y', ifMatch: seen }), 'version_mismatch');
  assert.equal(c.code({ kind: 'apply_coupon', code: 'y', ifMatch: c.seq + 1 }), 'version_mismatch');
});

test('the caller who adds a scarce sku waits until its units are held', () => {
  const c = new Cart();
  const caller = c.call(add(scarce, 4), KEY);
  assert.equal(caller.reply, undefined);
  assert.deepEqual(c.lines, [], 'the line was there before its hold');
  c.world.rest();
  assert.deepEqual(caller.reply, OK);
  assert.deepEqual(c.stock(), [6, 4]);
  assert.equal(c.state.lines[0]?.hold?.expiresAt, c.world.now + TTL);
  assert.deepEqual(c.pending(), []);
});

test('where the sku refuses, the caller hears it and the line stays as it was', () => {
  const c = new Cart(5);
  assert.deepEqual(c.settled(add(scarce, 6)), { ok: false, code: 'out_of_stock', skus: ['SCARCE'] });
  assert.deepEqual(c.lines, []);
  c.settled(add(scarce, 4));
  assert.deepEqual(c.settled(add(scarce, 2)), { ok: false, code: 'out_of_stock', skus: ['SCARCE'] });
  assert.deepEqual(c.lines, [['SCARCE', 4]]);
  assert.deepEqual(c.stock(), [1, 4]);
  assert.deepEqual(c.settled(add(scarce, 1)), OK);
  assert.deepEqual(c.stock(), [0, 5]);
});

test('a sku at hand is asked within the decision: one event, and the caller has the answer', () => {
  const c = new Cart(5, 1);
  const before = c.seq;
  assert.deepEqual(c.ask(add(scarce, 3)), OK);
  assert.equal(c.seq, before + 1);
  assert.deepEqual(c.lines, [['SCARCE', 3]]);
  assert.deepEqual(c.stock(), [2, 3]);
  assert.equal(c.state.lines[0]?.hold?.expiresAt, c.world.now + TTL);
  assert.deepEqual(c.pending(), []);
  assert.deepEqual(c.ask({ kind: 'add_line', product: scarce, quantity: 1, ifMatch: c.seq }), OK);
  assert.equal(c.seq, before + 2);
  assert.deepEqual(c.stock(), [1, 4]);
});

test('a sku at hand that refuses leaves the cart without an event, or a larger quantity with its rev spent', () => {
  const c = new Cart(5, 1);
  const before = c.seq;
  assert.deepEqual(c.ask(add(scarce, 6)), { ok: false, code: 'out_of_stock', skus: ['SCARCE'] });
  assert.equal(c.seq, before);
  c.ask(add(scarce, 4));
  assert.deepEqual(c.ask(add(scarce, 2)), { ok: false, code: 'out_of_stock', skus: ['SCARCE'] });
  assert.deepEqual(c.lines, [['SCARCE', 4]]);
  assert.deepEqual(c.stock(), [1, 4]);
  assert.equal(c.state.lines[0]?.hold?.rev, 2);
  assert.deepEqual(c.pending(), []);
  assert.deepEqual(c.ask(add(scarce, 1)), OK);
  assert.deepEqual(c.stock(), [0, 5]);
});

test('a sku is not asked within a decision with a key, while a smaller quantity is on its way, or below version 4', () => {
  const c = new Cart(9, 1);
  const consults = (key?: KeyRef, version = cart.eventVersion): boolean => {
    const context = { now: c.world.now, seq: c.seq, key, version, newId: (prefix: string) => `${prefix}_x` };
    return cart.decide(c.state, add(scarce, 1), context).consult !== undefined;
  };
  assert.equal(consults(), true);
  assert.equal(consults(KEY), false);
  assert.equal(consults(undefined, 3), false);
  assert.equal(
    cart.downgrade?.(
      { kind: 'hold_grown', at: 0, lineId: 'lin_1', rev: 2, quantity: 2, maxPerOrder: null, ttlMs: TTL },
      3,
    ),
    null,
  );
  c.ask(add(scarce, 3));
  assert.equal(consults(), true);
  c.ask({ kind: 'set_quantity', line: 'SCARCE', quantity: 2 });
  assert.equal(consults(), false);
  c.world.rest();
  assert.equal(consults(), true);
});

test('an answer that the cart did not ask for is taken the long way', () => {
  const c = new Cart(5, 1);
  c.ask(add(scarce, 2));
  const holdId = c.state.lines[0]?.hold?.id;
  c.world.ask(SCARCE, { kind: 'release', holdId, owner: REF.id });
  assert.deepEqual(c.settled(add(scarce, 1)), OK);
  assert.notEqual(c.state.lines[0]?.hold?.id, holdId);
  assert.deepEqual(c.stock(), [2, 3]);
});

test('while a hold is asked for, its own caller joins, another fingerprint is refused, and the rest waits', () => {
  const c = new Cart();
  const first = c.call(add(scarce, 1), KEY);
  const twin = c.call(add(scarce, 1), KEY);
  const edit = c.call(add(product('A'), 1));
  const order = c.call(checkout(), { hash: 'key-2', fingerprint: 'f-2' });
  assert.equal(c.code(add(scarce, 2), { ...KEY, fingerprint: 'f-other' }), 'idempotency_key_reused');
  assert.deepEqual([first.reply, twin.reply, edit.reply, order.reply], [undefined, undefined, undefined, undefined]);
  for (const effect of c.world.pendingOf(c.world.actor(REF))) c.world.issue(c.world.actor(REF), effect);
  while (c.seq < 3) c.world.arrive(c.world.flights.shift() ?? assert.fail('nothing is on its way'));
  assert.deepEqual([first.reply, twin.reply, edit.reply], [OK, OK, OK]);
  assert.deepEqual(c.lines, [
    ['SCARCE', 1],
    ['A', 1],
  ]);
  assert.equal(c.state.status, 'checking_out');
});

test('a smaller quantity gives the difference back and keeps the end of the hold; the caller need not wait', () => {
  const c = new Cart();
  c.settled(add(scarce, 5));
  const before = c.state.lines[0]?.hold?.expiresAt;
  c.world.now += 1_000;
  assert.deepEqual(c.ask({ kind: 'set_quantity', line: 'SCARCE', quantity: 2 }), OK);
  assert.equal(c.call(checkout(), KEY).reply, undefined);
  assert.equal(c.state.status, 'open', 'the checkout did not wait until the sku holds what the line says');
  const [effect] = c.world.pendingOf(c.world.actor(REF));
  assert(effect !== undefined);
  c.world.arrive({ kind: 'effect', from: REF, effect });
  assert.deepEqual(c.stock(), [8, 2]);
  c.world.arrive(c.world.flights.shift() ?? assert.fail('no answer'));
  assert.equal(c.state.status, 'checking_out');
  assert.equal(c.state.lines[0]?.hold?.expiresAt, before);
});

test('a sku that was taken out of the cart cannot be held again for one lifetime', () => {
  const c = new Cart();
  c.settled(add(scarce, 3));
  c.ask({ kind: 'set_quantity', line: 'SCARCE', quantity: 0 });
  c.world.rest();
  assert.deepEqual(c.stock(), [10, 0]);
  c.world.now += TTL - 1;
  assert.deepEqual(c.ask(add(scarce, 1)), { ok: false, code: 'hold_cooldown', retryAfterMs: 1 });
  c.world.now += 1;
  assert.deepEqual(c.settled(add(scarce, 1)), OK);
});

test('the cart hears of an expired hold, refuses to check out with it, and takes a new one at once', () => {
  const c = new Cart();
  c.settled(add(scarce, 3));
  const old = c.state.lines[0]?.hold?.id;
  c.world.pass(TTL);
  assert.deepEqual(c.ask(checkout(), KEY), { ok: false, code: 'hold_expired', checkout: true, skus: ['SCARCE'] });
  c.world.rest();
  assert.equal(c.state.lines[0]?.hold?.expired, true);
  assert.deepEqual(c.stock(), [10, 0]);
  assert.deepEqual(c.settled({ kind: 'set_quantity', line: 'SCARCE', quantity: 3 }), OK);
  assert.notEqual(c.state.lines[0]?.hold?.id, old);
  assert.deepEqual(c.stock(), [7, 3]);
});

test('a hold that the sku no longer knows is asked for once more under a new id', () => {
  const c = new Cart();
  c.settled(add(scarce, 2));
  const holdId = c.state.lines[0]?.hold?.id;
  c.world.ask(SCARCE, { kind: 'release', holdId, owner: REF.id });
  assert.deepEqual(c.settled(add(scarce, 1)), OK);
  assert.deepEqual(c.lines, [['SCARCE', 3]]);
  assert.notEqual(c.state.lines[0]?.hold?.id, holdId);
  assert.deepEqual(c.stock(), [7, 3]);
});

test('a sku that does not answer blocks the cart for a bounded time and holds nothing afterwards', () => {
  const c = new Cart();
  const actor = c.world.actor(REF);
  c.call(add(scarce, 2));
  const [late] = c.world.pendingOf(actor);
  assert(late !== undefined);
  c.world.pass(HOLD_GIVE_UP_MS);
  assert.deepEqual(c.pending(), ['release']);
  assert.equal(c.code(add(product('A'), 1)), 'ok');
  c.world.rest();
  c.world.arrive({ kind: 'effect', from: REF, effect: late });
  c.world.rest();
  assert.deepEqual(c.lines, [['A', 1]]);
  assert.deepEqual(c.stock(), [10, 0]);
});

test('a larger quantity that was given up is taken back, whether or not the sku granted it', () => {
  for (const arrives of [false, true]) {
    const c = new Cart();
    c.settled(add(scarce, 2));
    c.call(add(scarce, 3));
    const [grow] = c.world.pendingOf(c.world.actor(REF));
    assert(grow !== undefined);
    if (arrives) c.world.arrive({ kind: 'effect', from: REF, effect: grow });
    c.world.flights.length = 0;
    c.world.pass(HOLD_GIVE_UP_MS);
    c.world.rest();
    c.world.arrive({ kind: 'effect', from: REF, effect: grow });
    c.world.rest();
    assert.deepEqual(c.lines, [['SCARCE', 2]]);
    assert.deepEqual(c.stock(), [8, 2]);
  }
});

test('a larger quantity refused while a smaller one was on its way leaves the sku holding what the line says', () => {
  const c = new Cart();
  c.settled(add(scarce, 5));
  c.ask({ kind: 'set_quantity', line: 'SCARCE', quantity: 2 });
  const caller = c.call(add(scarce, 20));
  c.world.rest();
  assert.deepEqual(caller.reply, { ok: false, code: 'out_of_stock', skus: ['SCARCE'] });
  assert.deepEqual(c.lines, [['SCARCE', 2]]);
  assert.deepEqual(c.stock(), [8, 2]);
});

test('a cart that nobody touched for thirty days ends, gives its holds back, and is still shown for a week', () => {
  const c = new Cart();
  c.settled(add(product('SCARCE', { holdAt: 'cart', holdTtlMs: 2 * CART_LIFETIME_MS }), 4));
  c.world.pass(CART_LIFETIME_MS - 1);
  assert.equal(c.state.status, 'open');
  c.world.pass(1);
  c.world.rest();
  assert.equal(c.state.status, 'expired');
  assert.deepEqual(c.stock(), [10, 0]);
  assert.equal(c.code(add(product('A'), 1)), 'cart_closed');
  assert.equal(c.code(checkout(), KEY), 'cart_closed');
  c.world.pass(EXPIRED_SHOWN_MS - 1);
  assert.equal(c.code({ kind: 'get' }), 'ok');
  assert.equal(c.world.outbox.size, 0);
});

test('an expired cart asks once for its clean-up, a week later, and then for nothing any more', () => {
  const c = new Cart();
  const { visibleSeq } = c.state;
  c.world.pass(CART_LIFETIME_MS);
  c.world.pass(EXPIRED_SHOWN_MS);
  assert.deepEqual(
    [...c.world.outbox.values()],
    [{ id: 'cart-cleanup:cart_1', job: 'cart_cleanup', doc: { cartId: 'cart_1' } }],
  );
  assert.equal(c.state.visibleSeq, visibleSeq + 1, 'only the end itself is shown');
  assert.equal(cart.wakeAt?.(c.state), null);
  const { seq } = c;
  c.world.pass(EXPIRED_SHOWN_MS);
  assert.equal(c.seq, seq);
});

test('an expired cart whose holds are not given back yet is not cleaned up', () => {
  const expired: CartState = { ...new Cart().state, status: 'expired', cleanupAt: 1_000 };
  assert.equal(cart.wakeAt?.(expired), 1_000);
  assert.equal(cart.wakeAt?.({ ...expired, releases: [{ holdId: 'hold_1', sku: 'SCARCE' }] }), null);
});

test('a cart whose time is over is never changed, also where its timer has not come', () => {
  const c = new Cart();
  c.ask(add(product('A'), 1));
  c.world.now += CART_LIFETIME_MS;
  assert.equal(c.code(add(product('A'), 1)), 'cart_closed');
  assert.equal(c.state.status, 'expired');
});

test('a checkout freezes the cart for all but its own caller until the order has an outcome', () => {
  const c = new Cart();
  assert.deepEqual(c.ask(checkout(), KEY), { ok: false, code: 'cart_empty', checkout: true });
  c.ask(add(product('A'), 2));
  const caller = c.call(checkout(), KEY);
  const twin = c.call(checkout(), KEY);
  assert.equal(c.code(checkout(), { hash: 'key-2', fingerprint: 'f-2' }), 'checkout_in_progress');
  assert.equal(c.code(checkout(), { ...KEY, fingerprint: 'f-2' }), 'idempotency_key_reused');
  assert.equal(c.code({ kind: 'remove_line', line: 'A' }), 'checkout_in_progress');
  const orderId = c.state.checkout?.orderId ?? '';
  const order = { id: orderId };
  const result = { outcome: 'confirmed' as const, order };
  c.ask({ kind: 'checkout_result', orderId: 'ord_other', result });
  assert.equal(c.state.status, 'checking_out');
  c.ask({ kind: 'checkout_result', orderId, result });
  assert.deepEqual(
    [caller.reply, twin.reply],
    [
      { ok: true, kind: 'order', order },
      { ok: true, kind: 'order', order },
    ],
  );
  assert.deepEqual(c.ask(checkout(), { hash: 'key-3', fingerprint: 'f-3' }), {
    ok: false,
    code: 'cart_checked_out',
    orderId,
  });
  assert.deepEqual(c.lines, [['A', 2]]);
});

test('a failed checkout opens the cart again; what comes of it later changes nothing', () => {
  const c = new Cart();
  c.settled(add(scarce, 2));
  const holdId = c.state.lines[0]?.hold?.id ?? '';
  const caller = c.call(checkout(), KEY);
  const orderId = c.state.checkout?.orderId ?? '';
  const result = { outcome: 'failed' as const, code: 'price_changed' as const, returned: [] };
  c.ask({ kind: 'checkout_result', orderId, result });
  assert.deepEqual(caller.reply, {
    ok: false,
    code: 'price_changed',
    checkout: true,
    destination: { country: 'DE', postalCode: '10115' },
  });
  assert.equal(c.state.status, 'open');
  assert.equal(c.state.lines[0]?.hold?.expired, false, 'a hold that the order never took up was given up');
  c.call(checkout(), { hash: 'key-2', fingerprint: 'f-2' });
  const { seq } = c;
  c.ask({ kind: 'checkout_result', orderId, result });
  assert.equal(c.seq, seq, 'a late result ended the next checkout');
  const gone = [{ holdId, expiresAt: null }];
  const next = c.state.checkout?.orderId ?? '';
  c.ask({ kind: 'checkout_result', orderId: next, result: { ...result, code: 'hold_expired', returned: gone } });
  assert.equal(c.state.lines[0]?.hold?.expired, true);
});

test('no personal data stays in the cart once the order knows it', () => {
  const c = new Cart();
  c.ask(add(product('A'), 1));
  c.call(checkout(), KEY);
  const orderId = c.state.checkout?.orderId ?? '';
  assert.deepEqual(c.pending(), ['start']);
  assert.match(JSON.stringify(throughMsgpack(cart.snapshot(c.state))), /subject-1/);
  c.world.ask(REF, { kind: '$outcome', effectId: `start:${orderId}`, outcome: { ok: true } });
  assert.doesNotMatch(JSON.stringify(throughMsgpack(cart.snapshot(c.state))), /subject-1|tok_ok/);
  assert.deepEqual(c.pending(), []);
});

test('an idle cart of three lines keeps less than 1 KB of state', async () => {
  const c = new Cart();
  for (const name of ['MUG-BLUE-01', 'TEE-BLACK-M', 'POSTER-A2-07']) c.ask(add(product(name), 2));
  c.ask({ kind: 'set_destination', destination: { country: 'US', region: 'TX' } });
  const uuid = '01890a5d-ac96-774b-bcce-b302099a8057';
  const saved = JSON.stringify({
    ...c.state,
    lines: c.state.lines.map((line, i) => ({ ...line, id: `lin_${i}${uuid}` })),
  });
  const each = await bytesKept(10_000, 1_024, (i) => cart.restore(`cart_${i}${uuid}`, JSON.parse(saved)));
  assert(each < 1_024, `${Math.round(each)} bytes`);
});

// --- arithmetic against a model ---

const names = ['A', 'B', 'C', 'SCARCE'];
const edit = fc.oneof(
  fc.record({ what: fc.constant('add' as const), sku: fc.constantFrom(...names), n: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ what: fc.constant('set' as const), sku: fc.constantFrom(...names), n: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ what: fc.constant('remove' as const), sku: fc.constantFrom(...names), n: fc.constant(0) }),
);

test('after any edits the lines are what a plain sum says, and every held unit is on a line', () => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 40 }), fc.constantFrom(0, 0.5, 1), (edits, atHand) => {
      const c = new Cart(8, atHand);
      const model = new Map<string, number>();
      for (const { what, sku: name, n } of edits) {
        const terms = name === 'SCARCE' ? scarce : product(name, { maxPerOrder: 7 });
        const old = model.get(name) ?? 0;
        const next = what === 'add' ? old + n : n;
        const command: CartCommand =
          what === 'add'
            ? add(terms, n)
            : what === 'set'
              ? { kind: 'set_quantity', line: name, quantity: n }
              : { kind: 'remove_line', line: name };
        const reply = c.settled(command);
        const most = name === 'SCARCE' ? 8 : 7;
        if (!reply.ok) {
          const cooling = name === 'SCARCE' && old === 0;
          assert(
            next > most || (what !== 'add' && old === 0) || (cooling && reply.code === 'hold_cooldown'),
            reply.code,
          );
        } else if (next === 0) model.delete(name);
        else model.set(name, next);
        assert.deepEqual(new Map(c.lines), model);
        assert.equal(c.stock()[1], model.get('SCARCE') ?? 0);
      }
      const actor = c.world.actor(REF);
      c.world.takeSnapshot(actor);
      c.world.assertReplays(actor);
    }),
    { numRuns: 200, includeErrorInReport: true },
  );
});
