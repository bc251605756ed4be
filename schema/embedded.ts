/**
 * The embedded PostgreSQL of a node without `DATABASE_URL`: started, adopted, watched, restarted and stopped by the node that owns
 * the data directory.
 *
 * It is reached over a unix socket in a folder that only its user may enter, with a generated password besides; it listens on
 * no network. Ownership is an advisory lock inside the database (`embedded-lock.ts`), so the order is always: get a postmaster to
 * answer, whoever started it, then ask for the lock. PostgreSQL itself sees to it that there is one postmaster for a
 * directory, the lock that it has one owner. States:
 *
 *   starting → held ⇄ recovering → lost
 *                 held, recovering → stopped
 *
 * - `held`: the lock is ours. When its session ends (the postmaster died, or restarted its backends): → recovering.
 * - `recovering`: starts or waits for a postmaster and takes the lock again, with back-off, for as long as it takes.
 * - `lost`: another node took the lock meanwhile. Final; `onExit` has been called, the node must go.
 * - `stopped`: `stop` was called; no process is left behind.
 *
 * A node that dies without `stop` leaves the postmaster running; the next one adopts it.
 */
import type { ChildProcess } from 'node:child_process';
import { copyFile, open, stat, truncate } from 'node:fs/promises';
import { loadSecrets, prepareDataDir } from './data-dir.ts';
import { type Binaries, EmbeddedError, installedBinaries, prepareBinaries } from './embedded-binaries.ts';
import { ensureDatabaseFiles, removeHalfMade } from './embedded-initdb.ts';
import { DATABASE, OWNER_ROLE, type OwnerLock, tryLock } from './embedded-lock.ts';
import { findPlace, type Place } from './embedded-place.ts';
import { clearStaleLocks, endOrphans, inspect, type Settings, spawnPostmaster, stopPostmaster } from './postmaster.ts';

/** Where a node writes what its operator should read; a pino logger is one. */
export interface EmbeddedLog {
  info(detail: object, message: string): void;
  warn(detail: object, message: string): void;
  error(detail: object, message: string): void;
}

export interface EmbeddedOptions {
  readonly dataDir: string;
  readonly log: EmbeddedLog;
  /** More settings of PostgreSQL; those that durability and privacy rest on cannot be changed. */
  readonly settings?: Settings;
  /** Folder with `bin`, `lib` and `share`; default: that of the installed package. */
  readonly native?: string;
  /** How long the first start, or the replay of a log after a crash, may take. Default 120,000. */
  readonly startTimeoutMs?: number;
  /** Called, perhaps again and again, when the database is there or on its way: from then on it only has to be waited for. */
  readonly waiting?: () => void;
}

export interface Embedded {
  /** For any PostgreSQL client: the owner's role, the application's database. It stays the same over restarts. */
  readonly url: string;
  readonly lockHeld: boolean;
  /** Whether the postmaster was found running. */
  readonly adopted: boolean;
  /** Process id of the postmaster, or undefined while there is none. */
  readonly pid: number | undefined;
  /** Stops PostgreSQL and waits for its last process. Safe to call twice. */
  stop(): Promise<void>;
  /** Called once if this node loses the directory to another one. */
  onExit(callback: (error: EmbeddedError) => void): void;
}

const POLL_MS = 20;
/** A killed node's session may outlive it for a moment. */
const TAKEN_PATIENCE_MS = 2_000;
const SPAWN_TRIES = 3;
const BACKOFF_MS_MAX = 5_000;
const LOG_CHECK_MS = 60_000;
const LOG_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Starts the data directory's PostgreSQL, or adopts the one that runs, and takes ownership of it.
 * @throws EmbeddedError or DataDirError, each with a `code` and one line for the operator.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dataDir = await prepareDataDir(options.dataDir);
  const secrets = await loadSecrets(dataDir, ['database-password']);
  const place = await findPlace(dataDir);
  const binaries = await prepareBinaries(place, options.native ?? installedBinaries());
  const server = new EmbeddedServer(place, binaries, secrets['database-password'], options);
  await server.start();
  return server;
}

type State = 'starting' | 'held' | 'recovering' | 'lost' | 'stopped';

