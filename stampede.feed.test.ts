/**
 * The stock feed as a client meets it at a real shop, in both subprotocols. What needs a clock to be moved or a reader to be stalled (the
 * server's pings, 4008) is in `http/feed.test.ts`.
 */
import assert from 'node:assert/strict';
import type http from 'node:http';
import { after, before, test } from 'node:test';
import { pack, unpack } from 'msgpackr';
import { WebSocket } from 'ws';
import { assertProblem, assertTime } from './bench/contract.ts';
import { type Answer, ShopProcess, until } from './bench/shop-process.ts';
import { setAvailable } from './bench/shopper.ts';

const ORIGIN = 'https://shop.example';
const SOCKETS_A_MINUTE = 20;
const MANY = 1_001;
let shop: ShopProcess;

before(async () => {
  const env = { CORS_ORIGINS: ORIGIN, TRUSTED_PROXIES: '127.0.0.1', RATE_LIMITS: `feed=${SOCKETS_A_MINUTE}/60` };
  shop = await ShopProcess.start({ env });
  const lines = Array.from({ length: MANY }, (_, i) =>
    JSON.stringify({ sku: `F-${i}`, name: `Followed ${i}`, category: 'Feed', prices: { USD: 100 } }),
  );
  const headers = { 'content-type': 'application/x-ndjson' };
  const loaded = await shop.admin('POST', '/v1/admin/products/import', { headers, body: lines.join('\n') });
  assert.equal(loaded.status, 200, loaded.text);
});
after(async () => {
  await shop?.stop();
  await shop?.cleanUp();
});

type Told = Answer['body'];
const JSON_PROTOCOL = 'stampede.v1.json';
const MSGPACK_PROTOCOL = 'stampede.v1.msgpack';
let clients = 0;

class Client {
  readonly ws: WebSocket;
  readonly told: Told[] = [];
  binary = false;
  closed: { readonly code: number; readonly reason: string } | undefined;
  refused: Answer | undefined;

  /** From an address of its own, unless `headers` names one. */
  constructor(query = '', protocols: readonly string[] = [], headers: Record<string, string> = {}) {
    clients += 1;
    const from = { 'x-forwarded-for': `198.51.100.${clients}` };
    const url = `ws://127.0.0.1:${shop.port}/v1/feed${query}`;
    this.ws = new WebSocket(url, [...protocols], { headers: { ...from, ...headers } });
    this.ws.on('message', (data: Buffer, binary) => {
      this.binary ||= binary;
      this.told.push(binary ? unpack(data) : JSON.parse(data.toString()));
    });
    this.ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    this.ws.on('error', () => {});
    this.ws.on('unexpected-response', (_request, response) => this.#refuse(response));
  }

  #refuse(response: http.IncomingMessage): void {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      this.refused = { status: response.statusCode ?? 0, headers: response.headers, text, body: JSON.parse(text) };
      this.ws.terminate();
    });
  }

  say(message: unknown): void {
    const packed = this.ws.protocol === MSGPACK_PROTOCOL;
    this.ws.send(packed ? pack(message) : JSON.stringify(message));
  }

  async opened(): Promise<this> {
    await until('the socket opens', () => this.ws.readyState === WebSocket.OPEN);
    return this;
  }

  isRefused(): Promise<Answer> {
    return until('the upgrade is refused', () => this.refused);
  }

  /** The first message that fits, from `from` on. */
  hears(what: string, fits: (message: Told) => boolean, from = 0): Promise<Told> {
    return until(what, () => this.told.slice(from).find(fits));
  }

  ends(): Promise<{ readonly code: number; readonly reason: string }> {
    return until('the socket is closed', () => this.closed);
  }
}

const versionOf = async (sku: string) => (await shop.request('GET', `/v1/products/${sku}/stock`)).body.version;

for (const protocol of [JSON_PROTOCOL, MSGPACK_PROTOCOL]) {
  test(`${protocol}: a snapshot for each sku, then every change in order, until unsubscribed`, async () => {
    const [a, b] = protocol === JSON_PROTOCOL ? ['F-1', 'F-2'] : ['F-3', 'F-4'];
    await setAvailable(shop, a, 10);
    const client = await new Client('', [protocol]).opened();
    assert.equal(client.ws.protocol, protocol);
    client.say({ type: 'subscribe', skus: [a, b, 'NONE'], futureField: true });
    const first = await client.hears('snapshot', ({ type, sku }) => type === 'snapshot' && sku === a);
    assert.deepEqual(first, { type: 'snapshot', sku: a, available: 10, version: await versionOf(a) });
    await client.hears('the other', ({ type, sku }) => type === 'snapshot' && sku === b);
    const unknown = await client.hears('sku_unknown', ({ type, code }) => type === 'error' && code === 'sku_unknown');
    assert.ok(unknown.detail.length > 0);
    for (const units of [9, 8, 3]) await setAvailable(shop, a, units);
    const last = await client.hears('the newest', ({ sku, available }) => sku === a && available === 3);
    assert.equal(last.type, 'stock');
    assertTime(last.at, 'at');
    const versions = client.told.filter(({ sku }) => sku === a).map(({ version }) => version);
    assert.deepEqual(
      versions,
      [...new Set(versions)].sort((x, y) => x - y),
      'versions only grow',
    );
    client.say({ type: 'ping' });
    assertTime((await client.hears('pong', ({ type }) => type === 'pong')).now, 'now');
    client.say({ type: 'auth', ticket: 'made-up' });
    await client.hears('no such ticket', ({ code }) => code === 'ticket_unknown');
    client.say({ type: 'unsubscribe', skus: [a] });
    const from = client.told.length;
    await setAvailable(shop, a, 7);
    await setAvailable(shop, b, 5);
    await client.hears('the other goes on', ({ sku, available }) => sku === b && available === 5, from);
    assert.ok(!client.told.slice(from).some(({ sku }) => sku === a));
    assert.equal(client.binary, protocol === MSGPACK_PROTOCOL);
    client.ws.close();
  });

  test(`${protocol}: a version that is up to date is confirmed, an old or invented one gets a snapshot`, async () => {
    await setAvailable(shop, 'F-5', 4);
    await setAvailable(shop, 'F-6', 6);
    const version = await versionOf('F-5');
    const client = await new Client('', [protocol]).opened();
    client.say({ type: 'subscribe', skus: ['F-5', 'F-6'], since: { 'F-5': version, 'F-6': 0 } });
    assert.deepEqual(await client.hears('current', ({ sku }) => sku === 'F-5'), {
      type: 'current',
      sku: 'F-5',
      version,
    });
    assert.equal((await client.hears('old', ({ sku }) => sku === 'F-6')).type, 'snapshot');
    const ahead = await new Client('', [protocol]).opened();
    ahead.say({ type: 'subscribe', skus: ['F-5'], since: { 'F-5': version + 1_000_000 } });
    assert.equal((await ahead.hears('ahead', ({ sku }) => sku === 'F-5')).type, 'snapshot');
    for (const each of [client, ahead]) each.ws.close();
  });
}

