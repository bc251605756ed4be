/**
 * The commercial rules as an operator's client meets them, against a real shop: each kind is created, read, changed, taken out, carried
 * from one file to the next; what cannot be is refused with its place and changes nothing.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { assertOrderAnswer, assertPage, assertProblem, assertTime } from './bench/contract.ts';
import { type Answer, ShopProcess } from './bench/shop-process.ts';
import { cartOf, checkout } from './bench/shopper.ts';

type Json = Answer['body'];

let shop: ShopProcess;
let outside: Server;
before(async () => {
  outside = createServer(answerOutside).listen(0, '127.0.0.1');
  await once(outside, 'listening');
  const url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
  const env = { RATE_LIMITS: 'off', TAX_PROVIDER_URL: `${url}/taxes`, CARRIER_RATES_URL: `${url}/rates` };
  shop = await ShopProcess.start({ env });
});
after(async () => {
  await shop?.stop();
  await shop?.cleanUp();
  outside?.close();
});

/** A tax provider that wants a tenth of everything, and a carrier to whom all parcels are alike. */
async function answerOutside(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const question = JSON.parse(Buffer.concat(await request.toArray()).toString());
  const tenth = (base: number) => [
    { name: 'Tenth', ratePpm: 100_000, base, amount: Math.floor(base / 10), included: false },
  ];
  const answer =
    request.url === '/taxes'
      ? {
          lines: question.lines.map(({ id, amount }: Json) => ({ id, taxes: tenth(amount) })),
          shipping: question.shipping === null ? [] : tenth(question.shipping.amount),
        }
      : { prices: Object.fromEntries(question.services.map(({ method }: Json) => [method, 4321])) };
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
}

const ADMIN = '/v1/admin';
const NDJSON = { 'content-type': 'application/x-ndjson' };
const SKU = 'KIT-SCALE';
const FROM = '2030-11-27T08:00:00.000Z';
const UNTIL = '2030-11-30T08:00:00.000Z';

