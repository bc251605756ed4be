/**
 * Files of an import as rows with their lines: NDJSON (one JSON object in a line) or CSV with a head line that names the columns. What
 * the rows mean is their reader's matter; what is wrong is told with the number of its line.
 */
import { isUtf8 } from 'node:buffer';
import { CsvError, parse } from 'csv-parse/sync';
import type { InputError } from './problem.ts';
import { parseJson } from './validation.ts';

export const CSV = 'text/csv';
export const NDJSON = ['application/x-ndjson', 'application/ndjson', 'application/jsonl'] as const;

/** A value of the input and the line it stands on, counted from 1. */
export interface ImportRow<Value = unknown> {
  readonly line: number;
  readonly value: Value;
}
export interface ImportErrors {
  readonly errors: readonly InputError[];
}
export type ImportRows<Value = unknown> = { readonly rows: readonly ImportRow<Value>[] } | ImportErrors;
/** Text by column. */
export type CsvRecord = Readonly<Record<string, string>>;

/** One record; what is longer is no description of ours. */
const RECORD_BYTES_MAX = 16_384;

export function importError(path: string, message: string): ImportErrors {
  return { errors: [{ path, message }] };
}

/** Which of the two a `Content-Type` that the route takes says. */
export function importForm(contentType: string): 'csv' | 'ndjson' {
  return contentType.split(';')[0]?.trim().toLowerCase() === CSV ? 'csv' : 'ndjson';
}

/** @param rowsMax the reading ends one row past it, so that the reader sees that there are too many */
export function ndjsonRows(bytes: Uint8Array, rowsMax: number): ImportRows {
  if (!isUtf8(bytes)) return importError('', 'must be UTF-8');
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: ImportRow[] = [];
  let line = 0;
  for (let start = 0; start < buffer.length; ) {
    const feed = buffer.indexOf(0x0a, start);
    const end = feed < 0 ? buffer.length : feed;
    line++;
    const text = buffer.subarray(start, end);
    start = end + 1;
    if (text.length === 0 || (text.length === 1 && text[0] === 0x0d)) continue;
    const parsed = parseJson(text);
    if (!parsed.ok) return importError(`/lines/${line}`, parsed.detail);
    rows.push({ line, value: parsed.value });
    if (rows.length > rowsMax) break;
  }
  return { rows };
}

/** @param rowsMax as for `ndjsonRows` */
export function csvRows(bytes: Uint8Array, rowsMax: number): ImportRows<CsvRecord> {
  if (!isUtf8(bytes)) return importError('', 'must be UTF-8');
  let records: { readonly record: CsvRecord; readonly info: { readonly lines: number } }[];
  try {
    records = parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
      bom: true,
      columns: (header: string[]) => uniqueColumns(header),
      info: true,
      skip_empty_lines: true,
      trim: true,
      max_record_size: RECORD_BYTES_MAX,
      to: rowsMax + 1,
    });
  } catch (thrown) {
    if (!(thrown instanceof CsvError)) throw thrown;
    const line = typeof thrown.lines === 'number' ? thrown.lines : 1;
    return importError(`/lines/${line}`, `is not CSV as expected (${thrown.code})`);
  }
  return { rows: records.map(({ record, info }) => ({ line: info.lines, value: record })) };
}

/** @throws CsvError where a name stands twice: the second would silently win */
function uniqueColumns(header: readonly string[]): string[] {
  if (new Set(header).size !== header.length)
    throw new CsvError('CSV_INVALID_COLUMN_DEFINITION', 'a column is named twice');
  return [...header];
}

/** What is no number stays text, and the check of the row tells what was expected. */
export function csvInteger(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}
