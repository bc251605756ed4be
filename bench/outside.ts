/**
 * What a clustered shop is run with from outside (an empty database, a Redis, a payment provider), and its command line as an operator
 * would use it: started, listened to, waited for. Every process started here is ended by its own id.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { RedisProcess } from './redis-process.ts';
import { SandboxProvider } from './sandbox-provider.ts';
import { scratchDatabase } from './scratch-database.ts';
import { entryPoint, TEST_SECRETS, until } from './shop-process.ts';

/** Several starts at once, on a machine that does other things too. */
const STARTED_WITHIN_MS = 60_000;

export class Outside {
  readonly databaseUrl: string;
  /** Without PORT and NODE_ID. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #runs: CommandRun[] = [];
  readonly #close: () => Promise<void>;

  private constructor(databaseUrl: string, environment: Readonly<Record<string, string>>, close: () => Promise<void>) {
    this.databaseUrl = databaseUrl;
    this.environment = environment;
    this.#close = close;
  }

  static async open(): Promise<Outside> {
    const server = process.env.TEST_DATABASE_URL;
    const database = await scratchDatabase(server, 'stampede_outside');
    const redis = await RedisProcess.start();
    const provider = await SandboxProvider.start(server);
    const environment = {
      PATH: process.env.PATH ?? '',
      ...TEST_SECRETS,
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      PAYMENT_SANDBOX_URL: provider.url,
      CLUSTER_ID: `outside-${randomUUID().slice(0, 8)}`,
      LOG_LEVEL: 'warn',
      RATE_LIMITS: 'off',
    };
    return new Outside(database.url, environment, async () => {
      await provider.close();
      await redis.close();
      await database.drop();
    });
  }

  /** Runs `stampede` with these arguments; `env` is laid over the environment. */
  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): CommandRun {
    const run = new CommandRun(args, { ...this.environment, ...env });
    this.#runs.push(run);
    return run;
  }

  /** Kills what was started and still runs, and removes everything. */
  async close(): Promise<void> {
    for (const run of this.#runs) for (const pid of [...run.children(), run.pid]) kill(pid, 'SIGKILL');
    await this.#close();
  }
}

export class CommandRun {
  readonly pid: number;
  stdout = '';
  stderr = '';
  /** The exit code, once it has ended and all that it said was heard. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    const child = spawn(process.execPath, ['--enable-source-maps', entryPoint(), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.pid = child.pid ?? 0;
    child.stdout.on('data', (data: Buffer) => {
      this.stdout += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      this.stderr += data.toString();
    });
    this.ended = new Promise((resolve) => child.once('close', resolve));
  }

  /** Until it has said so on its standard output; fails where it ends before. */
  async says(text: string): Promise<void> {
    await until(
      `it says "${text}"`,
      () => {
        if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}: ${this.stderr}`);
        return this.stdout.includes(text);
      },
      STARTED_WITHIN_MS,
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Process ids of its children. */
  children(): number[] {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => parentOf(pid) === this.pid);
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

function parentOf(pid: number): number | null {
  try {
    return Number(
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[1],
    );
  } catch {
    return null;
  }
}
