/**
 * The demo shop's commercial rules: one of nearly everything that there is, in amounts that a shop might have.
 *
 * The tax rates are the general ones of each place, for demonstration: real shops owe local and special rates too. Texas and
 * California stand with the state's rate only; New York with those of the city, a county and the commuter district; British
 * Columbia, Quebec and Ontario with what the province adds to, or has in place of, the federal tax.
 */
import type { Coupon } from './coupon.ts';
import type { PriceList } from './price-list.ts';
import type { Promotion } from './promotion.ts';
import type { RuleSet } from './rule-set.ts';
import type { Store } from './rules.ts';
import type { ShippingMethod } from './shipping-method.ts';
import type { TaxRate } from './tax-rate.ts';
import type { Zone } from './zone.ts';

const STORE: Store = {
  defaultCurrency: 'USD',
  currencies: ['USD', 'EUR', 'JPY', 'KWD'],
  defaultShipping: 'standard',
  customerGroups: ['trade'],
  channels: ['web', 'pos'],
};

/** The products' own prices are in dollars, euros and yen. These are beside them. */
const PRICE_LISTS: readonly PriceList[] = [
  {
    id: 'eur-kitchen',
    name: 'Kitchen in euros, German VAT included',
    currency: 'EUR',
    priceTaxes: { kind: 'gross', home: { country: 'DE' } },
    entries: {
      'KIT-SCALE': { amount: 3590, tiers: [{ from: 3, amount: 3290 }] },
      'KIT-GRINDER': { amount: 8490, compareAt: 9290 },
      'KIT-LINEN-3': { amount: 2690, tiers: [{ from: 5, amount: 2390 }] },
    },
  },
  {
    id: 'kwd',
    name: 'A few things in Kuwaiti dinars',
    currency: 'KWD',
    entries: {
      'COF-YIRGA-250': { amount: 5_500 },
      'DSK-PEN-BRASS': { amount: 11_750 },
      'OUT-FLASK-1': { amount: 9_900, compareAt: 12_500 },
      'TOY-CARDS': { amount: 4_950, tiers: [{ from: 4, amount: 4_250 }] },
    },
  },
  {
    id: 'trade',
    name: 'Trade customers',
    currency: 'USD',
    priority: 100,
    customerGroups: ['trade'],
    priceTaxes: { kind: 'net' },
    entries: {
      'COF-ALDEA-250': { amount: 1_150, tiers: [{ from: 12, amount: 1_020 }] },
      'COF-YIRGA-250': { amount: 1_420, tiers: [{ from: 12, amount: 1_260 }] },
    },
  },
];

const PROMOTIONS: readonly Promotion[] = [
  {
    id: 'books-3-for-2',
    label: 'Buy two books, get the cheapest third free',
    trigger: 'automatic',
    action: {
      kind: 'buy_get',
      buy: { items: { categories: ['Books'] }, quantity: 2 },
      get: { items: { categories: ['Books'] }, quantity: 1, ratePpm: 1_000_000 },
    },
    priority: 100,
  },
  {
    id: 'audio-tiers',
    label: 'Spend more on audio, save more',
    trigger: 'automatic',
    action: {
      kind: 'tiers',
      items: { categories: ['Audio'], notOnSale: true },
      tiers: [
        { fromSubtotal: { USD: 30_000, EUR: 30_000, JPY: 45_000 }, off: { kind: 'percent', ratePpm: 50_000 } },
        { fromSubtotal: { USD: 60_000, EUR: 60_000, JPY: 90_000 }, off: { kind: 'percent', ratePpm: 100_000 } },
      ],
    },
    priority: 200,
  },
  {
    id: 'coffee-club',
    label: '15 % off coffee and tea',
    trigger: 'coupon',
    action: { kind: 'percent', items: { categories: ['Coffee & Tea'] }, ratePpm: 150_000 },
    priority: 300,
  },
  {
    id: 'free-shipping',
    label: 'Free standard shipping',
    trigger: 'automatic',
    conditions: { goods: [{ items: {}, subtotal: { min: { USD: 25_000, EUR: 25_000, JPY: 36_000 } } }] },
    action: { kind: 'shipping', methods: ['standard'], off: { kind: 'percent', ratePpm: 1_000_000 } },
    priority: 900,
  },
];

