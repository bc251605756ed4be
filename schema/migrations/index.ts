/**
 * All migrations, in the order of their names. A migration that has been released is never changed: what comes later
 * is a new file and a new line here.
 */
import type { Migration } from 'kysely';
import * as journal from './0001-journal.ts';
import * as catalogue from './0002-catalogue.ts';
import * as cluster from './0003-cluster.ts';
import * as give from './0004-give.ts';
import * as appendEvents from './0005-append-events.ts';
import * as rules from './0006-rules.ts';
import * as auditLists from './0007-audit-lists.ts';
import * as byKey from './0008-by-key.ts';
import * as removeByKey from './0009-remove-by-key.ts';

export const migrations: Readonly<Record<string, Migration>> = {
  '0001-journal': journal,
  '0002-catalogue': catalogue,
  '0003-cluster': cluster,
  '0004-give': give,
  '0005-append-events': appendEvents,
  '0006-rules': rules,
  '0007-audit-lists': auditLists,
  '0008-by-key': byKey,
  '0009-remove-by-key': removeByKey,
};
