/**
 * A believable shop: products, stock, coupons, taxes and shipping, for the first start of an embedded database and for
 * `stampede seed`. Everything here is a function of nothing but its arguments, so two seeds are the same.
 *
 * The tax rates are the general ones of each place, for demonstration: real shops owe local and special rates too. Texas,
 * California and New York, for example, stand with the state's rate only.
 */
import type { Kysely } from 'kysely';
import { type CatalogueTables, nextVersion, writeProducts } from './catalogue-tables.ts';
import type { Coupon } from './coupon.ts';
import { DEMO_CATEGORIES, type DemoCategory, type DemoProduct } from './demo-products.ts';
import { type Product, validateProduct } from './product.ts';
import { type RuleWrite, STORE_ID, writeRules } from './rule-rows.ts';
import type { Store } from './rules.ts';
import type { ShippingMethod } from './shipping-method.ts';
import type { Tables } from './tables.ts';
import type { TaxRate } from './tax-rate.ts';

export interface DemoData {
  readonly products: readonly Product[];
  readonly coupons: readonly Coupon[];
  readonly taxRates: readonly TaxRate[];
  readonly shippingMethods: readonly ShippingMethod[];
  readonly store: Store;
  /** Units on hand at first, by sku. Stock belongs to the sku actors: whoever seeds sends it to them. */
  readonly stock: Readonly<Record<string, number>>;
}

/** Held at add-to-cart, few, and limited per order. */
const SCARCE: Readonly<Record<string, { readonly maxPerOrder: number; readonly onHand: number }>> = {
  'OUT-SUMMIT-JKT': { maxPerOrder: 1, onHand: 200 },
  'TOY-ROBOT-LTD': { maxPerOrder: 2, onHand: 120 },
};
const SCARCE_HOLD_TTL_MS = 10 * 60_000;
const CHECKOUT_HOLD_TTL_MS = 10 * 60_000;

export function demoData(): DemoData {
  const products = DEMO_CATEGORIES.flatMap((category) =>
    category.products.map((product) => demoProduct(category, product)),
  );
  const stock = Object.fromEntries(
    products.map(({ sku }) => [sku, SCARCE[sku]?.onHand ?? 200 + (scatter(sku) % 97) * 50]),
  );
  return { products, coupons: COUPONS, taxRates: TAX_RATES, shippingMethods: SHIPPING_METHODS, store: STORE, stock };
}

/**
 * The demo shop with `count` products (at least 1) in place of its own: variants of them under numbered skus, the rules and the
 * store unchanged.
 */
export function generatedData(count: number): DemoData {
  const products = generatedProducts(count);
  const stock = Object.fromEntries(products.map(({ sku }) => [sku, 200 + (scatter(sku) % 97) * 50]));
  return { ...demoData(), products, stock };
}

/** `GEN-000001` and so on; plain products without limits. */
export function generatedProducts(count: number): Product[] {
  const models = demoData().products.filter(({ sku }) => SCARCE[sku] === undefined);
  return Array.from({ length: count }, (_, i): Product => {
    const model = models[i % models.length] ?? invalid('there are no demo products');
    const sku = `GEN-${String(i + 1).padStart(6, '0')}`;
    const series = Math.floor(i / models.length) + 1;
    // 75 % to 125 % of the model's price, in its own steps of ten units so that the endings stay.
    const percent = 75 + (scatter(sku) % 51);
    const prices = Object.fromEntries(
      Object.entries(model.prices).map(([currency, price]) => {
        const moved = Math.floor((price * percent) / 100);
        return [currency, Math.max(90, moved - (moved % 100) + (price % 100))];
      }),
    );
    return { ...model, sku, name: `${model.name}, Series ${series}`, prices, compareAtPrices: {} };
  });
}

export async function isCatalogueEmpty(db: Kysely<Tables>): Promise<boolean> {
  const tables = db.withTables<CatalogueTables>();
  const product = await tables.selectFrom('product').select('sku').limit(1).executeTakeFirst();
  const store = await tables.selectFrom('rule').select('id').where('kind', '=', 'store').executeTakeFirst();
  return product === undefined && store === undefined;
}

/** One transaction; 100,000 products take some seconds. Throws where the catalogue is not empty. */
export async function seedCatalogue(db: Kysely<Tables>, data: Omit<DemoData, 'stock'>): Promise<void> {
  const products = data.products.map(valid);
  await db.transaction().execute(async (transaction) => {
    const trx = transaction.withTables<CatalogueTables>();
    // Taken first, so that of two seeds at once the second finds the first one's rows.
    const version = await nextVersion(trx);
    if (!(await isCatalogueEmpty(transaction))) throw new Error('the catalogue is not empty');
    await writeProducts(trx, version, products);
    await writeRules(trx, version, new Date(), rulesOf(data));
  });
}

/** As they are stored. */
export function rulesOf(data: Omit<DemoData, 'stock'>): RuleWrite[] {
  return [
    { kind: 'store', id: STORE_ID, doc: data.store },
    ...data.coupons.map((coupon): RuleWrite => ({ kind: 'coupon', id: coupon.code, doc: coupon })),
    ...data.taxRates.map((rate): RuleWrite => ({ kind: 'tax_rate', id: rate.id, doc: rate })),
    ...data.shippingMethods.map(
      (method, place): RuleWrite => ({ kind: 'shipping_method', id: method.id, doc: { ...method, place } }),
    ),
  ];
}

