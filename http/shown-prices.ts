/**
 * What a shopper is shown as a product's price: what one unit costs now in a currency, to a buyer in no group who comes through the
 * shop's own channel and has said no destination. It is looked up by the same code as a cart's lines. What was opened for a
 * currency stays the same value until a price list changes, begins or ends; so whoever keeps something that is made of it looks at
 * that.
 */
import type { PriceBook } from '../schema/price-book.ts';
import type { Product } from '../schema/product.ts';
import { findPrice, type OpenList, openLists, ownAmount } from '../workers/price-lookup.ts';
import type { PriceRequest } from '../workers/quote.ts';
import { nextChange } from '../workers/rule-instants.ts';

export interface ShownPrice {
  readonly amount: number;
  readonly compareAt: number | undefined;
}

/** Currencies that are kept; there is no end of what may be asked for. */
const CURRENCIES_MAX = 64;

/** The prices in one currency, for as long as they hold. */
export class PricesNow {
  readonly currency: string;
  readonly #book: PriceBook;
  readonly #request: PriceRequest;
  readonly #open: readonly OpenList[];
  readonly #until: number;

  constructor(book: PriceBook, request: PriceRequest, at: number) {
    this.currency = request.currency;
    this.#book = book;
    this.#request = request;
    this.#open = openLists(book.priceLists, request);
    this.#until = nextChange(book, at) ?? Number.POSITIVE_INFINITY;
  }

  holds({ priceLists, store }: PriceBook, at: number): boolean {
    return at < this.#until && priceLists === this.#book.priceLists && store === this.#book.store;
  }

  /** undefined: it has no price in this currency. */
  amountOf(product: Product): number | undefined {
    return this.#open.length === 0 ? ownAmount(product.prices, this.currency) : this.of(product)?.amount;
  }

  of(product: Product): ShownPrice | undefined {
    const line = { id: '', sku: product.sku, quantity: 1 };
    const found = findPrice(this.#book, product, line, this.#open, this.#request);
    if (found === null) return undefined;
    return { amount: found.amount, compareAt: found.compareAt < 0 ? undefined : found.compareAt };
  }
}

export class ShownPrices {
  readonly #book: () => PriceBook;
  readonly #now: () => number;
  readonly #byCurrency = new Map<string, PricesNow>();

  constructor(book: () => PriceBook, now: () => number) {
    this.#book = book;
    this.#now = now;
  }

  in(currency: string): PricesNow {
    const book = this.#book();
    const at = this.#now();
    const known = this.#byCurrency.get(currency);
    if (known?.holds(book, at)) return known;
    const request = { currency, lines: [], destination: null, coupons: [], shippingMethod: null, at, channel: 'web' };
    const made = new PricesNow(book, request, at);
    if (this.#byCurrency.size >= CURRENCIES_MAX) this.#byCurrency.clear();
    this.#byCurrency.set(currency, made);
    return made;
  }
}
