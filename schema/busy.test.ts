/** Errors as the driver and a real server make them. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { Refusal } from '../runtime/refusal.ts';
import { Busy, isBusy } from './busy.ts';
import { openDatabase } from './database.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';
import { Wire } from './test-wire.ts';

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
});
after(async () => {
  await database.drop();
});

async function failure(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => assert.fail('it should have failed'),
    (error: unknown) => error,
  );
}

/** What a query at that address ends with. */
async function failureAt(url: string): Promise<unknown> {
  const other = openDatabase({ url, poolSize: 1, connectionTimeoutMs: 200, statementTimeoutMs: 200 });
  try {
    return await failure(other.pool.query('select pg_sleep(5)'));
  } finally {
    await other.close();
  }
}

test('a server that takes connections and says nothing is busy', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const { port } = silent.address() as { port: number };
  try {
    assert.equal(isBusy(await failureAt(`postgres://nobody@127.0.0.1:${port}/nowhere`)), true);
  } finally {
    silent.close();
  }
});

test('so is one that cancels a statement which took too long, one that ends its backend, and a connection that is cut', async () => {
  assert.equal(isBusy(await failureAt(database.url)), true);
  const killed = database.query('select pg_terminate_backend(pg_backend_pid())');
  assert.equal(isBusy(await failure(killed)), true);
  const wire = new Wire(database.url);
  const client = new pg.Client({ connectionString: await wire.listen() });
  client.on('error', () => {});
  await client.connect();
  const answer = failure(client.query('select pg_sleep(5)'));
  wire.cut().end();
  assert.equal(isBusy(await answer), true);
  await wire.close();
});

test('what wraps such an error is as busy as what it wraps; a loop of causes ends', () => {
  assert.equal(isBusy(new Error('migration 3 failed', { cause: new Busy('later') })), true);
  const loop = new Error('round');
  loop.cause = loop;
  assert.equal(isBusy(loop), false);
});

test('a wrong address, name or statement, a refusal and what is no error are not', async () => {
  assert.equal(isBusy(await failureAt('postgres://nobody@127.0.0.1:1/nowhere')), false);
  const missing = new URL(database.url);
  missing.pathname = '/stampede_not_there';
  assert.equal(isBusy(await failureAt(missing.href)), false);
  assert.equal(isBusy(await failure(database.query('selec'))), false);
  assert.equal(isBusy(new Refusal('no')), false);
  for (const other of [undefined, null, 'Connection terminated', { code: '57P03' }]) assert.equal(isBusy(other), false);
});
