import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NOTICES_AT_ONCE, type SkuCommand, type SkuReply, type SkuState, STOCK_MAX, sku } from './sku.ts';
import { TOMBSTONE_MS } from './sku-holds.ts';
import { World } from './test-world.ts';

const REF = { type: 'sku', id: 'MUG' };
const TTL = 60_000;

function setUp(onHand: number): { world: World; ask: (command: SkuCommand) => SkuReply; level: () => number[] } {
  const world = new World(1, [sku]);
  const ask = (command: SkuCommand) => world.ask(REF, command).reply as SkuReply;
  ask({ kind: 'adjust', delta: onHand, reason: 'delivery' });
  const level = () => {
    const reply = ask({ kind: 'get' });
    assert(reply.ok && reply.kind === 'stock');
    const { onHand: all, available, held, allocated } = reply.stock;
    assert.equal(all, available + held + allocated);
    return [available, held, allocated];
  };
  return { world, ask, level };
}

function hold(
  holdId: string,
  quantity: number,
  owner = 'cart_1',
  rev = 1,
  ttlMs: number | null = TTL,
): Extract<SkuCommand, { kind: 'hold' }> {
  return { kind: 'hold', holdId, owner, rev, quantity, ttlMs };
}

test('a sku that nobody stocked has nothing', () => {
  const { level } = setUp(0);
  assert.deepEqual(level(), [0, 0, 0]);
});

test('a hold beyond the stock is refused and leaves the stock and the journal unchanged', () => {
  const { world, ask, level } = setUp(3);
  assert.deepEqual(ask(hold('h1', 4)), { ok: false, code: 'out_of_stock', available: 3 });
  assert.deepEqual(level(), [3, 0, 0]);
  assert.equal(world.actor(REF).seq, 1);
});

test('a larger quantity joins a hold only where stock allows, and never moves its end', () => {
  const { world, ask, level } = setUp(5);
  const expiresAt = world.now + TTL;
  assert.deepEqual(ask(hold('h1', 2)), { ok: true, kind: 'hold', holdId: 'h1', quantity: 2, expiresAt });
  world.now += 1_000;
  assert.deepEqual(ask(hold('h1', 4, 'cart_1', 2)), { ok: true, kind: 'hold', holdId: 'h1', quantity: 4, expiresAt });
  assert.deepEqual(ask(hold('h1', 6, 'cart_1', 3)), { ok: false, code: 'out_of_stock', available: 1 });
  assert.deepEqual(level(), [1, 4, 0]);
  ask({ kind: 'adjust', delta: 10, reason: 'delivery' });
  assert.equal(ask(hold('h1', 6, 'cart_1', 3)).ok, false, 'the refused request was granted when it came again');
  assert.equal(ask(hold('h1', 1, 'cart_1', 4)).ok, true);
  assert.deepEqual(level(), [14, 1, 0]);
});

test('a delayed request of a lower revision changes no quantity', () => {
  const { ask, level } = setUp(9);
  ask(hold('h1', 5, 'cart_1', 3));
  ask(hold('h1', 8, 'cart_1', 2));
  assert.deepEqual(level(), [4, 5, 0]);
});

test('a hold ends at its very millisecond, before a command of that moment is decided', () => {
  const { world, ask, level } = setUp(2);
  ask(hold('h1', 2));
  world.now += TTL - 1;
  assert.equal(ask(hold('h2', 1, 'cart_2')).ok, false);
  world.now += 1;
  assert.equal(ask(hold('h2', 1, 'cart_2')).ok, true);
  assert.deepEqual(level(), [1, 1, 0]);
  assert.deepEqual(ask({ kind: 'adopt', holdId: 'h1', cartId: 'cart_1', orderId: 'ord_1' }), {
    ok: false,
    code: 'hold_expired',
  });
});

test('an answer counts holds that are over but not yet taken off, and names the sequence it rests on', () => {
  const { world, ask } = setUp(5);
  ask(hold('h1', 2));
  world.now += TTL;
  const reply = ask({ kind: 'adjust', delta: 1, reason: 'found' });
  assert(reply.ok && reply.kind === 'stock');
  assert.deepEqual(reply.stock, { sku: 'MUG', onHand: 6, held: 0, allocated: 0, available: 6, version: 4 });
  assert.equal(world.actor(REF).seq, 4);
});

