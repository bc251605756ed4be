/**
 * Hostile input on every call of the shop. What is called comes from the shop's own OpenAPI document, so a new route is attacked as soon
 * as it is declared (and fails here until there is an example of a good call). Promises that are checked: each bad call is
 * answered with a problem of the table, or its connection is closed by the guard; it changes nothing in the database; nothing is
 * an error to the shop; and it lives.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import pg from 'pg';
import { WebSocket } from 'ws';
import {
  type Attack,
  bodyOf,
  credentialOf,
  firstWords,
  frame,
  GOOD_HERE,
  isSku,
  NOTICE_SECRET,
  type Operation,
  operationsOf,
  PRODUCT,
  type Prey,
  pathOf,
  placesIn,
  schemaAt,
  strike,
  WORDS,
  WRONG_VALUES,
  without,
  withValue,
} from './bench/attack.ts';
import { malformedRequests } from './bench/attack-bytes.ts';
import { bodyMax } from './bench/attack-rules.ts';
import { assertOrderAnswer } from './bench/contract.ts';
import { type ScratchDatabase, scratchDatabase } from './bench/scratch-database.ts';
import { ADMIN_KEY, ShopProcess, until } from './bench/shop-process.ts';
import { addLine, type CartHandle, cartOf, checkout, inParallel, newCart } from './bench/shopper.ts';
import { RawClient } from './http/raw-client.ts';
import { startSandbox } from './payments/sandbox-server.ts';

/** Tables that no refused call may change: all but the members' heartbeat and the record of operators' calls. */
const TABLES = [
  'journal',
  'snapshot',
  'answer',
  'timer',
  'outbox',
  'orders',
  'stock',
  'subject_key',
  'book_version',
  'product',
  'rule',
];
const SKU = 'HOSTILE-1';

let shop: ShopProcess;
let database: ScratchDatabase;
let books: ScratchDatabase;
let sandbox: Awaited<ReturnType<typeof startSandbox>>;
let client: pg.Client;
let operations: readonly Operation[];
let prey: Prey;
let foreign: CartHandle;

before(async () => {
  database = await scratchDatabase(process.env.TEST_DATABASE_URL, 'stampede_hostile');
  books = await scratchDatabase(process.env.TEST_DATABASE_URL, 'stampede_hostile_books');
  sandbox = await startSandbox({ databaseUrl: books.url, host: '127.0.0.1', port: 0 });
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  shop = await ShopProcess.start({
    env: { DATABASE_URL: database.url, PAYMENT_SANDBOX_URL: sandbox.url, PAYMENT_WEBHOOK_SECRET: NOTICE_SECRET },
  });
  await client.query(
    `UPDATE stampede.rule SET doc = '{"defaultCurrency":"USD","currencies":["USD"],"defaultShipping":null}' WHERE kind = 'store'`,
  );
  operations = operationsOf((await shop.request('GET', '/openapi.json')).body);
  assert.equal((await shop.admin('PUT', `/v1/admin/products/${SKU}`, { body: PRODUCT })).status, 201);
  await shop.admin('POST', `/v1/admin/stock/${SKU}/adjustments`, { body: { delta: 100, reason: 'first' } });
  const bought = await cartOf(shop, SKU);
  const { id: orderId } = assertOrderAnswer(await checkout(shop, bought), 201);
  const cart = await cartOf(shop, SKU, 2);
  prey = { port: shop.port, sku: SKU, cart, orderId, orderToken: bought.token };
  foreign = await newCart(shop);
  await until('the shop is at rest', async () => {
    const { rows } = await client.query('SELECT state FROM stampede.outbox');
    return rows.length >= 2 && rows.every((row) => row.state === 'closed');
  });
});
after(async () => {
  await client?.end();
  await shop?.stop();
  await shop?.cleanUp();
  await sandbox?.close();
  await database?.drop();
  await books?.drop();
});

/** Everything that a shopper or an operator could have changed, as one checksum for each table. */
async function state(): Promise<Record<string, string>> {
  const parts = TABLES.map(
    (table) =>
      `SELECT '${table}' AS name, count(*) || ' ' || coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') AS sum FROM stampede.${table} t`,
  );
  const { rows } = await client.query(parts.join(' UNION ALL '));
  return Object.fromEntries(rows.map(({ name, sum }) => [name, sum]));
}

/** Attacks every operation; nothing may have changed after each. */
async function attackAll(attacksOn: (operation: Operation) => readonly Attack[], atLeast: number): Promise<void> {
  let count = 0;
  const untouched = await state();
  for (const operation of operations) {
    const attacks = attacksOn(operation);
    count += attacks.length;
    await inParallel(attacks.length, 16, (i) => strike(prey, attacks[i] as Attack));
    assert.deepEqual(await state(), untouched, `something of these changed the shop: ${operation.id}`);
  }
  assert.ok(count >= atLeast, `only ${count} attacks`);
}

