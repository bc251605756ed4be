/**
 * A database of one's own on a PostgreSQL server that runs already, made for one test or bench run and dropped after it.
 * The server may be anywhere: its address may also name a unix socket, as that of the embedded server does.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** Server, and the database to connect to while another is made or dropped. */
export const DEFAULT_SERVER = 'postgres://root@127.0.0.1:5432/postgres';

export interface ScratchDatabase {
  readonly name: string;
  readonly url: string;
  /** Ends every connection to it, as a restart of the server would. */
  cutConnections(): Promise<void>;
  /** Together with whoever is still connected to it. */
  drop(): Promise<void>;
}

/** @param server its address, with a database in which the address's user may make others. */
export async function scratchDatabase(server = DEFAULT_SERVER, prefix = 'stampede_scratch'): Promise<ScratchDatabase> {
  const name = `${prefix}_${randomBytes(6).toString('hex')}`;
  await statement(server, `CREATE DATABASE ${name}`);
  return {
    name,
    url: withDatabase(server, name),
    cutConnections: () =>
      statement(server, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]),
    drop: () => statement(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** The parts are told apart by hand: the standard URL class refuses "postgres://user@/name?host=/directory". */
function withDatabase(address: string, name: string): string {
  const [, server, query = ''] = /^([a-z]+:\/\/[^/?]*)(?:\/[^?]*)?(\?.*)?$/.exec(address) ?? [];
  if (server === undefined) throw new Error('the address of the PostgreSQL server is none');
  return `${server}/${name}${query}`;
}

async function statement(server: string, sql: string, values: readonly unknown[] = []): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(sql, [...values]);
  } finally {
    await client.end();
  }
}
