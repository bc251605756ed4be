/** Golden cases of taxes that other shops' documentation and tests work out, recomputed by hand. */
import { type GoldenCase, rate, vat } from './golden-case.ts';

const store = { defaultCurrency: 'USD', currencies: ['USD', 'EUR', 'GBP', 'CAD', 'JPY', 'KWD'], defaultShipping: null };

export const PEER_TAX_CASES: readonly GoldenCase[] = [
  // --- what other shops document ---
  {
    title: 'Tax on the line, after the unit price was multiplied',
    source: 'commercetools, TaxCalculationMode LineItemLevel (3 × 1.08 = 3.24, × 1.19 = 3.8556 → 3.86)',
    goods: { A: 108 },
    cart: { A: 3 },
    to: 'XX',
    rules: { taxRates: [rate('t', 190_000, 'XX')] },
    expected: { total: 386 },
  },
  {
    title: 'Contained tax is rounded itself, not the net price',
    source: 'Zuora, rounding rule for inclusive tax (2.99 at 4 %: rounding the tax gives 0.12)',
    goods: { A: 299 },
    cart: { A: 1 },
    to: 'XX',
    rules: { taxRates: [vat('t', 40_000, 'XX')] },
    // 2.99 × 4 / 104 = 0.115
    expected: { total: 299, taxIncluded: 12 },
  },
  {
    title: 'One unit at 20 % on top',
    source: 'Vendure, order-calculator.spec "single line" (123 → 148)',
    goods: { A: 123 },
    cart: { A: 1 },
    to: 'XX',
    rules: { taxRates: [rate('t', 200_000, 'XX')] },
    expected: { total: 148 },
  },
  {
    title: 'Three units at 20 % on top',
    source: 'Vendure, order-calculator.spec "single line, multiple items" (369 → 443)',
    goods: { A: 123 },
    cart: { A: 3 },
    to: 'XX',
    rules: { taxRates: [rate('t', 200_000, 'XX')] },
    expected: { total: 443 },
  },
  {
    title: 'Shipping at 20 % on top',
    source: 'Vendure, order-calculator.spec "prices exclude tax" (100 and 500 → 120 and 600)',
    goods: { A: 100 },
    cart: { A: 1 },
    to: 'XX',
    rules: {
      store: { ...store, defaultShipping: 's' },
      taxRates: [rate('t', 200_000, 'XX')],
      shippingMethods: [
        { id: 's', name: 'S', taxCategory: 'standard', zones: [{ countries: null, prices: { USD: 500 } }] },
      ],
    },
    expected: { total: 720, shipping: [500, 100] },
  },
  {
    title: 'Shipping with 20 % contained',
    source: 'Vendure, order-calculator.spec "prices include tax" (100 → 83 net, 500 → 417 net)',
    goods: { A: 100 },
    cart: { A: 1 },
    to: 'XX',
    rules: {
      store: { ...store, defaultShipping: 's' },
      taxRates: [vat('t', 200_000, 'XX')],
      shippingMethods: [
        { id: 's', name: 'S', taxCategory: 'standard', zones: [{ countries: null, prices: { USD: 500 } }] },
      ],
    },
    expected: { total: 600, taxIncluded: 17 + 83, taxes: { t: [83 + 417, 17 + 83] } },
  },
  {
    title: 'A rate of its own for each line',
    source: 'Vendure, order.entity.spec "different rate on each item" (600 at 5 % = 30, 1000 at 7.5 % = 75)',
    goods: { A: 300, B: { price: 1_000, taxCategory: 'b' } },
    cart: { A: 2, B: 1 },
    to: 'XX',
    rules: { taxRates: [rate('a', 50_000, 'XX'), rate('b', 75_000, 'XX', { categories: ['b'] })] },
    expected: { total: 1_705, taxes: { a: [600, 30], b: [1_000, 75] } },
  },
  {
    title: 'Two rates on each line, after a discount on the order',
    source:
      'Vendure, order.entity.spec "prorated order discount" (160 off 1600 → bases 1440, tax a 72; tax b by line: 540 and 900 × 7.5 %)',
    goods: { A: 300, B: 1_000 },
    cart: { A: 2, B: 1 },
    to: 'XX',
    rules: {
      taxRates: [rate('a', 50_000, 'XX'), rate('b', 75_000, 'XX')],
      coupons: [{ code: 'TEN', label: '10 %', kind: 'percent', ratePpm: 100_000 }],
    },
    asked: { coupons: ['TEN'] },
    // 40.5 → 41 and 67.5 → 68
    expected: { total: 1_440 + 72 + 109, discounts: { A: 60, B: 100 }, taxes: { a: [1_440, 72], b: [1_440, 109] } },
  },
  {
    title: 'Goods at 5 %, shipping at 20 %',
    source: 'Vendure, order.entity.spec "with shipping" (1600 → 80, 500 → 100)',
    goods: { A: 300, B: 1_000 },
    cart: { A: 2, B: 1 },
    to: 'XX',
    rules: {
      store: { ...store, defaultShipping: 's' },
      taxRates: [rate('a', 50_000, 'XX'), rate('ship', 200_000, 'XX', { categories: ['shipping'] })],
      shippingMethods: [
        { id: 's', name: 'S', taxCategory: 'shipping', zones: [{ countries: null, prices: { USD: 500 } }] },
      ],
    },
    expected: { total: 1_600 + 80 + 600, taxes: { a: [1_600, 80], ship: [500, 100] } },
  },
];
