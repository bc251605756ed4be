/** Incarnations on real PostgreSQL, with the bus in memory: sharing, leaving, being fenced and joining anew. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { cart } from '../actors/cart.ts';
import { CART_LIFETIME_MS } from '../actors/cart-state.ts';
import { sku } from '../actors/sku.ts';
import { Fault } from '../runtime/fault.ts';
import { MemoryNetwork } from '../runtime/memory-bus.ts';
import { Refusal } from '../runtime/refusal.ts';
import { shardOf } from '../runtime/shard.ts';
import { Succession } from '../runtime/succession.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { type JoinOptions, join, requestDrain } from '../schema/members.ts';
import { migratedTestDatabase, type TestDatabase, until } from '../schema/test-database.ts';
import { CART_HISTORY } from './cart-histories.ts';
import { openIncarnation } from './incarnation.ts';
import { LANES } from './storage.ts';

/** The database's clock, ahead by as much as a test says. */
class LaterClock extends SystemClock {
  aheadMs = 0;
  override now(): number {
    return super.now() + this.aheadMs;
  }
}

const clock = new LaterClock();
const log = { warn() {}, info() {} };
let database: TestDatabase;
let network: MemoryNetwork;
let fatal: Error[] = [];
const nodes: Succession[] = [];

before(async () => {
  database = await migratedTestDatabase();
  network = new MemoryNetwork({ clock });
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.end(5_000);
  fatal = [];
});
after(() => database.drop());

interface NodeOptions {
  readonly rejoins?: boolean;
  /** Default: what the first had. */
  readonly identities?: NonNullable<JoinOptions['identity']>[];
}

async function node(nodeId: string, { rejoins = true, identities = [] }: NodeOptions = {}): Promise<Succession> {
  const bus = network.bus(nodeId);
  const identity = { dataKey: 'k', signing: 's', verifying: ['s'] };
  const one = new Succession({
    clock,
    open: (leaving) =>
      openIncarnation(
        {
          database,
          bus,
          clock,
          types: [cart, sku],
          join: () => {
            const own = { bus: true, ready: false, leaseMs: 4_000, identity: identities.shift() ?? identity };
            return join({ database, nodeId, lanes: LANES, clock, ...own });
          },
          onProjection() {},
          onJoined(membership) {
            membership.onChange(() => bus.publish('shards', new Uint8Array()));
            bus.subscribe('shards', () => void membership.look().catch(() => {}));
          },
          report() {},
        },
        leaving,
      ),
    rejoins,
    onFatal: (error) => fatal.push(error),
    log,
  });
  await one.start();
  nodes.push(one);
  return one;
}

/** As another member's takeover would, whoever that is. */
async function fence(one: Succession): Promise<string> {
  const incarnation = one.serving.membership.incarnation;
  await database.query("UPDATE member SET state = 'dead' WHERE incarnation = $1", [incarnation]);
  await database.query('DELETE FROM fence WHERE incarnation = $1', [incarnation]);
  return incarnation;
}

const owned = (one: Succession): number => one.current?.balancing.owned ?? 0;
const settled = (...members: Succession[]) =>
  until(
    () => members.every((one) => owned(one) > 50) && members.reduce((sum, one) => sum + owned(one), 0) === 256,
    'each has its share',
  );
const create = { kind: 'create', currency: 'EUR', destination: null };

test('a newcomer is given its share, and what is asked of either is decided by the owner', async () => {
  const first = await node('first');
  await until(() => owned(first) === 256, 'the first has all');
  const second = await node('second');
  await settled(first, second);
  for (let i = 0; i < 20; i++) {
    const ref = { type: 'cart', id: `cart_shared_${i}` };
    await first.ask(ref, create);
    assert.deepEqual(await second.ask(ref, { kind: 'get' }), await first.ask(ref, { kind: 'get' }));
  }
  assert.ok((first.stats.asksForwarded ?? 0) > 0 && (first.stats.asksForwarded ?? 0) < (first.stats.asks ?? 0));
});

