/**
 * Giving shards away on PostgreSQL, and the interleavings that break a simpler give: a proxy holds and cuts the giver's connection, a row
 * lock keeps a give waiting in the middle, and takeovers run beside it. Where a simpler variant loses, it is shown to.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { sql } from 'kysely';
import { AppendError, type Gift, type Journal } from '../runtime/journal.ts';
import { batchOf, event } from '../runtime/journal-conformance.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { type Database, openDatabase } from './database.ts';
import { encodeGive, GIVE_FUNCTION, GIVE_TEXT, giftWitness } from './give.ts';
import { PgJournal } from './journal.ts';
import { PgMemberStore } from './member-store.ts';
import { join } from './members.ts';
import { membershipName } from './takeover.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';
import { Wire } from './test-wire.ts';

/** Of a member that does nothing by itself: it neither renews nor looks, and its lease is long. */
class StillClock extends SystemClock {
  override setTimeout(): { cancel(): void } {
    return { cancel: () => {} };
  }
}

const SHARD = 8;
let database: TestDatabase;
let wire: Wire;
let wired: Database;
let a: ClusterMembership;
let b: ClusterMembership;
let journal: PgJournal;
const open: { close(): Promise<void> }[] = [];

before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});
beforeEach(async () => {
  await sql`TRUNCATE journal, snapshot, timer`.execute(database.db);
  wire = new Wire(database.url);
  wired = openDatabase({ url: await wire.listen(), statementTimeoutMs: 5_000 });
  a = await member('a');
  b = await member('b');
  await b.look();
  journal = new PgJournal({ database: wired, incarnation: a.incarnation, lanes: 1 });
  // The connection stands before a test holds it.
  await journal.append(batchOf({ events: [event('warm', 1)] }));
});
afterEach(async () => {
  for (const one of [a, b]) await one.leave();
  for (const one of [journal, ...open.splice(0), wired, wire]) await one.close();
  await sql`DELETE FROM fence`.execute(database.db);
  await sql`UPDATE member SET state = 'left'`.execute(database.db);
});

async function member(nodeId: string): Promise<ClusterMembership> {
  const options = { leaseMs: 60_000, bus: true, renewals: 'loop' as const };
  return await join({ database, nodeId, lanes: 1, clock: new StillClock(), ...options });
}

function journalOf(one: ClusterMembership): PgJournal {
  const made = new PgJournal({ database, incarnation: one.incarnation, lanes: 1 });
  open.push(made);
  return made;
}

const gift = (to: string, ...shards: number[]): Gift => ({
  lane: 0,
  to,
  shards: (shards.length === 0 ? [SHARD] : shards).map((shard) => ({ shard, epoch: a.epoch(shard) })),
});
const toB = (): Gift => gift(b.incarnation);

async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    (value) => (typeof value === 'string' ? value : 'done'),
    (error: unknown) => (error instanceof AppendError ? error.outcome : String(error)),
  );
}

async function row(shard = SHARD): Promise<{ owner: string; epoch: number }> {
  const rows = await database.query<{ owner: string; epoch: number }>(
    'SELECT owner, epoch FROM shard WHERE shard = $1',
    [shard],
  );
  return rows[0] ?? assert.fail();
}

async function waits(pattern: string): Promise<void> {
  await until(async () => {
    const rows = await database.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ILIKE $1",
      [pattern],
    );
    return rows.length === 1;
  }, `${pattern} waits`);
}
const giveWaits = () => waits('SELECT give_shards(%');

/** Another connection keeps the shard's row, which a give writes last: it waits there with all its locks. */
async function lockShard(): Promise<{ release(): Promise<void> }> {
  const client = await database.pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM shard WHERE shard = $1 FOR UPDATE', [SHARD]);
  return {
    release: async () => {
      await client.query('ROLLBACK');
      client.release();
    },
  };
}

/** The real takeover, by a member store of its own. */
async function takeOver(victim: ClusterMembership): Promise<readonly string[]> {
  const own = openDatabase({ url: database.url, applicationName: membershipName('taker') });
  const store = new PgMemberStore({ database: own, clock: new SystemClock(), leaseMs: 60_000 });
  try {
    const rows = await database.query<{ renewals: number }>('SELECT renewals FROM member WHERE incarnation = $1', [
      victim.incarnation,
    ]);
    return await store.takeOver([{ incarnation: victim.incarnation, renewals: rows[0]?.renewals ?? -1 }]);
  } finally {
    await store.close();
  }
}

async function lastSeq(of: Journal, id: string): Promise<number> {
  return (await of.tail({ type: 'cart', id }, 0)).events.at(-1)?.seq ?? 0;
}

/** Sends the gift, and cuts the connection while its bytes are still on their way. */
async function cutGive(given: Gift): Promise<{ release(): Promise<string> }> {
  wire.hold();
  const outcome = outcomeOf(journal.give(given));
  await until(() => wire.heldBytes > 0, 'the give is on its way');
  const orphan = wire.cut();
  assert.equal(await outcome, 'unknown');
  return orphan;
}

