/** What an error of a query outside the journal is to a caller: `database_unavailable` where the same query may pass later. */
import pg from 'pg';
import { Fault } from '../runtime/fault.ts';

/**
 * SQLSTATE classes that speak of the server and not of the query: connection, transaction state, resources, object not in
 * that state, operator intervention, system.
 */
const SERVER_CLASSES = new Set(['08', '25', '40', '53', '55', '57', '58']);

/**
 * An error that the server reported of the query itself stays what it is: it is a mistake of ours. What else there is never came from a
 * server (refused, lost, timed out); its code, if it has one, is the system's, of which `EPIPE` looks like an SQLSTATE.
 */
export function databaseFault(error: unknown): unknown {
  if (error instanceof Fault) return error;
  const code = error instanceof pg.DatabaseError ? error.code : undefined;
  if (code !== undefined && !SERVER_CLASSES.has(code.slice(0, 2))) return error;
  return new Fault('database_unavailable', 'the database cannot be reached', { cause: error });
}

/** The function, its rejections turned by `databaseFault`. */
export function faulting<A extends readonly unknown[], R>(
  query: (...input: A) => Promise<R>,
): (...input: A) => Promise<R> {
  return async (...input) => {
    try {
      return await query(...input);
    } catch (error) {
      throw databaseFault(error);
    }
  };
}
