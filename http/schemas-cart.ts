/** The cart's public documents: what a shopper may send to a cart, and the cart as it is shown. */
import Type, { type Static } from 'typebox';
import {
  CountryCode,
  CurrencyCode,
  closed,
  Destination,
  Discount,
  ExplainedPrice,
  idOf,
  LineDiscount,
  LineId,
  listOf,
  Money,
  MoneyInput,
  Nullable,
  PathWord,
  Shipping,
  ShippingAddress,
  SKU,
  Tax,
  TaxState,
  Timestamp,
  Totals,
  text,
} from './schemas.ts';

export const QUANTITY_MAX = 999;

export const CartLine = Type.Object(
  {
    id: LineId,
    sku: Type.String(),
    name: Type.String(),
    kind: Type.Enum(['item', 'gift']),
    saleId: Type.Optional(Type.String()),
    quantity: Type.Integer({ minimum: 1 }),
    unitPrice: Money,
    subtotal: Money,
    discount: Money,
    tax: Money,
    taxIncluded: Money,
    total: Money,
    stock: Type.Enum(['ok', 'held', 'hold_expired', 'short'], {
      description: '`ok` and `short` are from a copy of the stock that is at most 2 s old; checkout decides.',
    }),
    hold: Type.Optional(Type.Object({ id: idOf('hold'), expiresAt: Timestamp })),
    price: Type.Optional(ExplainedPrice),
    discounts: Type.Optional(Type.Array(LineDiscount)),
  },
  {
    $id: 'CartLine',
    description: '`total = subtotal - discount + tax`. `tax` is added on top, `taxIncluded` is contained.',
  },
);

export const Warning = Type.Object(
  {
    code: Type.String({
      description: 'A stable word, such as `coupon_not_applicable`, `price_unavailable` or `sku_gone`.',
    }),
    subject: Nullable(Type.String({ description: 'The coupon code or sku that it is about.' })),
  },
  { $id: 'Warning' },
);

const ExemptionKind = Type.Enum(['exempt', 'reverse_charge'], {
  description:
    '`exempt`: from all rates that are `exemptible`. `reverse_charge`: from those that are marked for it; the buyer owes the tax.',
});
const Countries = Type.Array(CountryCode, { minItems: 1, maxItems: 100, uniqueItems: true });

const CartExemption = Type.Object(
  { kind: ExemptionKind, countries: Type.Optional(Type.Array(CountryCode)) },
  { description: "The buyer's, from taxes; absent: none. Its id is shown by the order." },
);

export const Cart = Type.Object(
  {
    id: idOf('cart'),
    version: Type.Integer({ minimum: 1 }),
    state: Type.Enum(['open', 'checking_out', 'checked_out', 'merged', 'expired']),
    orderId: Type.Optional(idOf('ord')),
    currency: CurrencyCode,
    destination: Nullable(Destination),
    lines: Type.Array(CartLine),
    coupons: Type.Array(Type.String()),
    discounts: Type.Array(Discount),
    shipping: Nullable(Shipping),
    totals: Totals,
    taxes: Type.Array(Tax),
    taxState: TaxState,
    exemption: Type.Optional(CartExemption),
    warnings: Type.Array(Warning),
    createdAt: Timestamp,
    updatedAt: Timestamp,
    expiresAt: Timestamp,
  },
  { $id: 'Cart', description: '`totals.total = Σ lines[].total + shipping.total`, to the last minor unit.' },
);
export type Cart = Static<typeof Cart>;

export const CartParams = Type.Object({ id: PathWord });
export const CartLineParams = Type.Object({ id: PathWord, line: PathWord });
export const CartCouponParams = Type.Object({ id: PathWord, code: PathWord });

export const ExemptionInput = closed({
  kind: ExemptionKind,
  id: text(64, 'The VAT number or the number of the certificate, as the invoice shows it. It was verified before.'),
  countries: Type.Optional({ ...Countries, description: 'Where it holds; left out: everywhere.' }),
});
export type ExemptionInput = Static<typeof ExemptionInput>;

export const CartCreateInput = closed({
  currency: Type.Optional(CurrencyCode),
  destination: Type.Optional(Destination),
  customerGroup: Type.Optional(text(64, "A group of the store's customers. Only with an operator's key.")),
  channel: Type.Optional(text(64, "A channel of the store; left out: `web`. Only with an operator's key.")),
  exemption: Type.Optional({ ...ExemptionInput, description: "From taxes. Only with an operator's key." }),
});
export type CartCreateInput = Static<typeof CartCreateInput>;
export const CartCreated = Type.Object(
  { cart: Cart, token: Type.String({ description: 'Opens this cart and the orders made from it.' }) },
  { $id: 'CartCreated' },
);

export const LineAddInput = closed({
  sku: Type.String({ minLength: 1, maxLength: 64, pattern: SKU }),
  quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }),
});
export const LineSetInput = closed({ quantity: Type.Integer({ minimum: 0, maximum: QUANTITY_MAX }) });

export const ShippingInput = closed({ method: text(64) });
export const ShippingMethod = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    price: Money,
    tax: Money,
    taxIncluded: Money,
    total: Money,
    delivery: Type.Optional(
      Type.Object(
        { minDays: Type.Integer(), maxDays: Type.Integer() },
        { description: 'Days after the order, both included.' },
      ),
    ),
    chosen: Type.Boolean({ description: 'Counts for this cart now, by choice or by default.' }),
  },
  { $id: 'ShippingMethod' },
);
export const ShippingMethodList = listOf(ShippingMethod);

/** RFC 5321 allows more; what is refused here cannot be written to a mail header or is no address of the public Internet. */
const EMAIL =
  '^[^\\s@<>()\\[\\]\\\\,;:"\\u0000-\\u0020\\u007F]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.){1,8}[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$';

export const CheckoutInput = closed({
  email: Type.String({ minLength: 6, maxLength: 254, pattern: EMAIL }),
  shippingAddress: ShippingAddress,
  billingAddress: Type.Optional(ShippingAddress),
  expectedTotal: MoneyInput,
  payment: closed({ method: Type.Literal('card'), token: Type.String({ pattern: '^[\\x21-\\x7E]{1,255}$' }) }),
});
export type CheckoutInput = Static<typeof CheckoutInput>;
