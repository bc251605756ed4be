import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type Answer, fits, MemoryShop } from '../memory-shop.ts';
import { AdminProduct, AdminProductList, Product, ProductList, PublicStock } from '../schemas-product.ts';

let shop: MemoryShop;
before(async () => {
  shop = await MemoryShop.open();
});
after(async () => {
  assert.deepEqual(shop.errors, []);
  await shop.close();
});

const NDJSON = { 'content-type': 'application/x-ndjson' };
const some = () => shop.product(({ holdAt, maxPerOrder }) => holdAt === 'checkout' && maxPerOrder === null).sku;

test('a product is shown with its price, its stock status and an ETag that spares the next answer', async () => {
  const sku = some();
  const { status, body, headers, text } = await shop.call('GET', `/v1/products/${sku}`);
  assert.equal(status, 200);
  assert.ok(fits(Product, body), text);
  assert.equal(headers['cache-control'], 'max-age=2, stale-while-revalidate=10');
  const etag = String(headers.etag);
  for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const same = await shop.call('GET', `/v1/products/${sku}`, { headers: { 'if-none-match': tag } });
    assert.equal(same.status, 304, tag);
    assert.equal(same.text, '');
    assert.equal(same.headers.etag, etag);
  }
  await shop.setStock(sku, 10);
  const low = await shop.call('GET', `/v1/products/${sku}`, { headers: { 'if-none-match': etag } });
  assert.equal(low.status, 200);
  assert.equal(low.body.stock.status, 'low');
  await shop.setStock(sku, 0);
  assert.equal((await shop.call('GET', `/v1/products/${sku}`)).body.stock.status, 'sold_out');
  await shop.setStock(sku, 500);
  assert.equal((await shop.call('GET', `/v1/products/${sku}`)).headers.etag, etag);
});

test('a product is priced in the currency asked for, or not at all', async () => {
  const sku = shop.product(({ prices }) => prices.JPY !== undefined).sku;
  const yen = await shop.call('GET', `/v1/products/${sku}?currency=JPY`);
  assert.equal(yen.body.price.currency, 'JPY');
  const none = await shop.call('GET', `/v1/products/${sku}?currency=KWD`);
  assert.equal(none.body.code, 'price_unavailable');
  const wrong = await shop.call('GET', `/v1/products/${sku}?currency=usd`);
  assert.equal(wrong.status, 400);
  for (const unknown of ['NOPE', '..%2f..', '%F0%9F%92%A3']) {
    const { status, body } = await shop.call('GET', `/v1/products/${unknown}`);
    assert.equal(status, 404);
    assert.equal(body.code, 'sku_unknown');
  }
});

async function allPages(path: string): Promise<Answer[]> {
  const pages: Answer[] = [];
  let cursor: string | null = null;
  do {
    const join = path.includes('?') ? '&' : '?';
    const page: Answer = await shop.call('GET', cursor === null ? path : `${path}${join}cursor=${cursor}`);
    assert.equal(page.status, 200, page.text);
    pages.push(page);
    cursor = page.body.nextCursor;
  } while (cursor !== null);
  return pages;
}

test('pages of a list join without gap or repetition, in each order', async () => {
  for (const sort of ['name', '-name', 'price', '-price', 'sku']) {
    const pages = await allPages(`/v1/products?limit=7&sort=${sort}`);
    const skus = pages.flatMap(({ body }) => body.items.map((item: { sku: string }) => item.sku));
    const whole = await shop.call('GET', `/v1/products?limit=100&sort=${sort}`);
    assert.deepEqual(
      skus,
      whole.body.items.map((item: { sku: string }) => item.sku),
    );
    assert.ok(pages.every(({ body }) => fits(ProductList, body)));
  }
});

test('a list is narrowed by words and category, and 20 long by default', async () => {
  const { category, name } = shop.product(() => true);
  const page = await shop.call('GET', '/v1/products');
  assert.equal(page.body.items.length, 20);
  const narrowed = await shop.call('GET', `/v1/products?category=${encodeURIComponent(category)}&limit=100`);
  assert.ok(narrowed.body.items.length > 0);
  assert.ok(narrowed.body.items.every((item: { category: string }) => item.category === category));
  const found = await shop.call('GET', `/v1/products?q=${encodeURIComponent(name)}`);
  assert.ok(found.body.items.some((item: { name: string }) => item.name === name));
  const again = await shop.call('GET', '/v1/products', { headers: { 'if-none-match': String(page.headers.etag) } });
  assert.equal(again.status, 304);
});

test('a limit out of range, an unknown parameter and a cursor of another list are refused', async () => {
  for (const query of [
    'limit=0',
    'limit=101',
    'limit=x',
    'limit=1.5',
    'sort=colour',
    'colour=red',
    'limit=1&limit=2',
  ]) {
    const { status, body } = await shop.call('GET', `/v1/products?${query}`);
    assert.equal(status, 400, query);
    assert.equal(body.code, 'invalid_request');
  }
  const { body } = await shop.call('GET', '/v1/products?limit=3&sort=name');
  for (const query of [`cursor=${body.nextCursor}&sort=price`, 'cursor=abc', `sort=name&cursor=${body.nextCursor}x`]) {
    const bad = await shop.call('GET', `/v1/products?limit=3&${query}`);
    assert.equal(bad.status, 400, query);
    assert.equal(bad.body.code, 'cursor_invalid');
  }
  for (const cursor of ['', 'x'.repeat(2000)]) {
    const bad = await shop.call('GET', `/v1/products?cursor=${cursor}`);
    assert.equal(bad.body.code, 'cursor_invalid', cursor);
  }
  const unasked = await shop.call('GET', `/v1/products/${some()}/stock?colour=red`);
  assert.equal(unasked.body.code, 'invalid_request', 'also where no parameter is taken');
  const form = await shop.call('GET', '/v1/products?q=&category=');
  assert.equal(form.body.items?.length, 20, 'an empty filter filters nothing');
  const other = await shop.call('GET', `/v1/products?limit=5&sort=name&cursor=${body.nextCursor}`);
  assert.equal(other.status, 200, 'the limit is no filter');
});

