import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { demoData } from '../schema/demo.ts';
import type { PriceBook } from '../schema/price-book.ts';
import { explain } from './explain.ts';
import { createBook } from './price-book.ts';
import { price } from './pricing.ts';
import type { PriceRequest } from './quote.ts';

const data = demoData();
const products = Object.fromEntries(data.products.map((product) => [product.sku, product]));
const book = createBook({ ...data, version: 1, products });

function request(skus: Readonly<Record<string, number>>, more: Partial<PriceRequest> = {}): PriceRequest {
  const lines = Object.entries(skus).map(([sku, quantity], i) => ({ id: `line_${i}`, sku, quantity }));
  return { currency: 'USD', lines, destination: null, coupons: [], shippingMethod: null, ...more };
}
const why = (book: PriceBook, asked: PriceRequest) => explain(book, asked).explanation;

test('the quote that is explained is the quote, and what it names is what counted', () => {
  const sku = fc.constantFrom(...data.products.map((product) => product.sku), 'NONE');
  const carts = fc.record({
    lines: fc.uniqueArray(fc.record({ sku, quantity: fc.integer({ min: 1, max: 20 }) }), {
      minLength: 1,
      maxLength: 8,
      selector: (line) => line.sku,
    }),
    currency: fc.constantFrom(...data.store.currencies),
    destination: fc.constantFrom(
      null,
      { country: 'US', region: 'NY', postalCode: '10001' },
      { country: 'DE' },
      { country: 'CA', region: 'BC' },
      { country: 'KW' },
    ),
    coupons: fc.subarray([...data.coupons.map(({ code }) => code), 'NONE']),
    customerGroup: fc.constantFrom(null, 'trade'),
    shippingMethod: fc.constantFrom(null, 'express', 'pickup'),
    firstOrder: fc.boolean(),
  });
  fc.assert(
    fc.property(carts, ({ lines, ...more }) => {
      const asked: PriceRequest = { ...more, lines: lines.map((line, i) => ({ id: `line_${i}`, ...line })) };
      const { quote, explanation } = explain(book, asked);
      assert.deepEqual(quote, price(book, asked));
      const applied = explanation.promotions.filter(({ because }) => because === 'applied');
      const named = quote.discounts.flatMap(({ promotion }) => promotion ?? []);
      for (const id of named)
        assert.ok(
          applied.some(({ promotion }) => promotion === id),
          id,
        );
      const taxes = explanation.taxes.filter(({ because }) => because === 'applies').map(({ rate }) => rate);
      assert.deepEqual(taxes.sort(), quote.taxes.map(({ id }) => id).sort());
      for (const [i, line] of explanation.lines.entries()) {
        const chosen = line.prices.filter(({ because }) => because === 'chosen');
        assert.equal(chosen.length, line.because === 'priced' ? 1 : 0, JSON.stringify(line));
        if (line.because === 'priced') assert.equal(chosen[0]?.list, quote.lines[i]?.price?.list ?? null);
      }
      const shipped = explanation.shipping.find(({ because }) => because === 'chosen');
      assert.equal(shipped?.method, quote.shipping?.method);
      if (quote.shipping !== null) assert.equal(shipped?.price, quote.shipping.listPrice ?? quote.shipping.price);
    }),
    { numRuns: 300 },
  );
});

test('a price tells which list and tier it is from, and why the lists before it did not count', () => {
  const asked = request({ 'COF-ALDEA-250': 12, 'DSK-CLOCK': 1 }, { customerGroup: 'trade' });
  const { priceLists, lines } = why(book, asked);
  assert.deepEqual(priceLists, [
    { list: 'trade', because: 'open' },
    { list: 'eur-kitchen', because: 'currency' },
    { list: 'kwd', because: 'currency' },
  ]);
  const tiers = [
    { from: 1, because: 'lower_than_chosen' },
    { from: 12, because: 'chosen' },
  ];
  assert.deepEqual(lines[0]?.prices, [
    { list: 'trade', because: 'chosen', tiers },
    { list: null, because: 'after_chosen' },
  ]);
  assert.deepEqual(lines[1]?.prices, [
    { list: 'trade', because: 'sku_not_listed' },
    { list: null, because: 'chosen' },
  ]);
  assert.deepEqual(why(book, request({ 'COF-ALDEA-250': 1 })).priceLists[0], {
    list: 'trade',
    because: 'customer_group',
  });
});

test('each promotion and coupon says why it applied or did not', () => {
  const off = (id: string, priority: number, more: object = {}) => ({
    ...{ id, label: id, trigger: 'automatic' as const, priority },
    action: { kind: 'percent' as const, items: { categories: ['Books'] }, ratePpm: 100_000 },
    ...more,
  });
  const offers = createBook({
    ...{ version: 1, store: data.store, products },
    promotions: [
      off('first', 1),
      off('ended', 2, { validity: { until: 5 } }),
      off('asleep', 3, { active: false }),
      off('by-code', 4, { trigger: 'coupon' }),
      off('kitchen', 5, { action: { kind: 'percent', items: { categories: ['Kitchen'] }, ratePpm: 1 } }),
      off('many', 6, { conditions: { goods: [{ items: {}, quantity: { min: 9 } }] } }),
      off('better', 7),
      off('worse', 8, { action: { kind: 'percent', items: {}, ratePpm: 1_000 } }),
      off('final', 9, { last: true }),
      off('late', 10),
    ],
    promotionGroups: [{ id: 'g', promotions: ['better', 'worse'], choose: 'best' }],
    coupons: [{ code: 'TEN', label: 'Ten', kind: 'percent', ratePpm: 100_000 }],
  });
  const { promotions, coupons } = why(offers, request({ 'BOK-MAPS': 1 }, { at: 10, coupons: ['ten', 'nope'] }));
  assert.deepEqual(Object.fromEntries(promotions.map(({ promotion, because }) => [promotion, because])), {
    first: 'applied',
    ended: 'not_valid_now',
    asleep: 'inactive',
    'by-code': 'no_coupon',
    kitchen: 'needs_other_goods',
    many: 'goods',
    better: 'applied',
    worse: 'not_best',
    final: 'applied',
    late: 'after_last',
  });
  assert.deepEqual(coupons, [
    { code: 'NOPE', because: 'unknown' },
    { code: 'TEN', because: 'after_last' },
  ]);
});

test('taxes and shipping methods say why they count or do not', () => {
  const newYork = { country: 'US', region: 'NY', postalCode: '11501' };
  const { taxes, shipping } = why(book, request({ 'DSK-CLOCK': 1 }, { destination: newYork }));
  const reasons = Object.fromEntries(taxes.map(({ rate, because }) => [rate, because]));
  assert.deepEqual(
    ['us-ny', 'us-ny-nassau', 'us-ny-city', 'us-tx'].map((id) => reasons[id]),
    ['applies', 'applies', 'destination', 'destination'],
  );
  assert.deepEqual(shipping, [
    { method: 'standard', because: 'chosen', price: 599 },
    { method: 'express', because: 'offered', price: 1499 },
    { method: 'pickup', because: 'offered', price: 0 },
  ]);
  const kuwait = why(book, request({ 'DSK-PEN-BRASS': 1 }, { currency: 'KWD', destination: { country: 'KW' } }));
  assert.deepEqual(
    kuwait.shipping.map(({ because }) => because),
    ['chosen', 'destination', 'offered'],
  );
  const digital = why(book, request({ 'BOK-QUEUES-EPUB': 1 }));
  assert.ok(digital.shipping.every(({ because }) => because === 'nothing_to_ship'));
});
