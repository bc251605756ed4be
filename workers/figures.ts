/**
 * The row of integers that a priced cart is between the thread that computes it and the caller, who has the names: places in the
 * book's and the request's lists stand for whatever is named. Written by `pricing.ts`, read by `quoting.ts`, in this order:
 *
 * - the number of promotions applied and of each its place in the book, its coupon's place in the request, what it took off goods
 *   and off shipping, and whether it gives something;
 * - for each line: status and marks, unit price, discount, tax, contained tax; where it is marked `EXPLAINED`, its price list, tier,
 *   compare-at price, whether it is on sale, and its price as listed; where it is marked `DISCOUNTED`, the number of discounts and of
 *   each its source (a place among those applied), amount and units;
 * - the number of coupons that did nothing, and their places;
 * - the shipping method's place, its zone's, price, price before promotions, tax, contained tax, whether it is the carrier's price;
 * - the number of tax rates and of each its place, base and amount.
 */
import { invariant } from '../runtime/fault.ts';

/** Status of a line. */
export const PRICED = 0;
export const WITHOUT_PRICE = 1;
export const GONE = 2;
/** Bits beside it. */
export const STATUS = 3;
export const EXPLAINED = 4;
export const DISCOUNTED = 8;
/** In place of a shipping method's place in the list. */
export const NO_SHIPPING = -1;
export const SHIPS_NOWHERE = -2;
/** In place of any other place: there is none. */
export const NONE = -1;

/** Reads figures one after the other; several carts' rows may follow each other in one array. */
export class FigureReader {
  readonly #figures: ArrayLike<number>;
  #at: number;

  constructor(figures: ArrayLike<number>, at = 0) {
    this.#figures = figures;
    this.#at = at;
  }

  /** True, and past it, where a cart's row is the mark of one that could not be figured (NaN). */
  skipFailed(): boolean {
    if (!Number.isNaN(this.#figures[this.#at])) return false;
    this.#at++;
    return true;
  }

  next(): number {
    const value = this.#figures[this.#at++];
    invariant(value !== undefined, 'a row of figures ended too early');
    return value;
  }
}
