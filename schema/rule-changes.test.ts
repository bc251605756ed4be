import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Migrator, sql } from 'kysely';
import { findAnswer } from './answers.ts';
import { Catalogue } from './catalogue.ts';
import { SCHEMA } from './database.ts';
import { demoData, seedCatalogue } from './demo.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/index.ts';
import type { RuleChange, RuleOutcome } from './rule-changes.ts';
import type { RuleKind } from './rule-rows.ts';
import { createTestDatabase, migratedTestDatabase, type TestDatabase } from './test-database.ts';

let database: TestDatabase;
let catalogue: Catalogue;
before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});
beforeEach(async () => {
  for (const table of ['product', 'rule', 'audit', 'answer'])
    await sql`TRUNCATE ${sql.table(table)}`.execute(database.db);
  await seedCatalogue(database.db, demoData());
  catalogue = await Catalogue.load(database.db);
});

const BY = { actor: 'admin-key', operation: 'test', at: Date.UTC(2026, 0, 2) };
const SKU = 'KIT-SCALE';
const put = (kind: RuleKind, id: string, doc: unknown, more: Partial<RuleChange> = {}): RuleChange => ({
  kind,
  id,
  edit: () => doc,
  ...more,
});
const remove = (kind: RuleKind, id: string): RuleChange => put(kind, id, null);
const change = (...changes: RuleChange[]): Promise<RuleOutcome> => catalogue.changeRules(changes, BY);

const ZONE = { id: 'benelux', name: 'Benelux', parts: [{ country: 'NL' }, { country: 'BE' }, { country: 'LU' }] };
const OFFER = {
  id: 'scales',
  label: 'Scales for less',
  trigger: 'automatic',
  action: { kind: 'percent', items: { skus: [SKU] }, ratePpm: 100_000 },
};
const LIST = { id: 'b2b', name: 'Trade', currency: 'USD', entries: { [SKU]: { amount: 3000 } } };

async function refused(changes: readonly RuleChange[], path: string, message: RegExp): Promise<void> {
  const version = async () => (await database.query(`SELECT version FROM stampede.book_version`))[0];
  const rows = async () => (await sql`SELECT * FROM rule ORDER BY kind, id`.execute(database.db)).rows;
  const [stored, audited, known] = [await rows(), await auditLines(), await version()];
  const outcome = await change(...changes);
  assert.ok(!outcome.ok && outcome.code === 'invalid', JSON.stringify(outcome));
  const error = outcome.errors.find((one) => message.test(one.message));
  assert.ok(error, JSON.stringify(outcome.errors));
  assert.equal(error.path, path);
  assert.deepEqual([await rows(), await auditLines(), await version()], [stored, audited, known]);
}

async function auditLines(): Promise<{ target: string; doc: { before: unknown; after: unknown } }[]> {
  return database.query(`SELECT actor, action, target, doc FROM stampede.audit ORDER BY id`);
}

test('a change is stored, in memory and in a book of a higher version when it resolves, and other kinds keep their lists', async () => {
  const book = catalogue.book();
  const outcome = await change(put('price_list', 'b2b', LIST), put('promotion', 'scales', OFFER));
  assert.ok(outcome.ok);
  assert.deepEqual([outcome.version, outcome.created], [book.version + 1, 2]);
  const now = catalogue.book();
  assert.equal(now.version, outcome.version);
  const kept = [now.priceLists.find(({ id }) => id === 'b2b'), now.promotions.find(({ id }) => id === 'scales')];
  assert.deepEqual(kept, [LIST, OFFER]);
  assert.equal(now.taxRates, book.taxRates);
  assert.equal(now.coupons, book.coupons);
  assert.equal(now.products, book.products);
  const stored = catalogue.rules.get('price_list', 'b2b');
  assert.deepEqual([stored?.version, stored?.updatedAt], [outcome.version, new Date(BY.at)]);
  const other = await Catalogue.load(database.db);
  assert.deepEqual(other.book(), now);
});

test('another node has the change after its next look, and one that is removed is gone there', async () => {
  const there = await Catalogue.load(database.db);
  await change(put('zone', 'benelux', ZONE));
  await there.refresh();
  assert.deepEqual(there.book().zones.get('benelux'), ZONE);
  await change(remove('zone', 'benelux'));
  await there.refresh();
  assert.equal(there.book().zones.has('benelux'), false);
  assert.equal(there.version, catalogue.version);
});