/** A document of each kind, a change of it, and what of that is wrong. */
const KINDS: readonly {
  readonly segment: string;
  readonly id: string;
  readonly body: Json;
  readonly change: Json;
  readonly wrong: readonly (readonly [Json, string])[];
}[] = [
  {
    segment: 'zones',
    id: 'travis-county',
    body: { name: 'Travis County', parts: [{ country: 'US', regions: ['TX'], postalPrefixes: ['733', '787'] }] },
    change: { name: 'Travis' },
    wrong: [
      [{ parts: [] }, '/parts'],
      [{ parts: [{ country: 'usa' }] }, '/parts/0/country'],
      [{ parts: [{ country: 'US', postalPrefixes: ['7 3'] }] }, '/parts/0/postalPrefixes/0'],
    ],
  },
  {
    segment: 'tax-rates',
    id: 'us-tx-travis',
    body: { name: 'Travis', zone: 'travis-county', categories: ['standard'], ratePpm: 10_000, included: false },
    change: { ratePpm: 20_000, validity: { from: FROM } },
    wrong: [
      [{ ratePpm: 1_000_001 }, '/ratePpm'],
      [{ ratePpm: -1 }, '/ratePpm'],
      [{ zone: 'atlantis' }, '/zone'],
      [{ validity: { from: UNTIL, until: FROM } }, '/validity/until'],
    ],
  },
  {
    segment: 'shipping-methods',
    id: 'bike',
    body: {
      name: 'Bicycle',
      taxCategory: 'shipping',
      place: 7,
      zones: [{ countries: null, zone: 'travis-county', prices: { USD: 300 }, freeFrom: { USD: 5_000 } }],
      delivery: { minDays: 0, maxDays: 1 },
    },
    change: { place: 8, delivery: null },
    wrong: [
      [{ delivery: { minDays: 2, maxDays: 1 } }, '/delivery/maxDays'],
      [{ zones: [] }, '/zones'],
      [{ place: -1 }, '/place'],
      [{ channels: ['nowhere'] }, '/channels/0'],
    ],
  },
  {
    segment: 'price-lists',
    id: 'trade-2030',
    body: {
      name: 'Trade',
      currency: 'USD',
      priority: 10,
      validity: { from: FROM, until: UNTIL },
      entries: { [SKU]: { amount: 3000, tiers: [{ from: 10, amount: 2700 }], changes: [{ at: UNTIL, amount: 2900 }] } },
    },
    change: { name: 'For the trade', entries: { [SKU]: { amount: 2800 }, 'COF-YIRGA-250': { amount: 1500 } } },
    wrong: [
      [{ currency: 'CHF' }, '/currency'],
      [{ currency: 'XXXX' }, '/currency'],
      [{ entries: { 'NO-SUCH-SKU': { amount: 1 } } }, '/entries/NO-SUCH-SKU'],
      [{ entries: { [SKU]: { amount: -1 } } }, `/entries/${SKU}/amount`],
      [
        {
          entries: {
            [SKU]: {
              amount: 1,
              tiers: [
                { from: 3, amount: 1 },
                { from: 2, amount: 1 },
              ],
            },
          },
        },
        `/entries/${SKU}/tiers/1/from`,
      ],
      [{ customerGroups: ['nobody'] }, '/customerGroups/0'],
    ],
  },
  {
    segment: 'promotions',
    id: 'scales-off',
    body: {
      label: 'Scales for less',
      trigger: 'coupon',
      conditions: { goods: [{ items: { skus: [SKU] }, quantity: { min: 2 } }], zones: ['travis-county'] },
      action: { kind: 'percent', items: { skus: [SKU] }, ratePpm: 100_000 },
      priority: 5,
    },
    change: { active: false, conditions: null },
    wrong: [
      [{ action: { kind: 'percent', items: {}, ratePpm: -5 } }, '/action/ratePpm'],
      [{ action: { kind: 'percent', items: { skus: ['NO-SUCH-SKU'] }, ratePpm: 5 } }, '/action/items/skus/0'],
      [{ action: { kind: 'gift', sku: 'NO-SUCH-SKU' } }, '/action/sku'],
      [
        {
          action: { kind: 'gift', sku: SKU },
          conditions: { goods: [{ items: { skus: [SKU] }, quantity: { min: 1 } }] },
        },
        '/action/sku',
      ],
      [{ conditions: { zones: ['atlantis'] } }, '/conditions/zones/0'],
      [{ validity: { from: 'tomorrow' } }, '/validity/from'],
    ],
  },
  {
    segment: 'promotion-groups',
    id: 'one-of-two',
    body: { promotions: ['scales-off', 'second'], choose: 'best' },
    change: { choose: 'first' },
    wrong: [
      [{ promotions: ['scales-off'] }, '/promotions'],
      [{ promotions: ['scales-off', 'none'] }, '/promotions/1'],
    ],
  },
  {
    segment: 'coupons',
    id: 'SCALES-2030',
    body: { label: 'Scales', kind: 'promotion', promotion: 'scales-off', limits: { total: 100, perCustomer: 1 } },
    change: { label: 'Scales for you' },
    wrong: [
      [{ promotion: 'none' }, '/promotion'],
      [{ kind: 'percent', ratePpm: 5 }, '/promotion'],
      [{ limits: { total: 0 } }, '/limits/total'],
    ],
  },
];

const nameOf = (segment: string) => (segment === 'coupons' ? 'code' : 'id');

