import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBook } from '../workers/price-book.ts';
import { price } from '../workers/pricing.ts';
import type { PriceRequest } from '../workers/quote.ts';
import { demoData, generatedData, generatedProducts } from './demo.ts';
import { validateProduct } from './product.ts';

const data = demoData();
const OWN_CURRENCIES = ['EUR', 'JPY', 'USD'];
const book = createBook({ ...data, version: 1, products: Object.fromEntries(data.products.map((p) => [p.sku, p])) });

test('the demo shop has about 60 products in at least six categories, priced in dollars, euros and yen', () => {
  assert.ok(data.products.length >= 55 && data.products.length <= 70);
  assert.equal(new Set(data.products.map(({ sku }) => sku)).size, data.products.length);
  assert.equal(new Set(data.products.map(({ name }) => name)).size, data.products.length);
  assert.ok(new Set(data.products.map(({ category }) => category)).size >= 6);
  for (const product of data.products) {
    assert.ok(validateProduct(product).ok);
    assert.deepEqual(Object.keys(product.prices).sort(), OWN_CURRENCIES);
    assert.ok((product.description.match(/[.!?](\s|$)/g) ?? []).length === 2, `${product.sku}: two sentences`);
  }
});

test('two skus are scarce and held at the cart, all others are plain, and the lists begin with plain ones', () => {
  const scarce = data.products.filter(({ holdAt }) => holdAt === 'cart');
  assert.equal(scarce.length, 2);
  for (const product of data.products) {
    const plain = product.holdAt === 'checkout';
    assert.equal(product.maxPerOrder === null, plain);
    const onHand = data.stock[product.sku] ?? 0;
    assert.ok(plain ? onHand >= 200 && onHand <= 5_000 : onHand > 0 && onHand <= 200, `${product.sku}: ${onHand}`);
  }
  for (const key of ['sku', 'name'] as const) {
    const sorted = [...data.products].sort((a, b) => (a[key].toLowerCase() < b[key].toLowerCase() ? -1 : 1));
    assert.ok(sorted.slice(0, 20).every(({ holdAt }) => holdAt === 'checkout'));
  }
  assert.deepEqual(Object.keys(data.stock).sort(), data.products.map(({ sku }) => sku).sort());
});

test('a cart of the demo shop is priced in Texas, Germany and Japan', () => {
  const lines = [
    { id: 'lin_1', sku: 'KIT-SCALE', quantity: 1 },
    { id: 'lin_2', sku: 'COF-YIRGA-250', quantity: 1 },
  ];
  const total = (currency: string, country: string, region?: string) =>
    price(book, {
      currency,
      lines,
      destination: region === undefined ? { country } : { country, region },
      coupons: ['WELCOME10'],
      shippingMethod: null,
    });
  const texas = total('USD', 'US', 'TX');
  // 3900 + 1790 less 569; 3510 × 6.25 % = 219.4 and 599 × 6.25 % = 37.4; groceries are exempt
  assert.deepEqual([texas.discount, texas.taxAdded, texas.total], [569, 219 + 37, 5690 - 569 + 599 + 256]);
  const germany = total('EUR', 'DE');
  // 3231 × 19/119 = 515.9; 1431 × 7/107 = 93.6; 590 × 19/119 = 94.2
  assert.deepEqual([germany.taxIncluded, germany.taxAdded, germany.total], [516 + 94 + 94, 0, 5180 - 518 + 590]);
  const japan = total('JPY', 'JP');
  assert.deepEqual([japan.taxes.map(({ name }) => name), japan.taxAdded], [['消費税 10 %', '消費税 8 %'], 0]);
  for (const quote of [texas, germany, japan]) assert.deepEqual([quote.warnings, quote.blocked], [[], undefined]);
});

/** What a cart of these skus comes to. */
function priced(skus: Readonly<Record<string, number>>, more: Partial<PriceRequest> = {}) {
  const lines = Object.entries(skus).map(([sku, quantity], i) => ({ id: `lin_${i}`, sku, quantity }));
  return price(book, { currency: 'USD', lines, destination: null, coupons: [], shippingMethod: null, ...more });
}

