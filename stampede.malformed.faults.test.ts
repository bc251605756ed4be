/**
 * Malformed requests, bodies and frames by the ten thousand, over raw sockets; the long form of the last tests of `stampede.hostile.test.ts`.
 * The seed is in the figures, so that a run can be had again.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import pg from 'pg';
import { WebSocket } from 'ws';
import { firstWords, PRODUCT } from './bench/attack.ts';
import { malformedBodies, malformedFrames, malformedRequests } from './bench/attack-bytes.ts';
import { testRow } from './bench/fault-test.ts';
import { SandboxProvider } from './bench/sandbox-provider.ts';
import { scratchDatabase } from './bench/scratch-database.ts';
import { ShopProcess } from './bench/shop-process.ts';
import { addLine, cartOf, inParallel, newCart } from './bench/shopper.ts';
import { RawClient } from './http/raw-client.ts';

const SKU = 'MALFORMED-1';
const WIDTH = 48;
/** On one socket, as long as it stays open. */
const FRAMES_OF_A_SOCKET = 20;
const UPGRADE = `GET /v1/feed HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;

testRow('malformed', {}, async (times) => {
  const server = process.env.TEST_DATABASE_URL;
  const database = await scratchDatabase(server, 'stampede_malformed');
  const provider = await SandboxProvider.start(server);
  const shop = await ShopProcess.start({ env: { DATABASE_URL: database.url, PAYMENT_SANDBOX_URL: provider.url } });
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    const store = '{"defaultCurrency":"USD","currencies":["USD"],"defaultShipping":null}';
    await client.query('UPDATE stampede.store SET doc = $1', [store]);
    assert.equal((await shop.admin('PUT', `/v1/admin/products/${SKU}`, { body: PRODUCT })).status, 201);
    await shop.admin('POST', `/v1/admin/stock/${SKU}/adjustments`, { body: { delta: 100, reason: 'first' } });
    const cart = await cartOf(shop, SKU);
    const foreign = await newCart(shop);
    const untouched = await state(client);
    const seed = randomInt(2 ** 31);
    const quarter = times / 4;
    const requests = await strikeAll(shop, malformedRequests(cart.id, foreign.token, SKU), quarter, seed);
    const bodies = await strikeAll(shop, malformedBodies(cart.id, cart.token, SKU), quarter, seed + 1);
    const frames = await strikeWithFrames(shop, times / 2, seed + 2);
    const after = await state(client);
    // A body may have come out as a good one: then its line is in the cart, and in nothing else.
    for (const table of ['orders', 'stock', 'product', 'outbox', 'subject_key'])
      assert.equal(after[table], untouched[table], table);
    assert.equal((await shop.request('GET', '/healthz')).status, 200);
    const errors = readFileSync(shop.logFile, 'utf8')
      .split('\n')
      .filter((line) => /"level":(50|60)/.test(line));
    assert.deepEqual(errors, []);
    assert.equal((await addLine(shop, await newCart(shop), SKU)).status, 200, 'it serves as before');
    return { seed, ...requests, ...prefixed('bodies', bodies), ...frames };
  } finally {
    await client.end();
    await shop.cleanUp();
    await provider.close();
    await database.drop();
  }
});

function prefixed(what: string, figures: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${what} ${name}`, value]));
}

/** Counts answers by their status class; none may be a 5xx. */
async function strikeAll(shop: ShopProcess, bytes: fc.Arbitrary<Buffer>, count: number, seed: number) {
  const counts: Record<string, number> = {};
  const batch = 2_000;
  for (let done = 0; done < count; done += batch) {
    const all = fc.sample(bytes, { numRuns: Math.min(batch, count - done), seed: seed + done });
    await inParallel(all.length, WIDTH, async (index) => {
      const words = await firstWords(shop.port, all[index] as Buffer);
      const status = /^HTTP\/1\.1 (\d\d\d) /.exec(words)?.[1];
      assert.ok(words === '' || (status !== undefined && (status < '500' || status === '505')), words.slice(0, 200));
      const name = status === undefined ? 'closed or silent' : status === '505' ? '505' : `${status[0]}xx`;
      counts[name] = (counts[name] ?? 0) + 1;
    });
    assert.equal((await shop.request('GET', '/healthz')).status, 200);
  }
  return counts;
}

async function strikeWithFrames(shop: ShopProcess, count: number, seed: number) {
  const bystander = new WebSocket(`ws://127.0.0.1:${shop.port}/v1/feed`);
  await once(bystander, 'open');
  let sent = 0;
  let closed = 0;
  let rounds = 0;
  while (sent < count) {
    const frames = fc.sample(malformedFrames(SKU), { numRuns: WIDTH * FRAMES_OF_A_SOCKET, seed: seed + rounds++ });
    await inParallel(WIDTH, WIDTH, async (index) => {
      const socket = await RawClient.connect(shop.port);
      socket.write(UPGRADE);
      assert.equal((await socket.answer(true)).status, 101);
      const own = frames.slice(index * FRAMES_OF_A_SOCKET, (index + 1) * FRAMES_OF_A_SOCKET);
      for (const bytes of own) {
        if (socket.isClosed) break;
        socket.write(bytes);
        sent++;
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (socket.isClosed) closed++;
      socket.destroy();
    });
    bystander.send('{"type":"ping"}');
    const [answer] = await once(bystander, 'message');
    assert.match(String(answer), /"type":"pong"/);
  }
  bystander.terminate();
  return { frames: sent, 'sockets closed by them': closed };
}

/** Everything that a shopper or an operator could have changed, as one checksum for each table. */
async function state(client: pg.Client): Promise<Record<string, string>> {
  const tables = ['orders', 'stock', 'product', 'outbox', 'subject_key'];
  const parts = tables.map(
    (table) =>
      `SELECT '${table}' AS name, count(*) || ' ' || coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') AS sum FROM stampede.${table} t`,
  );
  const { rows } = await client.query(parts.join(' UNION ALL '));
  return Object.fromEntries(rows.map(({ name, sum }) => [name, sum]));
}
