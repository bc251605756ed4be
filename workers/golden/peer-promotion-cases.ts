/** Golden cases of promotions that other shops' documentation tells, recomputed by hand. */
import type { Promotion } from '../../schema/promotion.ts';
import { type GoldenCase, rate } from './golden-case.ts';

const store = { defaultCurrency: 'USD', currencies: ['USD', 'EUR', 'JPY'], defaultShipping: null };
const shipped = { ...store, defaultShipping: 'post' };

function offer(id: string, action: Promotion['action'], more: Partial<Promotion> = {}): Promotion {
  return { id, label: id, trigger: 'automatic', action, ...more };
}
const off = (ratePpm: number) => ({ kind: 'percent', ratePpm }) as const;
const post = (more: object = {}) => [
  { id: 'post', name: 'Post', taxCategory: 'none', zones: [{ countries: null, prices: { USD: 1_000 }, ...more }] },
];

export const PEER_PROMOTION_CASES: readonly GoldenCase[] = [
  {
    title: '10 % off an article of 9.00',
    source: 'Saleor, "Sales" (9.00 → 8.10)',
    goods: { A: 900 },
    cart: { A: 1 },
    rules: { promotions: [offer('sale', { ...off(100_000), items: { skus: ['A'] }, per: 'line' })] },
    expected: { total: 810, discount: 90 },
  },
  {
    title: 'A catalogue discount on one of two lines, with shipping',
    source: 'Saleor, "Examples" (2 × 50.00 at 20 % off, 30.00, shipping 20.00: 150.00 → 130.00)',
    goods: { A: 5_000, B: 3_000 },
    cart: { A: 2, B: 1 },
    rules: {
      store: shipped,
      promotions: [offer('sale', { ...off(200_000), items: { skus: ['A'] }, per: 'line' })],
      shippingMethods: [
        { id: 'post', name: 'Post', taxCategory: 'none', zones: [{ countries: null, prices: { USD: 2_000 } }] },
      ],
    },
    expected: { total: 13_000, discounts: { A: 2_000, B: 0 }, shipping: [2_000, 0] },
  },
  {
    title: 'Half off the same line in place of it',
    source: 'Saleor, "Examples" (2 × 50.00 at 50 % off, 30.00, shipping 20.00: 100.00)',
    goods: { A: 5_000, B: 3_000 },
    cart: { A: 2, B: 1 },
    rules: {
      store: shipped,
      promotions: [
        offer('manual', { ...off(500_000), items: { skus: ['A'] }, per: 'line' }),
        offer('sale', { ...off(200_000), items: { skus: ['A'] }, per: 'line' }),
      ],
      promotionGroups: [{ id: 'one', promotions: ['manual', 'sale'], choose: 'best' }],
      shippingMethods: [
        { id: 'post', name: 'Post', taxCategory: 'none', zones: [{ countries: null, prices: { USD: 2_000 } }] },
      ],
    },
    expected: { total: 10_000, discounts: { A: 5_000, B: 0 } },
  },
  {
    title: 'An order discount does not touch the shipping',
    source: 'Saleor, "Price Calculation" (an entire-order voucher lowers the subtotal only); by hand',
    goods: { A: 5_000 },
    cart: { A: 1 },
    rules: {
      store: shipped,
      coupons: [{ code: 'HALF', label: 'Half', kind: 'percent', ratePpm: 500_000 }],
      shippingMethods: post(),
    },
    asked: { coupons: ['HALF'] },
    expected: { total: 3_500, discount: 2_500, shipping: [1_000, 0] },
  },
  {
    title: 'An order promotion that gives a gift adds a line at no price',
    source: 'Saleor, "Price Calculation" (a gift is an extra line with zero price); by hand',
    goods: { A: 10_000, PEN: 500 },
    cart: { A: 1 },
    rules: {
      promotions: [
        offer(
          'pen',
          { kind: 'gift', sku: 'PEN' },
          { conditions: { goods: [{ items: {}, subtotal: { min: { USD: 5_000 } } }] } },
        ),
      ],
    },
    expected: { total: 10_000, discount: 0, gifts: ['PEN'] },
  },
  {
    title: 'An amount is split by what each article costs',
    source: 'VTEX, "How does promotion proration work" (156.00 off 190, 190, 250 and 150: 38, 38, 50 and 30)',
    goods: { A: 19_000, B: 19_000, C: 25_000, D: 15_000 },
    cart: { A: 1, B: 1, C: 1, D: 1 },
    rules: { promotions: [offer('nominal', { kind: 'amount', items: {}, amounts: { USD: 15_600 } })] },
    expected: { total: 62_400, discounts: { A: 3_800, B: 3_800, C: 5_000, D: 3_000 } },
  },
  {
    title: '15 % off orders over 100 dollars, prorated',
    source: 'Salesforce B2C Commerce, promotion proration logic (60.00 and 50.00: 9.00 and 7.50 off, 93.50)',
    goods: { SKU1: 6_000, SKU2: 5_000 },
    cart: { SKU1: 1, SKU2: 1 },
    rules: {
      promotions: [
        offer(
          'over100',
          { ...off(150_000), items: {} },
          { conditions: { goods: [{ items: {}, subtotal: { min: { USD: 10_000 } } }] } },
        ),
      ],
    },
    expected: { total: 9_350, discounts: { SKU1: 900, SKU2: 750 } },
  },
  {
    title: 'A product promotion first, then the order’s share of what is left',
    source: 'Salesforce B2C Commerce, promotion proration logic (10.00 off SKU1, then 15 %: 7.50 and 7.50, 85.00)',
    goods: { SKU1: 6_000, SKU2: 5_000 },
    cart: { SKU1: 1, SKU2: 1 },
    rules: {
      promotions: [
        offer('first', { kind: 'amount', items: { skus: ['SKU1'] }, amounts: { USD: 1_000 } }, { priority: 1 }),
        offer('then', { ...off(150_000), items: {} }, { priority: 2 }),
      ],
    },
    expected: { total: 8_500, discounts: { SKU1: 1_750, SKU2: 750 } },
  },
  {
    title: 'An excluded article gets no share',
    source: 'Salesforce B2C Commerce, promotion proration logic (SKU3 excluded: 16.50 off, 133.50)',
    goods: { SKU1: 6_000, SKU2: 5_000, SKU3: 4_000 },
    cart: { SKU1: 1, SKU2: 1, SKU3: 1 },
    rules: { promotions: [offer('over100', { ...off(150_000), items: { exceptSkus: ['SKU3'] } })] },
    expected: { total: 13_350, discounts: { SKU1: 900, SKU2: 750, SKU3: 0 } },
  },
  {
    title: 'Every article of a category for 15 each',
    source: 'commercetools, fixed price cart discounts ("all articles of the Sales category for 15 € each"); by hand',
    goods: { A: { price: 2_000, category: 'sales' }, B: { price: 1_200, category: 'sales' }, C: 2_000 },
    cart: { A: 2, B: 1, C: 1 },
    currency: 'EUR',
    rules: {
      promotions: [offer('final', { kind: 'fixed_price', items: { categories: ['sales'] }, prices: { EUR: 1_500 } })],
    },
    expected: { total: 3_000 + 1_200 + 2_000, discounts: { A: 1_000, B: 0, C: 0 } },
  },
  {
    title: 'Sunglasses for 10 with a code, all pairs',
    source: 'commercetools, fixed price cart discounts ("sunglasses for 10 € with SUNGLASSES, all pairs"); by hand',
    goods: { SUN: 2_500 },
    cart: { SUN: 3 },
    currency: 'EUR',
    rules: {
      promotions: [
        offer('sun', { kind: 'fixed_price', items: { skus: ['SUN'] }, prices: { EUR: 1_000 } }, { trigger: 'coupon' }),
      ],
      coupons: [{ code: 'SUNGLASSES', label: 'Sun', kind: 'promotion', promotion: 'sun' }],
    },
    asked: { coupons: ['sunglasses'] },
    expected: { total: 3_000, discount: 4_500 },
  },
  {
    title: 'Accessories for 10 with a phone in the cart',
    source: 'commercetools, fixed price cart discounts ("phone accessories only $10 with any new phone"); by hand',
    goods: { PHONE: { price: 50_000, category: 'phones' }, CASE: { price: 2_500, category: 'accessories' } },
    cart: { PHONE: 1, CASE: 2 },
    rules: {
      promotions: [
        offer(
          'case',
          { kind: 'fixed_price', items: { categories: ['accessories'] }, prices: { USD: 1_000 } },
          { conditions: { goods: [{ items: { categories: ['phones'] }, quantity: { min: 1 } }] } },
        ),
      ],
    },
    expected: { total: 52_000, discount: 3_000 },
  },
  {
    title: 'Three watermelons for 5',
    source:
      'commercetools, "How Cart Discounts work" (get 3 watermelons for $5); by hand: 4 at 2.00, three of them 5.00',
    goods: { MELON: 200 },
    cart: { MELON: 4 },
    rules: { promotions: [offer('melons', { kind: 'fixed_price', items: {}, quantity: 3, prices: { USD: 500 } })] },
    expected: { total: 700, discount: 100 },
  },
  {
    title: 'Buy four tires, two of them at half price',
    source: 'commercetools, multi-buy discounts ("Buy 4 car tires, get 2 of them 50% off"); by hand: 4 × 80.00',
    goods: { TIRE: 8_000 },
    cart: { TIRE: 4 },
    rules: {
      promotions: [
        offer('tires', {
          kind: 'buy_get',
          buy: { items: {}, quantity: 2 },
          get: { items: {}, quantity: 2, ratePpm: 500_000 },
        }),
      ],
    },
    expected: { total: 24_000, discount: 8_000 },
  },
  {
    title: 'Discounts stack: 10 % off what 50 % left',
    source:
      'commercetools, Stacking mode (a 10 % code on an article already 50 % off); by hand: 100.00 → 50.00 → 45.00',
    goods: { A: 10_000 },
    cart: { A: 1 },
    rules: {
      promotions: [offer('half', { ...off(500_000), items: {} })],
      coupons: [{ code: 'TEN', label: '10 %', kind: 'percent', ratePpm: 100_000 }],
    },
    asked: { coupons: ['TEN'] },
    expected: { total: 4_500, discount: 5_500 },
  },
  {
    title: 'Best deal: only the better of the two',
    source: 'commercetools, BestDeal mode; by hand: 15 % of 100.00 against 20.00 off',
    goods: { A: 10_000 },
    cart: { A: 1 },
    rules: {
      promotions: [
        offer('percent', { ...off(150_000), items: {} }, { priority: 1 }),
        offer('amount', { kind: 'amount', items: {}, amounts: { USD: 2_000 } }, { priority: 2 }),
      ],
      promotionGroups: [{ id: 'deal', promotions: ['percent', 'amount'], choose: 'best' }],
    },
    expected: { total: 8_000, discount: 2_000 },
  },
  {
    title: 'A discount that stops those after it',
    source: 'commercetools, StopAfterThisDiscount; by hand',
    goods: { A: 10_000 },
    cart: { A: 1 },
    rules: {
      promotions: [
        offer('first', { ...off(100_000), items: {} }, { priority: 1, last: true }),
        offer('second', { ...off(100_000), items: {} }, { priority: 2 }),
      ],
    },
    expected: { total: 9_000, discount: 1_000 },
  },
  {
    title: 'Spend 200 and get 5 off the total',
    source: 'commercetools, discount on the total price ("spend 200€ and get 5€ off"); by hand: 5.00 split 150 : 50',
    goods: { A: 15_000, B: 5_000 },
    cart: { A: 1, B: 1 },
    currency: 'EUR',
    rules: {
      promotions: [
        offer('spend', {
          kind: 'tiers',
          items: {},
          tiers: [{ fromSubtotal: { EUR: 20_000 }, off: { kind: 'amount', amounts: { EUR: 500 } } }],
        }),
      ],
    },
    expected: { total: 19_500, discounts: { A: 375, B: 125 } },
  },
  {
    title: 'Each article at 42',
    source: 'Vendure, order-calculator.spec fixed_price_item_action (any price becomes 42); by hand: 2 × 123',
    goods: { A: 123 },
    cart: { A: 2 },
    rules: { promotions: [offer('fix', { kind: 'fixed_price', items: {}, prices: { USD: 42 } })] },
    expected: { total: 84, discount: 162 },
  },
  {
    title: '5.00 off the order, split, and taxed on what is left',
    source:
      'Vendure, order-calculator.spec fixed_discount_order_action (500 off); by hand: 600 and 1400 → 150 and 350, 20 % on 450 and 1050',
    goods: { A: 600, B: 1_400 },
    cart: { A: 1, B: 1 },
    to: 'XX',
    rules: {
      promotions: [offer('five', { kind: 'amount', items: {}, amounts: { USD: 500 } })],
      taxRates: [rate('t', 200_000, 'XX')],
    },
    expected: { total: 1_800, discounts: { A: 150, B: 350 }, tax: { A: 90, B: 210 } },
  },
  {
    title: 'Free shipping by a promotion',
    source: 'Vendure, order-calculator.spec free_shipping; by hand',
    goods: { A: 100 },
    cart: { A: 1 },
    rules: {
      store: shipped,
      promotions: [offer('free', { kind: 'shipping', off: off(1_000_000) })],
      shippingMethods: post(),
    },
    expected: { total: 100, discount: 0, shipping: [0, 0] },
  },
];
