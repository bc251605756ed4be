/**
 * The parts that all public documents are made of: money, times, ids, addresses, lists, and the words that a client may send.
 * The schemas are the contract: the edge validates requests with them, the OpenAPI document is generated from them, and
 * tests hold the renderers to them. Requests are closed (`additionalProperties: false`), every string and list in one is bounded.
 *
 * Answers are described as open objects, as clients ignore fields that they do not know.
 */
import Type, { type Static, type TObject, type TSchema } from 'typebox';

/** Text that people type: something besides spaces, and no control characters (these could forge a header of an e-mail). */
export const PLAIN_TEXT = '^(?=.*\\S)[^\\u0000-\\u001F\\u007F\\u0085\\u2028\\u2029]*$';
export const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
/** Also the form of `{sku}` in the addresses of product images. */
export const SKU = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';
export const COUPON_CODE = '^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$';

export function text(maxLength: number, description?: string) {
  return Type.String({
    minLength: 1,
    maxLength,
    pattern: PLAIN_TEXT,
    ...(description === undefined ? {} : { description }),
  });
}

export function idOf(prefix: string) {
  return Type.String({ pattern: `^${prefix}_${UUID}$`, description: `\`${prefix}_\` and a UUID.` });
}

/** As in a path: any short word, so that an id of no form is answered like one that does not exist (404), not as bad input. */
export const PathWord = Type.String({ minLength: 1, maxLength: 128 });

export const Timestamp = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
  description: 'RFC 3339, in UTC, with milliseconds.',
});

export const CurrencyCode = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217, alphabetic.' });

/** 2^53 - 1 is far off; a single amount ends at 10^13 minor units, so that no sum over a cart loses a unit. */
export const AMOUNT_MAX = 10_000_000_000_000;

export const Money = Type.Object(
  {
    amount: Type.Integer({ description: "In the currency's minor unit (ISO 4217 exponent)." }),
    currency: CurrencyCode,
  },
  { $id: 'Money' },
);
export type Money = Static<typeof Money>;

export const MoneyInput = Type.Object(
  { amount: Type.Integer({ minimum: 0, maximum: AMOUNT_MAX }), currency: CurrencyCode },
  { $id: 'MoneyInput', additionalProperties: false },
);

export const CountryCode = Type.String({ pattern: '^[A-Z]{2}$', description: 'ISO 3166-1 alpha-2.' });
export const RegionCode = Type.String({
  pattern: '^[A-Z0-9]{1,3}$',
  description: 'The second half of an ISO 3166-2 code, such as `TX`.',
});

/** Where goods go, as far as tax and shipping need it. */
export const Destination = Type.Object(
  { country: CountryCode, region: Type.Optional(RegionCode), postalCode: Type.Optional(text(16)) },
  { $id: 'Destination', additionalProperties: false },
);

export const ShippingAddress = Type.Object(
  {
    name: text(120),
    line1: text(160),
    line2: Type.Optional(text(160)),
    city: text(120),
    region: Type.Optional(RegionCode),
    postalCode: text(16),
    country: CountryCode,
  },
  { $id: 'ShippingAddress', additionalProperties: false },
);
export type ShippingAddress = Static<typeof ShippingAddress>;

export const Totals = Type.Object(
  {
    subtotal: Money,
    discount: Money,
    shipping: Money,
    taxAdded: Money,
    taxIncluded: Money,
    total: Money,
  },
  { $id: 'Totals', description: '`total = subtotal - discount + shipping + taxAdded`, to the last minor unit.' },
);

export const Tax = Type.Object(
  {
    name: Type.String(),
    rate: Type.Number({
      minimum: 0,
      description: 'A fraction with at most six decimals: 0.0825 is 8.25 %. The JSON text is the exact rate.',
    }),
    base: Money,
    amount: Money,
    included: Type.Boolean({ description: 'True: contained in the prices. False: added on top of them.' }),
    id: Type.Optional(Type.String({ description: "The rate's id; absent where an outside provider named it." })),
    exempt: Type.Optional(Type.Enum(['exempt', 'reverse_charge'])),
  },
  { $id: 'Tax' },
);

