/** The audit trail as operators page through it. The queries themselves are tested where they are, in `schema/audit.test.ts`. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADMIN_KEY, fits, MemoryShop, openCart } from '../memory-shop.ts';
import { AuditEntry, AuditList } from '../schemas-admin.ts';

let shop: MemoryShop;
before(async () => {
  shop = await MemoryShop.open();
  for (const sku of ['A', 'B', 'C', 'D', 'E']) await shop.admin('GET', `/v1/admin/stock/${sku}`);
});
after(async () => {
  assert.deepEqual(shop.errors, []);
  await shop.close();
});

interface Line {
  readonly id: string;
  readonly target: string;
}

test('pages show each call once, newest first, while the reading itself adds lines', async () => {
  const seen: Line[] = [];
  let path = '/v1/admin/audit?limit=2';
  for (let pages = 0; ; pages++) {
    const { status, body, text, headers } = await shop.admin('GET', path);
    assert.ok(status === 200 && fits(AuditList, body), text);
    assert.equal(headers['cache-control'], 'no-store');
    seen.push(...body.items);
    if (body.nextCursor === null) break;
    assert.ok(pages < 10);
    path = `/v1/admin/audit?limit=2&cursor=${body.nextCursor}`;
  }
  const targets = seen.map(({ target }) => target);
  assert.deepEqual(
    targets,
    ['E', 'D', 'C', 'B', 'A'].map((sku) => `/v1/admin/stock/${sku}`),
  );
  assert.equal(new Set(seen.map(({ id }) => id)).size, 5);
});

test('a line says who did what to what, when, from where and how it ended', async () => {
  const { body } = await shop.admin('GET', '/v1/admin/audit?target=/v1/admin/stock/B');
  const [line] = body.items;
  assert.equal(body.items.length, 1);
  const { id, at, ...said } = line;
  const call = { operation: 'adminGetStock', target: '/v1/admin/stock/B', status: 404, clientIp: '127.0.0.1' };
  assert.deepEqual(said, { actor: 'admin-key', ...call });
  assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
  const one = await shop.admin('GET', `/v1/admin/audit/${id}`);
  assert.ok(fits(AuditEntry, one.body), one.text);
  assert.deepEqual(one.body, line);
  for (const unknown of ['x', 'coupon', '0190a6d2-0000-7000-8000-000000000001']) {
    assert.equal((await shop.admin('GET', `/v1/admin/audit/${unknown}`)).status, 404);
  }
});

test('filters narrow the list; an empty one filters nothing, and nobody unknown has done anything', async () => {
  const count = async (query: string) =>
    (await shop.admin('GET', `/v1/admin/audit?limit=100&${query}`)).body.items.length;
  assert.ok((await count('')) > 5);
  assert.ok((await count('actor=&target=')) > 5);
  assert.ok((await count('actor=admin-key')) > 5);
  assert.equal(await count('actor=nobody'), 0);
  assert.equal(await count('since=2999-01-01T00:00:00Z'), 0);
});

test('a cursor belongs to its list and its filters; a bad one, and a bad filter, is refused', async () => {
  const first = await shop.admin('GET', '/v1/admin/audit?limit=1&actor=admin-key');
  const cursor = first.body.nextCursor;
  assert.equal((await shop.admin('GET', `/v1/admin/audit?limit=3&actor=admin-key&cursor=${cursor}`)).status, 200);
  const foreign = (await shop.admin('GET', '/v1/products?limit=1')).body.nextCursor;
  for (const query of [
    `cursor=${cursor}`,
    `actor=other&cursor=${cursor}`,
    `actor=admin-key&target=x&cursor=${cursor}`,
    `actor=admin-key&cursor=${cursor.slice(0, -2)}`,
    `actor=admin-key&cursor=A${cursor}`,
    `cursor=${foreign}`,
    'cursor=',
    'cursor=x',
  ]) {
    const refused = await shop.admin('GET', `/v1/admin/audit?${query}`);
    assert.deepEqual([refused.status, refused.body.code], [400, 'cursor_invalid'], query);
  }
  for (const [query, place] of [
    ['limit=0', '/query/limit'],
    ['limit=101', '/query/limit'],
    ['since=yesterday', '/query/since'],
    ['since=2026-13-40T00:00:00Z', '/query/since'],
    ['sort=at', '/query/sort'],
    ['target=a%0ab', '/query/target'],
    ['who=me', '/query/who'],
  ] as const) {
    const refused = await shop.admin('GET', `/v1/admin/audit?${query}`);
    assert.deepEqual([refused.status, refused.body.errors?.[0].path], [400, place], refused.text);
  }
  const cart = await openCart(shop);
  assert.equal((await shop.call('GET', '/v1/admin/audit', { token: cart.token })).status, 401);
  assert.equal((await shop.call('GET', '/v1/admin/audit', { token: ADMIN_KEY })).status, 200);
});
