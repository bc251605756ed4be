/**
 * Promotions, groups of them and coupons, as operators send and see them (see `schemas-rules.ts`). What an action of each kind has is
 * told beside its fields.
 */
import Type from 'typebox';
import { closed, text } from './schemas.ts';
import { Amounts, Priority, RatePpm, RuleWord, Validity, Words } from './schemas-rules.ts';

const Skus = Type.Array(Type.String({ maxLength: 64 }), { maxItems: 1_000 });
const Categories = Type.Array(text(200), { maxItems: 1_000 });
const Selector = Type.Object(
  {
    skus: Type.Optional(Skus),
    categories: Type.Optional(Categories),
    exceptSkus: Type.Optional(Skus),
    exceptCategories: Type.Optional(Categories),
    notOnSale: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false, description: 'Which goods; empty: all.' },
);
const Off = Type.Object(
  {
    kind: Type.Enum(['percent', 'amount', 'price']),
    ratePpm: Type.Optional(RatePpm),
    amounts: Type.Optional(Amounts),
    prices: Type.Optional(Amounts),
  },
  {
    additionalProperties: false,
    description: '`percent` has `ratePpm`, `amount` has `amounts`, `price` (shipping only) `prices`.',
  },
);
const Tier = closed({
  fromQuantity: Type.Optional(Type.Integer()),
  fromSubtotal: Type.Optional(Amounts),
  off: Off,
});
const Action = Type.Object(
  {
    kind: Type.Enum(['percent', 'amount', 'fixed_price', 'buy_get', 'tiers', 'shipping', 'gift']),
    items: Type.Optional(Selector),
    ratePpm: Type.Optional(RatePpm),
    amounts: Type.Optional(Amounts),
    prices: Type.Optional(Amounts),
    per: Type.Optional(Type.Enum(['order', 'line', 'unit'])),
    quantity: Type.Optional(Type.Integer()),
    buy: Type.Optional(closed({ items: Selector, quantity: Type.Integer() })),
    get: Type.Optional(closed({ items: Selector, quantity: Type.Integer(), ratePpm: RatePpm })),
    timesMax: Type.Optional(Type.Integer()),
    tiers: Type.Optional(Type.Array(Tier, { maxItems: 20 })),
    methods: Type.Optional(Words),
    off: Type.Optional(Off),
    sku: Type.Optional(Type.String({ maxLength: 64 })),
  },
  {
    additionalProperties: false,
    description: [
      '`percent`: `items`, `ratePpm`, `per?` (order, line).',
      '`amount`: `items`, `amounts`, `per?` (order, unit).',
      '`fixed_price`: `items`, `quantity?`, `prices` for so many together.',
      '`buy_get`: `buy`, `get` (its cheapest units are taken off by `ratePpm`), `timesMax?`.',
      '`tiers`: `items`, `tiers`, all by `fromQuantity` or all by `fromSubtotal`.',
      '`shipping`: `off`, `methods?`.',
      '`gift`: `sku`, `quantity?`.',
    ].join(' '),
  },
);
const Units = Type.Object(
  { min: Type.Optional(Type.Integer()), max: Type.Optional(Type.Integer()) },
  { additionalProperties: false },
);
const Sums = Type.Object(
  { min: Type.Optional(Amounts), max: Type.Optional(Amounts) },
  { additionalProperties: false, description: 'Before any discount.' },
);
const Conditions = Type.Object(
  {
    goods: Type.Optional(
      Type.Array(closed({ items: Selector, quantity: Type.Optional(Units), subtotal: Type.Optional(Sums) }), {
        maxItems: 20,
      }),
    ),
    customerGroups: Type.Optional(Words),
    channels: Type.Optional(Words),
    firstOrder: Type.Optional(Type.Boolean()),
    zones: Type.Optional(Words),
  },
  { additionalProperties: false, description: 'All that is given must hold.' },
);

export const promotionFields = {
  label: text(200, 'As shown to the buyer.'),
  active: Type.Optional(Type.Boolean({ default: true })),
  trigger: Type.Enum(['automatic', 'coupon'], {
    description: '`coupon`: only where a coupon that opens it is in the cart.',
  }),
  validity: Type.Optional(Validity),
  conditions: Type.Optional(Conditions),
  action: Action,
  priority: Type.Optional(Priority),
  last: Type.Optional(Type.Boolean({ description: 'Where it did something, no promotion or coupon after it does.' })),
  maxAmount: Type.Optional(Amounts),
};

export const promotionGroupFields = {
  promotions: Type.Array(RuleWord, { maxItems: 200, description: 'Of these at most one applies to a cart.' }),
  choose: Type.Enum(['first', 'best']),
};

export const couponFields = {
  label: text(200, 'As shown to the buyer.'),
  kind: Type.Enum(['percent', 'fixed', 'promotion'], {
    description: '`percent` has `ratePpm`, `fixed` has `amounts`, `promotion` opens the one whose id it names.',
  }),
  ratePpm: Type.Optional(RatePpm),
  amounts: Type.Optional(Amounts),
  promotion: Type.Optional(RuleWord),
  minSubtotal: Type.Optional(Amounts),
  validity: Type.Optional(Validity),
  limits: Type.Optional(closed({ total: Type.Optional(Type.Integer()), perCustomer: Type.Optional(Type.Integer()) })),
};
