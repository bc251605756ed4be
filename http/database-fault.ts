/** What an error of a query outside the journal is to a caller: `database_unavailable` where the same query may pass later. */
import { Fault } from '../runtime/fault.ts';

/**
 * SQLSTATE classes that speak of the server and not of the query: connection, transaction state, resources, object not in
 * that state, operator intervention, system.
 */
const SERVER_CLASSES = new Set(['08', '25', '40', '53', '55', '57', '58']);
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** An error that the server reported of the query itself stays what it is: it is a mistake of ours. */
export function databaseFault(error: unknown): unknown {
  if (error instanceof Fault) return error;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (typeof code === 'string' && SQLSTATE.test(code) && !SERVER_CLASSES.has(code.slice(0, 2))) return error;
  // without an SQLSTATE it never came from a server: refused, lost, timed out
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
