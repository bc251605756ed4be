/**
 * Writing JSON by hand, for the answers that are made most often. What these functions write is held to the schemas by tests.
 * Ids, codes and times are written as they are: they never hold a character that JSON escapes. Whatever a person typed goes
 * through `JsonWriter.text`.
 */
import type { Destination, LineDiscount, QuotedDiscount, QuotedShipping, QuotedTax } from '../workers/quote.ts';
import type { MoneyMaker } from './explained-quote.ts';
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
const PROMOTION = fragment(',"promotion":');
const SHIPPING = fragment(',"shipping":{"amount":');
const LIST_PRICE = fragment(',"listPrice":{"amount":');
const MIN_DAYS = fragment(',"delivery":{"minDays":');
const MAX_DAYS = fragment(',"maxDays":');

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
    if (discount.promotion === undefined && discount.shippingAmount === undefined) out.bytes(money.end);
    else {
      out.bytes(money.close);
      if (discount.promotion !== undefined) out.bytes(PROMOTION).text(discount.promotion);
      if (discount.shippingAmount === undefined) out.raw('}');
      else out.bytes(SHIPPING).number(discount.shippingAmount).bytes(money.end);
    }
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
  out.bytes(money.total).number(shipping.total).bytes(money.close);
  const { listPrice, discounts, delivery, byCarrier } = shipping;
  if (listPrice !== undefined) out.bytes(LIST_PRICE).number(listPrice).bytes(money.close);
  if (discounts !== undefined) writeLineDiscounts(out, discounts, money);
  if (delivery !== undefined)
    out.bytes(MIN_DAYS).number(delivery.minDays).bytes(MAX_DAYS).number(delivery.maxDays).raw('}');
  if (byCarrier !== undefined) out.raw(byCarrier ? ',"byCarrier":true' : ',"byCarrier":false');
  out.raw('}');
}

/** What each promotion took off a line, or off the shipping. */
function writeLineDiscounts(out: JsonWriter, discounts: readonly LineDiscount[], money: MoneyPieces): void {
  out.raw(',"discounts":[');
  for (let i = 0; i < discounts.length; i++) {
    const { promotion, code, label, amount, why, units } = discounts[i] as LineDiscount;
    out.raw(i > 0 ? ',{"promotion":' : '{"promotion":').text(promotion);
    if (code !== undefined) out.raw(',"code":').text(code);
    out.raw(',"label":').text(label).bytes(AMOUNT).number(amount).bytes(money.close).raw(',"why":').text(why);
    if (units !== undefined) out.raw(',"units":').number(units);
    out.raw('}');
  }
  out.raw(']');
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

export function writeStrings(out: JsonWriter, strings: readonly string[]): void {
  out.raw('[');
  for (let i = 0; i < strings.length; i++) {
    if (i > 0) out.raw(',');
    out.text(strings[i] as string);
  }
  out.raw(']');
}
