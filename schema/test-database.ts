/**
 * A database of its own for a test, on the server that `TEST_DATABASE_URL` names, dropped at the end with whoever is
 * still connected to it.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { migrate } from './migrate.ts';

const SERVER_URL = process.env.TEST_DATABASE_URL ?? 'postgres://root@127.0.0.1:5432/postgres';

export interface TestDatabase extends Database {
  readonly url: string;
  drop(): Promise<void>;
}

/** Empty, without even the schema. */
export async function createTestDatabase(options: Partial<DatabaseOptions> = {}): Promise<TestDatabase> {
  const name = `stampede_test_${randomBytes(6).toString('hex')}`;
  await maintenance(`CREATE DATABASE ${name}`);
  const url = SERVER_URL.replace(/(\/)[^/?]*(\?|$)/, `$1${name}$2`);
  const database = openDatabase({ url, poolSize: 8, ...options });
  return {
    ...database,
    url,
    drop: async () => {
      await database.close();
      await maintenance(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** With all tables. */
export async function migratedTestDatabase(options: Partial<DatabaseOptions> = {}): Promise<TestDatabase> {
  const database = await createTestDatabase(options);
  await migrate(database.db);
  return database;
}

/** Polls until `condition` holds; fails after ten seconds. */
export async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function maintenance(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: SERVER_URL });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
