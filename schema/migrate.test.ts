import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { sql } from 'kysely';
import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/index.ts';
import { createTestDatabase, type TestDatabase, until } from './test-database.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  await database.drop();
});

describe('migrate', () => {
  it('runs each migration once when several processes start together', async () => {
    const processes = [1, 2, 3, 4].map(() => openDatabase({ url: database.url, poolSize: 2 }));
    const results = await Promise.all(processes.map((each) => migrate(each)));
    assert.deepEqual(
      results.flatMap((result) => result.applied),
      Object.keys(migrations),
    );
    assert.equal(new Set(results.map((result) => result.clusterId)).size, 1);
    await Promise.all(processes.map((each) => each.close()));
    assert.deepEqual((await migrate(database)).applied, []);
  });

  it('puts everything into its own schema', async () => {
    await migrate(database);
    const { rows } = await sql<{ schema: string }>`
      SELECT DISTINCT table_schema AS schema FROM information_schema.tables
      WHERE table_schema NOT IN ('pg_catalog', 'information_schema')`.execute(database.db);
    assert.deepEqual(rows, [{ schema: 'stampede' }]);
  });

  it('refuses a database of another shard layout with one line', async () => {
    await migrate(database);
    await database.db.updateTable('meta').set({ value: '512' }).where('key', '=', 'shard_count').execute();
    await assert.rejects(migrate(database), {
      message: 'the database has shard_count 512, this version of Stampede needs 256',
    });
  });

  it('refuses a database of a later version with one line', async () => {
    await migrate(database);
    await sql`INSERT INTO migration (name, timestamp) VALUES ('9999-later', now()::text)`.execute(database.db);
    await assert.rejects(migrate(database), {
      message: 'the database was made by a later version of Stampede (migration 9999-later)',
    });
  });

  it('waits for the migration of another process longer than a statement may take', async () => {
    const hasty = openDatabase({ url: database.url, statementTimeoutMs: 50 });
    await database.db.connection().execute(async (other) => {
      await sql`SELECT pg_advisory_lock(${sql.lit(0x7374616d)})`.execute(other);
      const waits = migrate(hasty);
      await until(async () => {
        const waiting = await sql`SELECT FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock' AND now() > query_start + interval '200 ms'`;
        return (await waiting.execute(other)).rows.length === 1;
      }, 'a wait past the limit');
      await sql`SELECT pg_advisory_unlock_all()`.execute(other);
      assert.equal((await waits).applied.length, Object.keys(migrations).length);
    });
    await hasty.close();
  });
});
