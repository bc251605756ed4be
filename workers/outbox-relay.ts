/**
 * Brings outbox rows into the job queues. Rows are written by actors' appends and closed only by the append that records the
 * job's outcome; in between they are this relay's to keep at work.
 *
 * It promises that a row that stays open is in the queue in the end: it takes rows by state, adds each under its own id, and comes back to
 * rows that are open for too long. BullMQ ignores an id that it knows, so that two relays add nothing twice; rows of one that died half-way may
 * be put into another bundle besides, and then they run twice. A row that is open for too long is added again, under `<row>:<attempt>`, only
 * if the queue has lost it or calls it done; one whose job waits for its next run is let be, one whose job has failed for good is marked so and
 * waits for an operator. Nothing is read while a round is under way; nudges meanwhile make one more round.
 */
import type { Kysely } from 'kysely';
import {
  getOutbox,
  keepRelayed,
  listOutbox,
  markFailed,
  markRelayed,
  putBack,
  reopenStale,
  rerunFailed,
  takeOpen,
} from '../schema/outbox.ts';
import type { Tables } from '../schema/tables.ts';
import type { JobData, NewJob, Queues } from './queues.ts';

export interface OutboxEntry {
  readonly id: string;
  /** Kind of job. */
  readonly job: string;
  readonly doc: JobData['doc'];
  /** Under how many attempts the row may have been added before. */
  readonly attempt: number;
}

/** A row as an operator sees it. */
export interface OutboxRecord extends OutboxEntry {
  readonly state: 'open' | 'taken' | 'relayed' | 'failed' | 'closed';
  readonly error: string | null;
  readonly addedAt: Date;
  readonly changedAt: Date;
}

/** The outbox as jobs use it; `outboxOn` has it on PostgreSQL. */
export interface OutboxSource {
  takeOpen(limit: number): Promise<readonly OutboxEntry[]>;
  markRelayed(ids: readonly string[]): Promise<void>;
  /** As `markRelayed`, for rows whose job was added before, under the attempt given, and is still to be run. */
  keepRelayed(rows: readonly Pick<OutboxEntry, 'id' | 'attempt'>[]): Promise<void>;
  putBack(ids: readonly string[]): Promise<void>;
  reopenStale(olderThanMs: number, limit: number): Promise<number>;
  markFailed(id: string, error: string): Promise<boolean>;
  rerunFailed(id: string): Promise<boolean>;
  get(id: string): Promise<OutboxRecord | null>;
  listFailed(limit: number, job?: string): Promise<readonly OutboxRecord[]>;
}

export function outboxOn(db: Kysely<Tables>): OutboxSource {
  return {
    takeOpen: (limit) => takeOpen(db, limit),
    markRelayed: (ids) => markRelayed(db, ids),
    keepRelayed: (rows) => keepRelayed(db, rows),
    putBack: (ids) => putBack(db, ids),
    reopenStale: (olderThanMs, limit) => reopenStale(db, olderThanMs, limit),
    markFailed: (id, error) => markFailed(db, id, error),
    rerunFailed: (id) => rerunFailed(db, id),
    get: (id) => getOutbox(db, id),
    listFailed: (limit, job) => listOutbox(db, { state: 'failed', job, limit }),
  };
}

export interface RelayOptions {
  readonly source: OutboxSource;
  readonly queues: Pick<Queues, 'add' | 'phase' | 'inBundles' | 'kinds'>;
  readonly log: { warn(detail: object, message: string): void };
  /** Default 1,000 ms. */
  readonly pollMs?: number;
  /** Rows of one round; default 200. A full round is followed by another one at once. */
  readonly batchLimit?: number;
  /** A row that is open this long after it was added is looked after; default 120,000 ms. */
  readonly staleMs?: number;
}

export interface OutboxRelay {
  /** Rows were committed: look now. Cheap, never throws, may be called for every commit. */
  nudge(): void;
  /** Ends the polling and waits for the round under way. */
  close(): Promise<void>;
}

/** How many earlier additions of a row are looked for in the queue; an attempt is spent only where the job was not there. */
const attemptsLookedAt = 30;

