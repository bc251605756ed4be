/**
 * Removes what is stored of a cart that has expired, for the clean-up job. It runs at the cart's owner: the removal names the sequence
 * at which the cart was judged and is made under the lane's fence, so a cart that has moved on is left whole and looked at again; it
 * may be repeated at any time.
 */
import { sql } from 'kysely';
import type { CartGlance } from '../actors/cart-protocol.ts';
import { Fault } from '../runtime/fault.ts';
import { laneOf, shardOf } from '../runtime/shard.ts';
import type { ActorSystem } from '../runtime/system.ts';
import type { Database } from '../schema/database.ts';
import type { PgJournal } from '../schema/journal.ts';
import { removeHistories } from '../schema/retention.ts';

/** Under this name members ask each other for it. */
export const CART_HISTORY = 'remove-cart-history';

/** The member that has the cart. */
export interface CartOwner {
  readonly database: Database;
  readonly journal: PgJournal;
  readonly system: Pick<ActorSystem, 'ask' | 'inspect'>;
  readonly incarnation: string;
}

/** Removes the cart's history and closes the outbox row; where the cart has not expired, only closes the row. */
export async function removeCartHistory(owner: CartOwner, cartId: string, outboxId: string): Promise<void> {
  const { database, journal, system, incarnation } = owner;
  const ref = { type: 'cart', id: cartId };
  const reply = (await system.ask(ref, { kind: 'glance' })) as { ok: boolean; cart?: CartGlance };
  if (reply.ok && reply.cart?.status === 'expired') {
    const lane = laneOf(shardOf(ref.type, ref.id), journal.lanes);
    const ended = { ...ref, seq: system.inspect(ref)?.seq ?? 0 };
    const fence = { incarnation, lane, gen: journal.generation(lane) };
    const removed = await removeHistories(database.db, fence, [ended]);
    // The job comes again: with the row closed now, nothing would ever ask for this cart's removal again.
    if (removed.length === 0) throw new Fault('effect_failed', 'the cart has moved on since it was looked at');
  }
  // Not in the removal's transaction: a crash in between repeats the job, which then finds nothing and closes the row.
  await database.db
    .updateTable('outbox')
    .set({ state: 'closed', changed_at: sql`now()` })
    .where('id', '=', outboxId)
    .execute();
}
