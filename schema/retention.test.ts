import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { sql } from 'kysely';
import { batchOf, event, fullBatch } from '../runtime/journal-conformance.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { ANSWER_TTL_MS, findAnswer, insertAnswer, removeOldAnswers } from './answers.ts';
import { PgJournal } from './journal.ts';
import { joinAlone } from './members.ts';
import { removeColdEvents, removeHistories } from './retention.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';

let database: TestDatabase;
let member: ClusterMembership;
let journal: PgJournal;
before(async () => {
  database = await migratedTestDatabase();
  member = await joinAlone({ database, nodeId: 'test', lanes: 1, clock: new SystemClock(), leaseMs: 60_000 });
  journal = new PgJournal({ database, incarnation: member.incarnation, lanes: 1 });
});
after(async () => {
  await journal.close();
  await member.leave();
  await database.drop();
});
beforeEach(async () => {
  await sql`TRUNCATE journal, snapshot, answer, timer`.execute(database.db);
});

const fence = () => ({ incarnation: member.incarnation, lane: 0, gen: journal.generation(0) });
const cart = (id: string, seq = 1) => ({ type: 'cart', id, seq });
const seqs = async (id: string) => (await journal.tail({ type: 'cart', id }, 0)).events.map((row) => row.seq);

describe('removing histories', () => {
  it('takes everything of the actors named, and nothing of others', async () => {
    for (const id of ['a', 'b', 'c']) await journal.append(fullBatch(id));
    assert.deepEqual(await removeHistories(database.db, fence(), [cart('a'), cart('b'), cart('unknown')]), [
      { type: 'cart', id: 'a' },
      { type: 'cart', id: 'b' },
    ]);
    const loaded = await journal.load(['a', 'b', 'c'].map((id) => ({ type: 'cart', id })));
    assert.deepEqual(
      loaded.map((actor) => [actor.snapshot?.seq, actor.timerDue]),
      [
        [undefined, null],
        [undefined, null],
        [1, 5000],
      ],
    );
    assert.equal(await journal.answer(cart('a'), 'k'), null);
    assert.deepEqual(await removeHistories(database.db, fence(), []), []);
  });

  it('leaves an actor whole that has moved on since it was judged', async () => {
    await journal.append(fullBatch('a'));
    await journal.append(batchOf({ events: [event('a', 2)] }));
    assert.deepEqual(await removeHistories(database.db, fence(), [cart('a', 1)]), []);
    assert.deepEqual(await seqs('a'), [1, 2]);
  });

  it('waits for an append in flight, and then sees it', async () => {
    await journal.append(fullBatch('a'));
    const waits = async (pattern: string) => {
      const { rows } = await database.pool.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1",
        [pattern],
      );
      return rows.length === 1;
    };
    const atWork: Promise<unknown>[] = [];
    await database.db.transaction().execute(async (trx) => {
      await sql`SELECT FROM stock WHERE key = 'sku-a' FOR UPDATE`.execute(trx);
      atWork.push(journal.append(fullBatch('a', 2)));
      await until(() => waits('SELECT append(%'), 'the append waits');
      atWork.push(removeHistories(database.db, fence(), [cart('a', 1)]));
      await until(() => waits('%remove_histories(%'), 'the removal waits');
    });
    assert.deepEqual(await Promise.all(atWork), [undefined, []]);
    assert.deepEqual(await seqs('a'), [1, 2]);
  });

  it('makes a cell that still lives fail with a gap, and lets the id begin anew', async () => {
    await journal.append(fullBatch('a'));
    await removeHistories(database.db, fence(), [cart('a')]);
    await assert.rejects(journal.append(batchOf({ events: [event('a', 2)] })), { outcome: 'refused' });
    await journal.append(batchOf({ events: [event('a', 1)] }));
  });

  it('is not for one who was fenced or has another generation', async () => {
    await journal.append(fullBatch('a'));
    for (const other of [{ gen: 99 }, { lane: 1 }, { incarnation: 'nobody' }]) {
      await assert.rejects(removeHistories(database.db, { ...fence(), ...other }, [cart('a')]), { outcome: 'fenced' });
    }
    assert.deepEqual(await seqs('a'), [1]);
  });
});