test('each document that is changed has a line in the audit log, with what differs', async () => {
  await change(
    put('price_list', 'b2b', { ...LIST, entries: { [SKU]: { amount: 3000 }, 'COF-YIRGA-250': { amount: 1 } } }),
  );
  await change(put('promotion', 'scales', OFFER));
  await change(put('promotion', 'scales', { ...OFFER, label: 'Scales', active: false }));
  await change(remove('promotion', 'scales'));
  const lines = await auditLines();
  assert.deepEqual(
    lines.map(({ target }) => target),
    ['price_list/b2b', 'promotion/scales', 'promotion/scales', 'promotion/scales'],
  );
  const version = catalogue.version;
  assert.deepEqual(lines[2], {
    actor: 'admin-key',
    action: 'test',
    target: 'promotion/scales',
    doc: { version: version - 1, before: { label: 'Scales for less' }, after: { label: 'Scales', active: false } },
  });
  assert.deepEqual(lines[3]?.doc, { version, before: { ...OFFER, label: 'Scales', active: false }, after: null });
});

test('of two changes to one version of a document one wins, and the other hears that it is another by now', async () => {
  const first = await change(put('zone', 'benelux', ZONE));
  assert.ok(first.ok);
  const there = await Catalogue.load(database.db);
  const named = (name: string) => put('zone', 'benelux', { ...ZONE, name }, { ifMatch: first.version });
  const outcomes = await Promise.all([change(named('A')), there.changeRules([named('B')], BY)]);
  assert.deepEqual(outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.code)).sort(), ['ok', 'version_mismatch']);
  assert.deepEqual(await change(put('zone', 'new', ZONE, { ifMatch: 1 })), { ok: false, code: 'version_mismatch' });
  assert.deepEqual(await change({ kind: 'zone', id: 'new', edit: () => undefined }), { ok: false, code: 'absent' });
});

test('rules that cannot be are refused with the path and the reason, and nothing of the change is stored', async () => {
  const rate = { id: 'x', name: 'X', country: 'US', region: null, categories: ['standard'], included: false };
  await refused([put('tax_rate', 'x', { ...rate, ratePpm: 1_000_001 })], '/ratePpm', /100 %/);
  await refused([put('price_list', 'b2b', { ...LIST, currency: 'CHF' })], '/currency', /does not sell in CHF/);
  const none = { ...OFFER, action: { ...OFFER.action, items: { skus: ['NO-SUCH'] } } };
  await refused([put('zone', 'benelux', ZONE), put('promotion', 'scales', none)], '/action/items/skus/0', /no product/);
  await refused([put('price_list', 'b2b', { ...LIST, entries: { X: { amount: 1 } } })], '/entries/X', /no product/);
  await refused([remove('shipping_method', 'standard')], '', /would break \/store\/defaultShipping/);
  const { defaultCurrency, ...store } = catalogue.store;
  await refused([put('store', 'store', { ...store, defaultCurrency: 'CHF' })], '/defaultCurrency', /one of/);
  const other = { ...OFFER, id: 'other' };
  assert.ok((await change(put('promotion', 'scales', OFFER), put('promotion', 'other', other))).ok);
  const group = (id: string) => put('promotion_group', id, { id, promotions: ['scales', 'other'], choose: 'best' });
  assert.ok((await change(group('one'))).ok);
  await refused([group('two')], '/promotions/0', /must not overlap/);
  await refused([remove('promotion', 'scales')], '', /would break \/promotionGroups\/one/);
  assert.ok((await change(put('zone', 'benelux', ZONE))).ok);
  const { country: _country, region: _region, ...terms } = rate;
  assert.ok((await change(put('tax_rate', 'x', { ...terms, zone: 'benelux', ratePpm: 1 }))).ok);
  await refused([remove('zone', 'benelux')], '', /would break \/taxRates\/x\/zone/);
  assert.ok((await change(put('price_list', 'b2b', LIST))).ok);
  const without = { ...catalogue.store, defaultCurrency: 'EUR', currencies: ['EUR', 'JPY'] };
  await refused([put('store', 'store', without)], '', /would break \/priceLists\/b2b\/currency/);
});

test('the errors of an import stand at the places of their documents', async () => {
  const bad = { ...OFFER, action: { ...OFFER.action, ratePpm: 0 } };
  await refused(
    [
      put('promotion', 'a', { ...OFFER, id: 'a' }, { place: '/lines/1' }),
      put('promotion', 'scales', bad, { place: '/lines/2' }),
    ],
    '/lines/2/action/ratePpm',
    /1 to 1000000/,
  );
  const group = { id: 'g', promotions: ['scales', 'none'], choose: 'first' };
  await refused([put('promotion_group', 'g', group, { place: '/lines/7' })], '/lines/7/promotions/0', /no promotion/);
});