export function startRelay(options: RelayOptions): OutboxRelay {
  const { log, pollMs = 1_000 } = options;
  let state: 'idle' | 'at work' | 'nudged' | 'closed' = 'idle';
  let round: Promise<void> = Promise.resolve();

  async function work(): Promise<void> {
    while (state === 'nudged') {
      state = 'at work';
      try {
        if ((await relayOnce(options)) && state === 'at work') state = 'nudged';
      } catch (error) {
        // The rows are still open; the next poll finds them.
        log.warn({ error: error instanceof Error ? error.message : String(error) }, 'outbox relay');
        if (state === 'nudged') state = 'at work';
      }
    }
    if (state === 'at work') state = 'idle';
  }

  function nudge(): void {
    if (state === 'idle') {
      state = 'nudged';
      round = work();
    } else if (state === 'at work') {
      state = 'nudged';
    }
  }

  const timer = setInterval(nudge, pollMs);
  timer.unref();
  nudge();
  return {
    nudge,
    async close() {
      state = 'closed';
      clearInterval(timer);
      await round;
    },
  };
}

/** One round. Resolves with true where there may be more to take. */
export async function relayOnce(options: Omit<RelayOptions, 'pollMs'>): Promise<boolean> {
  const { source, queues, log, batchLimit = 200, staleMs = 120_000 } = options;
  await source.reopenStale(staleMs, batchLimit);
  const taken = await source.takeOpen(batchLimit);
  if (taken.length === 0) return false;
  const ids = taken.map((entry) => entry.id);
  const live: { id: string; attempt: number }[] = [];
  try {
    const jobs: NewJob[] = [];
    const inBundles = await bundlesOf(queues, taken);
    for (const entry of taken) {
      if (!queues.kinds.includes(entry.job)) {
        log.warn({ row: entry.id, job: entry.job }, 'outbox row of an unknown job');
        await source.markFailed(entry.id, 'this version knows no such job');
        continue;
      }
      const bundled = inBundles.get(entry.job)?.has(entry.id) ?? false;
      const before = bundled ? ({ phase: 'live', attempt: 0 } as const) : await jobBefore(queues, entry);
      if (before === null) {
        const data = { outboxId: entry.id, doc: entry.doc };
        jobs.push({ id: jobIdOf(entry.id, entry.attempt), kind: entry.job, data, bundles: entry.attempt === 0 });
      } else if (before.phase === 'live') live.push({ id: entry.id, attempt: before.attempt });
      else await source.markFailed(entry.id, 'the job has failed for good');
    }
    await queues.add(jobs);
  } catch (error) {
    await source.putBack(ids);
    throw error;
  }
  await source.keepRelayed(live);
  await source.markRelayed(ids);
  return taken.length === batchLimit;
}

/** Rows in bundles that are still to be run, by kind: of the kinds of which there is a row that was in the queue before. */
async function bundlesOf(
  queues: Pick<Queues, 'inBundles' | 'kinds'>,
  taken: readonly OutboxEntry[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const kinds = new Set(taken.filter(({ attempt }) => attempt > 0).map(({ job }) => job));
  const known = [...kinds].filter((kind) => queues.kinds.includes(kind));
  return new Map(await Promise.all(known.map(async (kind) => [kind, await queues.inBundles(kind)] as const)));
}

/** The row's job under its earlier attempts, the newest first; null where the queue knows none, or calls it done. */
async function jobBefore(
  queues: Pick<Queues, 'phase'>,
  entry: OutboxEntry,
): Promise<{ phase: 'live' | 'failed'; attempt: number } | null> {
  for (const [index, id] of earlierJobIds(entry).entries()) {
    const phase = await queues.phase(entry.job, id);
    if (phase === 'live' || phase === 'failed') return { phase, attempt: entry.attempt - 1 - index };
  }
  return null;
}

/** Ids under which the row may have been added before, the newest first. */
export function earlierJobIds({ id, attempt }: Pick<OutboxEntry, 'id' | 'attempt'>): string[] {
  const count = Math.min(attempt, attemptsLookedAt);
  return Array.from({ length: count }, (_, i) => jobIdOf(id, attempt - 1 - i));
}

/** The job's id for a row: `<row>` or `<row>:<attempt>`, with `~` for the colon, which BullMQ keeps for itself. */
export function jobIdOf(row: string, attempt: number): string {
  return (attempt === 0 ? row : `${row}:${attempt}`).replaceAll(':', '~');
}
