/**
 * The kinds of rules as the contract has them: where each is found, what its documents look like, how its list is filtered. Routes
 * are made of this table alone.
 */
import Type, { type Static, type TObject, type TProperties, type TSchema } from 'typebox';
import { couponCode } from '../schema/coupon.ts';
import type { RuleKind } from '../schema/rule-rows.ts';
import { closed, filterText, listOf, listQuery, PathWord, text } from './schemas.ts';
import { couponFields, promotionFields, promotionGroupFields } from './schemas-promotions.ts';
import {
  changeable,
  priceListChanges,
  priceListFields,
  priceListTerms,
  RuleWord,
  ruleDocument,
  shippingMethodFields,
  storeFields,
  taxRateFields,
  zoneFields,
} from './schemas-rules.ts';

type Fields = Readonly<Record<string, unknown>>;
/** Whether a document passes a filter of its list. */
type Fits = (document: Fields, wanted: unknown) => boolean;

export interface RuleResource {
  readonly kind: RuleKind;
  /** `price-lists` of `/v1/admin/price-lists/{id}`. */
  readonly segment: string;
  /** Ends the operations' ids, as in `adminPutPriceList`. */
  readonly name: string;
  readonly one: string;
  readonly many: string;
  /** The field that names a document, and its parameter in the path. */
  readonly id: 'id' | 'code';
  /** From the path to the document's id. */
  readonly idOf: (parameter: string) => string;
  readonly params: TObject;
  readonly input: TSchema;
  readonly changes: TSchema;
  readonly document: TSchema;
  readonly list: TSchema;
  readonly query: TSchema;
  /** In how many places a list shows a document's parts: left out there. */
  readonly summary: (document: Fields) => Fields;
  readonly filters: Readonly<Record<string, Fits>>;
  /** Bytes of one document. */
  readonly bytesMax: number;
}

interface Sketch {
  readonly kind: RuleKind;
  readonly segment: string;
  readonly name: string;
  readonly one: string;
  readonly many: string;
  readonly fields: TProperties;
  readonly id?: 'code';
  readonly changes?: TProperties;
  /** Items of the list, where they are not whole documents. */
  readonly summary?: { readonly fields: TProperties; readonly of: (document: Fields) => Fields };
  readonly filters?: Readonly<Record<string, { readonly schema: TSchema; readonly fits: Fits }>>;
  readonly bytesMax?: number;
}

const equals =
  (field: string): Fits =>
  (document, wanted) =>
    document[field] === wanted;

function resource(sketch: Sketch): RuleResource {
  const { kind, segment, name, one, many, fields, id = 'id', summary, filters = {}, bytesMax = 262_144 } = sketch;
  const document = ruleDocument(`Admin${name}`, id, fields);
  const wanted = Object.entries(filters).map(([filter, { schema }]) => [filter, Type.Optional(schema)]);
  return {
    kind,
    segment,
    name,
    one,
    many,
    id,
    idOf: id === 'code' ? couponCode : (parameter) => parameter,
    params: Type.Object({ [id]: PathWord }),
    input: Type.Object(fields, { $id: `${name}Input`, additionalProperties: false }),
    changes: Type.Object(sketch.changes ?? changeable(fields), { $id: `${name}Changes`, additionalProperties: false }),
    document,
    list: listOf(summary === undefined ? document : ruleDocument(`Admin${name}Summary`, id, summary.fields)),
    query: closed({
      q: Type.Optional(filterText(80, 'What id, name or label must contain.')),
      ...(Object.fromEntries(wanted) as TProperties),
      sort: Type.Optional(
        Type.Enum([id, `-${id}`], { default: id, description: 'A minus sign turns the order round.' }),
      ),
      ...listQuery,
    }),
    summary: summary?.of ?? ((whole) => whole),
    filters: Object.fromEntries(Object.entries(filters).map(([filter, { fits }]) => [filter, fits])),
    bytesMax,
  };
}

const Word = (description: string) => Type.String({ minLength: 1, maxLength: 64, description });

export const RULE_RESOURCES: readonly RuleResource[] = [
  resource({
    kind: 'price_list',
    segment: 'price-lists',
    name: 'PriceList',
    one: 'a price list',
    many: 'price lists',
    fields: priceListFields,
    changes: priceListChanges,
    summary: {
      fields: { ...priceListTerms, entryCount: Type.Integer({ minimum: 0 }) },
      of: ({ entries, ...terms }) => ({ ...terms, entryCount: Object.keys(entries as object).length }),
    },
    filters: {
      currency: { schema: text(3), fits: equals('currency') },
      sku: {
        schema: Word('Only lists that have a price of it.'),
        fits: ({ entries }, sku) => Object.hasOwn(entries as object, String(sku)),
      },
    },
    bytesMax: 4 * 1024 * 1024,
  }),
  resource({
    kind: 'promotion',
    segment: 'promotions',
    name: 'Promotion',
    one: 'a promotion',
    many: 'promotions',
    fields: promotionFields,
    filters: {
      trigger: { schema: Type.Enum(['automatic', 'coupon']), fits: equals('trigger') },
      active: { schema: Type.Boolean(), fits: ({ active = true }, wanted) => active === wanted },
      action: { schema: Word('Kind of its action.'), fits: ({ action }, kind) => (action as Fields).kind === kind },
    },
  }),
  resource({
    kind: 'promotion_group',
    segment: 'promotion-groups',
    name: 'PromotionGroup',
    one: 'a group of promotions of which at most one applies',
    many: 'groups of promotions',
    fields: promotionGroupFields,
    filters: {
      promotion: {
        schema: Word('Only the group that it is in.'),
        fits: ({ promotions }, id) => (promotions as readonly unknown[]).includes(id),
      },
    },
  }),
  resource({
    kind: 'coupon',
    segment: 'coupons',
    name: 'Coupon',
    one: 'a coupon',
    many: 'coupons',
    fields: couponFields,
    id: 'code',
    filters: {
      kind: { schema: Type.Enum(['percent', 'fixed', 'promotion']), fits: equals('kind') },
      promotion: { schema: Word('Only those that open it.'), fits: equals('promotion') },
    },
  }),
  resource({
    kind: 'tax_rate',
    segment: 'tax-rates',
    name: 'TaxRate',
    one: 'a tax rate',
    many: 'tax rates',
    fields: taxRateFields,
    filters: {
      country: { schema: text(2), fits: equals('country') },
      zone: { schema: RuleWord, fits: equals('zone') },
      category: {
        schema: Word('Only those for this tax category.'),
        fits: ({ categories }, category) => (categories as readonly unknown[]).includes(category),
      },
    },
  }),
  resource({
    kind: 'zone',
    segment: 'zones',
    name: 'Zone',
    one: 'a zone',
    many: 'zones',
    fields: zoneFields,
    filters: {
      country: {
        schema: text(2),
        fits: ({ parts }, country) => (parts as readonly Fields[]).some((part) => part.country === country),
      },
    },
    bytesMax: 1024 * 1024,
  }),
  resource({
    kind: 'shipping_method',
    segment: 'shipping-methods',
    name: 'ShippingMethod',
    one: 'a shipping method',
    many: 'shipping methods',
    fields: shippingMethodFields,
  }),
];

export const Store = ruleDocument('AdminStore', null, storeFields);
export const StoreInput = Type.Object(storeFields, { $id: 'StoreInput', additionalProperties: false });
export const StoreChanges = Type.Object(changeable(storeFields), { $id: 'StoreChanges', additionalProperties: false });
export type StoreInput = Static<typeof StoreInput>;