class EmbeddedServer implements Embedded {
  readonly url: string;
  readonly #place: Place;
  readonly #binaries: Binaries;
  readonly #password: string;
  readonly #log: EmbeddedLog;
  readonly #settings: Settings;
  readonly #startTimeoutMs: number;
  #state: State = 'starting';
  #adopted = false;
  #lock: OwnerLock | undefined;
  /** The postmaster started here last, while it lives. */
  #child: ChildProcess | undefined;
  #childFailures = 0;
  #recovery: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;
  #logTimer: NodeJS.Timeout | undefined;
  #lost: EmbeddedError | undefined;
  #onExit: ((error: EmbeddedError) => void) | undefined;
  readonly #waiting: (() => void) | undefined;

  constructor(place: Place, binaries: Binaries, password: string, options: EmbeddedOptions) {
    this.#place = place;
    this.#binaries = binaries;
    this.#password = password;
    this.#log = options.log;
    this.#settings = { ...options.settings };
    this.#startTimeoutMs = options.startTimeoutMs ?? 120_000;
    this.#waiting = options.waiting;
    const host = encodeURIComponent(place.socketDir);
    this.url = `postgres://${OWNER_ROLE}:${encodeURIComponent(password)}@localhost/${DATABASE}?host=${host}`;
  }

  get lockHeld(): boolean {
    return this.#state === 'held';
  }

  get adopted(): boolean {
    return this.#adopted;
  }

