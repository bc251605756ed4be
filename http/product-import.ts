/**
 * Many products at once, as NDJSON (one JSON object in a line) or CSV. Everything is checked before anything is written, and
 * what is wrong is told with the number of its line. Prices are in minor units.
 *
 * CSV has a head line that names the columns: `sku`, the fields of a product, and for each currency `price.<code>` and
 * `compareAtPrice.<code>`. An empty field is one that was left out.
 */
import { isUtf8 } from 'node:buffer';
import { CsvError, parse } from 'csv-parse/sync';
import { IMPORT_MAX } from '../schema/catalogue.ts';
import { type Product, validateProduct } from '../schema/product.ts';
import type { InputError } from './problem.ts';
import { ERRORS_MAX, isCleanText, parseJson } from './validation.ts';

export const IMPORT_BYTES_MAX = 2 * 1024 * 1024;

export type ImportOutcome = { readonly products: readonly Product[] } | { readonly errors: readonly InputError[] };

/** A value of the input and the line it stands on, counted from 1. */
interface Row {
  readonly line: number;
  readonly value: unknown;
}

export function readImport(bytes: Uint8Array, form: 'ndjson' | 'csv'): ImportOutcome {
  if (!isUtf8(bytes)) return wrong('', 'must be UTF-8');
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows = form === 'ndjson' ? ndjsonRows(buffer) : csvRows(buffer);
  return 'errors' in rows ? rows : checked(rows.rows);
}

function wrong(path: string, message: string): { readonly errors: readonly InputError[] } {
  return { errors: [{ path, message }] };
}

function checked(rows: readonly Row[]): ImportOutcome {
  if (rows.length === 0) return wrong('', 'holds no product');
  if (rows.length > IMPORT_MAX) return wrong('', `must hold at most ${IMPORT_MAX} products`);
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

type Rows = { readonly rows: readonly Row[] } | { readonly errors: readonly InputError[] };

function ndjsonRows(bytes: Buffer): Rows {
  const rows: Row[] = [];
  let line = 0;
  for (let start = 0; start < bytes.length; ) {
    const feed = bytes.indexOf(0x0a, start);
    const end = feed < 0 ? bytes.length : feed;
    line++;
    const text = bytes.subarray(start, end);
    start = end + 1;
    if (text.length === 0 || (text.length === 1 && text[0] === 0x0d)) continue;
    const parsed = parseJson(text);
    if (!parsed.ok) return wrong(`/lines/${line}`, parsed.detail);
    rows.push({ line, value: parsed.value });
    if (rows.length > IMPORT_MAX) break;
  }
  return { rows };
}

const AMOUNTS = { 'price.': 'prices', 'compareAtPrice.': 'compareAtPrices' } as const;
const INTEGERS: ReadonlySet<string> = new Set(['maxPerOrder', 'holdTtlMs']);

function csvRows(bytes: Buffer): Rows {
  let records: { readonly record: Readonly<Record<string, string>>; readonly info: { readonly lines: number } }[];
  try {
    records = parse(bytes, {
      bom: true,
      columns: (header: string[]) => uniqueColumns(header),
      info: true,
      skip_empty_lines: true,
      trim: true,
      // what is longer is no description of ours
      max_record_size: 16_384,
      to: IMPORT_MAX + 1,
    });
  } catch (thrown) {
    if (!(thrown instanceof CsvError)) throw thrown;
    const line = typeof thrown.lines === 'number' ? thrown.lines : 1;
    return wrong(`/lines/${line}`, `is not CSV as expected (${thrown.code})`);
  }
  return { rows: records.map(({ record, info }) => ({ line: info.lines, value: productFields(record) })) };
}

/** @throws CsvError where a name stands twice: the second would silently win */
function uniqueColumns(header: readonly string[]): string[] {
  if (new Set(header).size !== header.length)
    throw new CsvError('CSV_INVALID_COLUMN_DEFINITION', 'a column is named twice');
  return [...header];
}

/** From columns to the object that NDJSON would have; what is no number stays text, and the schema's check tells. */
function productFields(record: Readonly<Record<string, string>>): unknown {
  const product: Record<string, unknown> = { prices: {} };
  for (const [column, text] of Object.entries(record)) {
    if (text === '') continue;
    const amounts = Object.entries(AMOUNTS).find(([prefix]) => column.startsWith(prefix));
    if (amounts !== undefined) {
      const [prefix, field] = amounts;
      product[field] = { ...(product[field] as object | undefined), [column.slice(prefix.length)]: integer(text) };
    } else if (INTEGERS.has(column)) product[column] = integer(text);
    else if (column === 'active') product[column] = text === 'true' ? true : text === 'false' ? false : text;
    else product[column] = isCleanText(text) ? text : null;
  }
  return product;
}

function integer(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}
