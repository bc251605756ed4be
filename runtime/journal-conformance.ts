/**
 * What every `Journal` must do, as tests. `runtime/memory.test.ts` runs them in memory, `schema/journal.test.ts` on
 * PostgreSQL, so that what the runtime is tested with behaves like what it runs on.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  AppendOutcome,
  Batch,
  EventRow,
  Gift,
  GivingJournal,
  Journal,
  OutboxRow,
  ProjectionRow,
} from './journal.ts';
import { AppendError, emptyBatch } from './journal.ts';
import type { ShardOwner } from './members.ts';

/** A journal under test, empty, with at least two lanes and a page size of at least 10. */
export interface JournalUnderTest {
  readonly journal: GivingJournal;
  /** Who writes with it; alive, and the owner of all shards under epoch 1. */
  readonly incarnation: string;
  /** Closes the journal and what belongs to it. */
  cleanup(): Promise<void>;
  /** Another member takes over: this journal's fences are gone. */
  fence(): Promise<void>;
  /** Another journal on the same data, as after a restart; closed by `cleanup`. */
  reopen(): Promise<Journal>;
  /** The incarnation of another member, alive or dead. */
  other(alive: boolean): Promise<string>;
  ownerOf(shard: number): Promise<ShardOwner | null>;
  outbox(id: string): Promise<{ open: boolean } | null>;
  /** Table `stock` or `orders`. */
  projection(table: string, key: string): Promise<{ version: number; doc: unknown } | null>;
  /** Rows stored in all of the journal's tables together. */
  rowCount(): Promise<number>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

export function event(id: string, seq: number, payload = `event ${seq}`): EventRow {
  return {
    type: 'cart',
    id,
    shard: 0,
    seq,
    epoch: 1,
    version: 1,
    payload: bytes(payload),
    at: 1_700_000_000_000 + seq,
  };
}
function stock(key: string, version: number, onHand: number): ProjectionRow {
  return { table: 'stock', key, version, doc: { onHand, held: 0, allocated: 0, available: onHand } };
}
function job(id: string): OutboxRow {
  return { id, shard: 0, job: 'email', doc: { orderId: id } };
}
export function batchOf(rows: Partial<Batch>): Batch {
  return { ...emptyBatch(rows.lane ?? 0), ...rows };
}
/** One row for every table, all of the cart `id`. */
export function fullBatch(id: string, seq = 1): Batch {
  return batchOf({
    events: [event(id, seq)],
    snapshots: [{ type: 'cart', id, seq, version: 1, payload: bytes('folded') }],
    timers: [{ type: 'cart', id, shard: 0, due: 5000 }],
    outboxAdd: [job(`job-${id}-${seq}`)],
    answers: [{ type: 'cart', id, keyHash: 'k', fingerprint: 'f', payload: bytes('answer'), at: 1 }],
    projections: [stock(`sku-${id}`, seq, 7)],
  });
}

async function rejectsWith(outcome: AppendOutcome, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof AppendError, String(error));
    assert.equal(error.outcome, outcome, error.message);
    return true;
  });
}

