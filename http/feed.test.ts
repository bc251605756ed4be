/** The feed on the real native server, with the `ws` package and bare sockets as clients. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type http from 'node:http';
import net from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { pack, unpack } from 'msgpackr';
import { WebSocket } from 'ws';
import { ManualClock } from '../runtime/manual-clock.ts';
import { createFeed, type Feed, type FeedOptions } from './feed.ts';
import type { ServerMessage } from './feed-protocol.ts';
import { StockCache, type StockRow } from './stock-cache.ts';
import { LISTEN_EXCLUSIVE, listen, loadUws, type TemplatedApp } from './uws.ts';

const { uws } = loadUws();
const open: Shop[] = [];

/** A server with nothing but the feed on it, over a stock that the test changes and a clock that the test moves. */
class Shop {
  readonly clock = new ManualClock();
  readonly rows = new Map<string, StockRow>();
  readonly stock: StockCache;
  readonly feed: Feed;
  readonly faults: unknown[] = [];
  readonly clients: WebSocket[] = [];
  readonly app: TemplatedApp = uws.App();
  port = 0;

  constructor(options: Partial<FeedOptions> = {}) {
    const load = async (skus: readonly string[]) => skus.flatMap((sku) => this.rows.get(sku) ?? []);
    this.stock = new StockCache({ load, clock: this.clock });
    this.feed = createFeed({
      stock: this.stock,
      skuExists: (sku) => /^s\d+$/.test(sku),
      clock: this.clock,
      log: { error: (detail) => this.faults.push(detail) },
      ...options,
    });
    this.feed.attach(this.app);
    open.push(this);
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => {
      listen(this.app, '127.0.0.1', 0, LISTEN_EXCLUSIVE, (socket) => {
        assert.ok(socket);
        this.port = uws.us_socket_local_port(socket);
        resolve();
      });
    });
    return this;
  }

  change(sku: string): number {
    const version = (this.rows.get(sku)?.version ?? 0) + 1;
    this.rows.set(sku, { sku, available: version * 10, version });
    this.stock.apply({ table: 'stock', key: sku, version, doc: { available: version * 10 } });
    return version;
  }

  client(query = '', protocols: string[] = [], headers: Record<string, string> = {}): Client {
    const ws = new WebSocket(`ws://127.0.0.1:${this.port}/v1/feed${query}`, protocols, { headers });
    this.clients.push(ws);
    return new Client(ws);
  }

  async end(): Promise<void> {
    for (const ws of this.clients) ws.terminate();
    await this.feed.close(0);
    this.stock.close();
    this.app.close();
  }
}

class Client {
  readonly ws: WebSocket;
  readonly told: ServerMessage[] = [];
  readonly binary: boolean[] = [];
  pings = 0;
  closed: { code: number; reason: string } | undefined;
  refused: { status: number; body: Record<string, unknown>; headers: http.IncomingHttpHeaders } | undefined;

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (data: Buffer, binary) => {
      this.binary.push(binary);
      this.told.push((binary ? unpack(data) : JSON.parse(data.toString())) as ServerMessage);
    });
    ws.on('ping', () => {
      this.pings += 1;
    });
    ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    ws.on('error', () => {});
    ws.on('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
        this.refused = { status: response.statusCode ?? 0, body, headers: response.headers };
        ws.terminate();
      });
    });
  }

  say(message: unknown): void {
    this.ws.send(JSON.stringify(message));
  }
  async opened(): Promise<this> {
    await once(this.ws, 'open');
    return this;
  }
  async hears(count: number): Promise<ServerMessage[]> {
    await until(`${count} messages`, () => this.told.length >= count);
    return this.told;
  }
  async ends(): Promise<{ code: number; reason: string }> {
    await until('the close', () => this.closed !== undefined);
    return this.closed ?? { code: 0, reason: '' };
  }
  async isRefused(): Promise<NonNullable<Client['refused']>> {
    await until('the refusal', () => this.refused !== undefined);
    assert.ok(this.refused);
    return this.refused;
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((wake) => setTimeout(wake, 2));
  }
}