test('paths: encodings that are none, traversal, prototypes, absurd lengths', async () => {
  await attackAll((operation) => {
    const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
    const attacks = names.flatMap((name) =>
      WORDS.filter((word) => operation.method !== 'PUT' || operation.access !== 'operator' || !isSku(word)).map(
        (word): Attack => ({
          what: `${name} ${word.slice(0, 40)}`,
          operation,
          target: pathOf(prey, operation, { [name]: word }),
        }),
      ),
    );
    const path = pathOf(prey, operation);
    return [
      ...attacks,
      { what: 'longer path', operation, target: `${path}/${'x'.repeat(2_500)}` },
      { what: 'path over the head', operation, target: `${path}/${'x'.repeat(9_000)}`, mayClose: true },
      { what: 'doubled slash', operation, target: `/${path}` },
      { what: 'dots', operation, target: `/v1/../${path.slice(1)}` },
      { what: 'absolute form', operation, target: `http://elsewhere.example${path}`, mayClose: true },
      { what: 'raw bytes', operation, target: `${path}\xff\x80`, mayClose: true },
    ];
  }, 500);
});

test('queries: unknown, repeated, malformed, too many', async () => {
  const queries = [
    'nothing=1',
    '__proto__=1',
    'constructor=1',
    '%00=1',
    'limit=%00',
    'limit=1&limit=2',
    'limit=1e2',
    'limit=99999999999999999999',
    'a=%ff',
    '%zz',
    'skus[]=1',
    'a=1&'.repeat(40),
    `cursor=${'x'.repeat(1_500)}`,
  ];
  await attackAll(
    (operation) =>
      queries.map((query) => ({ what: query.slice(0, 40), operation, target: `${pathOf(prey, operation)}?${query}` })),
    300,
  );
});

test('credentials: none, of another scheme, malformed, of somebody else', async () => {
  await attackAll((operation) => {
    if (operation.access === 'none') return [];
    const good = String(credentialOf(prey, operation));
    const credentials = [
      null,
      'Bearer',
      'Bearer  ',
      `Basic ${Buffer.from(`x:${good}`).toString('base64')}`,
      good,
      `Bearer ${good}x`,
      `Bearer ${good} ${good}`,
      `Bearer ${good.slice(1)}`,
      `Bearer ${good.toUpperCase()}!`,
      'Bearer null',
      'Bearer x',
      `Bearer ${'x'.repeat(1_000)}`,
      `Bearer ${foreign.token}`,
      `Bearer \xe9\xff`,
      operation.access === 'cart' ? `Bearer ${ADMIN_KEY}` : `Bearer ${prey.cart.token}`,
    ];
    const attacks = credentials.map(
      (authorization): Attack => ({ what: `${authorization}`, operation, authorization, statuses: [401, 404] }),
    );
    if (operation.access === 'cart')
      attacks.push({
        what: 'somebody else’s thing',
        operation,
        target: pathOf(prey, operation, {
          id: operation.path.startsWith('/v1/orders') ? `ord_${randomUUID()}` : foreign.id,
        }),
        statuses: [404],
      });
    return attacks;
  }, 300);
});

test('headers: twice, of no form, too long, smuggling', async () => {
  await attackAll((operation) => {
    const write = operation.keyed;
    const attack = (what: string, headers: readonly (readonly [string, string])[], more: object = {}): Attack => ({
      what,
      operation,
      headers,
      statuses: [400],
      ...more,
    });
    const keys = write ? ['', ' ', 'a b', '\xe9', 'x'.repeat(256), '"', '"\\x"'] : [];
    return [
      attack('If-Match twice', [
        ['If-Match', '"1"'],
        ['If-Match', '"2"'],
      ]),
      attack(
        'Authorization twice',
        [
          ['Authorization', 'Bearer a'],
          ['Authorization', 'Bearer b'],
        ],
        { statuses: [400, 401] },
      ),
      attack('Content-Type twice', [
        ['Content-Type', 'application/json'],
        ['Content-Type', 'text/csv'],
      ]),
      attack('Origin twice', [
        ['Origin', 'https://a.example'],
        ['Origin', 'https://b.example'],
      ]),
      ...['x', '"', '1', '"1", "2"', '"\xe9"', 'W/'].map((tag) => attack(`If-Match ${tag}`, [['If-Match', tag]])),
      ...keys.map((key) => attack(`key ${key.slice(0, 10)}`, [['Idempotency-Key', key]])),
      ...(write
        ? [
            attack('two keys', [
              ['Idempotency-Key', 'a'],
              ['Idempotency-Key', 'b'],
            ]),
          ]
        : []),
      attack('long headers', [['X-Long', 'x'.repeat(9_000)]], { mayClose: true }),
      attack(
        'many headers',
        Array.from({ length: 200 }, (_, i) => [`X-${i}`, '1'] as const),
        { mayClose: true },
      ),
      attack('Transfer-Encoding', [['Transfer-Encoding', 'chunked']], { mayClose: true }),
      attack(
        'two lengths',
        [
          ['Content-Length', '3'],
          ['Content-Length', '5'],
        ],
        { mayClose: true },
      ),
      attack('two hosts', [['Host', 'elsewhere']], { mayClose: true }),
    ];
  }, 400);
});

