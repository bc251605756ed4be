/**
 * An incarnation of a node (`runtime/incarnation.ts`) on PostgreSQL, with what only it can do there: the removal of what is stored of a cart
 * that has expired, under the fence of whoever has the cart.
 */
import {
  type Incarnation,
  type IncarnationOptions as Options,
  openIncarnation as open,
} from '../runtime/incarnation.ts';
import type { Database } from '../schema/database.ts';
import { PgJournal } from '../schema/journal.ts';
import { CART_HISTORY, removeCartHistory } from './cart-histories.ts';
import { LANES } from './storage.ts';

export interface IncarnationOptions extends Omit<Options<PgJournal>, 'journal' | 'services'> {
  readonly database: Database;
}

/** @param leaving it only brings calls to others, and is given nothing */
export async function openIncarnation(options: IncarnationOptions, leaving: boolean): Promise<Incarnation> {
  const { database, ...rest } = options;
  return await open(
    {
      ...rest,
      journal: (incarnation) => new PgJournal({ database, incarnation, lanes: LANES }),
      services: (own) => ({
        [CART_HISTORY]: (ref, outboxId) => removeCartHistory({ database, ...own }, ref.id, String(outboxId)),
      }),
    },
    leaving,
  );
}
