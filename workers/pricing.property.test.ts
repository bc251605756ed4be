import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { QUANTITY_MAX, split, UNIT_PRICE_MAX } from './money.ts';
import { type BookParts, createBook } from './price-book.ts';
import { price } from './pricing.ts';
import type { PriceRequest, Quote } from './quote.ts';
import { type RandomCase, randomCase } from './random-shop.ts';

const anyCase: fc.Arbitrary<RandomCase> = fc.noShrink(fc.integer({ min: 0, max: 2 ** 32 - 1 })).map(randomCase);

function quoteOf({ parts, request }: RandomCase): Quote {
  return price(createBook(parts), request);
}
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
  assert.equal(
    quote.taxAdded + quote.taxIncluded,
    sum(quote.taxes, (t) => t.amount),
  );
  for (const line of lines) {
    assert.equal(line.subtotal, line.unitPrice * line.quantity);
    assert.equal(line.total, line.subtotal - line.discount + line.tax);
    assert.ok(line.discount >= 0 && line.discount <= line.subtotal);
    assert.ok(line.tax >= 0 && line.taxIncluded >= 0 && line.taxIncluded <= line.subtotal - line.discount);
    assert.equal(
      line.discount,
      sum(line.discounts ?? [], (d) => d.amount),
    );
  }
  if (shipping !== null) {
    const off = sum(shipping.discounts ?? [], (d) => d.amount);
    assert.equal((shipping.listPrice ?? shipping.price) - off, shipping.price);
    assert.equal(
      off,
      sum(quote.discounts, (d) => d.shippingAmount ?? 0),
    );
  }
}

test('the parts add up to the whole for any cart, in any currency, by any rules', () => {
  fc.assert(
    fc.property(anyCase, (one) => assertConserved(quoteOf(one))),
    { numRuns: 700 },
  );
});

test('carts at the limits of prices and quantities add up too', () => {
  const taxRates: BookParts['taxRates'] = [0, 1, 2].map((i) => ({
    id: `r${i}`,
    name: 'R',
    country: 'XX',
    region: null,
    categories: ['s'],
    ratePpm: 1_000_000,
    included: i === 2,
    compound: i === 1,
  }));
  const product = { name: 'P', category: 'c', active: true, taxCategory: 's', prices: { USD: UNIT_PRICE_MAX } };
  const lines = Array.from({ length: 200 }, (_, i) => ({ id: `lin_${i}`, sku: 'A', quantity: QUANTITY_MAX }));
  const request = { currency: 'USD', lines, destination: { country: 'XX' }, coupons: ['ODD'], shippingMethod: null };
  const coupons: BookParts['coupons'] = [{ code: 'ODD', label: 'O', kind: 'percent', ratePpm: 333_333 }];
  const store = { defaultCurrency: 'USD', currencies: ['USD'], defaultShipping: null };
  for (const per of ['line', 'order'] as const) {
    const taxRounding = { mode: 'half_even', per } as const;
    const book = createBook({
      version: 1,
      store: { ...store, taxRounding },
      products: { A: product },
      taxRates,
      coupons,
    });
    assertConserved(price(book, request));
  }
});

test('the order of lines and of coupons changes no total and no line’s amounts', () => {
  fc.assert(
    fc.property(anyCase, fc.array(fc.integer(), { minLength: 1 }), ({ parts, request }, keys) => {
      const shuffled = <T>(items: readonly T[]): T[] =>
        items
          .map((item, i) => ({ item, key: keys[i % keys.length] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ item }) => item)
          .reverse();
      const one = quoteOf({ parts, request });
      const { lines, coupons } = request;
      const other = quoteOf({ parts, request: { ...request, lines: shuffled(lines), coupons: shuffled(coupons) } });
      const byId = (quote: Quote) => [...quote.lines].sort((a, b) => (a.id < b.id ? -1 : 1));
      assert.deepEqual({ ...other, lines: byId(other), warnings: [] }, { ...one, lines: byId(one), warnings: [] });
      assert.deepEqual([...other.warnings].sort(), [...one.warnings].sort());
    }),
    { numRuns: 250 },
  );
});

/** The same shop with nothing that makes one line depend on another. */
function withoutCrossLine(parts: BookParts): BookParts {
  const { taxRounding, discountMaxPpm: _none, ...store } = parts.store;
  const promotions = (parts.promotions ?? []).filter(({ action, conditions, maxAmount, last }) => {
    const alone = action.kind === 'percent' ? action.per === 'line' : action.kind === 'amount' && action.per === 'unit';
    return alone && conditions?.goods === undefined && maxAmount === undefined && last !== true;
  });
  return {
    ...parts,
    store: { ...store, ...(taxRounding === undefined ? undefined : { taxRounding: { ...taxRounding, per: 'line' } }) },
    promotions,
    promotionGroups: [],
    coupons: [],
  };
}

