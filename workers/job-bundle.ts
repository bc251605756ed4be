/**
 * Many rows of one kind as one job of the queue. A job costs its backend as much as what it does may cost (on PostgreSQL some twenty statements and
 * two commits), so what comes in crowds goes through the queue in bundles, and every row is then at work by itself.
 *
 * A bundle promises for each row what a job of its own would: it runs at least once, and one that throws is put into the queue as a job of its own, with
 * all its attempts, before the bundle counts as done. A bundle whose node dies, or that cannot put them there, runs again as a whole; handlers are
 * safe to repeat.
 */
import { createHash } from 'node:crypto';
import type { JobData, JobRow, NewJob } from './queues.ts';

/** Fewer rows of one kind at once are jobs of their own. */
const BUNDLE_MIN = 4;
/** A bundle is at work until its slowest row is, and runs again as a whole: small enough for both not to matter. */
export const BUNDLE_MAX = 100;

/** What becomes of jobs of one kind that are added together. Those of rows that were in the queue before stay by themselves. */
export function bundled(jobs: readonly NewJob[]): readonly NewJob[] {
  const fresh = jobs.filter(isFresh);
  if (fresh.length < BUNDLE_MIN) return jobs;
  const rest = jobs.filter((job) => !isFresh(job));
  const count = Math.ceil(fresh.length / BUNDLE_MAX);
  const size = Math.ceil(fresh.length / count);
  return [...rest, ...Array.from({ length: count }, (_, at) => bundleOf(fresh.slice(at * size, (at + 1) * size)))];
}

function isFresh({ bundles, data }: NewJob): boolean {
  return bundles === true && data.outboxId !== null;
}

function bundleOf(jobs: readonly NewJob[]): NewJob {
  const [first] = jobs;
  if (first === undefined) throw new RangeError('a bundle of nothing');
  const rows = jobs.map(({ id, data }): JobRow => ({ jobId: id, outboxId: data.outboxId ?? '', doc: data.doc }));
  // The same rows added again, by a relay that does not know that it had added them, are the same bundle.
  const name = createHash('sha256').update(JSON.stringify(rows.map(({ jobId }) => jobId)));
  return {
    id: `bundle~${name.digest('base64url').slice(0, 22)}`,
    kind: first.kind,
    data: { outboxId: null, doc: {}, rows },
  };
}

export interface BundleHost {
  run(row: JobRow): Promise<void>;
  /** Makes jobs of rows, each to be run after the kind's first pause. */
  again(rows: readonly JobRow[]): Promise<void>;
  failed(row: JobRow, error: unknown): void;
}

/** @returns the rows that are jobs of their own now, by their outbox ids: what a bundle leaves behind as its result */
export async function runBundle(rows: readonly JobRow[], host: BundleHost): Promise<readonly string[]> {
  const left: JobRow[] = [];
  const runs = rows.map(async (row) => {
    try {
      await host.run(row);
    } catch (error) {
      host.failed(row, error);
      left.push(row);
    }
  });
  await Promise.all(runs);
  if (left.length > 0) await host.again(left);
  return left.map(({ outboxId }) => outboxId);
}

/** A job as its rows: itself where it is no bundle, else what it stands for. Those that a finished bundle has left behind are not in it any more. */
export function rowsOf({ data, returnvalue }: { data: JobData; returnvalue?: unknown }): readonly JobRow[] | null {
  if (data.rows === undefined) return null;
  const left: ReadonlySet<unknown> = new Set(Array.isArray(returnvalue) ? returnvalue : []);
  return data.rows.filter(({ outboxId }) => !left.has(outboxId));
}
