/**
 * The job queues: BullMQ on PostgreSQL (schema `bullmq`, beside the shop's own) or, where a Redis is given, on Redis.
 * One queue for each kind of job, so that a mail server that hangs holds up no captures.
 *
 * It promises that a job that was added runs at least once, again with growing pauses while it throws, and stays visible
 * (state `failed`) once it has failed for good. It may run twice: after a crash, a lost lock or a lost answer. Handlers are
 * therefore safe to repeat. A job id that is already known adds nothing. Losing the backend's connections ends nothing:
 * adding rejects meanwhile, and workers go on when it is back. What comes in crowds goes through it in bundles (`job-bundle.ts`).
 */
import {
  createPostgresBackend,
  type IQueueBackend,
  type Job,
  type PgPool,
  Queue,
  runMigrations,
  UnrecoverableError,
  Worker,
  withBackend,
} from 'bullmq';
import { bulkhead } from 'cockatiel';
import { LRUCache } from 'lru-cache';
import pg from 'pg';
import { Fault } from '../runtime/fault.ts';
import { bundled, runBundle } from './job-bundle.ts';

export interface JobData {
  /** The outbox row this job was made from; null for periodic jobs and for bundles. */
  readonly outboxId: string | null;
  /** Ids only. */
  readonly doc: Readonly<Record<string, unknown>>;
  /** Of a bundle (`job-bundle.ts`). */
  readonly rows?: readonly JobRow[];
}

export interface JobRow {
  /** Of the job that it would be by itself. */
  readonly jobId: string;
  readonly outboxId: string;
  readonly doc: JobData['doc'];
}

/** What a kind of job is: its handler and its limits. */
export interface JobKind {
  /** Safe to repeat. A throw runs it again later; a `Fault` that is not retryable fails it for good at once. */
  run(doc: JobData['doc'], outboxId: string): Promise<void>;
  /** Rows at work at once on this node; default 8. */
  readonly concurrency?: number;
  /** Runs before a job has failed for good; default 15, which with the default pauses is about half an hour. */
  readonly attempts?: number;
  /** The first pause, doubled after each run up to 5 minutes; default 1,000. Milliseconds. */
  readonly backoffMs?: number;
  /** Where given, one job of this kind is made by the clock, once for all nodes. At least 1,000 ms. */
  readonly everyMs?: number;
}

export interface QueueLog {
  warn(detail: object, message: string): void;
}

export interface QueuesOptions {
  /** The PostgreSQL to keep jobs in where `redisUrl` is absent. */
  readonly databaseUrl: string;
  readonly redisUrl?: string | undefined;
  /** Keeps clusters apart that share a database or a Redis: letters, digits, `_`, `-`. */
  readonly prefix: string;
  readonly kinds: Readonly<Record<string, JobKind>>;
  readonly log: QueueLog;
  /** Told of each job that will not run again by itself, with the outbox row it came from. Its own failure is logged only. */
  readonly failed?: ((outboxId: string, error: string) => Promise<unknown>) | undefined;
  /** A job whose node has died is given to another one after this long. Default 15,000. */
  readonly lockMs?: number;
  /** How often it is looked whether the backend still makes the jobs of the clock: a Redis that was emptied does not. Default 60,000. */
  readonly scheduleCheckMs?: number;
}

export interface NewJob {
  /** Unique for ever; without `:`, not a number. */
  readonly id: string;
  readonly kind: string;
  readonly data: JobData;
  /** May go into the queue together with others of its kind, and is then not found there by its id. */
  readonly bundles?: boolean;
}
export type JobPhase = 'live' | 'failed' | 'completed' | 'absent';
/** A queue on whichever backend; only what both have in common is used. */
export type AnyQueue = Queue<JobData, unknown, string, JobData, unknown, string, IQueueBackend, object>;

export interface Queues {
  readonly kinds: readonly string[];
  /** Adds jobs; known ids are ignored. Rejects where the backend cannot be reached: then add them again. */
  add(jobs: readonly NewJob[]): Promise<void>;
  /** Where a job stands: still to be run (or running), failed for good, done, or not known (any more). */
  phase(kind: string, id: string): Promise<JobPhase>;
  /** Rows, by their outbox ids, that are still to be run (or running) within bundles, or were so some seconds ago. */
  inBundles(kind: string): Promise<ReadonlySet<string>>;
  /** For `jobs-admin.ts`. Undefined for an unknown kind. */
  queue(kind: string): AnyQueue | undefined;
  /** Starts working; before, jobs are only kept. */
  start(): Promise<void>;
  /** Takes no more jobs and waits for those at work at most `timeoutMs` (default 5,000); the rest runs again elsewhere. */
  close(timeoutMs?: number): Promise<void>;
}

