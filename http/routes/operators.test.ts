import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { MemberView } from '../../schema/cluster-view.ts';
import { ADDRESS, EMAIL, fits, MemoryShop, openCart } from '../memory-shop.ts';
import { openApiDocument, problemCodes } from '../openapi.ts';
import { JobList, StockLevel } from '../schemas-admin.ts';
import { Cluster, DrainAccepted } from '../schemas-cluster.ts';
import { AdminPaymentList, Order, OrderList } from '../schemas-order.ts';
import { allRoutes } from './index.ts';

let shop: MemoryShop;
before(async () => {
  shop = await MemoryShop.open();
});
after(async () => {
  assert.deepEqual(shop.errors, []);
  await shop.close();
});

const sku = () => shop.product(({ holdAt, maxPerOrder }) => holdAt === 'checkout' && maxPerOrder === null).sku;

async function ordered() {
  const cart = await openCart(shop);
  const { body } = await shop.call('POST', `${cart.path}/lines`, {
    token: cart.token,
    body: { sku: sku(), quantity: 1 },
  });
  const payment = { method: 'card', token: 'tok_ok' };
  const placed = await shop.call('POST', `${cart.path}/checkout`, {
    token: cart.token,
    key: randomUUID(),
    body: { email: EMAIL, shippingAddress: ADDRESS, expectedTotal: body.totals.total, payment },
  });
  assert.equal(placed.status, 201, placed.text);
  return { cart, order: placed.body };
}

test('every operators’ call asks for an operator’s key and tells the audit log', async () => {
  const routes = allRoutes(shop.app).filter(({ path }) => path.startsWith('/v1/admin/'));
  assert.ok(routes.length >= 13);
  const { token } = await openCart(shop);
  for (const { method, path } of routes) {
    const place = path.replace('{sku}', sku()).replace(/\{(id|node)\}/, 'x');
    for (const credential of [undefined, 'wrong', token]) {
      const { status, headers } = await shop.call(method, place, { token: credential });
      assert.equal(status, 401, `${method} ${place}`);
      assert.equal(headers['www-authenticate'], 'Bearer');
    }
  }
  const before = shop.audit.length;
  await shop.admin('GET', `/v1/admin/stock/${sku()}`);
  assert.deepEqual(
    shop.audit.slice(before).map(({ operation, status }) => [operation, status]),
    [['adminGetStock', 200]],
  );
});

test('stock is adjusted once under a key, never below nothing, and only of a known sku', async () => {
  const path = `/v1/admin/stock/${sku()}`;
  const before = await shop.admin('GET', path);
  assert.ok(fits(StockLevel, before.body), before.text);
  const key = randomUUID();
  const adjust = { key, body: { delta: 5, reason: 'a delivery' } };
  const first = await shop.admin('POST', `${path}/adjustments`, adjust);
  assert.equal(first.status, 200, first.text);
  assert.equal(first.body.available, before.body.available + 5);
  const again = await shop.admin('POST', `${path}/adjustments`, adjust);
  assert.deepEqual(again.body, first.body);
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.equal((await shop.admin('GET', path)).body.onHand, first.body.onHand);
  const under = await shop.admin('POST', `${path}/adjustments`, { body: { delta: -1_000_000, reason: 'x' } });
  assert.equal(under.body.code, 'stock_negative');
  for (const body of [
    { delta: 1.5, reason: 'x' },
    { delta: 1 },
    { delta: 1, reason: '' },
    { delta: 1, reason: 'x', by: 'me' },
  ]) {
    assert.equal((await shop.admin('POST', `${path}/adjustments`, { body })).status, 400);
  }
  assert.equal((await shop.admin('GET', '/v1/admin/stock/NOPE')).body.code, 'sku_unknown');
  const unknown = await shop.admin('POST', '/v1/admin/stock/NOPE/adjustments', { body: { delta: 1, reason: 'x' } });
  assert.equal(unknown.body.code, 'sku_unknown');
});

test('what left the catalogue can still be written off, and an earlier adjustment repeated', async () => {
  const path = '/v1/admin/stock/GONE-1';
  const product = { name: 'Gone', category: 'Tests', prices: { USD: 100 } };
  assert.equal((await shop.admin('PUT', '/v1/admin/products/GONE-1', { body: product })).status, 201);
  const adjust = { key: randomUUID(), body: { delta: 3, reason: 'a delivery' } };
  const first = await shop.admin('POST', `${path}/adjustments`, adjust);
  assert.equal((await shop.admin('DELETE', '/v1/admin/products/GONE-1')).status, 204);
  assert.equal((await shop.admin('POST', `${path}/adjustments`, adjust)).text, first.text);
  const rest = { body: { delta: -first.body.available, reason: 'scrapped' } };
  assert.equal((await shop.admin('POST', `${path}/adjustments`, rest)).body.onHand, 0);
});

