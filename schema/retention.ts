/**
 * What is taken out of the journal again. All of it in small batches, so that no append waits long.
 *
 * - Whole histories of actors that have ended for good (an expired cart), by the member that writes them.
 * - Cold events behind a snapshot. An actor's last event always stays: the append proves contiguity by it.
 * - Closed outbox rows. Their ids could be added again afterwards, so they are kept longer than any actor repeats itself.
 */
import { type Kysely, sql } from 'kysely';
import type { ActorRef } from '../runtime/actor.ts';
import { AppendError } from '../runtime/journal.ts';
import { FENCE, FENCED } from './append.ts';
import { BinaryArrayWriter } from './binary-array.ts';
import { BY_KEY } from './journal-reader.ts';
import type { Tables } from './tables.ts';

/** One lane's right to write, as the journal knows it (`PgJournal.generation`). */
export interface LaneFence {
  readonly incarnation: string;
  readonly lane: number;
  readonly gen: number;
}

/** An actor judged to have ended, by its state at `seq`. */
export interface EndedActor extends ActorRef {
  readonly seq: number;
}

/**
 * Removes all that is stored of these actors, which must all be of the fence's lane: events, snapshot, answers and timer.
 * It is one statement that holds the lane's fence, so no append of theirs can come in between; one that has
 * moved on since it was judged is left whole, and one that a living cell still holds has its next append refused as a gap.
 * At most about 100 at a time: the lane waits meanwhile.
 *
 * @returns those removed. Rejects with `fenced` where the lane is no longer this incarnation's.
 */
export async function removeHistories(
  db: Kysely<Tables>,
  fence: LaneFence,
  ended: readonly EndedActor[],
): Promise<ActorRef[]> {
  if (ended.length === 0) return [];
  const arrays = new BinaryArrayWriter();
  const types = arrays.text(ended, (actor) => actor.type);
  const ids = arrays.text(ended, (actor) => actor.id);
  const seqs = arrays.int8(ended, (actor) => actor.seq);
  try {
    const { rows } = await sql<ActorRef>`
      SELECT type, id FROM remove_histories(${fence.incarnation}, ${fence.lane}, ${fence.gen}, ${types}, ${ids}, ${seqs})
      `.execute(db);
    return rows;
  } catch (error) {
    if ((error as { code?: unknown }).code !== FENCED) throw error;
    throw new AppendError('fenced', `lane ${fence.lane} is fenced`, error);
  }
}

/**
 * In the place of `REMOVE_HISTORY_FUNCTION`, which knew one member only: an actor of a shard that has gone to another member is left
 * whole, since the fence held here does not keep that one from appending. The rows of the shards are locked, so a give waits.
 *
 * One actor after the other and by its key: the lane waits meanwhile, and a plan made while the journal was small would read all of it later.
 */
export const REMOVE_OWN_HISTORY_FUNCTION = `
CREATE OR REPLACE FUNCTION remove_histories(p_incarnation text, p_lane integer, p_gen bigint, r_type text[], r_id text[], r_seq bigint[])
RETURNS TABLE (type text, id text) LANGUAGE plpgsql ${BY_KEY} AS $remove$
#variable_conflict use_column
DECLARE
  own integer[];
  ended record;
  newest record;
BEGIN
  ${FENCE}
  SELECT array_agg(l.shard) INTO own FROM (
    SELECT s.shard FROM shard AS s
    WHERE s.owner = p_incarnation AND s.shard = ANY (ARRAY(
      SELECT (SELECT j.shard FROM journal AS j WHERE j.type = r.type AND j.id = r.id AND j.seq = r.seq)
      FROM unnest(r_type, r_id, r_seq) AS r (type, id, seq)
    ))
    FOR SHARE
  ) AS l;
  FOR ended IN SELECT * FROM unnest(r_type, r_id, r_seq) AS r (type, id, seq) LOOP
    SELECT j.seq, j.shard INTO newest FROM journal AS j
      WHERE j.type = ended.type AND j.id = ended.id ORDER BY j.seq DESC LIMIT 1;
    CONTINUE WHEN newest.seq IS DISTINCT FROM ended.seq OR array_position(own, newest.shard) IS NULL;
    DELETE FROM journal AS x WHERE x.type = ended.type AND x.id = ended.id;
    DELETE FROM snapshot AS x WHERE x.type = ended.type AND x.id = ended.id;
    DELETE FROM answer AS x WHERE x.type = ended.type AND x.id = ended.id;
    DELETE FROM timer AS x WHERE x.type = ended.type AND x.id = ended.id;
    type := ended.type;
    id := ended.id;
    RETURN NEXT;
  END LOOP;
END
$remove$`;

/** Removes up to `limit` events older than `before` (milliseconds since the epoch) that a snapshot has overtaken. Returns how many. */
export async function removeColdEvents(db: Kysely<Tables>, before: number, limit: number): Promise<number> {
  // Strictly before the snapshot: the event that it was made at stays, and with it the actor's last one.
  const { numAffectedRows } = await sql`
    WITH cold AS MATERIALIZED (
      SELECT j.type, j.id, j.seq
      FROM snapshot AS s JOIN journal AS j ON j.type = s.type AND j.id = s.id AND j.seq < s.seq
      WHERE j.at < ${before} LIMIT ${limit}
    )
    DELETE FROM journal AS j USING cold WHERE j.type = cold.type AND j.id = cold.id AND j.seq = cold.seq
    `.execute(db);
  return Number(numAffectedRows ?? 0);
}

/** Removes up to `limit` outbox rows that were closed longer ago than `olderThanMs`. Returns how many. */
export async function removeClosedOutbox(db: Kysely<Tables>, olderThanMs: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    WITH old AS MATERIALIZED (
      SELECT id FROM outbox
      WHERE state = 'closed' AND changed_at < now() - make_interval(secs => ${olderThanMs / 1000}::float8)
      ORDER BY changed_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    DELETE FROM outbox AS o USING old WHERE o.id = old.id`.execute(db);
  return Number(numAffectedRows ?? 0);
}
