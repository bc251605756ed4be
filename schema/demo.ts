/**
 * A believable shop: products and stock, with the rules of `demo-rules.ts`, for the first start of an embedded database and for
 * `stampede seed`. Everything here is a function of nothing but its arguments, so two seeds are the same.
 */
import type { Kysely } from 'kysely';
import { type CatalogueTables, nextVersion, writeProducts } from './catalogue-tables.ts';
import { DEMO_CATEGORIES, type DemoCategory, type DemoProduct } from './demo-products.ts';
import { DEMO_RULES, OWN_COUPONS } from './demo-rules.ts';
import { type Product, validateProduct } from './product.ts';
import { type RuleKind, type RuleWrite, STORE_ID, writeRules } from './rule-rows.ts';
import type { RuleSet } from './rule-set.ts';
import type { Tables } from './tables.ts';

export interface DemoData extends RuleSet {
  readonly products: readonly Product[];
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

/** Not shipped. */
const DIGITAL: ReadonlySet<string> = new Set(['BOK-QUEUES-EPUB']);
/** In grams, where a sku is far from what its category weighs. */
const WEIGHTS: Readonly<Record<string, number>> = {
  'KIT-SKILLET-26': 2_900,
  'KIT-CROCK-2': 3_400,
  'OUT-TENT-2': 2_600,
  'AUD-SPEAKER-S': 6_200,
  'AUD-TURN': 7_800,
  'TOY-TELESCOPE': 4_100,
};

export function demoData(): DemoData {
  const products = DEMO_CATEGORIES.flatMap((category) =>
    category.products.map((product) => demoProduct(category, product)),
  );
  const stock = Object.fromEntries(
    products.map(({ sku }) => [sku, SCARCE[sku]?.onHand ?? 200 + (scatter(sku) % 97) * 50]),
  );
  return { products, stock, ...DEMO_RULES };
}

/**
 * The demo shop with `count` products (at least 1) in place of its own: variants of them under numbered skus, at their own prices
 * and without promotions. Store, coupons, taxes and shipping are unchanged.
 */
export function generatedData(count: number): DemoData {
  const products = generatedProducts(count);
  const stock = Object.fromEntries(products.map(({ sku }) => [sku, 200 + (scatter(sku) % 97) * 50]));
  return { ...demoData(), priceLists: [], promotions: [], promotionGroups: [], coupons: OWN_COUPONS, products, stock };
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
  const all = (kind: RuleKind, docs: readonly { readonly id: string }[]) =>
    docs.map((doc): RuleWrite => ({ kind, id: doc.id, doc }));
  return [
    { kind: 'store', id: STORE_ID, doc: data.store },
    ...all('zone', data.zones),
    ...all('tax_rate', data.taxRates),
    ...all(
      'shipping_method',
      data.shippingMethods.map((method, place) => ({ ...method, place })),
    ),
    ...all('price_list', data.priceLists),
    ...all('promotion', data.promotions),
    ...all('promotion_group', data.promotionGroups),
    ...data.coupons.map((coupon): RuleWrite => ({ kind: 'coupon', id: coupon.code, doc: coupon })),
  ];
}

function demoProduct(category: DemoCategory, [sku, name, description, prices, before]: DemoProduct): Product {
  const scarce = SCARCE[sku];
  const digital = DIGITAL.has(sku);
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
    weightGrams: digital ? 0 : (WEIGHTS[sku] ?? category.weightGrams),
    digital,
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
