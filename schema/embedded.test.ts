import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { type Embedded, startEmbedded } from './embedded.ts';
import { installedBinaries } from './embedded-binaries.ts';
import { findPlace, type RunAs } from './embedded-place.ts';
import { inspect, isAlive } from './postmaster.ts';

const asRoot = process.getuid?.() === 0;
const needsRoot = asRoot ? false : 'needs root to change users';
const log = { info() {}, warn() {}, error() {} };
const module = new URL('./embedded.js', import.meta.url).href;

/** A node in a process of its own: prints one line when it owns the directory or failed, stops when its input ends. */
const PROGRAM = `
  const { startEmbedded } = await import(process.argv[1]);
  const log = { info() {}, warn() {}, error() {} };
  const options = JSON.parse(process.argv[2]);
  try {
    const server = await startEmbedded({ ...options, log });
    console.log(JSON.stringify({ ok: true, url: server.url, adopted: server.adopted, pid: server.pid }));
    process.stdin.resume().on('end', () => server.stop().then(() => process.exit(0)));
  } catch (error) {
    console.log(JSON.stringify({ ok: false, code: error.code, message: error.message }));
  }`;

interface Report {
  ok: boolean;
  url: string;
  adopted: boolean;
  pid: number;
  code?: string;
  message?: string;
}

const children = new Set<ChildProcess>();

function startNode(options: { dataDir: string; native?: string }, user?: RunAs): ChildProcess {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, module, JSON.stringify(options)], {
    ...user,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function report(child: ChildProcess): Promise<Report> {
  assert.ok(child.stdout);
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line) as Report;
  throw new Error('the node said nothing');
}

async function stopNode(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.stdin?.end();
  await gone;
}

