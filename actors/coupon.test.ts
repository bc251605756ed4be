import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CouponCommand, type CouponReply, type CouponState, coupon, couponCustomer } from './coupon.ts';
import { SERIALS_MAX } from './coupon-state.ts';
import { CouponUses } from './coupon-uses.ts';
import { TOMBSTONE_MS } from './sku-holds.ts';
import { throughMsgpack, World } from './test-world.ts';

const REF = { type: 'coupon', id: 'SAVE10' };
const WANTED_MS = 600_000;

function setUp(): {
  world: World;
  ask: (command: CouponCommand) => CouponReply;
  hold: (orderId: string, limit: number | null) => CouponReply;
  usage: () => [held: number, used: number];
} {
  const world = new World(1, [coupon]);
  const ask = (command: CouponCommand) => world.ask(REF, command).reply as CouponReply;
  const hold = (orderId: string, limit: number | null) =>
    ask({ kind: 'hold', orderId, limit, notAfter: world.now + WANTED_MS });
  const usage = (): [number, number] => {
    const reply = ask({ kind: 'get' });
    assert(reply.ok && reply.kind === 'usage');
    return [reply.usage.held, reply.usage.used];
  };
  return { world, ask, hold, usage };
}

const held = (serial: number) => ({ ok: true, kind: 'hold', serial });
const DONE = { ok: true, kind: 'done' };
const GONE = { ok: false, code: 'hold_gone' };
const USED_UP = { ok: false, code: 'used_up' };

test('a use counts from its hold on; one beyond the limit is refused and leaves no trace', () => {
  const { world, ask, hold, usage } = setUp();
  assert.deepEqual(hold('ord_1', 2), held(0));
  assert.deepEqual(hold('ord_2', 2), held(1));
  const { seq } = world.actor(REF);
  assert.deepEqual(hold('ord_3', 2), USED_UP);
  assert.equal(world.actor(REF).seq, seq);
  assert.deepEqual(ask({ kind: 'confirm', orderId: 'ord_1', serial: 0 }), DONE);
  assert.deepEqual(hold('ord_3', 2), USED_UP);
  assert.deepEqual(usage(), [1, 1]);
});

test('a raised limit holds at once; a lowered one refuses new uses and takes none away', () => {
  const { ask, hold, usage } = setUp();
  hold('ord_1', 1);
  assert.deepEqual(hold('ord_2', 1), USED_UP);
  assert.deepEqual(hold('ord_2', 2), held(1));
  assert.deepEqual(hold('ord_3', 1), USED_UP);
  assert.deepEqual(ask({ kind: 'confirm', orderId: 'ord_2', serial: 1 }), DONE);
  assert.deepEqual(usage(), [1, 1]);
  assert.deepEqual(hold('ord_3', null), held(2), 'what is only counted has no limit');
});

test('a failed order’s use and a cancelled order’s use come back, each once', () => {
  const { ask, hold, usage } = setUp();
  hold('ord_1', 2);
  hold('ord_2', 2);
  ask({ kind: 'confirm', orderId: 'ord_2', serial: 1 });
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(ask({ kind: 'release', orderId: 'ord_1', serial: 0 }), DONE);
    assert.deepEqual(ask({ kind: 'release', orderId: 'ord_2', serial: 1 }), DONE);
  }
  assert.deepEqual(usage(), [0, 0]);
  assert.deepEqual(hold('ord_3', 1), held(2));
});

test('a use is given back once also where the release comes again after every trace of its order is gone', () => {
  const { world, ask, hold, usage } = setUp();
  hold('ord_1', null);
  ask({ kind: 'confirm', orderId: 'ord_1', serial: 0 });
  hold('ord_2', null);
  ask({ kind: 'confirm', orderId: 'ord_2', serial: 1 });
  world.now += 30 * 86_400_000;
  ask({ kind: 'release', orderId: 'ord_1', serial: 0 });
  world.now += TOMBSTONE_MS + 1;
  ask({ kind: 'release', orderId: 'other', serial: null });
  assert.deepEqual([...(world.actor(REF).state as CouponState).tombstones.keys()], ['other']);
  assert.deepEqual(ask({ kind: 'release', orderId: 'ord_1', serial: 0 }), DONE);
  assert.deepEqual(usage(), [0, 1]);
});

test('nothing can be held or confirmed for an order after its release, also one that came before its hold', () => {
  const { ask, hold, usage } = setUp();
  hold('ord_1', 1);
  ask({ kind: 'release', orderId: 'ord_1', serial: null });
  ask({ kind: 'release', orderId: 'never-seen', serial: null });
  assert.deepEqual(hold('ord_1', 1), GONE);
  assert.deepEqual(hold('never-seen', 1), GONE);
  assert.deepEqual(ask({ kind: 'confirm', orderId: 'ord_1', serial: 0 }), GONE);
  assert.deepEqual(usage(), [0, 0]);
});

test('a hold that comes after its order stopped wanting it takes nothing, also when the tombstone is gone', () => {
  const { world, ask, usage } = setUp();
  const late: CouponCommand = { kind: 'hold', orderId: 'ord_1', limit: 5, notAfter: world.now + WANTED_MS };
  ask({ kind: 'release', orderId: 'ord_1', serial: null });
  world.now += TOMBSTONE_MS + 1;
  ask({ kind: 'release', orderId: 'other', serial: null });
  assert.deepEqual(ask(late), GONE);
  assert.deepEqual(usage(), [0, 0]);
});