export const Discount = Type.Object(
  {
    code: Type.String({ description: "The coupon's code; of an automatic promotion its id." }),
    label: Type.String(),
    amount: Money,
    promotion: Type.Optional(Type.String()),
    shipping: Type.Optional(Money),
  },
  { $id: 'Discount', description: '`amount` is taken off the goods, `shipping` off the shipping.' },
);

/** What one promotion took off one line, or off the shipping. */
export const LineDiscount = Type.Object(
  {
    promotion: Type.String({ description: 'Its id; of a coupon with terms of its own `coupon:` and its code.' }),
    code: Type.Optional(Type.String({ description: 'The coupon that opened it.' })),
    label: Type.String(),
    amount: Money,
    why: Type.Enum(['percent', 'amount', 'fixed_price', 'buy_get', 'tiers', 'shipping', 'gift']),
    units: Type.Optional(Type.Integer({ description: 'Of the line, where the action counts units.' })),
  },
  { $id: 'LineDiscount' },
);

/** Where a unit price comes from. */
export const ExplainedPrice = Type.Object(
  {
    list: Nullable(Type.String({ description: "The price list's id; null: the product's own price." })),
    tier: Type.Integer({ minimum: 1, description: 'From how many units on it is the price.' }),
    compareAt: Type.Optional(Money),
    sale: Type.Optional(Type.Boolean()),
    locked: Type.Optional(Type.Boolean({ description: 'Kept until the hold expires.' })),
    listed: Type.Optional(Money),
  },
  {
    $id: 'ExplainedPrice',
    description:
      "Absent: the product's own price, with nothing to compare it with. `listed`: as listed, where taxes were taken out or put in.",
  },
);

export const Shipping = Type.Object(
  {
    method: Type.String(),
    price: Money,
    tax: Money,
    taxIncluded: Money,
    total: Money,
    listPrice: Type.Optional(Money),
    discounts: Type.Optional(Type.Array(LineDiscount)),
    delivery: Type.Optional(
      Type.Object(
        { minDays: Type.Integer(), maxDays: Type.Integer() },
        { description: 'Days after the order, both included.' },
      ),
    ),
    byCarrier: Type.Optional(Type.Boolean()),
  },
  { $id: 'Shipping', description: '`total = price + tax`; `listPrice` is before promotions.' },
);

/** Of a line of a cart or an order: the buyer's own, or a gift's. */
export const LineId = Type.String({
  pattern: `^(lin_${UUID}|gift_[a-z0-9_-]{1,64})$`,
  description: '`lin_` and a UUID; of a gift `gift_` and the id of its promotion.',
});

export const TaxState = Type.Enum(['unknown', 'estimated', 'final'], {
  description:
    '`unknown`: no destination yet. `estimated`: priced for a destination. `final`: priced for a full address.',
});

export const LIST_LIMIT_MAX = 100;
export const LIST_LIMIT_DEFAULT = 20;

/** A filter of a list; an empty one, as a form sends it, filters nothing. */
export function filterText(maxLength: number, description: string) {
  return Type.String({ maxLength, pattern: '^[^\\u0000-\\u001F\\u007F\\u0085\\u2028\\u2029]*$', description });
}

/** `?since=` of a list; whether there is such a day is for its route to say. */
export function sinceTime(description: string) {
  return Type.String({
    pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(?:\\.\\d{1,9})?(?:Z|[+-]\\d{2}:\\d{2})$',
    description,
  });
}

/** `?limit=` and `?cursor=`, as every list takes them. A cursor of any form is looked at by its list: `cursor_invalid`. */
export const listQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, default: LIST_LIMIT_DEFAULT })),
  cursor: Type.Optional(
    Type.String({
      maxLength: 4096,
      description: 'Opaque, from `nextCursor`; bound to the other parameters.',
    }),
  ),
};

export function listOf<Item extends TSchema>(item: Item) {
  return Type.Object({ items: Type.Array(item), nextCursor: Nullable(Type.String()) });
}

export function Nullable<S extends TSchema>(schema: S) {
  return Type.Union([schema, Type.Null()]);
}

/** A closed object: what a request may carry, and nothing else. */
export function closed<P extends Record<string, TSchema>>(properties: P): TObject<P> {
  return Type.Object(properties, { additionalProperties: false });
}
