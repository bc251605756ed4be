/**
 * Currencies and their minor units, after ISO 4217. The table is dinero.js's, because the one in `Intl` follows how prices are
 * usually displayed and differs from the standard for 17 currencies. Two corrections: the ariary and the ouguiya are divided
 * by five, which that table expresses as base 5; the standard gives both two decimal digits, and so does the contract.
 */
import * as table from 'dinero.js/currencies';

const KNOWN: Readonly<Record<string, { readonly base: number | readonly number[]; readonly exponent: number }>> = table;

export function isCurrency(code: string): boolean {
  return Object.hasOwn(KNOWN, code);
}

/** Digits after the point: 2 for USD, 0 for JPY, 3 for KWD; undefined for what is no currency of the standard. */
export function minorUnit(code: string): number | undefined {
  const currency = Object.hasOwn(KNOWN, code) ? KNOWN[code] : undefined;
  if (currency === undefined) return undefined;
  return currency.base === 10 ? currency.exponent : 2;
}
