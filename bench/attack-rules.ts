/** Good calls of the commercial rules, small, for attacks to twist; and how large a body each takes. */
import type { Answer } from './shop-process.ts';

type Json = Answer['body'];

/** Bodies by the operation's name without what it does, for a shop that has no rules but this product and sells in US dollars. */
function documents(sku: string): Readonly<Record<string, Json>> {
  return {
    Zone: { name: 'Austin', parts: [{ country: 'US', regions: ['TX'], postalPrefixes: ['787'] }] },
    TaxRate: { name: 'Texas', country: 'US', region: 'TX', categories: ['standard'], ratePpm: 62_500, included: false },
    ShippingMethod: {
      name: 'Bicycle',
      taxCategory: 'shipping',
      place: 3,
      zones: [{ countries: ['US'], prices: { USD: 300 }, bands: [{ maxItems: 3, prices: { USD: 1 } }] }],
      delivery: { minDays: 0, maxDays: 1 },
    },
    PriceList: {
      name: 'Trade',
      currency: 'USD',
      validity: { from: '2030-11-27T08:00:00.000Z' },
      priceTaxes: { kind: 'net' },
      entries: { [sku]: { amount: 90, tiers: [{ from: 2, amount: 80 }], compareAt: 95 } },
    },
    Promotion: {
      label: 'Ten off',
      trigger: 'automatic',
      conditions: { goods: [{ items: { skus: [sku] }, quantity: { min: 2 } }] },
      action: { kind: 'percent', items: { skus: [sku] }, ratePpm: 100_000 },
    },
    PromotionGroup: { promotions: ['a', 'b'], choose: 'best' },
    Coupon: { label: 'Ten', kind: 'percent', ratePpm: 100_000, limits: { total: 5 }, minSubtotal: { USD: 100 } },
    Store: {
      defaultCurrency: 'USD',
      currencies: ['USD'],
      defaultShipping: null,
      taxRounding: { mode: 'half_up', per: 'line' },
      customerGroups: ['trade'],
    },
  };
}

function dryRun(sku: string): Json {
  return {
    currency: 'USD',
    lines: [{ sku, quantity: 2 }],
    destination: { country: 'US', region: 'TX' },
    coupons: ['TEN'],
    at: '2030-11-27T08:00:00.000Z',
    draft: { coupon: { code: 'TEN', ...documents(sku).Coupon } },
  };
}

/** undefined: the operation writes no rule. */
export function ruleBody(operationId: string, sku: string): Json {
  if (operationId === 'adminValidatePricing') return dryRun(sku);
  const name = /^admin(?:Put|Change)(\w+)$/.exec(operationId)?.[1];
  return name === undefined ? undefined : documents(sku)[name];
}

/** Bytes of a body that the operation takes. */
export function bodyMax(operationId: string): number {
  if (/^admin(Put|Change)PriceList$/.test(operationId)) return 4 * 1024 * 1024;
  if (/^admin((Put|Change)Zone|ValidatePricing)$/.test(operationId)) return 1024 * 1024;
  return /^admin(Put|Change)(TaxRate|ShippingMethod|Promotion|PromotionGroup|Coupon)$/.test(operationId)
    ? 262_144
    : 16_384;
}