test('each kind is created, read, listed, changed and taken out, each once under its key and guarded by its version', async () => {
  const second = { ...KINDS[4]?.body, trigger: 'automatic' };
  for (const { segment, id, body, change, wrong } of KINDS) {
    if (segment === 'promotion-groups')
      assert.equal((await shop.admin('PUT', `${ADMIN}/promotions/second`, { body: second })).status, 201);
    const path = `${ADMIN}/${segment}/${id}`;
    assertProblem(await shop.admin('GET', path), 404, 'not_found', segment);
    assertProblem(await shop.admin('DELETE', path), 404, 'not_found', segment);
    assertProblem(await shop.admin('PATCH', path, { body: change }), 404, 'not_found', segment);
    const key = randomUUID();
    const created = await shop.admin('PUT', path, { key, body });
    assert.equal(created.status, 201, created.text);
    const { version, updatedAt, ...document } = created.body;
    assert.deepEqual(document, { [nameOf(segment)]: id, ...body });
    assertTime(updatedAt, segment);
    assert.equal(created.headers.etag, `"${version}"`);
    assert.equal(created.headers.location, path);
    const again = await shop.admin('PUT', path, { key, body });
    assert.deepEqual([again.status, again.text, again.headers['idempotency-replayed']], [201, created.text, 'true']);
    assertProblem(
      await shop.admin('PUT', path, { key, body: { ...body, ...change, entries: {} } }),
      segment === 'price-lists' ? 422 : 400,
      segment === 'price-lists' ? 'idempotency_key_reused' : 'invalid_request',
    );
    const read = await shop.admin('GET', path);
    assert.deepEqual([read.body, read.headers.etag], [created.body, created.headers.etag]);
    const listed = assertPage(await shop.admin('GET', `${ADMIN}/${segment}?q=${id}`));
    assert.deepEqual(
      listed.map((item) => [item[nameOf(segment)], item.version]),
      [[id, version]],
    );

    for (const [part, place] of wrong) {
      const refused = await shop.admin('PUT', path, { body: { ...body, ...part } });
      assertProblem(refused, 400, 'invalid_request', `${segment} ${JSON.stringify(part)}`);
      assert.ok(
        refused.body.errors.some((error: Json) => error.path === place),
        `${refused.text} for ${place}`,
      );
    }
    for (const strange of [{ colour: 'red' }, { validity: { from: 5 } }, { [nameOf(segment)]: 'x' }])
      assertProblem(await shop.admin('PUT', path, { body: { ...body, ...strange } }), 400, 'invalid_request', segment);
    assert.deepEqual((await shop.admin('GET', path)).body, created.body, 'refused calls change nothing');

    const changed = await shop.admin('PATCH', path, { body: change, headers: { 'if-match': `"${version}"` } });
    assert.equal(changed.status, 200, changed.text);
    const { entries = {}, ...fields } = change;
    for (const [name, value] of Object.entries(fields))
      assert.deepEqual(changed.body[name], value === null ? undefined : value, `${segment} ${name}`);
    for (const [sku, entry] of Object.entries(entries)) assert.deepEqual(changed.body.entries[sku], entry);
    assert.ok(changed.body.version > version);
    for (const method of ['PUT', 'PATCH', 'DELETE'])
      assertProblem(
        await shop.admin(method, path, {
          headers: { 'if-match': `"${version}"` },
          ...(method === 'DELETE' ? {} : { body: method === 'PUT' ? body : change }),
        }),
        412,
        'version_mismatch',
        segment,
      );
  }
  const order = [...KINDS].reverse().flatMap(({ segment, id }) =>
    segment === 'promotions'
      ? [
          { segment, id },
          { segment, id: 'second' },
        ]
      : [{ segment, id }],
  );
  for (const { segment, id } of order) {
    const path = `${ADMIN}/${segment}/${id}`;
    const key = randomUUID();
    const { headers } = await shop.admin('GET', path);
    const ifMatch = { 'if-match': String(headers.etag) };
    assert.equal((await shop.admin('DELETE', path, { key, headers: ifMatch })).status, 204, segment);
    const again = await shop.admin('DELETE', path, { key, headers: ifMatch });
    assert.deepEqual([again.status, again.headers['idempotency-replayed']], [204, 'true']);
    assertProblem(await shop.admin('GET', path), 404, 'not_found', segment);
  }
});

