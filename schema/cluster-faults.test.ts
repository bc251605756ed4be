/**
 * Members that stop, come back late, or find PostgreSQL away or its clock moved. All run on one timeline that the test moves by hand,
 * on real PostgreSQL, so that nothing here depends on how fast the machine is; beside each, the simpler way that loses by it.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ClusterMember } from '../runtime/cluster.ts';
import { admitted } from '../runtime/joining.ts';
import { LoopLease } from '../runtime/lease.ts';
import { ManualClock } from '../runtime/manual-clock.ts';
import type { Candidate } from '../runtime/member-store.ts';
import { ProcessClock } from '../runtime/process-clock.ts';
import { SHARD_COUNT } from '../runtime/shard.ts';
import { type Database, openDatabase } from './database.ts';
import { PgMemberStore } from './member-store.ts';
import { renew } from './renewal.ts';
import { membershipName } from './takeover.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';

const LEASE_MS = 2_000;
const LOOK_MS = 250;
const SHARDS = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

let database: TestDatabase;
let time: ManualClock;
const nodes: Node[] = [];

before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.member.leave();
});

/** A member made of the same parts as `join` makes it, whose renewals can be waited for. */
class Node {
  readonly clock = new ProcessClock(time);
  readonly incarnation: string;
  member!: ClusterMember;
  fenced = 0;
  /** No renewal is sent any more; all others of its statements are. */
  cutOff = false;
  #renewing = 0;
  #answers: Promise<void> = Promise.resolve();

  constructor(nodeId: string) {
    this.incarnation = `${nodeId}.${nodes.length}.${Math.round(performance.now() * 1_000)}`;
  }

  async join(): Promise<this> {
    const { clock, incarnation } = this;
    const [nodeId = ''] = incarnation.split('.');
    const own: Database = openDatabase({
      ...database.options,
      applicationName: membershipName(incarnation),
      poolSize: 3,
    });
    const store = new PgMemberStore({ database: own, clock, leaseMs: LEASE_MS });
    const candidate: Candidate = {
      incarnation,
      nodeId,
      state: 'alive',
      leaseMs: LEASE_MS,
      weight: 1,
      bus: true,
      lanes: 1,
      eventVersions: {},
      identity: null,
    };
    const writes = await admitted(store, candidate, false, clock);
    const lease = new LoopLease({
      clock,
      leaseMs: LEASE_MS,
      renew: async () => {
        if (this.cutOff) throw new Error('cut off');
        this.#renewing += 1;
        const renewed = await renew(own.pool, incarnation).finally(() => {
          this.#renewing -= 1;
        });
        await this.#answers;
        return renewed !== null;
      },
      report: () => {},
    });
    assert.ok(await lease.first());
    this.member = new ClusterMember({
      ...candidate,
      state: 'alive',
      store,
      clock,
      lease,
      writes,
      lookMs: LOOK_MS,
      report: () => {},
    });
    this.member.onFenced(() => {
      this.fenced += 1;
    });
    await this.member.look();
    this.member.start();
    nodes.push(this);
    return this;
  }

