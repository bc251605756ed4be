/**
 * A real shop as a child process, for process tests and load benches: started as an operator would start it, spoken to over its
 * public contract, killed without mercy. Relies on the built `dist/`; every process started here is ended by its own id.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import http from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE_FLAGS } from '../http/heap.ts';

export const ADMIN_KEY = 'test-admin-key-0123456789abcdef0123456789abcdef';
export const TEST_SECRETS = {
  ADMIN_KEY,
  TOKEN_SECRET: 'test-token-secret-0123456789abcdef012345',
  DATA_KEY: Buffer.alloc(32, 7).toString('base64'),
};

export interface ShopOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** An existing data directory; default: a new one that `cleanUp` removes. */
  readonly dataDir?: string;
  readonly port?: number;
  /** How long the start may take until `/readyz` is 200. Default 60,000. */
  readonly readyTimeoutMs?: number;
  /** User id to run as (root only). */
  readonly uid?: number;
  /** Where operators' calls are served apart from `port`. */
  readonly opsPort?: number;
  /** The `stampede.js` of another build. Default: of this one. */
  readonly entry?: string;
}

/** Whatever takes requests of the public contract: one shop, or a cluster of which some node answers. */
export interface Storefront {
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  admin(method: string, path: string, options?: RequestOptions): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: an answer's body is whatever the server sent; tests look into it
  readonly body: any;
  readonly text: string;
}

/**
 * How a request came to no answer. A connection that is reset before it ever carried an answer may have been one that the server never took:
 * the kernel resets those which wait to be taken when their listener closes.
 */
export type NoAnswer = 'nobody listens' | 'reset at connect' | 'broken off' | 'timed out';