test('a document that others name is not taken out, and the answer names them', async () => {
  const put = (path: string, body: Json) => shop.admin('PUT', `${ADMIN}/${path}`, { body });
  const [zones, rates] = [KINDS[0], KINDS[1]];
  assert.equal((await put(`zones/${zones?.id}`, zones?.body)).status, 201);
  assert.equal((await put(`tax-rates/${rates?.id}`, rates?.body)).status, 201);
  for (const [path, named] of [
    [`zones/${zones?.id}`, rates?.id],
    ['shipping-methods/standard', 'defaultShipping'],
  ]) {
    const refused = await shop.admin('DELETE', `${ADMIN}/${path}`);
    assertProblem(refused, 400, 'invalid_request', path);
    assert.ok(refused.body.errors[0].message.includes(named), refused.text);
  }
  const store = await shop.admin('GET', `${ADMIN}/store`);
  const without = await shop.admin('PATCH', `${ADMIN}/store`, { body: { currencies: ['EUR'] } });
  assertProblem(without, 400, 'invalid_request');
  assert.ok(
    without.body.errors.some(({ path }: Json) => path === '/defaultCurrency'),
    without.text,
  );
  assert.deepEqual((await shop.admin('GET', `${ADMIN}/store`)).body, store.body);
  const groups = await shop.admin('PATCH', `${ADMIN}/store`, {
    body: { customerGroups: ['press', 'trade'] },
    headers: { 'if-match': String(store.headers.etag) },
  });
  assert.deepEqual([groups.status, groups.body.customerGroups], [200, ['press', 'trade']], groups.text);
  assertProblem(
    await shop.admin('PATCH', `${ADMIN}/store`, {
      body: { customerGroups: ['trade'] },
      headers: { 'if-match': String(store.headers.etag) },
    }),
    412,
    'version_mismatch',
  );
  const { version: _v, updatedAt: _u, ...whole } = groups.body;
  const back = await put('store', { ...whole, customerGroups: ['trade'] });
  assert.deepEqual([back.status, back.body.customerGroups], [200, ['trade']]);
});

test('what an export writes an import reads again, all or none, with the line of what is wrong', async () => {
  for (const segment of ['zones', 'tax-rates', 'shipping-methods', 'price-lists', 'promotions', 'coupons']) {
    const file = await shop.admin('GET', `${ADMIN}/${segment}/export`);
    assert.equal(file.headers['content-type'], 'application/x-ndjson');
    const lines = file.text.trimEnd().split('\n');
    const load = (body: string, key?: string) =>
      shop.admin('POST', `${ADMIN}/${segment}/import`, {
        body,
        headers: NDJSON,
        ...(key === undefined ? {} : { key }),
      });
    const key = randomUUID();
    const loaded = await load(file.text, key);
    assert.deepEqual([loaded.status, loaded.body], [200, { imported: lines.length }], loaded.text);
    assert.equal((await load(file.text, key)).headers['idempotency-replayed'], 'true');
    assert.equal((await shop.admin('GET', `${ADMIN}/${segment}/export`)).text, file.text);
    const [first = ''] = lines;
    const broken = JSON.stringify({ ...JSON.parse(first), colour: 'red' });
    for (const [body, place] of [
      [`${first}\n\n${first}\n`, `/lines/3/${nameOf(segment)}`],
      [`${broken}\n`, '/lines/1/colour'],
      [`${first}\n{`, '/lines/2'],
      [`{"name":"no id"}\n`, `/lines/1/${nameOf(segment)}`],
      ['', ''],
    ] as const) {
      const refused = await load(body);
      assertProblem(refused, 400, 'invalid_request', body);
      assert.equal(refused.body.errors[0].path, place, refused.text);
    }
    assert.equal((await shop.admin('GET', `${ADMIN}/${segment}/export`)).text, file.text);
  }
});

