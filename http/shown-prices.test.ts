import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoData } from '../schema/demo.ts';
import type { PriceList } from '../schema/price-list.ts';
import { ProductIndex } from '../schema/product-index.ts';
import { createBook } from '../workers/price-book.ts';
import { ShownPrices } from './shown-prices.ts';

const data = demoData();
const products = Object.fromEntries(data.products.map((product) => [product.sku, product]));
const bookWith = (version: number, priceLists: readonly PriceList[]) =>
  createBook({ version, store: data.store, products, priceLists });
const clock = products['DSK-CLOCK'];
assert.ok(clock);
const list = (more: Partial<PriceList>): PriceList => ({
  ...{ id: 'week', name: 'Week', currency: 'USD', entries: { 'DSK-CLOCK': { amount: 1, compareAt: 2 } } },
  ...more,
});

test('prices stay the same value until a list changes, begins or ends', () => {
  let book = bookWith(1, [list({ validity: { from: 100, until: 200 } })]);
  let now = 0;
  const shown = new ShownPrices(
    () => book,
    () => now,
  );
  const first = shown.in('USD');
  const own = { amount: clock.prices.USD, compareAt: clock.compareAtPrices.USD };
  assert.deepEqual(first.of(clock), own);
  now = 99;
  assert.equal(shown.in('USD'), first);
  now = 100;
  const second = shown.in('USD');
  assert.notEqual(second, first);
  assert.deepEqual([second.of(clock), second.amountOf(clock)], [{ amount: 1, compareAt: 2 }, 1]);
  // A product changes: the lists of the new book are the same.
  book = { ...book, version: 2 };
  now = 199;
  assert.equal(shown.in('USD'), second);
  now = 200;
  assert.deepEqual(shown.in('USD').of(clock), own);
  book = bookWith(3, [list({})]);
  assert.equal(shown.in('USD').amountOf(clock), 1);
});

test('a list for a group or for another channel shows nobody else its prices', () => {
  for (const closed of [{ customerGroups: ['trade'] }, { channels: ['pos'] }]) {
    const book = bookWith(1, [list(closed)]);
    const shown = new ShownPrices(
      () => book,
      () => 0,
    );
    assert.equal(shown.in('USD').amountOf(clock), clock.prices.USD);
  }
});

test('products are listed and sorted by the prices that are shown', () => {
  const index = new ProductIndex();
  index.apply(new Map(data.products.map((product) => [product.sku, product])));
  let book = bookWith(1, [
    list({ currency: 'KWD', entries: { 'DSK-CLOCK': { amount: 5 }, 'TOY-KITE': { amount: 3 } } }),
  ]);
  const shown = new ShownPrices(
    () => book,
    () => 0,
  );
  const skus = () =>
    index.list({ currency: 'KWD', sort: 'price', limit: 9, prices: shown.in('KWD') }).items.map(({ sku }) => sku);
  assert.deepEqual(skus(), ['TOY-KITE', 'DSK-CLOCK']);
  book = bookWith(2, [list({ currency: 'KWD', entries: { 'DSK-CLOCK': { amount: 1 }, 'TOY-KITE': { amount: 3 } } })]);
  assert.deepEqual(skus(), ['DSK-CLOCK', 'TOY-KITE']);
  assert.deepEqual(index.list({ currency: 'KWD', sort: 'price', limit: 9 }).items, []);
});
