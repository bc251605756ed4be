import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mulDivHalfUp, mulMod, split } from './money.ts';
import { type BookParts, createBook } from './price-book.ts';
import { price } from './pricing.ts';
import type { PriceRequest } from './quote.ts';

const ALL = ['standard', 'food', 'books', 'shipping'];
const parts: BookParts = {
  version: 7,
  store: { defaultCurrency: 'USD', currencies: ['USD', 'EUR', 'JPY', 'KWD'], defaultShipping: 'standard' },
  products: {
    MUG: product('Mug', 'standard', { USD: 1850, EUR: 1790, JPY: 2480, KWD: 5250 }),
    BEANS: product('Beans', 'food', { USD: 1599, EUR: 1399, JPY: 1980 }),
    NOVEL: product('Novel', 'books', { USD: 1399, EUR: 1290 }),
    OLD: { ...product('Old lamp', 'standard', { USD: 4000 }), active: false },
  },
  coupons: [
    { code: 'TENOFF', label: '10 % off', kind: 'percent', ratePpm: 100_000 },
    { code: 'THIRD', label: 'A third off', kind: 'percent', ratePpm: 333_333 },
    { code: 'FIVE', label: '5 off', kind: 'fixed', amounts: { USD: 500, EUR: 500 } },
    { code: 'HUGE', label: 'Everything off', kind: 'fixed', amounts: { USD: 10_000_000 } },
    { code: 'BIGCART', label: '20 off', kind: 'fixed', amounts: { USD: 2000 }, minSubtotal: { USD: 10_000 } },
  ],
  taxRates: [
    rate('us-tx', 'Texas sales tax', 'US', 'TX', ['standard', 'books', 'shipping'], 62_500, false),
    rate('de-19', 'MwSt. 19 %', 'DE', null, ['standard', 'shipping'], 190_000, true),
    rate('de-7', 'MwSt. 7 %', 'DE', null, ['food', 'books'], 70_000, true),
    rate('ca-gst', 'GST', 'CA', null, ALL, 50_000, false),
    rate('ca-bc', 'PST', 'CA', 'BC', ['standard'], 70_000, false),
    rate('zz-a', 'A', 'ZZ', null, ALL, 1_000_000, true),
    rate('zz-b', 'B', 'ZZ', null, ALL, 1_000_000, true),
    rate('zz-c', 'C', 'ZZ', null, ALL, 1_000_000, true),
  ],
  shippingMethods: [
    {
      id: 'standard',
      name: 'Standard',
      taxCategory: 'shipping',
      zones: [
        { countries: ['US'], prices: { USD: 599 } },
        { countries: ['DE', 'FR'], prices: { EUR: 490, USD: 690 } },
        { countries: ['CA', 'ZZ'], prices: { USD: 999 } },
      ],
    },
    { id: 'express', name: 'Express', taxCategory: 'shipping', zones: [{ countries: ['US'], prices: { USD: 1999 } }] },
    {
      id: 'freight',
      name: 'Freight',
      taxCategory: 'shipping',
      zones: [{ countries: ['AQ'], prices: { USD: 90_000 } }],
    },
  ],
};
const book = createBook(parts);

function product(name: string, taxCategory: string, prices: Record<string, number>) {
  return { name, category: 'test', active: true, taxCategory, prices };
}
function rate(
  id: string,
  name: string,
  country: string,
  region: string | null,
  categories: string[],
  ratePpm: number,
  included: boolean,
) {
  return { id, name, country, region, categories, ratePpm, included };
}
function cart(lines: Record<string, number>, more: Partial<PriceRequest> = {}): PriceRequest {
  return {
    currency: 'USD',
    lines: Object.entries(lines).map(([sku, quantity], i) => ({ id: `lin_${i}`, sku, quantity })),
    destination: null,
    coupons: [],
    shippingMethod: null,
    ...more,
  };
}

test('Texas: the state’s 6.25 % is added per line and to the shipping, groceries are exempt', () => {
  const quote = price(book, cart({ MUG: 2, BEANS: 1 }, { destination: { country: 'US', region: 'TX' } }));
  // 3700 × 6.25 % = 231.25 → 231; 599 × 6.25 % = 37.4375 → 37
  assert.deepEqual(quote, {
    bookVersion: 7,
    currency: 'USD',
    lines: [
      line('lin_0', 'MUG', 'Mug', 2, 1850, 3700, 0, 231, 0, 3931),
      line('lin_1', 'BEANS', 'Beans', 1, 1599, 1599, 0, 0, 0, 1599),
    ],
    discounts: [],
    shipping: { method: 'standard', price: 599, tax: 37, taxIncluded: 0, total: 636 },
    taxes: [{ name: 'Texas sales tax', ratePpm: 62_500, base: 4299, amount: 268, included: false, id: 'us-tx' }],
    taxState: 'estimated',
    subtotal: 5299,
    discount: 0,
    shippingPrice: 599,
    taxAdded: 268,
    taxIncluded: 0,
    total: 6166,
    warnings: [],
  });
});

