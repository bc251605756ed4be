/**
 * Writing JSON by hand, for the answers that are made most often. What these functions write is held to the schemas by tests.
 * Ids, codes and times are written as they are: they never hold a character that JSON escapes. Whatever a person typed goes
 * through `JSON.stringify`.
 */
import type { Destination, QuotedDiscount, QuotedShipping, QuotedTax } from '../workers/quote.ts';

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
