import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BUNDLE_MAX, bundled, rowsOf, runBundle } from './job-bundle.ts';
import type { JobRow, NewJob } from './queues.ts';

/** Rows that were in the queue before, or made by the clock, stand beside fresh ones. */
const someJobs = fc.array(fc.constantFrom('fresh', 'again', 'clock'), { maxLength: 3 * BUNDLE_MAX }).map((kinds) =>
  kinds.map((kind, index): NewJob => {
    const data = { outboxId: kind === 'clock' ? null : `row:${index}`, doc: { orderId: `ord_${index}` } };
    return { id: `job_${index}`, kind: 'mail', data, bundles: kind !== 'again' };
  }),
);

const rowsIn = (jobs: readonly NewJob[]) => jobs.flatMap((job) => rowsOf(job) ?? []);
const unbundled = (jobs: readonly NewJob[]) => jobs.filter((job) => rowsOf(job) === null);

test('every job is there once, by itself or in a bundle of a bounded size, and no two have one name', () => {
  fc.assert(
    fc.property(someJobs, (jobs) => {
      const made = bundled(jobs);
      const names = [...unbundled(made).map(({ id }) => id), ...rowsIn(made).map(({ jobId }) => jobId)];
      assert.deepEqual([...names].sort(), jobs.map(({ id }) => id).sort());
      assert.equal(new Set(made.map(({ id }) => id)).size, made.length);
      for (const { id, data } of rowsIn(made).map((row) => ({ id: row.jobId, data: row })))
        assert.deepEqual(data.doc, jobs.find((job) => job.id === id)?.data.doc);
      for (const job of made) assert.ok((rowsOf(job)?.length ?? 1) <= BUNDLE_MAX);
      for (const job of unbundled(made))
        if (job.bundles === true && job.data.outboxId !== null)
          assert.ok(jobs.filter(({ bundles, data }) => bundles && data.outboxId !== null).length < 4);
    }),
  );
});

test('the same rows are the same bundle, others another one', () => {
  const jobs = Array.from({ length: 30 }, (_, index): NewJob => {
    return { id: `job_${index}`, kind: 'mail', data: { outboxId: `row_${index}`, doc: {} }, bundles: true };
  });
  const names = (some: readonly NewJob[]) => bundled(some).map(({ id }) => id);
  assert.deepEqual(names(jobs), names([...jobs]));
  assert.equal(
    new Set([...names(jobs.slice(0, 10)), ...names(jobs.slice(1, 11)), ...names(jobs.slice(0, 11))]).size,
    3,
  );
});

test('a bundle runs each row once, and only those that threw are jobs of their own', async () => {
  const rows = fc.array(fc.boolean(), { minLength: 1, maxLength: BUNDLE_MAX });
  await fc.assert(
    fc.asyncProperty(rows, async (fails) => {
      const all = fails.map((_, index): JobRow => ({ jobId: `job_${index}`, outboxId: `row_${index}`, doc: {} }));
      const ran: JobRow[] = [];
      const again: JobRow[] = [];
      const told: JobRow[] = [];
      const left = await runBundle(all, {
        run: async (row) => {
          ran.push(row);
          if (fails[all.indexOf(row)]) throw new Error('not this one');
        },
        again: async (some) => void again.push(...some),
        failed: (row) => told.push(row),
      });
      const failing = all.filter((_, index) => fails[index]);
      assert.deepEqual(ran, all);
      assert.deepEqual([again, told], [failing, failing]);
      const bundle = { data: { outboxId: null, doc: {}, rows: all }, returnvalue: left };
      assert.deepEqual(
        rowsOf(bundle),
        all.filter((_, index) => !fails[index]),
      );
    }),
  );
});

test('a bundle that cannot make jobs of its failed rows has failed itself', async () => {
  const row = { jobId: 'job', outboxId: 'row', doc: {} };
  const host = {
    run: () => Promise.reject(new Error('no')),
    again: () => Promise.reject(new Error('away')),
    failed: () => {},
  };
  await assert.rejects(runBundle([row], host), /away/);
});
