/** The order's public document, and what operators see of orders and payments. */
import Type, { type Static } from 'typebox';
import {
  CountryCode,
  CurrencyCode,
  closed,
  Discount,
  ExplainedPrice,
  idOf,
  LineDiscount,
  LineId,
  listOf,
  listQuery,
  Money,
  Nullable,
  PathWord,
  Shipping,
  ShippingAddress,
  sinceTime,
  Tax,
  Timestamp,
  Totals,
} from './schemas.ts';

export const OrderState = Type.Enum(['pending', 'confirmed', 'cancelled', 'failed', 'refunded']);
export const PaymentState = Type.Enum([
  'none',
  'unknown',
  'requires_action',
  'authorized',
  'captured',
  'voided',
  'partially_refunded',
  'refunded',
  'declined',
]);

const priced = { description: 'Absent until the order has been priced.' };

export const OrderLine = Type.Object(
  {
    id: LineId,
    sku: Type.String(),
    kind: Type.Enum(['item', 'gift']),
    quantity: Type.Integer({ minimum: 1 }),
    name: Type.Optional(Type.String(priced)),
    unitPrice: Type.Optional(Money),
    subtotal: Type.Optional(Money),
    discount: Type.Optional(Money),
    tax: Type.Optional(Money),
    taxIncluded: Type.Optional(Money),
    total: Type.Optional(Money),
    price: Type.Optional(ExplainedPrice),
    discounts: Type.Optional(Type.Array(LineDiscount)),
  },
  {
    $id: 'OrderLine',
    description:
      'Name and amounts are absent until the order has been priced (state `pending`, or `failed` before it).',
  },
);

export const Refund = Type.Object(
  {
    id: Type.String(),
    amount: Money,
    lines: Type.Array(Type.Object({ id: Type.String(), quantity: Type.Integer() })),
    restock: Type.Boolean(),
    reason: Type.String(),
    state: Type.String(),
  },
  { $id: 'Refund' },
);

export const OrderPayment = Type.Object(
  {
    state: PaymentState,
    provider: Nullable(Type.String()),
    reference: Nullable(Type.String({ description: "The provider's id of the payment." })),
    declineCode: Type.Optional(Type.String()),
  },
  { $id: 'OrderPayment' },
);

export const Order = Type.Object(
  {
    id: idOf('ord'),
    version: Type.Integer({ minimum: 0 }),
    cartId: idOf('cart'),
    state: OrderState,
    fulfilment: Type.Enum(['none', 'partial', 'full']),
    currency: CurrencyCode,
    lines: Type.Array(OrderLine),
    discounts: Type.Array(Discount),
    shipping: Nullable(Shipping),
    totals: Nullable(Totals),
    taxes: Type.Array(Tax),
    taxSource: Type.Optional(
      Type.Object(
        { provider: Type.String(), fallback: Type.Optional(Type.Enum(['timeout', 'unavailable', 'invalid'])) },
        { description: 'Who said what the taxes are; absent: the rates of the shop.' },
      ),
    ),
    exemption: Type.Optional(
      Type.Object(
        {
          kind: Type.Enum(['exempt', 'reverse_charge']),
          id: Nullable(Type.String({ description: 'As the invoice shows it; null once the person has been erased.' })),
          countries: Type.Optional(Type.Array(CountryCode)),
        },
        { description: 'What spared a tax, or what the tax provider was told of.' },
      ),
    ),
    email: Nullable(Type.String({ description: 'Null once the person has been erased.' })),
    shippingAddress: Nullable(ShippingAddress),
    payment: OrderPayment,
    refunds: Type.Array(Refund),
    failure: Type.Optional(Type.String({ description: 'State `failed`: why, in the words of the problem codes.' })),
    placedAt: Timestamp,
  },
  {
    $id: 'Order',
    description:
      '`email` and `shippingAddress` are null once the person has been erased; `totals` is null until the order has been priced.',
  },
);
export type Order = Static<typeof Order>;

/** The body of a provider's notice; which payment, and how it stands, the provider is asked. */
export const PaymentNotice = closed({
  type: Type.String({ pattern: '^[a-z][a-z_.]{0,63}$', description: 'Such as `payment.authorized`.' }),
  reference: idOf('ord'),
  paymentId: Type.Optional(Type.String({ pattern: '^[!-~]{1,255}$' })),
  state: Type.Optional(Type.Enum(['authorized', 'captured', 'voided', 'refunded'])),
});
export type PaymentNotice = Static<typeof PaymentNotice>;

export const OrderParams = Type.Object({ id: PathWord });
export const OrderList = listOf(Order);
export const OrderListQuery = closed({
  state: Type.Optional(OrderState),
  cartId: Type.Optional(PathWord),
  sort: Type.Optional(Type.Enum(['-placedAt'], { description: 'Newest first.' })),
  ...listQuery,
});

export const AdminPayment = Type.Object(
  {
    id: Nullable(Type.String({ description: "The provider's id; null until it has one." })),
    orderId: idOf('ord'),
    cartId: idOf('cart'),
    state: PaymentState,
    amount: Money,
    provider: Nullable(Type.String()),
    reference: Type.String({ description: 'What the provider knows the payment by: the id of the order.' }),
    history: Type.Array(Type.Object({ state: PaymentState, at: Timestamp })),
    problem: Type.Optional(
      Type.String({ description: 'What the provider has refused for good, and why: somebody has to look after it.' }),
    ),
  },
  { $id: 'AdminPayment' },
);
export const AdminPaymentList = listOf(AdminPayment);
export const AdminPaymentQuery = closed({
  orderId: Type.Optional(PathWord),
  cartId: Type.Optional(PathWord),
  state: Type.Optional(PaymentState),
  since: Type.Optional(sinceTime('RFC 3339: placed at or after this time.')),
  sort: Type.Optional(Type.Enum(['-placedAt'], { description: 'Newest first.' })),
  ...listQuery,
});
