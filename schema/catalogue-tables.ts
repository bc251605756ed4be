/**
 * The catalogue's tables as Kysely sees them, and the statements that write them. Every change takes the next version from
 * the single row of `book_version` first and keeps that row locked until it commits. So versions become visible in their own
 * order, without gaps, and whoever has read up to version v finds all that is new by `version > v`.
 */
import { type Kysely, sql } from 'kysely';
import type { Product } from './product.ts';
import type { RuleRow } from './rule-rows.ts';
import type { Json, Tables } from './tables.ts';

interface Versioned {
  /** Of the book in which this row last changed. */
  version: number;
}
export interface ProductRow extends Versioned {
  sku: string;
  doc: Json<Product>;
  /** A removed product stays as a mark, so that other nodes learn of it. */
  deleted: boolean;
}
export interface BookVersionRow extends Versioned {
  /** Always 1. */
  id: number;
}

/** A type and not an interface: `withTables` asks for one. */
export type CatalogueTables = {
  product: ProductRow;
  rule: RuleRow;
  book_version: BookVersionRow;
};

/** A connection or transaction that knows these tables: `db.withTables<CatalogueTables>()`. */
export type CatalogueDb = Kysely<Tables & CatalogueTables>;

/** Rows in one statement. */
const CHUNK = 5_000;

/** Locks the catalogue for this transaction and returns the version that its changes get. */
export async function nextVersion(trx: CatalogueDb): Promise<number> {
  const row = await trx
    .updateTable('book_version')
    .set((change) => ({ version: change('version', '+', 1) }))
    .where('id', '=', 1)
    .returning('version')
    .executeTakeFirstOrThrow();
  return row.version;
}

/** Not locked: what was read may be old when it arrives. */
export async function readVersion(db: CatalogueDb): Promise<number> {
  const row = await db.selectFrom('book_version').select('version').where('id', '=', 1).executeTakeFirstOrThrow();
  return row.version;
}

/** Which skus came (true) or went (false) after a version. */
export async function skusSince(trx: CatalogueDb, known: number): Promise<ReadonlyMap<string, boolean>> {
  const rows = await trx.selectFrom('product').select(['sku', 'deleted']).where('version', '>', known).execute();
  return new Map(rows.map(({ sku, deleted }) => [sku, !deleted]));
}

/** How many of these are there. */
export async function countProducts(trx: CatalogueDb, skus: readonly string[]): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM product WHERE NOT deleted AND sku = ANY(${skus}::text[])`.execute(trx);
  return rows[0]?.count ?? 0;
}

/** New ones and changed ones. Each sku may occur once. */
export async function writeProducts(trx: CatalogueDb, version: number, products: readonly Product[]): Promise<void> {
  for (let i = 0; i < products.length; i += CHUNK) {
    // One document for all rows: an array of texts costs the driver several times as much to quote.
    const docs = JSON.stringify(products.slice(i, i + CHUNK));
    await sql`
      INSERT INTO product (sku, doc, version, deleted)
      SELECT doc ->> 'sku', doc, ${version}::bigint, false FROM jsonb_array_elements(${docs}::jsonb) AS doc
      ON CONFLICT (sku) DO UPDATE SET doc = excluded.doc, version = excluded.version, deleted = false`.execute(trx);
  }
}

/** @returns false: there was none */
export async function markRemoved(trx: CatalogueDb, version: number, sku: string): Promise<boolean> {
  const result = await trx
    .updateTable('product')
    .set({ deleted: true, version })
    .where('sku', '=', sku)
    .where('deleted', '=', false)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
