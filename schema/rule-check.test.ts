import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoData } from './demo.ts';
import { validateCoupon, validatePromotion, validatePromotionGroup } from './promotion-check.ts';
import {
  validatePriceList,
  validateShippingMethod,
  validateStore,
  validateTaxRate,
  validateZone,
} from './rule-check.ts';
import type { RuleCheck } from './rule-fields.ts';
import { type RuleSet, validateRules } from './rule-set.ts';

const all = { items: {} };

function errorsOf(check: RuleCheck<unknown>): string[] {
  return check.ok ? [] : check.errors.map(({ path, message }) => `${path} ${message}`);
}
function firstPath(check: RuleCheck<unknown>): string | undefined {
  return check.ok ? undefined : check.errors[0]?.path;
}
function promotion(action: unknown, more: object = {}) {
  return { id: 'p', label: 'P', trigger: 'automatic', action, ...more };
}

test('the rules of the demo shop are valid as they stand', () => {
  const data = demoData();
  const skus = new Set(data.products.map(({ sku }) => sku));
  assert.deepEqual(errorsOf(validateStore(data.store)), []);
  for (const rate of data.taxRates) assert.deepEqual(errorsOf(validateTaxRate(rate)), []);
  for (const method of data.shippingMethods) assert.deepEqual(errorsOf(validateShippingMethod(method)), []);
  for (const coupon of data.coupons) assert.deepEqual(errorsOf(validateCoupon(coupon)), []);
  for (const zone of data.zones) assert.deepEqual(errorsOf(validateZone(zone)), []);
  for (const list of data.priceLists) assert.deepEqual(errorsOf(validatePriceList(list)), []);
  for (const offer of data.promotions) assert.deepEqual(errorsOf(validatePromotion(offer)), []);
  assert.deepEqual(
    validateRules(data, (sku) => skus.has(sku)),
    { ok: true },
  );
});

test('each kind of promotion passes with all it can say, and comes back as it was', () => {
  const sums = { USD: 1_000, JPY: 100 };
  const actions = [
    { kind: 'percent', items: { skus: ['A'], exceptCategories: ['b'], notOnSale: true }, ratePpm: 1, per: 'line' },
    { kind: 'amount', items: {}, amounts: sums, per: 'unit' },
    { kind: 'fixed_price', items: { categories: ['Coffee & tea'] }, quantity: 3, prices: { USD: 0 } },
    { kind: 'buy_get', buy: { ...all, quantity: 2 }, get: { ...all, quantity: 1, ratePpm: 1_000_000 }, timesMax: 3 },
    { kind: 'tiers', ...all, tiers: [{ fromQuantity: 2, off: { kind: 'percent', ratePpm: 5 } }] },
    { kind: 'tiers', ...all, tiers: [{ fromSubtotal: sums, off: { kind: 'amount', amounts: sums } }] },
    { kind: 'shipping', methods: ['express'], off: { kind: 'price', prices: { USD: 0 } } },
    { kind: 'gift', sku: 'A', quantity: 2 },
  ];
  for (const action of actions) {
    const conditions = {
      goods: [{ items: {}, quantity: { min: 1, max: 1 }, subtotal: { min: sums } }],
      customerGroups: ['vip'],
      channels: ['web'],
      firstOrder: true,
      zones: ['eu'],
    };
    const more = { conditions, validity: { from: 1, until: 2 }, priority: 0, last: true, maxAmount: sums };
    const input = promotion(action, more);
    assert.deepEqual(validatePromotion(input), { ok: true, rule: input });
  }
});