test('prices are carried as a table, and an error names its row', async () => {
  const csv = { 'content-type': 'text/csv' };
  const load = (body: string) => shop.admin('POST', `${ADMIN}/price-lists/import`, { body, headers: csv });
  const head = 'list,sku,currency,price,minQuantity,compareAtPrice\n';
  const table = `${head}wholesale,${SKU},USD,3000,,3900\nwholesale,${SKU},USD,2500,50,\nwholesale,${SKU},USD,2700,10,\nwholesale,COF-YIRGA-250,USD,1500,,\n`;
  const loaded = await load(table);
  assert.deepEqual([loaded.status, loaded.body], [200, { imported: 1 }], loaded.text);
  const list = await shop.admin('GET', `${ADMIN}/price-lists/wholesale`);
  const tiers = [
    { from: 10, amount: 2700 },
    { from: 50, amount: 2500 },
  ];
  assert.deepEqual(list.body.entries, {
    [SKU]: { amount: 3000, compareAt: 3900, tiers },
    'COF-YIRGA-250': { amount: 1500 },
  });
  assert.deepEqual([list.body.name, list.body.currency], ['wholesale', 'USD']);
  const file = await shop.admin('GET', `${ADMIN}/price-lists/export?format=csv`);
  assert.match(String(file.headers['content-type']), /^text\/csv/);
  assert.ok(file.text.includes(`wholesale,${SKU},USD,2700,10,\n`), file.text);
  assert.equal((await load(file.text)).status, 200);
  assert.equal((await shop.admin('GET', `${ADMIN}/price-lists/export?format=csv`)).text, file.text);
  assert.equal((await load(`${head}wholesale,COF-YIRGA-250,USD,1400,,\n`)).status, 200);
  const { body } = await shop.admin('GET', `${ADMIN}/price-lists/wholesale`);
  assert.deepEqual(body.entries, { 'COF-YIRGA-250': { amount: 1400 } });
  for (const [rows, place] of [
    [`wholesale,${SKU},USD,x,,\n`, '/lines/2/price'],
    [`wholesale,${SKU},USD,5,,4\n`, '/lines/2/compareAtPrice'],
    [`wholesale,COF-YIRGA-250,USD,5,,\nwholesale,NO-SUCH-SKU,USD,5,,\n`, '/lines/3/sku'],
    [`wholesale,${SKU},USD,5,,\nwholesale,${SKU},USD,4,2,\nwholesale,${SKU},USD,3,2,\n`, '/lines/4/minQuantity'],
    [`wholesale,${SKU},USD,5,,\nwholesale,${SKU},USD,6,,\n`, '/lines/3/sku'],
    [`wholesale,${SKU},USD,5,2,\n`, '/lines/2/minQuantity'],
    [`wholesale,${SKU},USD,5,,\nwholesale,COF-YIRGA-250,EUR,6,,\n`, '/lines/3/currency'],
    [`wholesale,${SKU},CHF,5,,\n`, '/lines/2/currency'],
    [`Whole Sale,${SKU},USD,5,,\n`, '/lines/2/list'],
  ] as const) {
    const refused = await load(head + rows);
    assertProblem(refused, 400, 'invalid_request', rows);
    assert.equal(refused.body.errors[0].path, place, refused.text);
  }
  assertProblem(await load(`list,sku,colour\nwholesale,${SKU},red\n`), 400, 'invalid_request');
  assert.deepEqual((await shop.admin('GET', `${ADMIN}/price-lists/wholesale`)).body, body);
  assert.equal((await shop.admin('DELETE', `${ADMIN}/price-lists/wholesale`)).status, 204);
});

test('a rate goes from a region to a zone and back by its changes', async () => {
  const path = `${ADMIN}/tax-rates/moving`;
  const rate = { name: 'M', country: 'US', region: null, categories: ['standard'], ratePpm: 1, included: false };
  assert.equal((await shop.admin('PUT', path, { body: rate })).status, 201);
  const toZone = await shop.admin('PATCH', path, { body: { zone: 'canada-gst', country: null } });
  assert.deepEqual([toZone.status, toZone.body.zone, 'region' in toZone.body], [200, 'canada-gst', false], toZone.text);
  const back = await shop.admin('PATCH', path, { body: { zone: null, country: 'US', region: null } });
  assert.deepEqual([back.status, back.body.country, back.body.region], [200, 'US', null], back.text);
  assert.equal((await shop.admin('DELETE', path)).status, 204);
});

