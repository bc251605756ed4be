/** Jobs: what is to be done outside after a commit, and what of it failed for good and can be run again. */
import type { JobView } from '../../workers/jobs-admin.ts';
import { answerRow, earlierAnswer } from '../admin-answers.ts';
import type { App } from '../app.ts';
import { timestamp } from '../json.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, route } from '../route.ts';
import { Job, JobList, JobListQuery, JobParams } from '../schemas-admin.ts';
import { nextCursor, pagingOf } from './paging.ts';

export function adminJobRoutes(app: App): AnyRoute[] {
  const list = route({
    method: 'GET',
    path: '/v1/admin/jobs',
    operationId: 'adminListJobs',
    summary: 'Jobs, newest first',
    tag: 'admin: jobs',
    access: 'viewer',
    limit: 'admin',
    query: JobListQuery,
    responses: { 200: { description: 'A page of jobs.', schema: JobList } },
    problems: ['cursor_invalid'],
    async handle(request) {
      const { state, job } = request.query;
      const paging = pagingOf(app, 'adminListJobs', request.query);
      if ('refused' in paging) return paging.refused;
      const page = await app.jobs.list({ state, job, limit: paging.limit, after: paging.after });
      return {
        status: 200,
        body: { items: page.items.map(jobDocument), nextCursor: nextCursor(app, paging, page.next) },
      };
    },
  });

  const read = route({
    method: 'GET',
    path: '/v1/admin/jobs/{id}',
    operationId: 'adminGetJob',
    summary: 'Read a job',
    tag: 'admin: jobs',
    access: 'viewer',
    limit: 'admin',
    params: JobParams,
    responses: { 200: { description: 'The job.', schema: Job } },
    problems: ['not_found'],
    handle: (request) => jobReply(app, request.params.id, 200),
  });

  const retry = route({
    method: 'POST',
    path: '/v1/admin/jobs/{id}/retry',
    operationId: 'adminRetryJob',
    summary: 'Run a failed job again',
    tag: 'admin: jobs',
    access: 'operator',
    limit: 'admin',
    params: JobParams,
    responses: { 202: { description: 'It will be run again.', schema: Job } },
    problems: ['not_found', 'job_not_failed'],
    async handle(request) {
      const { id } = request.params;
      const earlier = await earlierAnswer(app.adminAnswers, request);
      if (earlier !== null) return earlier;
      if ((await app.jobs.get(id)) === null) return problem('not_found');
      if (!(await app.jobs.retry(id))) return problem('job_not_failed');
      const reply = await jobReply(app, id, 202);
      // beside the change, not with it: after a crash in between the call is refused, for the job runs again already
      const row = reply.status === 202 ? answerRow(request, reply, app.clock.now()) : undefined;
      if (row !== undefined) await app.adminAnswers.record(row);
      return reply;
    },
  });

  return [list, read, retry];
}

async function jobReply(app: App, id: string, status: number): Promise<EdgeReply> {
  const job = await app.jobs.get(id);
  return job === null ? problem('not_found') : { status, body: jobDocument(job) };
}

function jobDocument(job: JobView): object {
  return {
    id: job.id,
    job: job.job,
    state: job.state,
    phase: job.phase,
    attempts: job.attempts,
    error: job.error,
    subject: job.subject,
    createdAt: timestamp(job.createdAt),
    updatedAt: job.updatedAt === null ? null : timestamp(job.updatedAt),
  };
}
