/**
 * The interleavings that make an append's outcome unknown, made on purpose: a proxy between journal and server holds or
 * cuts connections, and a row lock keeps a backend waiting in the middle of its append.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { AppendError, type Batch, type Journal } from '../runtime/journal.ts';
import { batchOf, event, fullBatch } from '../runtime/journal-conformance.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { type Database, openDatabase } from './database.ts';
import { PgJournal } from './journal.ts';
import { joinAlone } from './members.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';
import { Wire } from './test-wire.ts';

let database: TestDatabase;
let proxy: Wire;
let proxied: Database;
let member: ClusterMembership;
let journal: PgJournal;

before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});
beforeEach(async () => {
  await sql`TRUNCATE journal, snapshot, timer, outbox, answer, stock`.execute(database.db);
  proxy = new Wire(database.url);
  proxied = openDatabase({ url: await proxy.listen(), statementTimeoutMs: 5_000 });
  member = await join();
  journal = new PgJournal({ database: proxied, incarnation: member.incarnation, lanes: 1 });
});
afterEach(async () => {
  await member.leave();
  await journal.close();
  await proxied.close();
  await proxy.close();
});

async function join(): Promise<ClusterMembership> {
  return await joinAlone({
    database,
    nodeId: 'test',
    lanes: 1,
    clock: new SystemClock(),
    leaseMs: 60_000,
    takeAtOnce: true,
  });
}

async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'done',
    (error: unknown) => (error instanceof AppendError ? error.outcome : String(error)),
  );
}

/** Sequence of the last event stored. */
async function lastSeq(of: Journal, id: string): Promise<number> {
  return (await of.tail({ type: 'cart', id }, 0)).events.at(-1)?.seq ?? 0;
}

/** Another connection keeps the row of sku `sku-<id>`, which `fullBatch(id)` writes last: its append waits there, holding its fence. */
async function lockStock(id: string): Promise<{ release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query('SET search_path = stampede');
  const doc = '{"onHand":0,"held":0,"allocated":0,"available":0}';
  await client.query(`INSERT INTO stock VALUES ($1, 0, $2) ON CONFLICT DO NOTHING`, [`sku-${id}`, doc]);
  await client.query('BEGIN');
  await client.query('SELECT FROM stock WHERE key = $1 FOR UPDATE', [`sku-${id}`]);
  return {
    release: async () => {
      await client.query('ROLLBACK');
      await client.end();
    },
  };
}

