/**
 * What every `MemberStore` must do, as tests. `schema/member-store.test.ts` runs them on PostgreSQL, `sim/member-store.test.ts` on the
 * simulated database, `runtime/memory-members.test.ts` in memory: so that members behave in tests and simulations as they do on what they run on.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { placementOver } from './balance.ts';
import type { GivingJournal } from './journal.ts';
import { AppendError } from './journal.ts';
import { batchOf, event } from './journal-conformance.ts';
import type { Candidate, MemberStore, ShardRow } from './member-store.ts';
import { Refusal } from './refusal.ts';
import { SHARD_COUNT } from './shard.ts';

/** A store without any rows; each call of `store` is another process's. */
export interface MembersUnderTest {
  readonly store: (incarnation: string) => MemberStore;
  /** One renewal. False: the member no longer lives. */
  readonly renew: (incarnation: string) => Promise<boolean>;
  /** Of one lane, under the fence of that incarnation; null: this store has no journal beside it. */
  readonly journal: ((incarnation: string) => GivingJournal) | null;
  /** Somebody who is no member locks the fence; resolves, when that is done, with what frees it. null: nothing is ever locked. */
  readonly holdFence: ((incarnation: string) => Promise<() => Promise<void>>) | null;
  cleanup(): Promise<void>;
}

function candidate(incarnation: string, change: Partial<Candidate> = {}): Candidate {
  return {
    incarnation,
    nodeId: incarnation.split('.')[0] ?? incarnation,
    state: 'alive',
    leaseMs: 2_000,
    weight: 1,
    bus: true,
    eventVersions: {},
    identity: null,
    lanes: 1,
    ...change,
  };
}

