/**
 * One-dimensional arrays in PostgreSQL's binary format (`array_recv` in its source), for statements that take whole
 * batches through `unnest`. Text arrays would have to be quoted and escaped element by element, and `bytea` doubled to hex.
 *
 * Layout, all big-endian: dimensions (1; 0 for an empty array), a flag for NULLs, the element type's oid; then length
 * and lower bound; then for each element its length in bytes (-1 for NULL) and its bytes.
 *
 * A writer's arrays stay valid until its next `reset`, which reuses their memory: reset it only when the statement
 * that carries them has been sent.
 */
const BYTEA_OID = 17;
const INT8_OID = 20;
const INT4_OID = 23;
const TEXT_OID = 25;

const HEADER_BYTES = 20;
const INITIAL_BYTES = 64 * 1024;
/** A buffer that one odd batch has grown past this is not kept. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;

/** What PostgreSQL's `text` can hold: no NUL, and UTF-8 cannot say half of a surrogate pair (it would become U+FFFD, and two ids one). */
export function isStorableText(value: string): boolean {
  // The first pattern is quick and almost always enough.
  return !/[\0\ud800-\udfff]/.test(value) || !/\0|\p{Cs}/u.test(value);
}

/** Each method throws a `RangeError` on a value that the column type cannot hold. */
export class BinaryArrayWriter {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #offset = 0;
  #bytes = 0;

  /** Bytes of all arrays since the last reset. */
  get bytes(): number {
    return this.#bytes;
  }

  reset(): void {
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#buffer = Buffer.allocUnsafe(INITIAL_BYTES);
    this.#offset = 0;
    this.#bytes = 0;
  }

  text<Row>(rows: readonly Row[], pick: (row: Row) => string | null): Buffer {
    return this.#array(TEXT_OID, rows, pick, (value) => {
      if (!isStorableText(value)) throw new RangeError('text with a NUL or a lone surrogate');
      this.#reserve(4 + value.length * 3); // a UTF-16 unit is at most three bytes of UTF-8
      const length = this.#buffer.write(value, this.#offset + 4, 'utf8');
      this.#buffer.writeInt32BE(length, this.#offset);
      this.#offset += 4 + length;
    });
  }

  bytea<Row>(rows: readonly Row[], pick: (row: Row) => Uint8Array | null): Buffer {
    return this.#array(BYTEA_OID, rows, pick, (value) => {
      this.#reserve(4 + value.length);
      this.#buffer.writeInt32BE(value.length, this.#offset);
      this.#buffer.set(value, this.#offset + 4);
      this.#offset += 4 + value.length;
    });
  }

  int4<Row>(rows: readonly Row[], pick: (row: Row) => number | null): Buffer {
    return this.#array(INT4_OID, rows, pick, (value) => {
      if ((value | 0) !== value) throw new RangeError(`${value} is no integer of 4 bytes`);
      this.#reserve(8);
      this.#buffer.writeInt32BE(4, this.#offset);
      this.#buffer.writeInt32BE(value, this.#offset + 4);
      this.#offset += 8;
    });
  }

  int8<Row>(rows: readonly Row[], pick: (row: Row) => number | null): Buffer {
    return this.#array(INT8_OID, rows, pick, (value) => {
      if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no safe integer`);
      this.#reserve(12);
      this.#buffer.writeInt32BE(8, this.#offset);
      // Two halves of 32 bits: several times faster than through BigInt.
      this.#buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), this.#offset + 4);
      this.#buffer.writeUInt32BE(value >>> 0, this.#offset + 8);
      this.#offset += 12;
    });
  }

  #array<Row, Value>(
    oid: number,
    rows: readonly Row[],
    pick: (row: Row) => Value | null,
    write: (value: Value) => void,
  ): Buffer {
    this.#reserve(HEADER_BYTES);
    // A growing buffer moves what is not finished yet, so positions are kept relative to it.
    this.#start = this.#offset;
    this.#offset += rows.length === 0 ? 12 : HEADER_BYTES;
    let nulls = 0;
    for (const row of rows) {
      const value = pick(row);
      if (value !== null) {
        write(value);
        continue;
      }
      nulls = 1;
      this.#reserve(4);
      this.#buffer.writeInt32BE(-1, this.#offset);
      this.#offset += 4;
    }
    this.#buffer.writeInt32BE(rows.length === 0 ? 0 : 1, this.#start);
    this.#buffer.writeInt32BE(nulls, this.#start + 4);
    this.#buffer.writeInt32BE(oid, this.#start + 8);
    if (rows.length > 0) {
      this.#buffer.writeInt32BE(rows.length, this.#start + 12);
      this.#buffer.writeInt32BE(1, this.#start + 16);
    }
    this.#bytes += this.#offset - this.#start;
    return this.#buffer.subarray(this.#start, this.#offset);
  }

  /** Where the array under way begins. */
  #start = 0;

  /** Makes room; finished arrays keep the old memory, the one under way moves to the new. */
  #reserve(bytes: number): void {
    if (this.#offset + bytes <= this.#buffer.length) return;
    const underWay = this.#offset - this.#start;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, underWay + bytes));
    this.#buffer.copy(grown, 0, this.#start, this.#offset);
    this.#buffer = grown;
    this.#start = 0;
    this.#offset = underWay;
  }
}