describe('removing cold events', () => {
  it('takes old ones before the snapshot, never the one at it or behind it', async () => {
    const events = [1, 2, 3, 4, 5].map((seq) => event('a', seq));
    await journal.append(batchOf({ events, snapshots: [{ ...cart('a', 4), version: 1, payload: new Uint8Array(1) }] }));
    await journal.append(batchOf({ events: [event('b', 1), event('b', 2)] }));
    const oldEnough = (events[2]?.at ?? 0) + 1;
    assert.equal(await removeColdEvents(database.db, events[1]?.at ?? 0, 100), 1);
    assert.equal(await removeColdEvents(database.db, oldEnough + 1000, 1), 1);
    assert.equal(await removeColdEvents(database.db, oldEnough + 1000, 100), 1);
    assert.deepEqual(await seqs('a'), [4, 5]);
    assert.deepEqual(await seqs('b'), [1, 2]);
    await journal.append(batchOf({ events: [event('a', 6)] }));
  });
});

describe('an actor whose first events are removed', () => {
  it('cannot begin anew behind its snapshot', async () => {
    const events = [1, 2, 3].map((seq) => event('a', seq));
    await journal.append(batchOf({ events, snapshots: [{ ...cart('a', 3), version: 1, payload: new Uint8Array(1) }] }));
    assert.equal(await removeColdEvents(database.db, Number.MAX_SAFE_INTEGER, 100), 2);
    await assert.rejects(journal.append(batchOf({ events: [event('a', 1)] })), { outcome: 'refused' });
    await assert.rejects(journal.append(fullBatch('a', 1)), { outcome: 'refused' });
    assert.deepEqual(await seqs('a'), [3]);
  });
});

describe('recorded answers', () => {
  const day = 1_700_000_000_000;
  const row = (payload: string, at: number, keyHash = 'k') => ({
    type: 'admin',
    id: 'products',
    keyHash,
    fingerprint: 'f',
    payload: Buffer.from(payload),
    at,
  });

  it('are recorded once per key, and found', async () => {
    assert.ok(await insertAnswer(database.db, row('first', day)));
    assert.ok(!(await insertAnswer(database.db, row('second', day + 1))));
    const found = await findAnswer(database.db, { type: 'admin', id: 'products' }, 'k');
    assert.equal(Buffer.from(found?.payload ?? []).toString(), 'first');
    assert.equal(await findAnswer(database.db, { type: 'admin', id: 'products' }, 'nul\0'), null);
    assert.ok(await insertAnswer(database.db, row('next day', day + ANSWER_TTL_MS + 1)));
  });

  it('of a change that was rolled back are not there', async () => {
    await assert.rejects(
      database.db.transaction().execute(async (trx) => {
        await insertAnswer(trx, row('never', day));
        throw new Error('rolled back');
      }),
    );
    assert.equal(await findAnswer(database.db, { type: 'admin', id: 'products' }, 'k'), null);
  });

  it('are removed past their time, a few at once, but not while an append replaces them', async () => {
    for (const key of ['1', '2', '3', '4']) await insertAnswer(database.db, row('x', day, key));
    await insertAnswer(database.db, row('x', day + ANSWER_TTL_MS, 'young'));
    const now = day + ANSWER_TTL_MS + 3_600_001;
    assert.equal(await removeOldAnswers(database.db, now, 2), 2);
    await database.db.transaction().execute(async (trx) => {
      await sql`SELECT FROM answer WHERE key_hash = '4' FOR UPDATE`.execute(trx);
      assert.ok((await removeOldAnswers(database.db, now, 10)) <= 1);
    });
    await removeOldAnswers(database.db, now, 10);
    const left = await database.db.selectFrom('answer').select('key_hash').execute();
    assert.deepEqual(left, [{ key_hash: 'young' }]);
  });
});