test('an impossible promotion is refused with the path and the reason', () => {
  const percent = { kind: 'percent', ...all, ratePpm: 100_000 };
  const cases: readonly (readonly [unknown, string])[] = [
    [promotion({ ...percent, ratePpm: -5 }), '/action/ratePpm'],
    [promotion({ ...percent, ratePpm: 1_000_001 }), '/action/ratePpm'],
    [promotion({ ...percent, ratePpm: 0.5 }), '/action/ratePpm'],
    [promotion({ ...percent, surprise: 1 }), '/action/surprise'],
    [promotion({ kind: 'amount', ...all, amounts: { USD: -1 } }), '/action/amounts/USD'],
    [promotion({ kind: 'amount', ...all, amounts: { XYZ: 1 } }), '/action/amounts/XYZ'],
    [promotion({ kind: 'amount', ...all, amounts: {} }), '/action/amounts'],
    [promotion({ ...percent, items: { skus: ['A'], exceptSkus: ['A', 'B'] } }), '/action/items/exceptSkus'],
    [promotion({ ...percent, items: { skus: ['A', 'A'] } }), '/action/items/skus'],
    [promotion({ kind: 'magic' }), '/action/kind'],
    [promotion(percent, { validity: { from: 5, until: 5 } }), '/validity/until'],
    [promotion(percent, { conditions: { goods: [{ items: {} }] } }), '/conditions/goods/0'],
    [
      promotion(percent, { conditions: { goods: [{ items: {}, quantity: { min: 3, max: 2 } }] } }),
      '/conditions/goods/0/quantity/max',
    ],
    [
      promotion({
        kind: 'tiers',
        ...all,
        tiers: [3, 2].map((n) => ({ fromQuantity: n, off: { kind: 'percent', ratePpm: 1 } })),
      }),
      '/action/tiers/1/fromQuantity',
    ],
    [
      promotion({ kind: 'tiers', ...all, tiers: [{ fromQuantity: 1, off: { kind: 'price', prices: { USD: 1 } } }] }),
      '/action/tiers/0/off/kind',
    ],
    [
      promotion({ kind: 'buy_get', buy: { ...all, quantity: 0 }, get: { ...all, quantity: 1, ratePpm: 1 } }),
      '/action/buy/quantity',
    ],
    [promotion(percent, { maxAmount: { USD: 0 } }), '/maxAmount/USD'],
    [{ ...promotion(percent), label: 'a\nb' }, '/label'],
    [{ ...promotion(percent), __proto__: null, trigger: undefined }, '/trigger'],
    [
      JSON.parse('{"id":"p","label":"P","trigger":"automatic","action":{"kind":"gift","sku":"A"},"__proto__":{}}'),
      '/__proto__',
    ],
    [null, ''],
    [[], ''],
  ];
  for (const [input, path] of cases) assert.equal(firstPath(validatePromotion(input)), path, JSON.stringify(input));
  assert.equal(firstPath(validatePromotionGroup({ id: 'g', promotions: ['a', 'a'], choose: 'best' })), '/promotions');
});

test('a price list, a rate, a zone, a method, a coupon or a store that cannot be is refused with the path', () => {
  const list = (entry: unknown) => ({ id: 'l', name: 'L', currency: 'USD', entries: { A: entry } });
  const rate = { id: 'r', name: 'R', country: 'US', region: null, categories: ['x'], ratePpm: 1, included: false };
  const zone = (part: unknown) => ({ id: 'z', name: 'Z', parts: [part] });
  const method = (at: unknown) => ({ id: 'm', name: 'M', taxCategory: 'shipping', zones: [at] });
  const flat = { countries: null, prices: { USD: 1 } };
  const store = { defaultCurrency: 'USD', currencies: ['USD'], defaultShipping: null };
  const cases: readonly (readonly [RuleCheck<unknown>, string])[] = [
    [validatePriceList({ ...list({ amount: 1 }), currency: 'usd' }), '/currency'],
    [validatePriceList(list({ amount: -1 })), '/entries/A/amount'],
    [validatePriceList(list({ amount: 1.5 })), '/entries/A/amount'],
    [validatePriceList(list({ amount: 5, compareAt: 5 })), '/entries/A/compareAt'],
    [validatePriceList(list({ amount: 5, tiers: [{ from: 1, amount: 4 }] })), '/entries/A/tiers/0/from'],
    [
      validatePriceList(list({ amount: 5, tiers: [5, 5].map((from) => ({ from, amount: 4 })) })),
      '/entries/A/tiers/1/from',
    ],
    [
      validatePriceList(list({ amount: 5, changes: [9, 8].map((at) => ({ at, amount: 4 })) })),
      '/entries/A/changes/1/at',
    ],
    [
      validatePriceList(list({ amount: 5, changes: [{ at: 1, amount: 4, changes: [] }] })),
      '/entries/A/changes/0/changes',
    ],
    [validatePriceList({ ...list({ amount: 1 }), priceTaxes: { kind: 'gross' } }), '/priceTaxes/home'],
    [validateTaxRate({ ...rate, ratePpm: 1_000_001 }), '/ratePpm'],
    [validateTaxRate({ ...rate, zone: 'z' }), '/country'],
    [validateTaxRate({ ...rate, country: 'usa' }), '/country'],
    [validateTaxRate({ ...rate, validity: { from: 2, until: 1 } }), '/validity/until'],
    [validateZone(zone({ country: 'US', postalPrefixes: ['79 ', '78'] })), '/parts/0/postalPrefixes/0'],
    [validateZone(zone({})), '/parts/0/country'],
    [
      validateShippingMethod(method({ ...flat, bands: [{ prices: { USD: 1 } }, { prices: { USD: 2 } }] })),
      '/zones/0/bands/0',
    ],
    [validateShippingMethod(method({ ...flat, freeFrom: { USD: -1 } })), '/zones/0/freeFrom/USD'],
    [validateShippingMethod(method({ ...flat, delivery: { minDays: 3, maxDays: 2 } })), '/zones/0/delivery/maxDays'],
    [validateCoupon({ code: 'save', label: 'S', kind: 'percent', ratePpm: 1 }), '/code'],
    [validateCoupon({ code: 'SAVE', label: 'S', kind: 'percent', amounts: { USD: 1 } }), '/ratePpm'],
    [
      validateCoupon({ code: 'SAVE', label: 'S', kind: 'promotion', promotion: 'p', limits: { total: 0 } }),
      '/limits/total',
    ],
    [validateStore({ ...store, defaultCurrency: 'EUR' }), '/defaultCurrency'],
    [validateStore({ ...store, taxRounding: { mode: 'up', per: 'line' } }), '/taxRounding/mode'],
  ];
  for (const [check, path] of cases) assert.equal(firstPath(check), path);
});

