/**
 * Each dangerous interleaving of a takeover, made on purpose on PostgreSQL with row locks that keep a backend waiting where it matters,
 * and beside each the simpler way that loses by it.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import { AppendError } from '../runtime/journal.ts';
import { batchOf, event, fullBatch } from '../runtime/journal-conformance.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { APPEND_FUNCTION } from './append.ts';
import { openDatabase } from './database.ts';
import { PgJournal } from './journal.ts';
import { PgMemberStore } from './member-store.ts';
import { join } from './members.ts';
import { renew } from './renewal.ts';
import { removeHistories } from './retention.ts';
import { membershipName } from './takeover.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';

const TABLES = ['journal', 'snapshot', 'timer', 'outbox', 'answer', 'orders', 'stock'];
const LEASE_MS = 600_000;

let database: TestDatabase;
let writer: ClusterMembership;
let heir: ClusterMembership;
let journal: PgJournal;
let heirs: PgJournal;
const stores: PgMemberStore[] = [];
const clients: pg.Client[] = [];

before(async () => {
  database = await migratedTestDatabase({ poolSize: 12 });
});
after(async () => {
  await database.drop();
});
beforeEach(async () => {
  await database.query(`TRUNCATE ${TABLES.join(', ')}`);
  writer = await member('writer');
  heir = await member('heir');
  assert.ok(writer.owns(0) && !heir.owns(0));
  journal = new PgJournal({ database, incarnation: writer.incarnation, lanes: 1 });
  heirs = new PgJournal({ database, incarnation: heir.incarnation, lanes: 1 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end();
  for (const one of [journal, heirs]) await one.close();
  for (const one of [writer, heir]) await one.leave();
  for (const store of stores.splice(0)) await store.close();
});

/** On which nothing is ever due: how long a test takes decides nothing. */
class PatientClock extends SystemClock {
  override setTimeout(): { cancel(): void } {
    return { cancel: () => {} };
  }
}

/** It renews once, at its start, and looks only when told to. */
async function member(nodeId: string): Promise<ClusterMembership> {
  const options = { leaseMs: LEASE_MS, bus: true, renewals: 'loop' as const };
  return await join({ database, nodeId, lanes: 1, clock: new PatientClock(), ...options });
}

/** What a member's store does that has watched the writer stand still. */
async function takeOver(
  taker = 'taker',
  renewals = writer.renewals,
  clock: SystemClock = new PatientClock(),
): Promise<readonly string[]> {
  const own = openDatabase({ ...database.options, applicationName: membershipName(taker), poolSize: 2 });
  const store = new PgMemberStore({ database: own, clock, leaseMs: LEASE_MS });
  stores.push(store);
  return await store.takeOver([{ incarnation: writer.incarnation, renewals }]);
}

async function session(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  clients.push(client);
  await client.connect();
  await client.query('SET search_path = stampede');
  return client;
}

async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'done',
    (error: unknown) => (error instanceof AppendError ? error.outcome : String(error)),
  );
}

/** Another session keeps the row that `fullBatch(id)` writes last: its append waits there, holding its fence. */
async function lockStock(id: string): Promise<{ release(): Promise<void> }> {
  const client = await session();
  const doc = '{"onHand":0,"held":0,"allocated":0,"available":0}';
  await client.query('INSERT INTO stock VALUES ($1, 0, $2) ON CONFLICT DO NOTHING', [`sku-${id}`, doc]);
  await client.query('BEGIN');
  await client.query('SELECT FROM stock WHERE key = $1 FOR UPDATE', [`sku-${id}`]);
  return { release: async () => void (await client.query('ROLLBACK')) };
}

async function waits(pattern: string, sessions = 1): Promise<void> {
  await until(async () => {
    const rows = await database.query(
      `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`,
      [pattern],
    );
    return rows.length === sessions;
  }, `${pattern} waits`);
}
const appendWaits = () => waits('SELECT append(%');
const takeoverWaitsForFence = () => waits('delete from "fence"%');

async function stateOf(of: ClusterMembership): Promise<string | undefined> {
  const rows = await database.query<{ state: string }>('SELECT state FROM member WHERE incarnation = $1', [
    of.incarnation,
  ]);
  return rows[0]?.state;
}

async function shardRow(shard = 0): Promise<{ owner: string; epoch: number } | undefined> {
  return (
    await database.query<{ owner: string; epoch: number }>('SELECT owner, epoch FROM shard WHERE shard = $1', [shard])
  )[0];
}

/** Sequences that the heir would bring to memory. */
async function loadedByHeir(id: string): Promise<number[]> {
  return (await heirs.tail({ type: 'cart', id }, 0)).events.map(({ seq }) => seq);
}

