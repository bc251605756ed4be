/**
 * The journal's reads: loading actors in batches, paging through a tail, recorded answers and due timers. All are named
 * prepared statements on the pool; none changes anything.
 *
 * An actor's history is read by its owner only, after the takeover or the last append has ended, so that its pages are of one history.
 */
import type pg from 'pg';
import type { ActorRef } from '../runtime/actor.ts';
import type { EventRow, LoadedActor, RecordedAnswer, SnapshotRow } from '../runtime/journal.ts';
import { unavailable } from './append-outcome.ts';
import { BinaryArrayWriter, isStorableText } from './binary-array.ts';

/** A stored event. */
interface TailRow {
  epoch: number;
  seq: number;
  at: number;
  shard: number;
  version: number;
  payload: Buffer;
}
/** What is stored of an actor besides its events: snapshot and timer, of which one may be missing. */
interface HeadRow {
  epoch: null;
  seq: number | null;
  version: number;
  payload: Buffer;
  due: number | null;
}
/** The n-th actor's, counted from 1. */
type LoadRow = { n: number } & (HeadRow | TailRow);

/**
 * What is read by its key must be looked up by its key, also by a plan that was made when the tables were empty or had three rows, and is kept
 * until autovacuum has looked at them again, up to a minute later. As a join the planner may read a small table whole, by a scan, a hash or an index
 * without a condition; 40,000 timers later it still did, once for each batch, and an actor took PostgreSQL 700 µs instead of 30. As a lateral look-up
 * with a limit the key can only be a condition of the index, once scans are off. Settings of the connection, as the lanes have them, would
 * hold for whatever else the pool is used for.
 */
export const BY_KEY = 'SET enable_seqscan = off SET plan_cache_mode = force_generic_plan';

/** What `JournalReader` calls. */
export const READ_FUNCTIONS = [
  `CREATE FUNCTION load_actors(r_type text[], r_id text[], r_limit integer)
RETURNS TABLE (n integer, seq bigint, epoch bigint, at bigint, shard integer, version integer, payload bytea, due bigint)
LANGUAGE plpgsql STABLE ${BY_KEY} AS $load$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT r.n::integer, s.seq, NULL::bigint, NULL::bigint, NULL::integer, s.version, s.payload, t.due
    FROM unnest(r_type, r_id) WITH ORDINALITY AS r (type, id, n)
    LEFT JOIN LATERAL (SELECT * FROM snapshot AS s WHERE s.type = r.type AND s.id = r.id LIMIT 1) AS s ON true
    LEFT JOIN LATERAL (SELECT * FROM timer AS t WHERE t.type = r.type AND t.id = r.id LIMIT 1) AS t ON true
    WHERE s.id IS NOT NULL OR t.id IS NOT NULL;
  RETURN QUERY SELECT r.n::integer, e.*, NULL::bigint
    FROM unnest(r_type, r_id) WITH ORDINALITY AS r (type, id, n)
    LEFT JOIN LATERAL (SELECT * FROM snapshot AS s WHERE s.type = r.type AND s.id = r.id LIMIT 1) AS s ON true
    CROSS JOIN LATERAL (
      SELECT j.seq, j.epoch, j.at, j.shard, j.version, j.payload
      FROM journal AS j WHERE j.type = r.type AND j.id = r.id AND j.seq > coalesce(s.seq, 0)
      ORDER BY j.seq LIMIT r_limit
    ) AS e
    ORDER BY r.n, e.seq;
END
$load$`,
  `CREATE FUNCTION due_timers(p_now bigint, p_shards integer[], p_limit integer)
RETURNS TABLE (type text, id text, due bigint) LANGUAGE plpgsql STABLE ${BY_KEY} AS $due$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT t.type, t.id, t.due FROM timer AS t
    WHERE t.due <= p_now AND (p_shards IS NULL OR t.shard = ANY (p_shards))
    ORDER BY t.due, t.type, t.id LIMIT p_limit;
END
$due$`,
];

