/**
 * One node of a cluster under test: a real process on a port of its own, with everything that a fault test does to one. It keeps its
 * node id, ports and data directory over restarts, as a machine would.
 *
 * States: `down` → (start) → `up` ⇄ (pause, resume) `paused`; `up`, `paused` → (kill) → `down`; `up` → (terminate) → `down`.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Answer, freePort, type RequestOptions, ShopProcess, type Storefront, until } from './shop-process.ts';
import type { TcpProxy } from './tcp-proxy.ts';

export interface ClusterNodeOptions {
  readonly name: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** What stands between it and Redis, and between it and PostgreSQL, where that was asked for. */
  readonly redis: TcpProxy | null;
  readonly postgres: TcpProxy | null;
}

export interface StartOptions {
  /** Another build's `stampede.js`. */
  readonly entry?: string;
  /** Over those of the node, for this run only. */
  readonly env?: Readonly<Record<string, string>>;
}

export class ClusterNode implements Storefront {
  readonly name: string;
  readonly port: number;
  readonly redis: TcpProxy | null;
  readonly postgres: TcpProxy | null;
  readonly #env: Readonly<Record<string, string>>;
  readonly #dataDir = mkdtempSync(join(tmpdir(), 'stampede-node-'));
  #opsPort: number | null = null;
  #shop: ShopProcess | null = null;
  #state: 'down' | 'up' | 'paused' = 'down';

  constructor(options: ClusterNodeOptions) {
    this.name = options.name;
    this.port = options.port;
    this.#env = options.env;
    this.redis = options.redis;
    this.postgres = options.postgres;
  }

  get state(): 'down' | 'up' | 'paused' {
    return this.#state;
  }

  get pid(): number {
    return this.#process.child.pid ?? 0;
  }

  /** Resolves when it is ready to serve. */
  async start({ entry, env }: StartOptions = {}): Promise<void> {
    this.#opsPort ??= await freePort();
    this.#shop = await ShopProcess.start({
      env: { ...this.#env, ...env },
      dataDir: this.#dataDir,
      port: this.port,
      opsPort: this.#opsPort,
      ...(entry === undefined ? {} : { entry }),
    });
    this.#state = 'up';
  }

  request(method: string, path: string, options?: RequestOptions): Promise<Answer> {
    return this.#process.request(method, path, options);
  }

  admin(method: string, path: string, options?: RequestOptions): Promise<Answer> {
    return this.#process.admin(method, path, options);
  }

  async isReady(): Promise<boolean> {
    const answer = await this.request('GET', '/readyz', { timeoutMs: 2_000 }).catch(() => null);
    return answer?.status === 200;
  }

  /** `kill -9`. Resolves when the process is gone. */
  async kill(): Promise<void> {
    const { child } = this.#process;
    this.#state = 'down';
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** SIGSTOP: every thread stands still, sockets stay open. */
  pause(): void {
    this.#process.child.kill('SIGSTOP');
    this.#state = 'paused';
  }

  resume(): void {
    this.#process.child.kill('SIGCONT');
    this.#state = 'up';
  }

  /** SIGTERM; resolves with the exit code when it has drained and ended. */
  async terminate(): Promise<number | null> {
    const shop = this.#process;
    const code = await shop.stop(60_000);
    this.#state = 'down';
    return code;
  }

  async ready(timeoutMs = 60_000): Promise<void> {
    await until(`${this.name} is ready: ${this.logTail()}`, () => this.isReady(), timeoutMs);
  }

  /** All that it has said since its last start. */
  log(): string {
    return readFileSync(this.#process.logFile, 'utf8');
  }

  failedRequests(): string[] {
    return this.#shop?.failedRequests() ?? [];
  }

  logTail(): string {
    return this.#shop?.logTail() ?? '';
  }

  async close(): Promise<void> {
    if (this.#state === 'paused') this.resume();
    this.#state = 'down';
    await this.#shop?.cleanUp();
    rmSync(this.#dataDir, { recursive: true, force: true });
    await this.redis?.close();
    await this.postgres?.close();
  }

  get #process(): ShopProcess {
    if (this.#shop === null) throw new Error(`${this.name} was never started`);
    return this.#shop;
  }
}
