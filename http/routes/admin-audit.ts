/**
 * The audit trail as operators read it: each call of theirs that reached its handler, and beside a change of rules a line for each
 * document with what differs. Reading it is a call as well, and is in it from the next one on.
 */
import type { AuditCursor, AuditLine } from '../../schema/audit.ts';
import type { App } from '../app.ts';
import { timestamp } from '../json.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, route } from '../route.ts';
import { UUID } from '../schemas.ts';
import { AuditEntry, AuditList, AuditListQuery, AuditParams } from '../schemas-admin.ts';
import { nextCursor, type Paging, pagingOf } from './paging.ts';

const LINE_ID = new RegExp(`^${UUID}$`);

export function adminAuditRoutes(app: App): AnyRoute[] {
  const list = route({
    method: 'GET',
    path: '/v1/admin/audit',
    operationId: 'adminListAudit',
    summary: 'What operators have done, newest first',
    tag: 'admin: audit',
    access: 'viewer',
    limit: 'admin',
    query: AuditListQuery,
    responses: { 200: { description: 'A page of lines, without what the changes were.', schema: AuditList } },
    problems: ['cursor_invalid'],
    async handle(request) {
      const { actor, target, since } = request.query;
      const paging = pagingOf(app, 'adminListAudit', request.query);
      if ('refused' in paging) return paging.refused;
      const sinceMs = since === undefined ? undefined : Date.parse(since);
      if (Number.isNaN(sinceMs)) {
        return problem('invalid_request', { errors: [{ path: '/query/since', message: 'is no date' }] });
      }
      const query = { actor: actor || undefined, target: target || undefined, since: sinceMs };
      const rows = await app.readSide.listAudit({ ...query, limit: paging.limit + 1, after: positionOf(paging) });
      const last = rows.length > paging.limit ? rows[paging.limit - 1] : undefined;
      const next = nextCursor(app, paging, last === undefined ? null : [last.at, last.id]);
      const items = rows.slice(0, paging.limit).map(lineDocument);
      return { status: 200, headers: NO_STORE, body: { items, nextCursor: next } };
    },
  });

  const read = route({
    method: 'GET',
    path: '/v1/admin/audit/{id}',
    operationId: 'adminGetAuditEntry',
    summary: 'One line of the audit trail, with what the change was',
    tag: 'admin: audit',
    access: 'viewer',
    limit: 'admin',
    params: AuditParams,
    responses: { 200: { description: 'The line.', schema: AuditEntry } },
    problems: ['not_found'],
    async handle(request) {
      const { id } = request.params;
      const line = LINE_ID.test(id) ? await app.readSide.getAudit(id) : null;
      return line === null ? problem('not_found') : { status: 200, headers: NO_STORE, body: lineDocument(line) };
    },
  });

  return [list, read];
}

const NO_STORE = Object.freeze({ 'cache-control': 'no-store' });

/** Of a cursor that we signed, so of this form. */
function positionOf({ after }: Paging): AuditCursor | undefined {
  return after === null ? undefined : { at: Number(after[0]), id: String(after[1]) };
}

function lineDocument({ id, at, actor, operation, target, doc }: AuditLine): object {
  return { id, at: timestamp(at), actor, operation, target, ...doc };
}
