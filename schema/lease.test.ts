/** The lease's own thread, on PostgreSQL: it renews while the main loop turns, and only then. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import { SystemClock } from '../runtime/system-clock.ts';
import { ThreadLease } from './lease.ts';
import { renew } from './renewal.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';
import { Wire } from './test-wire.ts';

const LEASE_MS = 1_000;
let database: TestDatabase;
const leases: ThreadLease[] = [];
const logged: string[] = [];

before(async () => {
  database = await migratedTestDatabase({ log: (event) => logged.push(event) });
});
after(async () => {
  await database.drop();
});
afterEach(async () => {
  for (const lease of leases.splice(0)) await lease.stop();
  await database.query('DELETE FROM member');
});

async function memberRow(incarnation: string): Promise<void> {
  await database.query(`INSERT INTO member (incarnation, node_id, state) VALUES ($1, $1, 'alive')`, [incarnation]);
}

/** Started; `fenced` counts what it says. */
async function lease(incarnation: string, clock = new SystemClock(), threadUrl?: URL) {
  await memberRow(incarnation);
  const renewal = async () => (await renew(database.pool, incarnation)) !== null;
  const options = { database, incarnation, leaseMs: LEASE_MS, clock, renew: renewal };
  const one = new ThreadLease(threadUrl === undefined ? options : { ...options, threadUrl });
  leases.push(one);
  assert.ok(await one.first());
  const told = { fenced: 0 };
  one.start(() => {
    told.fenced += 1;
  });
  return { one, told };
}

/** Resolves when the thread has renewed, and the loop no longer does. */
async function threadRenews(incarnation: string): Promise<void> {
  await until(async () => {
    const query = `SELECT FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle' AND query LIKE 'UPDATE member%'`;
    return (await database.query(query, [`${incarnation}#`])).length === 1;
  }, 'the thread renews');
}

