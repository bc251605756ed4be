/** Two nodes on one database, of which one has not looked for changes yet. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Catalogue } from '../schema/catalogue.ts';
import type { Product } from '../schema/product.ts';
import { migratedTestDatabase, type TestDatabase } from '../schema/test-database.ts';
import { byNewestBook } from './current-book.ts';
import { price } from './pricing.ts';
import type { PriceRequest, Quote } from './quote.ts';

let database: TestDatabase;
let here: Catalogue;
let there: Catalogue;
before(async () => {
  database = await migratedTestDatabase();
  here = await Catalogue.load(database.db);
  there = await Catalogue.load(database.db);
});
after(() => database.drop());

const product = (sku: string, more: Partial<Product> = {}): Product => ({
  sku,
  name: sku,
  description: '',
  category: 'Tests',
  taxCategory: 'standard',
  prices: { USD: 500 },
  compareAtPrices: {},
  maxPerOrder: null,
  holdAt: 'checkout',
  holdTtlMs: 900_000,
  active: true,
  ...more,
});
const asking = (...skus: string[]): PriceRequest => ({
  currency: 'USD',
  lines: skus.map((sku) => ({ id: `lin_${sku}`, sku, quantity: 2 })),
  destination: null,
  coupons: [],
  shippingMethod: null,
});

/** By the book that `here` has in memory, at once or as the pool's threads answer; counts how often. */
function pricing(later = false) {
  const counted = { times: 0 };
  const ask = (request: PriceRequest): Quote | Promise<Quote> => {
    counted.times++;
    const quote = price(here.book(), request);
    return later ? Promise.resolve(quote) : quote;
  };
  return { counted, ask: byNewestBook(ask, here) };
}

test('what another node has just been given has its price at once, wherever it is priced', async () => {
  for (const later of [false, true]) {
    const { ask, counted } = pricing(later);
    const sku = `NEW-${later}`;
    await there.put(product(sku));
    assert.equal(price(here.book(), asking(sku)).total, 0, 'this node does not know it');
    const quote = await ask(asking(sku));
    assert.deepEqual([quote.total, quote.warnings, quote.blocked], [1_000, [], undefined]);
    assert.deepEqual([quote.bookVersion, counted.times], [there.version, 2]);
  }
});

test('so has what came back, and what got a price in the cart’s currency', async () => {
  const { ask } = pricing();
  await here.importMany([product('BACK', { active: false }), product('OTHER', { prices: { EUR: 1 } })]);
  await there.refresh();
  for (const sku of ['BACK', 'OTHER']) {
    assert.equal((await ask(asking(sku))).blocked, 'price_unavailable');
    await there.put(product(sku));
    assert.equal((await ask(asking(sku))).total, 1_000);
  }
});

test('a priced cart is answered at once, without a question to the database; what is gone for good is gone', async () => {
  const { ask, counted } = pricing();
  await here.importMany([product('KNOWN'), product('GONE')]);
  await here.remove('GONE');
  assert.ok(!(ask(asking('KNOWN')) instanceof Promise));
  assert.equal(counted.times, 1);
  const quote = await ask(asking('KNOWN', 'GONE'));
  assert.deepEqual([quote.warnings, quote.blocked, quote.total], [['sku_gone:GONE'], 'price_unavailable', 1_000]);
  assert.equal(counted.times, 2, 'the book was the newest');
});

test('all who wait at one time share a look at the database', async () => {
  const { ask } = pricing();
  await there.put(product('CROWD'));
  const looks = here.refresh();
  assert.equal(here.refresh(), here.refresh());
  const quotes = await Promise.all(Array.from({ length: 200 }, () => ask(asking('CROWD'))));
  assert.ok(quotes.every(({ total }) => total === 1_000));
  await looks;
});

test('where the database cannot be asked the cart is not shown with a price of nothing', async () => {
  const away = { version: here.version, refresh: () => Promise.reject(new Error('connection refused')) };
  const ask = byNewestBook((request: PriceRequest) => price(here.book(), request), away);
  await assert.rejects(async () => ask(asking('NOWHERE')), { code: 'pricing_unavailable' });
  assert.equal((ask(asking('KNOWN')) as Quote).total, 1_000);
});