export function journalConformance(name: string, make: () => Promise<JournalUnderTest>): void {
  const fact = (title: string, body: (under: JournalUnderTest) => Promise<void>): void => {
    it(title, async () => {
      const under = await make();
      try {
        await body(under);
      } finally {
        await under.cleanup();
      }
    });
  };

  describe(`${name}: events`, () => {
    fact('come back in order, whole, also from another journal on the same data', async ({ journal, reopen }) => {
      const odd = ['', 'it\'s "quoted" \\ {a,b} NULL', '🦀 ünïcode \u0000 in a payload', 'x'.repeat(100_000)];
      await journal.append(batchOf({ events: odd.map((payload, index) => event('a', index + 1, payload)) }));
      for (const from of [journal, await reopen()]) {
        const [loaded] = await from.load([{ type: 'cart', id: 'a' }]);
        assert.deepEqual(loaded?.ref, { type: 'cart', id: 'a' });
        assert.deepEqual(
          loaded?.events.map((row) => [row.seq, text(row.payload), row.epoch, row.version, row.at, row.shard]),
          odd.map((payload, index) => [index + 1, payload, 1, 1, 1_700_000_000_001 + index, 0]),
        );
      }
    });

    fact('of a batch are stored for each of its actors, whatever text their ids are', async ({ journal }) => {
      const ids = ['plain', "o'hara", 'quote"', 'back\\slash', '{curly,comma}', 'NULL', '', ' ', 'ünï🦀'];
      const events = Array.from({ length: 500 }, (_, index) => {
        const id = ids[index % ids.length] ?? '';
        return event(id, Math.floor(index / ids.length) + 1);
      });
      await journal.append(batchOf({ events }));
      const loaded = await journal.load(ids.map((id) => ({ type: 'cart', id })));
      const found: number[] = [];
      for (const { ref, events: first, more } of loaded) {
        let count = first.length;
        for (let again = more; again; ) {
          const page = await journal.tail(ref, count);
          count += page.events.length;
          again = page.more;
        }
        found.push(count);
      }
      assert.deepEqual(
        found,
        ids.map((id) => events.filter((row) => row.id === id).length),
      );
    });

    fact('of one sequence are stored once: the second append is refused', async ({ journal }) => {
      await journal.append(batchOf({ events: [event('a', 1, 'first')] }));
      await rejectsWith('refused', journal.append(batchOf({ events: [event('a', 1, 'second')] })));
      const { events } = await journal.tail({ type: 'cart', id: 'a' }, 0);
      assert.deepEqual(
        events.map((row) => text(row.payload)),
        ['first'],
      );
    });

    fact(
      'that leave a gap are refused, at the start, in the middle and within a batch',
      async ({ journal, rowCount }) => {
        await rejectsWith('refused', journal.append(batchOf({ events: [event('a', 2)] })));
        await rejectsWith('refused', journal.append(batchOf({ events: [event('a', 1), event('a', 3)] })));
        assert.equal(await rowCount(), 0);
        await journal.append(batchOf({ events: [event('a', 1)] }));
        await rejectsWith('refused', journal.append(batchOf({ events: [event('a', 3)] })));
        await journal.append(batchOf({ events: [event('a', 2), event('a', 3)] }));
      },
    );

    fact('of an actor type do not count for another type with the same id', async ({ journal }) => {
      await journal.append(batchOf({ events: [event('a', 1)] }));
      await rejectsWith('refused', journal.append(batchOf({ events: [{ ...event('a', 2), type: 'order' }] })));
    });

    fact('beyond a page are said to be more, and the tail goes on without loss', async ({ journal }) => {
      const count = 1234;
      for (let from = 1; from <= count; from += 400) {
        const events = Array.from({ length: Math.min(400, count - from + 1) }, (_, index) => event('a', from + index));
        await journal.append(batchOf({ events }));
      }
      const [first] = await journal.load([{ type: 'cart', id: 'a' }]);
      assert.equal(first?.more, true);
      const seqs = first?.events.map((row) => row.seq) ?? [];
      for (let more = true; more; ) {
        const page = await journal.tail({ type: 'cart', id: 'a' }, seqs.at(-1) ?? 0);
        seqs.push(...page.events.map((row) => row.seq));
        more = page.more;
      }
      assert.deepEqual(
        seqs,
        Array.from({ length: count }, (_, index) => index + 1),
      );
    });

    fact('load in the order asked for, with nothing for an actor that has none', async ({ journal }) => {
      await journal.append(batchOf({ events: [event('b', 1), event('a', 1), event('a', 2)] }));
      const loaded = await journal.load(['none', 'a', 'b'].map((id) => ({ type: 'cart', id })));
      assert.deepEqual(
        loaded.map((actor) => [actor.ref.id, actor.events.length, actor.snapshot, actor.more, actor.timerDue]),
        [
          ['none', 0, null, false, null],
          ['a', 2, null, false, null],
          ['b', 1, null, false, null],
        ],
      );
      assert.deepEqual(await journal.load([]), []);
    });
  });

  describe(`${name}: a batch`, () => {
    fact('is written whole', async ({ journal, outbox, projection }) => {
      await journal.append(fullBatch('a'));
      const [loaded] = await journal.load([{ type: 'cart', id: 'a' }]);
      assert.equal(loaded?.snapshot?.seq, 1);
      assert.equal(loaded?.timerDue, 5000);
      assert.deepEqual(await outbox('job-a-1'), { open: true });
      const answer = await journal.answer({ type: 'cart', id: 'a' }, 'k');
      assert.equal(answer?.fingerprint, 'f');
      assert.equal(text(answer?.payload ?? bytes('')), 'answer');
      assert.equal((await projection('stock', 'sku-a'))?.version, 1);
    });

    fact('with one bad row is refused whole', async ({ journal, rowCount }) => {
      await journal.append(batchOf({ events: [event('old', 1)] }));
      const before = await rowCount();
      const good = fullBatch('a');
      for (const bad of [event('old', 1), event('new', 2), event('nul\u0000', 1), event('lone\ud800', 1)]) {
        await rejectsWith('refused', journal.append({ ...good, events: [...good.events, bad] }));
      }
      const badDoc = { ...job('j'), doc: { name: 'nul\u0000' } };
      await rejectsWith('refused', journal.append({ ...good, outboxAdd: [badDoc] }));
      assert.equal(await rowCount(), before);
      await journal.append(good);
    });

    fact('that is empty is accepted', async ({ journal, rowCount }) => {
      await journal.append(batchOf({}));
      assert.equal(await rowCount(), 0);
    });

    fact('leaves no row in any table once the writer is fenced', async ({ journal, fence, rowCount }) => {
      await fence();
      await rejectsWith('fenced', journal.append(fullBatch('a')));
      await rejectsWith('fenced', journal.append(batchOf({ outboxAdd: [job('only')] })));
      await rejectsWith('fenced', journal.append(batchOf({})));
      assert.equal(await rowCount(), 0);
    });

    fact('of one lane does not wait for another lane', async ({ journal }) => {
      await Promise.all([
        journal.append(batchOf({ lane: 0, events: [event('a', 1)] })),
        journal.append(batchOf({ lane: 1, events: [event('b', 1)] })),
      ]);
      const loaded = await journal.load(['a', 'b'].map((id) => ({ type: 'cart', id })));
      assert.deepEqual(
        loaded.map((actor) => actor.events.length),
        [1, 1],
      );
    });
  });

  describe(`${name}: resolving an unknown append`, () => {
    fact('says committed of a batch that is there', async ({ journal }) => {
      const batch = fullBatch('a');
      await journal.append(batch);
      assert.equal(await journal.resolve(batch), 'committed');
      await journal.append(fullBatch('a', 2));
    });

    fact('says void of a batch that is not there, which may then be appended', async ({ journal }) => {
      const batch = fullBatch('a');
      assert.equal(await journal.resolve(batch), 'void');
      await journal.append(batch);
    });

    fact('says void where the sequence is there with other events', async ({ journal }) => {
      await journal.append(batchOf({ events: [event('a', 1, 'theirs')] }));
      assert.equal(await journal.resolve(batchOf({ events: [event('a', 1, 'ours')] })), 'void');
    });

    fact('looks at the answer of a batch without events', async ({ journal }) => {
      const batch = batchOf({ answers: fullBatch('a').answers });
      assert.equal(await journal.resolve(batch), 'void');
      await journal.append(batch);
      assert.equal(await journal.resolve(batch), 'committed');
    });

    fact('fails with fenced once the writer is fenced', async ({ journal, fence }) => {
      await fence();
      await rejectsWith('fenced', journal.resolve(fullBatch('a')));
    });
  });

  describe(`${name}: a gift`, () => {
    const giftOf = (to: string, ...shards: (readonly [shard: number, epoch: number])[]): Gift => ({
      lane: 0,
      to,
      shards: shards.map(([shard, epoch]) => ({ shard, epoch })),
    });

    fact('gives its shards to the other, each one epoch higher, and no others', async (under) => {
      const { journal, incarnation, other, ownerOf } = under;
      const to = await other(true);
      await journal.give(giftOf(to, [2, 1], [4, 1]));
      assert.deepEqual(await ownerOf(2), { incarnation: to, epoch: 2 });
      assert.deepEqual(await ownerOf(4), { incarnation: to, epoch: 2 });
      assert.deepEqual(await ownerOf(6), { incarnation, epoch: 1 });
      await journal.append(fullBatch('a'));
    });

    fact('is refused wholly where one shard is not as given, or the other is not alive', async (under) => {
      const { journal, incarnation, other, ownerOf } = under;
      const to = await other(true);
      await rejectsWith('refused', journal.give(giftOf(to, [2, 1], [4, 2])));
      await rejectsWith('refused', journal.give(giftOf(await other(false), [2, 1])));
      await rejectsWith('refused', journal.give(giftOf('nobody', [2, 1])));
      assert.deepEqual(await ownerOf(2), { incarnation, epoch: 1 });
      await journal.give(giftOf(to, [4, 1]));
      await rejectsWith('refused', journal.give(giftOf(to, [2, 1], [4, 1])));
      await rejectsWith('refused', journal.give(giftOf(to, [2, 1], [4, 2])));
      assert.deepEqual(await ownerOf(2), { incarnation, epoch: 1 });
      await journal.append(fullBatch('a'));
    });

    fact(
      'is fenced with its lane, and changes nothing then',
      async ({ journal, incarnation, fence, other, ownerOf }) => {
        const to = await other(true);
        await fence();
        await rejectsWith('fenced', journal.give(giftOf(to, [2, 1])));
        await rejectsWith('fenced', journal.resolveGift(giftOf(to, [2, 1])));
        assert.deepEqual(await ownerOf(2), { incarnation, epoch: 1 });
      },
    );

    fact('resolved is committed where it is there', async (under) => {
      const { journal, other } = under;
      const to = await other(true);
      const gift = giftOf(to, [2, 1], [4, 1]);
      await journal.give(gift);
      assert.equal(await journal.resolveGift(gift), 'committed');
      await journal.append(fullBatch('a'));
    });

    fact('resolved is void where it is not there, and may then be given again', async ({ journal, other, ownerOf }) => {
      const to = await other(true);
      const gift = giftOf(to, [2, 1]);
      assert.equal(await journal.resolveGift(gift), 'void');
      await journal.give(gift);
      assert.deepEqual(await ownerOf(2), { incarnation: to, epoch: 2 });
    });
  });

  describe(`${name}: snapshots, timers, outbox, answers, read rows`, () => {
    const snapshot = (seq: number) => ({ type: 'cart', id: 'a', seq, version: 1, payload: bytes(`at ${seq}`) });

    fact('a snapshot replaces only one of a lower sequence, and cuts the events before it', async ({ journal }) => {
      await journal.append(batchOf({ events: [1, 2, 3, 4].map((seq) => event('a', seq)), snapshots: [snapshot(3)] }));
      await journal.append(batchOf({ snapshots: [snapshot(2)] }));
      let [loaded] = await journal.load([{ type: 'cart', id: 'a' }]);
      assert.equal(text(loaded?.snapshot?.payload ?? bytes('')), 'at 3');
      assert.deepEqual(
        loaded?.events.map((row) => row.seq),
        [4],
      );
      await journal.append(batchOf({ snapshots: [snapshot(4)] }));
      [loaded] = await journal.load([{ type: 'cart', id: 'a' }]);
      assert.equal(loaded?.snapshot?.seq, 4);
      assert.deepEqual(loaded?.events, []);
    });

    fact('a snapshot of an event that was never stored is refused', async ({ journal }) => {
      await journal.append(batchOf({ events: [event('a', 1)] }));
      await rejectsWith('refused', journal.append(batchOf({ snapshots: [snapshot(2)] })));
    });

    fact(
      'a timer is one per actor, found earliest first in its shard, and stays until changed',
      async ({ journal }) => {
        const timer = (id: string, shard: number, due: number | null) => ({ type: 'cart', id, shard, due });
        await journal.append(
          batchOf({ timers: [timer('a', 1, 300), timer('b', 2, 100), timer('c', 1, 200), timer('d', 1, 999)] }),
        );
        const ids = async (shards: number[] | null, limit = 10) =>
          (await journal.dueTimers(300, shards, limit)).map((row) => `${row.type} ${row.id} ${row.due}`);
        assert.deepEqual(await ids(null), ['cart b 100', 'cart c 200', 'cart a 300']);
        assert.deepEqual(await ids(null, 2), ['cart b 100', 'cart c 200']);
        assert.deepEqual(await ids([1]), ['cart c 200', 'cart a 300']);
        assert.deepEqual(await ids([]), []);
        await journal.append(batchOf({ timers: [timer('b', 2, 5000), timer('c', 1, null), timer('never', 1, null)] }));
        assert.deepEqual(await ids(null), ['cart a 300']);
      },
    );

    fact('an outbox id is added once for ever, and closed for good', async ({ journal, outbox }) => {
      await journal.append(batchOf({ outboxAdd: [job('j')] }));
      await journal.append(batchOf({ outboxAdd: [job('j'), job('k'), job('k')], outboxClose: ['unknown'] }));
      assert.deepEqual(await outbox('j'), { open: true });
      await journal.append(batchOf({ outboxClose: ['j'] }));
      await journal.append(batchOf({ outboxAdd: [job('j')] }));
      assert.deepEqual(await outbox('j'), { open: false });
      assert.deepEqual(await outbox('k'), { open: true });
      assert.equal(await outbox('unknown'), null);
    });

    fact('an outbox row that is added and closed by one batch is closed', async ({ journal, outbox }) => {
      await journal.append(batchOf({ outboxAdd: [job('j')], outboxClose: ['j'] }));
      assert.deepEqual(await outbox('j'), { open: false });
    });

    fact('an answer is found by actor and key; a later one under the same key replaces it', async ({ journal }) => {
      const ref = { type: 'cart', id: 'a' };
      const answer = (payload: string, at: number) => ({
        ...ref,
        keyHash: 'k',
        fingerprint: 'f',
        payload: bytes(payload),
        at,
      });
      await journal.append(batchOf({ answers: [answer('first', 1), { ...answer('', 1), keyHash: 'empty' }] }));
      await journal.append(batchOf({ answers: [answer('second', 2), answer('third', 3)] }));
      assert.equal(text((await journal.answer(ref, 'k'))?.payload ?? bytes('')), 'third');
      assert.equal((await journal.answer(ref, 'empty'))?.payload.length, 0);
      assert.equal(await journal.answer(ref, 'other'), null);
      assert.equal(await journal.answer({ type: 'cart', id: 'b' }, 'k'), null);
    });

    fact('a read row is written only over a lower version, the last of a batch wins, null deletes', async (under) => {
      const { journal, projection } = under;
      const onHand = async () => ((await projection('stock', 's'))?.doc as { onHand: number } | undefined)?.onHand;
      await journal.append(batchOf({ projections: [stock('s', 3, 30), stock('other', 1, 1)] }));
      await journal.append(batchOf({ projections: [stock('s', 3, 31)] }));
      await journal.append(batchOf({ projections: [stock('s', 2, 20)] }));
      assert.equal(await onHand(), 30);
      await journal.append(batchOf({ projections: [stock('s', 4, 40), stock('s', 5, 50)] }));
      assert.equal(await onHand(), 50);
      await journal.append(batchOf({ projections: [{ table: 'stock', key: 's', version: 4, doc: null }] }));
      assert.equal(await onHand(), 50);
      await journal.append(batchOf({ projections: [{ table: 'stock', key: 's', version: 6, doc: null }] }));
      assert.equal(await projection('stock', 's'), null);
    });
  });
}