const concurrencyUsual = 8;
const backoffFirstMs = 1_000;
const pauseMaxMs = 300_000;
/** On PostgreSQL to add many at once makes two temporary tables: 6.8 ms of a busy machine's clock even for one job. */
const fewAtOnce = 4;
const failedKept = 1_000;
const completedKept = 200;
/** More than rows that are open for too long can be in, unless far more are waiting than could be looked at. */
const bundlesLookedAt = 1_000;
/** To look at so many is much work, and rows that are open for too long come in crowds too. */
const bundlesSeenMs = 5_000;

export async function openQueues(options: QueuesOptions): Promise<Queues> {
  if (!/^[\w-]{1,40}$/.test(options.prefix))
    throw new Error(`a queue prefix has letters, digits, _ and -: ${options.prefix}`);
  const names = Object.keys(options.kinds);
  const backend =
    options.redisUrl === undefined ? await onPostgres(options, names) : onRedis(options, options.redisUrl);
  const report = (where: string) => (error: Error) => options.log.warn({ where, error: error.message }, 'job queue');
  const queues = new Map<string, AnyQueue>();
  const workers: AnyWorker[] = [];
  const bundlesSeen = new LRUCache<string, ReadonlySet<string>>({ max: names.length, ttl: bundlesSeenMs });
  let scheduleCheck: NodeJS.Timeout | undefined;

  /** @param all also what is there already: another version may make them at other times */
  async function schedule(all: boolean): Promise<void> {
    for (const [name, queue] of queues) {
      const kind = options.kinds[name];
      if (kind?.everyMs === undefined) continue;
      const id = `every-${name}`;
      if (!all && (await queue.getJobScheduler(id)) !== undefined) continue;
      const opts = { ...jobOptions(kind), attempts: 3 };
      const data: JobData = { outboxId: null, doc: {} };
      await queue.upsertJobScheduler(id, { every: kind.everyMs }, { name, data, opts });
    }
  }

  async function end(timeoutMs: number): Promise<void> {
    clearInterval(scheduleCheck);
    // The timer wins where a handler hangs: its job's lock lapses and the job runs again.
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), timeoutMs);
    });
    const closed = Promise.all(workers.map((worker) => worker.close()));
    if ((await Promise.race([closed, late])) === 'late')
      await Promise.allSettled(workers.map((worker) => worker.close(true)));
    clearTimeout(timer);
    await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
    await backend.close();
  }

  try {
    for (const name of names) {
      const queue = backend.queue(name);
      queue.on('error', report(name));
      queues.set(name, queue);
      // Before any worker: on a schema that is not ready a worker spins.
      await queue.waitUntilReady();
    }
  } catch (error) {
    await end(0);
    throw error;
  }

  return {
    kinds: names,
    queue: (kind) => queues.get(kind),
    async add(jobs) {
      for (const [kind, queue] of queues) {
        const own = jobs.filter((job) => job.kind === kind);
        if (own.length === 0) continue;
        const opts = jobOptions(options.kinds[kind]);
        const made = bundled(own).map(({ id, data }) => ({ name: kind, data, opts: { ...opts, jobId: id } }));
        if (made.length > fewAtOnce) await queue.addBulk(made);
        else for (const { name, data, opts: of } of made) await queue.add(name, data, of);
      }
    },
    async phase(kind, id) {
      const state = (await queues.get(kind)?.getJobState(id)) ?? 'unknown';
      if (state === 'failed' || state === 'completed') return state;
      return state === 'unknown' ? 'absent' : 'live';
    },
    async inBundles(kind) {
      const last = bundlesSeen.get(kind);
      if (last !== undefined) return last;
      const live = (await queues.get(kind)?.getJobs(['waiting', 'active', 'delayed'], 0, bundlesLookedAt - 1)) ?? [];
      const rows = new Set(live.flatMap((job) => job?.data.rows ?? []).map(({ outboxId }) => outboxId));
      bundlesSeen.set(kind, rows);
      return rows;
    },
    async start() {
      await schedule(true);
      scheduleCheck = setInterval(() => {
        schedule(false).catch(report('schedule'));
      }, options.scheduleCheckMs ?? 60_000);
      scheduleCheck.unref();
      for (const [name, kind] of Object.entries(options.kinds)) {
        const queue = queues.get(name) as AnyQueue;
        const worker = backend.worker(name, workOf(name, kind, queue, options.log), kind);
        worker.on('error', report(name));
        worker.on('failed', (job, error) => {
          options.log.warn({ job: name, id: job?.id, attempt: job?.attemptsMade, error: error.message }, 'job failed');
          const row = job?.data.outboxId;
          // Between two runs a job has no end yet.
          if (typeof row !== 'string' || job?.finishedOn === undefined) return;
          void options.failed?.(row, error.message).catch(report(name));
        });
        workers.push(worker);
        await worker.waitUntilReady();
      }
    },
    close: (timeoutMs = 5_000) => end(timeoutMs),
  };
}

