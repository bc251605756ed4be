/**
 * Taxes from an outside provider, for checkouts. The engine of the book prices the cart as ever; then the provider is told what
 * each line and the shipping cost after discounts, and what it says of taxes replaces what the book said. Where it is slow, down or
 * wrong, the book's taxes stand; the quote says who answered (`taxSource`) and why.
 *
 * Protocol: `POST` of `TaxQuestion` as JSON; 200 with `TaxAnswer`. Amounts are whole minor units, rates parts per million. A tax
 * with `included` is contained in the amount, any other is on top. Each line of the question is answered once, by its id.
 */
import type { PriceBook } from '../schema/price-book.ts';
import { type Asked, isAmount, isRecord, type OutsideOptions, openOutside } from './outside.ts';
import type { Destination, PriceRequest, Quote, QuotedLine, QuotedTax, SealedText, TaxExemption } from './quote.ts';
import { holdsIn } from './tax-place.ts';

export interface TaxQuestion {
  readonly currency: string;
  readonly destination: Destination;
  /** One that holds at the destination. Its id is in clear; null where the person it named was erased. */
  readonly exemption: (Omit<TaxExemption, 'id'> & { readonly id: string | null }) | null;
  readonly lines: readonly {
    readonly id: string;
    readonly sku: string;
    readonly taxCategory: string;
    readonly quantity: number;
    readonly amount: number;
  }[];
  readonly shipping: { readonly method: string; readonly taxCategory: string; readonly amount: number } | null;
}
export interface OneTax {
  readonly name: string;
  readonly ratePpm: number;
  /** What the tax is computed on. */
  readonly base: number;
  readonly amount: number;
  readonly included: boolean;
}
export interface TaxAnswer {
  readonly lines: readonly { readonly id: string; readonly taxes: readonly OneTax[] }[];
  /** Empty where nothing is shipped. */
  readonly shipping: readonly OneTax[];
}

export interface TaxProvider {
  /** As orders record it. */
  readonly name: string;
  ask(question: TaxQuestion): Promise<Asked<TaxAnswer>>;
}

const TAXES_MAX = 20;
const RATE_PPM_MAX = 10_000_000;
const NAME_MAX = 200;

export function httpTaxProvider(options: OutsideOptions & { readonly name?: string }): TaxProvider {
  const ask = openOutside(options);
  return {
    name: options.name ?? 'http',
    ask: (question) => ask(question, (body) => readTaxAnswer(question, body)),
  };
}

/** The quote with the provider's taxes; with its own and the reason where there are none. */
export async function providerTaxes(
  provider: TaxProvider,
  book: PriceBook,
  request: PriceRequest,
  quote: Quote,
  openText?: (text: SealedText) => Promise<string | null>,
): Promise<Quote> {
  const question = await questionOf(book, request, quote, openText);
  if (question === null) return quote;
  const asked = await provider.ask(question);
  if (!asked.ok) return { ...quote, taxSource: { provider: 'table', fallback: asked.because } };
  const told = question.exemption !== null && request.exemption ? { exemption: request.exemption } : undefined;
  return { ...withTaxes(quote, asked.answer), ...told, taxSource: { provider: provider.name } };
}

/** null: there is nothing to be taxed, or nowhere. */
async function questionOf(
  book: PriceBook,
  request: PriceRequest,
  quote: Quote,
  openText: (text: SealedText) => Promise<string | null> = async () => null,
): Promise<TaxQuestion | null> {
  const { destination, currency } = request;
  if (destination === null || quote.blocked !== undefined || quote.lines.length === 0) return null;
  const { shipping } = quote;
  const exemption = request.exemption && holdsIn(request.exemption, destination.country) ? request.exemption : null;
  const id = typeof exemption?.id === 'object' ? await openText(exemption.id) : (exemption?.id ?? null);
  const method = book.shippingMethods.find(({ id }) => id === shipping?.method);
  return {
    currency,
    destination,
    exemption: exemption === null ? null : { ...exemption, id },
    lines: quote.lines.map(({ id, sku, quantity, subtotal, discount }) => {
      const taxCategory = book.products.get(sku)?.taxCategory ?? 'standard';
      return { id, sku, taxCategory, quantity, amount: subtotal - discount };
    }),
    shipping:
      shipping === null
        ? null
        : { method: shipping.method, taxCategory: method?.taxCategory ?? 'standard', amount: shipping.price },
  };
}

