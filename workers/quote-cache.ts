/**
 * Quotes of costly carts, by cart, for as long as they are the answer: the same cart at the same version, asked in the same
 * terms, by the same book, between the same two instants at which that book changes by itself. One quote is kept of a cart, that of its
 * newest version; one that is still being computed is shared by all who ask for it, and where the cart has changed meanwhile it
 * is given to them and not kept. Bounded by `LINES_MAX` lines over all carts, the longest unused first to go.
 */
import { LRUCache } from 'lru-cache';
import type { PriceBook } from '../schema/price-book.ts';
import type { PriceLine, PriceRequest, Quote } from './quote.ts';

/** A state of a cart. */
export interface CartVersion {
  readonly id: string;
  readonly version: number;
}

interface Kept {
  readonly version: number;
  readonly book: PriceBook;
  readonly final: boolean;
  readonly request: PriceRequest;
  quote: Quote | Promise<Quote>;
}

/** Lines of all quotes together; a line takes about 0.3 KB. */
const LINES_MAX = 50_000;

export class QuoteCache {
  readonly #kept = new LRUCache<string, Kept>({
    maxSize: LINES_MAX,
    sizeCalculation: ({ request }) => request.lines.length + 1,
  });

  get(of: CartVersion, book: PriceBook, request: PriceRequest, final: boolean): Quote | Promise<Quote> | undefined {
    const kept = this.#kept.get(of.id);
    if (kept === undefined || kept.version !== of.version || kept.book !== book || kept.final !== final)
      return undefined;
    if (!isSame(kept.request, request)) return undefined;
    const from = kept.request.at ?? 0;
    const at = request.at ?? 0;
    if (kept.quote instanceof Promise) return at === from ? kept.quote : undefined;
    return at >= from && at < (kept.quote.changesAt ?? Number.POSITIVE_INFINITY) ? kept.quote : undefined;
  }

  put(of: CartVersion, book: PriceBook, request: PriceRequest, final: boolean, quote: Quote | Promise<Quote>): void {
    const known = this.#kept.peek(of.id);
    if (known !== undefined && known.version > of.version) return;
    const kept: Kept = { version: of.version, book, final, request, quote };
    this.#kept.set(of.id, kept);
    if (!(quote instanceof Promise)) return;
    quote.then(
      (computed) => {
        kept.quote = computed;
      },
      () => {
        if (this.#kept.peek(of.id) === kept) this.#kept.delete(of.id);
      },
    );
  }

  get size(): number {
    return this.#kept.size;
  }
}

/** In all that is priced but the time. A version of a cart settles most of it, not who buys and not which holds still stand. */
function isSame(a: PriceRequest, b: PriceRequest): boolean {
  if (a === b) return true;
  if (a.currency !== b.currency || a.shippingMethod !== b.shippingMethod || a.lines.length !== b.lines.length)
    return false;
  if ((a.customerGroup ?? null) !== (b.customerGroup ?? null) || (a.channel ?? null) !== (b.channel ?? null))
    return false;
  if ((a.firstOrder ?? false) !== (b.firstOrder ?? false) || a.carrierPrices !== b.carrierPrices) return false;
  // The same value in the cart's state: one that is merely equal is priced once more, and no harm is done.
  if ((a.exemption ?? null) !== (b.exemption ?? null)) return false;
  const [here, there] = [a.destination, b.destination];
  if (here?.country !== there?.country || here?.region !== there?.region) return false;
  if (here?.postalCode !== there?.postalCode) return false;
  if (!areSame(a.coupons, b.coupons) || !areSame(a.withoutGifts ?? [], b.withoutGifts ?? [])) return false;
  return a.lines.every((line, i) => isSameLine(line, b.lines[i] as PriceLine));
}

function isSameLine(a: PriceLine, b: PriceLine): boolean {
  if (a.id !== b.id || a.sku !== b.sku || a.quantity !== b.quantity) return false;
  return a.locked?.unitPrice === b.locked?.unitPrice && a.locked?.list === b.locked?.list;
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, i) => text === b[i]));
}