test('orders and payments are listed newest first, by page and by filter', async () => {
  const first = await ordered();
  const second = await ordered();
  const list = await shop.admin('GET', '/v1/admin/orders?limit=1');
  assert.ok(fits(OrderList, list.body), list.text);
  assert.equal(list.body.items[0].id, second.order.id);
  assert.equal(list.body.items[0].email, EMAIL);
  const next = await shop.admin('GET', `/v1/admin/orders?limit=1&cursor=${list.body.nextCursor}`);
  assert.equal(next.body.items[0].id, first.order.id);
  const mine = await shop.admin('GET', `/v1/admin/orders?cartId=${first.cart.id}&state=confirmed`);
  assert.deepEqual(
    mine.body.items.map(({ id }: { id: string }) => id),
    [first.order.id],
  );
  assert.equal(mine.body.nextCursor, null);
  const one = await shop.admin('GET', `/v1/admin/orders/${first.order.id}`);
  assert.ok(fits(Order, one.body), one.text);
  assert.equal((await shop.admin('GET', '/v1/admin/orders/ord_1')).status, 404);
  const payments = await shop.admin('GET', `/v1/admin/payments?orderId=${first.order.id}`);
  assert.ok(fits(AdminPaymentList, payments.body), payments.text);
  const [payment] = payments.body.items;
  assert.equal(payment.state, 'authorized');
  assert.equal(payment.reference, first.order.id);
  assert.equal(payment.amount.amount, first.order.totals.total.amount);
  for (const query of ['state=paid', 'since=yesterday', 'since=2026-13-40T00:00:00Z', 'limit=0', 'x=1']) {
    assert.equal((await shop.admin('GET', `/v1/admin/payments?${query}`)).status, 400, query);
  }
});

test('jobs are listed, looked at, and run again only where they have failed', async () => {
  const job = { job: 'order_email', attempts: 3, error: 'refused', subject: 'ord_1', createdAt: 1, updatedAt: 2 };
  shop.jobs.set('a:1', { id: 'a:1', ...job, state: 'failed', phase: 'failed' });
  shop.jobs.set('b', { id: 'b', ...job, state: 'done', phase: 'completed', updatedAt: null });
  const list = await shop.admin('GET', '/v1/admin/jobs?state=failed');
  assert.ok(fits(JobList, list.body), list.text);
  assert.equal(list.body.items.length, 1);
  assert.equal((await shop.admin('GET', '/v1/admin/jobs/a:1')).body.error, 'refused');
  const key = randomUUID();
  const run = await shop.admin('POST', '/v1/admin/jobs/a:1/retry', { key });
  assert.equal(run.status, 202);
  const again = await shop.admin('POST', '/v1/admin/jobs/a:1/retry', { key });
  assert.deepEqual([again.status, again.headers['idempotency-replayed'], again.text], [202, 'true', run.text]);
  assert.equal((await shop.admin('POST', '/v1/admin/jobs/a:1/retry')).body.code, 'job_not_failed');
  assert.equal((await shop.admin('POST', '/v1/admin/jobs/b/retry')).body.code, 'job_not_failed');
  assert.equal((await shop.admin('POST', '/v1/admin/jobs/c/retry')).status, 404);
  assert.equal((await shop.admin('GET', '/v1/admin/jobs/c')).status, 404);
});

test('the cluster is shown as its rows are; a node is drained only while another can take its shards', async () => {
  const member = (nodeId: string): MemberView => ({
    nodeId,
    incarnation: `${nodeId}.1`,
    state: 'alive',
    weight: 1,
    bus: true,
    leaseMs: 2_000,
    renewedMsAgo: 120.5,
    joinedAt: new Date(0),
    shards: 1,
    dueShards: 2,
    drainRequested: false,
    status: { handOffs: 3 },
  });
  const shard = { shard: 0, owner: 'a.1', nodeId: 'a', epoch: 4, dueNodeId: 'b' };
  const before = shop.cluster;
  shop.cluster = { ...before, members: [member('a')], shards: [shard], handOffs: { pending: 1, total: 4 } };
  const read = await shop.admin('GET', '/v1/admin/cluster');
  assert.equal(read.status, 200, read.text);
  assert.ok(fits(Cluster, read.body), read.text);
  assert.equal(read.body.members[0].joinedAt, '1970-01-01T00:00:00.000Z');
  assert.deepEqual(read.body.shards, [{ shard: 0, owner: 'a.1', node: 'a', epoch: 4, dueNode: 'b' }]);
  assert.equal((await shop.admin('POST', '/v1/admin/cluster/drain/c')).status, 404);
  assert.equal((await shop.admin('POST', '/v1/admin/cluster/drain/a')).body.code, 'last_node');
  shop.cluster = { ...shop.cluster, members: [member('a'), member('b')] };
  const key = randomUUID();
  const asked = await shop.admin('POST', '/v1/admin/cluster/drain/a', { key });
  assert.equal(asked.status, 202, asked.text);
  assert.ok(fits(DrainAccepted, asked.body), asked.text);
  const again = await shop.admin('POST', '/v1/admin/cluster/drain/a', { key });
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.deepEqual(shop.audit.at(-1)?.operation, 'adminDrainNode');
  shop.cluster = before;
});

test('every route is in the OpenAPI document once, under a name of its own, and takes closed bodies only', () => {
  const routes = allRoutes(shop.app);
  const names = routes.map(({ operationId }) => operationId);
  assert.equal(new Set(names).size, names.length);
  const document = openApiDocument(routes, { version: '0' }) as { paths: Record<string, Record<string, unknown>> };
  for (const route of routes) {
    assert.ok(document.paths[route.path]?.[route.method.toLowerCase()] !== undefined, route.path);
    if (route.body !== undefined) assert.equal(route.body.additionalProperties, false, route.operationId);
    if (route.query !== undefined) assert.equal(route.query.additionalProperties, false, route.operationId);
    assert.ok(problemCodes(route).length > 0);
  }
});