test('lists come by page and filter, and a cursor belongs to its list', async () => {
  const path = `${ADMIN}/tax-rates`;
  const whole = assertPage(await shop.admin('GET', `${path}?limit=100`)).map(({ id }) => id);
  for (const sort of ['id', '-id']) {
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Answer = await shop.admin('GET', `${path}?limit=5&sort=${sort}${cursor && `&cursor=${cursor}`}`);
      seen.push(...assertPage(page).map(({ id }) => id));
      cursor = page.body.nextCursor;
    }
    assert.deepEqual(sort === 'id' ? seen : seen.reverse(), whole);
  }
  const german = assertPage(await shop.admin('GET', `${path}?country=DE`));
  assert.ok(german.length >= 2 && german.every(({ country }) => country === 'DE'));
  const { body } = await shop.admin('GET', `${path}?limit=2`);
  assertProblem(await shop.admin('GET', `${path}?limit=2&country=DE&cursor=${body.nextCursor}`), 400, 'cursor_invalid');
  assertProblem(await shop.admin('GET', `${ADMIN}/zones?limit=2&cursor=${body.nextCursor}`), 400, 'cursor_invalid');
  for (const query of ['limit=0', 'limit=101', 'sort=x', 'colour=red'])
    assertProblem(await shop.admin('GET', `${path}?${query}`), 400, 'invalid_request', query);
});

test('a cart that is asked about is priced and explained by the stored rules, and by a draft that is not stored', async () => {
  const ask = (body: Json) => shop.admin('POST', `${ADMIN}/pricing/validate`, { body });
  const cart = {
    currency: 'USD',
    lines: [
      { sku: 'BOK-MAPS', quantity: 2 },
      { sku: 'BOK-TIDES', quantity: 1 },
    ],
    destination: { country: 'US', region: 'NY', postalCode: '10001' },
    coupons: ['welcome10'],
  };
  const answer = await ask(cart);
  assert.equal(answer.status, 200, answer.text);
  const { quote, explanation, at } = answer.body;
  assertTime(at, 'at');
  assert.deepEqual(quote.totals.discount, { amount: 1790 + 698, currency: 'USD' });
  assert.deepEqual(
    quote.lines.map(({ discounts }: Json) => discounts.map(({ promotion }: Json) => promotion)),
    [['coupon:WELCOME10'], ['books-3-for-2']],
  );
  const reason = (list: Json[], name: string, of: string) => list.find((one) => one[name] === of)?.because;
  assert.equal(reason(explanation.promotions, 'promotion', 'books-3-for-2'), 'applied');
  assert.equal(reason(explanation.promotions, 'promotion', 'coffee-club'), 'no_coupon');
  assert.equal(reason(explanation.taxes, 'rate', 'us-ny-city'), 'applies');
  assert.equal(reason(explanation.taxes, 'rate', 'us-ny-nassau'), 'destination');
  assert.equal(reason(explanation.shipping, 'method', 'standard'), 'chosen');

  const promotion = {
    id: 'half-off',
    label: 'Half off',
    trigger: 'automatic',
    validity: { from: FROM, until: UNTIL },
    action: { kind: 'percent', items: { skus: ['BOK-MAPS'] }, ratePpm: 500_000 },
    priority: 1,
    last: true,
  };
  const then = await ask({ ...cart, at: FROM, draft: { promotion } });
  assert.equal(then.status, 200, then.text);
  assert.deepEqual(then.body.quote.totals.discount, { amount: 3490, currency: 'USD' });
  assert.equal(then.body.quote.changesAt, UNTIL);
  assert.equal(reason(then.body.explanation.promotions, 'promotion', 'books-3-for-2'), 'after_last');
  const before = await ask({ ...cart, draft: { promotion } });
  assert.equal(reason(before.body.explanation.promotions, 'promotion', 'half-off'), 'not_valid_now');
  assertProblem(await shop.admin('GET', `${ADMIN}/promotions/half-off`), 404, 'not_found', 'a draft is not stored');
  assert.deepEqual((await ask({ ...cart, at })).body, answer.body);

  const action = { kind: 'percent', items: {}, ratePpm: 1_000_001 };
  for (const [body, place] of [
    [{ ...cart, draft: { promotion: { ...promotion, action } } }, '/draft/promotion/action/ratePpm'],
    [
      {
        ...cart,
        draft: { taxRate: { id: 'x', name: 'X', zone: 'none', categories: ['standard'], ratePpm: 1, included: true } },
      },
      '/draft/taxRate/zone',
    ],
    [{ ...cart, currency: 'CHF' }, '/currency'],
    [{ ...cart, customerGroup: 'nobody' }, '/customerGroup'],
    [{ ...cart, lines: [] }, '/lines'],
    [{ ...cart, lines: [{ sku: 'X', quantity: 1000 }] }, '/lines/0/quantity'],
    [{ ...cart, at: 'now' }, '/at'],
    [{ ...cart, colour: 'red' }, '/colour'],
  ] as const) {
    const refused = await ask(body);
    assertProblem(refused, 400, 'invalid_request', place);
    assert.ok(
      refused.body.errors.some((error: Json) => error.path === place),
      `${refused.text} for ${place}`,
    );
  }
  const gone = await ask({ lines: [{ sku: 'NO-SUCH-SKU', quantity: 1 }] });
  assert.deepEqual(
    [gone.body.quote.blocked, gone.body.explanation.lines[0].because],
    ['price_unavailable', 'sku_gone'],
  );
});

