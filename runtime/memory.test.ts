import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppendError } from './journal.ts';
import { batchOf, event, fullBatch, journalConformance } from './journal-conformance.ts';
import { MemoryJournal, MemoryStore } from './memory.ts';
import { SHARD_COUNT } from './shard.ts';

journalConformance('in memory', async () => {
  const store = new MemoryStore();
  const journal = new MemoryJournal({ lanes: 2, store, incarnation: 'me' });
  store.members.add('me');
  for (let shard = 0; shard < SHARD_COUNT; shard++) store.shards.set(shard, { owner: 'me', epoch: 1 });
  return {
    journal,
    incarnation: 'me',
    other: async (alive) => {
      if (alive) store.members.add('other');
      return alive ? 'other' : 'dead';
    },
    ownerOf: async (shard) => {
      const row = store.shards.get(shard);
      return row === undefined ? null : { incarnation: row.owner, epoch: row.epoch };
    },
    cleanup: () => journal.close(),
    fence: async () => journal.fence(),
    reopen: async () => new MemoryJournal({ lanes: 2, store }),
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

describe('the journal in memory', () => {
  it('takes one append per lane at a time', async () => {
    const journal = new MemoryJournal({ lanes: 2 });
    const first = journal.append(batchOf({ events: [event('a', 1)] }));
    await assert.rejects(journal.append(batchOf({ events: [event('b', 1)] })), /lane 0 is busy/);
    await first;
    await assert.rejects(journal.append(batchOf({ lane: 2 })), /lane 2 is busy or does not exist/);
  });

  it('can commit and lose the answer: resolve then says committed', async () => {
    const journal = new MemoryJournal({ lanes: 1 });
    journal.intercept = (_batch, commit) => {
      commit();
      throw new AppendError('unknown', 'cut');
    };
    const batch = fullBatch('a');
    await assert.rejects(journal.append(batch), { outcome: 'unknown' });
    assert.equal(await journal.resolve(batch), 'committed');
  });

  it('voids an orphan that has not committed when its batch is resolved', async () => {
    const journal = new MemoryJournal({ lanes: 1 });
    let orphan: () => void = () => assert.fail('the append never came');
    journal.intercept = (_batch, commit) => {
      orphan = commit;
      throw new AppendError('unknown', 'cut');
    };
    const batch = fullBatch('a');
    await assert.rejects(journal.append(batch), { outcome: 'unknown' });
    assert.equal(await journal.resolve(batch), 'void');
    assert.throws(orphan, { outcome: 'fenced' });
    assert.equal(journal.store.actors.size, 0);
  });

  it('keeps what it stored when the caller reuses its bytes', async () => {
    const journal = new MemoryJournal({ lanes: 1 });
    const row = event('a', 1, 'before');
    await journal.append(batchOf({ events: [row] }));
    row.payload.fill(0);
    const { events } = await journal.tail(row, 0);
    assert.equal(new TextDecoder().decode(events[0]?.payload), 'before');
  });

  it('refuses everything once closed', async () => {
    const journal = new MemoryJournal({ lanes: 1 });
    await journal.close();
    await assert.rejects(journal.append(fullBatch('a')), { outcome: 'unavailable' });
    await assert.rejects(journal.load([]), { outcome: 'unavailable' });
  });
});