/** With terms of their own. */
export const OWN_COUPONS: readonly Coupon[] = [
  { code: 'WELCOME10', label: 'Welcome: 10 % off', kind: 'percent', ratePpm: 100_000 },
  { code: 'FIVEOFF', label: '5 off your order', kind: 'fixed', amounts: { USD: 500, EUR: 500, JPY: 700, KWD: 1_500 } },
  {
    code: 'STAMPEDE25',
    label: '25 % off from 100',
    kind: 'percent',
    ratePpm: 250_000,
    minSubtotal: { USD: 10_000, EUR: 10_000, JPY: 15_000, KWD: 30_000 },
  },
];
const COUPONS: readonly Coupon[] = [
  ...OWN_COUPONS,
  {
    code: 'COFFEE15',
    label: '15 % off coffee and tea, once',
    kind: 'promotion',
    promotion: 'coffee-club',
    limits: { perCustomer: 1 },
  },
];

const NEW_YORK_CITY = ['100', '101', '102', '103', '104', '111', '112', '113', '114', '116'];
const ZONES: readonly Zone[] = [
  {
    id: 'new-york-city',
    name: 'New York City',
    parts: [{ country: 'US', regions: ['NY'], postalPrefixes: NEW_YORK_CITY }],
  },
  {
    id: 'nassau-county',
    name: 'Nassau County',
    parts: [{ country: 'US', regions: ['NY'], postalPrefixes: ['115'] }],
  },
  {
    id: 'new-york-commuters',
    name: 'Metropolitan Commuter Transportation District',
    parts: [
      {
        country: 'US',
        regions: ['NY'],
        postalPrefixes: [...NEW_YORK_CITY, '105', '106', '107', '108', '115', '117', '118', '119'],
      },
    ],
  },
  {
    id: 'canada-gst',
    name: 'Canada, provinces with GST',
    parts: [{ country: 'CA', regions: ['AB', 'BC', 'MB', 'NT', 'NU', 'QC', 'SK', 'YT'] }],
  },
];

const US = (region: string, name: string, ratePpm: number, categories: readonly string[]): TaxRate => ({
  id: `us-${region.toLowerCase()}`,
  name,
  country: 'US',
  region,
  categories,
  ratePpm,
  included: false,
});
const IN_ZONE = (id: string, zone: string, name: string, ratePpm: number): TaxRate => ({
  id,
  name,
  zone,
  categories: ['standard', 'books', 'shipping'],
  ratePpm,
  included: false,
});
const CANADA = (region: string, id: string, name: string, ratePpm: number, categories: readonly string[]): TaxRate => ({
  id,
  name,
  country: 'CA',
  region,
  categories,
  ratePpm,
  included: false,
});
const VAT = (country: string, name: string, percent: number, categories: readonly string[]): TaxRate => ({
  id: `${country.toLowerCase()}-${percent}`,
  name,
  country,
  region: null,
  categories,
  ratePpm: Math.round(percent * 10_000),
  included: true,
});

