/**
 * The audit trail is listed by what was called or changed, and by who did it. Both are indexed by their beginnings: as a whole one might
 * be longer than an index takes, and then its line could not be written.
 */
import { type Kysely, sql } from 'kysely';
import { AUDIT_INDEXED } from '../audit.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const column of ['target', 'actor']) {
    await sql.raw(`CREATE INDEX audit_${column} ON audit (left(${column}, ${AUDIT_INDEXED}), at, id)`).execute(db);
  }
}
