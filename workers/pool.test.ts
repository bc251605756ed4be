import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type PriceBook, ProductTable } from '../schema/price-book.ts';
import { PricingPool, type PricingPoolOptions } from './pool.ts';
import { BookEncoder, BookShelf, createBook } from './price-book.ts';
import { price } from './pricing.ts';
import type { PriceRequest, TaxExemption } from './quote.ts';
import { joinCarts, readCarts, writeCart } from './wire.ts';

const pools: PricingPool[] = [];
after(async () => {
  await Promise.all(pools.map((pool) => pool.close()));
});
function pool(book: PriceBook, options: PricingPoolOptions = {}): PricingPool {
  const made = new PricingPool({ threads: 2, ...options });
  made.setBook(book);
  pools.push(made);
  return made;
}
const faulty = { workerUrl: new URL('./pool-faulty-worker.js', import.meta.url), taskTimeoutMs: 1_000 };

function bookOf(version: number, unitPrice: number): PriceBook {
  const product = (name: string) => ({
    name,
    category: 'c',
    active: true,
    taxCategory: 'standard',
    prices: { USD: unitPrice },
  });
  return createBook({
    version,
    store: { defaultCurrency: 'USD', currencies: ['USD'], defaultShipping: 'post' },
    products: Object.fromEntries(
      ['A', 'B', 'CRASH', 'CRASH-ALWAYS', 'HANG', 'HANG-ALWAYS'].map((sku) => [sku, product(`Product ${sku}`)]),
    ),
    coupons: [{ code: 'TEN', label: 'Ten off', kind: 'percent', ratePpm: 100_000 }],
    taxRates: [
      {
        id: 'tx',
        name: 'Texas',
        country: 'US',
        region: 'TX',
        categories: ['standard'],
        ratePpm: 62_500,
        included: false,
      },
    ],
    shippingMethods: [
      { id: 'post', name: 'Post', taxCategory: 'x', zones: [{ countries: null, prices: { USD: 499 } }] },
    ],
  });
}
function cart(sku: string, quantity = 1): PriceRequest {
  return {
    currency: 'USD',
    lines: [
      { id: 'lin_1', sku, quantity },
      { id: 'lin_2', sku: 'B', quantity: 2 },
    ],
    destination: { country: 'US', region: 'TX' },
    coupons: ['TEN'],
    shippingMethod: null,
    at: 1_000,
  };
}

test('a quote of the pool is the quote of the calling thread, byte for byte', async () => {
  const book = bookOf(3, 1_999);
  const priced = pool(book);
  const asked: PriceRequest[] = [
    cart('A'),
    cart('GONE'),
    { ...cart('A'), coupons: ['nope', 'TEN'], destination: null },
    { ...cart('A'), lines: [] },
    { ...cart('A'), shippingMethod: 'pigeon' },
  ];
  for (const final of [false, true]) {
    const quotes = await Promise.all(asked.map((request) => priced.priceOnThreads(request, { final })));
    assert.equal(JSON.stringify(quotes), JSON.stringify(asked.map((request) => price(book, request, { final }))));
    assert.equal(JSON.stringify(priced.priceInline(cart('A'), { final })), JSON.stringify(quotes[0]));
  }
});

test('a small cart is priced on the calling thread, a large one on another, and both by the same arithmetic', async () => {
  const book = bookOf(1, 100);
  const priced = pool(book, { inlineCostMax: 10 });
  const small = { ...cart('A'), coupons: ['TEN', 'nope'] };
  const large = { ...cart('A'), coupons: ['TEN', 'nope', 'never'] };
  assert.deepEqual(priced.price(small), price(book, small));
  const quote = priced.price(large);
  assert.ok(quote instanceof Promise);
  assert.deepEqual(await quote, price(book, large));
  assert.deepEqual([priced.stats.inlineCarts, priced.stats.carts], [1, 1]);
});

test('what a crowd of small carts asks for in one turn beyond the budget of the calling thread goes to the threads', async () => {
  const priced = pool(bookOf(1, 100), { inlineCostPerTurn: 70 });
  const asked = Array.from({ length: 30 }, () => priced.price(cart('A')));
  await Promise.all(asked);
  assert.deepEqual([priced.stats.inlineCarts, priced.stats.carts, priced.stats.batches], [10, 20, 1]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!(priced.price(cart('A')) instanceof Promise));
});

test('on the calling thread a price is refused as on the others', async () => {
  const priced = new PricingPool({ threads: 1 });
  pools.push(priced);
  assert.throws(() => priced.price(cart('A')), { code: 'pricing_unavailable' });
  priced.setBook(bookOf(1, 100));
  assert.throws(() => priced.price(cart('A', 5_000)), { code: 'internal', retryable: false });
  await priced.close();
  assert.throws(() => priced.price(cart('A')), { code: 'draining' });
});

