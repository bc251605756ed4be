/** Operators' calls as rows of the audit table: what was called, how it ended, from where. Never a body, a key or a person. */
import type { Kysely } from 'kysely';
import { uuidv7 } from 'uuidv7';
import type { Tables } from '../schema/tables.ts';
import type { AuditEntry } from './app.ts';
import { faulting } from './database-fault.ts';

/** A call whose line cannot be written is answered 503: what operators do is never done unseen. */
export function auditLog(db: Kysely<Tables>): (entry: AuditEntry) => Promise<void> {
  return faulting(async (entry: AuditEntry) => {
    const { operation, path, status, clientIp, at } = entry;
    await db
      .insertInto('audit')
      .values({
        id: uuidv7(),
        at: new Date(at),
        actor: 'admin-key',
        action: operation,
        target: path,
        doc: JSON.stringify({ status, clientIp }),
      })
      .execute();
  });
}
