import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type AuditQuery, getAudit, listAudit } from './audit.ts';
import { migratedTestDatabase, type TestDatabase } from './test-database.ts';

let database: TestDatabase;
const START = 1_700_000_000_000;
const LONG = `/v1/admin/${'x'.repeat(3_900)}`;

before(async () => {
  database = await migratedTestDatabase();
  // Three lines in each millisecond: the page's key must tell them apart. What the client says of the time plays no part.
  const lines = Array.from({ length: 50 }, (_, i) => ({
    id: `line_${String(i).padStart(3, '0')}`,
    at: new Date(START + Math.floor(i / 3)),
    actor: i % 4 === 0 ? 'ann' : 'admin-key',
    action: 'adminPutCoupon',
    target: i % 5 === 0 ? 'coupon/TEN' : '/v1/admin/coupons/TEN',
    doc: JSON.stringify(i % 5 === 0 ? { version: i, before: null, after: { code: 'TEN' } } : { status: 200 }),
  }));
  await database.db.insertInto('audit').values(lines).execute();
});
after(() => database.drop());

async function allPages(query: Omit<AuditQuery, 'limit' | 'after'>, limit: number): Promise<string[]> {
  const ids: string[] = [];
  for (let last: AuditQuery['after']; ; ) {
    const page = await listAudit(database.db, { ...query, limit, after: last });
    ids.push(...page.map(({ id }) => id));
    last = page.at(-1);
    if (page.length < limit) return ids;
  }
}

const ids = (fits: (i: number) => boolean) =>
  Array.from({ length: 50 }, (_, i) => i)
    .filter(fits)
    .reverse()
    .map((i) => `line_${String(i).padStart(3, '0')}`);

test('pages of any size show each line once, newest first, by any filter', async () => {
  for (const limit of [1, 2, 7, 50]) {
    assert.deepEqual(
      await allPages({}, limit),
      ids(() => true),
    );
    assert.deepEqual(
      await allPages({ actor: 'ann' }, limit),
      ids((i) => i % 4 === 0),
    );
    const change = { target: 'coupon/TEN', since: START + 5 };
    assert.deepEqual(
      await allPages(change, limit),
      ids((i) => i % 5 === 0 && i >= 15),
    );
    assert.deepEqual(
      await allPages({ ...change, actor: 'ann' }, limit),
      ids((i) => i % 20 === 0 && i >= 15),
    );
  }
  assert.deepEqual(await allPages({ target: 'coupon/TE' }, 10), []);
});

test('a page stays what it is while lines come in', async () => {
  const [, second] = await listAudit(database.db, { limit: 2 });
  const next = await listAudit(database.db, { limit: 2, after: second });
  const row = { id: 'newer', at: new Date(START + 9_999), actor: 'ann', action: 'x', target: 'x', doc: '{}' };
  await database.db.insertInto('audit').values(row).execute();
  assert.deepEqual(await listAudit(database.db, { limit: 2, after: second }), next);
  await database.db.deleteFrom('audit').where('id', '=', 'newer').execute();
});

test('what a change was is read with its line, and left out of lists', async () => {
  const [line] = await listAudit(database.db, { limit: 1, target: 'coupon/TEN' });
  assert.deepEqual(line?.doc, { version: 45 });
  const whole = await getAudit(database.db, 'line_045');
  assert.deepEqual(whole, { ...line, doc: { version: 45, before: null, after: { code: 'TEN' } } });
  assert.equal(await getAudit(database.db, 'nothing'), null);
});

test('a target that is longer than an index takes is written and found', async () => {
  const row = (id: string, target: string) => ({
    id,
    at: new Date(START),
    actor: 'ann',
    action: 'x',
    target,
    doc: '{}',
  });
  await database.db
    .insertInto('audit')
    .values([row('long_1', LONG), row('long_2', `${LONG}y`)])
    .execute();
  assert.deepEqual(await allPages({ target: LONG }, 10), ['long_1']);
});
