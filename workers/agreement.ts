/**
 * Holds the engine against the naive second implementation on random carts. `npm run test:pricing` runs it on 100,000 (or as many as it is
 * told, from the seed it is told), and ends with status 1 at the first that differs, with the seed to repeat it; the tests run a few thousand.
 */
import { isDeepStrictEqual } from 'node:util';
import { type NaiveQuote, naivePrice } from './naive-pricing.ts';
import { createBook } from './price-book.ts';
import { price } from './pricing.ts';
import type { Quote } from './quote.ts';
import { randomCase } from './random-shop.ts';

/** null: both say the same, or both refuse the cart as past the limits. */
export function differenceAt(seed: number): { readonly engine: unknown; readonly naive: unknown } | null {
  const { parts, request } = randomCase(seed);
  const book = createBook(parts);
  const naive = naivePrice(book, request);
  if (!Number.isSafeInteger(naive.total)) return null;
  const engine = shown(price(book, request));
  return isDeepStrictEqual(engine, naive) ? null : { engine, naive };
}

/** The part of a quote that the naive implementation computes. */
function shown(quote: Quote): NaiveQuote {
  const { shipping } = quote;
  return {
    lines: quote.lines
      .filter(({ kind }) => kind !== 'gift')
      .map(({ id, unitPrice, discount, tax, taxIncluded }) => ({ id, unitPrice, discount, tax, taxIncluded })),
    gifts: quote.lines.flatMap(({ id, kind }) => (kind === 'gift' ? [id.slice('gift_'.length)] : [])),
    discounts: quote.discounts.map(({ code, amount, shippingAmount = 0 }) => ({ code, amount, shippingAmount })),
    shipping:
      shipping === null
        ? null
        : { method: shipping.method, price: shipping.price, tax: shipping.tax, taxIncluded: shipping.taxIncluded },
    taxes: quote.taxes.map(({ id = '', base, amount }) => ({ id, base, amount })),
    total: quote.total,
  };
}