test('a hold that comes again gets the same serial, also after the use was confirmed', () => {
  const { ask, hold, usage } = setUp();
  assert.deepEqual(hold('ord_1', 1), held(0));
  assert.deepEqual(hold('ord_1', 1), held(0));
  ask({ kind: 'confirm', orderId: 'ord_1', serial: 0 });
  assert.deepEqual(ask({ kind: 'confirm', orderId: 'ord_1', serial: 0 }), DONE);
  assert.deepEqual(hold('ord_1', 1), held(0));
  assert.deepEqual(usage(), [0, 1]);
});

test('a million uses take an eighth of a megabyte, and the last serial is refused rather than passed', () => {
  let state = coupon.initial('SAVE10');
  const at = 1;
  for (let serial = 0; serial < 1_000_000; serial++) {
    state.uses.add(serial);
    state.nextSerial = serial + 1;
  }
  const snapshot = coupon.snapshot(state) as { uses: readonly (readonly [number, Uint8Array])[] };
  const bytes = snapshot.uses.reduce((sum, [, page]) => sum + page.length, 0);
  assert.ok(bytes <= 125_000 + 1_024, `${bytes}`);
  state = coupon.restore('SAVE10', throughMsgpack(snapshot));
  assert.equal(state.uses.count, 1_000_000);
  state.nextSerial = SERIALS_MAX;
  const command: CouponCommand = { kind: 'hold', orderId: 'ord_1', limit: null, notAfter: at };
  const context = { now: at, seq: 0, key: undefined, version: 1, newId: () => '' };
  assert.deepEqual(coupon.decide(state, command, context), { reply: USED_UP });
});

test('the ids of a coupon and of its customers are of different actors', () => {
  const ids = [couponCustomer('A', 'x'), couponCustomer('A', 'y'), couponCustomer('B', 'x'), 'A', 'B'];
  assert.equal(new Set(ids).size, ids.length);
});

test('a set of serials says the same as a plain one, before and after its snapshot', () => {
  const serials = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 8_180, max: 8_200 }));
  fc.assert(
    fc.property(fc.array(serials, { maxLength: 60 }), (toggled) => {
      const plain = new Set<number>();
      let uses = new CouponUses();
      for (const serial of toggled) {
        if (plain.has(serial)) uses.delete(serial);
        else uses.add(serial);
        if (!plain.delete(serial)) plain.add(serial);
        uses = CouponUses.fromPages(throughMsgpack(uses.toPages()));
        assert.equal(uses.count, plain.size);
        for (const one of toggled) assert.equal(uses.has(one), plain.has(one));
      }
    }),
    { numRuns: 60 },
  );
  assert.throws(() => new CouponUses().delete(3), /does not stand/);
});

/** What an order may send, in the order of its life; each may come again at any time. */
interface Life {
  readonly orderId: string;
  readonly end: 'confirmed' | 'failed' | 'cancelled';
  serial: number | null;
  step: 'asked' | 'held' | 'refused' | 'confirmed' | 'ended';
}

test('whatever comes again, late or after its opposite, uses stay within the limit and end as their orders do', () => {
  const end = fc.constantFrom('confirmed' as const, 'failed' as const, 'cancelled' as const);
  const steps = fc.array(fc.record({ order: fc.nat(7), late: fc.nat(30), again: fc.boolean() }), { maxLength: 150 });
  fc.assert(
    fc.property(
      fc.array(end, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 5 }),
      steps,
      (ends, limit, todo) => {
        const { world, ask, usage } = setUp();
        const orders = ends.map((one, i): Life => ({ orderId: `ord_${i}`, end: one, serial: null, step: 'asked' }));
        const sent: CouponCommand[] = [];
        const advance = (order: Life): void => {
          const { orderId, serial } = order;
          const command: CouponCommand | null =
            order.step === 'asked'
              ? { kind: 'hold', orderId, limit, notAfter: world.now + WANTED_MS }
              : order.step === 'held' && order.end !== 'failed'
                ? { kind: 'confirm', orderId, serial: serial ?? -1 }
                : order.step === 'ended' || (order.step === 'confirmed' && order.end === 'confirmed')
                  ? null
                  : { kind: 'release', orderId, serial };
          if (command === null) return;
          sent.push(command);
          const reply = ask(command);
          if (command.kind === 'hold') {
            order.step = reply.ok ? 'held' : 'refused';
            if (reply.ok && reply.kind === 'hold') order.serial = reply.serial;
          } else {
            assert.deepEqual(reply, DONE);
            order.step = command.kind === 'confirm' ? 'confirmed' : 'ended';
          }
        };
        const check = (): void => {
          const [holding, used] = usage();
          assert.ok(holding + used <= limit, `${holding} held and ${used} used of ${limit}`);
          // A refused hold that is delivered again may be granted, until its order's release has come.
          const refused = orders.filter(({ step }) => step === 'refused').length;
          const known = orders.filter(({ step }) => step === 'held').length;
          assert.ok(
            holding >= known && holding <= known + refused,
            `${holding} held, ${known} known, ${refused} refused`,
          );
          assert.equal(used, orders.filter(({ step }) => step === 'confirmed').length);
        };
        for (const { order, late, again } of todo) {
          const one = orders[order % orders.length];
          const old = sent[late % Math.max(1, sent.length)];
          if (again && old !== undefined) ask(old);
          else if (one !== undefined) advance(one);
          if (late === 30) world.now += TOMBSTONE_MS + 1;
          world.assertReplays(world.actor(REF));
          if (late % 3 === 0) world.takeSnapshot(world.actor(REF));
          check();
        }
        for (const order of orders) for (let i = 0; i < 4; i++) advance(order);
        check();
        assert.equal(usage()[0], 0);
      },
    ),
    { numRuns: 300 },
  );
});
