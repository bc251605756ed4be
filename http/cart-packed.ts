/**
 * A priced cart as a positional value without names, about a fifth of its JSON: this is what is kept under an idempotency key,
 * and a replay writes the document anew from it. Positions are never reused; a later version appends.
 */
import type { Destination, Quote, QuotedDiscount, QuotedLine, QuotedTax, TaxExemption } from '../workers/quote.ts';
import { type CartFacts, factsOf, type LineFacts, type ShownState } from './cart-document.ts';

export function packCart(cart: CartFacts, quote: Quote): unknown[] {
  const { request } = cart;
  const destination = request.destination;
  const lines: unknown[] = [];
  for (let i = 0; i < quote.lines.length; i++) {
    const line = quote.lines[i] as QuotedLine;
    const facts = factsOf(cart, line.id, i);
    lines.push(line.id, line.sku, line.name, line.quantity, line.unitPrice, line.subtotal, line.discount);
    lines.push(line.tax, line.taxIncluded, line.total, facts.stock, facts.holdId, facts.holdExpiresAt);
  }
  const shipping = quote.shipping;
  return [
    [cart.id, cart.version, cart.state, cart.orderId, cart.createdAt, cart.updatedAt, cart.expiresAt],
    [
      request.currency,
      request.shippingMethod,
      request.coupons,
      ...(request.exemption ? [packExemption(request.exemption)] : []),
    ],
    destination === null ? null : [destination.country, destination.region ?? null, destination.postalCode ?? null],
    lines,
    [
      quote.bookVersion,
      quote.taxState,
      quote.subtotal,
      quote.discount,
      quote.shippingPrice,
      quote.taxAdded,
      quote.taxIncluded,
      quote.total,
    ],
    shipping === null ? null : [shipping.method, shipping.price, shipping.tax, shipping.taxIncluded, shipping.total],
    quote.discounts.map((discount) => [discount.code, discount.label, discount.amount]),
    quote.taxes.map(packTax),
    quote.warnings,
    ...(isPlain(quote) ? [] : [explanationsOf(quote)]),
  ];
}

type PackedExemption = [kind: TaxExemption['kind'], countries: readonly string[] | null];

/** Its id is not shown. */
function packExemption({ kind, countries }: TaxExemption): PackedExemption {
  return [kind, countries ?? null];
}

function unpackExemption([kind, countries]: PackedExemption): TaxExemption {
  return { kind, id: '', ...(countries === null ? undefined : { countries }) };
}

type PackedTax = [
  name: string,
  ratePpm: number,
  base: number,
  amount: number,
  included: boolean,
  id?: string | null,
  exempt?: string,
];

function packTax({ name, ratePpm, base, amount, included, id, exempt }: QuotedTax): PackedTax {
  const plain = [name, ratePpm, base, amount, included] as const;
  if (exempt !== undefined) return [...plain, id ?? null, exempt];
  return id === undefined ? [...plain] : [...plain, id];
}

function unpackTax([name, ratePpm, base, amount, included, id, exempt]: PackedTax): QuotedTax {
  const more = { id: id ?? undefined, exempt: exempt as QuotedTax['exempt'] };
  return { name, ratePpm, base, amount, included, ...said(more) };
}

type Shipped = NonNullable<Quote['shipping']>;

/** What a quote says beside its figures, by name and only where it does. */
type Explanations = [
  lines: Partial<QuotedLine>[],
  discounts: Partial<QuotedDiscount>[],
  shipping: Partial<Shipped> | null,
  quote: Pick<Quote, 'taxSource'>,
];

/** Nothing is said: so it is of most carts, and takes no room. */
function isPlain({ lines, discounts, shipping, taxSource }: Quote): boolean {
  return (
    taxSource === undefined &&
    (shipping === null || isPlainShipping(shipping)) &&
    lines.every(({ kind, price, discounts: parts }) => (kind ?? price ?? parts) === undefined) &&
    discounts.every(({ promotion, shippingAmount }) => (promotion ?? shippingAmount) === undefined)
  );
}

function isPlainShipping({ listPrice, discounts, delivery, byCarrier }: Shipped): boolean {
  return (listPrice ?? discounts ?? delivery ?? byCarrier) === undefined;
}