test('without cross-line promotions and per-order rounding a line that is removed leaves the others unchanged', () => {
  fc.assert(
    fc.property(anyCase, fc.nat(), ({ parts, request }, which) => {
      const alone = withoutCrossLine(parts);
      if (request.lines.length === 0) return;
      const removed = request.lines[which % request.lines.length]?.id;
      const whole = quoteOf({ parts: alone, request });
      const lines = request.lines.filter(({ id }) => id !== removed);
      const less = quoteOf({ parts: alone, request: { ...request, lines } });
      assert.deepEqual(
        less.lines,
        whole.lines.filter(({ id }) => id !== removed),
      );
    }),
    { numRuns: 250 },
  );
});

test('with promotions and coupons the total never exceeds that without', () => {
  fc.assert(
    fc.property(anyCase, ({ parts, request }) => {
      // Taxed as the goods, the shipping's tax follows what is left of each category; then a discount may raise it.
      const { shippingTaxedAs: _none, ...store } = parts.store;
      const same = { ...parts, store };
      const without: PriceRequest = { ...request, coupons: [] };
      const full = quoteOf({ parts: { ...same, promotions: [], promotionGroups: [] }, request: without });
      assert.ok(quoteOf({ parts: same, request }).total <= full.total);
    }),
    { numRuns: 500 },
  );
});

test('inclusive and exclusive prices of the same net price come to the same tax and total where that is a whole number', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.constantFrom(50_000, 70_000, 190_000, 200_000, 250_000),
      fc.constantFrom('half_up', 'half_even'),
      fc.constantFrom('line', 'order'),
      fc.integer({ min: 1, max: 99 }),
      (hundreds, ratePpm, mode, per, quantity) => {
        const net = hundreds * 100;
        const gross = net + (net * ratePpm) / 1_000_000;
        const shop = (included: boolean, amount: number, kind: 'as_rate' | 'net') =>
          createBook({
            version: 1,
            store: {
              defaultCurrency: 'EUR',
              currencies: ['EUR'],
              defaultShipping: null,
              taxRounding: { mode, per },
              priceTaxes: { kind },
            },
            products: { A: { name: 'A', category: 'c', active: true, taxCategory: 's', prices: { EUR: amount } } },
            taxRates: [{ id: 'r', name: 'R', country: 'XX', region: null, categories: ['s'], ratePpm, included }],
          });
        const lines = [{ id: 'lin_1', sku: 'A', quantity }];
        const asked = { currency: 'EUR', lines, destination: { country: 'XX' }, coupons: [], shippingMethod: null };
        const exclusive = price(shop(false, net, 'as_rate'), asked);
        const inclusive = price(shop(true, gross, 'as_rate'), asked);
        const converted = price(shop(true, net, 'net'), asked);
        assert.deepEqual([inclusive.total, inclusive.taxIncluded], [exclusive.total, exclusive.taxAdded]);
        assert.deepEqual([converted.total, converted.taxIncluded], [exclusive.total, exclusive.taxAdded]);
        assert.equal(inclusive.taxes[0]?.base, exclusive.taxes[0]?.base);
      },
    ),
    { numRuns: 300 },
  );
});

test('pricing twice gives the same bytes and changes neither book nor request', () => {
  fc.assert(
    fc.property(anyCase, ({ parts, request }) => {
      const book = createBook(parts);
      const before = JSON.stringify([parts, request]);
      const first = JSON.stringify(price(book, request));
      assert.equal(JSON.stringify(price(createBook(structuredClone(parts)), structuredClone(request))), first);
      assert.equal(JSON.stringify(price(book, request)), first);
      assert.equal(JSON.stringify([parts, request]), before);
    }),
    { numRuns: 250 },
  );
});

test('between two instants at which its book changes a cart has one price', () => {
  fc.assert(
    fc.property(anyCase, fc.nat({ max: 50 }), ({ parts, request }, later) => {
      const book = createBook(parts);
      const at = request.at ?? 0;
      const quote = price(book, request);
      const until = quote.changesAt ?? Number.POSITIVE_INFINITY;
      assert.ok(until > at);
      assert.deepEqual(price(book, { ...request, at: Math.min(at + later, until - 1) }), quote);
    }),
    { numRuns: 250 },
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