test('a socket that asks for no subprotocol speaks JSON, and ?skus= subscribes at once', async () => {
  const client = await new Client('?skus=F-7,F-8').opened();
  assert.equal(client.ws.protocol, '');
  for (const sku of ['F-7', 'F-8'])
    await client.hears(sku, (message) => message.type === 'snapshot' && message.sku === sku);
  assert.equal(client.binary, false);
  client.ws.close();
});

test('1 to 200 skus in a message, 1,000 for a socket', async () => {
  const client = await new Client().opened();
  const skus = Array.from({ length: MANY }, (_, i) => `F-${i}`);
  for (let from = 0; from < 1_000; from += 200) client.say({ type: 'subscribe', skus: skus.slice(from, from + 200) });
  await until('1,000 snapshots', () => client.told.filter(({ type }) => type === 'snapshot').length === 1_000);
  client.say({ type: 'subscribe', skus: [skus[1_000]] });
  await client.hears('full', ({ type, code }) => type === 'error' && code === 'subscription_limit');
  client.say({ type: 'unsubscribe', skus: [skus[0]] });
  client.say({ type: 'subscribe', skus: [skus[1_000]] });
  await client.hears('room again', ({ sku }) => sku === skus[1_000]);
  client.say({ type: 'subscribe', skus: skus.slice(0, 201) });
  assert.equal((await client.ends()).code, 4000);
});

test('a bad message ends the socket with 4000', async () => {
  const json = [
    'x',
    '[]',
    'null',
    '{}',
    '{"type":"dance"}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","skus":[]}',
    '{"type":"subscribe","skus":"F-1"}',
    '{"type":"subscribe","skus":["F-1"],"since":{"F-1":-1}}',
    Buffer.from([0x80]),
  ];
  for (const message of json) {
    const client = await new Client('', [JSON_PROTOCOL]).opened();
    client.ws.send(message);
    assert.equal((await client.ends()).code, 4000, String(message));
  }
  for (const message of [
    '{"type":"ping"}',
    Buffer.from([0xc1]),
    pack([]),
    Buffer.concat([pack({ type: 'ping' }), Buffer.of(0)]),
  ]) {
    const client = await new Client('', [MSGPACK_PROTOCOL]).opened();
    client.ws.send(message);
    assert.equal((await client.ends()).code, 4000, String(message));
  }
});

test("a cookie counts only with the shop's own or an allowed origin", async () => {
  const cookie = '__Host-stampede=x';
  const foreign = await new Client('', [], { cookie, origin: 'https://evil.example' }).isRefused();
  assertProblem(foreign, 403, 'forbidden');
  for (const origin of [ORIGIN, `http://127.0.0.1:${shop.port}`])
    (await new Client('', [], { cookie, origin }).opened()).ws.close();
  (await new Client('', [], { origin: 'https://evil.example' }).opened()).ws.close();
});

test('who opens sockets too often is told when to come back, and so is who does not upgrade', async () => {
  const headers = { 'x-forwarded-for': '192.0.2.1' };
  for (let i = 0; i < SOCKETS_A_MINUTE; i++) (await new Client('', [], headers).opened()).ws.close();
  assertProblem(await new Client('', [], headers).isRefused(), 429, 'rate_limited');
  (await new Client('', [], { 'x-forwarded-for': '192.0.2.2' }).opened()).ws.close();
  const plain = await shop.request('GET', '/v1/feed?skus=F-1');
  assertProblem(plain, 426, 'upgrade_required');
  assert.equal(plain.headers.upgrade, 'websocket');
  assert.equal(plain.headers['cache-control'], 'no-store');
  const other = await new Client('', ['soap']).isRefused();
  assertProblem(other, 400, 'invalid_request');
});

test('a shop that goes away closes every socket with 4013 and says when to come back', async () => {
  const all = await Promise.all([new Client('?skus=F-1').opened(), new Client('', [MSGPACK_PROTOCOL]).opened()]);
  assert.equal(await shop.stop(), 0);
  for (const client of all) {
    const { code, reason } = await client.ends();
    assert.equal(code, 4013);
    const { retryAfterMs } = JSON.parse(reason);
    assert.ok(Number.isInteger(retryAfterMs) && retryAfterMs > 0, reason);
  }
});
