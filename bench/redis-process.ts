/**
 * A redis-server of one's own on a free port, so that a test may kill it. Nothing is kept on disk, as a bus needs it; or each write is, before
 * its answer, where a bench asks for it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, until } from './shop-process.ts';

/** Null where it can be run; else what to install. */
export function redisMissing(): string | null {
  const found = spawnSync('redis-server', ['--version']).status === 0;
  return found ? null : 'install the Debian package redis-server';
}

export class RedisProcess {
  readonly port: number;
  readonly #directory: string;
  readonly #appendfsync: 'always' | null;
  #child: ChildProcess | null = null;

  private constructor(port: number, directory: string, appendfsync: 'always' | null) {
    this.port = port;
    this.#directory = directory;
    this.#appendfsync = appendfsync;
  }

  /** @param appendfsync `always`: a write is on disk before it is answered. Default: nothing is kept. */
  static async start(appendfsync: 'always' | null = null): Promise<RedisProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'stampede-redis-'));
    const redis = new RedisProcess(await freePort(), directory, appendfsync);
    await redis.start();
    return redis;
  }

  /** 0 while it is not running. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it again on its port, with what it kept. */
  async start(): Promise<void> {
    const kept = this.#appendfsync === null ? ['no'] : ['yes', '--appendfsync', this.#appendfsync];
    const options = ['--port', this.port, '--bind', '127.0.0.1', '--save', '', '--appendonly', ...kept];
    const child = spawn('redis-server', [...options, '--dir', this.#directory].map(String), { stdio: 'ignore' });
    this.#child = child;
    await until('redis-server takes connections', () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode} at its start`);
      return takesConnections(this.port);
    });
  }

  /** `kill -9`; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
