/** Lists: from a query to a page and back. A cursor is bound to the list and to everything that shapes it but the limit. */
import type { App, Page } from '../app.ts';
import { type CursorPosition, decodeCursor, encodeCursor, filtersHash } from '../cursor.ts';
import { type ProblemReply, problem } from '../problem.ts';
import { LIST_LIMIT_DEFAULT } from '../schemas.ts';

export interface Paging {
  readonly limit: number;
  readonly after: CursorPosition | null;
  readonly filters: string;
}

/** @param list names the list: the route's operation */
export function pagingOf(
  app: App,
  list: string,
  query: { readonly limit?: number; readonly cursor?: string } & Readonly<Record<string, unknown>>,
): Paging | { readonly refused: ProblemReply } {
  const { limit = LIST_LIMIT_DEFAULT, cursor, ...shaping } = query;
  const filters = filtersHash(list, shaping);
  if (cursor === undefined) return { limit, after: null, filters };
  const after = decodeCursor(app.cursorSecrets, filters, cursor);
  return after === null ? { refused: problem('cursor_invalid') } : { limit, after, filters };
}

export function nextCursor(app: App, paging: Paging, next: Page<unknown>['next']): string | null {
  return next === null ? null : encodeCursor(app.cursorSecrets[0] ?? '', paging.filters, next);
}
