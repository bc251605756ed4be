/**
 * What the runtime writes into the journal's payloads, and reads back (msgpack, without record structures: every payload
 * stands alone).
 *
 * - An event row: `[event]`, or `[event, keyHash, nowMs]` where its append records an answer under that key.
 * - A row that only records an answer: `[null, keyHash, nowMs]`.
 * - A snapshot: `{ s: the type's own, k: [keyHash, seq, atMs, keyHash, …], n: the actor's last now }`.
 *
 * So an actor's table of keys is a function of its rows, and no second source can disagree with it.
 */
import { Packr } from 'msgpackr';
import { packPlain } from './event-bytes.ts';
import { unpackPlain } from './event-reader.ts';

/** What is read is kept in states for long: bytes in it are copied, or each would keep what the driver has read with it (64 KB). */
const packr = new Packr({ useRecords: false, variableMapSize: true, copyBuffers: true });

const ARRAY_OF_3 = 0x93;

export function encode(value: unknown): Uint8Array {
  return packr.pack(value);
}

export function decode(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}

function read(payload: Uint8Array): unknown {
  return unpackPlain(payload) ?? packr.unpack(payload);
}

/** The bytes are for an append, not to be kept (`event-bytes.ts`). */
export function encodeEvent(event: unknown): Uint8Array {
  return packPlain(event) ?? packr.pack([event]);
}

/** The same row, recording an answer under `keyHash`. */
export function withKey(eventPayload: Uint8Array, keyHash: string, nowMs: number): Uint8Array {
  const tail = packr.pack([keyHash, nowMs]);
  const joined = new Uint8Array(eventPayload.length + tail.length - 1);
  // Three items instead of one, and two: each array's head is one byte.
  joined.set(eventPayload, 0);
  joined.set(tail.subarray(1), eventPayload.length);
  joined[0] = ARRAY_OF_3;
  return joined;
}

export function encodeKeyOnly(keyHash: string, nowMs: number): Uint8Array {
  return packr.pack([null, keyHash, nowMs]);
}

export interface DecodedRow {
  /** Absent in a row that only records an answer. */
  readonly event: unknown;
  readonly keyHash: string | undefined;
  readonly nowMs: number;
}

export function decodeRow(payload: Uint8Array): DecodedRow {
  const row = read(payload);
  if (!Array.isArray(row) || (row.length !== 1 && row.length !== 3)) throw new Error('not an event row');
  if (row.length === 1) return { event: row[0], keyHash: undefined, nowMs: 0 };
  if (typeof row[1] !== 'string' || typeof row[2] !== 'number') throw new Error('not an event row with a key');
  return { event: row[0], keyHash: row[1], nowMs: row[2] };
}

export interface DecodedSnapshot {
  readonly state: unknown;
  readonly keys: readonly unknown[];
  readonly nowMs: number;
}

export function encodeSnapshot(state: unknown, keys: readonly unknown[], nowMs: number): Uint8Array {
  return packr.pack({ s: state, k: keys, n: nowMs });
}

export function decodeSnapshot(payload: Uint8Array): DecodedSnapshot {
  const snapshot = read(payload);
  if (typeof snapshot !== 'object' || snapshot === null || !('s' in snapshot) || !('k' in snapshot)) {
    throw new Error('not a snapshot');
  }
  if (!Array.isArray(snapshot.k)) throw new Error('a snapshot without its keys');
  const nowMs = 'n' in snapshot && typeof snapshot.n === 'number' ? snapshot.n : 0;
  return { state: snapshot.s, keys: snapshot.k, nowMs };
}