/** Replaces the taxes of a quote; all else stays. */
function withTaxes(quote: Quote, answer: TaxAnswer): Quote {
  const byLine = new Map(answer.lines.map(({ id, taxes }) => [id, taxes]));
  const sums = new Map<string, { -readonly [Name in keyof QuotedTax]: QuotedTax[Name] }>();
  const taxed = (taxes: readonly OneTax[]): { tax: number; taxIncluded: number } => {
    let tax = 0;
    let taxIncluded = 0;
    for (const { name, ratePpm, base, amount, included } of taxes) {
      const key = JSON.stringify([name, ratePpm, included]);
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, { name, ratePpm, base, amount, included });
      else {
        sum.base += base;
        sum.amount += amount;
      }
      if (included) taxIncluded += amount;
      else tax += amount;
    }
    return { tax, taxIncluded };
  };
  const lines = quote.lines.map((line): QuotedLine => {
    const said = taxed(byLine.get(line.id) ?? []);
    return { ...line, ...said, total: line.subtotal - line.discount + said.tax };
  });
  const { shipping: before } = quote;
  const onShipping = taxed(answer.shipping);
  const shipping = before === null ? null : { ...before, ...onShipping, total: before.price + onShipping.tax };
  const taxAdded = lines.reduce((sum, { tax }) => sum + tax, onShipping.tax);
  const taxIncluded = lines.reduce((sum, line) => sum + line.taxIncluded, onShipping.taxIncluded);
  const taxes = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
  const total = quote.subtotal - quote.discount + quote.shippingPrice + taxAdded;
  return { ...quote, lines, shipping, taxes, taxAdded, taxIncluded, total };
}

/** null: it cannot be an answer to this question. */
function readTaxAnswer(question: TaxQuestion, body: unknown): TaxAnswer | null {
  if (!isRecord(body) || !Array.isArray(body.lines) || body.lines.length !== question.lines.length) return null;
  const amounts = new Map(question.lines.map(({ id, amount }) => [id, amount]));
  const lines: { id: string; taxes: readonly OneTax[] }[] = [];
  for (const line of body.lines as readonly unknown[]) {
    if (!isRecord(line) || typeof line.id !== 'string') return null;
    const taxes = readTaxes(line.taxes, amounts.get(line.id));
    if (taxes === null) return null;
    amounts.delete(line.id);
    lines.push({ id: line.id, taxes });
  }
  const shipping = readTaxes(body.shipping ?? [], question.shipping?.amount ?? 0);
  if (shipping === null || (question.shipping === null && shipping.length > 0)) return null;
  return { lines, shipping };
}

function readTaxes(taxes: unknown, amount: number | undefined): readonly OneTax[] | null {
  if (!Array.isArray(taxes) || taxes.length > TAXES_MAX || amount === undefined) return null;
  const read: OneTax[] = [];
  let contained = 0;
  for (const tax of taxes as readonly unknown[]) {
    if (!isRecord(tax) || typeof tax.included !== 'boolean' || !isAmount(tax.base) || !isAmount(tax.amount))
      return null;
    if (typeof tax.name !== 'string' || tax.name === '' || tax.name.length > NAME_MAX) return null;
    if (!isAmount(tax.ratePpm) || tax.ratePpm > RATE_PPM_MAX) return null;
    const { name, ratePpm, base, amount: sum, included } = tax;
    // No tax is many times what it is on; so an answer in another unit is not believed.
    if (sum > amount * (RATE_PPM_MAX / 1_000_000) || base > amount * 2 + 1) return null;
    if (included) contained += sum;
    read.push({ name, ratePpm, base, amount: sum, included });
  }
  return contained > amount ? null : read;
}
