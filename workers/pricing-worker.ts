/**
 * The entry of a pricing thread. It gets batches of carts with the book that they are priced by and gives back their
 * figures; it holds decoded books, and no other state. See `pool.ts` for the other side.
 */
import { BookShelf } from './price-book.ts';
import { figure } from './pricing.ts';
import { type BatchTask, readCarts } from './wire.ts';

const shelf = new BookShelf();

/** Figures of all carts, one after the other. A cart that could not be figured is a single NaN; the others are not touched by it. */
export function figureBatch(task: BatchTask): Float64Array {
  const view = shelf.open(task.book);
  const figures: number[] = [];
  for (const request of readCarts(task.carts)) {
    const start = figures.length;
    try {
      figure(view, request, figures);
    } catch {
      figures.length = start;
      figures.push(Number.NaN);
    }
  }
  return Float64Array.from(figures);
}