  /** Renewals reach the server, their answers come only when the gate is opened. */
  keepAnswersBack(): { open(): void } {
    let open = () => {};
    this.#answers = new Promise((resolve) => {
      open = resolve;
    });
    return { open: () => open() };
  }

  async settle(): Promise<void> {
    await until(() => this.#renewing === 0, 'its renewal is answered');
    if (!this.clock.stopped) await this.member.look().catch(() => {});
    await until(() => this.#renewing === 0, 'its renewal is answered');
  }

  get shards(): number[] {
    return SHARDS.filter((shard) => this.member.owns(shard));
  }
}

async function cluster(...nodeIds: string[]): Promise<Node[]> {
  time = new ManualClock();
  const all: Node[] = [];
  for (const nodeId of nodeIds) all.push(await new Node(nodeId).join());
  for (const node of all) {
    await node.member.look();
    for (const { to, shards } of node.member.surplus(SHARD_COUNT)) {
      await database.query('UPDATE shard SET owner = $1, epoch = epoch + 1 WHERE shard = ANY ($2)', [to, shards]);
      node.member.gave(
        shards.map((shard) => ({ shard, epoch: node.member.epoch(shard) })),
        to,
      );
    }
  }
  await pass(LOOK_MS);
  for (const node of all) assert.ok(node.shards.length > 0);
  return all;
}

/** Lets time go by in small steps; after each all have done what was due, and no shard is answered for by two. */
async function pass(ms: number, each: () => void = () => {}): Promise<void> {
  for (let left = ms; left > 0; left -= 50) {
    time.advance(Math.min(50, left));
    for (const node of nodes) await node.settle();
    for (const shard of SHARDS) {
      const answering = nodes.filter(({ member }) => member.owns(shard) && member.mayAnswer());
      assert.ok(answering.length <= 1, `shard ${shard} is answered for by ${answering.length}`);
    }
    each();
  }
}

async function rows(): Promise<Map<string, { state: string; renewals: number }>> {
  const found = await database.query<{ incarnation: string; state: string; renewals: number }>(
    'SELECT incarnation, state, renewals FROM member',
  );
  return new Map(found.map((row) => [row.incarnation, row]));
}

async function stateOf({ incarnation }: Node): Promise<string | undefined> {
  return (await rows()).get(incarnation)?.state;
}

async function serverAway(away: boolean): Promise<void> {
  // The test's own pool is cut too, and must not be asked in between.
  const server = openDatabase({ url: database.url.replace(/\/[^/]*$/, '/postgres') });
  await server.pool.query(`ALTER DATABASE ${database.name} ALLOW_CONNECTIONS ${!away}`);
  if (away) {
    await server.pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [
      database.name,
    ]);
  }
  await server.close();
}

describe('a member that is stopped', () => {
  it('for longer than its lease but not its watch answers nothing, and resumes with its shards', async () => {
    const [a, b] = await cluster('a', 'b');
    assert.ok(a && b);
    const shards = a.shards;
    await pass(1_000);
    a.clock.stop();
    await pass(1_999);
    await pass(50);
    assert.ok(!a.member.mayAnswer(), 'late');
    a.clock.goOn();
    await a.settle();
    assert.ok(a.member.mayAnswer(), 'it has renewed');
    await pass(6_000);
    assert.equal(a.fenced + b.fenced, 0);
    assert.deepEqual(a.shards, shards);
  });

  it('for longer is taken over, and none of its shards is answered for before it can answer no more', async () => {
    const [a, b, c] = await cluster('a', 'b', 'c');
    assert.ok(a && b && c);
    const shards = a.shards;
    let whileAnswering = 0;
    for (const { member } of [b, c]) {
      member.onMoved((moved) => {
        if (moved.some((shard) => member.owns(shard)) && a.member.mayAnswer()) whileAnswering += 1;
      });
    }
    a.clock.stop();
    await pass(2_400 + LOOK_MS + 50);
    assert.equal(await stateOf(a), 'dead');
    assert.equal(whileAnswering, 0);
    assert.deepEqual(
      [...b.shards, ...c.shards].sort((x, y) => x - y),
      SHARDS,
    );
    assert.ok(
      shards.every((shard) => !a.member.mayAnswer() && a.member.owns(shard)),
      'it does not know yet',
    );
    a.clock.goOn();
    await a.settle();
    assert.equal(a.fenced, 1);
    assert.deepEqual(a.shards, []);
    assert.ok(!a.member.mayAnswer());
    const again = await new Node('a').join();
    await pass(1_000);
    assert.ok(again.member.mayAnswer(), 'under a new incarnation');
    assert.equal(b.fenced + c.fenced, 0);
  });

  it('would answer beside its heir if its deadline counted from the answer to its renewal', async () => {
    const [a, b] = await cluster('a', 'b');
    assert.ok(a && b);
    const gate = a.keepAnswersBack();
    await pass(1_500);
    gate.open();
    await a.settle();
    const simplerDeadline = time.monotonic() + LEASE_MS;
    // From here on nothing of its renewals reaches the server.
    a.cutOff = true;
    let takenAt = 0;
    await pass(3_000, () => {
      if (takenAt === 0 && b.shards.length === SHARD_COUNT) takenAt = time.monotonic();
    });
    assert.ok(takenAt > 0 && takenAt < simplerDeadline);
  });
});

