/**
 * A strict MessagePack reader for bytes that a client sends: nil, booleans, numbers, strings, arrays and maps with string keys, as the
 * MessagePack specification lays them out. General decoders also take extension types, among them record definitions, from
 * which they build and keep readers; a stranger's bytes must not reach those.
 */
const DEPTH_MAX = 4;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws RangeError on anything that is not exactly one value of the kinds above, nested at most 4 deep. */
export function decodeStrict(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new RangeError('bytes after the value');
  return value;
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(depth: number): unknown {
    if (depth > DEPTH_MAX) throw new RangeError('nested too deep');
    const tag = this.#uint(1);
    if (tag <= 0x7f) return tag;
    if (tag <= 0x8f) return this.#map(tag & 0x0f, depth);
    if (tag <= 0x9f) return this.#array(tag & 0x0f, depth);
    if (tag <= 0xbf) return this.#string(tag & 0x1f);
    if (tag >= 0xe0) return tag - 0x100;
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return this.#view.getFloat32(this.#take(4));
      case 0xcb:
        return this.#view.getFloat64(this.#take(8));
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return Number(this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return Number(this.#view.getBigInt64(this.#take(8)));
      case 0xd9:
        return this.#string(this.#uint(1));
      case 0xda:
        return this.#string(this.#uint(2));
      case 0xdc:
        return this.#array(this.#uint(2), depth);
      case 0xde:
        return this.#map(this.#uint(2), depth);
      default:
        throw new RangeError(`type 0x${tag.toString(16)} is not taken`);
    }
  }

  #take(count: number): number {
    const from = this.at;
    if (from + count > this.#bytes.length) throw new RangeError('cut off');
    this.at = from + count;
    return from;
  }

  #uint(width: 1 | 2 | 4): number {
    const from = this.#take(width);
    if (width === 1) return this.#view.getUint8(from);
    return width === 2 ? this.#view.getUint16(from) : this.#view.getUint32(from);
  }

  #string(length: number): string {
    const from = this.#take(length);
    try {
      return utf8.decode(this.#bytes.subarray(from, from + length));
    } catch (error) {
      throw new RangeError('not UTF-8', { cause: error });
    }
  }

  #array(length: number, depth: number): unknown[] {
    const items: unknown[] = [];
    // Each item takes a byte at least, so a false length ends at the end of the bytes.
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1));
    return items;
  }

  #map(length: number, depth: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    for (let i = 0; i < length; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string') throw new RangeError('a key is no string');
      entries.push([key, this.value(depth + 1)]);
    }
    // Defines own properties whatever the key is, `__proto__` among them.
    return Object.fromEntries(entries);
  }
}