test('owners of expired holds are told, a bounded number at one time, until each has acknowledged', () => {
  const { world, ask } = setUp(1_000);
  const count = NOTICES_AT_ONCE + 10;
  for (let i = 0; i < count; i++) ask(hold(`h${i}`, 1, `cart_${i}`));
  world.now += TTL;
  const actor = world.actor(REF);
  world.wake(actor);
  assert.equal(world.pendingOf(actor).length, NOTICES_AT_ONCE);
  const told = new Set<string>();
  while (world.pendingOf(actor).length > 0) {
    for (const effect of world.pendingOf(actor)) {
      assert(effect.kind === 'send');
      told.add(effect.to.id);
      world.ask(REF, { kind: '$outcome', effectId: effect.id, outcome: { ok: true, kind: 'cart' } });
    }
  }
  assert.equal(told.size, count);
  assert.equal(sku.wakeAt?.(actor.state as SkuState), null);
});

test('nothing can be taken, adopted, pinned or confirmed under a hold id after its release', () => {
  const { world, ask, level } = setUp(5);
  ask(hold('h1', 2));
  ask({ kind: 'release', holdId: 'h1', owner: 'cart_1' });
  ask({ kind: 'release', holdId: 'never-seen', owner: 'ord_1' });
  world.now += TOMBSTONE_MS - 1;
  const late: SkuCommand[] = [
    hold('h1', 2),
    { kind: 'adopt', holdId: 'h1', cartId: 'cart_1', orderId: 'ord_1' },
    { kind: 'pin', holdId: 'h1', owner: 'cart_1' },
    { kind: 'confirm', holdId: 'h1', owner: 'cart_1' },
    hold('never-seen', 1, 'ord_1', 1, null),
  ];
  for (const command of late) assert.deepEqual(ask(command), { ok: false, code: 'hold_gone' });
  assert.deepEqual(level(), [5, 0, 0]);
});

test('what comes after its sender stopped wanting it takes nothing, also when the tombstone is gone', () => {
  const { world, ask, level } = setUp(5);
  const notAfter = world.now + TTL;
  const own: SkuCommand = { ...hold('own', 1, 'ord_A', 1, null), notAfter };
  ask({ kind: 'release', holdId: 'own', owner: 'ord_A' });
  ask(hold('h1', 2, 'cart_1', 1, 2 * TOMBSTONE_MS));
  ask({ kind: 'return', holdId: 'h1', orderId: 'ord_A', cartId: 'cart_1' });
  world.now += TOMBSTONE_MS + 1;
  ask({ kind: 'release', holdId: 'other', owner: 'ord_B' });
  assert.deepEqual([...(world.actor(REF).state as SkuState).tombstones.keys()], ['other']);
  for (const late of [own, { kind: 'adopt', holdId: 'h1', cartId: 'cart_1', orderId: 'ord_A', notAfter } as const]) {
    assert.deepEqual(ask(late), { ok: false, code: 'hold_gone' });
  }
  assert.deepEqual(level(), [3, 2, 0]);
});

test('tombstones older than their time are pruned as new ones come', () => {
  const { world, ask } = setUp(5);
  for (let i = 0; i < 50; i++) ask({ kind: 'release', holdId: `old${i}`, owner: 'ord_1' });
  world.now += TOMBSTONE_MS + 1;
  ask({ kind: 'release', holdId: 'new', owner: 'ord_1' });
  assert.deepEqual([...(world.actor(REF).state as SkuState).tombstones.keys()], ['new']);
});

test('what a failed order sends late does not touch the hold that the next order adopted', () => {
  const { ask, level } = setUp(5);
  ask(hold('h1', 2));
  const adoptA: SkuCommand = { kind: 'adopt', holdId: 'h1', cartId: 'cart_1', orderId: 'ord_A' };
  const returnA: SkuCommand = { kind: 'return', holdId: 'h1', orderId: 'ord_A', cartId: 'cart_1' };
  ask(adoptA);
  ask(returnA);
  assert.deepEqual(ask(adoptA), { ok: false, code: 'hold_gone' }, 'a failed order took the hold again');
  assert.equal(ask({ ...adoptA, orderId: 'ord_B' }).ok, true);
  ask(returnA);
  ask({ kind: 'release', holdId: 'h1', owner: 'ord_A' });
  ask({ kind: 'release', holdId: 'h1', owner: 'cart_1' });
  assert.equal(ask({ kind: 'confirm', holdId: 'h1', owner: 'ord_B' }).ok, true);
  assert.deepEqual(level(), [3, 0, 2]);
});

