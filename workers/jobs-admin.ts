/**
 * What operators see of jobs and may do with them: list, look at one, run a failed one again. What waits, runs and is done is
 * read from the queues themselves, which keep a bounded number of ended jobs; what has failed for good is also kept in its
 * outbox row, so it is seen and can be run again even where the queue has lost it. A job goes by its row's id; one that
 * the clock made, which has no row, by the queue's.
 *
 * A job is `open` while it waits, runs or pauses before its next run; `failed` once it will not run again by itself; `done`.
 */
import type { Job, JobType } from 'bullmq';
import { rowsOf } from './job-bundle.ts';
import { earlierJobIds, jobIdOf, type OutboxRecord, type OutboxSource } from './outbox-relay.ts';
import type { JobData, Queues } from './queues.ts';

export type JobState = 'open' | 'failed' | 'done';
export type JobPhaseName = 'waiting' | 'active' | 'delayed' | 'failed' | 'completed';

export interface JobView {
  readonly id: string;
  readonly job: string;
  readonly state: JobState;
  readonly phase: JobPhaseName;
  /** Runs so far. */
  readonly attempts: number;
  /** Of the last run that threw; at most 500 characters. */
  readonly error: string | null;
  /** The order or cart it is about. */
  readonly subject: string | null;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number | null;
}

/** Continues after this job: its `createdAt` and `id`. */
export type JobPosition = readonly (string | number | null)[];

export interface JobListFilter {
  /** A state, or one of its phases. */
  readonly state?: string | undefined;
  /** Kind of job. */
  readonly job?: string | undefined;
  /** 1 to 100. */
  readonly limit: number;
  readonly after: JobPosition | null;
}

export interface JobsAdmin {
  /** Newest first; at most the 1,000 newest of each kind and phase can be reached. */
  list(filter: JobListFilter): Promise<{ readonly items: readonly JobView[]; readonly next: JobPosition | null }>;
  get(id: string): Promise<JobView | null>;
  /** Puts a job that failed for good back to work with all its attempts; false: there is none, or it has not failed. */
  retry(id: string): Promise<boolean>;
  /** By kind and phase. */
  counts(): Promise<Readonly<Record<string, Readonly<Record<JobPhaseName, number>>>>>;
}

const phases: readonly JobPhaseName[] = ['waiting', 'active', 'delayed', 'failed', 'completed'];
const listedMax = 1_000;

export interface JobsAdminOptions {
  readonly queues: Pick<Queues, 'kinds' | 'queue'>;
  readonly outbox: Pick<OutboxSource, 'get' | 'listFailed' | 'markFailed' | 'rerunFailed'>;
  /** Called when a row was opened again: the relay's nudge. */
  readonly nudge: () => void;
}

