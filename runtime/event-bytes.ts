/**
 * Events as msgpack, written by hand: one is encoded for every decision, and the library, which must be ready for any value, took
 * three times as long for it (2.3 µs against 0.7 for a cart's line). What is written here any reader of msgpack takes, the library among
 * them; a value that is none of the plain ones that events are made of is left to it.
 *
 * The bytes are views of a block of memory shared with others of the same moment: they are for what is written and forgotten. Whoever
 * keeps one for long keeps its block.
 */

const BLOCK_BYTES = 64 * 1024;
/** An event that needs more room is left to the library. */
const EVENT_BYTES_MAX = 16 * 1024;
const DEPTH_MAX = 16;

let block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
let view = new DataView(block.buffer);
let at = 0;
/** Beyond it the event under way is too large. */
let end = 0;

/** `[event]`; null where it is not a plain value, or a large one. */
export function packPlain(event: unknown): Uint8Array | null {
  if (at + EVENT_BYTES_MAX > BLOCK_BYTES) {
    block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    view = new DataView(block.buffer);
    at = 0;
  }
  const start = at;
  end = start + EVENT_BYTES_MAX;
  block[at++] = 0x91;
  if (!put(event, 0)) {
    at = start;
    return null;
  }
  return new Uint8Array(block.buffer, start, at - start);
}

/** False where the library must do it. */
function put(value: unknown, depth: number): boolean {
  if (at + 16 > end || depth > DEPTH_MAX) return false;
  switch (typeof value) {
    case 'string':
      return putText(value);
    case 'number':
      return putNumber(value);
    case 'boolean':
      block[at++] = value ? 0xc3 : 0xc2;
      return true;
    case 'object':
      if (value === null) {
        block[at++] = 0xc0;
        return true;
      }
      return Array.isArray(value) ? putArray(value, depth) : putObject(value, depth);
    default:
      return false;
  }
}

function putText(text: string): boolean {
  const { length } = text;
  if (at + 3 + length > end) return false;
  const bytes = block;
  let next = at;
  if (length < 32) bytes[next++] = 0xa0 | length;
  else if (length < 0x100) {
    bytes[next++] = 0xd9;
    bytes[next++] = length;
  } else {
    bytes[next++] = 0xda;
    bytes[next++] = length >>> 8;
    bytes[next++] = length & 0xff;
  }
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return putWideText(text);
    bytes[next++] = code;
  }
  at = next;
  return true;
}

function putWideText(text: string): boolean {
  if (at + 3 + 3 * text.length > end) return false;
  const bytes = block.write(text, at + 3, 'utf8');
  block[at] = 0xda;
  view.setUint16(at + 1, bytes);
  at += 3 + bytes;
  return true;
}

function putNumber(value: number): boolean {
  if (value >>> 0 !== value || Object.is(value, -0)) {
    block[at] = 0xcb;
    view.setFloat64(at + 1, value);
    at += 9;
  } else if (value < 0x80) {
    block[at++] = value;
  } else if (value < 0x1_0000) {
    block[at] = 0xcd;
    view.setUint16(at + 1, value);
    at += 3;
  } else {
    block[at] = 0xce;
    view.setUint32(at + 1, value);
    at += 5;
  }
  return true;
}

function putArray(items: readonly unknown[], depth: number): boolean {
  const { length } = items;
  if (length < 16) block[at++] = 0x90 | length;
  else if (length < 0x1_0000) {
    block[at++] = 0xdc;
    block[at++] = length >>> 8;
    block[at++] = length & 0xff;
  } else return false;
  for (let i = 0; i < length; i++) if (!put(items[i], depth + 1)) return false;
  return true;
}

function putObject(object: object, depth: number): boolean {
  const made = object.constructor;
  if (made !== undefined && made !== Object) return false;
  const head = at++;
  let count = 0;
  for (const name in object) {
    if (at + 16 > end || !putText(name) || !put((object as Record<string, unknown>)[name], depth + 1)) return false;
    count++;
  }
  if (count > 15) return false;
  block[head] = 0x80 | count;
  return true;
}