/** What a worker of this kind does with a job. Rows of bundles and jobs of their own share the kind's places. */
function workOf(name: string, kind: JobKind, queue: AnyQueue, log: QueueLog): (job: Job<JobData>) => Promise<unknown> {
  const places = bulkhead(kind.concurrency ?? concurrencyUsual, Number.POSITIVE_INFINITY);
  const run = (doc: JobData['doc'], outboxId: string) => places.execute(() => kind.run(doc, outboxId));
  const opts = { ...jobOptions(kind), delay: kind.backoffMs ?? backoffFirstMs };
  return async ({ data }) => {
    if (data.rows !== undefined)
      return await runBundle(data.rows, {
        run: ({ doc, outboxId }) => run(doc, outboxId),
        failed: ({ jobId }, error) =>
          log.warn({ job: name, id: jobId, attempt: 0, error: (error as Error).message }, 'job failed'),
        again: async (rows) => {
          const jobs = rows.map(({ jobId, outboxId, doc }) => ({
            name,
            data: { outboxId, doc },
            opts: { ...opts, jobId },
          }));
          await queue.addBulk(jobs);
        },
      });
    try {
      await run(data.doc, data.outboxId ?? '');
    } catch (error) {
      // Said once: no repeat can help. It is kept as failed and can be run again by hand.
      if (error instanceof Fault && !error.retryable) throw new UnrecoverableError(error.message);
      throw error;
    }
    return undefined;
  };
}

function jobOptions(kind: JobKind | undefined) {
  return {
    attempts: kind?.attempts ?? 15,
    backoff: { type: 'custom' },
    removeOnComplete: { count: completedKept },
    removeOnFail: { count: failedKept },
    stackTraceLimit: 3,
  };
}

interface AnyWorker {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'failed', listener: (job: Job<JobData> | undefined, error: Error) => void): unknown;
  waitUntilReady(): Promise<unknown>;
  close(force?: boolean): Promise<void>;
}

/** The two backends differ in their types only; the casts below are where that ends. */
interface Backend {
  queue(name: string): AnyQueue;
  worker(name: string, process: (job: Job<JobData>) => Promise<unknown>, kind: JobKind): AnyWorker;
  close(): Promise<void>;
}

function workerOptions(options: QueuesOptions, kind: JobKind) {
  const lockMs = options.lockMs ?? 15_000;
  const firstMs = kind.backoffMs ?? backoffFirstMs;
  return {
    concurrency: kind.concurrency ?? concurrencyUsual,
    lockDuration: lockMs,
    stalledInterval: Math.max(1_000, lockMs / 2),
    // Each death of a node in mid-job counts; it says little about the job.
    maxStalledCount: 50,
    runRetryDelay: 1_000,
    settings: { backoffStrategy: (made: number) => Math.min(pauseMaxMs, firstMs * 2 ** Math.min(made - 1, 30)) },
  };
}

async function onPostgres(options: QueuesOptions, names: readonly string[]): Promise<Backend> {
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    // Each worker keeps one to listen on; the rest is shared.
    max: names.length + 6,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
    keepAlive: true,
    application_name: 'stampede_jobs',
    options: '-c search_path=bullmq',
  });
  // Each queue and each worker listens for the pool's errors.
  pool.setMaxListeners(names.length * 2 + 10);
  // Without both listeners a restart of PostgreSQL ends the process.
  pool.on('error', (error) => options.log.warn({ error: error.message }, 'job queue'));
  pool.on('connect', (client) => client.on('error', () => undefined));
  try {
    const client = await pool.connect();
    try {
      await runMigrations(client);
    } finally {
      client.release();
    }
  } catch (error) {
    await pool.end();
    throw error;
  }
  const OnPostgres = withBackend(createPostgresBackend);
  const full = (name: string) => `${options.prefix}-${name}`;
  // BullMQ describes a pool structurally, without the optional properties that pg's types have.
  const connection = pool as unknown as PgPool;
  return {
    queue: (name) => new OnPostgres.Queue<JobData>(full(name), { connection }) as unknown as AnyQueue,
    worker: (name, process, kind) =>
      new OnPostgres.Worker<JobData>(full(name), process, { connection, ...workerOptions(options, kind) }) as AnyWorker,
    close: () => pool.end(),
  };
}

function onRedis(options: QueuesOptions, url: string): Backend {
  // The braces keep all keys of a queue on one node of a Redis Cluster.
  const prefix = `{${options.prefix}-jobs}`;
  return {
    queue: (name) => {
      // Adding fails at once while Redis is away: the outbox keeps the job, memory should not.
      const connection = { url, enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 10_000 };
      return new Queue(name, { connection, prefix }) as unknown as AnyQueue;
    },
    worker: (name, process, kind) => {
      const connection = { url, maxRetriesPerRequest: null };
      return new Worker<JobData>(name, process, { connection, prefix, ...workerOptions(options, kind) }) as AnyWorker;
    },
    close: async () => undefined,
  };
}
