/**
 * Writing JSON by hand, for the answers that are made most often. What these functions write is held to the schemas by tests.
 * Ids, codes and times are written as they are: they never hold a character that JSON escapes. Whatever a person typed goes
 * through `JSON.stringify`.
 */
import type { Destination, QuotedDiscount, QuotedShipping, QuotedTax } from '../workers/quote.ts';

const DAY_MS = 86_400_000;
const DAYS_MAX = 1_000;
/** `2026-11-22T` by the number of the day: few days are named again and again, and `toISOString` takes over 1 µs. */
const days = new Map<number, string>();
const TWO_DIGITS = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));

/** RFC 3339 in UTC with milliseconds. */
export function timestamp(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  let date = days.get(day);
  if (date === undefined) {
    date = new Date(ms).toISOString().slice(0, -'00:00:00.000Z'.length);
    if (days.size >= DAYS_MAX) days.clear();
    days.set(day, date);
  }
  const time = ms - day * DAY_MS;
  const seconds = Math.floor(time / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const milliseconds = time - seconds * 1000;
  const padding = milliseconds < 10 ? '00' : milliseconds < 100 ? '0' : '';
  return `${date}${TWO_DIGITS[hours]}:${TWO_DIGITS[minutes - hours * 60]}:${TWO_DIGITS[seconds - minutes * 60]}.${padding}${milliseconds}Z`;
}

/** The end of every Money in one currency; the amount is written before it. */
export function moneyTail(currency: string): string {
  return `,"currency":"${currency}"}`;
}

/** A tax rate from parts per million: the shortest decimal of it, exact and without an exponent. */
export function rateOf(ratePpm: number): number {
  return ratePpm / 1_000_000;
}

export function destinationJson(destination: Destination | null): string {
  if (destination === null) return 'null';
  let out = `{"country":"${destination.country}"`;
  if (destination.region !== undefined) out += `,"region":"${destination.region}"`;
  if (destination.postalCode !== undefined) out += `,"postalCode":${JSON.stringify(destination.postalCode)}`;
  return `${out}}`;
}

export function discountsJson(discounts: readonly QuotedDiscount[], tail: string): string {
  let out = '[';
  for (let i = 0; i < discounts.length; i++) {
    const discount = discounts[i] as QuotedDiscount;
    if (i > 0) out += ',';
    out += `{"code":${JSON.stringify(discount.code)},"label":${JSON.stringify(discount.label)},"amount":{"amount":${discount.amount}${tail}}`;
  }
  return `${out}]`;
}

export function shippingJson(shipping: QuotedShipping | null, tail: string): string {
  if (shipping === null) return 'null';
  return (
    `{"method":${JSON.stringify(shipping.method)},"price":{"amount":${shipping.price}${tail},"tax":{"amount":${shipping.tax}${tail}` +
    `,"taxIncluded":{"amount":${shipping.taxIncluded}${tail},"total":{"amount":${shipping.total}${tail}}`
  );
}

export function taxesJson(taxes: readonly QuotedTax[], tail: string): string {
  let out = '[';
  for (let i = 0; i < taxes.length; i++) {
    const tax = taxes[i] as QuotedTax;
    if (i > 0) out += ',';
    out +=
      `{"name":${JSON.stringify(tax.name)},"rate":${rateOf(tax.ratePpm)},"base":{"amount":${tax.base}${tail}` +
      `,"amount":{"amount":${tax.amount}${tail},"included":${tax.included}}`;
  }
  return `${out}]`;
}

export function stringsJson(strings: readonly string[]): string {
  return strings.length === 0 ? '[]' : JSON.stringify(strings);
}
