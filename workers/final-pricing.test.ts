import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { after, test } from 'node:test';
import { httpCarrierRates } from './carrier-rates.ts';
import { finalPricing } from './final-pricing.ts';
import { createBook } from './price-book.ts';
import { price } from './pricing.ts';
import type { PriceRequest, Quote, SealedText, TaxExemption } from './quote.ts';
import { httpTaxProvider, type TaxQuestion } from './tax-provider.ts';

const book = createBook({
  version: 1,
  store: { defaultCurrency: 'USD', currencies: ['USD'], defaultShipping: 'post' },
  products: {
    MUG: {
      name: 'Mug',
      category: 'c',
      active: true,
      taxCategory: 'standard',
      prices: { USD: 1_000 },
      weightGrams: 400,
    },
    SONG: { name: 'Song', category: 'c', active: true, taxCategory: 'digital', prices: { USD: 100 }, digital: true },
  },
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
    {
      id: 'post',
      name: 'Post',
      taxCategory: 'x',
      zones: [{ countries: null, prices: { USD: 499 } }],
      carrierService: 'ground',
    },
  ],
});
const request: PriceRequest = {
  currency: 'USD',
  lines: [
    { id: 'lin_1', sku: 'MUG', quantity: 2 },
    { id: 'lin_2', sku: 'SONG', quantity: 1 },
  ],
  destination: { country: 'US', region: 'TX', postalCode: '78701' },
  coupons: [],
  shippingMethod: null,
  at: 1,
};
const pricing = { price: (asked: PriceRequest) => price(book, asked, { final: true }) };
const table = pricing.price(request);

/** Another answer for each test; `asked` counts what reached the service. */
interface Service {
  readonly url: string;
  asked: unknown[];
  answer: (body: unknown) => { status?: number; text: string } | null;
  close(): Promise<void>;
}
const services: Service[] = [];
after(() => Promise.all(services.map((service) => service.close())));

