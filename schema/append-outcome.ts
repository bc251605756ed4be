/**
 * What an error of an append proves. Only an ERROR that the server itself reported proves that the statement was
 * rolled back. A lost connection proves nothing, nor does a FATAL of a backend that is going away: it may be sent after the commit.
 *
 * - The batch's own fault (data, size, key, contiguity, a violated constraint, an internal error that the data set off): `refused`.
 * - The server's state (starting, full, read-only, cancelled, deadlock, missing rights or tables): `unavailable`; the
 *   same batch may pass later.
 */
import pg from 'pg';
import { AppendError, type AppendError as AppendErrorType } from '../runtime/journal.ts';
import { FENCED, NOT_CONTIGUOUS } from './append.ts';
import { NOT_GIVEN } from './give.ts';

/** SQLSTATE classes: cardinality, data, integrity constraint, program limit, internal. */
const REFUSED_CLASSES = new Set(['21', '22', '23', '54', 'XX']);

/** The error of a statement that had been sent. */
export function outcomeOfSent(error: unknown): AppendErrorType {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof pg.DatabaseError) || error.code === undefined || endsSession(error)) {
    return new AppendError('unknown', message, error);
  }
  if (error.code === FENCED) return new AppendError('fenced', message, error);
  if (error.code === NOT_CONTIGUOUS || error.code === NOT_GIVEN || REFUSED_CLASSES.has(error.code.slice(0, 2))) {
    return new AppendError('refused', message, error);
  }
  return new AppendError('unavailable', message, error);
}

/** The error of a connection over which no statement has been sent yet, or of a statement that only reads. */
export function unavailable(error: unknown): AppendErrorType {
  return new AppendError('unavailable', error instanceof Error ? error.message : String(error), error);
}

/** Severity is a translated word on some servers, so the known codes of dying backends count as well. */
function endsSession(error: pg.DatabaseError): boolean {
  return (
    error.severity === 'FATAL' ||
    error.severity === 'PANIC' ||
    (error.code?.startsWith('57P') ?? false) ||
    (error.code?.startsWith('08') ?? false) ||
    error.code === '25P03'
  );
}