describe('a give whose connection is cut', () => {
  it('before the backend began is void once resolved, even when its bytes arrive afterwards', async () => {
    const orphan = await cutGive(toB());
    assert.equal(await outcomeOf(journal.append(batchOf({ events: [event('x', 1)] }))), 'unavailable', 'not before');
    assert.equal(await journal.resolveGift(toB()), 'void');
    assert.match(await orphan.release(), /ST001/);
    assert.equal((await row()).owner, a.incarnation);
    await journal.append(batchOf({ events: [event('x', 1)] }));
    await journal.give(toB());
    assert.equal((await row()).owner, b.incarnation);
  });

  it('while the backend is at work is waited for, and found committed', async () => {
    const lock = await lockShard();
    const outcome = outcomeOf(journal.give(toB()));
    await giveWaits();
    wire.cut();
    assert.equal(await outcome, 'unknown');
    const resolved = journal.resolveGift(toB());
    await waits('UPDATE fence%');
    await lock.release();
    assert.equal(await resolved, 'committed');
    assert.equal((await row()).owner, b.incarnation);
  });

  it('and whose backend is ended in mid-statement is void', async () => {
    const lock = await lockShard();
    const outcome = outcomeOf(journal.give(toB()));
    await giveWaits();
    await database.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
      a.incarnation,
    ]);
    assert.equal(await outcome, 'unknown');
    assert.equal(await journal.resolveGift(toB()), 'void');
    await lock.release();
    assert.equal((await row()).owner, a.incarnation);
  });

  it('is found committed also where the receiver has given the shard on, even back', async () => {
    await journal.give(toB());
    const onward = { lane: 0, to: a.incarnation, shards: [{ shard: SHARD, epoch: a.epoch(SHARD) + 1 }] };
    await journalOf(b).give(onward);
    assert.equal((await row()).owner, a.incarnation);
    assert.equal(await journal.resolveGift(toB()), 'committed');
  });

  it('is lost by the simpler way: A reads back its own name, goes on, the orphan commits, and two members serve', async () => {
    const orphan = await cutGive(toB());
    assert.equal((await row()).owner, a.incarnation, 'what a look without resolve would take for the truth');
    // So it goes on under the same generation of its fence, and answers a write.
    const again = journalOf(a);
    await again.append(batchOf({ events: [event('c', 1)] }));
    await orphan.release();
    await until(async () => (await row()).owner === b.incarnation, 'the orphan commits behind its back');
    await b.look();
    assert.ok(a.owns(SHARD) && a.mayAnswer());
    assert.ok(b.owns(SHARD) && b.mayAnswer());
    const seenByB = await lastSeq(journalOf(b), 'c');
    await again.append(batchOf({ events: [event('c', 2)] }));
    assert.ok(seenByB < (await lastSeq(again, 'c')), 'and B would answer from a state that A has left behind');
  });
});

describe('a give without a fence', () => {
  const UNFENCED = GIVE_FUNCTION.replace('give_shards', 'give_unfenced').replace(
    /PERFORM 1 FROM fence[\s\S]*?END IF;/,
    '',
  );

  it('is lost even to one who resolves: its bytes arrive after it was found void, and it commits', async () => {
    assert.ok(!UNFENCED.includes('fence '));
    await sql.raw(UNFENCED).execute(database.db);
    const client = await wired.pool.connect();
    client.on('error', () => {});
    await client.query('SELECT 1');
    wire.hold();
    const writer = { incarnation: a.incarnation, lane: 0, gen: 1 };
    const lost = client.query(GIVE_TEXT.replace('give_shards', 'give_unfenced'), encodeGive(writer, toB()));
    const outcome = lost.then(
      () => 'done',
      () => 'unknown',
    );
    await until(() => wire.heldBytes > 0, 'the give is on its way');
    const orphan = wire.cut();
    assert.equal(await outcome, 'unknown');
    client.release(true);
    assert.equal(await journal.resolveGift(toB()), 'void');
    await orphan.release();
    await until(async () => (await row()).owner === b.incarnation, 'it commits all the same');
    await b.look();
    assert.ok(a.owns(SHARD) && b.owns(SHARD), 'two members serve');
  });
});