async function openService(answer: Service['answer']): Promise<Service> {
  const server: Server = createServer(async (call: IncomingMessage, reply) => {
    const chunks: Buffer[] = [];
    for await (const chunk of call as AsyncIterable<Buffer>) chunks.push(chunk);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    service.asked.push(body);
    const said = service.answer(body);
    // null: it never answers
    if (said !== null) reply.writeHead(said.status ?? 200, { 'content-type': 'application/json' }).end(said.text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const service: Service = {
    url: `http://127.0.0.1:${port}/v1/ask`,
    asked: [],
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  services.push(service);
  return service;
}

function taxes(body: unknown, ratePpm = 100_000): { text: string } {
  const { lines, shipping } = body as TaxQuestion;
  const tax = (amount: number) => [
    { name: 'City', ratePpm, base: amount, amount: Math.floor((amount * ratePpm) / 1_000_000), included: false },
  ];
  const answer = {
    lines: lines.map(({ id, amount }) => ({ id, taxes: tax(amount) })),
    shipping: tax(shipping?.amount ?? 0),
  };
  return { text: JSON.stringify(answer) };
}

function assertAddsUp(quote: Quote): void {
  const lines = quote.lines.reduce((sum, line) => sum + line.total, 0);
  assert.equal(quote.total, lines + (quote.shipping?.total ?? 0));
  assert.equal(quote.total, quote.subtotal - quote.discount + quote.shippingPrice + quote.taxAdded);
  assert.equal(
    quote.taxes.reduce((sum, { amount }) => sum + amount, 0),
    quote.taxAdded + quote.taxIncluded,
  );
}

test('a provider that answers says the taxes, line by line and on the shipping, and the quote names it', async () => {
  const service = await openService(taxes);
  const provider = httpTaxProvider({ url: service.url, name: 'acme' });
  const quote = await finalPricing({ pricing, book: () => book, taxProvider: provider })(request);
  assert.deepEqual(quote.taxSource, { provider: 'acme' });
  assert.deepEqual(
    quote.lines.map(({ tax }) => tax),
    [200, 10],
  );
  assert.deepEqual([quote.shipping?.tax, quote.taxAdded, quote.total], [49, 259, 2_100 + 499 + 259]);
  assert.deepEqual(quote.taxes, [{ name: 'City', ratePpm: 100_000, base: 2_599, amount: 259, included: false }]);
  assertAddsUp(quote);
  assert.deepEqual((service.asked[0] as TaxQuestion).lines[0], {
    id: 'lin_1',
    sku: 'MUG',
    taxCategory: 'standard',
    quantity: 2,
    amount: 2_000,
  });
});

test('the id of an exemption is opened for the provider alone, which is told only where it holds; the quote keeps it sealed', async () => {
  const service = await openService((body) => taxes(body, 0));
  const taxProvider = httpTaxProvider({ url: service.url });
  const id = { subject: 'cart_1', sealed: 'c2VhbGVk' };
  const opened: unknown[] = [];
  let clear: string | null = 'TX-1';
  const openText = async (text: SealedText) => {
    opened.push(text);
    return clear;
  };
  const final = finalPricing({ pricing, book: () => book, taxProvider, openText });
  const asked = async (exemption: TaxExemption) => {
    const quote = await final({ ...request, exemption });
    return [quote.exemption, (service.asked.at(-1) as TaxQuestion).exemption];
  };
  const here = { kind: 'exempt', id, countries: ['US', 'CA'] } as const;
  assert.deepEqual(await asked(here), [here, { ...here, id: 'TX-1' }]);
  assert.deepEqual(opened, [id]);
  const elsewhere = { kind: 'exempt', id, countries: ['CA'] } as const;
  assert.deepEqual(await asked(elsewhere), [undefined, null]);
  clear = null;
  const erased = { kind: 'reverse_charge', id } as const;
  assert.deepEqual(await asked(erased), [erased, { ...erased, id: null }], 'where no rate of the book is spared too');
  const alone = finalPricing({ pricing, book: () => book, openText });
  assert.deepEqual((await alone({ ...request, exemption: here })).exemption, here);
  assert.equal(opened.length, 2, 'without a provider nobody is shown it');
});

test('the same is asked once: the price that the buyer was shown is the one that is charged', async () => {
  const service = await openService(taxes);
  const final = finalPricing({ pricing, book: () => book, taxProvider: httpTaxProvider({ url: service.url }) });
  const shown = await final(request);
  service.answer = (body) => taxes(body, 200_000);
  const { lines, currency, ...rest } = request;
  const charged = await final({ ...rest, at: 2, currency, lines: structuredClone(lines) });
  assert.equal(charged, shown);
  assert.equal(service.asked.length, 1);
  assert.notEqual((await final({ ...request, coupons: ['X'] })).total, shown.total);
});

test('where the provider is slow, the book’s taxes stand and the quote says why', async () => {
  const service = await openService(() => null);
  const provider = httpTaxProvider({ url: service.url, timeoutMs: 60 });
  const quote = await finalPricing({ pricing, book: () => book, taxProvider: provider })(request);
  assert.deepEqual(quote, { ...table, taxSource: { provider: 'table', fallback: 'timeout' } });
});

test('where the provider is down or says 500, the book’s taxes stand, and after five failures it is left alone', async () => {
  const service = await openService(() => ({ status: 500, text: '{}' }));
  const provider = httpTaxProvider({ url: service.url });
  const final = finalPricing({ pricing, book: () => book, taxProvider: provider });
  for (let i = 0; i < 8; i++) {
    const quote = await final({ ...request, lines: [{ id: 'lin_1', sku: 'MUG', quantity: i + 1 }] });
    assert.deepEqual(quote.taxSource, { provider: 'table', fallback: 'unavailable' });
    assertAddsUp(quote);
  }
  assert.equal(service.asked.length, 5);
  await service.close();
  const gone = httpTaxProvider({ url: service.url });
  const quote = await finalPricing({ pricing, book: () => book, taxProvider: gone })(request);
  assert.deepEqual(quote, { ...table, taxSource: { provider: 'table', fallback: 'unavailable' } });
});

test('a page of an error is no answer: where the provider says 502 in HTML it is unavailable', async () => {
  const service = await openService(() => ({ status: 502, text: '<html>Bad Gateway</html>' }));
  const quote = await finalPricing({ pricing, book: () => book, taxProvider: httpTaxProvider({ url: service.url }) })(
    request,
  );
  assert.deepEqual(quote, { ...table, taxSource: { provider: 'table', fallback: 'unavailable' } });
});

test('a provider that rested is asked again', async () => {
  const service = await openService(() => ({ status: 503, text: '{}' }));
  const provider = httpTaxProvider({ url: service.url, restMs: 1 });
  const final = finalPricing({ pricing, book: () => book, taxProvider: provider });
  const ask = (quantity: number) => final({ ...request, lines: [{ id: 'lin_1', sku: 'MUG', quantity }] });
  for (let i = 1; i <= 6; i++) await ask(i);
  service.answer = taxes;
  let quote = await ask(100);
  for (let quantity = 101; quote.taxSource?.provider === 'table'; quantity++) quote = await ask(quantity);
  assert.deepEqual(quote.taxSource, { provider: 'http' });
});

test('an answer that cannot be is not believed', async () => {
  const lines = (of: unknown) =>
    JSON.stringify({
      lines: [
        { id: 'lin_1', taxes: of },
        { id: 'lin_2', taxes: [] },
      ],
      shipping: [],
    });
  const one = { name: 'T', ratePpm: 1, base: 2_000, amount: 1, included: false };
  const wrong = [
    'no JSON at all',
    '',
    `{"lines":[]${' '.repeat(300_000)}`,
    '[]',
    '{"lines":[]}',
    JSON.stringify({
      lines: [
        { id: 'lin_1', taxes: [] },
        { id: 'lin_1', taxes: [] },
      ],
      shipping: [],
    }),
    lines([{ ...one, amount: -1 }]),
    lines([{ ...one, amount: 0.5 }]),
    lines([{ ...one, amount: 1e15 }]),
    lines([{ ...one, amount: 2_001, included: true }]),
    lines([{ ...one, ratePpm: 'much' }]),
    lines([{ ...one, name: '' }]),
  ];
  for (const text of wrong) {
    const service = await openService(() => ({ text }));
    const provider = httpTaxProvider({ url: service.url });
    const quote = await finalPricing({ pricing, book: () => book, taxProvider: provider })(request);
    assert.deepEqual(quote, { ...table, taxSource: { provider: 'table', fallback: 'invalid' } }, text.slice(0, 80));
    await service.close();
  }
});

test('a carrier that answers says what the shipping costs, and is told the weight of what is shipped', async () => {
  const service = await openService(() => ({ text: '{"prices":{"post":731,"other":1}}' }));
  const quote = await finalPricing({ pricing, book: () => book, carrierRates: httpCarrierRates({ url: service.url }) })(
    request,
  );
  assert.deepEqual(quote.shipping, { method: 'post', price: 731, tax: 0, taxIncluded: 0, total: 731, byCarrier: true });
  assertAddsUp(quote);
  assert.deepEqual(service.asked, [
    {
      currency: 'USD',
      destination: request.destination,
      weightGrams: 800,
      items: 2,
      services: [{ method: 'post', service: 'ground' }],
    },
  ]);
});

test('where the carrier is slow, down or wrong, the table’s price stands', async () => {
  const service = await openService(() => null);
  const slow = httpCarrierRates({ url: service.url, timeoutMs: 60 });
  assert.deepEqual(await finalPricing({ pricing, book: () => book, carrierRates: slow })(request), table);
  for (const text of [
    'no JSON',
    '{"prices":{"post":-1}}',
    '{"prices":[]}',
    '{"prices":{"post":"7"}}',
    '{"prices":{}}',
  ]) {
    service.answer = () => ({ text });
    const wrong = httpCarrierRates({ url: service.url });
    assert.deepEqual(await finalPricing({ pricing, book: () => book, carrierRates: wrong })(request), table, text);
  }
  await service.close();
  const gone = httpCarrierRates({ url: service.url });
  assert.deepEqual(await finalPricing({ pricing, book: () => book, carrierRates: gone })(request), table);
});

test('a carrier that answers what is no JSON, or no price, has answered, and wrongly', async () => {
  const service = await openService(() => null);
  const services = [{ method: 'post', service: 'ground' }];
  const question = { currency: 'USD', destination: { country: 'US' }, weightGrams: 1, items: 1, services };
  for (const text of ['no JSON', '', '{"prices":{"post":-1}}', '{"prices":[]}', '{"prices":{"post":"7"}}']) {
    service.answer = () => ({ text });
    const asked = await httpCarrierRates({ url: service.url }).ask(question);
    assert.deepEqual(asked, { ok: false, because: 'invalid' }, text);
  }
  service.answer = () => ({ status: 503, text: 'busy' });
  const asked = await httpCarrierRates({ url: service.url }).ask(question);
  assert.deepEqual(asked, { ok: false, because: 'unavailable' });
});

test('without outside services the pool’s own answer is given at once', () => {
  assert.deepEqual(finalPricing({ pricing, book: () => book })(request), table);
});