test('bodies: no JSON, wrong types, unknown and missing fields, NUL, half pairs, depth, size, other media', async () => {
  await attackAll((operation) => {
    const { schema } = operation;
    const body = bodyOf(prey, operation);
    const attack = (what: string, text: string | Buffer, more: object = {}): Attack => ({
      what,
      operation,
      body: text,
      // What is to be changed is not there.
      statuses: operation.method === 'PATCH' ? [400, 404] : [400],
      ...more,
    });
    if (operation.rawTypes.length > 0) return importAttacks(operation);
    if (schema === undefined) {
      const texts = ['{"a":1}', '[]', 'null', '{', '\xff', '{"__proto__":1}'];
      return texts.map((text) => attack(text, text));
    }
    const good = JSON.stringify(body);
    const places = placesIn(body);
    const broken = [
      '{',
      '{"a"',
      'nul',
      '[]',
      'null',
      '"x"',
      '1',
      '{}{}',
      `${good},`,
      `\ufeff${good}`,
      "{'a':1}",
      '{"a":NaN}',
    ];
    return [
      ...(operation.bodyRequired
        ? [attack('nothing', ''), { what: 'no body', operation, body: undefined, statuses: [400] }]
        : []),
      ...broken.map((text) => attack(text.slice(0, 20), text)),
      attack('no UTF-8', Buffer.concat([Buffer.from(good.slice(0, -1)), Buffer.from(',"x":"\xff"}', 'latin1')])),
      attack('UTF-16', Buffer.from(good, 'utf16le')),
      attack('deep lists', '['.repeat(5_000)),
      attack('a deep field', `{"a":${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}}`),
      attack('too large', good + ' '.repeat(bodyMax(operation.id)), { statuses: [413], mayClose: true }),
      ...[
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/json; charset=utf-16',
        '',
        null,
      ].map((type) => attack(`as ${type}`, good, { type, statuses: [415] })),
      ...['extra', '__proto__', 'constructor', 'toString', '', 'a/b~c', '\\u0000', '\\ud800'].map((name) =>
        attack(`with the field ${name}`, good.replace('{', `{"${name}":{"a":1},`)),
      ),
      ...places.flatMap((place) =>
        WRONG_VALUES.filter(([what]) => !isGood(operation, place, what)).map(([what, text]) =>
          attack(`${place.join('/')} is ${what}`, withValue(body, place, text)),
        ),
      ),
      ...places
        .filter((place) => schemaAt(schema, place.slice(0, -1))?.required?.includes(place.at(-1)))
        .map((place) => attack(`without ${place.join('/')}`, JSON.stringify(without(body, place)))),
    ];
  }, 700);
});

/** Null takes an optional field away, where a document is changed. */
function isGood({ method }: Operation, place: readonly string[], what: string): boolean {
  return GOOD_HERE.includes(`${place.at(-1)} ${what}`) || (method === 'PATCH' && place.length === 1 && what === 'null');
}

function importAttacks(operation: Operation): Attack[] {
  const line = (more: object) => JSON.stringify({ sku: 'IMPORTED', ...PRODUCT, ...more });
  const ndjson = [
    '{',
    'null',
    '[]',
    line({ prices: { USD: -1 } }),
    line({ sku: '../x' }),
    line({ extra: 1 }),
    `${line({})}\n\x00`,
    line({ name: '\ud800' }),
    line({ name: 'a\0' }),
    line({}).replace('{', '{"__proto__":{},'),
    '\xff\xfe',
  ];
  const csv = [
    'sku',
    'sku,name\nx',
    '"',
    'sku,sku\na,b',
    'sku,name,category,price.USD\nA-1,A,B,1e400',
    'sku,name,category,price.__proto__\nA-1,A,B,1',
    '__proto__,name\na,b',
    'constructor\nx',
    'sku,name,category,price.USD\nA-1,"a\0",B,1',
    `sku\n${'x,'.repeat(50_000)}`,
  ];
  const all = (type: string, texts: readonly string[]) =>
    texts.map((body): Attack => ({ what: `${type} ${body.slice(0, 60)}`, operation, type, body, statuses: [400] }));
  return [
    ...all('application/x-ndjson', ndjson),
    ...(operation.rawTypes.includes('text/csv') ? all('text/csv', csv) : []),
    ...['application/json', 'text/html', '', null].map(
      (type): Attack => ({ what: `as ${type}`, operation, type, body: line({}), statuses: [415] }),
    ),
    { what: 'too large', operation, body: `${line({})}\n`.repeat(130_000), statuses: [413], mayClose: true },
  ];
}

