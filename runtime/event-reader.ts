/**
 * Events and snapshots read from msgpack by hand, so that states keep no more than what they name: the library cuts all texts of a value
 * from one string, and each id that a state keeps would keep that string. Short texts (keys, kinds, skus, currencies) come from a table of those
 * read lately, one string for all. A value that is none of the plain ones that events are made of is left to the library.
 */

/** Longer texts are made anew: ids, that hardly ever come twice. */
const SHARED_BYTES_MAX = 24;
/** A power of two. A text takes the place of another that falls on the same slot. */
const SHARED_SLOTS = 4096;
const DEPTH_MAX = 64;

const shared: string[] = new Array<string>(SHARED_SLOTS).fill('');
const { latin1Slice, utf8Slice } = Buffer.prototype as unknown as Record<
  'latin1Slice' | 'utf8Slice',
  (this: Uint8Array, start: number, end: number) => string
>;

/** What the library must read, or nobody can. */
const NOT_PLAIN = Symbol('not plain');

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);

let bytes: Uint8Array = new Uint8Array(0);
let at = 0;

/** The value of these bytes, or undefined where it is not a plain one. Buffers in it are copies. */
export function unpackPlain(packed: Uint8Array): unknown {
  bytes = packed;
  at = 0;
  try {
    const value = take(0);
    // Numbers do not look where the bytes end, so this does.
    return at === packed.length ? value : undefined;
  } catch (error) {
    if (error === NOT_PLAIN) return undefined;
    throw error;
  }
}

function take(depth: number): unknown {
  if (depth > DEPTH_MAX || at >= bytes.length) throw NOT_PLAIN;
  const head = bytes[at++] as number;
  if (head < 0x80) return head;
  if (head < 0x90) return takeObject(head & 0x0f, depth);
  if (head < 0xa0) return takeArray(head & 0x0f, depth);
  if (head < 0xc0) return takeText(head & 0x1f);
  if (head >= 0xe0) return head - 0x100;
  switch (head) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return takeBytes(takeUint8());
    case 0xc5:
      return takeBytes(takeUint16());
    case 0xcb:
      return takeDouble();
    case 0xcc:
      return takeUint8();
    case 0xcd:
      return takeUint16();
    case 0xce:
      return takeInt32() >>> 0;
    case 0xd0:
      return (takeUint8() << 24) >> 24;
    case 0xd1:
      return (takeUint16() << 16) >> 16;
    case 0xd2:
      return takeInt32();
    case 0xd9:
      return takeText(takeUint8());
    case 0xda:
      return takeText(takeUint16());
    case 0xdc:
      return takeArray(takeUint16(), depth);
    case 0xde:
      return takeObject(takeUint16(), depth);
    default:
      throw NOT_PLAIN;
  }
}

/** 0 beyond the end. */
function takeUint8(): number {
  return (bytes[at++] as number) | 0;
}

function takeUint16(): number {
  at += 2;
  return ((bytes[at - 2] as number) << 8) | (bytes[at - 1] as number);
}

function takeInt32(): number {
  const high = takeUint16();
  return (high << 16) | takeUint16();
}

/** Least byte first, as every platform has it that the native edge is built for. */
function takeDouble(): number {
  for (let i = 7; i >= 0; i--) doubleBytes[i] = bytes[at++] as number;
  return double[0] as number;
}

function takeArray(length: number, depth: number): unknown[] {
  if (length === 0) return [];
  // One that grows by pushing keeps room for more.
  const items: unknown[] = [take(depth + 1)];
  for (let i = 1; i < length; i++) items.push(take(depth + 1));
  return length > 1 ? items.slice() : items;
}

function takeObject(length: number, depth: number): object {
  const object: Record<string, unknown> = {};
  for (let i = 0; i < length; i++) {
    const key = take(depth + 1);
    // As a key it would set what an object inherits.
    if (typeof key !== 'string' || key === '__proto__') throw NOT_PLAIN;
    object[key] = take(depth + 1);
  }
  return object;
}

function takeBytes(length: number): Buffer {
  const end = endOf(length);
  const copy = Buffer.allocUnsafeSlow(length);
  copy.set(bytes.subarray(at, end));
  at = end;
  return copy;
}

function takeText(length: number): string {
  const start = at;
  const end = endOf(length);
  at = end;
  if (length > SHARED_BYTES_MAX) return textOf(start, end);
  let hash = length;
  let all = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    hash = (Math.imul(hash, 31) + byte) | 0;
    all |= byte;
  }
  if (all >= 0x80) return utf8Slice.call(bytes, start, end);
  const slot = (hash ^ (hash >>> 15)) & (SHARED_SLOTS - 1);
  const there = shared[slot] as string;
  if (there.length === length && isAt(there, start)) return there;
  const text = latin1Slice.call(bytes, start, end);
  shared[slot] = text;
  return text;
}

function textOf(start: number, end: number): string {
  for (let i = start; i < end; i++) if ((bytes[i] as number) >= 0x80) return utf8Slice.call(bytes, start, end);
  return latin1Slice.call(bytes, start, end);
}

function isAt(text: string, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}

function endOf(length: number): number {
  if (at + length > bytes.length) throw NOT_PLAIN;
  return at + length;
}
