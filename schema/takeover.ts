/**
 * Taking what dead members held, as one read-committed transaction. The order of its statements is what makes it safe:
 *
 * 1. lock the members' rows and check that each still lives and has not renewed since it was watched. A renewal on its way either
 *    comes first, and the check fails, or finds the row dead;
 * 2. mark them dead: terminal, no incarnation ever lives again;
 * 3. delete their fences. This waits for an append or a gift in flight, which then either is committed or finds no fence and writes nothing;
 * 4. only then, in a later statement, read which shards they have (a gift that was waited for has given some away), and give those to
 *    their heirs under the next epoch. Heirs load an actor's history in statements that are later still: delete and load in
 *    one statement would miss the batch in flight.
 *
 * Two takers: the second waits for the first at step 1 and finds it done. A taker that dies in between has done nothing.
 *
 * Whoever holds a transaction up for longer than `PATIENCE_MS` is ended: at step 1 a renewal whose backend is stuck, at step 3 whatever the
 * dead write under a fence, whichever connection it uses (lane, resolution, removal of histories). Nobody else locks those rows but
 * another taker, which has a name of its own and is waited for.
 */
import { sql, type Transaction } from 'kysely';
import { type Assignment, assign, placementOver } from '../runtime/balance.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardRow } from '../runtime/member-store.ts';
import type { Watched } from '../runtime/watch.ts';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

/** The states of the living. */
export const LIVING = ['joining', 'alive', 'leaving'] as const;
/** A takeover that waits longer for one of the dead ends its backend, and looks again after as long. */
const PATIENCE_MS = 500;
const IDLE_MS = 1_000;

/** What a member's own connections are named, for operators, and for takers, who wait for each other. */
export function membershipName(incarnation: string): string {
  return `${incarnation}#m`;
}

/** Null: it is known to be dead, whatever it has renewed. */
type Doomed = Pick<Watched, 'incarnation'> & { readonly renewals: number | null };

/** Steps 1 to 3. Returns those that it marked dead: those that live and have not renewed since they were watched. */
export async function fenceOff(
  trx: Transaction<Tables>,
  watched: readonly Doomed[],
  impatience: { readonly database: Database; readonly clock: Clock },
): Promise<readonly string[]> {
  const renewals = new Map(watched.map((seen) => [seen.incarnation, seen.renewals]));
  if (renewals.size === 0) return [];
  const incarnations = [...renewals.keys()];
  return await endingBackends(trx, incarnations, impatience, async () => {
    const living = await trx
      .selectFrom('member')
      .select(['incarnation', 'renewals'])
      .where('incarnation', 'in', incarnations)
      .where('state', 'in', LIVING)
      .orderBy('incarnation')
      .forUpdate()
      .execute();
    const dead = living
      .filter((row) => (renewals.get(row.incarnation) ?? row.renewals) === row.renewals)
      .map((row) => row.incarnation);
    if (dead.length === 0) return dead;
    await trx.updateTable('member').set({ state: 'dead' }).where('incarnation', 'in', dead).execute();
    await trx.deleteFrom('fence').where('incarnation', 'in', dead).execute();
    return dead;
  });
}

/** Step 4, and as much of it as `which` says: those that nobody living has, to those who should have them. Returns how many. */
export async function assignUnowned(
  trx: Transaction<Tables>,
  which: (assignment: Assignment) => boolean = () => true,
): Promise<number> {
  // Read once: that an owner is not living stays true, and whoever else assigns the shard meanwhile raises its epoch.
  const unowned: readonly ShardRow[] = await trx
    .selectFrom('shard')
    .selectAll()
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('member')
            .whereRef('member.incarnation', '=', 'shard.owner')
            .where('member.state', 'in', LIVING)
            .select('member.incarnation'),
        ),
      ),
    )
    .orderBy('shard')
    .execute();
  if (unowned.length === 0) return 0;
  const members = await trx
    .selectFrom('member')
    .select(['incarnation', 'node_id as nodeId', 'weight'])
    .where('state', '=', 'alive')
    .orderBy('incarnation')
    .execute();
  const placement = placementOver(members.map((member) => ({ ...member, state: 'alive' })));
  return await writeAssignments(trx, assign(unowned, placement).filter(which));
}

export async function writeAssignments(trx: Transaction<Tables>, assignments: readonly Assignment[]): Promise<number> {
  if (assignments.length === 0) return 0;
  const { numAffectedRows } = await sql`
    UPDATE shard AS s SET owner = r.owner, epoch = s.epoch + 1
    FROM unnest(
      ${assignments.map(({ shard }) => shard)}::integer[],
      ${assignments.map(({ epoch }) => epoch)}::bigint[],
      ${assignments.map(({ to }) => to)}::text[]
    ) AS r (shard, epoch, owner)
    WHERE s.shard = r.shard AND s.epoch = r.epoch`.execute(trx);
  return Number(numAffectedRows ?? 0);
}

/** Runs what may wait for a statement of the dead; where it waits too long, the backends that it waits for are ended. */
async function endingBackends<T>(
  trx: Transaction<Tables>,
  dead: readonly string[],
  { database, clock }: { readonly database: Database; readonly clock: Clock },
  work: () => Promise<T>,
): Promise<T> {
  // A taker that is stopped in between gives the rows back to the next.
  const { rows } = await sql<{ pid: number }>`
    SELECT pg_backend_pid() AS pid, set_config('idle_in_transaction_session_timeout', ${String(IDLE_MS)}, true)`.execute(
    trx,
  );
  const takers = dead.map(membershipName);
  // On another connection, while the transaction waits on its own.
  const end = async (): Promise<void> => {
    try {
      await database.pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE pid = ANY (pg_blocking_pids($1))
            AND (right(application_name, 2) <> '#m' OR application_name = ANY ($2))`,
        [rows[0]?.pid, takers],
      );
    } catch (error) {
      database.options.log('backends_not_ended', { error: error instanceof Error ? error.message : String(error) });
    }
  };
  let ending: Promise<void> = Promise.resolve();
  let timer: { cancel(): void } | null = null;
  const schedule = (): void => {
    timer = clock.setTimeout(() => {
      ending = end();
      schedule();
    }, PATIENCE_MS);
  };
  schedule();
  try {
    return await work();
  } finally {
    (timer as { cancel(): void } | null)?.cancel();
    await ending;
  }
}