const TAX_RATES: readonly TaxRate[] = [
  US('TX', 'Texas sales tax', 62_500, ['standard', 'books', 'shipping']),
  US('CA', 'California sales tax', 72_500, ['standard', 'books']),
  US('NY', 'New York sales tax', 40_000, ['standard', 'books', 'shipping']),
  IN_ZONE('us-ny-city', 'new-york-city', 'New York City sales tax', 45_000),
  IN_ZONE('us-ny-nassau', 'nassau-county', 'Nassau County sales tax', 42_500),
  IN_ZONE('us-ny-mctd', 'new-york-commuters', 'MCTD surcharge', 3_750),
  US('WA', 'Washington sales tax', 65_000, ['standard', 'books', 'shipping']),
  US('FL', 'Florida sales tax', 60_000, ['standard', 'books', 'shipping']),
  US('IL', 'Illinois sales tax', 62_500, ['standard', 'books']),
  IN_ZONE('ca-gst', 'canada-gst', 'GST 5 %', 50_000),
  CANADA('BC', 'ca-bc-pst', 'PST 7 %', 70_000, ['standard', 'shipping']),
  CANADA('QC', 'ca-qc-qst', 'QST 9.975 %', 99_750, ['standard', 'shipping']),
  CANADA('ON', 'ca-on-hst', 'HST 13 %', 130_000, ['standard', 'shipping']),
  CANADA('ON', 'ca-on-hst-books', 'HST 5 %', 50_000, ['books']),
  VAT('DE', 'MwSt. 19 %', 19, ['standard', 'shipping']),
  VAT('DE', 'MwSt. 7 %', 7, ['food', 'books']),
  VAT('FR', 'TVA 20 %', 20, ['standard', 'shipping']),
  VAT('FR', 'TVA 5,5 %', 5.5, ['food', 'books']),
  VAT('AT', 'USt. 20 %', 20, ['standard', 'shipping']),
  VAT('AT', 'USt. 10 %', 10, ['food', 'books']),
  VAT('GB', 'VAT 20 %', 20, ['standard', 'shipping']),
  VAT('GB', 'VAT 0 %', 0, ['food', 'books']),
  VAT('JP', '消費税 10 %', 10, ['standard', 'books', 'shipping']),
  VAT('JP', '消費税 8 %', 8, ['food']),
];

const EUROPE = 'DE FR AT NL BE LU IT ES PT IE DK SE FI PL CZ GB CH NO'.split(' ');
/** What one parcel of express may weigh. */
const PARCEL_GRAMS = 20_000;

const SHIPPING_METHODS: readonly ShippingMethod[] = [
  {
    id: 'standard',
    name: 'Standard',
    taxCategory: 'shipping',
    delivery: { minDays: 6, maxDays: 12 },
    zones: [
      { countries: ['US'], prices: { USD: 599, EUR: 549, JPY: 890, KWD: 1_850 }, delivery: { minDays: 3, maxDays: 5 } },
      { countries: EUROPE, prices: { USD: 690, EUR: 590, JPY: 980, KWD: 2_100 }, delivery: { minDays: 2, maxDays: 4 } },
      { countries: ['JP'], prices: { USD: 590, EUR: 550, JPY: 660, KWD: 1_850 }, delivery: { minDays: 2, maxDays: 3 } },
      { countries: null, prices: { USD: 1490, EUR: 1390, JPY: 2200, KWD: 4_500 } },
    ],
  },
  {
    id: 'express',
    name: 'Express',
    taxCategory: 'shipping',
    delivery: { minDays: 1, maxDays: 2 },
    zones: [
      express(['US'], { USD: 1499, EUR: 1390, JPY: 2200 }, { USD: 3499, EUR: 3290, JPY: 5200 }),
      express(EUROPE, { USD: 1590, EUR: 1490, JPY: 2400 }, { USD: 3590, EUR: 3390, JPY: 5400 }),
      express(['JP'], { USD: 1290, EUR: 1190, JPY: 1760 }, { USD: 2990, EUR: 2790, JPY: 4300 }),
    ],
  },
  {
    id: 'pickup',
    name: 'Pick up in the shop',
    taxCategory: 'shipping',
    delivery: { minDays: 0, maxDays: 0 },
    zones: [{ countries: null, prices: { USD: 0, EUR: 0, JPY: 0, KWD: 0 } }],
  },
];

function express(
  countries: readonly string[],
  prices: Readonly<Record<string, number>>,
  heavy: Readonly<Record<string, number>>,
): ShippingMethod['zones'][number] {
  return { countries, prices, bands: [{ maxWeightGrams: PARCEL_GRAMS, prices }, { prices: heavy }] };
}

export const DEMO_RULES: RuleSet = {
  store: STORE,
  zones: ZONES,
  priceLists: PRICE_LISTS,
  promotions: PROMOTIONS,
  promotionGroups: [],
  coupons: COUPONS,
  taxRates: TAX_RATES,
  shippingMethods: SHIPPING_METHODS,
};
