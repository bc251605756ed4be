import { randomUUID } from 'node:crypto';
import { after, before } from 'node:test';
import { sql } from 'kysely';
import { journalConformance } from '../runtime/journal-conformance.ts';
import { PgJournal } from './journal.ts';
import { migratedTestDatabase, type TestDatabase } from './test-database.ts';

let database: TestDatabase;
before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});

const DATA = ['journal', 'snapshot', 'timer', 'outbox', 'answer', 'orders', 'stock'];

async function member(lanes: number, state: 'alive' | 'dead' = 'alive'): Promise<string> {
  const incarnation = randomUUID();
  await database.db
    .insertInto('member')
    .values({ incarnation, node_id: incarnation, state, event_versions: '{}' })
    .execute();
  const fences = Array.from({ length: lanes }, (_, lane) => ({ incarnation, lane }));
  await database.db.insertInto('fence').values(fences).execute();
  return incarnation;
}

journalConformance('on PostgreSQL', async () => {
  await sql.raw(`TRUNCATE ${DATA.join(', ')}`).execute(database.db);
  const incarnation = await member(2);
  await database.db.updateTable('shard').set({ owner: incarnation, epoch: 1 }).execute();
  const journals = [new PgJournal({ database, incarnation, lanes: 2 })];
  const [journal] = journals;
  if (journal === undefined) throw new Error('unreachable');
  return {
    journal,
    incarnation,
    other: (alive) => member(2, alive ? 'alive' : 'dead'),
    ownerOf: async (shard) => {
      const row = await database.db
        .selectFrom('shard')
        .select(['owner as incarnation', 'epoch'])
        .where('shard', '=', shard)
        .executeTakeFirst();
      return row?.incarnation == null ? null : { incarnation: row.incarnation, epoch: row.epoch };
    },
    cleanup: async () => {
      await Promise.all(journals.map((each) => each.close()));
    },
    fence: async () => {
      await database.db.deleteFrom('fence').where('incarnation', '=', incarnation).execute();
    },
    reopen: async () => {
      const next = new PgJournal({ database, incarnation: await member(2), lanes: 2 });
      journals.push(next);
      return next;
    },
    outbox: async (id) => {
      const row = await database.db.selectFrom('outbox').select('state').where('id', '=', id).executeTakeFirst();
      return row === undefined ? null : { open: row.state !== 'closed' };
    },
    projection: async (table, key) => {
      const { rows } = await sql<{ version: number; doc: unknown }>`
        SELECT version, doc FROM ${sql.table(table)} WHERE key = ${key}`.execute(database.db);
      return rows[0] ?? null;
    },
    rowCount: async () => {
      const counts = DATA.map((table) => `(SELECT count(*) FROM ${table})`).join(' + ');
      const { rows } = await sql.raw<{ n: number }>(`SELECT ${counts} AS n`).execute(database.db);
      return rows[0]?.n ?? -1;
    },
  };
});
