/**
 * Cursors of lists: opaque, signed, and bound to the list they came from, so that a cursor of one filter or sort order is never
 * read under another. The position inside is whatever the list continues after (the last item's sort values), never an offset:
 * it stays good when items are inserted.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { canonical } from './idempotency-key.ts';

const MAC_BYTES = 12;
/** Longest cursor that is looked at. */
const CURSOR_LENGTH_MAX = 1_024;

export type CursorPosition = readonly (string | number | null)[];

/** Names a list: its route and every filter and sort that shapes it (never the limit). */
export function filtersHash(list: string, filters: Readonly<Record<string, unknown>>): string {
  return hash('sha256', `${list}\n${canonical(filters)}`, 'base64url').slice(0, 22);
}

export function encodeCursor(secret: string, filters: string, position: CursorPosition): string {
  const text = Buffer.from(JSON.stringify(position));
  return Buffer.concat([mac(secret, filters, text), text]).toString('base64url');
}

/**
 * @param secrets one secret or a list of them; any may have signed
 * @returns the position, or null where the cursor is not one of ours for this list (the answer is then `cursor_invalid`)
 */
export function decodeCursor(
  secrets: string | readonly string[],
  filters: string,
  cursor: string,
): CursorPosition | null {
  if (cursor.length > CURSOR_LENGTH_MAX || !/^[\w-]+$/.test(cursor)) return null;
  const bytes = Buffer.from(cursor, 'base64url');
  if (bytes.length <= MAC_BYTES) return null;
  const given = bytes.subarray(0, MAC_BYTES);
  const text = bytes.subarray(MAC_BYTES);
  for (const secret of typeof secrets === 'string' ? [secrets] : secrets) {
    // signed by us, so what is inside is what `encodeCursor` wrote
    if (timingSafeEqual(given, mac(secret, filters, text))) return JSON.parse(text.toString()) as CursorPosition;
  }
  return null;
}

function mac(secret: string, filters: string, text: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(`cursor:${filters}\n`).update(text).digest().subarray(0, MAC_BYTES);
}
