/**
 * The public contract as an operator's client meets it, against a real shop with a port for operators, behind a trusted proxy and with
 * narrow rate limits: catalogue, imports, stock, orders, payments, jobs; what is served where; who is counted as whom.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  assertOrder,
  assertOrderAnswer,
  assertPage,
  assertProblem,
  assertProduct,
  assertTime,
} from './bench/contract.ts';
import { ADMIN_KEY, type Answer, freePort, type RequestOptions, ShopProcess, until } from './bench/shop-process.ts';
import { addLine, cartOf, checkout, newCart } from './bench/shopper.ts';
import { RawClient } from './http/raw-client.ts';

const CARTS_AN_HOUR = 60;
let shop: ShopProcess;
let opsPort: number;

before(async () => {
  opsPort = await freePort();
  const env = {
    OPS_PORT: String(opsPort),
    TRUSTED_PROXIES: '127.0.0.0/8',
    RATE_LIMITS: `cart_create=${CARTS_AN_HOUR}/3600,checkout=5/600`,
  };
  shop = await ShopProcess.start({ env });
});
after(async () => {
  await shop?.stop();
  await shop?.cleanUp();
});

const PRODUCT = { name: 'Thing', category: 'Operators', prices: { USD: 1000, EUR: 900 } };

/** A call at the operators' port, with their key unless another credential is given. */
async function ops(method: string, path: string, options: RequestOptions & { token?: string } = {}): Promise<Answer> {
  const { body, key, token = ADMIN_KEY } = options;
  const headers: Record<string, string> = { authorization: `Bearer ${token}`, ...options.headers };
  if (body !== undefined) headers['content-type'] ??= 'application/json';
  if (key !== undefined) headers['idempotency-key'] = key;
  const answer = await fetch(`http://127.0.0.1:${opsPort}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const json = answer.headers.get('content-type')?.includes('json');
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    text,
    body: json ? JSON.parse(text) : text,
  };
}

async function stockOf(sku: string): Promise<Answer['body']> {
  const { body, text } = await ops('GET', `/v1/admin/stock/${sku}`);
  assert.equal(body.onHand, body.held + body.allocated + body.available, text);
  for (const field of ['onHand', 'held', 'allocated', 'available', 'version'])
    assert.ok(Number.isInteger(body[field]) && body[field] >= 0, `${field}: ${text}`);
  return body;
}

async function stocked(sku: string, units: number): Promise<void> {
  assert.equal((await ops('PUT', `/v1/admin/products/${sku}`, { body: PRODUCT })).status, 201);
  const adjusted = await ops('POST', `/v1/admin/stock/${sku}/adjustments`, { body: { delta: units, reason: 'first' } });
  assert.equal(adjusted.status, 200, adjusted.text);
}

test('operators and metrics are served at their own port and nowhere else', async () => {
  for (const path of ['/v1/admin/orders', '/v1/admin/products/x', '/metrics'])
    assertProblem(await shop.admin('GET', path), 404, 'route_unknown', path);
  assert.equal((await ops('GET', '/metrics')).status, 200);
  assert.equal((await ops('GET', '/healthz')).status, 200);
  assert.equal((await ops('GET', '/readyz')).status, 200);
  assertProblem(await ops('GET', '/v1/products'), 404, 'route_unknown');
  const paths = async (answer: Promise<Answer>) => Object.keys((await answer).body.paths);
  assert.ok((await paths(shop.request('GET', '/openapi.json'))).every((path) => !path.startsWith('/v1/admin')));
  assert.ok((await paths(ops('GET', '/openapi.json'))).every((path) => path.startsWith('/v1/admin')));
});

test('without an operator’s key there is nothing to see', async () => {
  const cart = await newCart(shop);
  for (const path of [
    '/v1/admin/orders',
    '/v1/admin/payments',
    '/v1/admin/jobs',
    '/v1/admin/products',
    '/v1/admin/stock/x',
  ])
    for (const token of ['', 'wrong', `${ADMIN_KEY}x`, cart.token, 'x'.repeat(600)])
      assertProblem(await ops('GET', path, { token }), 401, 'unauthenticated', path);
});

test('a product is written, read, replaced, archived and taken out; each write once under its key', async () => {
  const path = '/v1/admin/products/OPS-1';
  assertProblem(await ops('GET', path), 404, 'sku_unknown');
  assertProblem(await ops('DELETE', path), 404, 'sku_unknown');
  const key = randomUUID();
  const created = await ops('PUT', path, { key, body: PRODUCT });
  assert.equal(created.status, 201, created.text);
  assert.equal(created.headers.location, path);
  assert.deepEqual((await ops('GET', path)).body, created.body);
  assertProduct((await shop.request('GET', '/v1/products/OPS-1?currency=EUR')).body, 'EUR');
  assert.equal((await ops('PUT', path, { body: { ...PRODUCT, active: false } })).status, 200);
  assertProblem(await shop.request('GET', '/v1/products/OPS-1'), 404, 'sku_unknown', 'archived');
  const again = await ops('PUT', path, { key, body: PRODUCT });
  assert.deepEqual([again.status, again.text, again.headers['idempotency-replayed']], [201, created.text, 'true']);
  assert.equal((await ops('GET', path)).body.active, false, 'a repetition writes nothing');
  assertProblem(await ops('PUT', path, { key, body: { ...PRODUCT, name: 'Other' } }), 422, 'idempotency_key_reused');
  for (const wrong of [
    { ...PRODUCT, prices: {} },
    { ...PRODUCT, prices: { usd: 1 } },
    { ...PRODUCT, prices: { USD: -1 } },
    { ...PRODUCT, prices: { USD: 1.5 } },
    { ...PRODUCT, colour: 'red' },
    { ...PRODUCT, name: '' },
    { ...PRODUCT, name: 'a\0b' },
    { ...PRODUCT, holdTtlMs: 1 },
  ])
    assertProblem(await ops('PUT', path, { body: wrong }), 400, 'invalid_request', JSON.stringify(wrong));
  for (const bad of ['%20', '-x', 'a%2Fb', 'a%00', '%ff', 'x'.repeat(65)])
    assertProblem(await ops('PUT', `/v1/admin/products/${bad}`, { body: PRODUCT }), 400, 'invalid_request', bad);
  const gone = randomUUID();
  assert.equal((await ops('DELETE', path, { key: gone })).status, 204);
  const replayed = await ops('DELETE', path, { key: gone });
  assert.deepEqual([replayed.status, replayed.headers['idempotency-replayed']], [204, 'true']);
  assertProblem(await ops('GET', path), 404, 'sku_unknown');
});

test('what was done to a rule is in the audit trail, with the call that did it and what differs', async () => {
  const path = '/v1/admin/coupons/AUDITED';
  const coupon = { label: 'Audited', kind: 'fixed', amounts: { USD: 100 } };
  assert.equal((await ops('PUT', path, { body: coupon })).status, 201);
  assert.equal((await ops('PATCH', path, { body: { label: 'Seen' } })).status, 200);
  assert.equal((await ops('PATCH', path, { body: { label: 7 } })).status, 400);
  const list = (target: string, more = '') => ops('GET', `/v1/admin/audit?target=${encodeURIComponent(target)}${more}`);
  const changes = await list('coupon/AUDITED');
  assertPage(changes);
  const [newest, oldest] = changes.body.items;
  assert.deepEqual([newest.operation, oldest.operation], ['coupon.write', 'coupon.write']);
  assert.equal(changes.body.items.length, 2);
  assert.equal(newest.version, oldest.version + 1);
  assert.ok(!('before' in newest || 'after' in oldest));
  const { body: whole } = await ops('GET', `/v1/admin/audit/${newest.id}`);
  assert.deepEqual([whole.before, whole.after], [{ label: 'Audited' }, { label: 'Seen' }]);
  const first = await list(path, '&limit=1');
  const second = await list(path, `&limit=1&cursor=${first.body.nextCursor}`);
  const calls = [...first.body.items, ...second.body.items].map(({ operation, status }) => [operation, status]);
  assert.deepEqual(
    [calls, second.body.nextCursor],
    [
      [
        ['adminChangeCoupon', 200],
        ['adminPutCoupon', 201],
      ],
      null,
    ],
  );
  assertProblem(await list('coupon/AUDITED', `&cursor=${first.body.nextCursor}`), 400, 'cursor_invalid');
});

test('an import in NDJSON or CSV writes all or nothing, says which line is wrong, and is done once under its key', async () => {
  const path = '/v1/admin/products/import';
  const ndjson = { 'content-type': 'application/x-ndjson' };
  const csv = { 'content-type': 'text/csv; charset=utf-8' };
  const line = (sku: string, more: object = {}) => JSON.stringify({ sku, ...PRODUCT, ...more });
  const load = (body: string, headers: Record<string, string>, key?: string) =>
    ops('POST', path, { body, headers, ...(key === undefined ? {} : { key }) });
  const key = randomUUID();
  const first = await load(`${line('IMP-1')}\n\n${line('IMP-2')}\n`, ndjson, key);
  assert.deepEqual([first.status, first.body], [200, { imported: 2 }], first.text);
  assert.equal(
    (await load(`${line('IMP-1')}\n\n${line('IMP-2')}\n`, ndjson, key)).headers['idempotency-replayed'],
    'true',
  );
  assertProblem(await load(line('IMP-3'), ndjson, key), 422, 'idempotency_key_reused');
  const table =
    'sku,name,category,price.USD,price.JPY,maxPerOrder\nIMP-4,"Say ""hi"", all",Operators,100,150,3\nIMP-5,Five,Operators,5,,\n';
  assert.deepEqual((await load(table, csv)).body, { imported: 2 });
  const four = (await ops('GET', '/v1/admin/products/IMP-4')).body;
  assert.deepEqual([four.name, four.prices, four.maxPerOrder], ['Say "hi", all', { USD: 100, JPY: 150 }, 3]);
  assert.deepEqual((await ops('GET', '/v1/admin/products/IMP-5')).body.prices, { USD: 5 });
  for (const [body, headers, place] of [
    [`${line('IMP-6')}\n{"sku":`, ndjson, '/lines/2'],
    [`${line('IMP-6')}\n${line('IMP-7', { prices: { USD: -1 } })}`, ndjson, '/lines/2/prices/USD'],
    [`${line('IMP-6')}\n${line('IMP-6')}`, ndjson, '/lines/2/sku'],
    [`${line('IMP-6')}\n${line('IMP-7', { name: 'a\0' })}`, ndjson, '/lines/2'],
    [`${line('IMP-6')}\n${line('IMP-7', { extra: 1 })}`, ndjson, '/lines/2/extra'],
    ['sku,name,category,price.USD\nIMP-6,Six,Operators,6\nIMP-7,Seven,Operators,x\n', csv, '/lines/3/prices/USD'],
    ['sku,name,category,price.USD\nIMP-6,Six,Operators,6\nIMP-7,"Seven\n', csv, '/lines/'],
    ['', ndjson, ''],
  ] as const) {
    const refused = await load(body, headers);
    assertProblem(refused, 400, 'invalid_request', body);
    assert.ok(refused.body.errors[0].path.startsWith(place), `${refused.text} for ${place}`);
  }
  assertProblem(await ops('GET', '/v1/admin/products/IMP-6'), 404, 'sku_unknown', 'nothing of a refused import');
  assertProblem(await load(line('IMP-6'), { 'content-type': 'application/json' }), 415, 'unsupported_media_type');
  // Refused by its head: a client that sends the body all the same may find the connection closed before it reads why.
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: shop',
    `Authorization: Bearer ${ADMIN_KEY}`,
    'Content-Type: application/x-ndjson',
    `Content-Length: ${2 * 1024 * 1024 + 1}`,
  ];
  const large = await RawClient.once(opsPort, `${head.join('\r\n')}\r\n\r\n`);
  assert.deepEqual([large.status, JSON.parse(large.body).code], [413, 'body_too_large']);
});

test('stock is adjusted once under a key and always adds up', async () => {
  await stocked('STK-1', 10);
  const path = '/v1/admin/stock/STK-1/adjustments';
  const key = randomUUID();
  const first = await ops('POST', path, { key, body: { delta: 5, reason: 'delivery' } });
  assert.deepEqual([first.status, first.body], [200, await stockOf('STK-1')]);
  const again = await ops('POST', path, { key, body: { delta: 5, reason: 'delivery' } });
  assert.deepEqual([again.text, again.headers['idempotency-replayed']], [first.text, 'true']);
  assertProblem(
    await ops('POST', path, { key, body: { delta: 6, reason: 'delivery' } }),
    422,
    'idempotency_key_reused',
  );
  assertProblem(await ops('POST', path, { body: { delta: -16, reason: 'loss' } }), 409, 'stock_negative');
  assert.equal((await stockOf('STK-1')).available, 15);
  assertProblem(await ops('GET', '/v1/admin/stock/NONE'), 404, 'sku_unknown');
  assertProblem(
    await ops('POST', '/v1/admin/stock/NONE/adjustments', { body: { delta: 1, reason: 'x' } }),
    404,
    'sku_unknown',
  );
});

test('orders, payments and jobs are listed by page and filter, stable while new ones come', async () => {
  await stocked('ORD-1', 100);
  const placed: Answer['body'][] = [];
  const place = async () => {
    const cart = await cartOf(shop, 'ORD-1');
    placed.unshift(assertOrderAnswer(await checkout(shop, cart), 201));
  };
  for (let i = 0; i < 5; i++) await place();
  const known = placed.map(({ id }) => id);
  const lists: readonly [string, (item: Answer['body']) => string][] = [
    ['/v1/admin/orders', ({ id }) => id],
    ['/v1/admin/payments', ({ orderId }) => orderId],
  ];
  for (const [path, idOf] of lists) {
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Answer = await ops('GET', `${path}?limit=2&sort=-placedAt${cursor && `&cursor=${cursor}`}`);
      seen.push(...assertPage(page).map(idOf));
      cursor = page.body.nextCursor;
      if (seen.length === 2) await place();
    }
    assert.deepEqual(
      seen.filter((id) => known.includes(id)),
      known,
      path,
    );
    assert.equal(new Set(seen).size, seen.length);
    for (const query of ['limit=0', 'limit=101', 'sort=x', 'state=odd', 'colour=red'])
      assertProblem(await ops('GET', `${path}?${query}`), 400, 'invalid_request', query);
    assertProblem(await ops('GET', `${path}?cursor=x`), 400, 'cursor_invalid');
  }
  const [order] = placed;
  const one = assertPage(await ops('GET', `/v1/admin/orders?cartId=${order.cartId}`));
  assert.deepEqual(
    one.map(({ id }) => id),
    [order.id],
  );
  assertOrder(one[0]);
  assertOrderAnswer(await ops('GET', `/v1/admin/orders/${order.id}`));
  assertProblem(await ops('GET', `/v1/admin/orders/ord_${randomUUID()}`), 404, 'not_found');
  assert.deepEqual(assertPage(await ops('GET', '/v1/admin/orders?state=cancelled')), []);

  for (const query of [`orderId=${order.id}`, `cartId=${order.cartId}`]) {
    const [payment, ...others] = assertPage(await ops('GET', `/v1/admin/payments?${query}`));
    assert.deepEqual(others, []);
    assert.deepEqual([payment.orderId, payment.cartId, payment.amount], [order.id, order.cartId, order.totals.total]);
    assert.equal(payment.id, order.payment.reference);
    assert.equal(typeof payment.provider, 'string');
    for (const step of payment.history) assertTime(step.at, 'history');
    assert.equal(payment.history.at(-1).state, payment.state);
  }
  const soon = new Date(Date.now() + 3600_000).toISOString();
  assert.deepEqual(assertPage(await ops('GET', `/v1/admin/payments?since=${soon}`)), []);
  assertProblem(await ops('GET', '/v1/admin/payments?since=yesterday'), 400, 'invalid_request');
  await until(
    'the capture is told',
    async () => assertPage(await ops('GET', `/v1/admin/payments?orderId=${order.id}&state=captured`)).length === 1,
  );
  const jobs = await until('jobs are done', async () => {
    const done = assertPage(await ops('GET', '/v1/admin/jobs?state=done&limit=100'));
    return done.some(({ job, subject }) => job === 'capture' && subject === order.id) ? done : undefined;
  });
  const { id } = jobs[0];
  assert.equal((await ops('GET', `/v1/admin/jobs/${encodeURIComponent(id)}`)).body.id, id);
  assertProblem(await ops('POST', `/v1/admin/jobs/${encodeURIComponent(id)}/retry`), 409, 'job_not_failed');
  assertProblem(await ops('POST', '/v1/admin/jobs/none/retry'), 404, 'not_found');
  assertProblem(await ops('GET', '/v1/admin/jobs?cursor=x'), 400, 'cursor_invalid');
});

test('a client behind a trusted proxy is counted by its own address, whatever it writes itself', async () => {
  const open = (forwarded: string) => shop.request('POST', '/v1/carts', { headers: { 'x-forwarded-for': forwarded } });
  for (let i = 0; i < CARTS_AN_HOUR; i++) assert.equal((await open(`10.9.8.${i}, 203.0.113.5`)).status, 201);
  const over = await open('10.1.1.1, 203.0.113.5');
  assertProblem(over, 429, 'rate_limited');
  assert.equal(over.headers['ratelimit-policy'], `"cart_create";q=${CARTS_AN_HOUR};w=3600`);
  assert.equal((await open('203.0.113.6')).status, 201);
  const ipv6 = await Promise.all(Array.from({ length: CARTS_AN_HOUR }, (_, i) => open(`2001:db8::${i.toString(16)}`)));
  assert.ok(ipv6.every(({ status }) => status === 201));
  assertProblem(await open('2001:db8::ffff'), 429, 'rate_limited', 'a /64 is one client');
  assert.equal((await open('2001:db8:0:1::1')).status, 201);
  for (let i = 0; i < 50; i++) assert.equal((await shop.request('GET', '/healthz')).status, 200);
});

test('a token that calls too often is refused by its own count, and others are not', async () => {
  const headers = { 'x-forwarded-for': '203.0.113.77' };
  const opened = await shop.request('POST', '/v1/carts', { headers });
  const cart = { id: opened.body.cart.id, token: opened.body.token, total: opened.body.cart.totals.total };
  const other = await shop.request('POST', '/v1/carts', { headers });
  await addLine(shop, cart, 'ORD-1');
  const answers: Answer[] = [];
  for (let i = 0; i < 6; i++) answers.push(await checkout(shop, cart, { total: { amount: 1, currency: 'USD' } }));
  for (const answer of answers.slice(0, 5)) assertProblem(answer, 409, 'price_changed');
  assertProblem(answers[5] as Answer, 429, 'rate_limited');
  assert.ok(Number(answers[5]?.headers['retry-after']) > 60, 'one more comes back every two minutes');
  const neighbour = { id: other.body.cart.id, token: other.body.token, total: null };
  assertProblem(await checkout(shop, neighbour, { total: { amount: 1, currency: 'USD' } }), 409, 'cart_empty');
});
