/** The append as it is now, and a shorter one for batches of events alone (see `append.ts`). */
import { type Kysely, sql } from 'kysely';
import { APPEND_EVENTS_FUNCTION, APPEND_FUNCTION } from '../append.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [APPEND_FUNCTION, APPEND_EVENTS_FUNCTION]) await sql.raw(statement).execute(db);
}
