/**
 * The catalogue and the commercial rules: documents under a key, each with the version of the book in which it last changed.
 * They are read whole into every node's memory, so no table needs an index but the one that finds what is new.
 */
import { type Kysely, sql } from 'kysely';

const TABLES = [
  `CREATE TABLE book_version (
    id smallint PRIMARY KEY CHECK (id = 1),
    version bigint NOT NULL CHECK (version >= 0)
  ) WITH (fillfactor = 50)`,
  `INSERT INTO book_version (id, version) VALUES (1, 0)`,

  `CREATE TABLE product (
    sku text COLLATE "C" PRIMARY KEY CHECK (sku ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    doc jsonb NOT NULL CHECK (doc ->> 'sku' = sku),
    version bigint NOT NULL,
    deleted boolean NOT NULL DEFAULT false
  )`,
  `CREATE INDEX product_version ON product (version)`,

  ...['coupon', 'tax_rate', 'shipping_method'].map(
    (table) => `CREATE TABLE ${table} (
      id text COLLATE "C" PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 64),
      doc jsonb NOT NULL,
      version bigint NOT NULL,
      deleted boolean NOT NULL DEFAULT false
    )`,
  ),
  `ALTER TABLE shipping_method ADD COLUMN place integer NOT NULL DEFAULT 0`,

  `CREATE TABLE store (
    id smallint PRIMARY KEY CHECK (id = 1),
    doc jsonb NOT NULL,
    version bigint NOT NULL
  )`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of TABLES) await sql.raw(table).execute(db);
}