test('Germany: 19 % and 7 % are contained in the prices and add nothing to the total', () => {
  const quote = price(
    book,
    cart({ MUG: 1, BEANS: 2 }, { currency: 'EUR', destination: { country: 'DE' }, coupons: ['TENOFF'] }),
  );
  // 4588 → 459 off, split 1790 : 2798 = 179.07… and 279.92… → 179 and 280
  // 1611 × 19/119 = 257.2 → 257; 2518 × 7/107 = 164.7 → 165; 490 × 19/119 = 78.2 → 78
  assert.deepEqual(quote.lines, [
    { ...line('lin_0', 'MUG', 'Mug', 1, 1790, 1790, 179, 0, 257, 1611), discounts: [ten(179)] },
    { ...line('lin_1', 'BEANS', 'Beans', 2, 1399, 2798, 280, 0, 165, 2518), discounts: [ten(280)] },
  ]);
  assert.deepEqual(quote.taxes, [
    { name: 'MwSt. 19 %', ratePpm: 190_000, base: 1354 + 412, amount: 335, included: true, id: 'de-19' },
    { name: 'MwSt. 7 %', ratePpm: 70_000, base: 2353, amount: 165, included: true, id: 'de-7' },
  ]);
  assert.equal(quote.taxIncluded, 500);
  assert.equal(quote.taxAdded, 0);
  assert.equal(quote.total, 4588 - 459 + 490);
});

test('a country’s and a region’s rate apply side by side', () => {
  const quote = price(book, cart({ MUG: 1, NOVEL: 1 }, { destination: { country: 'CA', region: 'BC' } }));
  assert.deepEqual(
    quote.taxes.map(({ name, base, amount }) => [name, base, amount]),
    [
      ['PST', 1850, 130],
      ['GST', 1850 + 1399 + 999, 93 + 70 + 50],
    ],
  );
});

test('contained taxes together never pass the price they are contained in', () => {
  const tiny = createBook({ ...parts, products: { DOT: product('Dot', 'standard', { USD: 2 }) } });
  const quote = price(tiny, cart({ DOT: 1 }, { destination: { country: 'ZZ' } }));
  assert.equal(quote.lines[0]?.taxIncluded, 2); // 2 × 3/4 = 1.5, rounded once
});

test('tax is unknown without a destination, estimated with one, final when asked for, and none where no rate is known', () => {
  assert.equal(price(book, cart({ MUG: 1 })).taxState, 'unknown');
  const there = cart({ MUG: 1 }, { destination: { country: 'FR' } });
  assert.equal(price(book, there).taxState, 'estimated');
  const final = price(book, there, { final: true });
  assert.equal(final.taxState, 'final');
  assert.deepEqual([final.taxes, final.taxAdded, final.taxIncluded], [[], 0, 0]);
});

test('coupons apply percentages first, then amounts, whatever the order in which they were typed', () => {
  const one = price(book, cart({ MUG: 2 }, { coupons: ['FIVE', 'TENOFF'] }));
  const other = price(book, cart({ MUG: 2 }, { coupons: ['tenoff ', 'FIVE', 'five'] }));
  assert.deepEqual(one.discounts, [
    { code: 'TENOFF', label: '10 % off', amount: 370 },
    { code: 'FIVE', label: '5 off', amount: 500 },
  ]);
  assert.deepEqual(other, one);
});

test('an amount is capped at what is left of the goods and shipping is still paid', () => {
  const quote = price(book, cart({ MUG: 1 }, { coupons: ['HUGE', 'THIRD'] }));
  assert.deepEqual(
    quote.discounts.map(({ amount }) => amount),
    [617, 1233],
  );
  assert.equal(quote.total, 599);
});

