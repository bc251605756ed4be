/**
 * The give: shards of a living member go to another, as one function of the server and so as one autocommit statement, in the place
 * of an append of their lane. All of them go or none.
 *
 * It locks in the order in which a takeover does (members, fences, shards), so that the two wait for each other and never in a circle:
 * 1. the receiver's row, and it must be alive: a takeover of the receiver (which begins with `FOR UPDATE`) is waited for and then found,
 *    or it begins later, waits, and finds the shards among the receiver's. `FOR KEY SHARE` does not keep the receiver from renewing,
 *    nor from leaving: what is given to one that leaves at this moment is claimed from it as the rest is;
 * 2. the giver's fence, `FOR UPDATE`, under the generation it was sent with: an orphan of this statement is voided or
 *    waited for by `resolveGift` as an append's is, and a takeover of the giver comes before it (no fence) or after it (the shards
 *    are the other's);
 * 3. the shards, each of which must be the giver's under the epoch that it knows.
 *
 * Without the fence a give that was lost on its way commits whenever its bytes arrive: its sender has long read back its own name in
 * the row, has gone on, and two members serve one shard (`give.test.ts` shows it).
 */
import type pg from 'pg';
import { AppendError, type Gift } from '../runtime/journal.ts';
import { FENCE } from './append.ts';
import type { Writer } from './append-encoding.ts';

/** SQLSTATE: the receiver is not alive, or a shard is not as the giver knows it. */
export const NOT_GIVEN = 'ST003';

export const GIVE_FUNCTION = `
CREATE FUNCTION give_shards(p_incarnation text, p_lane integer, p_gen bigint, p_to text, g_shard integer[], g_epoch bigint[])
RETURNS void LANGUAGE plpgsql AS $give$
DECLARE
  written bigint;
BEGIN
  PERFORM 1 FROM member WHERE incarnation = p_to AND state = 'alive' FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% is not alive', p_to USING ERRCODE = '${NOT_GIVEN}';
  END IF;
  ${FENCE}
  UPDATE shard AS s SET owner = p_to, epoch = s.epoch + 1
    FROM unnest(g_shard, g_epoch) AS g (shard, epoch)
    WHERE s.shard = g.shard AND s.owner = p_incarnation AND s.epoch = g.epoch;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written <> cardinality(g_shard) THEN
    RAISE EXCEPTION '% of % shards are as %''s', written, cardinality(g_shard), p_incarnation
      USING ERRCODE = '${NOT_GIVEN}';
  END IF;
END
$give$`;

export const GIVE_TEXT = 'SELECT give_shards($1::text, $2::integer, $3::bigint, $4::text, $5::integer[], $6::bigint[])';

/** The parameters of `GIVE_TEXT`. */
export function encodeGive(writer: Writer, gift: Gift): unknown[] {
  const shards = gift.shards.map(({ shard }) => shard);
  const epochs = gift.shards.map(({ epoch }) => epoch);
  return [writer.incarnation, writer.lane, writer.gen, gift.to, shards, epochs];
}

/**
 * Whether the gift has gone, once it cannot any more unless it has. The giver is alive, so nobody but it changed these rows
 * before, and the receiver only after it had them: a row under the gift's own epoch is still the giver's.
 */
export async function giftWitness(client: pg.Client, giver: string, gift: Gift): Promise<'committed' | 'void'> {
  const { rows } = await client.query<{ shard: number; owner: string; epoch: number }>(
    'SELECT shard, owner, epoch FROM shard WHERE shard = ANY ($1)',
    [gift.shards.map(({ shard }) => shard)],
  );
  const stays = gift.shards.filter(({ shard, epoch }) =>
    rows.some((row) => row.shard === shard && row.owner === giver && row.epoch === epoch),
  );
  if (stays.length === gift.shards.length) return 'void';
  const gone = gift.shards.every(({ shard, epoch }) =>
    rows.some(
      (row) => row.shard === shard && (row.epoch > epoch + 1 || (row.epoch === epoch + 1 && row.owner === gift.to)),
    ),
  );
  if (!gone) throw new AppendError('fenced', `shards of ${giver} were taken from it`);
  return 'committed';
}
