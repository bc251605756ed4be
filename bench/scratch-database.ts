/**
 * A database of one's own on a PostgreSQL server that runs already, made for one test or bench run and dropped after it.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import pg from 'pg';

export const DEFAULT_SERVER = 'postgres://root@127.0.0.1:5432/postgres';

export interface ScratchDatabase {
  readonly url: string;
  /** Process ids of the server's backends for this database, where it runs on this machine. */
  backends(): number[];
  drop(): Promise<void>;
}

/** @param server URL of the server and of a database to connect to while making the new one. */
export async function scratchDatabase(server = DEFAULT_SERVER, prefix = 'stampede_scratch'): Promise<ScratchDatabase> {
  const name = `${prefix}_${randomBytes(6).toString('hex')}`;
  await statement(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.toString(),
    backends: () => processesTitled(name),
    drop: () => statement(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function statement(server: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** PostgreSQL puts a backend's database into its process title. */
function processesTitled(name: string): number[] {
  const listed = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' });
  return listed
    .split('\n')
    .filter((line) => line.includes('postgres:') && line.includes(name))
    .map((line) => Number.parseInt(line, 10));
}
