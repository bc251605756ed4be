/**
 * Shipping prices from an outside carrier service, for checkouts. Asked are the methods that name a carrier's service
 * (`carrierService`); what it says takes the place of what the method's zone says (`PriceRequest.carrierPrices`), before promotions and tax. A method
 * that it does not name, and all of them where it is slow, down or wrong, cost what the table says.
 *
 * Protocol: `POST` of `CarrierQuestion` as JSON; 200 with `{ "prices": { "<method>": minor units } }`.
 */
import type { PriceBook } from '../schema/price-book.ts';
import { UNIT_PRICE_MAX } from './money.ts';
import { type Asked, isAmount, isRecord, type OutsideOptions, openOutside } from './outside.ts';
import type { Destination, PriceRequest } from './quote.ts';

export interface CarrierQuestion {
  readonly currency: string;
  readonly destination: Destination;
  /** Of what is shipped. */
  readonly weightGrams: number;
  readonly items: number;
  readonly services: readonly { readonly method: string; readonly service: string }[];
}
/** Minor units by method. */
export type CarrierPrices = Readonly<Record<string, number>>;

export interface CarrierRates {
  readonly name: string;
  ask(question: CarrierQuestion): Promise<Asked<CarrierPrices>>;
}

export function httpCarrierRates(options: OutsideOptions & { readonly name?: string }): CarrierRates {
  const ask = openOutside(options);
  return { name: options.name ?? 'http', ask: (question) => ask(question, (body) => readPrices(question, body)) };
}

/** The request with the carriers' prices, or as it was. */
export async function carrierPriced(
  rates: CarrierRates,
  book: PriceBook,
  request: PriceRequest,
): Promise<PriceRequest> {
  const question = questionOf(book, request);
  if (question === null) return request;
  const asked = await rates.ask(question);
  return asked.ok ? { ...request, carrierPrices: asked.answer } : request;
}

/** null: nothing is shipped, or by no carrier that can be asked. */
function questionOf(book: PriceBook, { currency, destination, lines }: PriceRequest): CarrierQuestion | null {
  if (destination === null) return null;
  const services = book.shippingMethods.flatMap(({ id, carrierService }) =>
    carrierService === undefined ? [] : [{ method: id, service: carrierService }],
  );
  if (services.length === 0) return null;
  let weightGrams = 0;
  let items = 0;
  for (const { sku, quantity } of lines) {
    const product = book.products.get(sku);
    if (product === undefined || !product.active || product.digital === true) continue;
    items += quantity;
    weightGrams += (product.weightGrams ?? 0) * quantity;
  }
  return items === 0 ? null : { currency, destination, weightGrams, items, services };
}

/** null: it cannot be an answer to this question. */
function readPrices(question: CarrierQuestion, body: unknown): CarrierPrices | null {
  if (!isRecord(body) || !isRecord(body.prices)) return null;
  const prices: Record<string, number> = {};
  for (const { method } of question.services) {
    const price = Object.hasOwn(body.prices, method) ? body.prices[method] : undefined;
    if (price === undefined) continue;
    if (!isAmount(price) || price > UNIT_PRICE_MAX) return null;
    prices[method] = price;
  }
  return prices;
}