test('a return that overtakes its adopt closes the door to it and leaves the hold with the cart', () => {
  const { world, ask, level } = setUp(5);
  ask(hold('h1', 2));
  const reply = ask({ kind: 'return', holdId: 'h1', orderId: 'ord_A', cartId: 'cart_1' });
  assert.deepEqual(reply, { ok: true, kind: 'returned', returned: true, expiresAt: world.now + TTL });
  assert.equal(ask({ kind: 'adopt', holdId: 'h1', cartId: 'cart_1', orderId: 'ord_A' }).ok, false);
  world.now += TTL;
  assert.deepEqual(level(), [5, 0, 0]);
});

test('an adopted hold does not expire; returned past its first lifetime, its units go back to the shelf', () => {
  const { world, ask, level } = setUp(5);
  ask(hold('h1', 2));
  ask({ kind: 'adopt', holdId: 'h1', cartId: 'cart_1', orderId: 'ord_A' });
  world.now += 10 * TTL;
  assert.deepEqual(level(), [3, 2, 0]);
  const back: SkuCommand = { kind: 'return', holdId: 'h1', orderId: 'ord_A', cartId: 'cart_1' };
  const gone: SkuReply = { ok: true, kind: 'returned', returned: false, expiresAt: null };
  assert.deepEqual(ask(back), gone);
  assert.deepEqual(ask(back), gone);
  assert.deepEqual(level(), [5, 0, 0]);
});

test('a release undoes a confirm until the units are shipped, then no more', () => {
  const { ask, level } = setUp(5);
  ask(hold('h1', 2, 'ord_1', 1, null));
  ask(hold('h2', 1, 'ord_2', 1, null));
  for (const n of [1, 2]) ask({ kind: 'confirm', holdId: `h${n}`, owner: `ord_${n}` });
  assert.deepEqual(level(), [2, 0, 3]);
  ask({ kind: 'release', holdId: 'h1', owner: 'ord_1' });
  assert.deepEqual(level(), [4, 0, 1]);
  ask({ kind: 'ship', holdId: 'h2', owner: 'ord_2' });
  ask({ kind: 'ship', holdId: 'h2', owner: 'ord_2' });
  ask({ kind: 'release', holdId: 'h2', owner: 'ord_2' });
  assert.deepEqual(level(), [4, 0, 0]);
});

test('an adjustment takes no unit that is held or sold, and stays within its bounds', () => {
  const { ask, level } = setUp(5);
  ask(hold('h1', 3));
  assert.deepEqual(ask({ kind: 'adjust', delta: -3, reason: 'lost' }), { ok: false, code: 'stock_negative' });
  assert.deepEqual(ask({ kind: 'adjust', delta: STOCK_MAX, reason: 'typo' }), { ok: false, code: 'stock_limit' });
  assert.equal(ask({ kind: 'adjust', delta: -2, reason: 'lost' }).ok, true);
  assert.deepEqual(level(), [0, 3, 0]);
});

test('a hundred thousand confirmed holds do not make a command slower by their number', () => {
  const state = sku.initial('HOT');
  let seq = 0;
  sku.apply(state, { kind: 'adjusted', at: 0, delta: 200_000, reason: 'all' }, 1, ++seq);
  for (let i = 0; i < 100_000; i++) {
    const holdId = `hold_${i}`;
    sku.apply(state, { kind: 'held', at: 0, holdId, owner: 'o', rev: 1, quantity: 1, expiresAt: 9 + i }, 1, ++seq);
    sku.apply(state, { kind: 'confirmed', at: 0, holdId }, 1, ++seq);
  }
  // Nothing that expires is left, so nothing is queued to be looked through.
  assert.equal(state.dues.length, 0);
  assert.deepEqual([state.allocated, state.held, state.holds.size], [100_000, 0, 100_000]);
  const loaded = sku.restore('HOT', sku.snapshot(state));
  assert.deepEqual([loaded.allocated, loaded.held, loaded.holds.size], [100_000, 0, 100_000]);
});

// --- random histories against a model that knows only who was answered what ---