test('the stock of a product is told anew each time', async () => {
  const sku = some();
  await shop.setStock(sku, 33);
  const { body, headers } = await shop.call('GET', `/v1/products/${sku}/stock`);
  assert.ok(fits(PublicStock, body));
  assert.equal(body.available, 33);
  assert.equal(headers['cache-control'], 'no-store');
  assert.equal((await shop.call('GET', '/v1/products/NOPE/stock')).status, 404);
});

test('a picture is an SVG; there is none of what is no product', async () => {
  const { headers, text } = await shop.call('GET', `/images/${some()}.svg`);
  assert.equal(headers['content-type'], 'image/svg+xml');
  assert.match(text, /^<svg/);
  assert.equal((await shop.call('GET', `/images/${some()}`)).status, 404);
  assert.equal((await shop.call('GET', '/images/NOPE.svg')).status, 404);
});

test('an operator writes a product, reads it, archives it and takes it out', async () => {
  const path = '/v1/admin/products/TEST-1';
  const body = { name: 'Test', category: 'tests', prices: { USD: 1999 } };
  const created = await shop.admin('PUT', path, { body });
  assert.equal(created.status, 201, created.text);
  assert.ok(fits(AdminProduct, created.body), created.text);
  assert.equal(created.headers.location, path);
  assert.equal((await shop.call('GET', '/v1/products/TEST-1')).body.price.amount, 1999);
  const archived = await shop.admin('PUT', path, { body: { ...body, active: false } });
  assert.equal(archived.status, 200);
  assert.equal((await shop.call('GET', '/v1/products/TEST-1')).status, 404);
  assert.equal((await shop.admin('GET', path)).body.active, false);
  assert.equal((await shop.admin('DELETE', path)).status, 204);
  assert.equal((await shop.admin('DELETE', path)).body.code, 'sku_unknown');
  assert.equal((await shop.admin('GET', path)).status, 404);
});

test('a keyed write of a product is done once and answered alike; another body is refused', async () => {
  const path = '/v1/admin/products/TEST-2';
  const write = { key: randomUUID(), body: { name: 'One', category: 'tests', prices: { USD: 1 } } };
  const first = await shop.admin('PUT', path, write);
  await shop.admin('PUT', path, { body: { ...write.body, name: 'Two' } });
  const again = await shop.admin('PUT', path, write);
  assert.equal(again.status, 201);
  assert.deepEqual(again.body, first.body);
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.equal((await shop.admin('GET', path)).body.name, 'Two');
  const other = await shop.admin('PUT', path, { ...write, body: { ...write.body, name: 'Three' } });
  assert.equal(other.body.code, 'idempotency_key_reused');
});

test('a product that cannot be sold is refused with its place', async () => {
  const body = { name: 'x', category: 'x', prices: { USD: 1 } };
  const wrong: [string, object, string][] = [
    ['A', { ...body, prices: {} }, '/prices'],
    ['A', { ...body, prices: { XXQ: 1 } }, '/prices'],
    ['A', { ...body, prices: { USD: 1.5 } }, '/prices/USD'],
    ['A', { ...body, prices: { USD: -1 } }, '/prices/USD'],
    ['A', { ...body, maxPerOrder: 0 }, '/maxPerOrder'],
    ['A', { ...body, colour: 'red' }, '/colour'],
    ['%20A', body, '/params/sku'],
  ];
  for (const [sku, input, place] of wrong) {
    const { status, body: told } = await shop.admin('PUT', `/v1/admin/products/${sku}`, { body: input });
    assert.equal(status, 400, place);
    assert.ok(
      told.errors.some(({ path }: { path: string }) => path === place),
      `${place}: ${JSON.stringify(told.errors)}`,
    );
  }
});

test('an import writes all or nothing, and is repeated under its key', async () => {
  const row = (sku: string, amount: number) =>
    `{"sku":"${sku}","name":"x","category":"imports","prices":{"USD":${amount}}}`;
  const path = '/v1/admin/products/import';
  const bad = await shop.admin('POST', path, { headers: NDJSON, body: `${row('IMP-1', 1)}\n${row('IMP-2', -1)}` });
  assert.equal(bad.status, 400);
  assert.equal(bad.body.errors[0].path, '/lines/2/prices/USD');
  assert.equal((await shop.admin('GET', '/v1/admin/products/IMP-1')).status, 404);
  const call = { headers: NDJSON, key: randomUUID(), body: `${row('IMP-1', 1)}\n${row('IMP-2', 2)}` };
  assert.deepEqual((await shop.admin('POST', path, call)).body, { imported: 2 });
  assert.equal((await shop.admin('POST', path, call)).headers['idempotency-replayed'], 'true');
  const csv = {
    headers: { 'content-type': 'text/csv; charset=utf-8' },
    body: 'sku,name,category,price.USD\nIMP-3,y,imports,3\n',
  };
  assert.equal((await shop.admin('POST', path, csv)).status, 200);
  const list = await shop.admin('GET', '/v1/admin/products?category=imports');
  assert.ok(fits(AdminProductList, list.body), list.text);
  assert.deepEqual(
    list.body.items.map(({ sku }: { sku: string }) => sku),
    ['IMP-1', 'IMP-2', 'IMP-3'],
  );
  assert.equal((await shop.admin('POST', path, { body: {} })).status, 415);
});
