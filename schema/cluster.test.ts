/** Members among several, on real PostgreSQL: who gets which shard when one joins, leaves or dies, and who may not start. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { ClusterMembership } from '../runtime/members.ts';
import { SHARD_COUNT } from '../runtime/shard.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { type JoinOptions, join, type MemberIdentity, requestDrain } from './members.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';

let database: TestDatabase;
const joined: ClusterMembership[] = [];

before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});
afterEach(async () => {
  for (const member of joined.splice(0)) await member.leave();
  await database.query('DELETE FROM event_version');
});

/** Its lease is long enough for a busy machine to renew it in time. */
async function member(nodeId: string, options: Partial<JoinOptions> = {}): Promise<ClusterMembership> {
  const all = { database, nodeId, lanes: 2, clock: new SystemClock(), leaseMs: 4_000, bus: true, ...options };
  const one = await join(all);
  joined.push(one);
  return one;
}

/** That of a process which can be stopped and goes on later: nothing that was to run in between runs before. */
class PausingClock extends SystemClock {
  #held: (() => void)[] | null = null;
  override setTimeout(callback: () => void, delayMs: number): { cancel(): void } {
    return super.setTimeout(() => {
      if (this.#held === null) callback();
      else this.#held.push(callback);
    }, delayMs);
  }
  pause(): void {
    this.#held ??= [];
  }
  resume(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const callback of held) callback();
  }
}

/** One whose process stops when told to. */
async function mortal(nodeId: string, options: Partial<JoinOptions> = {}) {
  const clock = new PausingClock();
  const one = await member(nodeId, { clock, renewals: 'loop', leaseMs: 2_000, ...options });
  return { one, stop: () => clock.pause(), resume: () => clock.resume() };
}

const SHARDS = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
const owned = (of: ClusterMembership): number[] => SHARDS.filter((shard) => of.owns(shard));

/** Gives away as the actor system would, only without actors. */
async function giveAll(from: ClusterMembership): Promise<void> {
  for (const { to, shards } of from.surplus(SHARD_COUNT)) {
    await database.query('UPDATE shard SET owner = $1, epoch = epoch + 1 WHERE shard = ANY ($2) AND owner = $3', [
      to,
      shards,
      from.incarnation,
    ]);
    from.gave(
      shards.map((shard) => ({ shard, epoch: from.epoch(shard) })),
      to,
    );
  }
}

async function stateOf(of: ClusterMembership): Promise<string | undefined> {
  const rows = await database.query<{ state: string }>('SELECT state FROM member WHERE incarnation = $1', [
    of.incarnation,
  ]);
  return rows[0]?.state;
}

/** Each shard has one owner, by the rows and in the members' own view of themselves. */
async function assertEachShardOnce(members: readonly ClusterMembership[]): Promise<void> {
  for (const one of members) await one.look();
  const rows = await database.query<{ shard: number; owner: string }>('SELECT shard, owner FROM shard');
  for (const { shard, owner } of rows) {
    const owners = members.filter((one) => one.owns(shard)).map((one) => one.incarnation);
    assert.deepEqual(owners, [owner]);
    for (const one of members) assert.equal(one.ownerOf(shard)?.incarnation, owner);
  }
}