const holdId = fc.constantFrom('h1', 'h2', 'h3', 'h4');
const cartId = fc.constantFrom('cart_1', 'cart_2');
const orderId = fc.constantFrom('ord_1', 'ord_2');
const owner = fc.oneof(cartId, orderId);
const anyCommand: fc.Arbitrary<SkuCommand> = fc.oneof(
  fc.record({ kind: fc.constant('adjust' as const), delta: fc.integer({ min: -6, max: 6 }), reason: fc.constant('r') }),
  fc.record({
    kind: fc.constant('hold' as const),
    holdId,
    owner,
    rev: fc.integer({ min: 1, max: 4 }),
    quantity: fc.integer({ min: 1, max: 5 }),
    ttlMs: fc.constantFrom(TTL, 2 * TTL, null),
  }),
  fc.record({ kind: fc.constant('adopt' as const), holdId, cartId, orderId }),
  fc.record({ kind: fc.constant('return' as const), holdId, cartId, orderId }),
  fc.record({
    kind: fc.constantFrom('pin' as const, 'confirm' as const, 'release' as const, 'ship' as const),
    holdId,
    owner,
  }),
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ command: anyCommand, again: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ passMs: fc.constantFrom(1, TTL / 2, TTL) }) },
);

/** Recomputes the counters from the holds, which the actor never does. */
function assertBalanced(state: SkuState): void {
  let held = 0;
  let allocated = 0;
  for (const entry of state.holds.values()) {
    if (entry.status === 'confirmed') allocated += entry.quantity;
    else held += entry.quantity;
  }
  assert.deepEqual([state.held, state.allocated], [held, allocated]);
  assert(state.onHand - held - allocated >= 0);
  const earliest = [...state.holds.values()].filter((h) => h.status === 'held').map((h) => h.expiresAt ?? Infinity);
  assert.equal(state.dues.peek()?.at ?? Infinity, Math.min(Infinity, ...earliest));
}

test('under any order of commands on hand is available plus held plus allocated, and only adjusting or shipping moves it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { world, ask, level } = setUp(6);
      let onHand = 6;
      for (const one of steps) {
        const actor = world.actor(REF);
        if ('passMs' in one) {
          world.now += one.passMs;
          continue;
        }
        const before = actor.state as SkuState;
        const { command } = one;
        const shipped = command.kind === 'ship' ? (before.holds.get(command.holdId)?.quantity ?? 0) : 0;
        const count = actor.journal.length;
        const reply = ask(command);
        const last = actor.journal.length > count;
        if (command.kind === 'adjust' && reply.ok) onHand += command.delta;
        if (command.kind === 'ship' && reply.ok && last && !(actor.state as SkuState).holds.has(command.holdId)) {
          onHand -= shipped;
        }
        assertBalanced(actor.state as SkuState);
        // Whatever was promised is there: a positive answer to a hold stands behind its units.
        if (reply.ok && reply.kind === 'hold') {
          const entry = (actor.state as SkuState).holds.get(reply.holdId);
          assert.equal(entry?.quantity, reply.quantity);
          assert(entry?.status !== 'held' || (entry.expiresAt ?? 0) > world.now);
        }
        if (one.again && command.kind !== 'adjust') {
          const seq = actor.seq;
          const repeated = ask(command);
          assert.equal(actor.seq, seq, `a repeated ${command.kind} changed something`);
          assert.deepEqual(repeated.ok, reply.ok, `a repeated ${command.kind} was answered otherwise`);
        }
        assert.equal((actor.state as SkuState).onHand, onHand);
      }
      level();
      world.takeSnapshot(world.actor(REF));
      world.assertReplays(world.actor(REF));
    }),
    { numRuns: 400 },
  );
});

test('a hold that ended never comes back, whatever is delivered late', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { world, ask } = setUp(20);
      const over = new Set<string>();
      for (const one of steps) {
        if ('passMs' in one) world.now += Math.min(one.passMs, 1_000);
        else ask(one.command);
        const state = world.actor(REF).state as SkuState;
        for (const id of state.tombstones.keys()) if (!id.includes('|')) over.add(id);
        for (const id of over) assert(!state.holds.has(id), `${id} was taken again`);
      }
    }),
    { numRuns: 300 },
  );
});

test('a loaded sku decides as the one that never left memory', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), anyCommand, (steps, last) => {
      const { world, ask } = setUp(8);
      for (const one of steps) {
        if ('passMs' in one) world.now += one.passMs;
        else ask(one.command);
      }
      const actor = world.actor(REF);
      world.takeSnapshot(actor);
      const loaded = world.replay(actor, true) as SkuState;
      const context = { now: world.now, seq: actor.seq, key: undefined, version: 1, newId: () => 'id' };
      assert.deepEqual(sku.decide(loaded, last, context), sku.decide(actor.state as SkuState, last, context));
    }),
    { numRuns: 300 },
  );
});
