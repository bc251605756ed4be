import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { findAnswer } from './answers.ts';
import { Catalogue, IMPORT_MAX } from './catalogue.ts';
import { openDatabase } from './database.ts';
import { demoData, generatedData, isCatalogueEmpty, seedCatalogue } from './demo.ts';
import type { Product } from './product.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';

let database: TestDatabase;
before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});
beforeEach(async () => {
  for (const table of ['product', 'rule', 'audit', 'answer']) {
    await sql`TRUNCATE ${sql.table(table)}`.execute(database.db);
  }
});

function product(sku: string, more: Partial<Product> = {}): Product {
  return {
    sku,
    name: `Product ${sku}`,
    description: 'A thing.',
    category: 'Things',
    taxCategory: 'standard',
    prices: { USD: 1000 },
    compareAtPrices: {},
    maxPerOrder: null,
    holdAt: 'checkout',
    holdTtlMs: 600_000,
    active: true,
    ...more,
  };
}
const answer = (keyHash: string) => ({
  type: 'operator',
  id: 'products',
  keyHash,
  fingerprint: 'f',
  payload: Buffer.from('recorded'),
  at: Date.now(),
});

test('a seeded catalogue loads as it was written', async () => {
  assert.equal(await isCatalogueEmpty(database.db), true);
  const data = demoData();
  await seedCatalogue(database.db, data);
  assert.equal(await isCatalogueEmpty(database.db), false);
  const catalogue = await Catalogue.load(database.db);
  for (const one of data.products) assert.deepEqual(catalogue.product(one.sku), one);
  assert.deepEqual(catalogue.shippingMethods(), data.shippingMethods);
  assert.deepEqual(catalogue.store, data.store);
  assert.deepEqual(catalogue.coupon(' welcome10'), data.coupons[0]);
  assert.equal(catalogue.hasCoupon('nope'), false);
  const book = catalogue.book();
  assert.deepEqual(
    book.taxRates,
    [...data.taxRates].sort((a, b) => (a.id < b.id ? -1 : 1)),
  );
  assert.equal(book.version, catalogue.version);
  assert.equal(book.products.get('KIT-SCALE')?.prices.JPY, 4980);
});

test('a catalogue that is not empty is not seeded, and stays as it was', async () => {
  const catalogue = await Catalogue.load(database.db);
  await catalogue.put(product('OURS'));
  await assert.rejects(seedCatalogue(database.db, demoData()), /not empty/);
  await catalogue.refresh();
  assert.equal(catalogue.list({ limit: 100 }).items.length, 1);
});

test('of two seeds at once one wins and the other leaves no row', async () => {
  const results = await Promise.allSettled([
    seedCatalogue(database.db, generatedData(70)),
    seedCatalogue(database.db, generatedData(70)),
  ]);
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const { rows } = await sql<{ count: number }>`SELECT count(*) AS count FROM product`.execute(database.db);
  assert.equal(rows[0]?.count, 70);
});

test('a put is in the database, in memory and in a book of a higher version when it resolves', async () => {
  const catalogue = await Catalogue.load(database.db);
  const before = catalogue.book();
  assert.deepEqual(await catalogue.put(product('NEW')), { created: true });
  assert.deepEqual(await catalogue.put(product('NEW', { prices: { USD: 2000 } })), { created: false });
  const book = catalogue.book();
  assert.equal(book.version, before.version + 2);
  assert.equal(book.products.get('NEW')?.prices.USD, 2000);
  assert.equal(before.products.get('NEW'), undefined);
  assert.equal(catalogue.book(), book);
  const other = await Catalogue.load(database.db);
  assert.deepEqual(other.product('NEW'), catalogue.product('NEW'));
  assert.equal(other.version, catalogue.version);
});

test('removing takes the product from memory, list and book; removing it again changes nothing', async () => {
  const catalogue = await Catalogue.load(database.db);
  await catalogue.put(product('GOING'));
  assert.equal(await catalogue.remove('GOING'), true);
  const { version } = catalogue;
  assert.equal(catalogue.product('GOING'), undefined);
  assert.equal(catalogue.book().products.get('GOING'), undefined);
  assert.equal(await catalogue.remove('GOING'), false);
  assert.equal(await catalogue.remove('NEVER'), false);
  await catalogue.refresh();
  assert.equal(catalogue.version, version);
  assert.deepEqual(await catalogue.put(product('GOING')), { created: true });
});