test('every coupon of the demo does something to a large enough cart', () => {
  for (const currency of OWN_CURRENCIES) {
    for (const { code } of data.coupons) {
      const skus = { 'OUT-TENT-2': 1, 'COF-ALDEA-250': 1 };
      const quote = priced(skus, { currency, coupons: [code] });
      assert.ok(quote.discount > 0, `${code} in ${currency}`);
    }
  }
  const clock = priced({ 'DSK-CLOCK': 1 }, { coupons: ['COFFEE15'] });
  assert.deepEqual(clock.warnings, ['coupon_not_applicable:COFFEE15']);
});

test('the promotions of the demo take off what they say', () => {
  const books = priced({ 'BOK-MAPS': 1, 'BOK-QUEUES': 1, 'BOK-TIDES': 1 });
  assert.deepEqual(
    books.lines.map(({ discount }) => discount),
    [0, 0, 1790],
  );
  const audio = priced({ 'AUD-TURN': 1, 'AUD-SPEAKER-S': 1 });
  const whole = audio.lines.reduce((sum, { subtotal }) => sum + subtotal, 0);
  assert.ok(whole >= 30_000);
  assert.deepEqual(audio.discounts.map(({ code }) => code).sort(), ['audio-tiers', 'free-shipping']);
  assert.deepEqual([audio.shipping?.price, audio.shipping?.listPrice], [0, 599]);
  assert.deepEqual(priced({ 'BOK-MAPS': 2 }).discounts, []);
});

test('a cart in dinars, a digital one, and one of trade customers are priced by their own rules', () => {
  const dinars = priced({ 'TOY-CARDS': 4 }, { currency: 'KWD', destination: { country: 'KW' } });
  assert.deepEqual([dinars.subtotal, dinars.shippingPrice, dinars.total], [17_000, 4_500, 21_500]);
  assert.deepEqual(dinars.lines[0]?.price, { list: 'kwd', tier: 4 });
  const digital = priced({ 'BOK-QUEUES-EPUB': 1 });
  assert.deepEqual([digital.shipping, digital.blocked, digital.total], [null, undefined, 1490]);
  const trade = priced({ 'COF-ALDEA-250': 12 }, { customerGroup: 'trade' });
  assert.equal(trade.lines[0]?.unitPrice, 1_020);
});

test('New York and Canada are taxed by state, county, city and district, and by both governments', () => {
  const taxes = (destination: { country: string; region: string; postalCode: string }) =>
    priced({ 'DSK-PAD-WOOL': 1 }, { destination }).taxes.map(({ id, ratePpm }) => [id, ratePpm]);
  assert.deepEqual(taxes({ country: 'US', region: 'NY', postalCode: '10001' }), [
    ['us-ny', 40_000],
    ['us-ny-city', 45_000],
    ['us-ny-mctd', 3_750],
  ]);
  assert.deepEqual(taxes({ country: 'US', region: 'NY', postalCode: '11501' }), [
    ['us-ny', 40_000],
    ['us-ny-mctd', 3_750],
    ['us-ny-nassau', 42_500],
  ]);
  assert.deepEqual(taxes({ country: 'CA', region: 'BC', postalCode: 'V5K 0A1' }), [
    ['ca-bc-pst', 70_000],
    ['ca-gst', 50_000],
  ]);
  assert.deepEqual(taxes({ country: 'CA', region: 'ON', postalCode: 'M4B 1B3' }), [['ca-on-hst', 130_000]]);
});

test('euro prices with German tax in them are converted for a market with another', () => {
  const unit = (country: string) => priced({ 'KIT-SCALE': 1 }, { currency: 'EUR', destination: { country } }).lines[0];
  assert.equal(unit('DE')?.unitPrice, 3590);
  // 3590 / 1.19 × 1.20 = 3620.17
  assert.equal(unit('FR')?.unitPrice, 3620);
  assert.deepEqual(unit('FR')?.price, { list: 'eur-kitchen', tier: 1, listed: 3590 });
});

test('generated products are valid, distinct and the same each time', () => {
  const products = generatedProducts(500);
  assert.equal(new Set(products.map(({ sku }) => sku)).size, 500);
  assert.equal(new Set(products.map(({ name }) => name)).size, 500);
  for (const product of products) assert.ok(validateProduct(product).ok);
  assert.deepEqual(generatedProducts(500), products);
  assert.deepEqual(generatedProducts(20), products.slice(0, 20));
  const large = generatedData(500);
  assert.deepEqual(Object.keys(large.stock).length, 500);
});
