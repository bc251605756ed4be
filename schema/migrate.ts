/**
 * Brings a database to the tables that this version needs, or refuses it. Any number of processes may start at once:
 * one advisory lock lets them pass one after the other, and each finds the work done by the first.
 *
 * Migrations only go forward, each in the transaction of the whole run: a crash in the middle leaves what was there.
 */
import { randomUUID } from 'node:crypto';
import { type Kysely, Migrator, sql } from 'kysely';
import { Refusal } from '../runtime/refusal.ts';
import { SHARD_COUNT, SHARD_HASH_VERSION } from '../runtime/shard.ts';
import { type Database, openDatabase, SCHEMA } from './database.ts';
import { migrations } from './migrations/index.ts';
import type { Tables } from './tables.ts';

/** Names the lock among advisory locks: "stam" as a number. */
const MIGRATION_LOCK = 0x7374616d;

export interface Migrated {
  /** Names this database among all of ours; made with it. */
  readonly clusterId: string;
  /** Names of the migrations that this call ran. */
  readonly applied: readonly string[];
}

/** Throws with one line where the database is of another shard layout or of a later version of Stampede. */
export async function migrate(database: Database): Promise<Migrated> {
  // A connection of its own: another process's migration is waited for longer than any statement should take.
  const own = openDatabase({ ...database.options, poolSize: 1, statementTimeoutMs: 0 });
  try {
    return await own.db.connection().execute(async (connection) => {
      await sql`SELECT pg_advisory_lock(${sql.lit(MIGRATION_LOCK)})`.execute(connection);
      await sql`CREATE SCHEMA IF NOT EXISTS ${sql.id(SCHEMA)}`.execute(connection);
      const applied = await runMigrations(connection);
      return { clusterId: await checkMeta(connection), applied };
    });
  } finally {
    // The lock goes with its session.
    await own.close();
  }
}

async function runMigrations(connection: Kysely<Tables>): Promise<readonly string[]> {
  const migrator = new Migrator({
    db: connection,
    provider: { getMigrations: async () => migrations },
    migrationTableSchema: SCHEMA,
    migrationTableName: 'migration',
    migrationLockTableName: 'migration_lock',
  });
  const unknown = (await storedMigrations(connection)).find((name) => !Object.hasOwn(migrations, name));
  if (unknown !== undefined) {
    throw new Refusal(`the database was made by a later version of Stampede (migration ${unknown})`);
  }
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const failed = results?.find((result) => result.status === 'Error');
    throw new Error(`migration ${failed?.migrationName ?? 'run'} failed: ${messageOf(error)}`, { cause: error });
  }
  return (results ?? []).map((result) => result.migrationName);
}

async function storedMigrations(connection: Kysely<Tables>): Promise<readonly string[]> {
  const table = `${SCHEMA}.migration`;
  const { rows } = await sql<{ there: boolean }>`SELECT to_regclass(${table}) IS NOT NULL AS there`.execute(connection);
  if (rows[0]?.there !== true) return [];
  const stored = await sql<{ name: string }>`SELECT name FROM ${sql.table(table)}`.execute(connection);
  return stored.rows.map((row) => row.name);
}

/** The layout is written once, with the database; each start compares. Returns the cluster's id. */
async function checkMeta(connection: Kysely<Tables>): Promise<string> {
  const ours = { shard_count: String(SHARD_COUNT), shard_hash_version: String(SHARD_HASH_VERSION) };
  const fresh = Object.entries({ ...ours, cluster_id: randomUUID() }).map(([key, value]) => ({ key, value }));
  await connection
    .insertInto('meta')
    .values(fresh)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const rows = await connection.selectFrom('meta').selectAll().execute();
  const stored = new Map(rows.map((row) => [row.key, row.value]));
  for (const [key, value] of Object.entries(ours)) {
    if (stored.get(key) !== value) {
      throw new Refusal(`the database has ${key} ${stored.get(key)}, this version of Stampede needs ${value}`);
    }
  }
  return stored.get('cluster_id') ?? '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
