/** What the journal reads and writes by key, said so that no plan reads a whole table for it (`journal-reader.ts`, `append.ts`). */
import { type Kysely, sql } from 'kysely';
import { APPEND_EVENTS_FUNCTION, APPEND_FUNCTION } from '../append.ts';
import { READ_FUNCTIONS } from '../journal-reader.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...READ_FUNCTIONS, APPEND_FUNCTION, APPEND_EVENTS_FUNCTION])
    await sql.raw(statement).execute(db);
}
