/**
 * Pricing a cart for its order: the same engine as for a cart that is looked at, with the prices of carriers and the taxes of a
 * provider where the shop has such. It relies on the pool, and promises that an outside service that is slow, down or wrong costs
 * bounded time and no order: then the book's own prices and rates stand.
 *
 * What was asked is remembered for `KEPT_MS`: a buyer who is shown the price of the checkout (409 `price_changed`) and agrees to it is
 * charged that price, and the services are not asked the same twice.
 */
import { LRUCache } from 'lru-cache';
import type { PriceBook } from '../schema/price-book.ts';
import { type CarrierRates, carrierPriced } from './carrier-rates.ts';
import type { PriceRequest, Quote, SealedText } from './quote.ts';
import { nextChange } from './rule-instants.ts';
import { providerTaxes, type TaxProvider } from './tax-provider.ts';

export interface FinalPricingOptions {
  /** The pool. */
  readonly pricing: { price(request: PriceRequest, options: { readonly final: boolean }): Quote | Promise<Quote> };
  /** The book that the pool prices by. */
  readonly book: () => PriceBook;
  readonly carrierRates?: CarrierRates | undefined;
  readonly taxProvider?: TaxProvider | undefined;
  /** Opens the id of an exemption for the tax provider, and for nobody else; null: the person was erased. Left out: no id is sealed. */
  readonly openText?: ((text: SealedText) => Promise<string | null>) | undefined;
}

const KEPT_MAX = 2_000;
const KEPT_MS = 300_000;
const FINAL = Object.freeze({ final: true });

/** Without outside services this is the pool's own answer, made at once where the pool makes it at once. */
export function finalPricing(options: FinalPricingOptions): (request: PriceRequest) => Quote | Promise<Quote> {
  const { pricing, book, carrierRates, taxProvider, openText } = options;
  if (carrierRates === undefined && taxProvider === undefined) return (request) => pricing.price(request, FINAL);
  const kept = new LRUCache<string, Promise<Quote>>({ max: KEPT_MAX, ttl: KEPT_MS });

  async function ask(asked: PriceRequest, by: PriceBook): Promise<Quote> {
    const request = carrierRates === undefined ? asked : await carrierPriced(carrierRates, by, asked);
    const quote = await pricing.price(request, FINAL);
    return taxProvider === undefined ? quote : providerTaxes(taxProvider, by, request, quote, openText);
  }

  return (request) => {
    const by = book();
    const key = keyOf(by, request);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const quote = ask(request, by);
    kept.set(key, quote);
    quote.catch(() => kept.delete(key));
    return quote;
  };
}

/** All that the price depends on, in one order whoever asks. Of the time only between which changes of the book it lies. */
function keyOf(book: PriceBook, request: PriceRequest): string {
  const { currency, destination, coupons, shippingMethod, customerGroup, channel, firstOrder, exemption } = request;
  return JSON.stringify([
    book.version,
    nextChange(book, request.at ?? 0),
    currency,
    request.lines.map(({ id, sku, quantity, locked }) => [id, sku, quantity, locked?.unitPrice, locked?.list]),
    destination === null ? null : [destination.country, destination.region, destination.postalCode],
    coupons,
    shippingMethod,
    [customerGroup ?? null, channel ?? null, firstOrder === true],
    exemption ? [exemption.kind, exemption.id, exemption.countries] : null,
    request.withoutGifts ?? [],
  ]);
}