describe('members among several', () => {
  it('the first has every shard; those who come are given their share by it, and only theirs', async () => {
    const a = await member('a');
    assert.equal(owned(a).length, SHARD_COUNT);
    const b = await member('b');
    const c = await member('c');
    assert.equal(owned(b).length, 0, 'what a living member has is given by nobody else');
    await a.look();
    assert.ok(a.surplus(SHARD_COUNT).every(({ to }) => [b.incarnation, c.incarnation].includes(to)));
    const few = a.surplus(5).reduce((sum, { shards }) => sum + shards.length, 0);
    assert.equal(few, 5);
    await giveAll(a);
    await assertEachShardOnce([a, b, c]);
    for (const one of [a, b, c]) {
      assert.ok(owned(one).length > 40, `${one.nodeId} has ${owned(one).length}`);
      assert.deepEqual(one.surplus(SHARD_COUNT), []);
    }
    assert.deepEqual(
      a.members().map(({ nodeId, shards }) => [nodeId, shards]),
      [a, b, c].map((one) => [one.nodeId, owned(one).length]),
    );
  });

  it('one that hears of its own gift after it has read the rows does not take it for another', async () => {
    const [a, b] = [await member('a'), await member('b')];
    const shard = owned(a)[0] ?? 0;
    const epoch = a.epoch(shard);
    const give = (to: ClusterMembership) =>
      database.query('UPDATE shard SET owner = $1, epoch = epoch + 1 WHERE shard = $2', [to.incarnation, shard]);
    await give(b);
    await a.look();
    a.gave([{ shard, epoch }], b.incarnation);
    assert.deepEqual(a.ownerOf(shard), { incarnation: b.incarnation, epoch: epoch + 1 });
    await give(a);
    await a.look();
    assert.ok(a.owns(shard), 'it comes back');
    a.gave([{ shard, epoch }], b.incarnation);
    assert.ok(a.owns(shard), 'and stays, however late the word of the first gift is');
  });

  it('one that leaves gives all it can away; what it kept is claimed by those who should have it', async () => {
    const [a, b, c] = [await member('a'), await member('b'), await member('c')];
    await a.look();
    await giveAll(a);
    await b.look();
    const before = owned(b).length;
    await b.beginLeaving();
    assert.equal(owned(b).length, before, 'it keeps what it has until it gives it');
    assert.equal(b.surplus(SHARD_COUNT).flatMap(({ shards }) => shards).length, before);
    assert.ok(b.mayAnswer());
    await a.look();
    assert.ok(a.surplus(SHARD_COUNT).every(({ to }) => to !== b.incarnation));
    await b.leave();
    await until(async () => {
      await Promise.all([a.look(), c.look()]);
      return owned(a).length + owned(c).length === SHARD_COUNT;
    }, 'a and c have everything');
    await assertEachShardOnce([a, c]);
    assert.deepEqual([...a.surplus(SHARD_COUNT), ...c.surplus(SHARD_COUNT)], [], 'nothing moves twice');
  });

  it('one that stops is taken over, and each shard goes to the one who should have it', async () => {
    const [a, b] = [await member('a'), await member('b')];
    const { one: dead, stop } = await mortal('dead');
    await a.look();
    await giveAll(a);
    await dead.look();
    const lost = owned(dead);
    assert.ok(lost.length > 40);
    stop();
    await until(async () => (await stateOf(dead)) === 'dead', 'it is taken over');
    assert.equal((await database.query('SELECT FROM fence WHERE incarnation = $1', [dead.incarnation])).length, 0);
    await assertEachShardOnce([a, b]);
    assert.ok(lost.some((shard) => a.owns(shard)) && lost.some((shard) => b.owns(shard)));
    assert.deepEqual([...a.surplus(SHARD_COUNT), ...b.surplus(SHARD_COUNT)], [], 'nothing moves twice');
  });

  it('several that stop at once are all taken over, whoever of the others comes first', async () => {
    const [a, b] = [await member('a'), await member('b')];
    const dead = [await mortal('c'), await mortal('d'), await mortal('e')];
    await a.look();
    await giveAll(a);
    for (const { stop } of dead) stop();
    await until(async () => {
      const states = await Promise.all(dead.map(({ one }) => stateOf(one)));
      return states.every((state) => state === 'dead');
    }, 'all are taken over');
    await assertEachShardOnce([a, b]);
  });

  it('a leaving member is taken over as any other when it stops', async () => {
    const a = await member('a');
    const { one, stop } = await mortal('b');
    await a.look();
    await giveAll(a);
    await one.beginLeaving();
    stop();
    await until(async () => (await stateOf(one)) === 'dead', 'it is taken over');
    await assertEachShardOnce([a]);
  });

  it('one that is not ready is given nothing until it is, and then claims what nobody has', async () => {
    const first = await member('a', { ready: false });
    assert.equal(owned(first).length, 0);
    const second = await member('b', { ready: false });
    await first.beginServing();
    assert.equal(owned(first).length, SHARD_COUNT);
    await first.look();
    assert.deepEqual(first.surplus(SHARD_COUNT), []);
    await second.beginServing();
    await first.look();
    assert.ok(first.surplus(SHARD_COUNT).length > 0);
  });

  it('one that hears from a peer where a shard is asks there, and reads the rows', async () => {
    const [a, b, c] = [await member('a'), await member('b'), await member('c')];
    let told = 0;
    a.onChange(() => {
      told += 1;
    });
    await a.look();
    await giveAll(a);
    assert.equal(told, 2, 'once for each receiver');
    const [first = -1] = SHARDS.filter((one) => a.ownerOf(one)?.incarnation === b.incarnation);
    c.hint(first, { incarnation: b.incarnation, epoch: a.epoch(first) });
    assert.equal(c.ownerOf(first)?.incarnation, b.incarnation);
    // A word that is not true lasts until the rows are read.
    c.hint(first, { incarnation: 'nobody', epoch: 1_000_000 });
    await until(() => c.ownerOf(first)?.incarnation === b.incarnation, 'the row decides');
    await assertEachShardOnce([a, b, c]);
  });

  it('a heavier member should have more', async () => {
    const a = await member('a');
    const b = await member('b', { weight: 3 });
    await a.look();
    await giveAll(a);
    await assertEachShardOnce([a, b]);
    assert.ok(owned(b).length > 160, `${owned(b).length} of 256`);
  });

  it('hears what an operator asks, and shows what another publishes', async () => {
    const [a, b] = [await member('a'), await member('b')];
    let asked = 0;
    b.onDrainRequested(() => {
      asked += 1;
    });
    assert.equal(await requestDrain(database, 'nobody'), false);
    assert.equal(await requestDrain(database, 'b'), true);
    await until(() => asked === 1, 'it is asked');
    await b.look();
    b.onDrainRequested(() => {
      asked += 1;
    });
    assert.equal(asked, 2);
    a.publish({ handOffs: 3 });
    await until(async () => {
      await b.look();
      return b.members().find(({ nodeId }) => nodeId === 'a')?.status.handOffs === 3;
    }, 'it is seen');
  });
});