test('a product that a rule names can go; the rule can still be changed, and no new one can name it', async () => {
  assert.ok((await change(put('promotion', 'scales', OFFER), put('price_list', 'b2b', LIST))).ok);
  assert.equal(await catalogue.remove(SKU), true);
  assert.ok((await change(put('zone', 'benelux', ZONE))).ok);
  assert.ok((await change(put('promotion', 'scales', { ...OFFER, label: 'Again' }))).ok, 'it named it before');
  await refused([put('promotion', 'new', { ...OFFER, id: 'new' })], '/action/items/skus/0', /no product/);
});

test('a product that another node has just written can be named, and one that it has removed cannot', async () => {
  const there = await Catalogue.load(database.db);
  const product = catalogue.product(SKU);
  assert.ok(product);
  await there.put({ ...product, sku: 'NEWEST' });
  const named = (sku: string) => ({ ...LIST, entries: { [sku]: { amount: 1 } } });
  assert.ok((await change(put('price_list', 'b2b', named('NEWEST')))).ok);
  await there.remove('NEWEST');
  await refused([put('price_list', 'new', { ...named('NEWEST'), id: 'new' })], '/entries/NEWEST', /no product/);
});

test('an answer is recorded with the change, and none with a refused one', async () => {
  const answer = (keyHash: string) => () => ({
    ...{ type: 'admin', id: '/x', keyHash, fingerprint: 'f', payload: Buffer.from('kept'), at: BY.at },
  });
  await catalogue.changeRules([put('zone', 'benelux', ZONE)], BY, answer('k1'));
  await catalogue.changeRules([put('zone', 'benelux', {})], BY, answer('k2'));
  const found = (hash: string) => findAnswer(database.db, { type: 'admin', id: '/x' }, hash);
  assert.equal(Buffer.from((await found('k1'))?.payload ?? []).toString(), 'kept');
  assert.equal(await found('k2'), null);
  const again = catalogue.changeRules([put('zone', 'b', { ...ZONE, id: 'b' })], BY, answer('k1'));
  await assert.rejects(again, { code: 'idempotency_in_progress' });
  assert.equal(catalogue.rules.get('zone', 'b'), undefined);
});

test('rules that the release before stored load as they are, and can be changed', async () => {
  const old = await createTestDatabase();
  try {
    await sql`CREATE SCHEMA IF NOT EXISTS ${sql.id(SCHEMA)}`.execute(old.db);
    const migrator = new Migrator({
      db: old.db,
      provider: { getMigrations: async () => migrations },
      migrationTableSchema: SCHEMA,
      migrationTableName: 'migration',
      migrationLockTableName: 'migration_lock',
    });
    const { error } = await migrator.migrateTo('0005-append-events');
    assert.equal(error, undefined);
    const rate = { id: 'us-tx', name: 'Texas', country: 'US', region: 'TX', categories: ['standard'], ratePpm: 62_500 };
    const coupon = { code: 'TEN', label: 'Ten', kind: 'percent', ratePpm: 100_000, minSubtotal: { USD: 1 } };
    const method = (id: string) => ({
      id,
      name: id,
      taxCategory: 'shipping',
      zones: [{ countries: null, prices: { USD: 5 } }],
    });
    const store = { defaultCurrency: 'USD', currencies: ['USD'], defaultShipping: 'post' };
    const row = (table: string, id: string, doc: unknown, deleted = false) =>
      old.query(`INSERT INTO stampede.${table} (id, doc, version, deleted) VALUES ($1, $2, 3, $3)`, [id, doc, deleted]);
    await row('tax_rate', 'us-tx', { ...rate, included: false });
    await row('tax_rate', 'gone', { ...rate, included: false }, true);
    await row('coupon', 'TEN', coupon);
    await row('shipping_method', 'aaa', method('aaa'));
    await row('shipping_method', 'post', method('post'));
    await old.query(`UPDATE stampede.shipping_method SET place = CASE id WHEN 'aaa' THEN 1 ELSE 0 END`);
    await old.query(`INSERT INTO stampede.store (id, doc, version) VALUES (1, $1, 3)`, [store]);
    await old.query(`UPDATE stampede.book_version SET version = 3`);
    await migrate(old);
    const loaded = await Catalogue.load(old.db);
    const book = loaded.book();
    assert.deepEqual([book.version, book.store], [3, store]);
    assert.deepEqual(book.taxRates, [{ ...rate, included: false }]);
    assert.deepEqual([...book.coupons.values()], [coupon]);
    assert.deepEqual(book.shippingMethods, [method('post'), method('aaa')]);
    const outcome = await loaded.changeRules([put('tax_rate', 'us-tx', { ...rate, included: true })], BY);
    assert.ok(outcome.ok, JSON.stringify(outcome));
  } finally {
    await old.drop();
  }
});