async function rowCounts(): Promise<number[]> {
  return await Promise.all(
    TABLES.map(async (table) => (await database.query<{ n: number }>(`SELECT count(*) AS n FROM ${table}`))[0]?.n ?? 0),
  );
}

describe('a takeover while an append runs', () => {
  it('waits for it, and gives the shards only then: the heir finds what was written', async () => {
    const lock = await lockStock('a');
    const appended = outcomeOf(journal.append(fullBatch('a')));
    await appendWaits();
    const taking = takeOver();
    await takeoverWaitsForFence();
    assert.equal((await shardRow())?.owner, writer.incarnation);
    await lock.release();
    assert.equal(await appended, 'done');
    assert.deepEqual(await taking, [writer.incarnation]);
    await heir.look();
    assert.ok(heir.owns(0));
    assert.equal(heir.epoch(0), writer.epoch(0) + 1);
    assert.deepEqual(await loadedByHeir('a'), [1]);
    assert.equal(await outcomeOf(journal.append(fullBatch('a', 2))), 'fenced');
    await heirs.append(fullBatch('a', 2));
  });

  it('loses it to a fence that is only looked at: the batch commits behind the heir’s back', async () => {
    const replaced = (sql: string) => sql.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION');
    const simpler = APPEND_FUNCTION.replace('gen = p_gen FOR UPDATE;', 'gen = p_gen;');
    assert.notEqual(simpler, APPEND_FUNCTION);
    await database.query(replaced(simpler));
    try {
      const lock = await lockStock('a');
      const appended = outcomeOf(journal.append(fullBatch('a')));
      await appendWaits();
      assert.deepEqual(await takeOver(), [writer.incarnation]);
      await heir.look();
      assert.ok(heir.owns(0));
      assert.deepEqual(await loadedByHeir('a'), [], 'what the heir takes for the truth');
      await lock.release();
      assert.equal(await appended, 'done');
      assert.deepEqual(await loadedByHeir('a'), [1]);
    } finally {
      await database.query(replaced(APPEND_FUNCTION));
    }
  });

  it('loses it by deleting and loading in one statement, which reads from before it waited', async () => {
    const lock = await lockStock('a');
    const appended = outcomeOf(journal.append(fullBatch('a')));
    await appendWaits();
    const taker = await session();
    const taken = taker.query(
      `WITH gone AS (DELETE FROM fence WHERE incarnation = $1 RETURNING lane)
       SELECT (SELECT count(*) FROM gone)::integer AS fences, (SELECT count(*) FROM journal)::integer AS events`,
      [writer.incarnation],
    );
    await waits('WITH gone%');
    await lock.release();
    assert.equal(await appended, 'done');
    assert.deepEqual((await taken).rows, [{ fences: 1, events: 0 }]);
    assert.deepEqual(await loadedByHeir('a'), [1]);
  });

  it('ends whatever the dead write under a fence and does not end by itself, whichever connection it uses', async () => {
    await journal.append(batchOf({ events: [event('a', 1)] }));
    const blocker = await session();
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM journal FOR UPDATE');
    const fence = { incarnation: writer.incarnation, lane: 0, gen: 1 };
    // Its connection is ended: one of the pool that the heir reads by could be taken out again before its end is noticed.
    const own = openDatabase({ ...database.options, poolSize: 1 });
    const removal = outcomeOf(removeHistories(own.db, fence, [{ type: 'cart', id: 'a', seq: 1 }]));
    await waits('%remove_%histories(%');
    const named = await database.query('SELECT FROM pg_stat_activity WHERE application_name = $1 AND query LIKE $2', [
      writer.incarnation,
      '%remove_%',
    ]);
    assert.equal(named.length, 0, 'a taker that goes by the name alone would wait for ever');
    assert.deepEqual(await takeOver('taker', writer.renewals, new SystemClock()), [writer.incarnation]);
    assert.match(await removal, /terminat/);
    await own.close();
    await blocker.query('ROLLBACK');
    assert.deepEqual(await loadedByHeir('a'), [1]);
  });
});