function explanationsOf({ lines, discounts, shipping, taxSource }: Quote): Explanations {
  return [
    lines.map(({ kind, price, discounts: parts }) => said({ kind, price, discounts: parts })),
    discounts.map(({ promotion, shippingAmount }) => said({ promotion, shippingAmount })),
    shipping === null ? null : shippingSaid(shipping),
    said({ taxSource }),
  ];
}

function shippingSaid({ listPrice, discounts, delivery, byCarrier }: Shipped): Partial<Shipped> {
  return said({ listPrice, discounts, delivery, byCarrier });
}

/** Without what is not said: msgpack would keep it as null. */
function said<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function explained(quote: Quote, [lines, discounts, shipping, whole]: Explanations): Quote {
  return {
    ...quote,
    lines: quote.lines.map((line, i) => ({ ...line, ...lines[i] })),
    discounts: quote.discounts.map((discount, i) => ({ ...discount, ...discounts[i] })),
    shipping: quote.shipping === null ? null : { ...quote.shipping, ...shipping },
    ...whole,
  };
}

const LINE_FIELDS = 13;

type PackedHead = [string, number, ShownState, string | null, number, number, number];
type PackedRequest = [string, string | null, string[], PackedExemption?];
type PackedLines = (string | number | null)[];
type PackedTotals = [number, Quote['taxState'], number, number, number, number, number, number];

export function unpackCart(packed: unknown[]): { readonly cart: CartFacts; readonly quote: Quote } {
  const [id, version, state, orderId, createdAt, updatedAt, expiresAt] = packed[0] as PackedHead;
  const [currency, shippingMethod, coupons, exemption] = packed[1] as PackedRequest;
  const place = packed[2] as [string, string | null, string | null] | null;
  const [bookVersion, taxState, subtotal, discount, shippingPrice, taxAdded, taxIncluded, total] =
    packed[4] as PackedTotals;
  const shipping = packed[5] as [string, number, number, number, number] | null;
  const explanations = packed[9] as Explanations | undefined;
  const { quoted, facts } = unpackLines(packed[3] as PackedLines);
  const destination: Destination | null =
    place === null
      ? null
      : {
          country: place[0],
          ...(place[1] === null ? undefined : { region: place[1] }),
          ...(place[2] === null ? undefined : { postalCode: place[2] }),
        };
  const cart: CartFacts = {
    id,
    version,
    state,
    orderId,
    request: {
      currency,
      lines: quoted.map((line) => ({ id: line.id, sku: line.sku, quantity: line.quantity })),
      destination,
      coupons,
      shippingMethod,
      ...(exemption === undefined ? undefined : { exemption: unpackExemption(exemption) }),
    },
    lines: facts,
    createdAt,
    updatedAt,
    expiresAt,
  };
  const quote: Quote = {
    bookVersion,
    currency,
    lines: quoted,
    discounts: (packed[6] as [string, string, number][]).map(([code, label, amount]) => ({ code, label, amount })),
    shipping:
      shipping === null
        ? null
        : { method: shipping[0], price: shipping[1], tax: shipping[2], taxIncluded: shipping[3], total: shipping[4] },
    taxes: (packed[7] as PackedTax[]).map(unpackTax),
    taxState,
    subtotal,
    discount,
    shippingPrice,
    taxAdded,
    taxIncluded,
    total,
    warnings: packed[8] as string[],
  };
  return { cart, quote: explanations === undefined ? quote : explained(quote, explanations) };
}

function unpackLines(packed: PackedLines): { quoted: QuotedLine[]; facts: LineFacts[] } {
  const quoted: QuotedLine[] = [];
  const facts: LineFacts[] = [];
  for (let i = 0; i < packed.length; i += LINE_FIELDS) {
    const number = (field: number): number => packed[i + field] as number;
    quoted.push({
      id: packed[i] as string,
      sku: packed[i + 1] as string,
      name: packed[i + 2] as string,
      quantity: number(3),
      unitPrice: number(4),
      subtotal: number(5),
      discount: number(6),
      tax: number(7),
      taxIncluded: number(8),
      total: number(9),
    });
    facts.push({ stock: number(10), holdId: packed[i + 11] as string | null, holdExpiresAt: number(12) });
  }
  return { quoted, facts };
}
