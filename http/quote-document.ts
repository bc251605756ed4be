/** A quote and its explanation as operators see them. */
import type { Explanation } from '../workers/explain.ts';
import type { LineDiscount, Quote, QuotedLine } from '../workers/quote.ts';
import type { MoneyMaker } from './explained-quote.ts';
import { rateOf } from './json.ts';
import { moneyIn, shippingDocument } from './order-view.ts';

export function quoteDocument(quote: Quote): object {
  const money = moneyIn(quote.currency);
  const { subtotal, discount, shippingPrice, taxAdded, taxIncluded, total } = quote;
  return {
    currency: quote.currency,
    lines: quote.lines.map((line) => lineDocument(line, money)),
    discounts: quote.discounts.map(({ code, label, amount, shippingAmount = 0 }) => ({
      code,
      label,
      amount: money(amount),
      shippingAmount: money(shippingAmount),
    })),
    shipping: shippingDocument(quote, money),
    totals: {
      subtotal: money(subtotal),
      discount: money(discount),
      shipping: money(shippingPrice),
      taxAdded: money(taxAdded),
      taxIncluded: money(taxIncluded),
      total: money(total),
    },
    taxes: quote.taxes.map(({ id, name, ratePpm, base, amount, included, exempt }) => ({
      ...(id === undefined ? undefined : { id }),
      name,
      rate: rateOf(ratePpm),
      base: money(base),
      amount: money(amount),
      included,
      ...(exempt === undefined ? undefined : { exempt }),
    })),
    taxState: quote.taxState,
    blocked: quote.blocked ?? null,
    warnings: quote.warnings.map((warning) => {
      const colon = warning.indexOf(':');
      return { code: warning.slice(0, colon), subject: warning.slice(colon + 1) };
    }),
    changesAt: quote.changesAt === undefined ? null : new Date(quote.changesAt).toISOString(),
  };
}

function lineDocument(line: QuotedLine, money: MoneyMaker): object {
  const { list = null, tier = 1, compareAt, sale = false, listed } = line.price ?? {};
  return {
    id: line.id,
    sku: line.sku,
    name: line.name,
    kind: line.kind ?? 'item',
    quantity: line.quantity,
    unitPrice: money(line.unitPrice),
    subtotal: money(line.subtotal),
    discount: money(line.discount),
    tax: money(line.tax),
    taxIncluded: money(line.taxIncluded),
    total: money(line.total),
    price: {
      list,
      tier,
      ...(compareAt === undefined ? undefined : { compareAt: money(compareAt) }),
      sale,
      ...(listed === undefined ? undefined : { listed: money(listed) }),
    },
    discounts: (line.discounts ?? []).map((discount) => discountDocument(discount, money)),
  };
}

function discountDocument({ amount, ...said }: LineDiscount, money: MoneyMaker): object {
  return { ...said, amount: money(amount) };
}

export function explanationDocument(explanation: Explanation, currency: string): object {
  const money = moneyIn(currency);
  const shipping = explanation.shipping.map(({ price, ...said }) => ({
    ...said,
    ...(price === undefined ? undefined : { price: money(price) }),
  }));
  return { ...explanation, shipping };
}
