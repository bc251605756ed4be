/**
 * The catalogue's public documents: a product as a shopper sees it, its stock, and a product as an operator writes it.
 */
import Type, { type Static } from 'typebox';
import { PRICE_MAX, WEIGHT_GRAMS_MAX } from '../schema/product.ts';
import { CurrencyCode, closed, filterText, listOf, listQuery, Money, Nullable, PathWord, text } from './schemas.ts';

export const StockStatus = Type.Enum(['in_stock', 'low', 'sold_out']);

export const Product = Type.Object(
  {
    sku: Type.String(),
    name: Type.String(),
    description: Type.String(),
    category: Type.String(),
    image: Type.String({ description: 'Address of an SVG, relative to this server.' }),
    price: Money,
    compareAtPrice: Type.Optional(Money),
    taxCategory: Type.String(),
    maxPerOrder: Type.Optional(Type.Integer({ minimum: 1 })),
    holdAt: Type.Enum(['cart', 'checkout'], { description: 'When stock is held: at add-to-cart, or at checkout.' }),
    weightGrams: Type.Optional(Type.Integer({ minimum: 1 })),
    digital: Type.Optional(Type.Boolean({ description: 'True: nothing is shipped.' })),
    stock: Type.Object({ status: StockStatus }),
  },
  { $id: 'Product' },
);

export const ProductList = listOf(Product);

export const ProductListQuery = closed({
  q: Type.Optional(filterText(80, 'Words that name, description or sku must contain.')),
  category: Type.Optional(filterText(64, 'Only products of this category.')),
  currency: Type.Optional(CurrencyCode),
  sort: Type.Optional(
    Type.Enum(['name', '-name', 'price', '-price', 'sku'], {
      default: 'name',
      description: 'A minus sign turns the order round.',
    }),
  ),
  ...listQuery,
});

export const ProductQuery = closed({ currency: Type.Optional(CurrencyCode) });
export const SkuParams = Type.Object({ sku: PathWord });

export const PublicStock = Type.Object(
  { sku: Type.String(), available: Type.Integer({ minimum: 0 }), version: Type.Integer({ minimum: 0 }) },
  { $id: 'PublicStock' },
);

const Prices = Type.Record(Type.String({ pattern: '^[A-Z]{3}$' }), Type.Integer({ minimum: 0, maximum: PRICE_MAX }), {
  minProperties: 1,
  maxProperties: 32,
  description: 'Minor units by currency.',
});

/** What an operator may say of a product. Defaults are filled in by `schema/product.ts`, and are told here. */
const productFields = {
  name: text(200),
  description: Type.Optional(Type.String({ maxLength: 4000, default: '' })),
  category: text(64),
  taxCategory: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$', default: 'standard' })),
  prices: Prices,
  compareAtPrices: Type.Optional(
    Type.Record(Type.String({ pattern: '^[A-Z]{3}$' }), Type.Integer({ minimum: 0, maximum: PRICE_MAX }), {
      maxProperties: 32,
    }),
  ),
  maxPerOrder: Type.Optional(Nullable(Type.Integer({ minimum: 1, maximum: 999 }))),
  holdAt: Type.Optional(Type.Enum(['cart', 'checkout'], { default: 'checkout' })),
  holdTtlMs: Type.Optional(
    Type.Integer({
      minimum: 1000,
      maximum: 86_400_000,
      default: 600_000,
      description: 'Lifetime of a hold taken at the cart.',
    }),
  ),
  weightGrams: Type.Optional(
    Type.Integer({ minimum: 0, maximum: WEIGHT_GRAMS_MAX, default: 0, description: 'Of one unit, for shipping.' }),
  ),
  digital: Type.Optional(Type.Boolean({ default: false, description: 'True: nothing is shipped.' })),
  active: Type.Optional(Type.Boolean({ default: true, description: 'False: not shown and not sold.' })),
};

export const ProductInput = Type.Object(productFields, { $id: 'ProductInput', additionalProperties: false });
export type ProductInput = Static<typeof ProductInput>;

export const AdminProduct = Type.Object(
  {
    sku: Type.String(),
    name: Type.String(),
    description: Type.String(),
    category: Type.String(),
    taxCategory: Type.String(),
    prices: Type.Record(Type.String(), Type.Integer()),
    compareAtPrices: Type.Record(Type.String(), Type.Integer()),
    maxPerOrder: Nullable(Type.Integer()),
    holdAt: Type.Enum(['cart', 'checkout']),
    holdTtlMs: Type.Integer(),
    weightGrams: Type.Integer(),
    digital: Type.Boolean(),
    active: Type.Boolean(),
  },
  { $id: 'AdminProduct' },
);

export const AdminProductList = listOf(AdminProduct);
export const AdminProductListQuery = closed({
  q: Type.Optional(filterText(80, 'Words that name, description or sku must contain.')),
  category: Type.Optional(filterText(64, 'Only products of this category.')),
  sort: Type.Optional(Type.Enum(['sku', '-sku', 'name', '-name'], { default: 'sku' })),
  ...listQuery,
});
export const ImportResult = Type.Object({ imported: Type.Integer({ minimum: 0 }) }, { $id: 'ImportResult' });