test('a price list and a promotion that begin and end change a cart on time, without another call', async () => {
  // From the shop's own clock: what has begun a moment ago holds, what begins in an hour does not yet.
  const hours = (count: number) => new Date(Date.now() + count * 3_600_000).toISOString();
  const put = async (path: string, body: Json) => {
    const written = await shop.admin('PUT', `${ADMIN}/${path}`, { body });
    assert.ok(written.status === 200 || written.status === 201, written.text);
  };
  const list = (validity: Json) => ({
    name: 'Week',
    currency: 'USD',
    validity,
    entries: { 'DSK-CLOCK': { amount: 1234, compareAt: 9999 } },
  });
  const total = async (at?: string) => {
    const body = { lines: [{ sku: 'DSK-CLOCK', quantity: 1 }], ...(at === undefined ? {} : { at }) };
    return (await shop.admin('POST', `${ADMIN}/pricing/validate`, { body })).body.quote.lines[0].unitPrice.amount;
  };
  const shown = async () => (await shop.request('GET', '/v1/products/DSK-CLOCK?currency=USD')).body;
  const usual = await total();
  await put('price-lists/week', list({ from: hours(1), until: hours(2) }));
  assert.deepEqual([await total(), await total(hours(1.5)), await total(hours(3))], [usual, 1234, usual]);
  assert.equal((await shown()).price.amount, usual);
  await put('price-lists/week', list({ from: hours(-1), until: hours(2) }));
  assert.deepEqual([await total(), await total(hours(3))], [1234, usual]);
  const cart = (await shop.request('POST', '/v1/carts', { body: { currency: 'USD' } })).body;
  const line = await shop.request('POST', `/v1/carts/${cart.cart.id}/lines`, {
    token: cart.token,
    body: { sku: 'DSK-CLOCK', quantity: 1 },
  });
  assert.equal(line.body.lines[0].unitPrice.amount, 1234, line.text);
  const product = await shown();
  assert.deepEqual([product.price.amount, product.compareAtPrice.amount], [1234, 9999]);
  await put('price-lists/week', list({ from: hours(-2), until: hours(-1) }));
  assert.equal(await total(), usual);
  const { body } = await shop.request('GET', `/v1/carts/${cart.cart.id}`, { token: cart.token });
  assert.equal(body.lines[0].unitPrice.amount, usual);
  assert.equal((await shown()).price.amount, usual);
  assert.equal((await shop.admin('DELETE', `${ADMIN}/price-lists/week`)).status, 204);
});

test('a product that only a price list has a price for is shown, listed and sold in that currency', async () => {
  const shown = await shop.request('GET', '/v1/products/TOY-CARDS?currency=KWD');
  assert.deepEqual(shown.body.price, { amount: 4950, currency: 'KWD' }, shown.text);
  assertProblem(await shop.request('GET', '/v1/products/DSK-CLOCK?currency=KWD'), 409, 'price_unavailable');
  const items = assertPage(await shop.request('GET', '/v1/products?currency=KWD&sort=price'));
  assert.deepEqual(
    items.map(({ sku, price }) => [sku, price.amount]),
    [
      ['TOY-CARDS', 4_950],
      ['COF-YIRGA-250', 5_500],
      ['OUT-FLASK-1', 9_900],
      ['DSK-PEN-BRASS', 11_750],
    ],
  );
  const cart = (await shop.request('POST', '/v1/carts', { body: { currency: 'KWD', destination: { country: 'KW' } } }))
    .body;
  const line = await shop.request('POST', `/v1/carts/${cart.cart.id}/lines`, {
    token: cart.token,
    body: { sku: 'TOY-CARDS', quantity: 4 },
  });
  assert.deepEqual([line.status, line.body.totals.total], [200, { amount: 21_500, currency: 'KWD' }], line.text);
});