describe('a give and a takeover of the giver', () => {
  it("that comes first: the give is fenced, and the shard is the heir's", async () => {
    assert.deepEqual(await takeOver(a), [a.incarnation]);
    assert.equal(await outcomeOf(journal.give(toB())), 'fenced');
    assert.equal(await outcomeOf(journal.resolveGift(toB())), 'fenced');
    assert.deepEqual(await row(), { owner: b.incarnation, epoch: a.epoch(SHARD) + 1 });
  });

  it('that comes second waits for the give, and takes what is left', async () => {
    const lock = await lockShard();
    const outcome = outcomeOf(journal.give(toB()));
    await giveWaits();
    const taken = takeOver(a);
    await waits('delete from "fence"%');
    await lock.release();
    assert.equal(await outcome, 'done');
    assert.deepEqual(await taken, [a.incarnation]);
    assert.deepEqual(await row(), { owner: b.incarnation, epoch: a.epoch(SHARD) + 1 }, 'moved once, by the give');
    assert.deepEqual(await row(SHARD + 1), { owner: b.incarnation, epoch: a.epoch(SHARD + 1) + 1 });
    assert.equal(await outcomeOf(journal.give(gift(b.incarnation, SHARD + 1))), 'fenced');
  });

  it('that took the shard after the give was lost: resolving says fenced, not committed', async () => {
    const orphan = await cutGive(toB());
    assert.deepEqual(await takeOver(a), [a.incarnation]);
    assert.equal(await outcomeOf(journal.resolveGift(toB())), 'fenced');
    assert.match(await orphan.release(), /ST001/);
    // The same rows as after a give; what tells them apart is the fence.
    assert.deepEqual(await row(), { owner: b.incarnation, epoch: a.epoch(SHARD) + 1 });
    const client = await database.pool.connect();
    const other = { ...toB(), to: 'another' };
    assert.equal(await outcomeOf(giftWitness(client, a.incarnation, other)), 'fenced');
    client.release();
  });
});

describe('a give and a takeover of the receiver', () => {
  it('that comes first is waited for, and the give refused', async () => {
    // It has marked the receiver's row, and waits for what the receiver has at work.
    const blocker = await database.pool.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM fence WHERE incarnation = $1 FOR UPDATE', [b.incarnation]);
    const taken = takeOver(b);
    await waits('delete from "fence"%');
    const outcome = outcomeOf(journal.give(toB()));
    await giveWaits();
    await blocker.query('ROLLBACK');
    blocker.release();
    assert.deepEqual(await taken, [b.incarnation]);
    assert.equal(await outcome, 'refused');
    assert.deepEqual(await row(), { owner: a.incarnation, epoch: a.epoch(SHARD) });
    await journal.append(batchOf({ events: [event('c', 1)] }));
  });

  it("that comes second waits for the give, and finds the shard among the receiver's", async () => {
    const lock = await lockShard();
    const outcome = outcomeOf(journal.give(toB()));
    await giveWaits();
    const taken = takeOver(b);
    await waits('%from "member"%for update%');
    await lock.release();
    assert.equal(await outcome, 'done');
    assert.deepEqual(await taken, [b.incarnation]);
    assert.deepEqual(await row(), { owner: a.incarnation, epoch: a.epoch(SHARD) + 2 }, 'given, and taken over by A');
  });

  it('does not keep the receiver from renewing meanwhile', async () => {
    const lock = await lockShard();
    const outcome = outcomeOf(journal.give(toB()));
    await giveWaits();
    const renewed = await database.query(
      "UPDATE member SET renewals = renewals + 1 WHERE incarnation = $1 AND state = 'alive' RETURNING renewals",
      [b.incarnation],
    );
    assert.equal(renewed.length, 1);
    await lock.release();
    assert.equal(await outcome, 'done');
  });
});

describe('a give to one that cannot have it', () => {
  it('is refused: dead, leaving, gone, never there', async () => {
    await takeOver(b);
    assert.equal(await outcomeOf(journal.give(toB())), 'refused');
    const leaving = await member('c');
    await leaving.beginLeaving();
    assert.equal(await outcomeOf(journal.give(gift(leaving.incarnation))), 'refused');
    await leaving.leave();
    assert.equal(await outcomeOf(journal.give(gift(leaving.incarnation))), 'refused');
    assert.equal(await outcomeOf(journal.give(gift('nobody'))), 'refused');
    assert.deepEqual(await row(), { owner: a.incarnation, epoch: a.epoch(SHARD) });
    await journal.append(batchOf({ events: [event('c', 1)] }));
  });
});

describe('a removal of whole histories', () => {
  const remove = async (): Promise<number> => {
    const { rows } = await sql`SELECT * FROM remove_histories(${a.incarnation}, 0, ${journal.generation(0)},
      ARRAY['cart'], ARRAY['c'], ARRAY[1]::bigint[])`.execute(database.db);
    return rows.length;
  };
  const of = (shard: number) => ({ ...event('c', 1), shard });

  it('leaves those whole whose shard has been given away', async () => {
    await journal.append(batchOf({ events: [of(SHARD)] }));
    await journal.give(toB());
    assert.equal(await remove(), 0);
    assert.equal(await lastSeq(journal, 'c'), 1);
    await journalOf(b).give({ lane: 0, to: a.incarnation, shards: [{ shard: SHARD, epoch: a.epoch(SHARD) + 1 }] });
    assert.equal(await remove(), 1);
    assert.equal(await lastSeq(journal, 'c'), 0);
  });
});