describe('an append after a takeover', () => {
  it('leaves no row in any table, nor does its resolution', async () => {
    await journal.append(fullBatch('a'));
    await takeOver();
    const before = await rowCounts();
    for (const batch of [fullBatch('a', 2), fullBatch('b'), batchOf({ outboxAdd: fullBatch('c').outboxAdd })]) {
      assert.equal(await outcomeOf(journal.append(batch)), 'fenced');
      assert.equal(await outcomeOf(journal.resolve(batch)), 'fenced');
    }
    assert.deepEqual(await rowCounts(), before);
  });

  it('leaves an outbox row without events where its parts do not all rest on the fence', async () => {
    await takeOver();
    await database.query(
      `WITH fenced AS (SELECT lane FROM fence WHERE incarnation = $1 AND lane = 0 FOR UPDATE),
        events AS (
          INSERT INTO journal (type, id, seq, epoch, at, shard, version, payload)
          SELECT 'cart', 'a', 1, 1, 1, 0, 1, '' FROM fenced)
       INSERT INTO outbox (id, shard, job, doc) VALUES ('a', 0, 'email', '{}')`,
      [writer.incarnation],
    );
    const [events, , , outbox] = await rowCounts();
    assert.deepEqual([events, outbox], [0, 1]);
  });
});

describe('a snapshot from a fenced member', () => {
  const snapshot = (seq: number, payload: string) => ({
    type: 'cart',
    id: 'a',
    seq,
    version: 1,
    payload: Buffer.from(payload),
  });

  it('is written nowhere, whether the heir has gone as far or not', async () => {
    await journal.append(batchOf({ events: [event('a', 1), event('a', 2)] }));
    await takeOver();
    await heirs.append(batchOf({ events: [event('a', 3, 'the hold')] }));
    assert.equal(await outcomeOf(journal.append(batchOf({ snapshots: [snapshot(3, 'never was')] }))), 'fenced');
    await heirs.append(batchOf({ events: [event('a', 4)] }));
    const [loaded] = await heirs.load([{ type: 'cart', id: 'a' }]);
    assert.equal(loaded?.snapshot, null);
    assert.deepEqual(
      loaded?.events.map(({ seq }) => seq),
      [1, 2, 3, 4],
    );
  });

  it('erases the heir’s event where it is written beside the journal, without the fence', async () => {
    await journal.append(batchOf({ events: [event('a', 1), event('a', 2)] }));
    await takeOver();
    await heirs.append(batchOf({ events: [event('a', 3, 'the hold')] }));
    await database.query(
      `INSERT INTO snapshot (type, id, seq, version, payload) VALUES ('cart', 'a', 3, 1, 'never was')
       ON CONFLICT (type, id) DO UPDATE SET seq = excluded.seq, payload = excluded.payload WHERE snapshot.seq < excluded.seq`,
    );
    const [loaded] = await heirs.load([{ type: 'cart', id: 'a' }]);
    assert.equal(String(loaded?.snapshot?.payload), 'never was');
    assert.deepEqual(loaded?.events, [], 'the hold is in no state any more');
  });
});

describe('a renewal against a takeover', () => {
  it('that comes first saves the member: the taker counts again under the lock', async () => {
    const watched = writer.renewals;
    const renewing = await session();
    await renewing.query('BEGIN');
    assert.notEqual(await renew(renewing, writer.incarnation), null);
    const taking = takeOver('taker', watched);
    await waits('select "incarnation", "renewals"%');
    await renewing.query('COMMIT');
    assert.deepEqual(await taking, []);
    assert.equal(await stateOf(writer), 'alive');
    assert.equal((await shardRow())?.owner, writer.incarnation);
    await journal.append(fullBatch('a'));
  });

  it('that comes first kills who may answer, where the taker does not count again', async () => {
    const renewing = await session();
    await renewing.query('BEGIN');
    const renewed = await renew(renewing, writer.incarnation);
    const taker = await session();
    const taking = taker.query(`UPDATE member SET state = 'dead' WHERE incarnation = $1 AND state = 'alive'`, [
      writer.incarnation,
    ]);
    await waits('UPDATE member SET state%');
    await renewing.query('COMMIT');
    assert.equal((await taking).rowCount, 1);
    assert.ok(renewed !== null && writer.mayAnswer(), 'its lease has just begun');
    assert.equal(await stateOf(writer), 'dead');
  });

  it('that comes second finds the member dead, however long the takeover takes', async () => {
    const lock = await lockStock('a');
    const appended = outcomeOf(journal.append(fullBatch('a')));
    await appendWaits();
    const taking = takeOver();
    await takeoverWaitsForFence();
    const renewed = renew(await session(), writer.incarnation);
    await waits('UPDATE member SET renewals%');
    await lock.release();
    assert.deepEqual(await taking, [writer.incarnation]);
    assert.equal(await appended, 'done');
    assert.equal(await renewed, null);
  });

  it('that comes second brings the dead back, where it does not look at the state', async () => {
    await takeOver();
    const rows = await database.query('UPDATE member SET renewals = renewals + 1 WHERE incarnation = $1 RETURNING 1', [
      writer.incarnation,
    ]);
    assert.equal(rows.length, 1, 'which a member takes for another lease');
  });

  it('whose backend is stuck is ended, and no taker is', async () => {
    const stuck = await session();
    await stuck.query('BEGIN');
    await renew(stuck, writer.incarnation);
    const ended = new Promise((resolve) => stuck.on('error', resolve));
    const takers = ['one', 'two'].map((taker) => takeOver(taker, writer.renewals, new SystemClock()));
    await ended;
    const results = await Promise.all(takers);
    assert.deepEqual(results.flat(), [writer.incarnation]);
    assert.equal(await stateOf(writer), 'dead');
    clients.splice(clients.indexOf(stuck), 1);
  });
});