test('bytes: whatever is written to a socket, the shop lives and nothing has changed', async () => {
  const untouched = await state();
  const bytes = malformedRequests(prey.cart.id, foreign.token, SKU);
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { minLength: 8, maxLength: 16 }), async (all) => {
      const answers = await Promise.all(all.map((one) => firstWords(shop.port, one)));
      for (const words of answers)
        assert.ok(words === '' || /^HTTP\/1\.1 ([1-4]\d\d|505) /.test(words), words.slice(0, 200));
      assert.equal((await shop.request('GET', '/healthz')).status, 200);
    }),
    { numRuns: 40, interruptAfterTimeLimit: 12_000, markInterruptAsFailure: false },
  );
  assert.deepEqual(await state(), untouched);
});

test('frames: what no WebSocket client sends ends that socket and no other', async () => {
  const text = (value: string) => Buffer.from(value);
  const subscribe = '{"type":"subscribe","skus":["HOSTILE-1"]';
  const attacks: Record<string, Buffer> = {
    // read as if it were masked, so it lacks four bytes
    'an unmasked frame': frame(0x81, text('{"type":"ping"}    '), { masked: false, length: 15 }),
    'a reserved opcode': frame(0x83, text('x')),
    'a reserved control opcode': frame(0x8b, text('x')),
    'reserved bits': frame(0xf1, text('{"type":"ping"}')),
    'a control frame in parts': frame(0x09, text('x')),
    'a control frame too long': frame(0x89, Buffer.alloc(200)),
    'a continuation of nothing': frame(0x80, text('x')),
    'text that is no UTF-8': frame(0x81, Buffer.of(0x22, 0xff, 0xfe, 0x22)),
    'a giant announced': frame(0x81, text('x'), { length: 2 ** 40 }),
    'a giant sent': frame(0x81, Buffer.alloc(64 * 1024, 0x20)),
    'a binary frame': frame(0x82, text('{"type":"ping"}')),
    'deep lists': frame(0x81, text('['.repeat(8_000))),
    'a prototype in place of a type': frame(0x81, text('{"__proto__":{"type":"ping"}}')),
    'skus that are no list': frame(0x81, text('{"type":"subscribe","skus":{"length":1,"0":"x"}}')),
    'since of odd values': frame(0x81, text(`${subscribe},"since":{"__proto__":1e400}}`)),
    'a close frame of one byte': frame(0x88, Buffer.of(0x03)),
    'a close frame with a reserved code': frame(0x88, Buffer.of(0x03, 0xed)),
  };
  const head = `GET /v1/feed HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;
  const connect = async () => {
    const socket = await RawClient.connect(shop.port);
    socket.write(head);
    const { status } = await socket.answer(true);
    assert.equal(status, 101);
    return socket;
  };
  const bystander = new WebSocket(`ws://127.0.0.1:${shop.port}/v1/feed`);
  await once(bystander, 'open');
  for (const [what, bytes] of Object.entries(attacks)) {
    const socket = await connect();
    socket.write(bytes);
    await assert.doesNotReject(socket.closed(), what);
  }
  bystander.send(`${subscribe},"since":{"__proto__":5,"constructor":5}}`);
  const [message] = await once(bystander, 'message');
  assert.match(String(message), /"type":"snapshot","sku":"HOSTILE-1"/);
  bystander.terminate();
});

test('after all of it the shop has noted no error, and the calls that were twisted still do their work', async () => {
  const errors = readFileSync(shop.logFile, 'utf8')
    .split('\n')
    .filter((line) => /"level":(50|60)/.test(line));
  assert.deepEqual(errors, []);
  const { cart } = prey;
  const added = await addLine(shop, cart, SKU, 1);
  assert.deepEqual([added.status, added.body.lines[0].quantity], [200, 3], added.text);
  assertOrderAnswer(await checkout(shop, cart), 201);
});
