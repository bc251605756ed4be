/** The sandbox on a server that asks for passwords: the embedded one. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { startEmbedded } from '../schema/embedded.ts';
import { SANDBOX_ROLE } from './sandbox-ledger.ts';
import { startSandbox } from './sandbox-server.ts';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

test('where the owner needs a password the sandbox logs in as its own role, again at the next start, and may do no more', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'stampede-role-'));
  const server = await startEmbedded({ dataDir, log });
  const owner = new pg.Client({ connectionString: server.url });
  try {
    await owner.connect();
    await owner.query('CREATE SCHEMA stampede; CREATE TABLE stampede.journal (payload bytea)');
    for (let start = 0; start < 2; start++) {
      const sandbox = await startSandbox({ databaseUrl: server.url, port: 0 });
      const { rows } = await owner.query(
        'SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = $1 AND datname IS NOT NULL',
        [SANDBOX_ROLE],
      );
      assert.deepEqual(rows, [{ usename: SANDBOX_ROLE }]);
      await sandbox.close();
    }
    const { rows } = await owner.query(
      `SELECT rolsuper, rolcreaterole, rolcreatedb, rolinherit, has_schema_privilege(oid, 'stampede', 'USAGE') AS shop,
         has_table_privilege(oid, 'stampede.journal', 'SELECT') AS journal FROM pg_roles WHERE rolname = $1`,
      [SANDBOX_ROLE],
    );
    const nothing = { rolsuper: false, rolcreaterole: false, rolcreatedb: false, rolinherit: false };
    assert.deepEqual(rows, [{ ...nothing, shop: false, journal: false }]);
    const owned = await owner.query(
      `SELECT nspname FROM pg_namespace WHERE pg_get_userbyid(nspowner) = $1 ORDER BY nspname`,
      [SANDBOX_ROLE],
    );
    assert.deepEqual(owned.rows, [{ nspname: 'sandbox' }]);
  } finally {
    await owner.end();
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
});
