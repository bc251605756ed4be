/**
 * The postmaster (PostgreSQL's main process) of one data directory: which processes there are, what a dead one left behind,
 * how one is started and stopped.
 *
 * A postmaster outlives the node that started it (its own session, output to a file), so that a killed node finds it again.
 * The backends of a killed postmaster may live on and write the same files: `postmaster.pid`, which keeps a second
 * postmaster from starting meanwhile, is never removed unless its process is no PostgreSQL of this directory *and* no process
 * works in the directory. Elsewhere PostgreSQL's own checks do: it clears a stale one by itself unless the process id was
 * given to somebody else since, its dead holder is still a zombie, or it was killed between making the file and writing its id
 * there; only these cases need help.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Binaries } from './embedded-binaries.ts';
import type { Place } from './embedded-place.ts';

/** Settings that a caller may not change: what is acknowledged is on disk, and nobody gets in from outside. */
const FIXED = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on', listen_addresses: '', port: '5432' };

/**
 * Settings for one small machine. `max_wal_size` bounds what a crash has to replay: at 1 GB a shop killed after 400,000 events in a row
 * spent 1.6 s on 190 MB of it, at 128 MB a third of that; the pages logged in full after each of its more frequent checkpoints made the
 * log 6 % longer and appends 2 % slower. Statements and row values stay out of the log: they may hold personal data.
 */
