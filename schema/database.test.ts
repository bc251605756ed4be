import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { sql } from 'kysely';
import { checkDurability, openDatabase, parseInt8 } from './database.ts';
import { createTestDatabase, type TestDatabase, until } from './test-database.ts';

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
});
after(async () => {
  await database.drop();
});

describe('a connection', () => {
  it('has our settings, whatever the address says of them, and keeps what else it says', async () => {
    const options = encodeURIComponent('-c synchronous_commit=off -c work_mem=7MB');
    const separator = database.url.includes('?') ? '&' : '?';
    const url = `${database.url}${separator}options=${options}&application_name=other&statement_timeout=1`;
    const one = openDatabase({ url, statementTimeoutMs: 2345, applicationName: 'a b+c' });
    const { rows } = await sql<Record<string, string>>`
      SELECT current_setting('synchronous_commit') AS commit, current_setting('work_mem') AS memory,
        current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout,
        current_setting('search_path') AS path, current_setting('default_transaction_isolation') AS isolation`.execute(
      one.db,
    );
    assert.deepEqual(rows[0], {
      commit: 'on',
      memory: '7MB',
      name: 'a b+c',
      timeout: '2345ms',
      path: 'stampede',
      isolation: 'read committed',
    });
    await one.close();
    await one.close();
  });

  it('that is ended, idle or in a transaction, costs neither the process nor the pool', async () => {
    const lost: string[] = [];
    const one = openDatabase({ url: database.url, poolSize: 2, log: (event) => lost.push(event) });
    const kill = () =>
      database.pool.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stampede' AND datname = current_database() AND pid <> pg_backend_pid()",
      );
    await sql`SELECT 1`.execute(one.db);
    await kill();
    await until(() => lost.length > 0, 'the idle connection is lost');
    await assert.rejects(
      one.db.transaction().execute(async (trx) => {
        await sql`SELECT 1`.execute(trx);
        await kill();
        await sql`SELECT 1`.execute(trx);
      }),
    );
    await until(
      () =>
        sql`SELECT 1`.execute(one.db).then(
          () => true,
          () => false,
        ),
      'the pool serves again',
    );
    await one.close();
  });

  it('that is not to be had is an error in bounded time, not a wait', async () => {
    const one = openDatabase({ url: database.url, poolSize: 1, connectionTimeoutMs: 500 });
    await one.db.transaction().execute(async () => {
      await assert.rejects(sql`SELECT 1`.execute(one.db));
    });
    await one.close();
  });

  it('reads bigint as number, and refuses what would lose digits', async () => {
    const { rows } = await database.pool.query('SELECT 9007199254740991::bigint AS n');
    assert.equal(rows[0].n, Number.MAX_SAFE_INTEGER);
    await assert.rejects(database.pool.query('SELECT 9007199254740993::bigint AS n'), RangeError);
    assert.throws(() => parseInt8('x'), RangeError);
  });
});

describe('checkDurability', () => {
  it('passes a server that writes safely and refuses one that does not', async () => {
    await checkDurability(database.db);
    // Settings of the whole server are not a test's to change, so their view is covered by one that says otherwise.
    await database.db.connection().execute(async (connection) => {
      await sql`CREATE SCHEMA unsafe`.execute(connection);
      await sql`CREATE VIEW unsafe.pg_settings AS
        SELECT name, CASE name WHEN 'fsync' THEN 'off' ELSE setting END AS setting FROM pg_catalog.pg_settings`.execute(
        connection,
      );
      await sql`SET search_path = unsafe, pg_catalog`.execute(connection);
      await assert.rejects(checkDurability(connection), { message: /^PostgreSQL runs with fsync off/ });
      await sql`RESET search_path`.execute(connection);
    });
  });
});