test('an archived product keeps its name in the book but has no terms and is not listed to shoppers', async () => {
  const catalogue = await Catalogue.load(database.db);
  await catalogue.importMany([product('OLD', { active: false }), product('FEW', { maxPerOrder: 2, holdAt: 'cart' })]);
  assert.equal(catalogue.terms('OLD'), undefined);
  assert.equal(catalogue.terms('NEVER'), undefined);
  assert.deepEqual(catalogue.terms('FEW'), { sku: 'FEW', maxPerOrder: 2, holdAt: 'cart', holdTtlMs: 600_000 });
  assert.equal(catalogue.book().products.get('OLD')?.active, false);
  const skus = (all: boolean) => catalogue.list({ limit: 10, all }).items.map(({ sku }) => sku);
  assert.deepEqual([skus(false), skus(true)], [['FEW'], ['FEW', 'OLD']]);
});

test('an import is all or nothing', async () => {
  const catalogue = await Catalogue.load(database.db);
  const { version } = catalogue;
  const twice = [product('A'), product('B'), product('A')];
  await assert.rejects(catalogue.importMany(twice), { code: 'rejected', retryable: false });
  const wrong = [product('A'), product('B', { prices: { USD: -1 } })];
  await assert.rejects(catalogue.importMany(wrong), { code: 'rejected', message: /product 1: \/prices\/USD/ });
  const many = Array.from({ length: IMPORT_MAX + 1 }, (_, i) => product(`P${i}`));
  await assert.rejects(catalogue.importMany(many), { code: 'rejected' });
  await catalogue.refresh();
  assert.equal(catalogue.version, version);
  await catalogue.put(product('B'));
  assert.deepEqual(await catalogue.importMany([product('A'), product('B')]), { created: 1 });
});

test('an answer is recorded with its change, and a key that has one rolls the second change back', async () => {
  const catalogue = await Catalogue.load(database.db);
  await catalogue.put(product('ONE'), answer('k1'));
  const found = await findAnswer(database.db, { type: 'operator', id: 'products' }, 'k1');
  assert.equal(Buffer.from(found?.payload ?? []).toString(), 'recorded');
  await assert.rejects(catalogue.put(product('TWO'), answer('k1')), { code: 'idempotency_in_progress' });
  await catalogue.refresh();
  assert.equal(catalogue.product('TWO'), undefined);
  assert.equal(await catalogue.remove('TWO', answer('k2')), false);
  assert.equal(await findAnswer(database.db, { type: 'operator', id: 'products' }, 'k2'), null);
});

test('another node notices a change, tells its listeners and comes to the same book', async () => {
  const here = await Catalogue.load(database.db);
  const there = await Catalogue.load(database.db);
  const told: string[] = [];
  const end = there.onChange(({ skus }) => told.push(...skus));
  const watch = there.watch({ intervalMs: 10 });
  await here.put(product('SHARED', { prices: { USD: 4200 } }));
  await until(() => there.version === here.version, 'the other node has the version');
  end();
  await here.put(product('UNTOLD'));
  await until(() => there.version === here.version, 'the other node has the second version');
  await watch.stop();
  assert.deepEqual(told, ['SHARED']);
  assert.deepEqual(there.book(), here.book());
});

test('versions of concurrent changes on two nodes have no gap, and both nodes end with all of them', async () => {
  const here = await Catalogue.load(database.db);
  const there = await Catalogue.load(database.db);
  const { version } = here;
  const puts = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? here : there).put(product(`C${i}`)));
  await Promise.all(puts);
  await Promise.all([here.refresh(), there.refresh()]);
  assert.equal(here.version, version + 20);
  for (const catalogue of [here, there]) assert.equal(catalogue.list({ limit: 100 }).items.length, 20);
  const { rows } = await sql<{ version: number }>`SELECT version FROM product ORDER BY version`.execute(database.db);
  assert.deepEqual(
    rows.map((row) => row.version),
    Array.from({ length: 20 }, (_, i) => version + 1 + i),
  );
});

test('a database that is away is a fault, the memory still answers, and the watch goes on', async () => {
  const own = openDatabase({ url: database.url, applicationName: 'stampede_away', poolSize: 2 });
  const catalogue = await Catalogue.load(own.db);
  await catalogue.put(product('KEPT'));
  await own.close();
  await assert.rejects(catalogue.put(product('LOST')), { code: 'database_unavailable' });
  let errors = 0;
  const watch = catalogue.watch({ intervalMs: 5, onError: () => errors++ });
  await until(() => errors >= 2, 'the watch has failed twice');
  await watch.stop();
  assert.equal(catalogue.product('KEPT')?.sku, 'KEPT');
  const now = await Catalogue.load(database.db);
  assert.equal(now.product('LOST'), undefined);
});
