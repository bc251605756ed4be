/**
 * The commercial rules as rows: one table for all kinds, a document under (kind, id) with the version of the book in which it last
 * changed, which is its entity tag too. A removed document stays as a mark, so that other nodes learn of it. Whoever writes holds the lock
 * of `nextVersion`.
 */
import { sql } from 'kysely';
import type { CatalogueDb } from './catalogue-tables.ts';
import type { Json } from './tables.ts';

export const RULE_KINDS = [
  'store',
  'zone',
  'tax_rate',
  'shipping_method',
  'price_list',
  'promotion',
  'promotion_group',
  'coupon',
] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

/** The id of the one document of kind `store`. */
export const STORE_ID = 'store';

export interface RuleRow {
  kind: RuleKind;
  id: string;
  doc: Json;
  version: number;
  updated_at: Date;
  deleted: boolean;
}

/** A document as it is stored. */
export interface StoredRule<Doc = unknown> {
  readonly kind: RuleKind;
  readonly id: string;
  readonly doc: Doc;
  readonly version: number;
  readonly updatedAt: Date;
}
export interface RuleNews extends StoredRule {
  readonly deleted: boolean;
}

/** What changed after a version, marks of removed documents among it. */
export async function rulesSince(db: CatalogueDb, known: number): Promise<readonly RuleNews[]> {
  return db
    .selectFrom('rule')
    .select(['kind', 'id', 'doc', 'version', 'updated_at as updatedAt', 'deleted'])
    .where('version', '>', known)
    .execute();
}

/** `doc` null: removed. */
export interface RuleWrite {
  readonly kind: RuleKind;
  readonly id: string;
  readonly doc: unknown;
}

/** Each (kind, id) may occur once. */
export async function writeRules(
  trx: CatalogueDb,
  version: number,
  updatedAt: Date,
  writes: readonly RuleWrite[],
): Promise<void> {
  const removed = writes.filter(({ doc }) => doc === null).map(({ kind, id }) => ({ kind, id }));
  const kept = writes.filter(({ doc }) => doc !== null);
  // One document for all rows, as for products.
  if (kept.length > 0)
    await sql`
      INSERT INTO rule (kind, id, doc, version, updated_at, deleted)
      SELECT w ->> 'kind', w ->> 'id', w -> 'doc', ${version}::bigint, ${updatedAt}::timestamptz, false
      FROM jsonb_array_elements(${JSON.stringify(kept)}::jsonb) AS w
      ON CONFLICT (kind, id) DO UPDATE
      SET doc = excluded.doc, version = excluded.version, updated_at = excluded.updated_at, deleted = false`.execute(
      trx,
    );
  if (removed.length > 0)
    await sql`
      UPDATE rule SET deleted = true, version = ${version}::bigint, updated_at = ${updatedAt}::timestamptz
      FROM jsonb_array_elements(${JSON.stringify(removed)}::jsonb) AS w
      WHERE rule.kind = w ->> 'kind' AND rule.id = w ->> 'id'`.execute(trx);
}
