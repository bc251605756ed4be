/**
 * What every `MemberStore` must do, as tests. `runtime/memory-members.test.ts` runs them in memory, `schema/member-store.test.ts` on
 * PostgreSQL, so that the members that are simulated rest on rows that behave like the real ones.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { placementOver } from './balance.ts';
import type { Candidate, MemberStore, ShardRow } from './member-store.ts';
import { SHARD_COUNT } from './shard.ts';

/** A store under test, without members, its shards owned by nobody. */
export interface StoreUnderTest {
  readonly store: MemberStore;
  /** False: the member no longer lives. */
  renew(incarnation: string): Promise<boolean>;
  /** Whether it has a fence for its first lane. */
  mayWrite(incarnation: string): Promise<boolean>;
  cleanup(): Promise<void>;
}

const FIRST_LOOK = -1;

function candidate(incarnation: string, options: Partial<Candidate> = {}): Candidate {
  return {
    incarnation,
    nodeId: incarnation.split('.')[0] ?? '',
    state: 'alive',
    leaseMs: 2_000,
    weight: 1,
    bus: true,
    lanes: 2,
    eventVersions: {},
    identity: null,
    ...options,
  };
}

/** Owners by shard. */
async function owners(store: MemberStore): Promise<(string | null)[]> {
  return ((await store.look(FIRST_LOOK)).shards ?? []).map(({ owner }) => owner);
}

async function shards(store: MemberStore): Promise<readonly ShardRow[]> {
  return (await store.look(FIRST_LOOK)).shards ?? [];
}

async function living(store: MemberStore): Promise<string[]> {
  return (await store.look(FIRST_LOOK)).members.map(({ incarnation, state }) => `${incarnation} ${state}`).sort();
}

