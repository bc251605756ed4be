/**
 * Connections to PostgreSQL: one pool under Kysely for everything but the journal's lanes and the lease, which have
 * connections of their own made from the same settings (`connectionConfig`).
 *
 * Promises: a restart of PostgreSQL never ends the process (each client has an error listener); nobody waits for ever
 * (connecting, waiting for a free connection and every statement are bounded, the last also where the server falls silent:
 * `watchSilence`); what a statement acknowledged is on disk (`synchronous_commit=on` whatever the server's default, and `checkDurability` at start).
 *
 * A trap that stays: a query on the pool from inside a transaction takes a second connection; with a full pool both
 * wait, until the connection time-out fails one. Inside a transaction use only its own handle.
 */
import type { Socket } from 'node:net';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { Refusal } from '../runtime/refusal.ts';
import type { Tables } from './tables.ts';

/** All of ours lives in this schema, so that a shared database stays tidy. */
export const SCHEMA = 'stampede';

export type DatabaseLog = (event: string, detail: Readonly<Record<string, unknown>>) => void;

export interface DatabaseOptions {
  /** `postgres://…`; a `?host=/directory` names a unix socket. */
  readonly url: string;
  /** Connections at most. Default 10. */
  readonly poolSize?: number;
  /** A statement that takes longer is cancelled by the server; 0: never. Default 10,000. */
  readonly statementTimeoutMs?: number;
  /** Bounds connecting, and waiting for a free connection. Default 5,000. */
  readonly connectionTimeoutMs?: number;
  /** What `pg_stat_activity` shows, at most 63 bytes. Default "stampede". */
  readonly applicationName?: string;
  /** Told of connections that were lost; must not throw. */
  readonly log?: DatabaseLog;
}

export interface Database {
  readonly db: Kysely<Tables>;
  readonly pool: pg.Pool;
  /** As given, for connections outside the pool. */
  readonly options: Required<DatabaseOptions>;
  /** Waits for running queries, then closes every connection. A second call does nothing. */
  close(): Promise<void>;
}

export function openDatabase(options: DatabaseOptions): Database {
  const all: Required<DatabaseOptions> = Object.freeze({
    poolSize: 10,
    statementTimeoutMs: 10_000,
    connectionTimeoutMs: 5_000,
    applicationName: 'stampede',
    log: () => {},
    ...options,
  });
  const pool = new pg.Pool({ ...connectionConfig(all), max: all.poolSize, idleTimeoutMillis: 30_000 });
  const lost = (error: Error): void => all.log('database_connection_lost', { error: error.message });
  // The pool listens to idle clients only; a client that is lent out and dies would be an unhandled 'error'.
  pool.on('connect', (client) => {
    client.on('error', lost);
    watchSilence(client, all.statementTimeoutMs);
  });
  pool.on('error', lost);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  let closing: Promise<void> | null = null;
  return {
    db,
    pool,
    options: all,
    close: () => {
      // Kysely connects its driver lazily and would leave an unused pool open.
      closing ??= db.destroy().then(() => (pool.ended ? undefined : pool.end()));
      return closing;
    },
  };
}

export interface ConnectionSettings {
  readonly url: string;
  readonly applicationName: string;
  readonly statementTimeoutMs: number;
  readonly connectionTimeoutMs: number;
  /** Server settings of the session, besides those that all connections have. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** What `pg.Client` and `pg.Pool` are made with. What the address says about these settings is overruled. */
export function connectionConfig(options: ConnectionSettings): pg.ClientConfig {
  const settings = {
    search_path: SCHEMA,
    synchronous_commit: 'on',
    default_transaction_isolation: 'read committed',
    statement_timeout: String(options.statementTimeoutMs),
    // A backend whose client was lost in mid-transaction gives its locks back.
    idle_in_transaction_session_timeout: String(options.statementTimeoutMs),
    ...options.settings,
  };
  // pg lets the address win over its other options, so ours go into the address. It is split by hand: the standard
  // URL class refuses addresses of unix sockets ("postgres://user@/name?host=/directory").
  const [address, query] = splitOnce(options.url, '?');
  const parameters = new URLSearchParams(query);
  const given = parameters.get('options');
  const ours = Object.entries(settings).map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`);
  parameters.set('options', [...(given === null ? [] : [given]), ...ours].join(' '));
  parameters.set('application_name', options.applicationName);
  parameters.delete('statement_timeout');
  return {
    // URLSearchParams writes a space as "+", which the driver's parser does not read back.
    connectionString: `${address}?${parameters.toString().replaceAll('+', '%20')}`,
    connectionTimeoutMillis: options.connectionTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: { getTypeParser: typeParser as pg.CustomTypesConfig['getTypeParser'] },
  };
}

/** How much longer than the server's own limit its word is waited for. */
const ANSWER_GRACE_MS = 2_000;

/**
 * Gives a connection up, with an error for its statement, where the server should have cancelled that long ago. A server
 * that is stopped, or behind a cable that is cut, says nothing at all, and TCP would go on asking for a quarter of an hour.
 * @param client a connected one.
 */
export function watchSilence(client: pg.ClientBase, statementTimeoutMs: number): void {
  if (statementTimeoutMs === 0) return;
  const socket = socketOf(client);
  socket.setTimeout(statementTimeoutMs + ANSWER_GRACE_MS, () => {
    // Silence between statements is none of the server's doing.
    const { readyForQuery } = client as unknown as { readyForQuery: boolean };
    if (!readyForQuery) socket.destroy(new Error('no answer in time'));
  });
}

/** Its `destroy` ends a connection at once; the driver's own `end` waits for the server's word, which may be what is missing. */
export function socketOf(client: pg.ClientBase): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** Fails where the server may lose what it acknowledged. */
export async function checkDurability(db: Kysely<Tables>): Promise<void> {
  const { rows } = await sql<{ name: string; setting: string }>`
    SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')`.execute(db);
  const off = rows.filter((row) => row.setting !== 'on').map((row) => row.name);
  if (off.length > 0) {
    throw new Refusal(`PostgreSQL runs with ${off.join(' and ')} off: a crash could lose acknowledged orders`);
  }
}

/** bigint as number: all of ours are counts, sequences and milliseconds. */
export function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} does not fit a number`);
  return value;
}

function typeParser(oid: number, format: 'text' | 'binary' = 'text'): unknown {
  return oid === pg.types.builtins.INT8 && format === 'text' ? parseInt8 : pg.types.getTypeParser(oid, format);
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
