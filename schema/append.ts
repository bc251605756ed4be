/**
 * The append as one function of the server: one call is one autocommit statement, so a writer that is stopped in
 * between holds no lock, and nothing is half written.
 *
 * Why a fence row is enough, and neither owner nor epoch of the shard is looked at: whoever takes a shard from a
 * member first deletes all of that member's fence rows, in the transaction that gives the shard its new owner and epoch. The
 * function holds its fence row locked until it commits. So an append either committed before the takeover, and the
 * new owner's load (a later statement) sees it; or it finds no row and writes nothing. The epoch is stored with each
 * event for those who read the journal, not to protect it.
 *
 * - The fence is locked with `FOR UPDATE`: an `UPDATE` would leave a dead row for each batch, a bare `EXISTS` would
 *   let a batch commit after a takeover that began later.
 * - Contiguity is asked after the insert: each event's predecessor must be stored, whether by this batch or before. The
 *   key of the journal refuses a duplicate; only this refuses a gap. It holds because retention never removes an
 *   actor's last event. A first event follows nothing; where retention has removed the one that was stored, the snapshot
 *   that allowed it to refuses another.
 * - A snapshot beyond the stored events is refused: it could only be of events that never were.
 * - Every part is skipped when its arrays are NULL; most batches have three parts.
 *
 * The statement is run with generic plans and without sequential scans, hash and merge joins (settings of the lane's
 * connection): its plans are made while tables are empty and must still be right when they are large.
 */

/** SQLSTATEs that the functions raise. */
export const FENCED = 'ST001';
export const NOT_CONTIGUOUS = 'ST002';

/** Read tables that an append can write: `projections` of other tables are refused. */
export const READ_TABLES = ['orders', 'stock'] as const;

/** The first part of whatever writes on a lane. */
export const FENCE = `
  PERFORM 1 FROM fence WHERE incarnation = p_incarnation AND lane = p_lane AND gen = p_gen FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'lane % of % has no fence of generation %', p_lane, p_incarnation, p_gen
      USING ERRCODE = '${FENCED}';
  END IF;`;

function readTable(table: string): string {
  return `
  IF ${table}_key IS NOT NULL THEN
    INSERT INTO ${table} AS p (key, version, doc)
      SELECT r.key, r.version, r.doc::jsonb
      FROM unnest(${table}_key, ${table}_version, ${table}_doc) AS r (key, version, doc)
      WHERE r.doc IS NOT NULL
      ON CONFLICT (key) DO UPDATE SET version = excluded.version, doc = excluded.doc
      WHERE p.version < excluded.version;
    IF array_position(${table}_doc, NULL) IS NOT NULL THEN
      FOR gone IN SELECT r.key, r.version FROM unnest(${table}_key, ${table}_version, ${table}_doc) AS r (key, version, doc)
        WHERE r.doc IS NULL
      LOOP
        DELETE FROM ${table} AS p WHERE p.key = gone.key AND p.version < gone.version;
      END LOOP;
    END IF;
  END IF;`;
}

/** The parameters in order; `journal.ts` encodes them in the same order. */
export const APPEND_PARAMETERS: readonly (readonly [name: string, type: string])[] = [
  ['p_incarnation', 'text'],
  ['p_lane', 'integer'],
  ['p_gen', 'bigint'],
  ['e_type', 'text[]'],
  ['e_id', 'text[]'],
  ['e_seq', 'bigint[]'],
  ['e_epoch', 'bigint[]'],
  ['e_at', 'bigint[]'],
  ['e_shard', 'integer[]'],
  ['e_version', 'integer[]'],
  ['e_payload', 'bytea[]'],
  ['s_type', 'text[]'],
  ['s_id', 'text[]'],
  ['s_seq', 'bigint[]'],
  ['s_version', 'integer[]'],
  ['s_payload', 'bytea[]'],
  ['t_type', 'text[]'],
  ['t_id', 'text[]'],
  ['t_shard', 'integer[]'],
  ['t_due', 'bigint[]'],
  ['o_id', 'text[]'],
  ['o_shard', 'integer[]'],
  ['o_job', 'text[]'],
  ['o_doc', 'text[]'],
  ['c_id', 'text[]'],
  ['a_type', 'text[]'],
  ['a_id', 'text[]'],
  ['a_key_hash', 'text[]'],
  ['a_fingerprint', 'text[]'],
  ['a_payload', 'bytea[]'],
  ['a_at', 'bigint[]'],
  ...READ_TABLES.flatMap(
    (table) =>
      [
        [`${table}_key`, 'text[]'],
        [`${table}_version`, 'bigint[]'],
        [`${table}_doc`, 'text[]'],
      ] as const,
  ),
];