test('rules that name what is not there, contradict or go in a circle are refused with the path', () => {
  const base: RuleSet = {
    store: {
      defaultCurrency: 'USD',
      currencies: ['USD', 'JPY'],
      defaultShipping: 'post',
      customerGroups: ['vip'],
      channels: ['web'],
    },
    zones: [{ id: 'tx', name: 'Texas', parts: [{ country: 'US', regions: ['TX'] }] }],
    priceLists: [{ id: 'l', name: 'L', currency: 'JPY', customerGroups: ['vip'], entries: { A: { amount: 1 } } }],
    promotions: [gift('a', 'A', 'B'), gift('b', 'C', 'A'), { ...gift('c', 'D'), trigger: 'coupon' }],
    promotionGroups: [{ id: 'g', promotions: ['a', 'b'], choose: 'best' }],
    coupons: [{ code: 'C', label: 'C', kind: 'promotion', promotion: 'c' }],
    taxRates: [{ id: 'r', name: 'R', zone: 'tx', categories: ['x'], ratePpm: 1, included: false }],
    shippingMethods: [{ id: 'post', name: 'P', taxCategory: 'x', zones: [{ countries: null, prices: { USD: 1 } }] }],
  };
  const check = (more: Partial<RuleSet>): string[] => {
    const result = validateRules({ ...base, ...more }, (sku) => 'ABCD'.includes(sku));
    return result.ok ? [] : result.errors.map(({ path, message }) => `${path} ${message}`);
  };
  assert.deepEqual(check({}), []);
  assert.deepEqual(check({ promotions: [...base.promotions, gift('d', 'GHOST')] }), [
    '/promotions/d/action/sku there is no product "GHOST"',
  ]);
  assert.deepEqual(check({ promotions: [gift('a', 'A', 'C'), gift('b', 'C', 'A'), base.promotions[2] as never] }), [
    '/promotions/a/action/sku gives what is asked for in a circle: a → b → a',
  ]);
  assert.deepEqual(
    check({ promotionGroups: [...base.promotionGroups, { id: 'h', promotions: ['c', 'b'], choose: 'first' }] }),
    ['/promotionGroups/h/promotions/1 is in the group "g" too: exclusive groups must not overlap'],
  );
  assert.deepEqual(check({ priceLists: [{ ...(base.priceLists[0] as never as object), currency: 'EUR' } as never] }), [
    '/priceLists/l/currency the store does not sell in EUR, only in USD, JPY',
  ]);
  assert.deepEqual(check({ zones: [] }), ['/taxRates/r/zone there is no zone "tx"']);
  assert.deepEqual(check({ coupons: [{ code: 'C', label: 'C', kind: 'promotion', promotion: 'a' }] }), [
    '/coupons/C/promotion applies without a coupon: its trigger is "automatic"',
  ]);
  assert.deepEqual(check({ shippingMethods: [] }), ['/store/defaultShipping there is no shipping method "post"']);
});

function gift(id: string, sku: string, asked?: string): RuleSet['promotions'][number] {
  const conditions = asked === undefined ? {} : { goods: [{ items: { skus: [asked] }, quantity: { min: 1 } }] };
  return { id, label: id, trigger: 'automatic', conditions, action: { kind: 'gift', sku } };
}