test('the history of an expired cart is removed by its owner, whoever runs the job', async () => {
  const [first, second] = [await node('first'), await node('second')];
  await settled(first, second);
  const events = async (id: string) => (await database.query('SELECT seq FROM journal WHERE id = $1', [id])).length;
  const ids = Array.from({ length: 50 }, (_, index) => `cart_job_${index}`);
  for (const owner of [first, second]) {
    const id = ids.find((one) => owner.serving.membership.owns(shardOf('cart', one))) ?? '';
    await owner.ask({ type: 'cart', id }, create);
    clock.aheadMs = CART_LIFETIME_MS;
    await owner.ask({ type: 'cart', id }, { kind: 'get' });
    assert.equal(await events(id), 2);
    const other = owner === first ? second : first;
    await other.serving.perform({ type: 'cart', id }, CART_HISTORY, `cart-cleanup:${id}`);
    assert.equal(await events(id), 0);
    clock.aheadMs = 0;
  }
});

test('one that leaves gives all away and goes on bringing calls to the others; a second call to leave waits for the first', async () => {
  const [first, second] = [await node('first'), await node('second')];
  await settled(first, second);
  const ref = { type: 'cart', id: 'cart_leaving' };
  await first.ask(ref, create);
  await Promise.all([first.giveAll(10_000), first.giveAll(10_000)]);
  assert.deepEqual([owned(first), owned(second)], [0, 256]);
  assert.deepEqual(first.reasonsNotToServe(), ['leaving']);
  assert.equal(((await first.ask(ref, { kind: 'get' })) as { ok: boolean }).ok, true);
});

test('a fenced node says 503 until it has joined anew, with what was committed', async () => {
  const one = await node('first');
  await until(() => owned(one) === 256, 'it has all');
  const ref = { type: 'cart', id: 'cart_fenced' };
  await one.ask(ref, create);
  const before = await fence(one);
  // An append finds it out, or the next renewal.
  const refused = await one.ask({ type: 'cart', id: 'cart_fenced_2' }, create).catch((error: unknown) => error);
  assert.ok(refused instanceof Fault && refused.code === 'shard_unavailable', String(refused));
  await until(() => one.current !== null && one.current.membership.incarnation !== before, 'it has joined anew');
  await until(() => owned(one) === 256, 'it has all again');
  assert.equal(one.fencings, 1);
  assert.equal(((await one.ask(ref, { kind: 'get' })) as { ok: boolean }).ok, true);
  assert.deepEqual(one.reasonsNotToServe(), []);
});

test('a node that an operator has drained stays out, also after a fencing', async () => {
  const [first, second] = [await node('first'), await node('second')];
  await settled(first, second);
  assert.equal(await requestDrain(database, 'first'), true);
  await until(() => owned(second) === 256, 'the other has all');
  const before = await fence(first);
  await until(() => first.current !== null && first.current.membership.incarnation !== before, 'it has joined anew');
  assert.deepEqual(first.reasonsNotToServe(), ['leaving']);
  await first.serving.membership.look();
  assert.deepEqual([owned(first), owned(second)], [0, 256]);
  assert.equal(fatal.length, 0);
});

test('fenced, and refused when it would join anew, it ends with that line; where it may not join anew, it ends', async () => {
  const fits = { dataKey: 'k', signing: 's', verifying: ['s'] };
  const changed = await node('first', { identities: [fits, { ...fits, dataKey: 'another' }] });
  await node('second');
  await fence(changed);
  await until(() => fatal.length > 0, 'it gives up');
  assert.ok(fatal[0] instanceof Refusal && /DATA_KEY/.test(fatal[0].message), String(fatal[0]));
  const embedded = await node('third', { rejoins: false });
  await fence(embedded);
  await until(() => fatal.length > 1, 'it gives up');
  assert.match(fatal[1]?.message ?? '', /taken over/);
});