export function memberStoreConformance(name: string, make: () => Promise<MembersUnderTest>): void {
  const fact = (title: string, body: (under: MembersUnderTest) => Promise<void>): void => {
    it(title, async () => {
      const under = await make();
      try {
        await body(under);
      } finally {
        await under.cleanup();
      }
    });
  };
  const joined = async (under: MembersUnderTest, own: Candidate): Promise<MemberStore> => {
    const store = under.store(own.incarnation);
    const admission = await store.admit(own, []);
    assert.ok(admission.ok, JSON.stringify(admission));
    return store;
  };
  const shardsOf = async (store: MemberStore): Promise<readonly ShardRow[]> => {
    const { shards } = await store.look(-1);
    assert.ok(shards !== null);
    assert.equal(shards.length, SHARD_COUNT);
    return shards;
  };
  const ownedBy = async (store: MemberStore, incarnation: string): Promise<number[]> =>
    (await shardsOf(store)).filter(({ owner }) => owner === incarnation).map(({ shard }) => shard);

  describe(`${name}: joining`, () => {
    fact('the first has every shard, under the first epoch; who comes beside it has none', async (under) => {
      const store = await joined(under, candidate('a.1'));
      for (const { owner, epoch } of await shardsOf(store)) assert.deepEqual([owner, epoch], ['a.1', 1]);
      await joined(under, candidate('b.1'));
      assert.equal((await ownedBy(store, 'a.1')).length, SHARD_COUNT);
      assert.equal(await store.claim('b.1'), 0);
      const { members } = await store.look(0);
      const facts = members.map(({ incarnation, nodeId, state, renewals }) => [incarnation, nodeId, state, renewals]);
      assert.deepEqual(facts, [
        ['a.1', 'a', 'alive', 0],
        ['b.1', 'b', 'alive', 0],
      ]);
    });

    fact('is refused with whom it does not fit, and then nothing has changed', async (under) => {
      const store = await joined(under, candidate('a.1'));
      const before = await shardsOf(store);
      for (const change of [{ nodeId: 'a' }, { bus: false }]) {
        const admission = await under.store('b.1').admit(candidate('b.1', change), []);
        assert.ok(!admission.ok);
        assert.deepEqual(
          admission.conflicts.map(({ member }) => member.incarnation),
          ['a.1'],
        );
      }
      assert.deepEqual(await shardsOf(store), before);
      assert.equal((await store.look(0)).members.length, 1);
    });

    fact('takes over in the same step who stood in the way, unless that has renewed', async (under) => {
      const store = await joined(under, candidate('a.1'));
      assert.ok(await under.renew('a.1'));
      const early = await under.store('a.2').admit(candidate('a.2'), [{ incarnation: 'a.1', renewals: 0 }]);
      assert.ok(!early.ok);
      const admission = await under.store('a.2').admit(candidate('a.2'), [{ incarnation: 'a.1', renewals: 1 }]);
      assert.ok(admission.ok);
      for (const { owner, epoch } of await shardsOf(store)) assert.deepEqual([owner, epoch], ['a.2', 2]);
      assert.equal(await under.renew('a.1'), false);
    });

    fact('one that is not ready is given nothing; it claims what nobody living has once it is alive', async (under) => {
      const store = await joined(under, candidate('a.1', { state: 'joining' }));
      assert.equal(await store.claim('a.1'), 0);
      assert.equal((await ownedBy(store, 'a.1')).length, 0);
      assert.ok(await store.become('a.1', 'alive'));
      assert.equal(await store.claim('a.1'), SHARD_COUNT);
      assert.equal((await ownedBy(store, 'a.1')).length, SHARD_COUNT);
    });
  });

  describe(`${name}: looking`, () => {
    fact('brings the shards only where one has changed hands since', async (under) => {
      const store = await joined(under, candidate('a.1'));
      const sum = (await shardsOf(store)).reduce((total, { epoch }) => total + epoch, 0);
      assert.equal((await store.look(sum)).shards, null);
      assert.ok(await under.renew('a.1'));
      assert.equal((await store.look(sum)).shards, null);
      await store.takeOver([{ incarnation: 'a.1', renewals: 1 }]);
      await joined(under, candidate('b.1'));
      assert.notEqual((await store.look(sum)).shards, null);
    });

    fact('shows what a member publishes, and its renewals', async (under) => {
      const store = await joined(under, candidate('a.1'));
      await store.publish('a.1', { lag: 3 });
      for (let i = 0; i < 3; i++) assert.ok(await under.renew('a.1'));
      const { members } = await store.look(0);
      assert.deepEqual([members[0]?.status, members[0]?.renewals], [{ lag: 3 }, 3]);
    });
  });

  describe(`${name}: a takeover`, () => {
    fact('gives each shard of the dead to the one that should have it, under the next epoch', async (under) => {
      await joined(under, candidate('a.1'));
      await joined(under, candidate('b.1'));
      const store = await joined(under, candidate('c.1'));
      assert.deepEqual(await store.takeOver([{ incarnation: 'a.1', renewals: 0 }]), ['a.1']);
      const { members } = await store.look(0);
      const placement = placementOver(members);
      for (const { shard, owner, epoch } of await shardsOf(store)) {
        assert.deepEqual([owner, epoch], [placement[shard], 2]);
      }
      assert.equal(await under.renew('a.1'), false);
      assert.equal(await store.become('a.1', 'alive'), false);
      assert.deepEqual(await store.takeOver([{ incarnation: 'a.1', renewals: 0 }]), []);
    });

    fact('of one that has renewed since it was watched does nothing', async (under) => {
      const store = await joined(under, candidate('a.1'));
      await joined(under, candidate('b.1'));
      assert.ok(await under.renew('a.1'));
      assert.deepEqual(await store.takeOver([{ incarnation: 'a.1', renewals: 0 }]), []);
      assert.equal((await ownedBy(store, 'a.1')).length, SHARD_COUNT);
      assert.ok(await under.renew('a.1'));
    });

    fact('gives nothing to who is leaving or not ready', async (under) => {
      await joined(under, candidate('a.1'));
      await joined(under, candidate('b.1', { state: 'joining' }));
      const store = await joined(under, candidate('c.1'));
      assert.ok(await store.become('c.1', 'leaving'));
      assert.deepEqual(await store.takeOver([{ incarnation: 'a.1', renewals: 0 }]), ['a.1']);
      assert.equal((await ownedBy(store, 'a.1')).length, SHARD_COUNT);
      assert.ok(await store.become('b.1', 'alive'));
      assert.equal(await store.claim('b.1'), SHARD_COUNT);
    });

    fact('ends what the dead could write', async (under) => {
      if (under.journal === null) return;
      const store = await joined(under, candidate('a.1'));
      const journal = under.journal('a.1');
      await journal.append(batchOf({ events: [event('x', 1)] }));
      await joined(under, candidate('b.1'));
      await store.takeOver([{ incarnation: 'a.1', renewals: 0 }]);
      await assert.rejects(journal.append(batchOf({ events: [event('x', 2)] })), { outcome: 'fenced' });
      await assert.rejects(journal.resolve(batchOf({ events: [event('x', 2)] })), { outcome: 'fenced' });
      const gift = { lane: 0, to: 'b.1', shards: [{ shard: 0, epoch: 1 }] };
      await assert.rejects(journal.give(gift), (error: AppendError) => ['fenced', 'refused'].includes(error.outcome));
      const heir = under.journal('b.1');
      await heir.append(batchOf({ events: [event('x', 2)] }));
    });

    fact('waits for who holds a fence of the dead; what waited behind it is not written', async (under) => {
      if (under.journal === null || under.holdFence === null) return;
      const store = await joined(under, candidate('a.1'));
      await joined(under, candidate('b.1'));
      const free = await under.holdFence('a.1');
      let over = false;
      const taken = store.takeOver([{ incarnation: 'a.1', renewals: 0 }]).then((dead) => {
        over = true;
        return dead;
      });
      // Nothing but the lock keeps it: all else that was asked for meanwhile is done.
      for (let i = 0; i < 20; i++) await store.look(0);
      assert.equal(over, false);
      assert.equal((await ownedBy(store, 'a.1')).length, SHARD_COUNT, 'nothing of it is seen before it is whole');
      await free();
      assert.deepEqual(await taken, ['a.1']);
      await assert.rejects(under.journal('a.1').append(batchOf({ events: [event('x', 1)] })), AppendError);
    });

    fact('by two at once is done once', async (under) => {
      await joined(under, candidate('a.1'));
      const [b, c] = [await joined(under, candidate('b.1')), await joined(under, candidate('c.1'))];
      const watched = [{ incarnation: 'a.1', renewals: 0 }];
      const dead = await Promise.all([b.takeOver(watched), c.takeOver(watched)]);
      assert.deepEqual(dead.flat(), ['a.1']);
      for (const { epoch } of await shardsOf(b)) assert.equal(epoch, 2);
    });
  });

  describe(`${name}: leaving`, () => {
    fact('keeps what it has until it has left; then others claim it, and it writes nothing', async (under) => {
      const store = await joined(under, candidate('a.1'));
      const other = await joined(under, candidate('b.1'));
      assert.ok(await store.become('a.1', 'leaving'));
      assert.ok(await under.renew('a.1'));
      assert.equal(await other.claim('b.1'), 0);
      await store.leave('a.1');
      assert.equal(await under.renew('a.1'), false);
      assert.equal(await other.claim('b.1'), SHARD_COUNT);
      assert.equal(await other.claim('b.1'), 0);
      if (under.journal === null) return;
      await assert.rejects(under.journal('a.1').append(batchOf({ events: [event('x', 1)] })), { outcome: 'fenced' });
    });

    fact('a gift goes to a living member only', async (under) => {
      if (under.journal === null) return;
      await joined(under, candidate('a.1'));
      const other = await joined(under, candidate('b.1'));
      const journal = under.journal('a.1');
      await journal.give({ lane: 0, to: 'b.1', shards: [{ shard: 0, epoch: 1 }] });
      assert.deepEqual(await ownedBy(other, 'b.1'), [0]);
      assert.ok(await other.become('b.1', 'leaving'));
      const second = { lane: 0, to: 'b.1', shards: [{ shard: 1, epoch: 1 }] };
      await assert.rejects(journal.give(second), { outcome: 'refused' });
    });
  });

  describe(`${name}: event versions`, () => {
    fact('are raised to what all living members read, once and for all', async (under) => {
      const old = await joined(under, candidate('a.1', { eventVersions: { cart: 1, sku: 1 } }));
      const own = { cart: 2, sku: 1 };
      const store = under.store('b.1');
      const admission = await store.admit(candidate('b.1', { eventVersions: own }), []);
      assert.deepEqual(admission, { ok: true, writes: { cart: 1, sku: 1 } });
      assert.deepEqual(await store.raiseVersions(own), { cart: 1, sku: 1 });
      await old.leave('a.1');
      assert.deepEqual(await store.raiseVersions(own), { cart: 2, sku: 1 });
      await assert.rejects(
        under.store('c.1').admit(candidate('c.1', { eventVersions: { cart: 1, sku: 1 } }), []),
        Refusal,
      );
    });
  });
}
