// Runs the compiled tests with node:test. What they need from outside (PostgreSQL, Redis) is used where it runs and started where it
// does not: PostgreSQL from the embedded binaries, Redis from the `redis-server` on the path. What is missing is said in one line that
// names the Debian package, and the tests that need it are skipped.
//   node .ci/test.mjs [--faults] [part of a file name ...]
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const args = process.argv.slice(2);
const long = args.includes('--faults');
const wanted = args.filter((arg) => !arg.startsWith('--'));
const cleanups = [];

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const connects = (url, defaultPort) =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = net.connect({ host: hostname, port: Number(port || defaultPort), timeout: 1000 });
    const done = (ok) => {
      socket.destroy();
      resolve(ok);
    };
    socket
      .once('connect', () => done(true))
      .once('error', () => done(false))
      .once('timeout', () => done(false));
  });

async function postgres() {
  const url = process.env.TEST_DATABASE_URL ?? 'postgres://root@127.0.0.1:5432/postgres';
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
    return url;
  } catch {
    const { startEmbedded } = await import('../dist/schema/embedded.js');
    const dataDir = mkdtempSync(join(tmpdir(), 'stampede-test-pg-'));
    // A cluster of three nodes takes some fifty connections, and two test files run at a time.
    const settings = { max_connections: '200' };
    const embedded = await startEmbedded({ dataDir, settings, log: { info() {}, warn() {}, error() {} } });
    cleanups.push(async () => {
      await embedded.stop();
      rmSync(dataDir, { recursive: true, force: true });
    });
    return embedded.url;
  } finally {
    await client.end().catch(() => {});
  }
}

async function redis() {
  const url = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';
  if (url !== 'none' && (await connects(url, 6379))) return url;
  if (spawnSync('redis-server', ['--version']).status !== 0) {
    process.stdout.write('skipped: the tests that need Redis (install the Debian package redis-server)\n');
    return 'none';
  }
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'stampede-test-redis-'));
  const server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', dir], {
    stdio: 'ignore',
  });
  cleanups.push(async () => {
    server.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  const started = `redis://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 100 && !(await connects(started, port)); attempt++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return started;
}

function chromium() {
  const found = [process.env.TEST_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'].find(
    (path) => path && existsSync(path),
  );
  if (!found) process.stdout.write('skipped: the tests that need a browser (install the Debian package chromium)\n');
  return found ?? 'none';
}

function testFiles() {
  const files = [];
  for (const entry of readdirSync(join(ROOT, 'dist'), { recursive: true, withFileTypes: true }))
    if (entry.isFile() && entry.name.endsWith('.test.js'))
      files.push(relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)));
  for (const name of readdirSync(join(ROOT, '.ci'))) if (name.endsWith('.test.mjs')) files.push(join('.ci', name));
  return files
    .filter((file) => long === file.endsWith('.faults.test.js'))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .sort();
}

const env = {
  ...process.env,
  TEST_DATABASE_URL: await postgres(),
  TEST_REDIS_URL: await redis(),
  TEST_CHROMIUM: chromium(),
};
const files = testFiles();
if (files.length === 0) {
  process.stderr.write('no test file found\n');
  process.exit(1);
}
const concurrency = long ? 1 : 2;
const run = spawn(
  process.execPath,
  ['--enable-source-maps', '--test', `--test-concurrency=${concurrency}`, '--test-reporter=spec', ...files],
  { cwd: ROOT, env, stdio: 'inherit' },
);
// Ctrl-C reaches the tests too: they end, and what was started for them is stopped here.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => run.kill(signal));
const code = await new Promise((resolve) => run.once('exit', (status, signal) => resolve(signal ? 1 : status)));
for (const cleanup of cleanups.reverse()) await cleanup();
process.exit(code);
