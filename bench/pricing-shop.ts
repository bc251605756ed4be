/** A shop for the pricing bench: articles, live promotions of every kind that takes something off goods, and the taxes of one US city. */

import type { PriceBook } from '../schema/price-book.ts';
import type { Promotion, PromotionAction } from '../schema/promotion.ts';
import { createBook } from '../workers/price-book.ts';
import type { PriceRequest } from '../workers/quote.ts';

export interface PricingScene {
  readonly book: PriceBook;
  readonly request: PriceRequest;
}

const SKUS = 400;

/**
 * @param promotions that the cart may meet: a third of them for all goods, a third by category, a third by sku
 * @param others for skus that are in no cart
 */
export function pricingScene(lines: number, promotions: number, others = 0): PricingScene {
  const product = (i: number) => ({
    name: `Article ${i}`,
    category: `shelf ${i % 10}`,
    active: true,
    taxCategory: 'standard',
    prices: { USD: 1_999 + i * 37 },
  });
  const zone = { id: 'austin', name: 'Austin', parts: [{ country: 'US', regions: ['TX'], postalPrefixes: ['787'] }] };
  const rate = { categories: ['standard'], included: false };
  const book = createBook({
    version: 1,
    store: { defaultCurrency: 'USD', currencies: ['USD'], defaultShipping: 'post' },
    products: Object.fromEntries(Array.from({ length: SKUS }, (_, i) => [`SKU-${i}`, product(i)])),
    zones: [zone],
    promotions: [
      ...Array.from({ length: promotions }, (_, i) => promotion(`live-${i}`, i, itemsOf(i, lines))),
      ...Array.from({ length: others }, (_, i) => promotion(`other-${i}`, i, { skus: [`ELSEWHERE-${i}`] })),
    ],
    taxRates: [
      {
        ...rate,
        id: 'state',
        name: 'State',
        country: 'US',
        region: 'TX',
        ratePpm: 62_500,
        categories: ['standard', 'post'],
      },
      { ...rate, id: 'county', name: 'County', zone: 'austin', ratePpm: 5_000 },
      { ...rate, id: 'city', name: 'City', zone: 'austin', ratePpm: 10_000 },
    ],
    shippingMethods: [
      { id: 'post', name: 'Post', taxCategory: 'post', zones: [{ countries: ['US'], prices: { USD: 599 } }] },
    ],
  });
  const request: PriceRequest = {
    currency: 'USD',
    lines: Array.from({ length: lines }, (_, i) => ({ id: `lin_${i}`, sku: `SKU-${i}`, quantity: 1 + (i % 4) })),
    destination: { country: 'US', region: 'TX', postalCode: '78701' },
    coupons: [],
    shippingMethod: null,
    at: 1_000,
  };
  return { book, request };
}

function itemsOf(i: number, lines: number): { skus?: string[]; categories?: string[] } {
  if (i % 3 === 0) return {};
  if (i % 3 === 1) return { categories: [`shelf ${i % 10}`] };
  return { skus: [`SKU-${i % lines}`, `SKU-${(i * 7) % lines}`].filter((sku, at, all) => all.indexOf(sku) === at) };
}

function promotion(id: string, i: number, items: { skus?: string[]; categories?: string[] }): Promotion {
  const off = { kind: 'percent', ratePpm: 20_000 } as const;
  const actions: readonly PromotionAction[] = [
    { kind: 'percent', items, ratePpm: 30_000 },
    { kind: 'amount', items, amounts: { USD: 150 } },
    { kind: 'buy_get', buy: { items, quantity: 2 }, get: { items, quantity: 1, ratePpm: 500_000 } },
    { kind: 'tiers', items, tiers: [{ fromQuantity: 3, off }] },
    { kind: 'fixed_price', items, prices: { USD: 1_990 } },
  ];
  return { id, label: id, trigger: 'automatic', action: actions[i % actions.length] as PromotionAction };
}
