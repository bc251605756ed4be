/**
 * Which serials of a coupon are uses that stand: a set of whole numbers as bits, in pages that exist only where a bit is set. It promises
 * one bit for each serial ever given in a page that is used (a million uses: 125 KB), and O(1) work for a change.
 */
import { invariant } from '../runtime/fault.ts';

const PAGE_BYTES = 1_024;
const PAGE_BITS = PAGE_BYTES * 8;

export type UsePages = readonly (readonly [page: number, bytes: Uint8Array])[];

interface Page {
  readonly bytes: Uint8Array;
  count: number;
}

export class CouponUses {
  readonly #pages = new Map<number, Page>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  has(serial: number): boolean {
    const page = this.#pages.get(Math.floor(serial / PAGE_BITS));
    return page !== undefined && ((page.bytes[byteOf(serial)] ?? 0) & maskOf(serial)) !== 0;
  }

  /** It must not be in there. */
  add(serial: number): void {
    invariant(Number.isSafeInteger(serial) && serial >= 0 && !this.has(serial), `use ${serial} is counted twice`);
    const number = Math.floor(serial / PAGE_BITS);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = { bytes: new Uint8Array(PAGE_BYTES), count: 0 };
      this.#pages.set(number, page);
    }
    const at = byteOf(serial);
    page.bytes[at] = (page.bytes[at] ?? 0) | maskOf(serial);
    page.count++;
    this.#count++;
  }

  /** It must be in there. */
  delete(serial: number): void {
    const number = Math.floor(serial / PAGE_BITS);
    const page = this.#pages.get(number);
    invariant(page !== undefined && this.has(serial), `use ${serial} is given back and does not stand`);
    const at = byteOf(serial);
    page.bytes[at] = (page.bytes[at] ?? 0) & ~maskOf(serial);
    page.count--;
    this.#count--;
    if (page.count === 0) this.#pages.delete(number);
  }

  /** Shares nothing with the set. */
  toPages(): UsePages {
    return Array.from(this.#pages, ([number, page]) => [number, page.bytes.slice(0, lengthOf(page.bytes))] as const);
  }

  static fromPages(pages: UsePages): CouponUses {
    const uses = new CouponUses();
    for (const [number, saved] of pages) {
      const bytes = new Uint8Array(PAGE_BYTES);
      bytes.set(saved);
      let count = 0;
      for (const byte of bytes) for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
      uses.#pages.set(number, { bytes, count });
      uses.#count += count;
    }
    return uses;
  }
}

function byteOf(serial: number): number {
  return (serial % PAGE_BITS) >> 3;
}

function maskOf(serial: number): number {
  return 1 << (serial & 7);
}

/** Without the empty end. */
function lengthOf(bytes: Uint8Array): number {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return length;
}