/**
 * Writes the events and proves that each actor's follow what is stored. A batch of one, as an idle shop writes them, is written without
 * the machinery for many (unnest, joins): 30 of its 105 µs above a bare insert.
 */
const EVENTS = `
  IF cardinality(e_id) = 1 THEN
    INSERT INTO journal (type, id, seq, epoch, at, shard, version, payload)
      VALUES (e_type[1], e_id[1], e_seq[1], e_epoch[1], e_at[1], e_shard[1], e_version[1], e_payload[1]);
    IF e_seq[1] > 1 THEN
      PERFORM FROM journal AS j WHERE j.type = e_type[1] AND j.id = e_id[1] AND j.seq = e_seq[1] - 1;
      follows := FOUND;
    ELSE
      PERFORM FROM snapshot AS s WHERE s.type = e_type[1] AND s.id = e_id[1];
      follows := NOT FOUND;
    END IF;
    IF NOT follows THEN
      RAISE EXCEPTION '% %: sequence % does not follow a stored one', e_type[1], e_id[1], e_seq[1]
        USING ERRCODE = '${NOT_CONTIGUOUS}';
    END IF;
  ELSE
    INSERT INTO journal (type, id, seq, epoch, at, shard, version, payload)
      SELECT * FROM unnest(e_type, e_id, e_seq, e_epoch, e_at, e_shard, e_version, e_payload);
    GET DIAGNOSTICS written = ROW_COUNT;
    SELECT r.type, r.id, r.seq INTO culprit
      FROM unnest(e_type, e_id, e_seq) AS r (type, id, seq)
      WHERE r.seq > 1
        AND NOT EXISTS (SELECT FROM journal AS j WHERE j.type = r.type AND j.id = r.id AND j.seq = r.seq - 1)
      LIMIT 1;
    -- Apart, since few batches hold a first event: as one query it cost every batch a second pass (3 to 8 % of its time).
    IF NOT FOUND AND 1 = ANY (e_seq) THEN
      SELECT r.type, r.id, r.seq INTO culprit
        FROM unnest(e_type, e_id, e_seq) AS r (type, id, seq)
        CROSS JOIN LATERAL (SELECT FROM snapshot AS s WHERE s.type = r.type AND s.id = r.id LIMIT 1) AS s
        WHERE r.seq = 1
        LIMIT 1;
    END IF;
    IF FOUND THEN
      RAISE EXCEPTION '% %: sequence % does not follow a stored one', culprit.type, culprit.id, culprit.seq
        USING ERRCODE = '${NOT_CONTIGUOUS}';
    END IF;
    IF written <> cardinality(e_id) THEN
      RAISE EXCEPTION '% of % events were written', written, cardinality(e_id) USING ERRCODE = '${NOT_CONTIGUOUS}';
    END IF;
  END IF;`;