test('a coupon without effect takes nothing and is named in a warning', () => {
  const quote = price(book, cart({ MUG: 1 }, { coupons: ['NOSUCH', 'BIGCART'] }));
  assert.deepEqual(quote.discounts, []);
  assert.deepEqual([...quote.warnings].sort(), ['coupon_not_applicable:BIGCART', 'coupon_not_applicable:NOSUCH']);
  assert.deepEqual(price(book, cart({ NOVEL: 1, MUG: 5 }, { coupons: ['BIGCART'] })).discount, 2000);
  const yen = price(book, cart({ MUG: 9 }, { currency: 'JPY', coupons: ['FIVE'] }));
  assert.deepEqual([yen.discount, yen.warnings[0]], [0, 'coupon_not_applicable:FIVE']);
});

test('a line without a price is shown at 0, named in a warning and blocks the order', () => {
  const quote = price(book, cart({ MUG: 1, NOVEL: 2, GHOST: 1, OLD: 1 }, { currency: 'JPY' }));
  assert.deepEqual(quote.warnings.slice(0, 3), ['price_unavailable:NOVEL', 'sku_gone:GHOST', 'sku_gone:OLD']);
  assert.equal(quote.blocked, 'price_unavailable');
  assert.deepEqual(quote.lines[1], line('lin_1', 'NOVEL', 'Novel', 2, 0, 0, 0, 0, 0, 0));
  assert.equal(quote.lines[2]?.name, 'GHOST');
  assert.equal(quote.lines[3]?.name, 'Old lamp');
  assert.equal(quote.subtotal, 2480);
});

test('where the chosen method does not go, the default counts and a warning says so', () => {
  const quote = price(book, cart({ MUG: 1 }, { destination: { country: 'DE' }, shippingMethod: 'express' }));
  assert.equal(quote.shipping?.method, 'standard');
  assert.deepEqual(quote.warnings, ['shipping_unavailable:express']);
  assert.equal(quote.blocked, undefined);
});

test('where only another method goes, that one is taken; where none goes, the order is blocked', () => {
  const south = price(book, cart({ MUG: 1 }, { destination: { country: 'AQ' } }));
  assert.deepEqual([south.shipping?.method, south.blocked], ['freight', undefined]);
  const nowhere = price(book, cart({ MUG: 1 }, { destination: { country: 'BR' } }));
  assert.deepEqual(
    [nowhere.shipping, nowhere.blocked, nowhere.warnings],
    [null, 'shipping_unavailable', ['shipping_unavailable:standard']],
  );
});

test('an empty cart costs nothing and ships nothing', () => {
  const quote = price(book, cart({}, { destination: { country: 'US', region: 'TX' }, shippingMethod: 'express' }));
  assert.deepEqual(
    [quote.total, quote.shipping, quote.taxes, quote.warnings, quote.blocked],
    [0, null, [], [], undefined],
  );
});

test('a quantity or a number of lines past the limit is a fault, not a price', () => {
  assert.throws(() => price(book, cart({ MUG: 1000 })), { code: 'internal' });
  assert.throws(() => price(book, cart({ MUG: 0 })), { code: 'internal' });
  assert.throws(() => price(book, cart({ MUG: 1.5 })), { code: 'internal' });
  const lines = Array.from({ length: 201 }, (_, i) => ({ id: `lin_${i}`, sku: 'MUG', quantity: 1 }));
  assert.throws(() => price(book, cart({}, { lines })), { code: 'internal' });
});

test('arithmetic stays exact where products pass 2^53', () => {
  assert.equal(mulDivHalfUp(4_000_000_000_000_001, 333_333, 1_000_000), 1_333_332_000_000_000);
  assert.equal(mulMod(9_007_199_254_740_991, 9_007_199_254_740_991, 1_000_000), 662_081); // 740,991² ends so
  assert.deepEqual(split(3_000_000_000_000_001, [1e15, 1e15, 1e15], ['c', 'a', 'b']), [1e15, 1e15 + 1, 1e15]);
});

test('among equal remainders the unit left over goes to the lower id', () => {
  assert.deepEqual(split(100, [5, 5, 5], ['b', 'c', 'a']), [33, 33, 34]);
  assert.deepEqual(split(2, [1, 1, 1], ['b', 'c', 'a']), [1, 0, 1]);
});

function ten(amount: number) {
  return { promotion: 'coupon:TENOFF', code: 'TENOFF', label: '10 % off', amount, why: 'percent' };
}

function line(
  id: string,
  sku: string,
  name: string,
  quantity: number,
  unitPrice: number,
  subtotal: number,
  discount: number,
  tax: number,
  taxIncluded: number,
  total: number,
) {
  return { id, sku, name, quantity, unitPrice, subtotal, discount, tax, taxIncluded, total };
}
