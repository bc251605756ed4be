/**
 * Answers recorded under an idempotency key. Those of actors are written by their append; calls that change tables
 * directly (the catalogue) record theirs here, in the transaction of the change.
 */
import { type Kysely, sql } from 'kysely';
import type { ActorRef } from '../runtime/actor.ts';
import type { AnswerRow, RecordedAnswer } from '../runtime/journal.ts';
import { isStorableText } from './binary-array.ts';
import type { Tables } from './tables.ts';

/** A key is good for this long. */
export const ANSWER_TTL_MS = 24 * 3600 * 1000;
/** Kept longer, for clocks that disagree and calls under way. */
const MARGIN_MS = 3600 * 1000;

/**
 * Records an answer; false where the key has one already (then the change must be rolled back and that one repeated).
 * Of two at once the second waits for the first. An answer past its time is replaced.
 */
export async function insertAnswer(trx: Kysely<Tables>, row: AnswerRow): Promise<boolean> {
  const { type, id, fingerprint, at } = row;
  const result = await trx
    .insertInto('answer')
    .values({ type, id, key_hash: row.keyHash, fingerprint, payload: Buffer.from(row.payload), at })
    .onConflict((conflict) =>
      conflict
        .columns(['type', 'id', 'key_hash'])
        .doUpdateSet((eb) => ({
          fingerprint: eb.ref('excluded.fingerprint'),
          payload: eb.ref('excluded.payload'),
          at: eb.ref('excluded.at'),
        }))
        .where('answer.at', '<', at - ANSWER_TTL_MS),
    )
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

export async function findAnswer(db: Kysely<Tables>, ref: ActorRef, keyHash: string): Promise<RecordedAnswer | null> {
  if (![ref.type, ref.id, keyHash].every(isStorableText)) return null;
  const row = await db
    .selectFrom('answer')
    .select(['fingerprint', 'payload'])
    .where('type', '=', ref.type)
    .where('id', '=', ref.id)
    .where('key_hash', '=', keyHash)
    .executeTakeFirst();
  return row ?? null;
}

/** Removes up to `limit` answers past their time. Returns how many; call again while it is `limit`. */
export async function removeOldAnswers(db: Kysely<Tables>, now: number, limit: number): Promise<number> {
  // Rows that an append is replacing are skipped: waiting for it here could deadlock with it.
  const { numAffectedRows } = await sql`
    WITH old AS MATERIALIZED (
      SELECT type, id, key_hash FROM answer
      WHERE at < ${now - ANSWER_TTL_MS - MARGIN_MS}
      ORDER BY at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    DELETE FROM answer AS a USING old WHERE a.type = old.type AND a.id = old.id AND a.key_hash = old.key_hash
    `.execute(db);
  return Number(numAffectedRows ?? 0);
}
