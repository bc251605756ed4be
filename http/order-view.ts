/**
 * The order as the contract shows it, and the responder of orders. Actors know an order without personal data; e-mail and
 * address stay sealed in what crosses from the actor to the edge and in what is recorded under a key, and are opened here, for
 * the answer alone. After an erasure they are null and the rest of the order still stands.
 */
import { Packr } from 'msgpackr';
import type { OrderDoc, OrderLineRequest, OrderReply } from '../actors/order-protocol.ts';
import type { ActorRef, RenderContext, Rendered, Responder } from '../runtime/actor.ts';
import { invariant } from '../runtime/fault.ts';
import type { Quote, QuotedLine } from '../workers/quote.ts';
import type { Subjects } from './app.ts';
import { openId } from './exemption.ts';
import {
  explainDiscount,
  explainLine,
  explainShipping,
  explainTax,
  explainTaxes,
  type MoneyMaker,
} from './explained-quote.ts';
import { rateOf, timestamp } from './json.ts';
import { problem } from './problem.ts';
import type { EdgeReply } from './reply.ts';
import type { ShippingAddress } from './schemas.ts';
import type { Order } from './schemas-order.ts';

/** What is sealed at checkout. */
export interface Contact {
  readonly email: string;
  readonly shippingAddress: ShippingAddress;
  readonly billingAddress?: ShippingAddress;
}

/** An order on its way to the edge, its contact still sealed. */
export interface OrderAnswer {
  readonly order: OrderDoc;
  readonly status: number;
  readonly replayed: boolean;
}

const FORM = 1;
const packr = new Packr({ useRecords: false });

export function orderResponder(): Responder<unknown, OrderReply> {
  return {
    render(_ref: ActorRef, _state: unknown, reply: OrderReply, ctx: RenderContext): Rendered {
      if (!reply.ok) return { value: problem(reply.code) };
      invariant(reply.kind === 'order', 'only documents of orders are rendered');
      const value: OrderAnswer = { order: reply.order, status: 200, replayed: false };
      return ctx.keyed ? { value, recorded: packr.pack([FORM, reply.order]) } : { value };
    },
    replay(_ref: ActorRef, recorded: Uint8Array): OrderAnswer {
      const [form, order] = packr.unpack(recorded as Buffer) as [number, OrderDoc];
      invariant(form === FORM, `recorded answer of an unknown form ${form}`);
      return { order, status: 200, replayed: true };
    },
  };
}

/** The answer for a client that may see the order. */
export async function orderReply(answer: OrderAnswer, subjects: Subjects): Promise<EdgeReply> {
  const { order, status } = answer;
  const headers: Record<string, string> = { etag: `"${order.version}"`, 'cache-control': 'no-store' };
  if (status !== 200) headers.location = `/v1/orders/${order.id}`;
  if (answer.replayed) headers['idempotency-replayed'] = 'true';
  return { status, headers, body: await openedOrder(order, subjects) };
}

/** The document with all that is sealed in the order opened; null stands where the person was erased. */
export async function openedOrder(order: OrderDoc, subjects: Subjects): Promise<Order> {
  const { contact, quote } = order;
  const exemption = quote?.exemption;
  return orderDocument(
    order,
    (await subjects.open(contact.subject, contact.bytes)) as Contact | null,
    exemption === undefined ? null : await openId(subjects, exemption.id),
  );
}

function orderDocument(order: OrderDoc, contact: Contact | null, exemptionId: string | null): Order {
  const { quote, payment } = order;
  const money = moneyIn(quote?.currency ?? payment.currency);
  return {
    id: order.id,
    version: order.version,
    cartId: order.cartId,
    state: order.state,
    fulfilment: order.fulfilment,
    currency: quote?.currency ?? payment.currency,
    lines: quote === null ? order.lines.map(unpricedLine) : quote.lines.map((line) => pricedLine(line, money)),
    discounts: (quote?.discounts ?? []).map((discount) => {
      const { code, label, amount } = discount;
      return { code, label, amount: money(amount), ...explainDiscount(discount, money) };
    }),
    shipping: quote === null ? null : shippingDocument(quote, money),
    totals: quote === null ? null : totalsDocument(quote, money),
    taxes: (quote?.taxes ?? []).map((tax) => ({
      name: tax.name,
      rate: rateOf(tax.ratePpm),
      base: money(tax.base),
      amount: money(tax.amount),
      included: tax.included,
      ...explainTax(tax),
    })),
    ...(quote === null ? undefined : explainTaxes(quote, exemptionId)),
    email: contact?.email ?? null,
    shippingAddress: contact?.shippingAddress ?? null,
    payment: {
      state: payment.state,
      provider: payment.provider,
      reference: payment.reference,
      ...(payment.declineCode === undefined ? undefined : { declineCode: payment.declineCode }),
    },
    refunds: [],
    ...(order.failure === null ? undefined : { failure: order.failure }),
    placedAt: timestamp(order.placedAt),
  };
}

export function moneyIn(currency: string): MoneyMaker {
  return (amount) => ({ amount, currency });
}

function unpricedLine(line: OrderLineRequest): Order['lines'][number] {
  return { id: line.id, sku: line.sku, kind: line.gift === undefined ? 'item' : 'gift', quantity: line.quantity };
}

function pricedLine(line: QuotedLine, money: MoneyMaker): Order['lines'][number] {
  return {
    id: line.id,
    sku: line.sku,
    kind: line.kind ?? 'item',
    quantity: line.quantity,
    name: line.name,
    unitPrice: money(line.unitPrice),
    subtotal: money(line.subtotal),
    discount: money(line.discount),
    tax: money(line.tax),
    taxIncluded: money(line.taxIncluded),
    total: money(line.total),
    ...explainLine(line, money),
  };
}

export function shippingDocument(quote: Quote, money: MoneyMaker): Order['shipping'] {
  const { shipping } = quote;
  if (shipping === null) return null;
  return {
    method: shipping.method,
    price: money(shipping.price),
    tax: money(shipping.tax),
    taxIncluded: money(shipping.taxIncluded),
    total: money(shipping.total),
    ...explainShipping(shipping, money),
  };
}

function totalsDocument(quote: Quote, money: MoneyMaker): NonNullable<Order['totals']> {
  return {
    subtotal: money(quote.subtotal),
    discount: money(quote.discount),
    shipping: money(quote.shippingPrice),
    taxAdded: money(quote.taxAdded),
    taxIncluded: money(quote.taxIncluded),
    total: money(quote.total),
  };
}