export const APPEND_FUNCTION = `
CREATE OR REPLACE FUNCTION append(${APPEND_PARAMETERS.map(([name, type]) => `${name} ${type}`).join(', ')})
RETURNS void LANGUAGE plpgsql AS $append$
DECLARE
  written bigint;
  culprit record;
  gone record;
  follows boolean;
BEGIN
  ${FENCE}

  IF e_id IS NOT NULL THEN
${EVENTS}
  END IF;

  IF s_id IS NOT NULL THEN
    INSERT INTO snapshot AS s (type, id, seq, version, payload)
      SELECT * FROM unnest(s_type, s_id, s_seq, s_version, s_payload)
      ON CONFLICT (type, id) DO UPDATE SET seq = excluded.seq, version = excluded.version, payload = excluded.payload
      WHERE s.seq < excluded.seq;
    SELECT r.type, r.id, r.seq INTO culprit
      FROM unnest(s_type, s_id, s_seq) AS r (type, id, seq)
      WHERE NOT EXISTS (SELECT FROM journal AS j WHERE j.type = r.type AND j.id = r.id AND j.seq >= r.seq)
      LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION '% %: snapshot % is beyond the stored events', culprit.type, culprit.id, culprit.seq
        USING ERRCODE = '${NOT_CONTIGUOUS}';
    END IF;
  END IF;

  IF t_id IS NOT NULL THEN
    INSERT INTO timer AS t (type, id, shard, due)
      SELECT r.type, r.id, r.shard, r.due
      FROM unnest(t_type, t_id, t_shard, t_due) AS r (type, id, shard, due)
      WHERE r.due IS NOT NULL
      ON CONFLICT (type, id) DO UPDATE SET shard = excluded.shard, due = excluded.due
      WHERE (t.shard, t.due) <> (excluded.shard, excluded.due);
    IF array_position(t_due, NULL) IS NOT NULL THEN
      FOR gone IN SELECT r.type, r.id FROM unnest(t_type, t_id, t_due) AS r (type, id, due) WHERE r.due IS NULL
      LOOP
        DELETE FROM timer AS t WHERE t.type = gone.type AND t.id = gone.id;
      END LOOP;
    END IF;
  END IF;

  IF o_id IS NOT NULL THEN
    INSERT INTO outbox (id, shard, job, doc)
      SELECT r.id, r.shard, r.job, r.doc::jsonb
      FROM unnest(o_id, o_shard, o_job, o_doc) AS r (id, shard, job, doc)
      ON CONFLICT (id) DO NOTHING;
  END IF;
  IF c_id IS NOT NULL THEN
    -- Said so that the index of rows at work is no choice: it would be read whole.
    UPDATE outbox AS o SET state = 'closed', changed_at = now()
      WHERE o.id = ANY (c_id) AND o.state IS DISTINCT FROM 'closed';
  END IF;

  IF a_id IS NOT NULL THEN
    INSERT INTO answer (type, id, key_hash, fingerprint, payload, at)
      SELECT * FROM unnest(a_type, a_id, a_key_hash, a_fingerprint, a_payload, a_at)
      ON CONFLICT (type, id, key_hash)
      DO UPDATE SET fingerprint = excluded.fingerprint, payload = excluded.payload, at = excluded.at;
  END IF;
  ${READ_TABLES.map(readTable).join('')}
END
$append$`;

/** The first parameters, up to those of events. */
export const EVENT_PARAMETERS = APPEND_PARAMETERS.slice(0, 11);

/** The same for a batch that holds nothing but events, as most do: 26 parameters fewer to send, to read and to look at (12 µs on the server). */
export const APPEND_EVENTS_FUNCTION = `
CREATE OR REPLACE FUNCTION append_events(${EVENT_PARAMETERS.map(([name, type]) => `${name} ${type}`).join(', ')})
RETURNS void LANGUAGE plpgsql AS $append$
DECLARE
  written bigint;
  culprit record;
  follows boolean;
BEGIN
  ${FENCE}
${EVENTS}
END
$append$`;

/**
 * Removes whole actors (see `retention.ts`), under the fence of the lane that writes them: while this runs that lane
 * appends nothing, and an actor that has moved on since it was judged keeps everything.
 */
export const REMOVE_HISTORY_FUNCTION = `
CREATE FUNCTION remove_histories(p_incarnation text, p_lane integer, p_gen bigint, r_type text[], r_id text[], r_seq bigint[])
RETURNS TABLE (type text, id text) LANGUAGE plpgsql AS $remove$
#variable_conflict use_column
DECLARE
  gone_type text[];
  gone_id text[];
BEGIN
  ${FENCE}
  SELECT array_agg(r.type), array_agg(r.id) INTO gone_type, gone_id
    FROM unnest(r_type, r_id, r_seq) AS r (type, id, seq)
    WHERE r.seq = (SELECT max(j.seq) FROM journal AS j WHERE j.type = r.type AND j.id = r.id);
  DELETE FROM journal AS x USING unnest(gone_type, gone_id) AS g (type, id) WHERE x.type = g.type AND x.id = g.id;
  DELETE FROM snapshot AS x USING unnest(gone_type, gone_id) AS g (type, id) WHERE x.type = g.type AND x.id = g.id;
  DELETE FROM answer AS x USING unnest(gone_type, gone_id) AS g (type, id) WHERE x.type = g.type AND x.id = g.id;
  DELETE FROM timer AS x USING unnest(gone_type, gone_id) AS g (type, id) WHERE x.type = g.type AND x.id = g.id;
  RETURN QUERY SELECT g.type, g.id FROM unnest(gone_type, gone_id) AS g (type, id);
END
$remove$`;
