import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { ClusterMembership } from '../runtime/members.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { type JoinOptions, joinAlone } from './members.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';

let database: TestDatabase;
const members: ClusterMembership[] = [];
before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});
afterEach(async () => {
  for (const member of members.splice(0)) await member.leave();
});

async function join(options: Partial<JoinOptions> = {}): Promise<ClusterMembership> {
  const all = { database, nodeId: 'test', lanes: 2, clock: new SystemClock(), leaseMs: 60_000, ...options };
  const member = await joinAlone(all);
  members.push(member);
  return member;
}

async function stateOf(member: ClusterMembership): Promise<string | undefined> {
  const query = database.db.selectFrom('member').select('state').where('incarnation', '=', member.incarnation);
  return (await query.executeTakeFirst())?.state;
}

async function fences(member: ClusterMembership): Promise<number> {
  return (await database.db.selectFrom('fence').where('incarnation', '=', member.incarnation).selectAll().execute())
    .length;
}

/** A clock whose monotonic time the test moves; time-outs run in real time. */
class ShiftedClock extends SystemClock {
  shiftMs = 0;
  synced: number[] = [];
  override monotonic(): number {
    return super.monotonic() + this.shiftMs;
  }
  override sync(databaseMs: number, atMonotonic: number): void {
    this.synced.push(databaseMs);
    super.sync(databaseMs, atMonotonic - this.shiftMs);
  }
}

/** That of a process which is stopped: nothing that was to run later ever runs. */
class StoppedClock extends SystemClock {
  override setTimeout(): { cancel(): void } {
    return { cancel: () => {} };
  }
}

describe('a member alone', () => {
  it('has every shard, a fence for each lane, and the database’s clock', async () => {
    const clock = new ShiftedClock();
    const member = await join({ clock, renewals: 'loop' });
    const shards = await database.db.selectFrom('shard').selectAll().execute();
    assert.equal(shards.length, 256);
    for (const { shard, owner, epoch } of shards) {
      assert.ok(member.owns(shard));
      assert.equal(owner, member.incarnation);
      assert.equal(member.epoch(shard), epoch);
    }
    assert.equal(await fences(member), 2);
    assert.equal(member.renewals, 1);
    assert.ok(member.mayAnswer());
    assert.equal(clock.synced.length, 1);
    assert.ok(!member.owns(256));
  });

  it('refuses to start beside a living one, whether that renews or just came', async () => {
    const first = await join({ leaseMs: 3_000 });
    await assert.rejects(join({ leaseMs: 6_000 }), /another node \(test\..*\) is alive/);
    assert.ok(first.owns(0));
    assert.equal(await stateOf(first), 'alive');
  });

  it('comes once when several start at the same moment', async () => {
    // One that comes when the first has joined watches until that one renews.
    const leaseMs = 3_000;
    const results = await Promise.allSettled([join({ leaseMs }), join({ leaseMs }), join({ leaseMs })]);
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
    const alive = await database.db.selectFrom('member').selectAll().where('state', '=', 'alive').execute();
    assert.equal(alive.length, 1);
  });

  it('takes over at once what one that left cleanly had', async () => {
    const first = await join();
    await first.leave();
    assert.equal(await stateOf(first), 'left');
    assert.equal(await fences(first), 0);
    assert.ok(!first.mayAnswer() && !first.owns(0));
    const second = await join();
    assert.equal(second.epoch(7), first.epoch(7) + 1);
  });

  it('takes over from a dead one only after watching it stand still for lease and margin', async () => {
    const dead = await join({ clock: new StoppedClock(), renewals: 'loop', leaseMs: 200 });
    const clock = new ShiftedClock();
    const started = clock.monotonic();
    const next = await join({ clock, leaseMs: 200 });
    assert.ok(clock.monotonic() - started >= 240);
    assert.equal(await stateOf(dead), 'dead');
    assert.equal(await fences(dead), 0);
    assert.equal(next.epoch(0), dead.epoch(0) + 1);
  });

  it('takes over at once where something else proves the other dead', async () => {
    const dead = await join();
    await join({ takeAtOnce: true });
    assert.equal(await stateOf(dead), 'dead');
  });

  it('takes over at once one that renews in that very moment', async () => {
    const dead = await join();
    const renewing = await database.pool.connect();
    await renewing.query('BEGIN');
    await renewing.query('UPDATE member SET renewals = renewals + 1 WHERE incarnation = $1', [dead.incarnation]);
    const joining = join({ takeAtOnce: true });
    await until(async () => {
      const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      return (await database.query(waits)).length === 1;
    }, 'it waits for the renewal');
    await renewing.query('COMMIT');
    renewing.release();
    await joining;
    assert.equal(await stateOf(dead), 'dead');
  });

  it('answers nothing past its deadline, and again after the next renewal', async () => {
    const clock = new ShiftedClock();
    const member = await join({ clock, renewals: 'loop', leaseMs: 3_000 });
    assert.ok(member.mayAnswer());
    clock.shiftMs += 3_000;
    assert.ok(!member.mayAnswer());
    assert.ok(member.owns(0), 'late is not fenced');
    await until(() => member.mayAnswer(), 'it resumes');
    assert.equal(await stateOf(member), 'alive');
  });

  it('resumes after its connections were ended, as by a restart of PostgreSQL', async () => {
    const member = await join({ leaseMs: 300 });
    const before = member.renewals;
    await database.pool.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await until(() => member.renewals > before + 1 && member.mayAnswer(), 'it renews again');
    assert.equal(await stateOf(member), 'alive');
  });

  it('learns at a renewal that it was fenced, tells once, and never answers again', async () => {
    const member = await join({ leaseMs: 300 });
    let told = 0;
    member.onFenced(() => {
      told += 1;
    });
    await join({ takeAtOnce: true });
    await until(() => told > 0, 'it is told');
    assert.ok(!member.mayAnswer() && !member.owns(0));
    member.onFenced(() => {
      told += 1;
    });
    assert.equal(told, 2);
    await member.leave();
    assert.equal(await stateOf(member), 'dead');
  });

  it('refuses a node id that would not fit', async () => {
    await assert.rejects(join({ nodeId: 'x'.repeat(41) }), /at most 40 bytes/);
  });
});
