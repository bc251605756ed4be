import { after, before } from 'node:test';
import { SystemClock } from '../runtime/clock.ts';
import { memberStoreConformance } from '../runtime/member-store-conformance.ts';
import { PgMemberStore } from './member-store.ts';
import { renew } from './renewal.ts';
import { migratedTestDatabase, type TestDatabase } from './test-database.ts';

let database: TestDatabase;
before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});

memberStoreConformance('on PostgreSQL', async () => {
  await database.query('TRUNCATE member, fence, event_version');
  await database.query('UPDATE shard SET owner = NULL, epoch = 0');
  return {
    store: new PgMemberStore({ database, clock: new SystemClock(), leaseMs: 60_000 }),
    renew: async (incarnation) => (await renew(database.pool, incarnation)) !== null,
    mayWrite: async (incarnation) =>
      (await database.query('SELECT FROM fence WHERE incarnation = $1 AND lane = 0', [incarnation])).length === 1,
    cleanup: async () => {},
  };
});
