/**
 * How a member that comes alone takes what a dead one held. Two steps, in this order:
 *
 * 1. `freeze`: watch with one's own eyes that no living member renews for a lease and a margin. The database's clock is
 *    not asked: a step of it would kill everyone, or make the dead immortal.
 * 2. `takeOver`: one transaction that locks the members' rows, checks that they are still as watched, marks
 *    them dead, deletes their fences and gives every shard to the newcomer under the next epoch. The deletes wait for an
 *    append in flight, which then either is committed or finds no fence. What was appended is to be loaded only by later
 *    statements.
 */
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../runtime/clock.ts';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

/** Serialises those who join alone: the second finds the first alive. */
const JOIN_LOCK = 0x6a6f696e;
/** Added to the lease for clocks of different speed and for the way of the renewal. */
const MARGIN_SHARE = 5;
/** A takeover that waits longer for an append in flight ends its backend. */
const PATIENCE_MS = 500;

/** Renewals by incarnation, as seen at the end of the watch. */
export type Watched = ReadonlyMap<string, number>;

/** Resolves when no member, or none that renews, is alive; rejects as soon as one renews or a new one is there. */
export async function freeze(db: Kysely<Tables>, clock: Clock, leaseMs: number): Promise<Watched> {
  let seen = await aliveMembers(db);
  // From after the read: the renewals that it shows were sent before.
  const until = clock.monotonic() + leaseMs + leaseMs / MARGIN_SHARE;
  while (seen.size > 0) {
    await new Promise<void>((resolve) => void clock.setTimeout(resolve, leaseMs / 10));
    const now = await aliveMembers(db);
    for (const [incarnation, renewals] of now) if (seen.get(incarnation) !== renewals) throw stillAlive(incarnation);
    seen = now;
    if (clock.monotonic() > until) break;
  }
  return seen;
}

export interface TakeOverOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly nodeId: string;
  readonly incarnation: string;
  readonly lanes: number;
  readonly eventVersions: Readonly<Record<string, number>>;
  /** Null: whoever is alive is known to be dead. */
  readonly watched: Watched | null;
}

/** Returns the epoch of each shard. Rejects where a member was not watched, or has renewed since. */
export async function takeOver(options: TakeOverOptions): Promise<number[]> {
  const { database, incarnation, watched } = options;
  return await database.db.transaction().execute(async (trx) => {
    await sql`SELECT pg_advisory_xact_lock(${sql.lit(JOIN_LOCK)})`.execute(trx);
    const alive = await trx
      .selectFrom('member')
      .select(['incarnation', 'renewals'])
      .where('state', '=', 'alive')
      .orderBy('incarnation')
      .forUpdate()
      .execute();
    for (const member of alive) {
      if (watched !== null && watched.get(member.incarnation) !== member.renewals) throw stillAlive(member.incarnation);
    }
    const dead = alive.map((member) => member.incarnation);
    if (dead.length > 0) {
      await trx.updateTable('member').set({ state: 'dead' }).where('incarnation', 'in', dead).execute();
      await endingBackends(options, dead, () => trx.deleteFrom('fence').where('incarnation', 'in', dead).execute());
    }
    const eventVersions = JSON.stringify(options.eventVersions);
    await trx
      .insertInto('member')
      .values({ incarnation, node_id: options.nodeId, state: 'alive', event_versions: eventVersions })
      .execute();
    const fences = Array.from({ length: options.lanes }, (_, lane) => ({ incarnation, lane }));
    await trx.insertInto('fence').values(fences).execute();
    const shards = await trx
      .updateTable('shard')
      .set((eb) => ({ owner: incarnation, epoch: eb('epoch', '+', 1) }))
      .returning(['shard', 'epoch'])
      .execute();
    const epochs: number[] = [];
    for (const row of shards) epochs[row.shard] = row.epoch;
    return epochs;
  });
}

/** Runs what may wait for an append of the dead; where it waits too long their backends (stopped, or cut off from their client) are ended. */
async function endingBackends(options: TakeOverOptions, dead: string[], work: () => Promise<unknown>): Promise<void> {
  const { clock, database } = options;
  // On a connection of its own, while the transaction waits on another.
  const end = async (): Promise<void> => {
    try {
      await database.pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE application_name = ANY ($1) AND datname = current_database() AND pid <> pg_backend_pid()`,
        [dead],
      );
    } catch (error) {
      database.options.log('backends_not_ended', { error: error instanceof Error ? error.message : String(error) });
    }
  };
  let ending: Promise<void> | null = null;
  const impatient = clock.setTimeout(() => {
    ending = end();
  }, PATIENCE_MS);
  try {
    await work();
  } finally {
    impatient.cancel();
    await ending;
  }
}

async function aliveMembers(db: Kysely<Tables>): Promise<Map<string, number>> {
  const rows = await db.selectFrom('member').select(['incarnation', 'renewals']).where('state', '=', 'alive').execute();
  return new Map(rows.map((row) => [row.incarnation, row.renewals]));
}

function stillAlive(incarnation: string): Error {
  return new Error(`another node (${incarnation}) is alive on this database, and without a bus two cannot share it`);
}