export function jobsAdmin({ queues, outbox, nudge }: JobsAdminOptions): JobsAdmin {
  /** The newest job of a row. */
  async function jobOf(row: OutboxRecord): Promise<Job<JobData> | null> {
    for (const id of [jobIdOf(row.id, row.attempt), ...earlierJobIds(row)]) {
      const job = await queues.queue(row.job)?.getJob(id);
      if (job !== undefined) return job;
    }
    return null;
  }

  async function jobWithoutRow(id: string): Promise<{ kind: string; job: Job<JobData> } | null> {
    for (const kind of queues.kinds) {
      const job = await queues.queue(kind)?.getJob(id);
      if (job !== undefined && job.data.outboxId === null) return { kind, job };
    }
    return null;
  }

  async function listQueue(kind: string, phase: JobPhaseName): Promise<JobView[]> {
    const jobs = (await queues.queue(kind)?.getJobs([phase], 0, listedMax - 1, false)) ?? [];
    // A job that went away between its listing and its reading comes as nothing.
    return jobs.filter((job) => job?.id !== undefined).flatMap((job) => viewsOf(kind, phase, job));
  }

  return {
    async list({ state, job: only, limit, after }) {
      const wanted = phases.filter((phase) => state === undefined || state === phase || state === stateOf(phase));
      const views: JobView[] = [];
      if (wanted.includes('failed')) views.push(...(await outbox.listFailed(listedMax, only)).map(viewOfRow));
      for (const kind of queues.kinds) {
        if (only !== undefined && only !== kind) continue;
        for (const phase of wanted) views.push(...(await listQueue(kind, phase)));
      }
      // What stands in two lists changed while they were read, or is a failed row and its job: the last one is true.
      const unique = new Map(views.map((view) => [view.id, view]));
      const rest = [...unique.values()].sort(newestFirst).filter((view) => isAfter(view, after));
      const items = rest.slice(0, limit);
      const last = items.at(-1);
      return { items, next: rest.length > limit && last !== undefined ? [last.createdAt, last.id] : null };
    },

    async get(id) {
      const row = await outbox.get(id);
      const found = row === null ? await jobWithoutRow(id) : { kind: row.job, job: await jobOf(row) };
      const phase = found?.job ? phaseOf(await found.job.getState()) : null;
      if (found?.job && phase !== null) return viewOf(found.kind, phase, found.job);
      return row === null ? null : viewOfRow(row);
    },

    async retry(id) {
      const row = await outbox.get(id);
      if (row === null) {
        const found = await jobWithoutRow(id);
        if (found === null || (await found.job.getState()) !== 'failed') return false;
        await found.job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
        return true;
      }
      if (row.state === 'closed') return false;
      const job = await jobOf(row);
      if (job !== null) {
        if ((await job.getState()) !== 'failed') return false;
        // Its end may not have reached the row yet. First the row, then the job: in between both say failed.
        await outbox.markFailed(id, job.failedReason ?? '');
        await job.remove();
      }
      if (!(await outbox.rerunFailed(id))) return false;
      nudge();
      return true;
    },

    async counts() {
      const all: Record<string, Record<JobPhaseName, number>> = {};
      for (const kind of queues.kinds) {
        const counted = (await queues.queue(kind)?.getJobCounts(...phases)) ?? {};
        all[kind] = {
          waiting: counted.waiting ?? 0,
          active: counted.active ?? 0,
          delayed: counted.delayed ?? 0,
          failed: counted.failed ?? 0,
          completed: counted.completed ?? 0,
        };
      }
      return all;
    },
  };
}

function stateOf(phase: JobPhaseName): JobState {
  if (phase === 'failed') return 'failed';
  return phase === 'completed' ? 'done' : 'open';
}

function phaseOf(state: JobType | 'unknown'): JobPhaseName | null {
  if (state === 'wait' || state === 'prioritized') return 'waiting';
  return phases.find((phase) => phase === state) ?? null;
}

/** Each row of a bundle is a job to operators. */
function viewsOf(kind: string, phase: JobPhaseName, job: Job<JobData>): JobView[] {
  const view = viewOf(kind, phase, job);
  const rows = rowsOf(job);
  return rows?.map(({ outboxId, doc }) => ({ ...view, id: outboxId, subject: subjectOf(doc) })) ?? [view];
}

function viewOf(kind: string, phase: JobPhaseName, job: Job<JobData>): JobView {
  return {
    id: job.data.outboxId ?? job.id ?? '',
    job: kind,
    state: stateOf(phase),
    phase,
    attempts: job.attemptsMade,
    error: job.failedReason ? job.failedReason.slice(0, 500) : null,
    subject: subjectOf(job.data.doc),
    createdAt: job.timestamp,
    updatedAt: job.finishedOn ?? job.processedOn ?? null,
  };
}

function viewOfRow(row: OutboxRecord): JobView {
  const phase = row.state === 'failed' ? 'failed' : row.state === 'closed' ? 'completed' : 'waiting';
  return {
    id: row.id,
    job: row.job,
    state: stateOf(phase),
    phase,
    attempts: row.attempt,
    error: row.error === null ? null : row.error.slice(0, 500),
    subject: subjectOf(row.doc),
    createdAt: row.addedAt.getTime(),
    updatedAt: row.changedAt.getTime(),
  };
}

function subjectOf({ orderId, cartId }: JobData['doc']): string | null {
  return typeof orderId === 'string' ? orderId : typeof cartId === 'string' ? cartId : null;
}

function newestFirst(a: JobView, b: JobView): number {
  return b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

function isAfter(view: JobView, after: JobPosition | null): boolean {
  if (after === null) return true;
  const [createdAt, id] = after;
  if (typeof createdAt !== 'number' || typeof id !== 'string') return true;
  return view.createdAt < createdAt || (view.createdAt === createdAt && view.id < id);
}
