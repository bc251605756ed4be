/**
 * Many products at once, as NDJSON (one JSON object in a line) or CSV. Everything is checked before anything is written, and
 * what is wrong is told with the number of its line. Prices are in minor units.
 *
 * CSV has a head line that names the columns: `sku`, the fields of a product, and for each currency `price.<code>` and
 * `compareAtPrice.<code>`. An empty field is one that was left out.
 */
import { IMPORT_MAX } from '../schema/catalogue.ts';
import { type Product, validateProduct } from '../schema/product.ts';
import {
  type CsvRecord,
  csvInteger,
  csvRows,
  type ImportErrors,
  type ImportRow,
  importError,
  ndjsonRows,
} from './import-rows.ts';
import type { InputError } from './problem.ts';
import { ERRORS_MAX, isCleanText } from './validation.ts';

export const IMPORT_BYTES_MAX = 2 * 1024 * 1024;

export type ImportOutcome = { readonly products: readonly Product[] } | ImportErrors;

export function readImport(bytes: Uint8Array, form: 'ndjson' | 'csv'): ImportOutcome {
  if (form === 'ndjson') {
    const read = ndjsonRows(bytes, IMPORT_MAX);
    return 'errors' in read ? read : checked(read.rows);
  }
  const read = csvRows(bytes, IMPORT_MAX);
  if ('errors' in read) return read;
  return checked(read.rows.map(({ line, value }) => ({ line, value: productFields(value) })));
}

function checked(rows: readonly ImportRow[]): ImportOutcome {
  if (rows.length === 0) return importError('', 'holds no product');
  if (rows.length > IMPORT_MAX) return importError('', `must hold at most ${IMPORT_MAX} products`);
  const errors: InputError[] = [];
  const products: Product[] = [];
  const lineOf = new Map<string, number>();
  for (const { line, value } of rows) {
    const path = `/lines/${line}`;
    const check = validateProduct(value);
    if (!check.ok)
      errors.push(...check.errors.map((error) => ({ path: `${path}${error.path}`, message: error.message })));
    else {
      const { sku } = check.product;
      const before = lineOf.get(sku);
      if (before !== undefined) errors.push({ path: `${path}/sku`, message: `is on line ${before} already` });
      lineOf.set(sku, line);
      products.push(check.product);
    }
    if (errors.length >= ERRORS_MAX) break;
  }
  return errors.length > 0 ? { errors: errors.slice(0, ERRORS_MAX) } : { products };
}

const AMOUNTS = { 'price.': 'prices', 'compareAtPrice.': 'compareAtPrices' } as const;
const INTEGERS: ReadonlySet<string> = new Set(['maxPerOrder', 'holdTtlMs', 'weightGrams']);
const FLAGS: ReadonlySet<string> = new Set(['active', 'digital']);

/** From columns to the object that NDJSON would have; what is no number or flag stays text, and the check tells. */
function productFields(record: CsvRecord): unknown {
  const product: Record<string, unknown> = { prices: {} };
  for (const [column, text] of Object.entries(record)) {
    if (text === '') continue;
    const amounts = Object.entries(AMOUNTS).find(([prefix]) => column.startsWith(prefix));
    if (amounts !== undefined) {
      const [prefix, field] = amounts;
      product[field] = { ...(product[field] as object | undefined), [column.slice(prefix.length)]: csvInteger(text) };
    } else if (INTEGERS.has(column)) product[column] = csvInteger(text);
    else if (FLAGS.has(column)) product[column] = text === 'true' ? true : text === 'false' ? false : text;
    else product[column] = isCleanText(text) ? text : null;
  }
  return product;
}