describe('PostgreSQL away for longer than the lease', () => {
  it('fences nobody: all answer nothing meanwhile, and go on with what they had', async () => {
    const all = await cluster('a', 'b', 'c');
    const shards = all.map((node) => node.shards);
    const before = await rows();
    const start = time.monotonic();
    await serverAway(true);
    await pass(3 * LEASE_MS);
    assert.ok(all.every(({ member }) => !member.mayAnswer()));
    await serverAway(false);
    await until(async () => (await rows()).size > 0, 'it is back');
    const behind = await rows();
    for (const { incarnation } of all) {
      assert.equal(behind.get(incarnation)?.renewals, before.get(incarnation)?.renewals);
    }
    assert.ok(time.monotonic() - start > LEASE_MS * 1.2, 'a watcher that only compares would take over all others');
    // One is back before the others, and sees them stand still as they did all the while.
    const [first, ...others] = all;
    for (const other of others) other.cutOff = true;
    await pass(1_000);
    assert.ok(first?.member.mayAnswer() && others.every(({ member }) => !member.mayAnswer()));
    for (const other of others) other.cutOff = false;
    await pass(2 * LEASE_MS);
    for (const [index, node] of all.entries()) {
      assert.equal(node.fenced, 0);
      assert.equal(await stateOf(node), 'alive');
      assert.deepEqual(node.shards, shards[index]);
      assert.ok(node.member.mayAnswer());
    }
  });

  it('hides nobody’s death: who does not come back is taken over a lease and a margin later', async () => {
    const [a, b, c] = await cluster('a', 'b', 'c');
    assert.ok(a && b && c);
    await serverAway(true);
    c.clock.stop();
    await pass(2 * LEASE_MS);
    await serverAway(false);
    await pass(2_000);
    assert.equal(await stateOf(c), 'alive');
    await pass(1_000);
    assert.equal(await stateOf(c), 'dead');
    assert.equal(a.fenced + b.fenced, 0);
    assert.equal(a.shards.length + b.shards.length, SHARD_COUNT);
  });
});

describe('the database’s clock', () => {
  /** From now on every time that the server writes into a member's row is off by so much. */
  async function step(hours: number): Promise<void> {
    await database.query(`
      CREATE OR REPLACE FUNCTION stepped() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.renewed_at := clock_timestamp() + interval '${hours} hours';
        RETURN NEW;
      END $$`);
    await database.query(
      'CREATE OR REPLACE TRIGGER stepped BEFORE UPDATE ON member FOR EACH ROW EXECUTE FUNCTION stepped()',
    );
  }
  /** Who has not renewed for a lease and a margin, as a taker sees it that believes the server's (stepped) clock. */
  async function expiredByClock(hours: number): Promise<string[]> {
    const found = await database.query<{ incarnation: string }>(
      `SELECT incarnation FROM member WHERE state = 'alive'
        AND renewed_at < clock_timestamp() + make_interval(hours => $1) - interval '2400 ms'`,
      [hours],
    );
    return found.map(({ incarnation }) => incarnation);
  }
  afterEach(async () => {
    await database.query('DROP TRIGGER IF EXISTS stepped ON member');
  });

  for (const hours of [1, -1]) {
    it(`stepped by ${hours} h fences nobody who renews, and lets nobody live who does not`, async () => {
      const [a, b, c] = await cluster('a', 'b', 'c');
      assert.ok(a && b && c);
      await pass(500);
      await step(hours);
      c.clock.stop();
      const expired = await expiredByClock(hours);
      if (hours > 0) assert.equal(expired.length, 3, 'by the clock all are dead at once');
      await pass(2_000);
      for (const node of [a, b, c]) assert.equal(await stateOf(node), 'alive');
      if (hours < 0) assert.deepEqual(await expiredByClock(hours), [], 'by the clock nobody dies for an hour');
      await pass(1_000);
      assert.equal(await stateOf(c), 'dead');
      await pass(2_000);
      assert.equal(a.fenced + b.fenced, 0);
      assert.equal(a.shards.length + b.shards.length, SHARD_COUNT);
    });
  }
});
