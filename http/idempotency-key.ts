/**
 * The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header-07) and what the runtime keeps of it. The key is taken as
 * the structured-field string of the draft (`"k"`) or bare (`k`); both forms name the same key. The runtime sees a hash of
 * the key and a fingerprint of the request: method, path and body as parsed, so that other spacing or another order of
 * fields is the same request.
 */
import { hash } from 'node:crypto';
import type { KeyRef } from '../runtime/actor.ts';

export const IDEMPOTENCY_KEY_MAX = 255;
const HASH_LENGTH = 22;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const VISIBLE = /^[\x21-\x7e]{1,255}$/;
const ESCAPE = /\\(["\\])/g;
/** Inside quotes: no bare quote, and a backslash only before a quote or a backslash. */
const QUOTED = /^"((?:[^"\\]|\\["\\])*)"$/;

export type EdgeKey = KeyRef & { readonly raw: string };

/** The key as the client means it, or null where the header is no key. */
export function parseIdempotencyKey(header: string): string | null {
  let key = header;
  if (header.startsWith('"')) {
    const inner = QUOTED.exec(header)?.[1];
    if (inner === undefined) return null;
    key = inner.replace(ESCAPE, '$1');
  }
  return VISIBLE.test(key) ? key : null;
}

export function isUuid(key: string): boolean {
  return UUID.test(key);
}

/** 132 bits of SHA-256 in base64url: enough that two keys never meet, short enough to keep by the thousand. */
export function keyHash(raw: string): string {
  return hash('sha256', raw, 'base64url').slice(0, HASH_LENGTH);
}

/** @param body what was parsed from JSON, the raw bytes where the route takes those, or undefined for none. */
export function edgeKey(raw: string, method: string, path: string, body: unknown): EdgeKey {
  const content = body instanceof Uint8Array ? hash('sha256', body, 'base64url') : canonical(body);
  const fingerprint = hash('sha256', `${method} ${path}\n${content}`, 'base64url').slice(0, HASH_LENGTH);
  return { raw, hash: keyHash(raw), fingerprint };
}

/** JSON with the fields of every object in one order. Takes what `JSON.parse` gives, to the depth the edge lets in. */
export function canonical(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join()}}`;
}