  get pid(): number | undefined {
    const remains = inspect(this.#place);
    return remains.kind === 'running' ? remains.pid : undefined;
  }

  onExit(callback: (error: EmbeddedError) => void): void {
    this.#onExit = callback;
    if (this.#lost !== undefined) callback(this.#lost);
  }

  async start(): Promise<void> {
    const begun = performance.now();
    let spawned = false;
    try {
      spawned = await this.#own();
    } catch (error) {
      // A postmaster that another node owns by now is not ours to stop.
      const taken = error instanceof EmbeddedError && error.code === 'data_dir_in_use';
      if (!taken && this.#child?.pid !== undefined) await stopPostmaster(this.#place, this.#child.pid);
      this.#state = 'stopped';
      throw error;
    }
    this.#adopted = !spawned;
    await removeHalfMade(this.#place);
    this.#logTimer = setInterval(() => void this.#boundLog(), LOG_CHECK_MS).unref();
    const tookMs = Math.round(performance.now() - begun);
    this.#log.info({ place: this.#place.home, adopted: this.#adopted, tookMs }, 'embedded database ready');
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const lost = this.#state === 'lost';
    this.#state = 'stopped';
    clearInterval(this.#logTimer);
    await this.#recovery;
    // Without the lock only a postmaster of our own making may be stopped.
    const pid = lost ? undefined : this.#lock === undefined ? this.#child?.pid : this.pid;
    if (pid !== undefined) await stopPostmaster(this.#place, pid);
    await this.#lock?.release();
    this.#lock = undefined;
  }

  /**
   * Until the lock is ours: connect; where nobody answers, clear up and start a postmaster. Returns whether one was started here.
   * @throws EmbeddedError when that cannot succeed, or not in time.
   */
  async #own(): Promise<boolean> {
    const end = performance.now() + this.#startTimeoutMs;
    let takenSince: number | undefined;
    let why = 'nobody answers';
    let spawned = false;
    this.#childFailures = 0;
    while (this.#state !== 'stopped') {
      const attempt = await this.#tryLock();
      const now = performance.now();
      if (attempt.kind === 'owned') {
        this.#waiting?.();
        if (await this.#hold(attempt.lock)) return spawned;
      } else if (attempt.kind === 'taken') {
        takenSince ??= now;
        if (now - takenSince > TAKEN_PATIENCE_MS) {
          throw new EmbeddedError(
            'data_dir_in_use',
            `the data directory ${this.#place.dataDir} is in use by ${attempt.by}`,
          );
        }
      } else if (attempt.kind === 'starting') {
        why = attempt.why;
      } else if (this.#child === undefined && (await this.#clear())) {
        if (this.#childFailures >= SPAWN_TRIES) throw await this.#startFailed('PostgreSQL does not start');
        await ensureDatabaseFiles(this.#place, this.#binaries, this.#password, this.#waiting);
        this.#spawn();
        spawned = true;
      }
      if (now > end) throw await this.#startFailed(`PostgreSQL did not become ready in time (${why})`);
      this.#waiting?.();
      await pause(POLL_MS);
    }
    return spawned;
  }

  async #tryLock() {
    try {
      return await tryLock(this.#place, this.#password);
    } catch (error) {
      const line = `the embedded database of ${this.#place.dataDir} refuses its owner (${(error as Error).message})`;
      throw new EmbeddedError('database_start_failed', line, error);
    }
  }

  /** Whether the directory is free for a new postmaster. */
  async #clear(): Promise<boolean> {
    const remains = inspect(this.#place);
    if (remains.kind === 'running') return false;
    if (remains.kind === 'orphans') {
      this.#log.warn({ pids: remains.pids }, 'waiting for processes of a dead PostgreSQL');
      if (!(await endOrphans(this.#place))) return false;
    }
    const removed = clearStaleLocks(this.#place);
    if (removed.length > 0)
      this.#log.warn({ removed }, 'removed lock files that no PostgreSQL of this directory holds');
    return true;
  }

  #spawn(): void {
    const child = spawnPostmaster(this.#place, this.#binaries, this.#settings);
    this.#child = child;
    const gone = () => {
      if (this.#child === child) this.#child = undefined;
      this.#childFailures += 1;
    };
    child.once('exit', gone);
    child.once('error', gone);
  }

  /** Makes the application's database where it is missing, and watches the lock. False where the session ended meanwhile. */
  async #hold(lock: OwnerLock): Promise<boolean> {
    try {
      const { rowCount } = await lock.client.query('select 1 from pg_database where datname = $1', [DATABASE]);
      if (rowCount === 0) {
        await lock.client.query('revoke connect on database postgres from public');
        await lock.client.query(`create database ${DATABASE}`);
      }
    } catch (error) {
      this.#log.warn({ error: (error as Error).message }, 'the embedded database went away at once');
      await lock.release();
      return false;
    }
    this.#lock = lock;
    if (this.#state !== 'stopped') this.#state = 'held';
    lock.onLost(() => {
      this.#lock = undefined;
      if (this.#state !== 'held') return;
      this.#state = 'recovering';
      this.#log.error({}, 'the embedded database went away');
      this.#recovery = this.#recover();
    });
    return true;
  }

  async #recover(): Promise<void> {
    for (let backoffMs = 100; this.#state === 'recovering'; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
      try {
        await this.#own();
        if (this.lockHeld) this.#log.info({}, 'the embedded database is back');
        return;
      } catch (error) {
        if (error instanceof EmbeddedError && error.code === 'data_dir_in_use') return this.#lose(error);
        this.#log.error({ error: (error as Error).message, backoffMs }, 'the embedded database is not back yet');
        await pause(backoffMs);
      }
    }
  }

  #lose(error: EmbeddedError): void {
    this.#state = 'lost';
    this.#lost = error;
    clearInterval(this.#logTimer);
    this.#onExit?.(error);
  }

  /** Keeps the log to 8 MiB and one older copy. PostgreSQL appends, so a file cut to nothing under it goes on from its start. */
  async #boundLog(): Promise<void> {
    const file = this.#place.logFile;
    try {
      if ((await stat(file)).size <= LOG_BYTES_MAX) return;
      await copyFile(file, `${file}.1`);
      await truncate(file);
    } catch (error) {
      this.#log.warn({ error: (error as Error).message }, 'the log of the embedded database cannot be cut');
    }
  }

  async #startFailed(message: string): Promise<EmbeddedError> {
    const last = await lastLine(this.#place.logFile);
    return new EmbeddedError('database_start_failed', `${message}; see ${this.#place.logFile}${last && `: ${last}`}`);
  }
}

/** The last complaint in the log's last 4 KiB, or an empty string. */
async function lastLine(file: string): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, 4_096));
    await handle.read(buffer, 0, buffer.length, size - buffer.length);
    const lines = buffer.toString('utf8').trim().split('\n');
    return lines.findLast((line) => /FATAL|PANIC/.test(line)) ?? lines.at(-1) ?? '';
  } finally {
    await handle.close();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}
