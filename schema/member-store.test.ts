import { after, before } from 'node:test';
import { memberStoreConformance } from '../runtime/member-store-conformance.ts';
import { SHARD_COUNT } from '../runtime/shard.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { openDatabase } from './database.ts';
import { PgJournal } from './journal.ts';
import { PgMemberStore } from './member-store.ts';
import { renew } from './renewal.ts';
import { migratedTestDatabase, type TestDatabase } from './test-database.ts';

let database: TestDatabase;
before(async () => {
  database = await migratedTestDatabase({ poolSize: 12 });
});
after(() => database.drop());

memberStoreConformance('on PostgreSQL', async () => {
  await database.query('TRUNCATE journal, member, fence, event_version CASCADE');
  await database.query('DELETE FROM shard');
  await database.query('INSERT INTO shard (shard, epoch) SELECT n, 0 FROM generate_series(0, $1 - 1) AS n', [
    SHARD_COUNT,
  ]);
  const closers: (() => Promise<void>)[] = [];
  return {
    store: (incarnation) => {
      const own = openDatabase({ ...database.options, applicationName: `${incarnation}#m`, poolSize: 3 });
      const store = new PgMemberStore({ database: own, clock: new SystemClock(), leaseMs: 20_000 });
      closers.push(() => store.close());
      return store;
    },
    renew: async (incarnation) => (await renew(database.pool, incarnation)) !== null,
    journal: (incarnation) => {
      const journal = new PgJournal({ database, incarnation, lanes: 1 });
      closers.push(() => journal.close());
      return journal;
    },
    holdFence: async (incarnation) => {
      const client = await database.pool.connect();
      // As a taker is named: who is waited for, and not ended.
      await client.query(`SET application_name = 'holder#m'`);
      await client.query('BEGIN');
      await client.query('SELECT FROM fence WHERE incarnation = $1 FOR UPDATE', [incarnation]);
      return async () => {
        await client.query('COMMIT');
        await client.query('RESET application_name');
        client.release();
      };
    },
    cleanup: async () => {
      for (const close of closers) await close();
    },
  };
});