async function waiting(pattern: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    SELECT count(*) AS n FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE ${pattern}`.execute(database.db);
  return rows[0]?.n ?? 0;
}
const appendWaits = () => until(async () => (await waiting('SELECT append(%')) === 1, 'the append waits');

describe('an append whose connection is cut', () => {
  it('while the backend is at work is waited for, and found committed', async () => {
    const lock = await lockStock('a');
    const batch = fullBatch('a');
    const appended = outcomeOf(journal.append(batch));
    await appendWaits();
    proxy.cut();
    assert.equal(await appended, 'unknown');
    assert.equal(await outcomeOf(journal.append(fullBatch('b'))), 'unavailable', 'the lane waits to be resolved');
    const resolved = journal.resolve(batch);
    await until(async () => (await waiting('UPDATE fence%')) === 1, 'resolve waits for the orphan');
    assert.equal(await lastSeq(journal, 'a'), 0);
    await lock.release();
    assert.equal(await resolved, 'committed');
    assert.equal(await lastSeq(journal, 'a'), 1);
    await journal.append(fullBatch('a', 2));
  });

  it('before the backend began is void once resolved, even when its bytes arrive afterwards', async () => {
    await journal.append(fullBatch('warm'));
    const batch = fullBatch('a');
    proxy.hold();
    const appended = outcomeOf(journal.append(batch));
    await until(() => proxy.heldBytes > 0, 'the append is on its way');
    const orphan = proxy.cut();
    assert.equal(await appended, 'unknown');
    assert.equal(await journal.resolve(batch), 'void');
    assert.match(await orphan.release(), /ST001/);
    assert.equal(await lastSeq(journal, 'a'), 0);
    assert.equal((await database.db.selectFrom('outbox').selectAll().where('id', '=', 'job-a-1').execute()).length, 0);
    await journal.append(batch);
  });

  it('is lost by the simpler way: reloaded at once, nothing is there, and then the orphan commits', async () => {
    await journal.append(fullBatch('warm'));
    proxy.hold();
    const appended = outcomeOf(journal.append(fullBatch('a')));
    await until(() => proxy.heldBytes > 0, 'the append is on its way');
    const orphan = proxy.cut();
    assert.equal(await appended, 'unknown');
    assert.equal(await lastSeq(journal, 'a'), 0, 'what a reload without resolve would take for the truth');
    await orphan.release();
    await until(async () => (await lastSeq(journal, 'a')) === 1, 'the orphan commits behind the reload');
  });

  it('and whose backend is ended in mid-statement is void', async () => {
    const lock = await lockStock('a');
    const batch = fullBatch('a');
    const appended = outcomeOf(journal.append(batch));
    await appendWaits();
    await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ${member.incarnation}`.execute(
      database.db,
    );
    assert.equal(await appended, 'unknown');
    assert.equal(await journal.resolve(batch), 'void');
    await lock.release();
    await journal.append(batch);
    assert.equal(await lastSeq(journal, 'a'), 1);
  });

  it('cannot be resolved while the database is away, and can afterwards', async () => {
    const batch = fullBatch('a');
    await journal.append(batch);
    proxy.hold();
    const next = fullBatch('a', 2);
    const appended = outcomeOf(journal.append(next));
    await until(() => proxy.heldBytes > 0, 'the append is on its way');
    proxy.cut();
    assert.equal(await appended, 'unknown');
    await sql`UPDATE pg_database SET datallowconn = false WHERE datname = current_database()`.execute(database.db);
    assert.equal(await outcomeOf(journal.resolve(next)), 'unavailable');
    assert.equal(await outcomeOf(journal.append(next)), 'unavailable');
    await sql`UPDATE pg_database SET datallowconn = true WHERE datname = current_database()`.execute(database.db);
    assert.equal(await journal.resolve(next), 'void');
    await journal.append(next);
  });
});

describe('an append that the server cannot take', () => {
  it('is unavailable where no connection is to be had', async () => {
    const nowhere = openDatabase({ url: 'postgres://root@127.0.0.1:1/none' });
    const lost = new PgJournal({ database: nowhere, incarnation: member.incarnation, lanes: 1 });
    assert.equal(await outcomeOf(lost.append(fullBatch('a'))), 'unavailable');
    assert.equal(await outcomeOf(lost.load([{ type: 'cart', id: 'a' }])), 'unavailable');
    await lost.close();
    await nowhere.close();
  });

  it('is unavailable where the statement timed out, and leaves nothing', async () => {
    const hasty = openDatabase({ url: database.url, statementTimeoutMs: 100 });
    const brief = new PgJournal({ database: hasty, incarnation: member.incarnation, lanes: 1 });
    const lock = await lockStock('a');
    assert.equal(await outcomeOf(brief.append(fullBatch('a'))), 'unavailable');
    await lock.release();
    assert.equal(await lastSeq(journal, 'a'), 0);
    await brief.append(fullBatch('a'));
    await brief.close();
    await hasty.close();
  });

  it('is refused where stock does not add up, or the batch is too large', async () => {
    const row = { table: 'stock', key: 's', version: 1, doc: { onHand: 5, held: 1, allocated: 0, available: 5 } };
    assert.equal(await outcomeOf(journal.append(batchOf({ events: [event('a', 1)], projections: [row] }))), 'refused');
    const negative = { ...row, doc: { onHand: 0, held: 1, allocated: 0, available: -1 } };
    assert.equal(
      await outcomeOf(journal.append(batchOf({ events: [event('a', 1)], projections: [negative] }))),
      'refused',
    );
    assert.equal(await outcomeOf(journal.append(batchOf({ projections: [{ ...row, table: 'meta' }] }))), 'refused');
    const small = new PgJournal({ database, incarnation: member.incarnation, lanes: 1, batchBytesMax: 1000 });
    const large: Batch = batchOf({ events: [event('a', 1, 'x'.repeat(1000))] });
    assert.equal(await outcomeOf(small.append(large)), 'refused');
    await small.close();
    assert.equal(await lastSeq(journal, 'a'), 0);
    await journal.append(large);
  });
});

