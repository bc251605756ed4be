/** Shards go from one living member to another; and whole histories are removed only of shards that the remover still has. */
import { type Kysely, sql } from 'kysely';
import { GIVE_FUNCTION } from '../give.ts';
import { REMOVE_OWN_HISTORY_FUNCTION } from '../retention.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [GIVE_FUNCTION, REMOVE_OWN_HISTORY_FUNCTION]) await sql.raw(statement).execute(db);
}
