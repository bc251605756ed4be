import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { QUANTITY_MAX, split, UNIT_PRICE_MAX } from './money.ts';
import { type BookParts, createBook } from './price-book.ts';
import { price } from './pricing.ts';
import type { PriceRequest, Quote } from './quote.ts';

const CURRENCIES = ['USD', 'JPY', 'KWD'];
const CATEGORIES = ['standard', 'food', 'shipping'];
const SKUS = ['A', 'B', 'C', 'D', 'E', 'F', 'ABSENT'];
const CODES = ['P1', 'P2', 'F1', 'F2', 'NONE'];

const amount = fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: UNIT_PRICE_MAX }));
const amounts = fc.dictionary(fc.constantFrom(...CURRENCIES), amount);
const ppm = fc.oneof(
  fc.constantFrom(0, 1, 62_500, 70_000, 190_000, 333_333, 1_000_000),
  fc.integer({ min: 0, max: 1_000_000 }),
);

const parts: fc.Arbitrary<BookParts> = fc
  .record({
    products: fc.array(
      fc.record({
        prices: amounts,
        taxCategory: fc.constantFrom(...CATEGORIES),
        active: fc.constantFrom(true, true, true, false),
      }),
      { minLength: 6, maxLength: 6 },
    ),
    percent: fc.array(ppm, { minLength: 2, maxLength: 2 }),
    fixed: fc.array(amounts, { minLength: 2, maxLength: 2 }),
    rates: fc.array(
      fc.record({
        region: fc.constantFrom(null, 'R1', 'R2'),
        categories: fc.subarray(CATEGORIES),
        ratePpm: ppm,
        included: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
    shipping: fc.array(fc.record({ prices: amounts, taxCategory: fc.constantFrom(...CATEGORIES) }), { maxLength: 2 }),
  })
  .map(({ products, percent, fixed, rates, shipping }) => ({
    version: 1,
    store: { defaultCurrency: 'USD', currencies: CURRENCIES, defaultShipping: 's0' },
    products: Object.fromEntries(
      products.map((terms, i) => [SKUS[i] ?? '', { ...terms, name: `Product ${i}`, category: 'c' }]),
    ),
    coupons: [
      ...percent.map((ratePpm, i) => ({ code: `P${i + 1}`, label: 'p', kind: 'percent' as const, ratePpm })),
      ...fixed.map((sums, i) => ({ code: `F${i + 1}`, label: 'f', kind: 'fixed' as const, amounts: sums })),
    ],
    taxRates: rates.map((rate, i) => ({ ...rate, id: `r${i}`, name: `Tax ${i}`, country: 'XX' })),
    shippingMethods: shipping.map((method, i) => ({
      id: `s${i}`,
      name: `S${i}`,
      taxCategory: method.taxCategory,
      zones: [{ countries: null, prices: method.prices }],
    })),
  }));

const request: fc.Arbitrary<PriceRequest> = fc.record({
  currency: fc.constantFrom(...CURRENCIES),
  lines: fc
    .array(fc.record({ sku: fc.constantFrom(...SKUS), quantity: fc.integer({ min: 1, max: QUANTITY_MAX }) }), {
      maxLength: 12,
    })
    .map((lines) => lines.map((line, i) => ({ ...line, id: `lin_${(i * 7) % 12}` }))),
  destination: fc.constantFrom(null, { country: 'XX' }, { country: 'XX', region: 'R1' }, { country: 'YY' }),
  coupons: fc.uniqueArray(fc.constantFrom(...CODES), { maxLength: 4 }),
  shippingMethod: fc.constantFrom(null, 's0', 's1'),
});

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function assertConserved(quote: Quote): void {
  const { lines, shipping } = quote;
  assert.equal(quote.total, quote.subtotal - quote.discount + quote.shippingPrice + quote.taxAdded);
  assert.equal(quote.total, sum(lines, (l) => l.total) + (shipping?.total ?? 0));
  assert.equal(
    quote.subtotal,
    sum(lines, (l) => l.subtotal),
  );
  assert.equal(
    quote.discount,
    sum(lines, (l) => l.discount),
  );
  assert.equal(
    quote.discount,
    sum(quote.discounts, (d) => d.amount),
  );
  assert.equal(quote.shippingPrice, shipping?.price ?? 0);
  assert.equal(quote.taxAdded, sum(lines, (l) => l.tax) + (shipping?.tax ?? 0));
  assert.equal(quote.taxIncluded, sum(lines, (l) => l.taxIncluded) + (shipping?.taxIncluded ?? 0));
  const taxes = (included: boolean): number =>
    sum(
      quote.taxes.filter((tax) => tax.included === included),
      (t) => t.amount,
    );
  assert.equal(quote.taxAdded, taxes(false));
  assert.equal(quote.taxIncluded, taxes(true));
  for (const line of lines) {
    assert.equal(line.subtotal, line.unitPrice * line.quantity);
    assert.equal(line.total, line.subtotal - line.discount + line.tax);
    assert.ok(line.discount <= line.subtotal);
    assert.ok(line.taxIncluded <= line.subtotal - line.discount);
    for (const value of [line.unitPrice, line.discount, line.tax, line.taxIncluded]) assertAmount(value);
  }
  if (shipping !== null) assert.equal(shipping.total, shipping.price + shipping.tax);
  for (const value of [quote.total, quote.discount, quote.taxAdded, quote.taxIncluded]) assertAmount(value);
}

function assertAmount(value: number): void {
  assert.ok(Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0), `${value} is no amount`);
}

test('the parts of every quote add up to its whole, and nothing in it is negative or above what it is taken from', () => {
  fc.assert(
    fc.property(parts, request, (bookParts, asked) => {
      assertConserved(price(createBook(bookParts), asked));
    }),
    { numRuns: 1_000 },
  );
});

test('the order of lines and of coupons changes no total and no line’s amounts', () => {
  fc.assert(
    fc.property(parts, request, fc.array(fc.integer()), (bookParts, asked, keys) => {
      const book = createBook(bookParts);
      const shuffled = <T>(items: readonly T[]): T[] =>
        items
          .map((item, i) => ({ item, key: keys[i % Math.max(1, keys.length)] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ item }) => item)
          .reverse();
      const one = price(book, asked);
      const other = price(book, { ...asked, lines: shuffled(asked.lines), coupons: shuffled(asked.coupons) });
      const byId = (quote: Quote) => [...quote.lines].sort((a, b) => (a.id < b.id ? -1 : 1));
      assert.deepEqual({ ...other, lines: byId(other), warnings: [] }, { ...one, lines: byId(one), warnings: [] });
      assert.deepEqual([...other.warnings].sort(), [...one.warnings].sort());
    }),
    { numRuns: 500 },
  );
});

test('pricing twice gives the same bytes and changes neither book nor request', () => {
  fc.assert(
    fc.property(parts, request, (bookParts, asked) => {
      const book = createBook(bookParts);
      const before = JSON.stringify([bookParts, asked]);
      const first = JSON.stringify(price(book, asked));
      assert.equal(JSON.stringify(price(createBook(structuredClone(bookParts)), structuredClone(asked))), first);
      assert.equal(JSON.stringify(price(book, asked)), first);
      assert.equal(JSON.stringify([bookParts, asked]), before);
    }),
    { numRuns: 300 },
  );
});

test('a split adds up, is within a unit of the exact share and never above a weight', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9_990_000_000_000 }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (weights, part) => {
        const whole = sum(weights, (weight) => weight);
        const amountToSplit = Math.floor(whole * part);
        const ids = weights.map((_, i) => `${i}`);
        const shares = split(amountToSplit, weights, ids);
        assert.equal(
          sum(shares, (share) => share),
          amountToSplit,
        );
        shares.forEach((share, i) => {
          const weight = weights[i] ?? 0;
          assert.ok(share >= 0 && share <= weight);
          const gap = BigInt(share) * BigInt(whole) - BigInt(amountToSplit) * BigInt(weight);
          assert.ok(whole === 0 || (gap < BigInt(whole) && gap > -BigInt(whole)));
        });
      },
    ),
  );
});
