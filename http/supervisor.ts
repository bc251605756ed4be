/**
 * Several nodes on one machine: `stampede start --nodes N`. The supervisor holds no part of the shop. It starts one process for each
 * node, all on one port (the kernel spreads connections over them), starts again what dies, and passes the signal to stop on.
 *
 * A child is `starting` (not ready yet) → `serving` → `waiting` (it died; started again after a pause) → `starting` …, and `ended` once
 * the supervisor is stopping. The pause doubles from 100 ms to 5 s with each death and is forgotten after `HEALTHY_MS` of service.
 * A child that refuses its configuration is not started again: no repeat can help, so everything ends with its line.
 *
 * Children hear the supervisor over a channel and end in order when that closes, so that nothing outlives it, however it ends.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createServer } from 'node:net';
import type { EmbeddedLog } from '../schema/embedded.ts';
import { NODE_FLAGS } from './heap.ts';

/** What a child tells its supervisor. */
export type ChildWord =
  | { readonly kind: 'serving'; readonly notes: readonly string[] }
  /** Its last word: one line, and whether it is about the configuration. */
  | { readonly kind: 'ended'; readonly reason: string; readonly configuration: boolean };

export interface SupervisorOptions {
  /** The built `stampede.js`. */
  readonly entry: string;
  readonly nodes: number;
  readonly host: string;
  /** 0: a free one is taken, the same for all. */
  readonly port: number;
  /** Of the first node; the others count up. 0: each takes a free one. null: none. */
  readonly opsPort: number | null;
  /** Nodes are named `<prefix>-1` and so on. */
  readonly nodePrefix: string;
  /** Handed to every child, with what differs laid over it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: EmbeddedLog;
  /** Called once, when every node has served for the first time. */
  readonly onServing: (url: string, notes: readonly string[]) => void;
}

export interface Supervisor {
  /** Resolves when every child has ended: with null where it was told to stop, else with why it gave up. */
  readonly ended: Promise<string | null>;
  /** Passes the signal on, as often as it is called; nothing is started again from now on. */
  stop(signal: NodeJS.Signals): void;
}

export const NODES_MAX = 64;
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5_000;
const HEALTHY_MS = 10_000;

/** Rejects with one line where the port is taken: shared silently with a stranger it would lose every other connection to it. */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const port = await portThatIsFree(options.host, options.port);
  return new Running({ ...options, port });
}

interface Child {
  readonly nodeId: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  state: 'starting' | 'serving' | 'waiting' | 'ended';
  process: ChildProcess | null;
  deaths: number;
  /** Its last word, until it is started again. */
  reason: string | null;
  notes: readonly string[];
  timer: NodeJS.Timeout | undefined;
}

class Running implements Supervisor {
  readonly ended: Promise<string | null>;
  readonly #options: SupervisorOptions;
  readonly #children: readonly Child[];
  #state: 'running' | 'stopping' = 'running';
  #announced = false;
  #refusal: string | null = null;
  #resolve: (refusal: string | null) => void = () => {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#children = Array.from({ length: options.nodes }, (_, index) => this.#child(index));
    for (const child of this.#children) this.#start(child);
  }

  stop(signal: NodeJS.Signals): void {
    this.#state = 'stopping';
    for (const child of this.#children) {
      clearTimeout(child.timer);
      if (child.state === 'waiting') child.state = 'ended';
      child.process?.kill(signal);
    }
    this.#endIfAll();
  }

  #child(index: number): Child {
    const { environment, nodePrefix, port, opsPort } = this.#options;
    const nodeId = `${nodePrefix}-${index + 1}`;
    const own = {
      NODE_ID: nodeId,
      PORT: String(port),
      SHARED_PORT: '1',
      OPS_PORT: opsPort === null ? undefined : String(opsPort === 0 ? 0 : opsPort + index),
    };
    return {
      nodeId,
      environment: { ...environment, ...own },
      state: 'starting',
      process: null,
      deaths: 0,
      reason: null,
      notes: [],
      timer: undefined,
    };
  }

  #start(child: Child): void {
    child.state = 'starting';
    child.reason = null;
    const started = fork(this.#options.entry, ['start', '--supervised'], {
      env: child.environment,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [...NODE_FLAGS],
    });
    child.process = started;
    started.on('message', (word: ChildWord) => this.#heard(child, word));
    // Where it cannot be started at all there may be no exit.
    started.once('error', (error) => this.#died(child, started, error.message));
    started.once('exit', (code, signal) => this.#died(child, started, `it ended with ${signal ?? code}`));
  }

  #heard(child: Child, word: ChildWord): void {
    if (word.kind === 'serving') {
      child.state = 'serving';
      child.notes = word.notes.map((note) => `${child.nodeId} ${note}`);
      child.timer = setTimeout(() => {
        child.deaths = 0;
      }, HEALTHY_MS);
      this.#announce();
      return;
    }
    child.reason = word.reason;
    if (!word.configuration || this.#state === 'stopping') return;
    this.#refusal = word.reason;
    this.stop('SIGTERM');
  }

  #died(child: Child, process: ChildProcess, how: string): void {
    if (child.process !== process) return;
    clearTimeout(child.timer);
    child.process = null;
    if (this.#state === 'stopping') {
      child.state = 'ended';
      this.#endIfAll();
      return;
    }
    const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** child.deaths++);
    const reason = child.reason ?? how;
    this.#options.log.warn({ node: child.nodeId, reason, delayMs }, 'a node ended and is started again');
    child.state = 'waiting';
    child.timer = setTimeout(() => this.#start(child), delayMs);
  }

  #announce(): void {
    if (this.#announced || this.#children.some(({ state }) => state !== 'serving')) return;
    this.#announced = true;
    const { host, port, onServing } = this.#options;
    onServing(
      `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
      this.#children.flatMap(({ notes }) => notes),
    );
  }

  #endIfAll(): void {
    if (this.#children.every(({ state }) => state === 'ended')) this.#resolve(this.#refusal);
  }
}

/** Node's own listeners do not share a port, so this one finds out about any other. */
function portThatIsFree(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', () => reject(new Error(`cannot listen on ${host}:${port}: is it taken?`)));
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : port));
    });
  });
}
