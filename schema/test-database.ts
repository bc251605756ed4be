/**
 * For tests only: a database of their own on the server that `TEST_DATABASE_URL` names, dropped at the end, and a way to wait
 * for what happens elsewhere.
 */
import type pg from 'pg';
import { type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { type ScratchDatabase, scratchDatabase } from './scratch-database.ts';

export interface TestDatabase extends Database, ScratchDatabase {
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** Empty, without even the schema. */
export async function createTestDatabase(options: Partial<DatabaseOptions> = {}): Promise<TestDatabase> {
  const scratch = await scratchDatabase(process.env.TEST_DATABASE_URL, 'stampede_test');
  const database = openDatabase({ url: scratch.url, poolSize: 8, ...options });
  return {
    ...scratch,
    ...database,
    async query<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) {
      return (await database.pool.query<Row>(sql, [...values])).rows;
    },
    drop: async () => {
      await database.close();
      await scratch.drop();
    },
  };
}

/** With all tables. */
export async function migratedTestDatabase(options: Partial<DatabaseOptions> = {}): Promise<TestDatabase> {
  const database = await createTestDatabase(options);
  await migrate(database);
  return database;
}

/** Polls until `condition` holds; fails after ten seconds. */
export async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  await eventually(condition, 10_000, what);
}

/** Polls until there is a value that is neither false nor undefined, and returns it; rejects after `deadlineMs`. */
export async function eventually<T>(
  look: () => Promise<T | false | undefined> | T | false | undefined,
  deadlineMs = 10_000,
  what = 'what was waited for',
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== false && value !== undefined) return value;
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
