/** Plans that were made while tables were small read no more of them when they are large. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type pg from 'pg';
import { APPEND_PARAMETERS } from './append.ts';
import { LANE_SETTINGS } from './journal.ts';
import { migratedTestDatabase, type TestDatabase } from './test-database.ts';

const MANY = 5_000;
const ASKED = 20;
const STOCK = JSON.stringify({ onHand: 1, held: 0, allocated: 0, available: 1 });
const TABLES = ['timer', 'snapshot', 'outbox', 'stock', 'journal', 'answer'] as const;

let database: TestDatabase;
before(async () => {
  database = await migratedTestDatabase();
});
after(() => database.drop());

/** Rows from `first` on of each table, all told apart by their number. */
async function fill(client: pg.PoolClient, first: number, count: number): Promise<void> {
  const numbers = `generate_series(${first}, ${first + count - 1}) AS n`;
  await client.query(
    `INSERT INTO journal (type, id, seq, epoch, at, shard, version, payload) SELECT 'cart', 'cart_' || n, 1, 1, 1, 1, 1, '\\x90' FROM ${numbers}`,
  );
  await client.query(`INSERT INTO answer SELECT 'cart', 'cart_' || n, 'hash', 'print', '\\x90', 1 FROM ${numbers}`);
  await client.query(`INSERT INTO timer SELECT 'cart', 'cart_' || n, 1, 1000 + n FROM ${numbers}`);
  await client.query(`INSERT INTO snapshot SELECT 'cart', 'cart_' || n, 1, 1, '\\x00' FROM ${numbers}`);
  await client.query(`INSERT INTO outbox (id, shard, job, doc) SELECT 'job_' || n, 1, 'mail', '{}' FROM ${numbers}`);
  await client.query(`INSERT INTO stock (key, version, doc) SELECT 'sku_' || n, 1, '${STOCK}' FROM ${numbers}`);
}

const numbers = (first: number) => Array.from({ length: ASKED }, (_, i) => first + i);

async function load(client: pg.PoolClient, first: number): Promise<number> {
  const ids = numbers(first).map((n) => `cart_${n}`);
  const { rowCount } = await client.query('SELECT * FROM load_actors($1, $2, 10)', [ids.map(() => 'cart'), ids]);
  return rowCount ?? 0;
}

/** First events of new actors; the ends of timers, jobs and stock rows of others. */
async function append(client: pg.PoolClient, first: number): Promise<void> {
  const all = <T>(make: (n: number) => T) => numbers(first).map(make);
  const given: Record<string, unknown> = {
    p_incarnation: 'm',
    p_lane: 0,
    p_gen: 1,
    e_type: all(() => 'cart'),
    e_id: all((n) => `new_${n}`),
    e_seq: all(() => 1),
    e_epoch: all(() => 1),
    e_at: all(() => 1),
    e_shard: all(() => 1),
    e_version: all(() => 1),
    e_payload: all(() => Buffer.of(0x90)),
    t_type: all(() => 'cart'),
    t_id: all((n) => `cart_${n}`),
    t_shard: all(() => 1),
    t_due: all(() => null),
    c_id: all((n) => `job_${n}`),
    stock_key: all((n) => `sku_${n}`),
    stock_version: all(() => 2),
    stock_doc: all(() => null),
  };
  const types = APPEND_PARAMETERS.map(([, type], i) => `$${i + 1}::${type}`).join(', ');
  await client.query({
    name: 'append_all',
    text: `SELECT append(${types})`,
    values: APPEND_PARAMETERS.map(([name]) => given[name] ?? null),
  });
}

async function remove(client: pg.PoolClient, first: number): Promise<number> {
  const ids = numbers(first).map((n) => `cart_${n}`);
  const { rowCount } = await client.query("SELECT * FROM remove_histories('m', 0, 1, $1, $2, $3)", [
    ids.map(() => 'cart'),
    ids,
    ids.map(() => 1),
  ]);
  return rowCount ?? 0;
}

/** Rows that the transaction under way has read of each table; of the journal in each of its parts. */
async function rowsRead(client: pg.PoolClient): Promise<Record<string, number>> {
  const { rows } = await client.query(
    `SELECT relname, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int AS n
      FROM pg_stat_xact_user_tables WHERE schemaname = 'stampede' AND regexp_replace(relname, '_[0-9]+$', '') = ANY ($1)`,
    [TABLES],
  );
  return Object.fromEntries(rows.map(({ relname, n }) => [relname, n]));
}

for (const few of [1, 3, 10])
  test(`actors are loaded and removed, and rows closed and deleted, without a look at others, by plans of when there were ${few}`, async () => {
    const client = await database.pool.connect();
    try {
      await client.query(`TRUNCATE member, fence, ${TABLES.join(', ')}`);
      await client.query(
        "INSERT INTO member (incarnation, node_id, state, event_versions) VALUES ('m', 'm', 'alive', '{}')",
      );
      await client.query("INSERT INTO fence (incarnation, lane, gen) VALUES ('m', 0, 1)");
      await client.query("UPDATE shard SET owner = 'm' WHERE shard = 1");
      await fill(client, 0, few);
      await client.query(`ANALYZE ${TABLES.join(', ')}`);
      await load(client, 0);
      // Plans are made as well for who is not there.
      for (let calls = 0; calls < 6; calls++) await remove(client, 1_000);
      for (const [name, value] of Object.entries(LANE_SETTINGS)) await client.query(`SET ${name} = ${value}`);
      await append(client, 0);
      await fill(client, 100, MANY);
      await client.query('BEGIN');
      const loaded = await load(client, 1_000);
      const forLoad = await rowsRead(client);
      await client.query('COMMIT');
      await client.query('BEGIN');
      await append(client, 1_000);
      const forAppend = await rowsRead(client);
      await client.query('COMMIT');
      await client.query('BEGIN');
      const removed = await remove(client, 2_000);
      const forRemoval = await rowsRead(client);
      await client.query('COMMIT');
      assert.deepEqual([loaded, removed], [ASKED, ASKED]);
      for (const read of [forLoad, forAppend, forRemoval])
        for (const [table, rows] of Object.entries(read)) assert.ok(rows <= 4 * ASKED, `${table}: ${rows} rows read`);
      const left = await client.query<{ n: number }>(
        `SELECT (SELECT count(*) FROM timer)::int + (SELECT count(*) FROM stock)::int
        + (SELECT count(*) FROM outbox WHERE state <> 'closed')::int AS n`,
      );
      // All of the first few are among those that were asked for first.
      assert.equal(left.rows[0]?.n, 3 * (MANY - ASKED) - ASKED);
    } finally {
      client.release(true);
    }
  });
