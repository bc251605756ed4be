/**
 * Pricing that shows a line without a price only by a book that is the newest. A node looks for changes of the book every second, so
 * meanwhile its actors get lines of skus that another node has just been given: by this node's book there is no such product, and its
 * line would cost nothing. A quote that could not become an order for such a line is therefore not believed before the database was asked
 * whether there is a newer book; then the cart is priced again by that one.
 *
 * Nothing is asked for any other quote, and nothing is waited for. Carts that do have a line of what is gone cost a look at one row each time,
 * which all who wait at one time share (`Catalogue.refresh`).
 */
import { Fault } from '../runtime/fault.ts';
import type { Quote } from './quote.ts';

export interface NewestBook {
  readonly version: number;
  /** Brings memory, and what prices by it, to the newest version that was committed when this was called. */
  refresh(): Promise<unknown>;
}

type Price<Asked extends readonly unknown[]> = (...asked: Asked) => Quote | Promise<Quote>;

/**
 * @param price by the book in memory
 * @returns the same; where the database cannot be asked it rejects with `pricing_unavailable`, as where it cannot be priced at all
 */
export function byNewestBook<Asked extends readonly unknown[]>(price: Price<Asked>, book: NewestBook): Price<Asked> {
  async function priceAgain(first: Quote, asked: Asked): Promise<Quote> {
    try {
      await book.refresh();
    } catch (cause) {
      const message = 'it is not known whether there is a price by now';
      throw new Fault('pricing_unavailable', message, { cause, retryAfterMs: 1_000 });
    }
    return book.version === first.bookVersion ? first : price(...asked);
  }

  return (...asked) => {
    const quote = price(...asked);
    if (!(quote instanceof Promise)) return isUnpriced(quote) ? priceAgain(quote, asked) : quote;
    return quote.then((computed) => (isUnpriced(computed) ? priceAgain(computed, asked) : computed));
  };
}

function isUnpriced({ blocked }: Quote): boolean {
  return blocked === 'price_unavailable';
}
