import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BookProduct, createBook } from '../price-book.ts';
import { price } from '../pricing.ts';
import type { PriceRequest, Quote, QuotedLine } from '../quote.ts';
import type { GoldenCase } from './golden-case.ts';
import { OFFER_CASES } from './offer-cases.ts';
import { PEER_PROMOTION_CASES } from './peer-promotion-cases.ts';
import { PEER_TAX_CASES } from './peer-tax-cases.ts';
import { SALES_TAX_CASES } from './sales-tax-cases.ts';
import { VAT_CASES } from './vat-cases.ts';

const CASES = [...SALES_TAX_CASES, ...VAT_CASES, ...PEER_TAX_CASES, ...PEER_PROMOTION_CASES, ...OFFER_CASES];

function productOf(currency: string, [sku, given]: [string, GoldenCase['goods'][string]]): [string, BookProduct] {
  const { price: amount, ...more } = typeof given === 'number' ? { price: given } : given;
  const plain = { name: sku, category: 'goods', active: true, taxCategory: 'standard' };
  return [sku, { ...plain, ...more, prices: { [currency]: amount } }];
}

function quoteOf({ goods, cart, currency = 'USD', to, rules = {}, asked = {} }: GoldenCase): Quote {
  const book = createBook({
    version: 1,
    store: { defaultCurrency: currency, currencies: [currency], defaultShipping: null },
    ...rules,
    products: Object.fromEntries(Object.entries(goods).map((entry) => productOf(currency, entry))),
  });
  const [country = '', region, postalCode] = (to ?? '').split(' ');
  const place = {
    country,
    ...(region === undefined ? {} : { region }),
    ...(postalCode === undefined ? {} : { postalCode }),
  };
  const request: PriceRequest = {
    currency,
    lines: Object.entries(cart).map(([sku, quantity]) => ({ id: `lin_${sku}`, sku, quantity })),
    destination: to === undefined ? null : place,
    coupons: [],
    shippingMethod: null,
    ...asked,
  };
  return price(book, request);
}

test('there are at least 60 golden cases, each with its source and a title of its own', () => {
  assert.ok(CASES.length >= 60, `${CASES.length}`);
  assert.equal(new Set(CASES.map(({ title }) => title)).size, CASES.length);
  for (const { source } of CASES) assert.ok(source.length > 10);
});

for (const golden of CASES) {
  test(`${golden.title} (${golden.source.split(/[;,(]/)[0]?.trim()})`, () => {
    const quote = quoteOf(golden);
    const { expected } = golden;
    const bySku = (figure: (line: QuotedLine) => number, skus: Readonly<Record<string, number>>) =>
      Object.fromEntries(
        quote.lines.filter(({ sku }) => Object.hasOwn(skus, sku)).map((line) => [line.sku, figure(line)]),
      );
    for (const [name, figure] of [
      ['unitPrice', ({ unitPrice }: QuotedLine) => unitPrice],
      ['discounts', ({ discount }: QuotedLine) => discount],
      ['tax', ({ tax }: QuotedLine) => tax],
      ['contained', ({ taxIncluded }: QuotedLine) => taxIncluded],
    ] as const) {
      const said = expected[name];
      if (said !== undefined) assert.deepEqual(bySku(figure, said), said, name);
    }
    if (expected.taxes !== undefined) {
      const taxes = Object.fromEntries(quote.taxes.map(({ id = '', base, amount }) => [id, [base, amount]]));
      assert.deepEqual(taxes, expected.taxes);
    }
    for (const name of ['discount', 'taxAdded', 'taxIncluded'] as const) {
      if (expected[name] !== undefined) assert.equal(quote[name], expected[name], name);
    }
    if (expected.shipping !== undefined) {
      assert.deepEqual([quote.shipping?.price, quote.shipping?.tax], expected.shipping);
    }
    const gifts = quote.lines.filter(({ kind }) => kind === 'gift').map(({ sku }) => sku);
    assert.deepEqual(gifts, expected.gifts ?? []);
    assert.equal(quote.total, expected.total);
  });
}
