/**
 * A member's lease, renewed by a thread of its own (`lease-thread.ts`) over a connection of its own: neither a full pool nor a long
 * turn of the event loop costs it. The main thread's part is to beat, and to read: `holds` compares the clock with a deadline in its own
 * memory, and only past that looks at what the thread has written since.
 *
 * The thread is started with the lease, so that it is there when the member has joined; until it has renewed for the first time this
 * loop renews too. (Measured: a thread's first renewal took 0.1 s on an idle machine, 1 s with ten processes for each core.)
 * One that ends of itself is started again, and until the new one has renewed this loop does: on a busy machine a thread takes longer to start
 * than a lease and its watch last (two nodes of three lost their membership over 40 ended threads, at six busy processes for each core).
 *
 * The monotonic clock runs on while a process is stopped, but not while the whole machine is suspended: one that is resumed after its
 * lease may answer reads from memory until its next renewal, at most a quarter of the lease later, tells it that it is fenced. It can
 * write nothing then.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../runtime/clock.ts';
import { type Lease, LoopLease, RENEW_SHARE, RETRY_SHARE } from '../runtime/lease.ts';
import { connectionConfig, type Database } from './database.ts';
import { HEARTBEAT, type LeaseMessage, type LeaseWork, RENEWED_AT, SHARED_BYTES } from './lease-shared.ts';

/** A clock that can be told the database's time; `SystemClock` is one. */
export interface LeaseClock extends Clock {
  sync?(databaseMs: number, atMonotonic: number): void;
}

export interface LeaseOptions {
  readonly database: Database;
  readonly incarnation: string;
  readonly leaseMs: number;
  /** Its monotonic time must run as `process.hrtime` does, from whatever start. */
  readonly clock: LeaseClock;
  /** Sends one renewal from this loop. False: the member no longer lives. */
  readonly renew: () => Promise<boolean>;
  /** The thread's entry; a test puts a faulty one in its place. */
  readonly threadUrl?: URL;
}

