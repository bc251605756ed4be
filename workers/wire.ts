/**
 * What passes between the pool and its threads: carts as one string, figures as one `Float64Array`.
 *
 * Measured on Node 20 for carts of one to three lines in batches of 64, both sides of the boundary together, per cart. There:
 * objects by structured clone 3.0 µs, nested arrays 2.0 µs, nested arrays in a msgpackr buffer 0.9 µs, one flat JSON array 0.8 µs, one string
 * of lines 0.5 µs. Back: quotes as objects by structured clone 8.7 µs, as msgpackr 9.4 µs, as JSON 5.4 µs, positional arrays in
 * msgpackr 1.4 µs, bare figures 0.1 µs. Names therefore stay on the caller's side, which has the book and the request anyway.
 */
import type { SentBook } from './price-book.ts';
import type { PriceLine, PriceRequest } from './quote.ts';

export interface BatchTask {
  readonly book: SentBook;
  readonly carts: string;
}

const END = '\n';

/**
 * Adds a cart's fields to `out`; the fields of a batch are joined by line feeds. A field that holds one itself is sent empty: no sku,
 * code, country or method is named so, and it must not be able to shift the fields of another cart.
 */
export function writeCart(request: PriceRequest, out: string[]): void {
  const { destination, coupons, lines } = request;
  out.push(
    field(request.currency),
    destination === null ? '' : field(destination.country),
    destination === null ? '' : field(destination.region ?? ''),
    field(request.shippingMethod ?? ''),
    `${coupons.length}`,
  );
  for (const code of coupons) out.push(field(code));
  out.push(`${lines.length}`);
  for (const { id, sku, quantity } of lines) out.push(field(id), field(sku), `${quantity}`);
}

function field(text: string): string {
  return text.includes(END) ? '' : text;
}

export function joinCarts(fields: readonly string[]): string {
  return fields.join(END);
}

export function* readCarts(text: string): Generator<PriceRequest> {
  const fields = text.split(END);
  let at = 0;
  const next = (): string => fields[at++] ?? '';
  while (at < fields.length) {
    const currency = next();
    const country = next();
    const region = next();
    const method = next();
    const coupons = Array.from({ length: Number(next()) }, next);
    const lines: PriceLine[] = [];
    for (let left = Number(next()); left > 0; left--) lines.push({ id: next(), sku: next(), quantity: Number(next()) });
    yield {
      currency,
      lines,
      destination: country === '' ? null : region === '' ? { country } : { country, region },
      coupons,
      shippingMethod: method === '' ? null : method,
    };
  }
}
