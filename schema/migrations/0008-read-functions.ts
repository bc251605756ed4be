/** What the journal reads by key, as functions that plan no other way (see `journal-reader.ts`). */
import { type Kysely, sql } from 'kysely';
import { READ_FUNCTIONS } from '../journal-reader.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of READ_FUNCTIONS) await sql.raw(statement).execute(db);
}