/** Nothing else runs on this thread meanwhile. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('a lease with a thread', () => {
  it('is renewed, and brings the database’s clock', async () => {
    const synced: number[] = [];
    const clock = new (class extends SystemClock {
      override sync(databaseMs: number, at: number): void {
        synced.push(databaseMs);
        super.sync(databaseMs, at);
      }
    })();
    const { one } = await lease('a.1', clock);
    const before = one.renewedAt;
    await until(() => synced.length >= 3, 'it is renewed');
    assert.ok(one.holds() && one.renewedAt > before);
    const rows = await database.query<{ off: number }>(
      'SELECT abs(extract(epoch FROM clock_timestamp()) * 1000 - $1)::float8 AS off',
      [synced.at(-1)],
    );
    assert.ok((rows[0]?.off ?? 1e9) < 60_000);
  });

  it('is renewed while the main loop takes one long turn after the other', async () => {
    const { one, told } = await lease('a.2');
    await threadRenews('a.2');
    const before = one.renewals;
    while (one.renewals < before + 4) {
      block(LEASE_MS / 5);
      // Timers run, and with them the heart.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert.equal(told.fenced, 0);
  });

  it('is not renewed while the main loop hangs, and late when that goes on; then it resumes', async () => {
    const { one, told } = await lease('a.3');
    await threadRenews('a.3');
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const count = `SELECT renewals::float8 FROM stampede.member WHERE incarnation = 'a.3'`;
    const counted = client.query(`${count}; SELECT pg_sleep(1.5); ${count}; SELECT pg_sleep(1); ${count}`);
    await until(async () => {
      const query = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`;
      return (await database.query(query)).length === 1;
    }, 'the server counts');
    block(4_000);
    assert.ok(!one.holds(), 'what the thread wrote for the last beat is over too');
    const results = (await counted) as unknown as { rows: { renewals: number }[] }[];
    const [, , after1500, , after2500] = results.map(({ rows }) => rows[0]?.renewals);
    assert.ok(after1500 !== undefined);
    assert.equal(after2500, after1500);
    await until(() => one.holds(), 'it resumes');
    assert.equal(told.fenced, 0);
    await client.end();
  });

  it('sends nothing more once it is stopped, and its connection is gone', async () => {
    const { one } = await lease('a.4');
    await threadRenews('a.4');
    await one.stop();
    assert.ok(!one.holds());
    await until(async () => {
      const query = 'SELECT FROM pg_stat_activity WHERE application_name = $1';
      return (await database.query(query, ['a.4#'])).length === 0;
    }, 'its connection is gone');
  });

  it('says once that the member is fenced', async () => {
    const { one, told } = await lease('a.5');
    await database.query(`UPDATE member SET state = 'dead' WHERE incarnation = 'a.5'`);
    await until(() => told.fenced > 0, 'it is told');
    assert.ok(!one.holds());
  });

  it('outlives its connection', async () => {
    const { one } = await lease('a.6');
    await threadRenews('a.6');
    await database.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
      'a.6#',
    ]);
    const before = one.renewals;
    await until(() => one.renewals > before, 'it renews over another connection');
  });

  it('is late while the server says nothing, and resumes over another connection when it does', async () => {
    const wire = new Wire(database.url);
    const proxied = { ...database, options: { ...database.options, url: await wire.listen() } };
    await memberRow('a.9');
    const clock = new SystemClock();
    const renewal = async (): Promise<boolean> => {
      throw new Error('the thread does');
    };
    const one = new ThreadLease({ database: proxied, incarnation: 'a.9', leaseMs: LEASE_MS, clock, renew: renewal });
    leases.push(one);
    one.start(() => {});
    await until(() => one.holds(), 'the thread has renewed');
    wire.hold();
    await until(() => !one.holds(), 'it is late');
    wire.pass();
    await until(() => one.holds(), 'it resumes');
    await one.stop();
    await wire.close();
  });

  it('starts a thread again that ends, and is renewed by the loop until one has renewed', async () => {
    logged.length = 0;
    const { one } = await lease('a.7', new SystemClock(), new URL(`data:text/javascript,throw new Error('no thread')`));
    const failures = () => logged.filter((event) => event === 'lease_thread_failed').length;
    await until(() => failures() >= 2 && one.renewals >= 3, 'it is started again');
    assert.ok(one.holds());
  });

  it('is renewed by the loop again when a thread that had renewed ends', async () => {
    // Says that it has renewed, which is not so, and ends: the member's row tells who renews.
    const thread = `
      import { parentPort } from 'node:worker_threads';
      const now = process.hrtime.bigint();
      parentPort.postMessage({ kind: 'renewed', databaseMs: Date.now(), sentAt: now, answeredAt: now });`;
    const { one } = await lease(
      'a.9',
      new SystemClock(),
      new URL(`data:text/javascript,${encodeURIComponent(thread)}`),
    );
    await until(async () => {
      const query = `SELECT renewals::int AS renewals FROM member WHERE incarnation = 'a.9'`;
      const [row] = await database.query<{ renewals: number }>(query);
      return (row?.renewals ?? 0) >= 4;
    }, 'the loop renews');
    assert.ok(one.holds());
  });

  it('does not keep a process that has nothing else to do', async () => {
    await memberRow('a.8');
    const program = `
      import { SystemClock } from '${new URL('../runtime/system-clock.js', import.meta.url)}';
      import { openDatabase } from '${new URL('./database.js', import.meta.url)}';
      import { ThreadLease } from '${new URL('./lease.js', import.meta.url)}';
      const clock = new SystemClock();
      const database = openDatabase({ url: process.argv[2] });
      const lease = new ThreadLease({ database, incarnation: 'a.8', leaseMs: 200, clock, renew: async () => { throw new Error('the thread does'); } });
      lease.start(() => {});
      // Until the thread has renewed: what holds the process is this, and then nothing.
      const held = setInterval(() => { if (lease.renewals >= 2) clearInterval(held); }, 5);
    `;
    const directory = await mkdtemp(join(tmpdir(), 'stampede-lease-'));
    try {
      await writeFile(join(directory, 'program.mjs'), program);
      const args = [join(directory, 'program.mjs'), database.url];
      await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
    } finally {
      await rm(directory, { recursive: true });
    }
    const [row] = await database.query<{ renewals: number }>(`SELECT renewals FROM member WHERE incarnation = 'a.8'`);
    assert.ok((row?.renewals ?? 0) >= 2);
  });
});
