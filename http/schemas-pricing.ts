/** A dry run of pricing: the cart that is asked about, what it would cost, and why. */
import Type, { type Static, type TSchema } from 'typebox';
import {
  CurrencyCode,
  closed,
  Destination,
  Money,
  Nullable,
  Shipping,
  SKU,
  Tax,
  TaxState,
  Timestamp,
  Totals,
  text,
} from './schemas.ts';
import { ExemptionInput, QUANTITY_MAX, Warning } from './schemas-cart.ts';
import { couponFields, promotionFields, promotionGroupFields } from './schemas-promotions.ts';
import {
  priceListFields,
  RuleWord,
  shippingMethodFields,
  storeFields,
  taxRateFields,
  zoneFields,
} from './schemas-rules.ts';

const named = <Fields extends Record<string, TSchema>>(fields: Fields) =>
  Type.Optional(closed({ id: RuleWord, ...fields }));

/** One of each kind at most: a tax rate can be tried with the zone that it is for. */
const Draft = Type.Object(
  {
    store: Type.Optional(closed(storeFields)),
    zone: named(zoneFields),
    taxRate: named(taxRateFields),
    shippingMethod: named(shippingMethodFields),
    priceList: named(priceListFields),
    promotion: named(promotionFields),
    promotionGroup: named(promotionGroupFields),
    coupon: Type.Optional(closed({ code: RuleWord, ...couponFields })),
  },
  {
    additionalProperties: false,
    description:
      'Rules that the cart is priced by as if they were stored, in place of those of the same id. They are checked as a write of them would be, and not stored.',
  },
);

export const PricingInput = Type.Object(
  {
    currency: Type.Optional(CurrencyCode),
    lines: Type.Array(
      closed({
        sku: Type.String({ minLength: 1, maxLength: 64, pattern: SKU }),
        quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }),
      }),
      { minItems: 1, maxItems: 200 },
    ),
    destination: Type.Optional(Destination),
    coupons: Type.Optional(Type.Array(text(64), { maxItems: 20 })),
    shippingMethod: Type.Optional(RuleWord),
    customerGroup: Type.Optional(RuleWord),
    channel: Type.Optional(RuleWord),
    firstOrder: Type.Optional(Type.Boolean()),
    exemption: Type.Optional(ExemptionInput),
    at: Type.Optional({ ...Timestamp, description: 'When it is bought. Left out: now.' }),
    draft: Type.Optional(Draft),
  },
  { $id: 'PricingInput', additionalProperties: false },
);
export type PricingInput = Static<typeof PricingInput>;

const Taken = Type.Object({
  promotion: Type.String(),
  code: Type.Optional(Type.String()),
  label: Type.String(),
  amount: Money,
  why: Type.String({ description: "The kind of the promotion's action." }),
  units: Type.Optional(Type.Integer()),
});
const Line = Type.Object({
  id: Type.String(),
  sku: Type.String(),
  name: Type.String(),
  kind: Type.Enum(['item', 'gift']),
  quantity: Type.Integer(),
  unitPrice: Money,
  subtotal: Money,
  discount: Money,
  tax: Money,
  taxIncluded: Money,
  total: Money,
  price: Type.Object({
    list: Nullable(Type.String({ description: "The price list; null: the product's own price." })),
    tier: Type.Integer({ description: 'The quantity that the tier begins with.' }),
    compareAt: Type.Optional(Money),
    sale: Type.Boolean(),
    listed: Type.Optional(Money),
  }),
  discounts: Type.Array(Taken),
});

export const PricingQuote = Type.Object(
  {
    currency: CurrencyCode,
    lines: Type.Array(Line),
    discounts: Type.Array(
      Type.Object({ code: Type.String(), label: Type.String(), amount: Money, shippingAmount: Money }),
    ),
    shipping: Nullable(Shipping),
    totals: Totals,
    taxes: Type.Array(Tax),
    taxState: TaxState,
    blocked: Nullable(Type.String({ description: 'Why it could not be ordered.' })),
    warnings: Type.Array(Warning),
    changesAt: Nullable(Timestamp),
  },
  { $id: 'PricingQuote' },
);

const because = Type.String({ description: 'A stable word.' });
const Explanation = Type.Object(
  {
    priceLists: Type.Array(Type.Object({ list: Type.String(), because })),
    lines: Type.Array(
      Type.Object({
        id: Type.String(),
        sku: Type.String(),
        because,
        prices: Type.Array(
          Type.Object({
            list: Nullable(Type.String()),
            because,
            tiers: Type.Optional(Type.Array(Type.Object({ from: Type.Integer(), because }))),
          }),
        ),
      }),
    ),
    promotions: Type.Array(Type.Object({ promotion: Type.String(), label: Type.String(), because })),
    coupons: Type.Array(Type.Object({ code: Type.String(), because })),
    taxes: Type.Array(Type.Object({ rate: Type.String(), because })),
    shipping: Type.Array(Type.Object({ method: Type.String(), because, price: Type.Optional(Money) })),
  },
  {
    $id: 'PricingExplanation',
    description: 'What was looked at, in the order in which it was, and why each counted or did not.',
  },
);

export const PricingAnswer = Type.Object(
  { at: Timestamp, bookVersion: Type.Integer(), quote: PricingQuote, explanation: Explanation },
  { $id: 'PricingAnswer' },
);
