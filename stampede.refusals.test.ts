/** Starts that would split a cluster, or share what is not theirs, end with one line and an exit code that says why. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { type CommandRun, Outside } from './bench/outside.ts';
import { redisMissing } from './bench/redis-process.ts';
import { scratchDatabase } from './bench/scratch-database.ts';
import { freePort } from './bench/shop-process.ts';

const skip = redisMissing() ?? false;
/** What a supervisor, or systemd, is not to start again. */
const CONFIGURATION = 78;
const port = await freePort();
let outside: Outside;
let living: CommandRun;
before(async () => {
  if (skip !== false) return;
  outside = await Outside.open();
  living = outside.run(['start'], { PORT: String(port), NODE_ID: 'living' });
  await living.says('serves');
});
after(async () => {
  if (skip !== false) return;
  living.signal('SIGTERM');
  const code = await living.ended;
  await outside.close();
  assert.equal(code, 0, living.stderr);
});

async function isRefused(
  what: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  line: RegExp,
  code = CONFIGURATION,
): Promise<void> {
  const run = outside.run(['start', ...args], { PORT: '0', NODE_ID: 'other', ...env });
  assert.equal(await run.ended, code, `${what}: ${run.stderr}`);
  assert.match(run.stderr, line, what);
  assert.equal(run.stderr.trim().split('\n').length, 1, `${what}: ${run.stderr}`);
  assert.equal(run.stdout, '', what);
}

test('several nodes without what they share are refused', { skip }, async () => {
  const both = /^stampede: --nodes: needs DATABASE_URL and REDIS_URL/;
  await isRefused('no database', ['--nodes', '2'], { DATABASE_URL: '' }, both);
  await isRefused('no Redis', ['--nodes', '2'], { REDIS_URL: '' }, both);
  await isRefused('no node', ['--nodes', '0'], {}, /^stampede: --nodes: must be 1 to 64/);
});

test('a port is shared only by those who say so', { skip }, async () => {
  const taken = /^stampede: cannot listen on 127\.0\.0\.1:\d+: is it taken\?/;
  await isRefused('by a supervisor, with a stranger', ['--nodes', '2'], { PORT: String(port) }, taken, 1);
  await isRefused('by a node of the same cluster', [], { PORT: String(port) }, taken, 1);
});

test('a node that does not fit the living ones is refused', { skip }, async () => {
  const dataKey = Buffer.alloc(32, 9).toString('base64');
  await isRefused(
    'another signing secret, of all nodes',
    ['--nodes', '2'],
    { TOKEN_SECRET: 'y'.repeat(40) },
    /TOKEN_SECRET/,
  );
  await isRefused('another key of personal data', [], { DATA_KEY: dataKey }, /DATA_KEY/);
  await isRefused('no bus', [], { REDIS_URL: '' }, /alive on this database, and without a bus two cannot share it/);
  await isRefused(
    'the name of a living node',
    [],
    { NODE_ID: 'living' },
    /alive on this database under the same node id/,
  );
});

test('the same CLUSTER_ID on another database, and a database of another layout, are refused', { skip }, async () => {
  const other = await scratchDatabase(process.env.TEST_DATABASE_URL, 'stampede_refusals');
  const client = new pg.Client({ connectionString: other.url });
  try {
    const elsewhere = { DATABASE_URL: other.url };
    await isRefused('another database', [], elsewhere, /^stampede: CLUSTER_ID \S+ is used by another database/);
    await client.connect();
    for (const [key, value] of [
      ['shard_hash_version', '2'],
      ['shard_count', '512'],
    ] as const) {
      await client.query('UPDATE stampede.meta SET value = $2 WHERE key = $1', [key, value]);
      await isRefused(key, [], { ...elsewhere, CLUSTER_ID: randomUUID() }, new RegExp(`${key} ${value}`));
      await client.query('UPDATE stampede.meta SET value = $2 WHERE key = $1', [key, value === '2' ? '1' : '256']);
    }
  } finally {
    await client.end();
    await other.drop();
  }
});