describe('rows of members that ended', () => {
  it('stay a week, and then go with the next join, whatever shards they have', async () => {
    const [a, b] = [await member('a'), await member('b')];
    await a.leave();
    await b.leave();
    await database.query(`UPDATE member SET renewed_at = now() - interval '8 days' WHERE incarnation = $1`, [
      a.incarnation,
    ]);
    const c = await member('c');
    assert.equal(await stateOf(a), undefined);
    assert.equal(await stateOf(b), 'left');
    await assertEachShardOnce([c]);
  });
});

describe('a start is refused with one line', () => {
  const identity: MemberIdentity = { dataKey: 'd', signing: 'new', verifying: ['new', 'old'] };

  it('with no bus beside a living member, and beside one that has none', async () => {
    const a = await member('a');
    await assert.rejects(member('b', { bus: false }), /another node \(a\..*without a bus.*REDIS_URL/);
    await a.leave();
    await member('c', { bus: false });
    await assert.rejects(member('d'), /another node \(c\..*has no bus.*REDIS_URL/);
  });

  it('under the node id of a living member, but not of one that has died', async () => {
    await member('other');
    const { one, stop, resume } = await mortal('a');
    await assert.rejects(member('a'), /same node id.*NODE_ID/);
    stop();
    const next = await member('a');
    assert.equal(await stateOf(one), 'dead');
    resume();
    await until(() => !one.mayAnswer(), 'it finds itself fenced');
    assert.equal(await stateOf(next), 'alive');
  });

  it('with another DATA_KEY', async () => {
    await member('a', { identity });
    await assert.rejects(member('b', { identity: { ...identity, dataKey: 'e' } }), /another DATA_KEY/);
    await member('c', { identity });
  });

  it('where either does not know the TOKEN_SECRET that the other signs with', async () => {
    await member('a', { identity: { ...identity, signing: 'old' } });
    const newest = { ...identity, signing: 'newest', verifying: ['newest', 'old'] };
    await assert.rejects(member('b', { identity: newest }), /does not know the TOKEN_SECRET/);
    const hasty = { ...identity, signing: 'new', verifying: ['new'] };
    await assert.rejects(member('b', { identity: hasty }), /does not have/);
    await member('b', { identity });
  });

  it('where the journal may hold events that it cannot read', async () => {
    const old = { cart: 1, sku: 1 };
    const a = await member('a', { eventVersions: { cart: 2, sku: 1 } });
    assert.equal(a.writes('cart', 2), 2);
    await assert.rejects(member('b', { eventVersions: old }), /events of cart in version 2.*reads up to 1/);
    await assert.rejects(member('b', { eventVersions: { cart: 2 } }), /events of sku/);
    await a.leave();
    await assert.rejects(member('b', { eventVersions: old }), /events of cart/);
  });
});

describe('an event version', () => {
  it('is written only when all living members read it, and is on record before', async () => {
    const record = async () =>
      (await database.query<{ version: number }>('SELECT version FROM event_version'))[0]?.version;
    const old = await member('a', { eventVersions: { cart: 1 } });
    const b = await member('b', { eventVersions: { cart: 2 } });
    const c = await member('c', { eventVersions: { cart: 3 } });
    for (const one of [old, b, c]) assert.equal(one.writes('cart', 3), 1);
    assert.equal(await record(), 1);
    await old.leave();
    await until(async () => {
      await b.look();
      return b.writes('cart', 2) === 2;
    }, 'it may be written');
    assert.equal(await record(), 2);
    await c.look();
    assert.equal(c.writes('cart', 3), 2);
    assert.equal(c.writes('order', 7), 7, 'a type of which nothing was said');
  });
});
