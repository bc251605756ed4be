/**
 * Writing JSON by hand, for the answers that are made most often. What these functions write is held to the schemas by tests.
 * Ids, codes and times are written as they are: they never hold a character that JSON escapes. Whatever a person typed goes
 * through `JsonWriter.text`.
 */
import type { Destination, QuotedDiscount, QuotedShipping, QuotedTax } from '../workers/quote.ts';
import { asMembers, explainDiscount, explainShipping, type MoneyMaker } from './explained-quote.ts';
import { fragment, type JsonWriter } from './json-writer.ts';

/** RFC 3339 in UTC with milliseconds. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}

/** The end of every Money in one currency; the amount is written before it. */
export function moneyTail(currency: string): string {
  return `,"currency":"${currency}"}`;
}

/** A tax rate from parts per million: the shortest decimal of it, exact and without an exponent. */
export function rateOf(ratePpm: number): number {
  return ratePpm / 1_000_000;
}

/**
 * What stands between two amounts in one currency: each piece ends the Money before it and begins the member of its name, up to the
 * amount; `stock`, `included`, `close` and `end` begin no Money, and `end` ends what the Money is in as well.
 */
export type MoneyPieces = Readonly<
  Record<(typeof AMOUNTS)[number] | 'stock' | 'included' | 'close' | 'end', Uint8Array>
> & {
  /** For what is seldom there and written as an object. */
  readonly of: MoneyMaker;
};

const AMOUNTS = ['subtotal', 'discount', 'shipping', 'tax', 'taxAdded', 'taxIncluded', 'total', 'amount'] as const;
const CURRENCIES_MAX = 500;
const pieces = new Map<string, MoneyPieces>();

export function moneyPieces(currency: string): MoneyPieces {
  let known = pieces.get(currency);
  if (known === undefined) {
    const tail = moneyTail(currency);
    const amounts = AMOUNTS.map((name) => [name, fragment(`${tail},"${name}":{"amount":`)] as const);
    known = Object.freeze({
      ...(Object.fromEntries(amounts) as Record<(typeof AMOUNTS)[number], Uint8Array>),
      stock: fragment(`${tail},"stock":"`),
      included: fragment(`${tail},"included":`),
      close: fragment(tail),
      end: fragment(`${tail}}`),
      of: (amount: number) => ({ amount, currency }),
    });
    if (pieces.size >= CURRENCIES_MAX) pieces.clear();
    pieces.set(currency, known);
  }
  return known;
}

const COUNTRY = fragment('{"country":"');
const REGION = fragment('","region":"');
const POSTAL_CODE = fragment(',"postalCode":');
const AMOUNT = fragment(',"amount":{"amount":');
const PRICE = fragment(',"price":{"amount":');
const BASE = fragment(',"base":{"amount":');

export function writeDestination(out: JsonWriter, destination: Destination | null): void {
  if (destination === null) {
    out.raw('null');
    return;
  }
  out.bytes(COUNTRY).raw(destination.country);
  if (destination.region !== undefined) out.bytes(REGION).raw(destination.region);
  out.raw('"');
  if (destination.postalCode !== undefined) out.bytes(POSTAL_CODE).text(destination.postalCode);
  out.raw('}');
}

export function writeDiscounts(out: JsonWriter, discounts: readonly QuotedDiscount[], money: MoneyPieces): void {
  out.raw('[');
  for (let i = 0; i < discounts.length; i++) {
    const discount = discounts[i] as QuotedDiscount;
    out
      .raw(i > 0 ? ',{"code":' : '{"code":')
      .text(discount.code)
      .raw(',"label":')
      .text(discount.label);
    out.bytes(AMOUNT).number(discount.amount);
    writeEnd(out, explainDiscount(discount, money.of), money);
  }
  out.raw(']');
}

export function writeShipping(out: JsonWriter, shipping: QuotedShipping | null, money: MoneyPieces): void {
  if (shipping === null) {
    out.raw('null');
    return;
  }
  out.raw('{"method":').text(shipping.method).bytes(PRICE).number(shipping.price);
  out.bytes(money.tax).number(shipping.tax).bytes(money.taxIncluded).number(shipping.taxIncluded);
  out.bytes(money.total).number(shipping.total);
  writeEnd(out, explainShipping(shipping, money.of), money);
}

export function writeTaxes(out: JsonWriter, taxes: readonly QuotedTax[], money: MoneyPieces): void {
  out.raw('[');
  for (let i = 0; i < taxes.length; i++) {
    const tax = taxes[i] as QuotedTax;
    out
      .raw(i > 0 ? ',{"name":' : '{"name":')
      .text(tax.name)
      .raw(',"rate":')
      .number(rateOf(tax.ratePpm));
    out.bytes(BASE).number(tax.base).bytes(money.amount).number(tax.amount);
    out.bytes(money.included).raw(tax.included ? 'true' : 'false');
    if (tax.id !== undefined) out.raw(',"id":').text(tax.id);
    out.raw(tax.exempt === undefined ? '}' : `,"exempt":"${tax.exempt}"}`);
  }
  out.raw(']');
}

/** Of an object whose last amount was just written: what is said beside the figures, mostly nothing. */
function writeEnd(out: JsonWriter, explained: object, money: MoneyPieces): void {
  const members = asMembers(explained);
  if (members === '') out.bytes(money.end);
  else out.bytes(money.close).raw(members).raw('}');
}

export function writeStrings(out: JsonWriter, strings: readonly string[]): void {
  out.raw('[');
  for (let i = 0; i < strings.length; i++) {
    if (i > 0) out.raw(',');
    out.text(strings[i] as string);
  }
  out.raw(']');
}