describe('two takers at once', () => {
  it('one takes; the other waits for it and finds it done', async () => {
    const before = await shardRow();
    const lock = await lockStock('a');
    const appended = outcomeOf(journal.append(fullBatch('a')));
    await appendWaits();
    const first = takeOver('one');
    await takeoverWaitsForFence();
    const second = takeOver('two');
    await waits('select "incarnation", "renewals"%');
    await lock.release();
    assert.equal(await appended, 'done');
    assert.deepEqual([await first, await second], [[writer.incarnation], []]);
    assert.deepEqual(await shardRow(), { owner: heir.incarnation, epoch: (before?.epoch ?? 0) + 1 });
  });

  it('both take, where neither locks the member: the first believes in shards that the second has given on', async () => {
    const take = async (taker: string) => {
      const client = await session();
      const { rows } = await client.query<{ state: string }>('SELECT state FROM member WHERE incarnation = $1', [
        writer.incarnation,
      ]);
      return async () => {
        assert.equal(rows[0]?.state, 'alive');
        await client.query(`UPDATE member SET state = 'dead' WHERE incarnation = $1`, [writer.incarnation]);
        await client.query('DELETE FROM fence WHERE incarnation = $1', [writer.incarnation]);
        await client.query('UPDATE shard SET owner = $1, epoch = epoch + 1', [taker]);
      };
    };
    const [first, second] = [await take('one'), await take('two')];
    await first();
    assert.equal((await shardRow())?.owner, 'one');
    await second();
    assert.equal((await shardRow())?.owner, 'two');
  });

  it('of whom one dies half-way: the other does it all', async () => {
    const half = await session();
    await half.query('BEGIN');
    await half.query('SELECT FROM member WHERE incarnation = $1 FOR UPDATE', [writer.incarnation]);
    await half.query(`UPDATE member SET state = 'dead' WHERE incarnation = $1`, [writer.incarnation]);
    const taking = takeOver('two');
    await waits('select "incarnation", "renewals"%');
    await half.query('ROLLBACK');
    assert.deepEqual(await taking, [writer.incarnation]);
    assert.equal((await shardRow())?.owner, heir.incarnation);
  });
});

describe('a claim', () => {
  /** The shard is assigned, behind a claim that waits for it, to a member that joins in that moment. */
  async function assignedTo(newcomer: string): Promise<{ commit(): Promise<void> }> {
    const client = await session();
    await client.query('BEGIN');
    await client.query(`INSERT INTO member (incarnation, node_id, state) VALUES ($1, $1, 'alive')`, [newcomer]);
    await client.query('UPDATE shard SET owner = $1, epoch = epoch + 1', [newcomer]);
    return { commit: async () => void (await client.query('COMMIT')) };
  }
  const end = (newcomer: string) =>
    database.query(`UPDATE member SET state = 'left' WHERE incarnation = $1`, [newcomer]);

  it('takes nothing that was assigned meanwhile, by its epoch', async () => {
    await writer.leave();
    const assigned = await assignedTo('new-1');
    const looking = heir.look();
    await waits('%UPDATE shard AS s SET owner%');
    await assigned.commit();
    await looking;
    assert.equal((await shardRow())?.owner, 'new-1');
    assert.ok(!heir.owns(0));
    await end('new-1');
  });

  it('steals from a living member where it only asks, in the same statement, whether the owner lives', async () => {
    await writer.leave();
    const assigned = await assignedTo('new-2');
    const thief = await session();
    const stealing = thief.query(
      `UPDATE shard SET owner = 'thief', epoch = epoch + 1 WHERE shard = 0
        AND NOT EXISTS (SELECT FROM member AS m WHERE m.incarnation = shard.owner AND m.state = 'alive')`,
    );
    await waits('UPDATE shard SET owner%');
    await assigned.commit();
    assert.equal((await stealing).rowCount, 1);
    assert.equal((await shardRow())?.owner, 'thief');
    await end('new-2');
  });
});
