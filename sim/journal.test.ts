/** The simulated journal does what the real one does; and what an orphan can do, it can do here. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { batchOf, event, journalConformance } from '../runtime/journal-conformance.ts';
import { bench } from './fixture.ts';
import { SimJournal } from './journal.ts';

type Bench = ReturnType<typeof bench>;

function journalOf({ database, process }: Bench, incarnation: string): SimJournal {
  const sender = { process, node: 'node', incarnation };
  return new SimJournal({ database, sender, lanes: 2, committed: () => {}, refuses: () => false });
}

function member({ database }: Bench, incarnation: string, state: 'alive' | 'dead'): void {
  database.tables.members.set(incarnation, {
    incarnation,
    nodeId: incarnation,
    state,
    renewals: 0,
    leaseMs: 2_000,
    weight: 1,
    bus: true,
    eventVersions: {},
    identity: null,
    status: {},
    drainRequested: false,
  });
  if (state === 'alive') database.tables.fences.add(incarnation);
}

function withMember(seed?: number): Bench {
  const world = bench(seed);
  member(world, 'me', 'alive');
  const { shards } = world.database.tables;
  for (const { shard } of [...shards]) shards[shard] = { shard, owner: 'me', epoch: 1 };
  return world;
}

journalConformance('simulated', async () => {
  const world = withMember();
  const { tables, store } = world.database;
  return {
    journal: journalOf(world, 'me'),
    incarnation: 'me',
    other: async (alive) => {
      const other = alive ? 'other' : 'gone';
      member(world, other, alive ? 'alive' : 'dead');
      return other;
    },
    ownerOf: async (shard) => {
      const row = tables.shards[shard];
      return row === undefined || row.owner === null ? null : { incarnation: row.owner, epoch: row.epoch };
    },
    cleanup: async () => world.end(),
    fence: async () => void tables.fences.delete('me'),
    reopen: async () => journalOf(world, 'me'),
    outbox: async (id) => {
      const row = store.outbox.get(id);
      return row === undefined ? null : { open: row.open };
    },
    projection: async (table, key) => store.projections.get(table)?.get(key) ?? null,
    rowCount: async () => {
      let count = store.outbox.size + store.answers.size;
      for (const table of store.projections.values()) count += table.size;
      for (const actor of store.actors.values()) {
        count += actor.events.length + (actor.snapshot === null ? 0 : 1) + (actor.timer === null ? 0 : 1);
      }
      return count;
    },
  };
});

describe('an append whose sender was cut off', () => {
  const cutOff = { id: 0, kind: 'orphans', target: 'node', atMs: 0, durationMs: 0, strength: 1 } as const;

  /** Cuts off appends, one after the other, and says of each how it looked at first and in the end. */
  async function fates(resolved: boolean): Promise<{ atOnce: boolean; later: boolean; said: string | null }[]> {
    const found: { atOnce: boolean; later: boolean; said: string | null }[] = [];
    for (let seed = 1; seed <= 40; seed++) {
      const world = withMember(seed);
      const journal = journalOf(world, 'me');
      world.weather.begin(cutOff);
      const batch = batchOf({ events: [event('a', 1)] });
      const outcome = await journal.append(batch).then(
        () => 'done',
        (error: { outcome: string }) => error.outcome,
      );
      world.weather.end(cutOff);
      const there = (): boolean => (world.database.store.actors.get('cart\u0000a')?.events.length ?? 0) > 0;
      if (outcome === 'unknown') {
        const said = resolved ? await journal.resolve(batch) : null;
        const atOnce = there();
        const until = world.scheduler.now + 40_000;
        while (world.scheduler.now < until) await new Promise((resolve) => setImmediate(resolve));
        found.push({ atOnce, later: there(), said });
      }
      world.end();
    }
    return found;
  }

  it('may be done long after a look that did not find it', async () => {
    const found = await fates(false);
    assert.ok(
      found.some(({ atOnce, later }) => !atOnce && later),
      'done late',
    );
    assert.ok(
      found.some(({ later }) => !later),
      'never done',
    );
  });

  it('is done or never will be, as its resolution says', async () => {
    const found = await fates(true);
    assert.ok(found.length > 10);
    for (const { atOnce, later, said } of found) {
      assert.equal(atOnce, said === 'committed');
      assert.equal(later, atOnce);
    }
    assert.deepEqual([...new Set(found.map(({ said }) => said))].sort(), ['committed', 'void']);
  });
});