const BEATS_PER_LEASE = 10;
const POLLS_PER_LEASE = 40;
const NS_PER_MS = 1e6;
/** It holds a connection and a statement. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 64 };

export class ThreadLease implements Lease {
  readonly #options: LeaseOptions;
  readonly #shared = new BigInt64Array(new SharedArrayBuffer(SHARED_BYTES));
  /** Of the member's clock over `process.hrtime`, in milliseconds. */
  readonly #offsetMs: number;
  /** Renews while no thread does. */
  #loop: LoopLease;
  /** The thread that runs now has renewed. */
  #threadRenews = false;
  #state: 'running' | 'fenced' | 'stopped' = 'running';
  #fenced = (): void => {};
  /** The thread's. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #renewals = 0;
  #failing = false;
  #worker: Worker | null = null;
  #timer: { cancel(): void } | null = null;

  constructor(options: LeaseOptions) {
    const { clock } = options;
    this.#options = options;
    this.#offsetMs = clock.monotonic() - Number(process.hrtime.bigint()) / NS_PER_MS;
    this.#loop = this.#newLoop();
    this.#startThread();
  }

  get renewedAt(): number {
    return Math.max(this.#renewedAt, this.#loop.renewedAt);
  }

  get renewals(): number {
    return this.#renewals + this.#loop.renewals;
  }

  holds(): boolean {
    if (this.#state !== 'running') return false;
    const { clock, leaseMs } = this.#options;
    const now = clock.monotonic();
    if (now < this.renewedAt + leaseMs) return true;
    const written = Atomics.load(this.#shared, RENEWED_AT);
    if (written !== 0n) this.#renewedAt = Math.max(this.#renewedAt, this.#ours(written));
    return now < this.renewedAt + leaseMs;
  }

  async first(): Promise<boolean> {
    return await this.#loop.first();
  }

  start(fenced: () => void): void {
    this.#fenced = fenced;
    this.#loop.start(() => this.#fence());
    const beat = (): void => {
      Atomics.add(this.#shared, HEARTBEAT, 1n);
      this.#timer = this.#options.clock.setTimeout(beat, this.#options.leaseMs / BEATS_PER_LEASE);
    };
    beat();
  }

  async stop(): Promise<void> {
    if (this.#state === 'running') this.#state = 'stopped';
    this.#timer?.cancel();
    await Promise.all([this.#loop.stop(), this.#worker?.terminate()]);
  }

  #newLoop(): LoopLease {
    const { clock, leaseMs, renew } = this.#options;
    return new LoopLease({ clock, leaseMs, renew, report: (error) => this.#failed(error) });
  }

  /** The thread that renewed is gone: this loop goes on at once. */
  #renewFromLoop(): void {
    const last = this.#loop;
    this.#renewedAt = Math.max(this.#renewedAt, last.renewedAt);
    this.#renewals += last.renewals;
    this.#threadRenews = false;
    this.#loop = this.#newLoop();
    this.#loop.start(() => this.#fence());
    this.#loop.first().then(
      (living) => living || this.#fence(),
      (error) => this.#failed(error),
    );
  }

  #startThread(): void {
    const { database, incarnation, leaseMs, threadUrl } = this.#options;
    const work: LeaseWork = {
      shared: this.#shared.buffer as SharedArrayBuffer,
      connection: connectionOf(this.#options),
      incarnation,
      beat: Atomics.load(this.#shared, HEARTBEAT),
      retryMs: leaseMs / RETRY_SHARE,
      pollMs: leaseMs / POLLS_PER_LEASE,
    };
    const worker = new Worker(threadUrl ?? new URL('./lease-thread.js', import.meta.url), {
      workerData: work,
      resourceLimits: THREAD_LIMITS,
    });
    this.#worker = worker;
    worker.on('message', (message: LeaseMessage) => {
      if (message.kind === 'renewed') this.#renewed(message);
      else if (message.kind === 'failed') this.#failed(message.error);
      else this.#fence();
    });
    worker.on('error', (error) => database.options.log('lease_thread_failed', { error: error.message }));
    worker.on('exit', () => {
      if (this.#state !== 'running') return;
      if (this.#threadRenews) this.#renewFromLoop();
      this.#options.clock.setTimeout(() => {
        if (this.#state === 'running') this.#startThread();
      }, leaseMs / RENEW_SHARE);
    });
    // A process that has nothing else to do may end. After the listeners: one for messages would hold it again.
    worker.unref();
  }

  #renewed({ databaseMs, sentAt, answeredAt }: LeaseMessage & { kind: 'renewed' }): void {
    if (this.#state !== 'running') return;
    if (!this.#threadRenews) this.#loop.stop().catch(() => {});
    this.#threadRenews = true;
    this.#renewals += 1;
    this.#failing = false;
    const [sent, answered] = [this.#ours(sentAt), this.#ours(answeredAt)];
    this.#renewedAt = Math.max(this.#renewedAt, sent);
    this.#options.clock.sync?.(databaseMs, (sent + answered) / 2);
  }

  #fence(): void {
    if (this.#state !== 'running') return;
    this.#state = 'fenced';
    this.#fenced();
  }

  /** Told once until a renewal succeeds again. */
  #failed(error: unknown): void {
    if (!this.#failing) {
      this.#options.database.options.log('renewal_failed', {
        error: error instanceof Error ? error.message : String(error),
      });
    }
    this.#failing = true;
  }

  /** Rounded down: a deadline is never later than it should be. */
  #ours(hrtime: bigint): number {
    return Number(hrtime / 1000n) / 1000 + this.#offsetMs;
  }
}

/** A server that does not answer at all: the connection is given up in time for another try within the lease. */
function connectionOf({ database, incarnation, leaseMs }: LeaseOptions): LeaseWork['connection'] {
  const limit = Math.ceil(leaseMs / 3);
  const { types: _, ...config } = connectionConfig({
    ...database.options,
    applicationName: `${incarnation}#`,
    statementTimeoutMs: limit,
    connectionTimeoutMs: limit,
  });
  return { ...config, query_timeout: limit };
}