const shop = (options: Partial<FeedOptions> = {}) => new Shop(options).listen();

describe('the stock feed', () => {
  afterEach(async () => {
    for (const one of open.splice(0)) {
      await one.end();
      assert.deepEqual(one.faults, []);
    }
  });

  it('subscribes by the address and by message, and tells snapshots and then changes, as JSON by default', async () => {
    const s = await shop();
    s.change('s1');
    const client = await s.client('?skus=s1').opened();
    assert.equal(client.ws.protocol, '');
    await client.hears(1);
    client.say({ type: 'subscribe', skus: ['s2'] });
    await client.hears(2);
    s.change('s1');
    s.clock.advance(50);
    await client.hears(3);
    const at = new Date(s.clock.now() - 50).toISOString();
    assert.deepEqual(client.told, [
      { type: 'snapshot', sku: 's1', available: 10, version: 1 },
      { type: 'snapshot', sku: 's2', available: 0, version: 0 },
      { type: 'stock', sku: 's1', available: 20, version: 2, at },
    ]);
    assert.deepEqual(client.binary, [false, false, false]);
  });

  it('says the same in MessagePack where the client asks for it', async () => {
    const s = await shop();
    const client = await s.client('', ['stampede.v1.msgpack', 'stampede.v1.json']).opened();
    assert.equal(client.ws.protocol, 'stampede.v1.msgpack');
    client.ws.send(pack({ type: 'subscribe', skus: ['s1'], since: {} }));
    await client.hears(1);
    s.change('s1');
    s.clock.advance(50);
    client.ws.send(pack({ type: 'ping' }));
    await client.hears(3);
    assert.deepEqual(
      client.told.map((m) => [m.type, 'version' in m ? m.version : undefined]),
      [
        ['snapshot', 0],
        ['stock', 1],
        ['pong', undefined],
      ],
    );
    assert.deepEqual(client.binary, [true, true, true]);
  });

  it('confirms what the client has, and stays silent about what it left', async () => {
    const s = await shop();
    for (const sku of ['s1', 's1', 's2']) s.change(sku);
    const client = await s.client('', ['stampede.v1.json']).opened();
    client.say({ type: 'subscribe', skus: ['s1', 's2'], since: { s1: 2, s2: 0 } });
    await client.hears(2);
    client.say({ type: 'unsubscribe', skus: ['s1'] });
    client.say({ type: 'ping' });
    await client.hears(3);
    s.change('s1');
    s.change('s2');
    s.clock.advance(50);
    await client.hears(4);
    assert.deepEqual(
      client.told.map((m) => [m.type, 'sku' in m ? m.sku : undefined, 'version' in m ? m.version : undefined]),
      [
        ['current', 's1', 2],
        ['snapshot', 's2', 1],
        ['pong', undefined, undefined],
        ['stock', 's2', 2],
      ],
    );
  });

  it('encodes a change once for all its followers', async () => {
    const s = await shop();
    const clients = await Promise.all(Array.from({ length: 20 }, () => s.client('?skus=s1').opened()));
    await Promise.all(clients.map((client) => client.hears(1)));
    const before = s.feed.stats.framesEncoded;
    for (let i = 0; i < 100; i++) s.change('s1');
    s.clock.advance(50);
    for (const client of clients) assert.equal((await client.hears(2)).length, 2);
    assert.equal(s.feed.stats.framesEncoded - before, 1);
    assert.equal(s.feed.stats.sockets, 20);
  });

  it('answers what it cannot do with an error, and stays open', async () => {
    const s = await shop({ limits: { subscriptionsPerSocketMax: 2 } });
    const client = await s.client('?skus=nope').opened();
    client.say({ type: 'subscribe', skus: ['s1', 's2', 's3'] });
    client.say({ type: 'auth', ticket: 'x' });
    client.say({ type: 'ping' });
    await client.hears(4);
    assert.deepEqual(
      client.told.map((m) => (m.type === 'error' ? m.code : m.type)),
      ['sku_unknown', 'subscription_limit', 'ticket_unknown', 'pong'],
    );
    assert.equal(client.ws.readyState, WebSocket.OPEN);
  });

  it('closes with 4000 on a bad message, and survives one that is too long', async () => {
    const s = await shop();
    const hostile: [string[], string | Uint8Array][] = [
      [[], 'no json'],
      [[], Buffer.from('{"type":"ping"}')],
      [[], JSON.stringify({ type: 'subscribe', skus: Array.from({ length: 201 }, (_, i) => `s${i}`) })],
      [['stampede.v1.msgpack'], '{"type":"ping"}'],
      [['stampede.v1.msgpack'], Uint8Array.of(0xd4, 0x72, 0x40)],
    ];
    for (const [protocols, message] of hostile) {
      const client = await s.client('', protocols).opened();
      client.ws.send(message);
      assert.equal((await client.ends()).code, 4000);
    }
    const long = await s.client().opened();
    long.ws.send('x'.repeat(17 * 1024));
    assert.notEqual((await long.ends()).code, 1000);
    assert.equal(
      (
        await s
          .client(`?skus=${'x'.repeat(65)}`)
          .opened()
          .then((c) => c.ends())
      ).code,
      4000,
    );
    assert.equal(s.feed.stats.messagesBad, 6);
    await until('all are gone', () => s.feed.stats.sockets === 0);
  });

  it('refuses messages past the allowance, and closes who does not stop', async () => {
    const s = await shop({ limits: { messagesBurst: 5, messagesPerSecond: 1 } });
    const client = await s.client().opened();
    for (let i = 0; i < 20; i++) client.say({ type: 'ping' });
    assert.equal((await client.ends()).code, 4000);
    assert.deepEqual(client.told.map((m) => (m.type === 'error' ? m.code : m.type)).slice(0, 6), [
      'pong',
      'pong',
      'pong',
      'pong',
      'pong',
      'rate_limited',
    ]);
  });

  it('limits the sockets of one network and of the node, with problems that say when to come back', async () => {
    const s = await shop({ limits: { socketsPerIpMax: 2, socketsMax: 3 } });
    const first = await s.client().opened();
    await s.client().opened();
    const third = await s.client().isRefused();
    assert.equal(third.status, 429);
    assert.equal(third.body.code, 'rate_limited');
    assert.equal(third.headers['content-type'], 'application/problem+json');
    assert.equal(third.headers['retry-after'], '5');
    assert.equal(third.headers['ratelimit-policy'], '"feed_sockets";q=2');
    assert.equal(third.headers['x-content-type-options'], 'nosniff');
    first.ws.close();
    await first.ends();
    await until('the place is free', () => s.feed.stats.sockets === 1);
    await s.client().opened();
    const full = await shop({ limits: { socketsMax: 0 } });
    assert.equal((await full.client().isRefused()).body.code, 'overloaded');
    const asked: string[] = [];
    const limited = await shop({
      admit: (network) =>
        asked.push(network) > 1 ? null : { headers: { ratelimit: '"feed";r=0;t=1' }, retryAfterMs: 1000 },
    });
    const { status, headers } = await limited.client().isRefused();
    assert.deepEqual([status, headers.ratelimit, headers['retry-after']], [429, '"feed";r=0;t=1', '1']);
    await limited.client().opened();
    assert.deepEqual(asked, ['127.0.0.1', '127.0.0.1']);
  });

  it('counts clients behind a trusted proxy by their own address', async () => {
    const s = await shop({
      limits: { socketsPerIpMax: 1 },
      proxies: { clientOf: (peer, forwarded) => forwarded || peer },
    });
    await s.client('', [], { 'x-forwarded-for': '10.0.0.1' }).opened();
    await s.client('', [], { 'x-forwarded-for': '10.0.0.2' }).opened();
    assert.equal((await s.client('', [], { 'x-forwarded-for': '10.0.0.1' }).isRefused()).status, 429);
  });

  it("keeps other sites' pages from using a visitor's cookie", async () => {
    const s = await shop({ allowedOrigins: ['https://shop.example'] });
    const cookie = 'session=1';
    const foreign = await s.client('', [], { cookie, origin: 'https://evil.example' }).isRefused();
    assert.equal(foreign.body.code, 'forbidden');
    await s.client('', [], { cookie, origin: 'https://shop.example' }).opened();
    await s.client('', [], { cookie, origin: `http://127.0.0.1:${s.port}` }).opened();
    await s.client('', [], { origin: 'https://evil.example' }).opened();
    assert.equal((await s.client('', ['stampede.v9.json']).isRefused()).status, 400);
  });

  it('closes the connection of an upgrade whose end is not certain', async () => {
    const s = await shop();
    for (const extra of ['Transfer-Encoding: chunked', 'Content-Length: 0\r\nContent-Length: 5']) {
      const raw = await Raw.open(s.port, '', extra);
      assert.deepEqual([raw.head, raw.ended], ['', true]);
    }
    assert.equal(s.feed.stats.sockets, 0);
  });

  it('pings, and drops who stays silent', async () => {
    const s = await shop();
    const client = await s.client().opened();
    const silent = await Raw.open(s.port);
    await until('both are in', () => s.feed.stats.sockets === 2);
    for (let i = 0; i < 4; i++) {
      const pings = client.pings;
      s.clock.advance(25_000);
      await until('a ping', () => client.pings > pings);
      // The pong is on its way in front of this.
      client.say({ type: 'ping' });
      await client.hears(i + 1);
    }
    await until('the silent one is gone', () => silent.ended);
    assert.equal(s.feed.stats.closedSilent, 1);
    assert.equal(client.ws.readyState, WebSocket.OPEN);
  });

  it('brings a reader that stalled for a while to the newest of every sku, without one version twice', async () => {
    const s = await shop({ limits: { tickMs: 1 } });
    const skus = Array.from({ length: 1_000 }, (_, i) => `s${i}`);
    const raw = await Raw.open(s.port);
    for (let i = 0; i < 5; i++) raw.say({ type: 'subscribe', skus: skus.slice(i * 200, i * 200 + 200) });
    await until('the snapshots', () => raw.told.length >= 1_000);
    raw.socket.pause();
    for (let round = 0; s.feed.stats.stalled === 0; round++) {
      assert.ok(round < 2_000, 'it never stalls');
      for (const sku of skus) s.change(sku);
      s.clock.advance(1);
      await new Promise(setImmediate);
    }
    const sent = s.feed.stats.framesSent;
    for (let round = 0; round < 20; round++) {
      for (const sku of skus) s.change(sku);
      s.clock.advance(1);
    }
    assert.equal(s.feed.stats.framesSent, sent, 'nothing is sent past the stall');
    raw.socket.resume();
    const newest = s.rows.get('s0')?.version;
    await until('the newest of all', () => skus.every((sku) => raw.versions.get(sku)?.at(-1) === newest));
    assert.equal(s.feed.stats.stalled, 0);
    assert.ok(s.feed.stats.resyncs > 0);
    for (const versions of raw.versions.values()) {
      for (const [i, version] of versions.entries()) assert.ok(i === 0 || version > (versions[i - 1] ?? 0));
    }
    raw.socket.destroy();
  });

  it('closes a reader that stalls for too long with 4008', async () => {
    const s = await shop({ limits: { tickMs: 1, stallMsMax: 10_000 } });
    const skus = Array.from({ length: 200 }, (_, i) => `s${i}`);
    const raw = await Raw.open(s.port);
    raw.say({ type: 'subscribe', skus });
    await until('the snapshots', () => raw.told.length >= 200);
    raw.socket.pause();
    while (s.feed.stats.stalled === 0) {
      for (const sku of skus) s.change(sku);
      s.clock.advance(1);
      await new Promise(setImmediate);
    }
    s.clock.advance(11_000);
    assert.deepEqual([s.feed.stats.closedSlow, s.feed.stats.sockets, s.feed.stats.subscriptions], [1, 0, 0]);
    raw.socket.resume();
    await until('the close frame', () => raw.closeCode !== undefined);
    assert.equal(raw.closeCode, 4008);
  });

  it('sends everybody away with 4013 and a time to come back, and lets nobody in', async () => {
    const s = await shop();
    const clients = await Promise.all(Array.from({ length: 5 }, () => s.client('?skus=s1').opened()));
    await s.feed.close(2_000);
    for (const client of clients) {
      const { code, reason } = await client.ends();
      assert.equal(code, 4013);
      const { retryAfterMs } = JSON.parse(reason) as { retryAfterMs: number };
      assert.ok(retryAfterMs >= 500 && retryAfterMs <= 2_000);
    }
    assert.equal((await s.client().isRefused()).body.code, 'draining');
    assert.deepEqual([s.feed.stats.sockets, s.feed.stats.subscriptions], [0, 0]);
  });

  it('loses one socket, not the process, where something throws', async () => {
    const s = await shop({
      skuExists: () => {
        throw new Error('broken');
      },
    });
    const client = await s.client().opened();
    const other = await s.client().opened();
    client.say({ type: 'subscribe', skus: ['s1'] });
    assert.equal((await client.ends()).code, 1011);
    other.say({ type: 'ping' });
    await other.hears(1);
    assert.equal(s.faults.splice(0).length, 1);
  });
});