function demoProduct(category: DemoCategory, [sku, name, description, prices, before]: DemoProduct): Product {
  const scarce = SCARCE[sku];
  return valid({
    sku,
    name,
    description,
    category: category.name,
    taxCategory: category.taxCategory,
    prices: amounts(prices),
    compareAtPrices: before === undefined ? {} : amounts(before),
    maxPerOrder: scarce?.maxPerOrder ?? null,
    holdAt: scarce === undefined ? 'checkout' : 'cart',
    holdTtlMs: scarce === undefined ? CHECKOUT_HOLD_TTL_MS : SCARCE_HOLD_TTL_MS,
    active: true,
  });
}

function amounts([USD, EUR, JPY]: readonly [number, number, number]): Product['prices'] {
  return { USD, EUR, JPY };
}

function valid(product: Product): Product {
  const check = validateProduct(product);
  if (check.ok) return check.product;
  return invalid(`${product.sku}: ${check.errors.map(({ path, message }) => `${path} ${message}`).join('; ')}`);
}

function invalid(message: string): never {
  throw new Error(message);
}

/** A number from a text, evenly spread: FNV-1a. */
function scatter(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

const STORE: Store = { defaultCurrency: 'USD', currencies: ['USD', 'EUR', 'JPY'], defaultShipping: 'standard' };

const COUPONS: readonly Coupon[] = [
  { code: 'WELCOME10', label: 'Welcome: 10 % off', kind: 'percent', ratePpm: 100_000 },
  { code: 'FIVEOFF', label: '5 off your order', kind: 'fixed', amounts: { USD: 500, EUR: 500, JPY: 700 } },
  {
    code: 'STAMPEDE25',
    label: '25 % off from 100',
    kind: 'percent',
    ratePpm: 250_000,
    minSubtotal: { USD: 10_000, EUR: 10_000, JPY: 15_000 },
  },
];

const US = (region: string, name: string, ratePpm: number, categories: readonly string[]): TaxRate => ({
  id: `us-${region.toLowerCase()}`,
  name,
  country: 'US',
  region,
  categories,
  ratePpm,
  included: false,
});
const VAT = (country: string, name: string, percent: number, categories: readonly string[]): TaxRate => ({
  id: `${country.toLowerCase()}-${percent}`,
  name,
  country,
  region: null,
  categories,
  ratePpm: Math.round(percent * 10_000),
  included: true,
});

const TAX_RATES: readonly TaxRate[] = [
  US('TX', 'Texas sales tax', 62_500, ['standard', 'books', 'shipping']),
  US('CA', 'California sales tax', 72_500, ['standard', 'books']),
  US('NY', 'New York sales tax', 40_000, ['standard', 'books', 'shipping']),
  US('WA', 'Washington sales tax', 65_000, ['standard', 'books', 'shipping']),
  US('FL', 'Florida sales tax', 60_000, ['standard', 'books', 'shipping']),
  US('IL', 'Illinois sales tax', 62_500, ['standard', 'books']),
  VAT('DE', 'MwSt. 19 %', 19, ['standard', 'shipping']),
  VAT('DE', 'MwSt. 7 %', 7, ['food', 'books']),
  VAT('FR', 'TVA 20 %', 20, ['standard', 'shipping']),
  VAT('FR', 'TVA 5,5 %', 5.5, ['food', 'books']),
  VAT('AT', 'USt. 20 %', 20, ['standard', 'shipping']),
  VAT('AT', 'USt. 10 %', 10, ['food', 'books']),
  VAT('GB', 'VAT 20 %', 20, ['standard', 'shipping']),
  VAT('GB', 'VAT 0 %', 0, ['food', 'books']),
  VAT('JP', '消費税 10 %', 10, ['standard', 'books', 'shipping']),
  VAT('JP', '消費税 8 %', 8, ['food']),
];

const EUROPE = [
  'DE',
  'FR',
  'AT',
  'NL',
  'BE',
  'LU',
  'IT',
  'ES',
  'PT',
  'IE',
  'DK',
  'SE',
  'FI',
  'PL',
  'CZ',
  'GB',
  'CH',
  'NO',
];

const SHIPPING_METHODS: readonly ShippingMethod[] = [
  {
    id: 'standard',
    name: 'Standard',
    taxCategory: 'shipping',
    zones: [
      { countries: ['US'], prices: { USD: 599, EUR: 549, JPY: 890 } },
      { countries: EUROPE, prices: { USD: 690, EUR: 590, JPY: 980 } },
      { countries: ['JP'], prices: { USD: 590, EUR: 550, JPY: 660 } },
      { countries: null, prices: { USD: 1490, EUR: 1390, JPY: 2200 } },
    ],
  },
  {
    id: 'express',
    name: 'Express',
    taxCategory: 'shipping',
    zones: [
      { countries: ['US'], prices: { USD: 1499, EUR: 1390, JPY: 2200 } },
      { countries: EUROPE, prices: { USD: 1590, EUR: 1490, JPY: 2400 } },
      { countries: ['JP'], prices: { USD: 1290, EUR: 1190, JPY: 1760 } },
    ],
  },
  {
    id: 'pickup',
    name: 'Pick up in the shop',
    taxCategory: 'shipping',
    zones: [{ countries: null, prices: { USD: 0, EUR: 0, JPY: 0 } }],
  },
];
