/**
 * All commercial rules in one table, a document under its kind and id, with the version of the book in which it last changed. What
 * was in a table for each kind is copied as it is, marks of what was removed too. Those tables stay as they were for nodes of the
 * release before, which read them while a rolling restart lasts; nothing writes them any more.
 */
import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `CREATE TABLE rule (
    kind text COLLATE "C" NOT NULL
      CHECK (kind IN ('store', 'zone', 'tax_rate', 'shipping_method', 'price_list', 'promotion', 'promotion_group', 'coupon')),
    id text COLLATE "C" NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 64),
    doc jsonb NOT NULL,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (kind, id)
  )`,
  `CREATE INDEX rule_version ON rule (version)`,
  `INSERT INTO rule (kind, id, doc, version) SELECT 'store', 'store', doc, version FROM store`,
  `INSERT INTO rule (kind, id, doc, version, deleted) SELECT 'coupon', id, doc, version, deleted FROM coupon`,
  `INSERT INTO rule (kind, id, doc, version, deleted) SELECT 'tax_rate', id, doc, version, deleted FROM tax_rate`,
  `INSERT INTO rule (kind, id, doc, version, deleted)
    SELECT 'shipping_method', id, doc || jsonb_build_object('place', place), version, deleted FROM shipping_method`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}
