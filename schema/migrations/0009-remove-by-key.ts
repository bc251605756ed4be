/** The removal of histories goes by key too (`retention.ts`). */
import { type Kysely, sql } from 'kysely';
import { REMOVE_OWN_HISTORY_FUNCTION } from '../retention.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(REMOVE_OWN_HISTORY_FUNCTION).execute(db);
}