/** A WebSocket client on a bare socket: it answers no ping and reads only when told to. */
class Raw {
  readonly socket: net.Socket;
  readonly told: ServerMessage[] = [];
  readonly versions = new Map<string, number[]>();
  head = '';
  ended = false;
  closeCode: number | undefined;
  #buffer = Buffer.alloc(0);

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.ended = true;
    });
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#read();
    });
  }

  static async open(port: number, query = '', extra = ''): Promise<Raw> {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const raw = new Raw(socket);
    const lines = [
      `GET /v1/feed${query} HTTP/1.1`,
      'Host: feed',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ...(extra === '' ? [] : [extra]),
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    await until('an answer', () => raw.head !== '' || raw.ended);
    return raw;
  }

  /** A masked text frame; the mask is zero. */
  say(message: unknown): void {
    const payload = Buffer.from(JSON.stringify(message));
    const head = Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]);
    this.socket.write(Buffer.concat([head, payload]));
  }

  #read(): void {
    if (this.head === '') {
      const end = this.#buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.head = this.#buffer.subarray(0, end).toString();
      this.#buffer = this.#buffer.subarray(end + 4);
    }
    let at = 0;
    while (this.#buffer.length >= at + 2) {
      const short = (this.#buffer[at + 1] ?? 0) & 127;
      const header = short === 126 ? 4 : 2;
      if (this.#buffer.length < at + header) break;
      const length = short === 126 ? this.#buffer.readUInt16BE(at + 2) : short;
      if (this.#buffer.length < at + header + length) break;
      const payload = this.#buffer.subarray(at + header, at + header + length);
      this.#take((this.#buffer[at] ?? 0) & 15, payload);
      at += header + length;
    }
    this.#buffer = this.#buffer.subarray(at);
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === 8) this.closeCode = payload.readUInt16BE(0);
    if (opcode !== 1) return;
    const message = JSON.parse(payload.toString()) as ServerMessage;
    this.told.push(message);
    if (message.type !== 'snapshot' && message.type !== 'stock') return;
    const versions = this.versions.get(message.sku);
    if (versions === undefined) this.versions.set(message.sku, [message.version]);
    else versions.push(message.version);
  }
}