test('weight and whether a product is digital are kept, imported and shown', async () => {
  const path = `${ADMIN}/products/HEAVY-1`;
  const product = { name: 'Anvil', category: 'Tools', prices: { USD: 9900 }, weightGrams: 25_000 };
  const created = await shop.admin('PUT', path, { body: product });
  assert.deepEqual(
    [created.status, created.body.weightGrams, created.body.digital],
    [201, 25_000, false],
    created.text,
  );
  const table =
    'sku,name,category,price.USD,compareAtPrice.USD,weightGrams,digital\nSONG-1,A Song,Music,99,149,,true\n';
  const loaded = await shop.admin('POST', `${ADMIN}/products/import`, {
    body: table,
    headers: { 'content-type': 'text/csv' },
  });
  assert.equal(loaded.status, 200, loaded.text);
  const song = (await shop.request('GET', '/v1/products/SONG-1')).body;
  assert.deepEqual([song.digital, song.compareAtPrice.amount, 'weightGrams' in song], [true, 149, false]);
  assert.equal((await shop.request('GET', '/v1/products/HEAVY-1')).body.weightGrams, 25_000);
  for (const wrong of [{ weightGrams: -1 }, { weightGrams: 1_000_001 }, { digital: 'yes' }])
    assertProblem(await shop.admin('PUT', path, { body: { ...product, ...wrong } }), 400, 'invalid_request');
  const cart = (await shop.request('POST', '/v1/carts', { body: { destination: { country: 'US', region: 'TX' } } }))
    .body;
  await shop.request('POST', `/v1/carts/${cart.cart.id}/lines`, {
    token: cart.token,
    body: { sku: 'HEAVY-1', quantity: 1 },
  });
  const methods = assertPage(
    await shop.request('GET', `/v1/carts/${cart.cart.id}/shipping-methods`, { token: cart.token }),
  );
  assert.deepEqual(
    methods.map(({ id, price, delivery }) => [id, price.amount, delivery]),
    [
      ['standard', 599, { minDays: 3, maxDays: 5 }],
      ['express', 3499, { minDays: 1, maxDays: 2 }],
      ['pickup', 0, { minDays: 0, maxDays: 0 }],
    ],
  );
});

test('at checkout the tax provider and the carrier are asked, and the order says who answered, also where they are gone', async () => {
  const method = `${ADMIN}/shipping-methods/express`;
  assert.equal((await shop.admin('PATCH', method, { body: { carrierService: 'air' } })).status, 200);
  const express = async () => {
    const cart = await cartOf(shop, 'DSK-PAD-WOOL');
    const body = { method: 'express' };
    const chosen = await shop.request('PUT', `/v1/carts/${cart.id}/shipping`, { token: cart.token, body });
    assert.equal(chosen.body.shipping.price.amount, 1499, chosen.text);
    cart.total = chosen.body.totals.total;
    return cart;
  };
  const cart = await express();
  const changed = await checkout(shop, cart);
  assertProblem(changed, 409, 'price_changed');
  const { totals, shipping } = changed.body.cart;
  assert.equal(shipping.price.amount, 4321, changed.text);
  const tenth = Math.floor(totals.subtotal.amount / 10) + 432;
  assert.equal(totals.taxAdded.amount, tenth);
  const order = assertOrderAnswer(await checkout(shop, cart, { total: totals.total }), 201);
  assert.deepEqual([order.totals.total, order.taxSource], [totals.total, { provider: 'http' }]);

  outside.closeAllConnections();
  await new Promise((resolve) => outside.close(resolve));
  const alone = assertOrderAnswer(await checkout(shop, await express()), 201);
  assert.deepEqual(alone.taxSource, { provider: 'table', fallback: 'unavailable' });
  assert.equal(alone.totals.shipping.amount, 1499);
});