describe('a server that never answers', () => {
  it('fails a read in bounded time, and the next one goes over another connection', async () => {
    const hasty = openDatabase({ url: await proxy.listen(), statementTimeoutMs: 100, poolSize: 1 });
    const brief = new PgJournal({ database: hasty, incarnation: member.incarnation, lanes: 1 });
    await journal.append(fullBatch('a'));
    assert.equal(await lastSeq(brief, 'a'), 1);
    proxy.hold();
    assert.equal(await outcomeOf(brief.load([{ type: 'cart', id: 'a' }])), 'unavailable');
    proxy.pass();
    assert.equal(await lastSeq(brief, 'a'), 1);
    await brief.close();
    await hasty.close();
  });

  it('fails a query of the pool in bounded time, and does not lend that connection again', async () => {
    const hasty = openDatabase({ url: await proxy.listen(), statementTimeoutMs: 100, poolSize: 1 });
    await hasty.db.selectFrom('meta').selectAll().execute();
    proxy.hold();
    await assert.rejects(hasty.db.selectFrom('meta').selectAll().execute());
    proxy.pass();
    await hasty.db.selectFrom('meta').selectAll().execute();
    await hasty.close();
  });

  it('leaves an append unknown, which is resolved over another connection', async () => {
    const hasty = openDatabase({ url: await proxy.listen(), statementTimeoutMs: 100, poolSize: 1 });
    const brief = new PgJournal({ database: hasty, incarnation: member.incarnation, lanes: 1 });
    await brief.append(fullBatch('a'));
    proxy.hold();
    assert.equal(await outcomeOf(brief.append(fullBatch('a', 2))), 'unknown');
    proxy.pass();
    assert.equal(await brief.resolve(fullBatch('a', 2)), 'void');
    await brief.append(fullBatch('a', 2));
    await brief.close();
    await hasty.close();
  });
});

describe('a takeover', () => {
  it('waits for an append in flight, which is loaded afterwards; later ones write nothing', async () => {
    const lock = await lockStock('a');
    const appended = outcomeOf(journal.append(fullBatch('a')));
    await appendWaits();
    const taking = join();
    await until(async () => (await waiting('delete from "fence"%')) === 1, 'the takeover waits');
    await lock.release();
    assert.equal(await appended, 'done');
    const next = await taking;
    const successor = new PgJournal({ database, incarnation: next.incarnation, lanes: 1 });
    assert.equal(await lastSeq(successor, 'a'), 1);
    assert.equal(await outcomeOf(journal.append(fullBatch('a', 2))), 'fenced');
    assert.equal(await outcomeOf(journal.resolve(fullBatch('a', 2))), 'fenced');
    assert.equal(await lastSeq(successor, 'a'), 1);
    await successor.append(fullBatch('a', 2));
    assert.equal(next.epoch(0), member.epoch(0) + 1);
    await successor.close();
    await next.leave();
  });

  it('ends the backend of an append that does not end by itself', async () => {
    const lock = await lockStock('a');
    const appended = outcomeOf(journal.append(fullBatch('a')));
    await appendWaits();
    const next = await join();
    assert.equal(await appended, 'unknown');
    assert.equal(await outcomeOf(journal.resolve(fullBatch('a'))), 'fenced');
    await lock.release();
    const successor = new PgJournal({ database, incarnation: next.incarnation, lanes: 1 });
    assert.equal(await lastSeq(successor, 'a'), 0);
    await successor.close();
    await next.leave();
  });
});