export function memberStoreConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  const withStore = (test: (under: StoreUnderTest) => Promise<void>) => async () => {
    const under = await open();
    try {
      await test(under);
    } finally {
      await under.cleanup();
    }
  };

  describe(`${name}: a member`, () => {
    it(
      'that is the first has every shard under the next epoch, and a fence',
      withStore(async ({ store, mayWrite }) => {
        assert.deepEqual(await store.admit(candidate('a.1'), []), { ok: true, writes: {} });
        assert.ok((await shards(store)).every(({ owner, epoch }) => owner === 'a.1' && epoch === 1));
        assert.ok(await mayWrite('a.1'));
        assert.deepEqual(await living(store), ['a.1 alive']);
      }),
    );

    it(
      'that comes later takes nothing from the living',
      withStore(async ({ store }) => {
        await store.admit(candidate('a.1'), []);
        await store.admit(candidate('b.1'), []);
        assert.ok((await owners(store)).every((owner) => owner === 'a.1'));
        assert.equal(await store.claim('b.1'), 0);
      }),
    );

    it(
      'that is joining is given nothing until it is alive, and then claims what it should have',
      withStore(async ({ store }) => {
        await store.admit(candidate('a.1', { state: 'joining' }), []);
        assert.equal(await store.claim('a.1'), 0);
        assert.ok(await store.become('a.1', 'alive'));
        assert.equal(await store.claim('a.1'), SHARD_COUNT);
        assert.equal(await store.claim('a.1'), 0);
      }),
    );

    it(
      'that has left has no fence and keeps no shard from those who claim',
      withStore(async ({ store, mayWrite, renew }) => {
        for (const one of ['a.1', 'b.1', 'c.1']) await store.admit(candidate(one), []);
        await store.leave('a.1');
        assert.ok(!(await mayWrite('a.1')) && !(await renew('a.1')));
        assert.equal(await store.become('a.1', 'leaving'), false);
        const mine = await store.claim('b.1');
        assert.equal(mine + (await store.claim('c.1')), SHARD_COUNT);
        const { members } = await store.look(FIRST_LOOK);
        assert.deepEqual(await owners(store), [...placementOver(members)]);
        assert.ok((await shards(store)).every(({ epoch }) => epoch === 2));
      }),
    );

    it(
      'renews while it lives, and shows what it publishes',
      withStore(async ({ store, renew }) => {
        await store.admit(candidate('a.1', { weight: 2.5, eventVersions: { cart: 3 } }), []);
        assert.ok((await renew('a.1')) && (await renew('a.1')));
        await store.publish('a.1', { lag: 7 });
        const [seen] = (await store.look(FIRST_LOOK)).members;
        assert.deepEqual(seen, {
          incarnation: 'a.1',
          nodeId: 'a',
          state: 'alive',
          renewals: 2,
          leaseMs: 2_000,
          weight: 2.5,
          bus: true,
          eventVersions: { cart: 3 },
          identity: null,
          status: { lag: 7 },
          drainRequested: false,
        });
      }),
    );
  });

  describe(`${name}: a look`, () => {
    it(
      'brings the shards only where one has changed hands since',
      withStore(async ({ store }) => {
        await store.admit(candidate('a.1'), []);
        assert.equal((await store.look(SHARD_COUNT)).shards, null);
        assert.equal((await store.look(SHARD_COUNT - 1)).shards?.length, SHARD_COUNT);
        await store.admit(candidate('b.1'), []);
        assert.equal((await store.look(SHARD_COUNT)).shards, null);
      }),
    );
  });

  describe(`${name}: a takeover`, () => {
    it(
      'of those who have not renewed gives each of their shards to the one who should have it, and nobody else’s',
      withStore(async ({ store, mayWrite, renew }) => {
        await store.admit(candidate('a.1'), []);
        for (const one of ['b.1', 'c.1', 'd.1']) await store.admit(candidate(one), []);
        await store.become('d.1', 'leaving');
        assert.deepEqual(await store.takeOver([{ incarnation: 'a.1', renewals: 0 }]), ['a.1']);
        assert.ok(!(await mayWrite('a.1')) && !(await renew('a.1')));
        const { members } = await store.look(FIRST_LOOK);
        assert.deepEqual(await owners(store), [...placementOver(members)]);
        assert.deepEqual(await living(store), ['b.1 alive', 'c.1 alive', 'd.1 leaving']);
        const before = await shards(store);
        assert.deepEqual(await store.takeOver([{ incarnation: 'd.1', renewals: 0 }]), ['d.1']);
        assert.deepEqual(await shards(store), before);
      }),
    );

    it(
      'finds those done who have renewed, left, died or never were',
      withStore(async ({ store, renew }) => {
        for (const one of ['a.1', 'b.1', 'c.1']) await store.admit(candidate(one), []);
        await renew('a.1');
        await store.leave('b.1');
        await store.takeOver([{ incarnation: 'c.1', renewals: 0 }]);
        const all = ['a.1', 'b.1', 'c.1', 'd.1'].map((incarnation) => ({ incarnation, renewals: 0 }));
        assert.deepEqual(await store.takeOver(all), []);
        assert.deepEqual(await store.takeOver([]), []);
        assert.deepEqual(await living(store), ['a.1 alive']);
      }),
    );

    it(
      'with nobody left who is alive leaves the shards to the next who comes',
      withStore(async ({ store }) => {
        await store.admit(candidate('a.1'), []);
        await store.admit(candidate('b.1', { state: 'joining' }), []);
        assert.deepEqual(await store.takeOver([{ incarnation: 'a.1', renewals: 0 }]), ['a.1']);
        assert.ok((await owners(store)).every((owner) => owner === 'a.1'));
        await store.admit(candidate('c.1'), []);
        assert.ok((await owners(store)).every((owner) => owner === 'c.1'));
      }),
    );
  });

  describe(`${name}: an admission`, () => {
    it(
      'is refused beside a living member that does not fit, and changes nothing',
      withStore(async ({ store, mayWrite }) => {
        await store.admit(candidate('a.1'), []);
        const admission = await store.admit(candidate('a.2'), [{ incarnation: 'a.1', renewals: 7 }]);
        assert.ok(!admission.ok);
        assert.deepEqual(
          admission.conflicts.map(({ member }) => member.incarnation),
          ['a.1'],
        );
        assert.ok(!(await mayWrite('a.2')));
        assert.deepEqual(await living(store), ['a.1 alive']);
      }),
    );

    it(
      'takes over, in one step, those that stand as they were watched, or whoever lives',
      withStore(async ({ store, renew }) => {
        await store.admit(candidate('a.1'), []);
        assert.ok((await store.admit(candidate('a.2'), [{ incarnation: 'a.1', renewals: 0 }])).ok);
        assert.deepEqual(await living(store), ['a.2 alive']);
        await renew('a.2');
        assert.ok((await store.admit(candidate('b.1', { bus: false }), 'all')).ok);
        assert.deepEqual(await living(store), ['b.1 alive']);
        assert.ok((await shards(store)).every(({ owner, epoch }) => owner === 'b.1' && epoch === 3));
      }),
    );

    it(
      'takes nobody over where it is refused because of another',
      withStore(async ({ store }) => {
        await store.admit(candidate('a.1'), []);
        await store.admit(candidate('b.1'), []);
        const lone = candidate('c.1', { bus: false });
        assert.ok(!(await store.admit(lone, [{ incarnation: 'a.1', renewals: 0 }])).ok);
        assert.deepEqual(await living(store), ['a.1 alive', 'b.1 alive']);
      }),
    );
  });

  describe(`${name}: event versions`, () => {
    it(
      'are raised to what all who live can read, and bind those who come',
      withStore(async ({ store }) => {
        const admit = async (incarnation: string, eventVersions: Readonly<Record<string, number>>) =>
          await store.admit(candidate(incarnation, { eventVersions }), []);
        assert.deepEqual(await admit('a.1', { cart: 1, sku: 2 }), { ok: true, writes: { cart: 1, sku: 2 } });
        assert.deepEqual(await admit('b.1', { cart: 2, sku: 2 }), { ok: true, writes: { cart: 1, sku: 2 } });
        await store.leave('a.1');
        assert.deepEqual(await store.raiseVersions({ cart: 2, sku: 2 }), { cart: 2, sku: 2 });
        await assert.rejects(admit('a.2', { cart: 1, sku: 2 }), /events of cart in version 2/);
        await assert.rejects(admit('a.2', { cart: 2 }), /events of sku/);
        assert.ok((await admit('c.1', {})).ok, 'who says nothing reads everything');
      }),
    );
  });
}