async function killNode(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function eventually<T>(what: string, probe: () => T | Promise<T>): Promise<T> {
  const end = Date.now() + 30_000;
  for (;;) {
    const value = await Promise.resolve(probe()).catch(() => undefined);
    if (value) return value;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

describe('the embedded PostgreSQL', () => {
  let scratch = '';
  let dataDir = '';
  let native = '';
  let server: Embedded;

  before(async () => {
    scratch = await realpath(await mkdtemp(join(tmpdir(), 'stampede-pg-')));
    await chmod(scratch, 0o711);
    dataDir = join(scratch, 'data');
    server = await startEmbedded({ dataDir, log });
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  it('serves an empty database of its own, with everything on that durability needs', async () => {
    const [row] = await query(
      server.url,
      `select current_database() as database, current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
              current_setting('synchronous_commit') as commit, current_setting('listen_addresses') as listen,
              pg_encoding_to_char(encoding) as encoding, datcollate as collate
       from pg_database where datname = current_database()`,
    );
    assert.deepEqual(row, {
      database: 'stampede',
      fsync: 'on',
      pages: 'on',
      commit: 'on',
      listen: '',
      encoding: 'UTF8',
      collate: 'C',
    });
    assert.equal(server.lockHeld, true);
    assert.equal(server.adopted, false);
  });

  it('lets nobody in who does not know the password', async () => {
    const url = new URL(server.url);
    url.password = 'guess';
    await assert.rejects(query(url.href, 'select 1'), { code: '28P01' });
  });

  it('cannot be reached by another user of the machine', { skip: needsRoot }, async () => {
    const place = await findPlace(dataDir);
    assert.equal((await stat(place.socketDir)).mode & 0o777, 0o700);
    const socket = join(place.socketDir, '.s.PGSQL.5432');
    const attempt = `require('net').connect(process.argv[1]).on('error', (e) => { console.log(e.code); process.exit() }).on('connect', () => process.exit(console.log('in')))`;
    const child = spawn(process.execPath, ['-e', attempt, socket], { uid: 1, gid: 1, cwd: '/' });
    const [chunk] = await once(child.stdout, 'data');
    assert.equal(String(chunk).trim(), 'EACCES');
    const mine = connect(socket);
    await once(mine, 'connect');
    mine.destroy();
  });

  it('does not run as root, and closes the directory to others', { skip: needsRoot }, async () => {
    const place = await findPlace(dataDir);
    assert.notEqual((await stat(place.pgData)).uid, 0);
    assert.equal((await stat(dataDir)).mode & 0o777, 0o711);
    assert.match(
      await readFile(`/proc/${server.pid}/status`, 'utf8'),
      new RegExp(`^Uid:\\s+${place.runAs?.uid}\\s`, 'm'),
    );
  });

  it('refuses a second process on the directory with one line that names the first', async () => {
    const second = await report(startNode({ dataDir }));
    assert.equal(second.ok, false);
    assert.equal(second.code, 'data_dir_in_use');
    assert.match(
      second.message ?? '',
      new RegExp(`^the data directory ${dataDir} is in use by .*process ${process.pid}$`),
    );
    assert.equal(server.lockHeld, true);
  });

  it('leaves no process when stopped, and has its rows after a restart', async () => {
    await query(server.url, 'create table kept (n int)');
    await query(server.url, 'insert into kept values (1)');
    const url = server.url;
    await server.stop();
    assert.deepEqual(inspect(await findPlace(dataDir)), { kind: 'none' });
    server = await startEmbedded({ dataDir, log });
    assert.equal(server.url, url);
    assert.deepEqual(await query(server.url, 'select n from kept'), [{ n: 1 }]);
  });

  it('comes back by itself after kill -9 of all its processes, with every committed row', async () => {
    const pid = server.pid;
    assert.ok(pid);
    await query(server.url, 'insert into kept values (2)');
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').map(Number);
    for (const victim of [pid, ...children])
      try {
        process.kill(victim, 'SIGKILL');
      } catch (error) {
        // One that served a client ends by itself with it.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    await eventually('the lock is gone', () => !server.lockHeld);
    await eventually('the lock is held again', () => server.lockHeld);
    assert.notEqual(server.pid, pid);
    assert.deepEqual(await query(server.url, 'select n from kept order by n'), [{ n: 1 }, { n: 2 }]);
  });

  it('starts no second postmaster while a backend of a killed one still writes', async () => {
    const pid = server.pid;
    assert.ok(pid);
    const busy = new pg.Client({ connectionString: server.url });
    busy.on('error', () => {});
    await busy.connect();
    const { rows } = await busy.query<{ pid: number }>('select pg_backend_pid() as pid');
    const backend = rows[0]?.pid ?? 0;
    const loop = busy.query('do $$ begin for i in 1..2000000000 loop perform 1; end loop; end $$').catch(() => {});
    await eventually('the backend is at work', async () => {
      const [row] = await query(server.url, `select state from pg_stat_activity where pid = ${backend}`);
      return row?.state === 'active';
    });
    process.kill(pid, 'SIGKILL');
    const place = await findPlace(dataDir);
    await eventually('only orphans are left', () => inspect(place).kind === 'orphans');
    assert.ok(isAlive(backend));
    await eventually('the lock is gone', () => !server.lockHeld);
    await eventually('a new postmaster', () => server.lockHeld);
    assert.notEqual(server.pid, pid);
    assert.equal(isAlive(backend), false);
    await loop;
    assert.deepEqual(await query(server.url, 'select count(*)::int as n from kept'), [{ n: 2 }]);
    await busy.end().catch(() => {});
  });

  it('tells its node when another one took the directory, and leaves that one alone', async () => {
    const url = new URL(server.url);
    url.pathname = '/postgres';
    const other = new pg.Client({ connectionString: url.href });
    await other.connect();
    const { rows } = await other.query<{ classid: string; objid: string; pid: number }>(
      "select classid, objid, pid from pg_locks where locktype = 'advisory'",
    );
    const [lock] = rows;
    assert.ok(lock && rows.length === 1);
    const waiting = other.query('select pg_advisory_lock($1::int, $2::int)', [lock.classid, lock.objid]);
    await eventually('the other one waits', async () => {
      return (
        (await query(server.url, "select 1 from pg_locks where locktype = 'advisory' and not granted")).length === 1
      );
    });
    const told = new Promise<{ code: string }>((resolve) => server.onExit(resolve));
    await query(server.url, `select pg_terminate_backend(${lock.pid})`);
    await waiting;
    assert.equal((await told).code, 'data_dir_in_use');
    assert.equal(server.lockHeld, false);
    await server.stop();
    assert.deepEqual((await other.query('select 1 as one')).rows, [{ one: 1 }]);
    await other.end();
    server = await startEmbedded({ dataDir, log });
    assert.equal(server.adopted, true);
  });

  it('outlives its node, and the next node adopts it', async () => {
    await server.stop();
    const child = startNode({ dataDir });
    const first = await report(child);
    assert.equal(first.ok, true, first.message);
    await query(first.url, 'insert into kept values (3)');
    await killNode(child);
    assert.ok(isAlive(first.pid));
    server = await startEmbedded({ dataDir, log });
    assert.equal(server.adopted, true);
    assert.equal(server.pid, first.pid);
    assert.deepEqual(await query(server.url, 'select count(*)::int as n from kept'), [{ n: 3 }]);
  });

  it('starts over a postmaster.pid and a socket lock whose process id was given to a stranger', async () => {
    await server.stop();
    const place = await findPlace(dataDir);
    const stranger = spawn('sleep', ['1000'], { ...place.runAs });
    try {
      for (const file of [join(place.pgData, 'postmaster.pid'), join(place.socketDir, '.s.PGSQL.5432.lock')]) {
        await writeFile(file, `${stranger.pid}\n${place.pgData}\n`);
        if (place.runAs) await chown(file, place.runAs.uid, place.runAs.gid);
      }
      server = await startEmbedded({ dataDir, log });
      assert.deepEqual(await query(server.url, 'select count(*)::int as n from kept'), [{ n: 3 }]);
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  // A postmaster that is killed between making a lock file and writing into it leaves it so.
  for (const remains of ['', 'no number\n'])
    it(`starts over lock files that name no process: ${JSON.stringify(remains)}`, async () => {
      await server.stop();
      const place = await findPlace(dataDir);
      for (const file of [join(place.pgData, 'postmaster.pid'), join(place.socketDir, '.s.PGSQL.5432.lock')]) {
        await writeFile(file, remains);
        if (place.runAs) await chown(file, place.runAs.uid, place.runAs.gid);
      }
      server = await startEmbedded({ dataDir, log });
      assert.deepEqual(await query(server.url, 'select count(*)::int as n from kept'), [{ n: 3 }]);
    });

  it('has one owner where two nodes start on a new directory at the same moment', async () => {
    const shared = join(scratch, 'both');
    const nodes = [startNode({ dataDir: shared }), startNode({ dataDir: shared })];
    const reports = await Promise.all(nodes.map(report));
    assert.deepEqual(reports.map((r) => r.code ?? 'owner').sort(), ['data_dir_in_use', 'owner']);
    const winner = nodes[reports.findIndex((r) => r.ok)];
    assert.ok(winner);
    await stopNode(winner);
    assert.deepEqual(inspect(await findPlace(shared)), { kind: 'none' });
    assert.deepEqual(
      (await readdir(shared)).filter((name) => name.startsWith('pg.')),
      [],
    );
  });

  it('makes its files anew where the first start was killed half-way', async () => {
    const half = join(scratch, 'half');
    const child = startNode({ dataDir: half });
    const said = report(child).catch(() => {});
    await eventually('initdb is at work', async () => {
      const [folder] = (await readdir(half)).filter((name) => name.startsWith('pg.init-'));
      return folder !== undefined && (await stat(join(half, folder, 'data', 'PG_VERSION'))).isFile();
    });
    const family = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
    await killNode(child);
    await said;
    for (const pid of family) {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (command.includes(`${half}/`)) process.kill(pid, 'SIGKILL');
    }
    await assert.rejects(stat(join(half, 'pg')), { code: 'ENOENT' });
    const again = await startEmbedded({ dataDir: half, log });
    assert.deepEqual(await query(again.url, 'select 1 as one'), [{ one: 1 }]);
    assert.deepEqual(
      (await readdir(half)).filter((name) => name.startsWith('pg.init-')),
      [],
    );
    await again.stop();
  });

  it('says in one line that a database of another major version cannot be used', async () => {
    const foreign = join(scratch, 'foreign');
    await mkdir(join(foreign, 'pg'), { recursive: true });
    await writeFile(join(foreign, 'pg', 'PG_VERSION'), '12\n');
    const { runAs } = await findPlace(dataDir);
    if (runAs) await chown(join(foreign, 'pg'), runAs.uid, runAs.gid);
    await assert.rejects(startEmbedded({ dataDir: foreign, log }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'database_version');
      assert.equal(error.message.includes('\n'), false);
      return true;
    });
  });

  it('moves out of a closed home, binaries too, and can still be found by its data directory', {
    skip: needsRoot,
  }, async () => {
    const closed = join(scratch, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const home = join(closed, 'data');
    native = await bareBinaries(join(closed, 'package'));
    const moved = await startEmbedded({ dataDir: home, native, log });
    const place = await findPlace(home);
    try {
      assert.match(place.home, /^\/var\/lib\/stampede\/[0-9a-f]{16}$/);
      assert.equal((await stat(place.home)).mode & 0o777, 0o711);
      assert.deepEqual(await query(moved.url, 'select 1 as one'), [{ one: 1 }]);
      const command = await readFile(`/proc/${moved.pid}/cmdline`, 'utf8');
      assert.ok(command.startsWith(place.home) && command.includes(home));
    } finally {
      await moved.stop();
      await rm(place.home, { recursive: true, force: true });
    }
  });

  it('runs for an ordinary user who cannot write the package', { skip: needsRoot }, async () => {
    const user = { uid: 1, gid: 1 };
    // The package of the test before, which is root's, now where the user can read it.
    await chmod(join(scratch, 'closed'), 0o711);
    const home = join(scratch, 'user');
    await mkdir(home);
    await chown(home, user.uid, user.gid);
    const child = startNode({ dataDir: join(home, 'data'), native }, user);
    const first = await report(child);
    assert.equal(first.ok, true, first.message);
    assert.match(await readFile(`/proc/${first.pid}/status`, 'utf8'), /^Uid:\s+1\s/m);
    assert.equal((await stat(join(home, 'data'))).mode & 0o777, 0o700);
    assert.deepEqual(await query(first.url, 'select 1 as one'), [{ one: 1 }]);
    await stopNode(child);
    assert.equal(isAlive(first.pid), false);
  });
});

/** A copy of the installed package as npm leaves it: without the library links. */
async function bareBinaries(target: string): Promise<string> {
  const native = installedBinaries();
  await mkdir(target);
  await cp(join(native, '..', 'package.json'), join(target, 'package.json'));
  await cp(native, join(target, 'native'), {
    recursive: true,
    filter: async (path) => !path.endsWith('.a') && !(await lstat(path)).isSymbolicLink(),
  });
  return join(target, 'native');
}