test('carts asked for in one turn travel in one batch', async () => {
  const priced = pool(bookOf(1, 100));
  await Promise.all(Array.from({ length: 100 }, (_, i) => priced.priceOnThreads(cart('A', i + 1))));
  assert.equal(priced.stats.batches, 1);
  assert.equal(priced.stats.carts, 100);
});

test('while all threads are at work carts gather, and no batch passes its limit', async () => {
  const priced = pool(bookOf(1, 100), { threads: 1, maxBatch: 50 });
  const first = priced.priceOnThreads(cart('A'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(priced.stats.batchesInFlight, 1);
  const rest: Promise<unknown>[] = [];
  for (let i = 0; i < 120; i++) rest.push(priced.priceOnThreads(cart('A')));
  await Promise.all([first, ...rest]);
  assert.equal(priced.stats.batches, 1 + 3);
});

test('a cart asked for after a new book was set is priced by it, and every quote by one book only', async () => {
  const priced = pool(bookOf(0, 1));
  const asked: Promise<void>[] = [];
  for (let version = 1; version <= 60; version++) {
    priced.setBook(bookOf(version, version));
    const floor = version;
    for (let i = 0; i < 5; i++) {
      asked.push(
        priced.priceOnThreads(cart('A')).then((quote) => {
          assert.ok(quote.bookVersion >= floor);
          for (const line of quote.lines) assert.equal(line.unitPrice, quote.bookVersion);
        }),
      );
    }
    if (version % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(asked);
});

test('a crashed thread loses no cart', async () => {
  const priced = pool(bookOf(1, 100), faulty);
  const asked = Array.from({ length: 40 }, (_, i) => priced.priceOnThreads(cart(i === 20 ? 'CRASH' : 'A')));
  const quotes = await Promise.all(asked);
  assert.equal(quotes.length, 40);
  assert.equal(priced.stats.retriedCarts, 40);
  assert.equal(priced.stats.failedCarts, 0);
});

test('a hung thread is ended and loses no cart', async () => {
  const priced = pool(bookOf(1, 100), { ...faulty, taskTimeoutMs: 500 });
  const quotes = await Promise.all(
    Array.from({ length: 20 }, (_, i) => priced.priceOnThreads(cart(i === 5 ? 'HANG' : 'A'))),
  );
  assert.equal(quotes.length, 20);
});

test('a cart that ends every thread fails with pricing_unavailable and takes at most its small batch down with it', async () => {
  const priced = pool(bookOf(1, 100), faulty);
  const asked = Array.from({ length: 64 }, (_, i) => priced.priceOnThreads(cart(i === 0 ? 'CRASH-ALWAYS' : 'A')));
  const results = await Promise.allSettled(asked);
  const failed = results.filter((result) => result.status === 'rejected');
  assert.equal(failed.length, 16);
  assert.ok(failed.every(({ reason }) => reason.code === 'pricing_unavailable' && reason.retryable));
  assert.equal((await priced.priceOnThreads(cart('A'))).bookVersion, 1);
});

test('threads that fail again and again are replaced, and pricing goes on', async () => {
  const priced = pool(bookOf(1, 100), { ...faulty, threads: 1 });
  for (let i = 0; i < 3; i++)
    await assert.rejects(priced.priceOnThreads(cart('CRASH-ALWAYS')), { code: 'pricing_unavailable' });
  assert.equal((await priced.priceOnThreads(cart('A'))).bookVersion, 1);
});

test('a cart past the limits of pricing fails alone', async () => {
  const priced = pool(bookOf(1, 100));
  const [bad, good] = await Promise.allSettled([
    priced.priceOnThreads(cart('A', 5_000)),
    priced.priceOnThreads(cart('A')),
  ]);
  assert.equal(bad.status === 'rejected' && bad.reason.code, 'internal');
  assert.equal(good.status, 'fulfilled');
});

test('a full queue refuses with overloaded and a hint, and serves what it took', async () => {
  const priced = pool(bookOf(1, 100), { maxQueue: 10 });
  const results = await Promise.allSettled(Array.from({ length: 15 }, () => priced.priceOnThreads(cart('A'))));
  const refused = results.filter((result) => result.status === 'rejected');
  assert.equal(refused.length, 5);
  assert.ok(refused.every(({ reason }) => reason.code === 'overloaded' && reason.retryAfterMs > 0));
  assert.equal(priced.stats.refusedCarts, 5);
});

test('without a book there is no price', async () => {
  const priced = new PricingPool({ threads: 1 });
  pools.push(priced);
  await assert.rejects(priced.priceOnThreads(cart('A')), { code: 'pricing_unavailable' });
  assert.throws(() => priced.priceInline(cart('A')), { code: 'pricing_unavailable' });
});

test('close answers what was accepted and refuses what comes after', async () => {
  const priced = new PricingPool({ threads: 1, maxBatch: 2 });
  priced.setBook(bookOf(1, 100));
  const accepted = Array.from({ length: 9 }, () => priced.priceOnThreads(cart('A')));
  const closed = priced.close();
  await assert.rejects(priced.priceOnThreads(cart('A')), { code: 'draining' });
  assert.equal((await Promise.all(accepted)).length, 9);
  await closed;
  await priced.close();
});

test('hostile text cannot shift the fields of another cart', () => {
  const evil: PriceRequest = {
    ...cart('A\nB'),
    coupons: ['X\n99'],
    destination: { country: 'US\n', region: '\nTX' },
    shippingMethod: '\n',
  };
  const fields: string[] = [];
  writeCart(evil, fields);
  writeCart(cart('A'), fields);
  const [first, second, third] = [...readCarts(joinCarts(fields))];
  assert.deepEqual(second, cart('A'));
  assert.equal(third, undefined);
  assert.deepEqual(
    first?.lines.map(({ sku }) => sku),
    ['', 'B'],
  );
});

test('a change of one product sends that product, not the whole catalogue', () => {
  const encoder = new BookEncoder();
  const shelf = new BookShelf();
  const product = { name: 'P', category: 'c', active: true, taxCategory: 'standard', prices: { USD: 100 } };
  const products = ProductTable.of(Array.from({ length: 2_000 }, (_, i) => [`P${i}`, product] as const));
  const book: PriceBook = { ...bookOf(1, 1), products };
  const one = encoder.encode(book);
  const changed = products.with(
    new Map([
      ['P7', { ...product, prices: { USD: 200 } }],
      ['P8', null],
      ['NEW', product],
    ]),
  );
  const two = encoder.encode({ ...book, version: 2, products: changed });
  assert.equal(two.base, one.base);
  assert.equal(two.rules, one.rules);
  assert.ok(two.changes.bytes.byteLength < 300);
  const before = shelf.open(one).products;
  const now = shelf.open(two).products;
  assert.deepEqual([before.get('P7')?.prices, now.get('P7')?.prices], [{ USD: 100 }, { USD: 200 }]);
  assert.deepEqual(
    [now.get('P8'), now.get('P9')?.active, now.get('NEW')?.active, before.get('NEW')],
    [undefined, true, true, undefined],
  );
});

test('many changes become a new base with the same content', () => {
  const product = (usd: number) => ({ name: 'P', category: 'c', active: true, taxCategory: 's', prices: { USD: usd } });
  const first = ProductTable.of([
    ['KEPT', product(1)],
    ['GONE', product(2)],
  ]);
  let table = first;
  for (let i = 0; i < 600; i++)
    table = table.with(
      new Map([
        [`P${i % 400}`, product(i)],
        ['GONE', null],
      ]),
    );
  assert.notEqual(table.base, first.base);
  assert.ok(table.changes.size <= 257);
  assert.deepEqual(
    [table.get('KEPT')?.prices.USD, table.get('GONE'), table.get('P5')?.prices.USD],
    [1, undefined, 405],
  );
  assert.deepEqual([first.get('GONE')?.prices.USD, first.get('P5')], [2, undefined]);
});

test('a costly cart is priced once for each version, book and question; a small one each time', async () => {
  const book = bookOf(1, 1_999);
  const priced = pool(book, { keepCostMin: 4 });
  const of = { id: 'cart_1', version: 3 };
  const first = await priced.price(cart('A'), {}, of);
  assert.equal(await priced.price({ ...cart('A'), at: 2_000 }, {}, of), first);
  assert.equal(priced.stats.keptCarts, 1);
  const others: [PriceRequest, object, typeof of][] = [
    [cart('A', 2), {}, of],
    [{ ...cart('A'), destination: { country: 'US' } }, {}, { ...of, version: 4 }],
    [cart('A'), { final: true }, { ...of, version: 5 }],
    [{ ...cart('A'), customerGroup: 'vip' }, {}, { ...of, version: 6 }],
    [cart('A'), {}, { ...of, id: 'cart_2' }],
  ];
  for (const [request, options, state] of others) {
    assert.deepEqual(await priced.price(request, options, state), price(book, request, options));
  }
  const small = { ...cart('A'), lines: [{ id: 'lin_1', sku: 'A', quantity: 1 }], coupons: [] };
  for (let i = 0; i < 2; i++) await priced.price(small, {}, { id: 'cart_3', version: 1 });
  assert.equal(priced.stats.keptCarts, 1);
  priced.setBook(bookOf(2, 2_999));
  assert.equal((await priced.price(cart('A'), {}, of)).bookVersion, 2);
});

test('who asks for the same while it is computed shares it; what a newer version has overtaken is not kept', async () => {
  const book = bookOf(1, 1_999);
  const priced = pool(book, { keepCostMin: 1, inlineCostMax: 0 });
  const old = priced.price(cart('A', 1), {}, { id: 'cart_1', version: 1 });
  assert.equal(priced.price(cart('A', 1), {}, { id: 'cart_1', version: 1 }), old);
  const now = priced.price(cart('A', 2), {}, { id: 'cart_1', version: 2 });
  const late = priced.price(cart('A', 1), {}, { id: 'cart_1', version: 1 });
  assert.deepEqual([(await old).lines[0]?.quantity, (await late).lines[0]?.quantity], [1, 1]);
  assert.equal(priced.price(cart('A', 2), {}, { id: 'cart_1', version: 2 }), await now);
  assert.equal(priced.stats.carts, 3);
});

test('a kept quote is not that of a buyer who is exempt, nor of one who is exempt elsewhere', async () => {
  const rate = { id: 'us', name: 'US', country: 'US', region: null, categories: ['standard'], ratePpm: 100_000 };
  const book: PriceBook = { ...bookOf(1, 1_000), taxRates: [{ ...rate, included: false }] };
  const priced = pool(book, { keepCostMin: 1 });
  const taxed = { ...cart('A'), destination: { country: 'US' } };
  const asked: (TaxExemption | undefined)[] = [
    undefined,
    { kind: 'exempt', id: 'X' },
    { kind: 'exempt', id: 'X', countries: ['CA'] },
    { kind: 'reverse_charge', id: 'X' },
  ];
  for (const exemption of asked) {
    const request = exemption === undefined ? taxed : { ...taxed, exemption };
    const expected = price(book, request);
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await priced.price(request, {}, { id: 'cart_1', version: 1 }), expected);
    }
  }
  assert.equal(priced.stats.keptCarts, asked.length);
  assert.ok(price(book, taxed).taxAdded > price(book, { ...taxed, exemption: asked[1] ?? null }).taxAdded);
});

test('a kept quote ends at the instant at which a rule begins', async () => {
  const book: PriceBook = {
    ...bookOf(1, 1_000),
    coupons: new Map([
      [
        'TEN',
        { code: 'TEN', label: 'Ten', kind: 'percent', ratePpm: 100_000, validity: { from: 2_000, until: 3_000 } },
      ],
    ]),
  };
  const priced = pool(book, { keepCostMin: 1 });
  const at = async (instant: number) => priced.price({ ...cart('A'), at: instant }, {}, { id: 'cart_1', version: 1 });
  const before = await at(1_500);
  assert.equal(await at(1_999), before);
  assert.deepEqual([before.discount, (await at(2_000)).discount, (await at(3_000)).discount], [0, 300, 0]);
});

test('all that a request can say crosses to the threads', async () => {
  const book = bookOf(1, 1_999);
  const request: PriceRequest = {
    ...cart('A'),
    destination: { country: 'US', region: 'TX', postalCode: '78701' },
    at: 1_234,
    customerGroup: 'vip',
    channel: 'web',
    firstOrder: true,
    exemption: { kind: 'exempt', id: 'X1\n2', countries: ['US'] },
    withoutGifts: ['g'],
    carrierPrices: { post: 731 },
    lines: [
      { id: 'lin_1', sku: 'A', quantity: 1, locked: { unitPrice: 1_500, list: null } },
      { id: 'lin_2', sku: 'B', quantity: 2 },
    ],
  };
  const fields: string[] = [];
  writeCart(request, fields);
  const exemption = { kind: 'exempt', id: '', countries: ['US'] };
  assert.deepEqual([...readCarts(joinCarts(fields))], [{ ...request, exemption }], 'all but what no figure depends on');
  const quote = await pool(book).priceOnThreads(request);
  assert.equal(JSON.stringify(quote), JSON.stringify(price(book, request)));
});

test('a batch ends where its carts get costly, so that answering it holds nobody up', async () => {
  const book = bookOf(1, 1_999);
  const priced = pool(book, { threads: 1 });
  const lines = Array.from({ length: 200 }, (_, i) => ({ id: `lin_${i}`, sku: 'A', quantity: 1 }));
  const large = { ...cart('A'), lines };
  const quotes = await Promise.all(Array.from({ length: 8 }, () => priced.priceOnThreads(large)));
  for (const quote of quotes) assert.equal(quote.total, price(book, large).total);
  assert.deepEqual([priced.stats.batches, priced.stats.carts], [2, 8]);
});
