/**
 * JSON written straight into bytes, for the answers that are made most often. A document put together from strings is a tree of a hundred
 * pieces that has to be flattened and encoded; written here it is what is sent, and leaves no garbage (a cart of one line: 7 µs and
 * 6 KB of strings against 3 µs).
 *
 * A finished document is a view of a block of memory shared with others of the same moment. Answers are sent and forgotten; whoever keeps
 * a document for long keeps its block.
 */

const BLOCK_BYTES = 256 * 1024;
const DAY_MS = 86_400_000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;

const DAYS_MAX = 1_000;
/** `2026-11-22T` by the number of the day: few days are named again and again, and `toISOString` takes over 1 µs. */
const days = new Map<number, string>();

function dateOf(day: number): string {
  let date = days.get(day);
  if (date === undefined) {
    date = new Date(day * DAY_MS).toISOString().slice(0, -'00:00:00.000Z'.length);
    if (days.size >= DAYS_MAX) days.clear();
    days.set(day, date);
  }
  return date;
}

/** Of a number from 10 to 999,999,999. */
function digitsOf(value: number): number {
  if (value < 100) return 2;
  if (value < 1_000) return 3;
  if (value < 10_000) return 4;
  if (value < 100_000) return 5;
  if (value < 1_000_000) return 6;
  return value < 10_000_000 ? 7 : value < 100_000_000 ? 8 : 9;
}

/** A piece of JSON for `JsonWriter.bytes`. */
export function fragment(json: string): Uint8Array {
  return Uint8Array.from(Buffer.from(json));
}

export class JsonWriter {
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #start = 0;
  #at = 0;

  /** Begins a document; one that was begun and not taken is dropped. */
  begin(): this {
    this.#at = this.#start;
    return this;
  }

  /** The document, and nothing else. */
  take(): Uint8Array {
    const document = new Uint8Array(this.#block.buffer, this.#start, this.#at - this.#start);
    this.#start = this.#at;
    return document;
  }

  /** What is in many documents, made into bytes once (`fragment`): copied as it is, three times as fast as `raw`. */
  bytes(fragment: Uint8Array): this {
    const { length } = fragment;
    this.#room(length);
    this.#block.set(fragment, this.#at);
    this.#at += length;
    return this;
  }

  /** What is JSON already: ids, codes, short punctuation. */
  raw(json: string): this {
    const { length } = json;
    this.#room(3 * length);
    const block = this.#block;
    let at = this.#at;
    let seen = 0;
    for (let i = 0; i < length; i++) {
      const code = json.charCodeAt(i);
      seen |= code;
      block[at++] = code;
    }
    if (seen > 0x7f) return this.#wide(json);
    this.#at = at;
    return this;
  }

  /** A string in its quotes, whatever it holds. */
  text(value: string): this {
    const { length } = value;
    this.#room(length + 2);
    const block = this.#block;
    let at = this.#at;
    block[at++] = QUOTE;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) return this.raw(JSON.stringify(value));
      block[at++] = code;
    }
    block[at++] = QUOTE;
    this.#at = at;
    return this;
  }

  number(value: number): this {
    if (value >>> 0 !== value || value > 999_999_999) return this.raw(String(value));
    this.#room(9);
    if (value < 10) this.#block[this.#at++] = ZERO + value;
    else this.#digits(value, digitsOf(value));
    return this;
  }

  /** RFC 3339 in UTC with milliseconds, in quotes. */
  time(ms: number): this {
    const day = Math.floor(ms / DAY_MS);
    this.raw('"').raw(dateOf(day));
    this.#room(14);
    const time = ms - day * DAY_MS;
    const seconds = Math.floor(time / 1000);
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    const block = this.#block;
    this.#digits(hours, 2);
    block[this.#at++] = 0x3a;
    this.#digits(minutes - hours * 60, 2);
    block[this.#at++] = 0x3a;
    this.#digits(seconds - minutes * 60, 2);
    block[this.#at++] = 0x2e;
    this.#digits(time - seconds * 1000, 3);
    block[this.#at++] = 0x5a;
    block[this.#at++] = QUOTE;
    return this;
  }

  #digits(value: number, count: number): void {
    const block = this.#block;
    const start = this.#at;
    let rest = value;
    for (let at = start + count - 1; at >= start; at--) {
      const tens = Math.floor(rest / 10);
      block[at] = ZERO + rest - tens * 10;
      rest = tens;
    }
    this.#at = start + count;
  }

  #wide(json: string): this {
    this.#at += this.#block.write(json, this.#at, 'utf8');
    return this;
  }

  /** Where the block is too small for what comes, the document under way moves to a new one. */
  #room(bytes: number): void {
    if (this.#at + bytes <= this.#block.length) return;
    const written = this.#at - this.#start;
    const next = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, 2 * (written + bytes)));
    this.#block.copy(next, 0, this.#start, this.#at);
    this.#block = next;
    this.#start = 0;
    this.#at = written;
  }
}
