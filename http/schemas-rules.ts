/**
 * The commercial rules as operators send and see them: prices, taxes, places, shipping, the store. These say which fields there are
 * and what they mean; what values they may have, and which go together, is checked by `schema/` (`rule-check.ts`, `rule-set.ts`) with words
 * of its own. Rates are in parts per million (8.25 % = 82,500), amounts integers in minor units.
 *
 * Of each kind there are: the fields of a document, what a change of some of them may carry (null takes an optional one away),
 * and the document with its version.
 */
import Type, { type TProperties, type TSchema } from 'typebox';
import { closed, Nullable, Timestamp, text } from './schemas.ts';

/** Of a document, a customer group, a channel, a service. */
export const RuleWord = Type.String({ minLength: 1, maxLength: 64 });
export const Words = Type.Array(RuleWord, { maxItems: 100 });
export const RatePpm = Type.Integer({ description: 'Parts per million: 82500 is 8.25 %. At most 1000000.' });
export const Amounts = Type.Record(Type.String({ minLength: 1, maxLength: 8 }), Type.Integer(), {
  maxProperties: 32,
  description: 'Minor units by currency.',
});
export const Validity = Type.Object(
  { from: Type.Optional(Timestamp), until: Type.Optional(Timestamp) },
  {
    additionalProperties: false,
    description: 'It holds from `from` on (included) until `until` (excluded), on every node and without another call.',
  },
);
export const Priority = Type.Integer({ default: 1000, description: '0 to 10000; lower comes first, then by id.' });

const PriceTaxes = Type.Object(
  {
    kind: Type.Enum(['as_rate', 'net', 'gross']),
    home: Type.Optional(closed({ country: text(2), region: Type.Optional(text(3)) })),
  },
  {
    additionalProperties: false,
    description:
      'What the prices say of tax. `as_rate`: they stand in every market, rates with `included` are contained. `net`: without tax. `gross`: with the taxes of `home`, converted where the destination has others.',
  },
);

const listedPrice = {
  amount: Type.Integer({ description: 'Minor units for one.' }),
  tiers: Type.Optional(
    Type.Array(closed({ from: Type.Integer(), amount: Type.Integer() }), {
      maxItems: 20,
      description: 'From so many units of a line on, all its units cost this.',
    }),
  ),
  compareAt: Type.Optional(Type.Integer({ description: 'A former or usual price, above `amount`.' })),
};
const Entry = closed({
  ...listedPrice,
  changes: Type.Optional(
    Type.Array(closed({ at: Timestamp, ...listedPrice }), {
      maxItems: 20,
      description: 'Scheduled: each replaces the price before it at its time.',
    }),
  ),
});
const entriesOf = (entry: TSchema) =>
  Type.Record(Type.String({ minLength: 1, maxLength: 64 }), entry, {
    maxProperties: 20_000,
    description: 'Prices by sku.',
  });

export const priceListTerms = {
  name: text(200),
  currency: text(3),
  priority: Type.Optional(Priority),
  customerGroups: Type.Optional(Words),
  channels: Type.Optional(Words),
  validity: Type.Optional(Validity),
  priceTaxes: Type.Optional(PriceTaxes),
  sale: Type.Optional(Type.Boolean({ description: 'What it sells is on sale.' })),
};
export const priceListFields = { ...priceListTerms, entries: entriesOf(Entry) };
export const priceListChanges = {
  ...changeable(priceListTerms),
  entries: Type.Optional(entriesOf(Nullable(Entry))),
};

export const taxRateFields = {
  name: text(200),
  country: Type.Optional(text(2)),
  region: Type.Optional(Nullable(text(3))),
  zone: Type.Optional(RuleWord),
  categories: Type.Array(Type.String({ maxLength: 32 }), {
    maxItems: 100,
    description: 'Tax categories of products and of shipping.',
  }),
  ratePpm: RatePpm,
  included: Type.Boolean({ description: 'True: prices contain it. False: it is added on top.' }),
  compound: Type.Optional(Type.Boolean({ description: 'On the price with the taxes before it.' })),
  validity: Type.Optional(Validity),
  reverseCharge: Type.Optional(Type.Boolean({ description: 'A buyer with a valid id owes it instead of the store.' })),
  exemptible: Type.Optional(Type.Boolean({ default: true })),
};

export const zoneFields = {
  name: text(200),
  parts: Type.Array(
    closed({
      country: text(2),
      regions: Type.Optional(Type.Array(text(3), { maxItems: 100 })),
      postalPrefixes: Type.Optional(Type.Array(text(10), { maxItems: 1_000 })),
    }),
    { maxItems: 300, description: 'A place is in the zone when it is in one of these.' },
  ),
};

const Delivery = Type.Object(
  { minDays: Type.Integer(), maxDays: Type.Integer() },
  { additionalProperties: false, description: 'In days after the order.' },
);
const Band = closed({
  maxWeightGrams: Type.Optional(Type.Integer()),
  maxSubtotal: Type.Optional(Amounts),
  maxItems: Type.Optional(Type.Integer()),
  prices: Amounts,
});
export const shippingMethodFields = {
  name: text(200),
  taxCategory: Type.String({ maxLength: 32 }),
  place: Type.Optional(Type.Integer({ default: 0, description: 'Lower is offered first, then by id.' })),
  zones: Type.Array(
    closed({
      countries: Nullable(Type.Array(text(2), { maxItems: 300 })),
      zone: Type.Optional(RuleWord),
      prices: Amounts,
      bands: Type.Optional(
        Type.Array(Band, { maxItems: 50, description: 'The first that the cart keeps within counts.' }),
      ),
      freeFrom: Type.Optional(Amounts),
      delivery: Type.Optional(Delivery),
    }),
    { maxItems: 100, description: 'The first that has the destination counts. `countries` null: everywhere else.' },
  ),
  delivery: Type.Optional(Delivery),
  validity: Type.Optional(Validity),
  customerGroups: Type.Optional(Words),
  channels: Type.Optional(Words),
  carrierService: Type.Optional(text(200, "The carrier's name for it: asked for the price at checkout.")),
};

export const storeFields = {
  defaultCurrency: text(3),
  currencies: Type.Array(text(3), { maxItems: 32 }),
  defaultShipping: Nullable(RuleWord),
  taxRounding: Type.Optional(closed({ mode: Type.Enum(['half_up', 'half_even']), per: Type.Enum(['line', 'order']) })),
  priceTaxes: Type.Optional(PriceTaxes),
  shippingTaxedAs: Type.Optional(Type.Enum(['method', 'goods'])),
  discountMaxPpm: Type.Optional(RatePpm),
  customerGroups: Type.Optional(Words),
  channels: Type.Optional(Words),
};

/** What may be sent of some fields: null for one that may be left out. */
export function changeable(fields: TProperties): TProperties {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      name,
      Type.Optional(Type.IsOptional(field) ? Nullable(field) : field),
    ]),
  );
}

/** A document as it is answered. `id` is the field that names it; null: there is only one. */
export function ruleDocument($id: string, id: string | null, fields: TProperties) {
  const named: TProperties = id === null ? {} : { [id]: Type.String() };
  const kept: TProperties = { version: Type.Integer({ minimum: 0 }), updatedAt: Nullable(Timestamp) };
  return Type.Object({ ...named, ...fields, ...kept }, { $id });
}
