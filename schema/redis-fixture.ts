/**
 * For tests only: a Redis of their own that can be killed and started again on its port, and a proxy before one that drops what passes
 * in either direction without closing anything, as a one-way partition does.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './test-database.ts';

export interface OwnRedis {
  readonly url: string;
  /** Ends it as a crash does. */
  kill(): Promise<void>;
  /** On the same port, empty. */
  restart(): Promise<void>;
  /** As an operator would. */
  command(...words: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export const ownRedis = {
  /** Why there is none, or false; for `skip`. */
  missing: spawnSync('redis-server', ['--version']).status === 0 ? false : 'install the Debian package redis-server',

  async start(): Promise<OwnRedis> {
    const port = await freePort();
    const directory = mkdtempSync(join(tmpdir(), 'stampede-redis-'));
    let process: ChildProcess | null = null;
    const run = async (): Promise<void> => {
      const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
      process = spawn('redis-server', [...options, '--dir', directory], { stdio: 'ignore' });
      await eventually(() => accepts(port), 10_000, 'a Redis of our own');
    };
    const kill = async (): Promise<void> => {
      const running = process;
      process = null;
      if (running === null || running.exitCode !== null) return;
      await new Promise((resolve) => {
        running.once('exit', resolve);
        running.kill('SIGKILL');
      });
    };
    await run();
    return {
      url: `redis://127.0.0.1:${port}`,
      kill,
      restart: run,
      async command(name, ...words) {
        const client = new Redis(port, '127.0.0.1');
        try {
          await client.call(name ?? '', ...words);
        } finally {
          client.disconnect();
        }
      },
      async stop() {
        await kill();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
};

export interface Silencer {
  readonly url: string;
  /** `out`: what the client sends is dropped; `in`: what the server sends. New connections hang likewise. */
  drop(way: 'none' | 'out' | 'in'): void;
  close(): Promise<void>;
}

export async function silencer(redisUrl: string): Promise<Silencer> {
  const { hostname, port } = new URL(redisUrl);
  let dropped: 'none' | 'out' | 'in' = 'none';
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port || 6379), hostname);
    for (const [from, to, way] of [[client, upstream, 'out'] as const, [upstream, client, 'in'] as const]) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (dropped !== way) to.write(bytes);
      });
      from.on('error', () => {});
      // Dropped packets are also those that say goodbye.
      from.on('close', () => {
        sockets.delete(from);
        if (dropped !== way) to.destroy();
      });
    }
  });
  const listening = await freePort();
  await new Promise<void>((resolve) => server.listen(listening, '127.0.0.1', resolve));
  return {
    url: `redis://127.0.0.1:${listening}`,
    drop: (way) => {
      dropped = way;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port, timeout: 500 });
    const done = (ok: boolean) => {
      socket.destroy();
      resolve(ok);
    };
    socket
      .once('connect', () => done(true))
      .once('error', () => done(false))
      .once('timeout', () => done(false));
  });
}
