import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBook } from '../workers/price-book.ts';
import { price } from '../workers/pricing.ts';
import { demoData, generatedData, generatedProducts } from './demo.ts';
import { validateProduct } from './product.ts';

const data = demoData();

test('the demo shop has about 60 products in at least six categories, priced in all currencies of the store', () => {
  assert.ok(data.products.length >= 55 && data.products.length <= 70);
  assert.equal(new Set(data.products.map(({ sku }) => sku)).size, data.products.length);
  assert.equal(new Set(data.products.map(({ name }) => name)).size, data.products.length);
  assert.ok(new Set(data.products.map(({ category }) => category)).size >= 6);
  for (const product of data.products) {
    assert.ok(validateProduct(product).ok);
    assert.deepEqual(Object.keys(product.prices).sort(), [...data.store.currencies].sort());
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
  const book = createBook({ ...data, version: 1, products: Object.fromEntries(data.products.map((p) => [p.sku, p])) });
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

test('every coupon of the demo does something to a large enough cart', () => {
  const book = createBook({ ...data, version: 1, products: Object.fromEntries(data.products.map((p) => [p.sku, p])) });
  for (const currency of data.store.currencies) {
    for (const { code } of data.coupons) {
      const lines = [{ id: 'lin_1', sku: 'OUT-TENT-2', quantity: 1 }];
      const quote = price(book, { currency, lines, destination: null, coupons: [code], shippingMethod: null });
      assert.ok(quote.discount > 0, `${code} in ${currency}`);
    }
  }
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
