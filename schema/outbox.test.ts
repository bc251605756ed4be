import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { sql } from 'kysely';
import { batchOf } from '../runtime/journal-conformance.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { PgJournal } from './journal.ts';
import { joinAlone } from './members.ts';
import {
  getOutbox,
  listOutbox,
  markFailed,
  markRelayed,
  putBack,
  reopenStale,
  rerunFailed,
  takeOpen,
} from './outbox.ts';
import { removeClosedOutbox } from './retention.ts';
import { migratedTestDatabase, type TestDatabase } from './test-database.ts';

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
  await sql`TRUNCATE outbox`.execute(database.db);
});

const add = (...ids: string[]) =>
  journal.append(batchOf({ outboxAdd: ids.map((id) => ({ id, shard: 3, job: 'email', doc: { orderId: id } })) }));
const close = (...ids: string[]) => journal.append(batchOf({ outboxClose: ids }));
const age = (ms: number) =>
  sql`UPDATE outbox SET changed_at = changed_at - make_interval(secs => ${ms / 1000}::float8)`.execute(database.db);

describe('the outbox', () => {
  it('gives each open row to one relay only', async () => {
    const ids = Array.from({ length: 60 }, (_, index) => `row-${index}`);
    await add(...ids);
    const taken = (await Promise.all(Array.from({ length: 8 }, () => takeOpen(database.db, 10)))).flat();
    assert.deepEqual(taken.map((row) => row.id).sort(), [...ids].sort());
    assert.deepEqual(await takeOpen(database.db, 10), []);
    const [row] = taken;
    assert.deepEqual(row, {
      id: row?.id,
      attempt: 0,
      shard: 3,
      job: 'email',
      doc: { orderId: row?.id },
    });
  });

  it('does not wait for rows that an append is closing', async () => {
    await add('a', 'b');
    await database.db.transaction().execute(async (trx) => {
      await sql`SELECT FROM outbox WHERE id = 'a' FOR UPDATE`.execute(trx);
      assert.deepEqual(
        (await takeOpen(database.db, 10)).map((row) => row.id),
        ['b'],
      );
    });
  });

  it('gives a row again, under the same attempt, when its relay put it back or died', async () => {
    await add('a');
    await takeOpen(database.db, 1);
    await putBack(database.db, ['a']);
    assert.equal((await takeOpen(database.db, 1))[0]?.attempt, 0);
    await age(60_000);
    assert.equal((await takeOpen(database.db, 1))[0]?.attempt, 0);
  });

  it('opens a row that was relayed too long ago under the next attempt, until it is closed', async () => {
    await add('order:1:email', 'b');
    await markRelayed(
      database.db,
      (await takeOpen(database.db, 5)).map((row) => row.id),
    );
    assert.equal(await reopenStale(database.db, 60_000, 10), 0);
    await close('b');
    await age(120_000);
    assert.equal(await reopenStale(database.db, 60_000, 10), 1);
    const again = await takeOpen(database.db, 5);
    assert.deepEqual(
      again.map((row) => [row.id, row.attempt]),
      [['order:1:email', 1]],
    );
    await markRelayed(database.db, ['order:1:email', 'b']);
    assert.equal((await getOutbox(database.db, 'b'))?.state, 'closed');
  });

  it('keeps what failed visible until it is run again', async () => {
    await add('a', 'b');
    await markRelayed(
      database.db,
      (await takeOpen(database.db, 5)).map((row) => row.id),
    );
    assert.ok(await markFailed(database.db, 'a', 'e'.repeat(5000)));
    await age(10_000_000);
    await reopenStale(database.db, 60_000, 10);
    assert.equal((await getOutbox(database.db, 'b'))?.state, 'open');
    const failed = await listOutbox(database.db, { state: 'failed', limit: 10 });
    assert.deepEqual(
      failed.map((row) => [row.id, row.error?.length]),
      [['a', 1000]],
    );
    assert.ok(await rerunFailed(database.db, 'a'));
    assert.ok(!(await rerunFailed(database.db, 'a')));
    assert.equal((await getOutbox(database.db, 'a'))?.attempt, 1);
    await close('a');
    assert.ok(!(await markFailed(database.db, 'a', 'late')));
    assert.ok(!(await rerunFailed(database.db, 'a')));
  });

  it('is listed in pages, by state and job, closed rows only when asked for', async () => {
    await add('a', 'b', 'c', 'd');
    await close('c');
    const first = await listOutbox(database.db, { limit: 2 });
    assert.deepEqual(
      first.map((row) => row.id),
      ['a', 'b'],
    );
    const second = await listOutbox(database.db, { limit: 2, after: 'b', job: 'email' });
    assert.deepEqual(
      second.map((row) => row.id),
      ['d'],
    );
    assert.deepEqual(await listOutbox(database.db, { limit: 2, job: 'other' }), []);
    assert.deepEqual(
      (await listOutbox(database.db, { state: 'closed', limit: 9 })).map((row) => row.id),
      ['c'],
    );
    assert.equal(await getOutbox(database.db, 'none'), null);
  });

  it('forgets only rows that were closed long ago', async () => {
    await add('a', 'b');
    await close('a');
    assert.equal(await removeClosedOutbox(database.db, 60_000, 10), 0);
    await age(120_000);
    assert.equal(await removeClosedOutbox(database.db, 60_000, 10), 1);
    assert.equal((await getOutbox(database.db, 'b'))?.state, 'open');
  });
});