const LOAD = { name: 'load_actors', text: 'SELECT * FROM load_actors($1, $2, $3)' };
const TAIL = {
  name: 'journal_tail',
  text: `SELECT seq, epoch, at, shard, version, payload FROM journal
    WHERE type = $1 AND id = $2 AND seq > $3 ORDER BY seq LIMIT $4`,
};
const ANSWER = {
  name: 'journal_answer',
  text: 'SELECT fingerprint, payload FROM answer WHERE type = $1 AND id = $2 AND key_hash = $3',
};
const DUE_TIMERS = { name: 'journal_due_timers', text: 'SELECT * FROM due_timers($1, $2, $3)' };

export class JournalReader {
  readonly #pool: pg.Pool;
  readonly #pageSize: number;

  constructor(pool: pg.Pool, pageSize: number) {
    this.#pool = pool;
    this.#pageSize = pageSize;
  }

  /** See `Journal.load`. What no column can hold was never stored: such an id has no history, and spoils no other's load. */
  async load(refs: readonly ActorRef[]): Promise<LoadedActor[]> {
    const loaded = refs.map((ref) => ({
      ref: { type: ref.type, id: ref.id },
      snapshot: null as SnapshotRow | null,
      events: [] as EventRow[],
      more: false,
      timerDue: null as number | null,
    }));
    const wanted = loaded.filter(({ ref }) => isStorableText(ref.type) && isStorableText(ref.id));
    if (wanted.length === 0) return loaded;
    const arrays = new BinaryArrayWriter();
    const types = arrays.text(wanted, ({ ref }) => ref.type);
    const ids = arrays.text(wanted, ({ ref }) => ref.id);
    for (const row of await this.#rows<LoadRow>(LOAD, [types, ids, this.#pageSize + 1])) {
      const actor = wanted[row.n - 1];
      if (actor === undefined) continue;
      if (row.epoch === null) {
        actor.timerDue = row.due;
        if (row.seq !== null)
          actor.snapshot = { ...actor.ref, seq: row.seq, version: row.version, payload: row.payload };
      } else if (actor.events.length === this.#pageSize) actor.more = true;
      else actor.events.push(eventOf(actor.ref, row));
    }
    return loaded;
  }

  async tail(ref: ActorRef, afterSeq: number): Promise<{ events: EventRow[]; more: boolean }> {
    if (!isStorableText(ref.type) || !isStorableText(ref.id)) return { events: [], more: false };
    const rows = await this.#rows<TailRow>(TAIL, [ref.type, ref.id, afterSeq, this.#pageSize + 1]);
    const events = rows.slice(0, this.#pageSize).map((row) => eventOf(ref, row));
    return { events, more: rows.length > this.#pageSize };
  }

  async answer(ref: ActorRef, keyHash: string): Promise<RecordedAnswer | null> {
    if (![ref.type, ref.id, keyHash].every(isStorableText)) return null;
    const rows = await this.#rows<RecordedAnswer>(ANSWER, [ref.type, ref.id, keyHash]);
    return rows[0] ?? null;
  }

  async dueTimers(
    now: number,
    shards: readonly number[] | null,
    limit: number,
  ): Promise<(ActorRef & { due: number })[]> {
    return await this.#rows<ActorRef & { due: number }>(DUE_TIMERS, [Math.floor(now), shards, limit]);
  }

  async #rows<Row>(statement: { name: string; text: string }, values: unknown[]): Promise<Row[]> {
    try {
      const result = await this.#pool.query({ ...statement, values });
      return result.rows as Row[];
    } catch (error) {
      throw unavailable(error);
    }
  }
}

function eventOf(ref: ActorRef, row: TailRow): EventRow {
  return {
    type: ref.type,
    id: ref.id,
    shard: row.shard,
    seq: row.seq,
    epoch: row.epoch,
    version: row.version,
    payload: row.payload,
    at: row.at,
  };
}
