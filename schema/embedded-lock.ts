/**
 * Who owns an embedded database: the node that holds one session advisory lock on a connection of its own. The lock goes when
 * that session ends, however it ends, so there is nothing stale to clean up and no two nodes can own one directory.
 */
import pg from 'pg';
import type { Place } from './embedded-place.ts';

/** The bootstrap role, the application's database, and the one where the lock is taken (advisory locks belong to a database). */
export const OWNER_ROLE = 'stampede';
export const DATABASE = 'stampede';
const LOCK_DATABASE = 'postgres';
/** "STMP" and "OWNR" as numbers. */
const LOCK_KEY = [0x53544d50, 0x4f574e52] as const;

export interface OwnerLock {
  /** Calls back once, when the session is gone for whatever reason; at once where it is gone already. */
  onLost(callback: () => void): void;
  /** Ends the session. */
  release(): Promise<void>;
  readonly client: pg.Client;
}

/**
 * - `owned`: the lock is ours. - `taken`: another node has it. - `starting`: a server is there that takes no sessions now.
 * - `absent`: nobody listens on the socket.
 */
export type LockAttempt =
  | { readonly kind: 'owned'; readonly lock: OwnerLock }
  | { readonly kind: 'taken'; readonly by: string }
  | { readonly kind: 'starting'; readonly why: string }
  | { readonly kind: 'absent' };

/** One try, answered in a few seconds at most. @throws what will not get better by itself (a wrong password). */
export async function tryLock(place: Place, password: string): Promise<LockAttempt> {
  const client = new pg.Client({
    host: place.socketDir,
    port: 5432,
    user: OWNER_ROLE,
    password,
    database: LOCK_DATABASE,
    application_name: `stampede owner, process ${process.pid}`,
    connectionTimeoutMillis: 5_000,
  });
  let lost = false;
  let onLost = () => {};
  const lose = () => {
    if (lost) return;
    lost = true;
    onLost();
  };
  client.on('error', lose);
  client.on('end', lose);
  try {
    await client.connect();
    const { rows } = await client.query<{ taken: boolean; directory: string }>(
      "select pg_try_advisory_lock($1, $2) as taken, current_setting('data_directory') as directory",
      [...LOCK_KEY],
    );
    if (rows[0]?.taken !== true) {
      const by = await holder(client);
      await client.end();
      return { kind: 'taken', by };
    }
    const lock: OwnerLock = {
      client,
      onLost(callback) {
        onLost = callback;
        if (lost) callback();
      },
      release: () => client.end().catch(() => {}),
    };
    return { kind: 'owned', lock };
  } catch (error) {
    await client.end().catch(() => {});
    return classify(error as Error & { code?: string });
  }
}

async function holder(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.granted and l.classid = $1 and l.objid = $2`,
    [...LOCK_KEY],
  );
  return rows[0]?.name ?? 'another process';
}

function classify(error: Error & { code?: string }): LockAttempt {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return { kind: 'absent' };
  // An error of class 28 is a refused log-in; EACCES means that the socket's folder is not ours.
  if (error.code?.startsWith('28') || error.code === 'EACCES') throw error;
  return { kind: 'starting', why: error.message };
}
