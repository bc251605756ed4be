/** Golden cases of prices, promotions and shipping that are told in words and computed by hand. */
import type { Promotion } from '../../schema/promotion.ts';
import type { GoldenCase } from './golden-case.ts';

const store = { defaultCurrency: 'USD', currencies: ['USD', 'EUR', 'JPY'], defaultShipping: null };
const shipped = { ...store, defaultShipping: 'post' };

function offer(id: string, action: Promotion['action'], more: Partial<Promotion> = {}): Promotion {
  return { id, label: id, trigger: 'automatic', action, ...more };
}
const off = (ratePpm: number) => ({ kind: 'percent', ratePpm }) as const;
const post = (more: object = {}) => [
  { id: 'post', name: 'Post', taxCategory: 'none', zones: [{ countries: null, prices: { USD: 1_000 }, ...more }] },
];

export const OFFER_CASES: readonly GoldenCase[] = [
  {
    title: 'Three for two over mixed articles: the cheapest is free',
    source: 'By hand: 30.00, 20.00 and 10.00; one of three is free, the one of 10.00',
    goods: { A: 3_000, B: 2_000, C: 1_000 },
    cart: { A: 1, B: 1, C: 1 },
    rules: {
      promotions: [
        offer('3for2', {
          kind: 'buy_get',
          buy: { items: {}, quantity: 2 },
          get: { items: {}, quantity: 1, ratePpm: 1_000_000 },
        }),
      ],
    },
    expected: { total: 5_000, discounts: { A: 0, B: 0, C: 1_000 } },
  },
  {
    title: 'Three for two with seven units: two are free',
    source: 'By hand: 4 × 10.00 and 3 × 6.00; two times three fit into seven, two of 6.00 are free',
    goods: { A: 1_000, B: 600 },
    cart: { A: 4, B: 3 },
    rules: {
      promotions: [
        offer('3for2', {
          kind: 'buy_get',
          buy: { items: {}, quantity: 2 },
          get: { items: {}, quantity: 1, ratePpm: 1_000_000 },
        }),
      ],
    },
    expected: { total: 4_600, discounts: { A: 0, B: 1_200 } },
  },
  {
    title: 'Buy a mug, get a spoon at a third off',
    source: 'By hand: 2 mugs, 3 spoons of 5.00; two spoons, 10.00 × 33.3333 % = 3.33333',
    goods: { MUG: 1_500, SPOON: 500 },
    cart: { MUG: 2, SPOON: 3 },
    rules: {
      promotions: [
        offer('spoon', {
          kind: 'buy_get',
          buy: { items: { skus: ['MUG'] }, quantity: 1 },
          get: { items: { skus: ['SPOON'] }, quantity: 1, ratePpm: 333_333 },
        }),
      ],
    },
    expected: { total: 4_167, discounts: { MUG: 0, SPOON: 333 } },
  },
  {
    title: 'Quantity tiers over mixed articles: from five on 10 %, from ten on 20 %',
    source: 'By hand: 6 × 3.00 and 5 × 2.00 = 28.00, eleven units, 20 % = 5.60 split 18 : 10',
    goods: { A: 300, B: 200 },
    cart: { A: 6, B: 5 },
    rules: {
      promotions: [
        offer('tiers', {
          kind: 'tiers',
          items: {},
          tiers: [
            { fromQuantity: 5, off: off(100_000) },
            { fromQuantity: 10, off: off(200_000) },
          ],
        }),
      ],
    },
    expected: { total: 2_240, discounts: { A: 360, B: 200 } },
  },
  {
    title: 'A cap on what a promotion takes',
    source: 'By hand: half of 100.00, at most 20.00, split 60 : 40',
    goods: { A: 6_000, B: 4_000 },
    cart: { A: 1, B: 1 },
    rules: { promotions: [offer('half', { ...off(500_000), items: {} }, { maxAmount: { USD: 2_000 } })] },
    expected: { total: 8_000, discounts: { A: 1_200, B: 800 } },
  },
  {
    title: 'Not on sale items',
    source: 'By hand: A was 15.00 and is 10.00, so only B gets 10 %',
    goods: { A: { price: 1_000, compareAtPrices: { USD: 1_500 } }, B: 1_000 },
    cart: { A: 1, B: 1 },
    rules: { promotions: [offer('ten', { ...off(100_000), items: { notOnSale: true } })] },
    expected: { total: 1_900, discounts: { A: 0, B: 100 } },
  },
  {
    title: 'What cannot be split evenly goes to the lower line id',
    source: 'By hand: 1.00 over three lines of 5.00: 0.34, 0.33, 0.33',
    goods: { A: 500, B: 500, C: 500 },
    cart: { C: 1, B: 1, A: 1 },
    rules: { promotions: [offer('one', { kind: 'amount', items: {}, amounts: { USD: 100 } })] },
    expected: { total: 1_400, discounts: { A: 34, B: 33, C: 33 } },
  },
  {
    title: 'First order, in a zone, for a group',
    source: 'By hand: all three conditions hold, 20 % of 50.00',
    goods: { A: 5_000 },
    cart: { A: 1 },
    to: 'AT',
    rules: {
      zones: [{ id: 'dach', name: 'DACH', parts: [{ country: 'DE' }, { country: 'AT' }, { country: 'CH' }] }],
      promotions: [
        offer(
          'welcome',
          { ...off(200_000), items: {} },
          { conditions: { firstOrder: true, zones: ['dach'], customerGroups: ['vip'] } },
        ),
      ],
    },
    asked: { firstOrder: true, customerGroup: 'vip' },
    expected: { total: 4_000, discount: 1_000 },
  },
  {
    title: 'A price list for a group, by quantity',
    source: 'By hand: trade pays 8.00, from ten on 7.50; ten units',
    goods: { A: 1_000 },
    cart: { A: 10 },
    rules: {
      priceLists: [
        {
          id: 'trade',
          name: 'Trade',
          currency: 'USD',
          customerGroups: ['trade'],
          entries: { A: { amount: 800, tiers: [{ from: 10, amount: 750 }] } },
        },
      ],
    },
    asked: { customerGroup: 'trade' },
    expected: { total: 7_500, unitPrice: { A: 750 } },
  },
  {
    title: 'A price change that has come',
    source: 'By hand: 10.00, from instant 100 on 11.00, from 200 on 12.00; asked at 150',
    goods: { A: 900 },
    cart: { A: 1 },
    rules: {
      priceLists: [
        {
          id: 'l',
          name: 'L',
          currency: 'USD',
          entries: {
            A: {
              amount: 1_000,
              changes: [
                { at: 100, amount: 1_100 },
                { at: 200, amount: 1_200 },
              ],
            },
          },
        },
      ],
    },
    asked: { at: 150 },
    expected: { total: 1_100 },
  },
  {
    title: 'Shipping by weight, free from a subtotal on',
    source: 'By hand: 3 × 900 g is past 2 kg; 60.00 is below 100.00',
    goods: { A: { price: 2_000, weightGrams: 900 } },
    cart: { A: 3 },
    rules: {
      store: shipped,
      shippingMethods: post({
        bands: [
          { maxWeightGrams: 2_000, prices: { USD: 500 } },
          { maxWeightGrams: 5_000, prices: { USD: 900 } },
        ],
        freeFrom: { USD: 10_000 },
      }),
    },
    expected: { total: 6_900, shipping: [900, 0] },
  },
  {
    title: 'Free from the threshold on, also where a discount leaves less',
    source: 'By hand: 100.00 before discounts reaches 100.00',
    goods: { A: 10_000 },
    cart: { A: 1 },
    rules: {
      store: shipped,
      coupons: [{ code: 'TEN', label: '10 %', kind: 'percent', ratePpm: 100_000 }],
      shippingMethods: post({ freeFrom: { USD: 10_000 } }),
    },
    asked: { coupons: ['TEN'] },
    expected: { total: 9_000, shipping: [0, 0] },
  },
  {
    title: 'A held line keeps the price that it was held at',
    source: 'By hand: 9.00 when it was held, 10.00 now',
    goods: { A: 1_000 },
    cart: { A: 2 },
    asked: { lines: [{ id: 'lin_A', sku: 'A', quantity: 2, locked: { unitPrice: 900, list: null } }] },
    expected: { total: 1_800, unitPrice: { A: 900 } },
  },
  {
    title: 'Yen have no decimals: a third of 1,000 is 333',
    source: 'By hand: 1,000 × 33.3333 % = 333.333',
    goods: { A: 1_000 },
    cart: { A: 1 },
    currency: 'JPY',
    rules: { promotions: [offer('third', { ...off(333_333), items: {} })] },
    expected: { total: 667, discount: 333 },
  },
];