const DEFAULTS = {
  max_connections: '50',
  shared_buffers: '128MB',
  max_wal_size: '128MB',
  min_wal_size: '64MB',
  wal_compression: 'pglz',
  checkpoint_timeout: '15min',
  checkpoint_completion_target: '0.9',
  autovacuum: 'on',
  jit: 'off',
  io_method: 'sync',
  max_parallel_workers_per_gather: '0',
  log_checkpoints: 'off',
  log_min_messages: 'warning',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  logging_collector: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

export type Settings = Readonly<Record<string, string>>;

interface Found {
  readonly pid: number;
  readonly parent: number;
}

/** Starts a postmaster that survives this process. It may still fail: watch `exit` of the child, and the log. */
export function spawnPostmaster(place: Place, binaries: Binaries, settings: Settings): ChildProcess {
  const all: Record<string, string> = {
    ...DEFAULTS,
    ...settings,
    ...FIXED,
    unix_socket_directories: `"${place.socketDir.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    cluster_name: place.clusterName,
  };
  // Names the data directory to whoever looks for its processes; where it is closed to the server's user the file itself
  // cannot be written, which PostgreSQL only mentions in its log.
  if (place.home !== place.dataDir) all.external_pid_file = join(place.dataDir, 'postgres.pid');
  const log = openSync(place.logFile, 'a', 0o600);
  try {
    const child = spawn(binaries.postgres, ['-D', place.pgData, ...toArguments(all)], {
      ...place.runAs,
      cwd: '/',
      env: { LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', log, log],
      detached: true,
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

function toArguments(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * - `running`: a postmaster of this directory lives (it may be starting or stopping).
 * - `orphans`: none lives, but processes of a dead one still work in the directory.
 * - `none`: nobody; a new postmaster may be started.
 */
export type Remains =
  | { readonly kind: 'running'; readonly pid: number }
  | { readonly kind: 'orphans'; readonly pids: readonly number[] }
  | { readonly kind: 'none' };

/** Looks at the directory's processes. Reads only. */
export function inspect(place: Place): Remains {
  const found = processesOf(place);
  const named = pidIn(textOf(join(place.pgData, 'postmaster.pid')) ?? '');
  const pids = new Set(found.map((process) => process.pid));
  // A child of a living postmaster has that postmaster as its parent; an orphan was given to init.
  const roots = found.filter((process) => !pids.has(process.parent));
  const postmaster = found.find((p) => p.pid === named) ?? roots.find((p) => commandOf(p.pid).includes('\0-D\0'));
  if (postmaster !== undefined) return { kind: 'running', pid: postmaster.pid };
  return found.length > 0 ? { kind: 'orphans', pids: found.map((p) => p.pid) } : { kind: 'none' };
}

/**
 * Removes a `postmaster.pid` and socket lock files that PostgreSQL would stumble over for ever: they name no process, a
 * stranger or a zombie. Call only after `inspect` said `none`. The file is moved aside and read again before it goes, so
 * that one which another starter wrote in this very moment is put back. (A starter is seen before it makes an empty one: it enters the
 * data directory first.)
 */
export function clearStaleLocks(place: Place): string[] {
  const removed: string[] = [];
  const locks = [join(place.pgData, 'postmaster.pid'), join(place.socketDir, '.s.PGSQL.5432.lock')];
  for (const file of locks) {
    const before = textOf(file);
    if (before === undefined || !blocks(before) || inspect(place).kind !== 'none') continue;
    const aside = `${file}.stale-${process.pid}`;
    try {
      renameSync(file, aside);
    } catch {
      continue; // Somebody else removed it.
    }
    if (textOf(aside) === before) removed.push(file);
    else putBack(aside, file);
    unlinkSync(aside);
  }
  return removed;
}

/** Whether PostgreSQL would refuse to start over a lock file with this in it. */
function blocks(text: string): boolean {
  const pid = pidIn(text);
  return pid === undefined || exists(pid);
}

function putBack(aside: string, file: string): void {
  try {
    linkSync(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/**
 * Fast shutdown, then immediate, then by force; resolves when neither the postmaster nor a process of it is left.
 * @param patienceMs how long the fast shutdown, which writes a checkpoint, may take.
 */
export async function stopPostmaster(place: Place, pid: number, patienceMs = 30_000): Promise<void> {
  const steps: [NodeJS.Signals, number][] = [
    ['SIGINT', patienceMs],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ];
  for (const [signal, waitMs] of steps) {
    signalAll([pid], signal);
    if (await until(() => !isAlive(pid), waitMs)) break;
  }
  await endOrphans(place, 0);
}

/**
 * Waits for the processes of a dead postmaster; they end by themselves unless one is deep in a statement, so after
 * `patienceMs` they are told to quit and at last killed. That is safe: the next postmaster replays the log.
 * @returns false where some are still there at the end.
 */
export async function endOrphans(place: Place, patienceMs = 3_000): Promise<boolean> {
  const gone = () => inspect(place).kind !== 'orphans';
  if (await until(gone, patienceMs)) return true;
  for (const signal of ['SIGQUIT', 'SIGKILL'] as const) {
    const remains = inspect(place);
    if (remains.kind === 'orphans') signalAll(remains.pids, signal);
    if (await until(gone, 5_000)) return true;
  }
  return false;
}

export async function until(condition: () => boolean, waitMs: number): Promise<boolean> {
  const end = performance.now() + waitMs;
  while (!condition()) {
    if (performance.now() >= end) return false;
    await new Promise((wake) => setTimeout(wake, 20));
  }
  return true;
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone already.
    }
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** False also for a zombie: it holds its process id, but runs nothing any more. */
export function isAlive(pid: number): boolean {
  return exists(pid) && (process.platform !== 'linux' || statOf(pid)?.state !== 'Z');
}

/**
 * The living processes that work in the database's files. On Linux by working directory; where that may not be read (root in a
 * container without CAP_SYS_PTRACE) and on other systems by command line: a postmaster names its directory, its children the cluster.
 */
function processesOf(place: Place): Found[] {
  if (process.platform !== 'linux') return listed(place);
  const found: Found[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = statOf(pid);
    if (stat === undefined || stat.state === 'Z') continue;
    let works: boolean;
    try {
      works = readlinkSync(`/proc/${pid}/cwd`) === place.pgData;
    } catch {
      works = stat.name === 'postgres' && isNamed(place, commandOf(pid));
    }
    if (works && stat.name === 'postgres') found.push({ pid, parent: stat.parent });
  }
  return found;
}

function isNamed(place: Place, command: string): boolean {
  return command.startsWith(`postgres: ${place.clusterName}: `) || command.includes(`\0-D\0${place.pgData}\0`);
}

function listed(place: Place): Found[] {
  const lines = execFileSync('ps', ['-axo', 'pid=,ppid=,state=,command='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, parent, state, command = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    const ours = command.startsWith(`postgres: ${place.clusterName}: `) || command.includes(` -D ${place.pgData} `);
    return ours && !state?.startsWith('Z') ? [{ pid: Number(pid), parent: Number(parent) }] : [];
  });
}

function commandOf(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).replaceAll(' ', '\0');
  } catch {
    return '';
  }
}

function statOf(pid: number): { name: string; state: string; parent: number } | undefined {
  try {
    const [, name = '', state = '', parent] =
      /^\d+ \((.*)\) (\S) (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
    return { name, state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/** Undefined where there is no such file. */
function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** A socket's lock file of a stand-alone server has a negative id. */
function pidIn(text: string): number | undefined {
  const pid = Math.abs(Number.parseInt(text, 10));
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
