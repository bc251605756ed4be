/**
 * A product as it is stored, and what may be stored. The edge checks the shape of what it is sent; this is the door that
 * every product passes, imports and demo data too, and the only place that knows which amounts and currencies pricing can take.
 */
import { isCurrency } from './currency.ts';
import type { Amounts } from './rules.ts';

export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly category: string;
  readonly taxCategory: string;
  /** Minor units by currency; a product cannot be bought in a currency that is not here. */
  readonly prices: Amounts;
  /** Former or list prices, each above the price of the same currency. */
  readonly compareAtPrices: Amounts;
  /** null: no limit but that of a line. */
  readonly maxPerOrder: number | null;
  readonly holdAt: 'cart' | 'checkout';
  /** Lifetime of a hold taken at the cart, in milliseconds. */
  readonly holdTtlMs: number;
  /** Of one unit, 0 to 1,000,000; stored documents of earlier versions have none, which is 0. */
  readonly weightGrams?: number;
  /** True: nothing is shipped. Left out: false. */
  readonly digital?: boolean;
  /** False: archived, neither shown nor sold. */
  readonly active: boolean;
}

/** `path` is a JSON pointer (RFC 6901) into the product. */
export interface ProductError {
  readonly path: string;
  readonly message: string;
}
export type ProductCheck =
  | { readonly ok: true; readonly product: Product }
  | { readonly ok: false; readonly errors: readonly ProductError[] };

const SKU = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const TAX_CATEGORY = /^[a-z][a-z0-9_-]{0,31}$/;
/** NUL and halves of surrogate pairs: PostgreSQL stores neither. */
export const UNSTORABLE = /\0|\p{Surrogate}/u;
/** What does not fit on one line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what a name must not have
export const CONTROL = /[\u0000-\u001f\u007f]/;
const CURRENCIES_MAX = 32;
const HOLD_TTL_MS_MIN = 1_000;
const HOLD_TTL_MS_MAX = 86_400_000;
/** As `UNIT_PRICE_MAX` of `workers/money.ts`, with which a test compares it: this folder may not import that one. */
export const PRICE_MAX = 10_000_000_000;
const PER_ORDER_MAX = 999;
export const WEIGHT_GRAMS_MAX = 1_000_000;

const DEFAULTS = {
  description: '',
  taxCategory: 'standard',
  compareAtPrices: {},
  maxPerOrder: null,
  holdAt: 'checkout',
  holdTtlMs: 600_000,
  weightGrams: 0,
  digital: false,
  active: true,
} as const;
const FIELDS = new Set(['sku', 'name', 'category', 'prices', ...Object.keys(DEFAULTS)]);

/** Fills in what was left out (see `DEFAULTS`); lists every error, unknown fields among them. */
export function validateProduct(input: unknown): ProductCheck {
  const given = asRecord(input);
  if (given === null) return { ok: false, errors: [{ path: '', message: 'must be an object' }] };
  const errors: ProductError[] = [];
  const check = (path: string, fine: boolean, message: string): void => {
    if (!fine) errors.push({ path, message });
  };
  for (const name of Object.keys(given)) {
    check(`/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, FIELDS.has(name), 'is not a known field');
  }
  const all: Readonly<Record<string, unknown>> = { ...DEFAULTS, ...withoutUndefined(given) };
  const { sku, name, description, category, taxCategory, maxPerOrder, holdAt, holdTtlMs } = all;
  const { weightGrams, digital, active } = all;
  check('/sku', matches(sku, SKU), 'must be 1 to 64 of A-Z a-z 0-9 . _ - and start with a letter or digit');
  check('/name', isLabel(name, 200), 'must be text of 1 to 200 characters on one line');
  check('/category', isLabel(category, 64), 'must be text of 1 to 64 characters on one line');
  check('/description', isText(description, 4_000), 'must be text of at most 4000 characters');
  check('/taxCategory', matches(taxCategory, TAX_CATEGORY), 'must be 1 to 32 of a-z 0-9 _ - and start with a letter');
  check('/maxPerOrder', maxPerOrder === null || isWhole(maxPerOrder, 1, PER_ORDER_MAX), 'must be null or 1 to 999');
  check('/holdAt', holdAt === 'cart' || holdAt === 'checkout', 'must be "cart" or "checkout"');
  check('/holdTtlMs', isWhole(holdTtlMs, HOLD_TTL_MS_MIN, HOLD_TTL_MS_MAX), 'must be 1000 to 86400000');
  check('/weightGrams', isWhole(weightGrams, 0, WEIGHT_GRAMS_MAX), `must be 0 to ${WEIGHT_GRAMS_MAX}`);
  check('/digital', typeof digital === 'boolean', 'must be true or false');
  check('/active', typeof active === 'boolean', 'must be true or false');
  const prices = checkAmounts('/prices', all.prices, check);
  check('/prices', prices === null || Object.keys(prices).length > 0, 'must name at least one currency');
  const compareAt = checkAmounts('/compareAtPrices', all.compareAtPrices, check);
  for (const [currency, amount] of Object.entries(compareAt ?? {})) {
    const above = typeof amount === 'number' && amount > Number(prices?.[currency] ?? Number.POSITIVE_INFINITY);
    check(`/compareAtPrices/${currency}`, above, 'must be above the price in this currency');
  }
  return errors.length > 0 ? { ok: false, errors } : { ok: true, product: ordered(all as unknown as Product) };
}

/** Fields in one order whatever the input's, and nothing shared with it. */
function ordered(product: Product): Product {
  const { sku, name, description, category, taxCategory, prices, compareAtPrices } = product;
  const { maxPerOrder, holdAt, holdTtlMs, weightGrams, digital, active } = product;
  return {
    sku,
    name,
    description,
    category,
    taxCategory,
    prices: { ...prices },
    compareAtPrices: { ...compareAtPrices },
    maxPerOrder,
    holdAt,
    holdTtlMs,
    ...(weightGrams ? { weightGrams } : undefined),
    ...(digital ? { digital } : undefined),
    active,
  };
}

function checkAmounts(
  path: string,
  value: unknown,
  check: (path: string, fine: boolean, message: string) => void,
): Readonly<Record<string, unknown>> | null {
  const amounts = asRecord(value);
  check(path, amounts !== null, 'must be an object of amounts by currency');
  if (amounts === null) return null;
  const entries = Object.entries(amounts);
  check(path, entries.length <= CURRENCIES_MAX, `must name at most ${CURRENCIES_MAX} currencies`);
  for (const [currency, amount] of entries.slice(0, CURRENCIES_MAX)) {
    if (!isCurrency(currency)) check(path, false, `${JSON.stringify(currency.slice(0, 8))} is no ISO 4217 currency`);
    else check(`${path}/${currency}`, isWhole(amount, 0, PRICE_MAX), `must be a whole number of 0 to ${PRICE_MAX}`);
  }
  return amounts;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | null {
  const record = typeof value === 'object' && value !== null && !Array.isArray(value);
  return record ? (value as Readonly<Record<string, unknown>>) : null;
}

function withoutUndefined(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

function matches(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}

function isText(value: unknown, lengthMax: number): boolean {
  return typeof value === 'string' && value.length <= lengthMax && !UNSTORABLE.test(value);
}

function isLabel(value: unknown, lengthMax: number): boolean {
  return isText(value, lengthMax) && !matches(value, CONTROL) && (value as string).trim() !== '';
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}