export function noAnswerOf(error: unknown): NoAnswer {
  const { code, message, fresh } = error as { code?: string; message?: string; fresh?: boolean };
  if (code === 'ECONNREFUSED') return 'nobody listens';
  if (message === 'timed out') return 'timed out';
  return code === 'ECONNRESET' && fresh === true ? 'reset at connect' : 'broken off';
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly token?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export class ShopProcess implements Storefront {
  readonly port: number;
  readonly #opsPort: number;
  readonly dataDir: string;
  readonly logFile: string;
  readonly child: ChildProcess;
  readyMs = 0;
  /** A server closes what was idle for 10 s; a request that goes out at that very moment would be reset. */
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1024, timeout: 6_000 });
  readonly #databaseUrl: string | undefined;

  private constructor(child: ChildProcess, port: number, dataDir: string, logFile: string, options: ShopOptions) {
    this.child = child;
    this.port = port;
    this.#opsPort = options.opsPort ?? port;
    this.dataDir = dataDir;
    this.logFile = logFile;
    this.#databaseUrl = options.env?.DATABASE_URL;
  }

  /** Starts a shop and waits until it is ready; a start that fails throws with the end of its log. */
  static async start(options: ShopOptions = {}): Promise<ShopProcess> {
    const port = options.port ?? (await freePort());
    const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'stampede-shop-'));
    const logFile = join(logFolder(dataDir), `${randomUUID()}.log`);
    mkdirSync(logFolder(dataDir), { recursive: true });
    const log = openSync(logFile, 'a');
    const started = performance.now();
    const child = spawn(process.execPath, [...NODE_FLAGS, options.entry ?? entryPoint(), 'start'], {
      detached: true,
      stdio: ['ignore', log, log],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        ...TEST_SECRETS,
        PORT: String(port),
        HOST: '127.0.0.1',
        DATA_DIR: dataDir,
        LOG_LEVEL: 'warn',
        RATE_LIMITS: 'off',
        ...(options.opsPort === undefined ? {} : { OPS_PORT: String(options.opsPort) }),
        ...options.env,
      },
    });
    closeSync(log);
    const shop = new ShopProcess(child, port, dataDir, logFile, options);
    const deadline = performance.now() + (options.readyTimeoutMs ?? 60_000);
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the shop ended at its start: ${shop.logTail()}`);
      const ready = await shop.request('GET', '/readyz', { timeoutMs: 2000 }).catch(() => null);
      if (ready?.status === 200) break;
      if (performance.now() > deadline) {
        shop.killAll();
        throw new Error(`the shop was not ready in time: ${shop.logTail()}`);
      }
      await pause(20);
    }
    shop.readyMs = performance.now() - started;
    return shop;
  }

  request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    return request(this.port, this.#agent, method, path, options);
  }

  admin(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    return request(this.#opsPort, this.#agent, method, path, { ...options, token: ADMIN_KEY });
  }

  /** What it, and those before it on the same directory, noted of requests that failed unforeseen: the answer was 500. */
  failedRequests(): string[] {
    const folder = logFolder(this.dataDir);
    const lines = readdirSync(folder).flatMap((file) => readOr(join(folder, file)).split('\n'));
    return lines.filter((line) => line.includes('"a request failed"'));
  }

  logTail(): string {
    return readOr(this.logFile).trim().split('\n').slice(-6).join(' | ').slice(-1200);
  }

  /** The shop's process, its descendants and whatever works in its data directory (the database's processes). */
  family(): number[] {
    const own = this.child.pid;
    return own === undefined ? [] : family(own, this.#databaseUrl === undefined ? this.dataDir : undefined);
  }

  /** `kill -9` of everything at once, the database's processes too. */
  killAll(): void {
    for (const pid of this.family()) killQuietly(pid, 'SIGKILL');
    this.#agent.destroy();
  }

  /** SIGTERM, then wait for the exit; resolves with the exit code. */
  async stop(timeoutMs = 20_000): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      let late: NodeJS.Timeout | undefined;
      const ended = new Promise<void>((resolve) => {
        this.child.once('exit', () => resolve());
        late = setTimeout(resolve, timeoutMs);
      });
      this.child.kill('SIGTERM');
      await ended;
      clearTimeout(late);
    }
    const code = this.child.exitCode;
    this.killAll();
    return code;
  }

  /** Kills what is left and removes the data directory. */
  async cleanUp(): Promise<void> {
    this.killAll();
    const deadline = performance.now() + 10_000;
    while (this.family().some(isAlive) && performance.now() < deadline) await pause(20);
    rmSync(this.dataDir, { recursive: true, force: true });
    rmSync(logFolder(this.dataDir), { recursive: true, force: true });
  }
}

/** Logs of all starts on one data directory. */
const logFolder = (dataDir: string) => `${dataDir}.logs`;

/** The built `stampede.js`, found upwards from this module. */
export function entryPoint(): string {
  return fileURLToPath(new URL('../stampede.js', import.meta.url));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until `probe` gives something other than undefined or false; throws with `what` after the time. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`not reached in ${timeoutMs} ms: ${what}`);
    await pause(50);
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

function request(
  port: number,
  agent: http.Agent,
  method: string,
  path: string,
  options: RequestOptions,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, token, key, timeoutMs = 20_000 } = options;
    const data = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const headers: Record<string, string | number> = { ...options.headers };
    if (data !== undefined) {
      headers['content-type'] ??= 'application/json';
      headers['content-length'] = data.byteLength;
    }
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (key !== undefined) headers['idempotency-key'] = key;
    const call = http.request(
      { host: '127.0.0.1', port, method, path, agent, timeout: timeoutMs, headers },
      (message) => {
        const chunks: Buffer[] = [];
        message.on('data', (chunk: Buffer) => chunks.push(chunk));
        message.once('error', reject);
        message.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          let parsed: unknown = text;
          try {
            parsed = JSON.parse(text);
          } catch {
            // The body is no JSON: the text stands for itself.
          }
          resolve({ status: message.statusCode ?? 0, headers: message.headers, body: parsed, text });
        });
      },
    );
    call.once('error', (error) => reject(Object.assign(error, { fresh: !call.reusedSocket })));
    call.once('timeout', () => call.destroy(new Error('timed out')));
    if (data !== undefined) call.write(data);
    call.end();
  });
}

function readOr(file: string, fallback = ''): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return fallback;
  }
}

function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended already.
  }
}

export function isAlive(pid: number): boolean {
  return (
    readOr(`/proc/${pid}/stat`)
      .replace(/^.*\) /s, '')
      .charAt(0)
      .replace('Z', '') !== ''
  );
}

function family(root: number, directory: string | undefined): number[] {
  const all = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);
  const parents = new Map(
    all.map((pid) => [
      pid,
      Number(
        readOr(`/proc/${pid}/stat`)
          .replace(/^.*\) \S /s, '')
          .split(' ')[0],
      ),
    ]),
  );
  const members = new Set([root]);
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const [pid, parent] of parents) if (members.has(parent)) members.add(pid);
  }
  if (directory !== undefined)
    for (const pid of all) {
      if (pid === process.pid || members.has(pid)) continue;
      let cwd = '';
      try {
        cwd = readlinkSync(`/proc/${pid}/cwd`);
      } catch {
        // Not ours to look at, or gone.
      }
      if (cwd.startsWith(directory) || readOr(`/proc/${pid}/cmdline`).includes(directory)) members.add(pid);
    }
  return [...members].filter(isAlive);
}
