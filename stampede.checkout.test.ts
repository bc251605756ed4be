/**
 * Checkout on a real shop with a real provider behind a middleman that can misbehave, and a mail server that can refuse: what
 * the buyer hears, what the provider's own ledger says, and what operators see of the jobs.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import { type ScratchDatabase, scratchDatabase } from './bench/scratch-database.ts';
import { type Answer, entryPoint, pause, ShopProcess, TEST_SECRETS, until } from './bench/shop-process.ts';
import { ADDRESS, addLine, type CartHandle, cartOf, checkout, newCart, orderAtRest } from './bench/shopper.ts';
import { type Sandbox, startSandbox } from './payments/sandbox-server.ts';

/** Between shop and provider: away (every connection is cut), slow to answer, or refusing captures. */
class Middleman {
  away = false;
  answerDelayMs = 0;
  refusesCaptures = false;
  readonly #server = createServer((request, response) => void this.#pass(request, response));
  readonly #provider: string;

  constructor(provider: string) {
    this.#provider = provider;
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.away) {
      request.socket.destroy();
      return;
    }
    if (this.refusesCaptures && request.url?.endsWith('/capture')) {
      request.resume();
      response.writeHead(409, { 'content-type': 'application/json' }).end('{"code":"capture_refused"}');
      return;
    }
    const delayMs = this.answerDelayMs;
    const { method, url, headers } = request;
    const onward = httpRequest(`${this.#provider}${url}`, { method, headers }, async (answer) => {
      await pause(delayMs);
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Takes mails, or refuses every recipient for good. */
class MailServer {
  refuses = false;
  readonly mails: string[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createTcpServer((socket) => this.#serve(socket));

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `smtp://127.0.0.1:${(this.#server.address() as AddressInfo).port}?ignoreTLS=true`;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let mail: string[] | null = null;
    let rest = '';
    socket.on('error', () => undefined);
    socket.write('220 test\r\n');
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (mail === null) {
          if (line === 'DATA') mail = [];
          const refused = this.refuses && line.startsWith('RCPT');
          socket.write(mail !== null ? '354 go\r\n' : refused ? '550 no such user\r\n' : '250 ok\r\n');
        } else if (line === '.') {
          this.mails.push(mail.join('\n'));
          mail = null;
          socket.write('250 taken\r\n');
        } else mail.push(line);
      }
    });
  }

  about(orderId: string): string[] {
    return this.mails.filter((mail) => new RegExp(`^Message-ID:\\s+<${orderId}@`, 'im').test(mail));
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

let database: ScratchDatabase;
let books: ScratchDatabase;
let sandbox: Sandbox;
let middleman: Middleman;
let mailServer: MailServer;
let shop: ShopProcess;

before(async () => {
  database = await scratchDatabase(process.env.TEST_DATABASE_URL, 'stampede_checkout');
  books = await scratchDatabase(process.env.TEST_DATABASE_URL, 'stampede_checkout_books');
  sandbox = await startSandbox({ databaseUrl: books.url, host: '127.0.0.1', port: 0 });
  middleman = new Middleman(sandbox.url);
  mailServer = new MailServer();
  const env = {
    DATABASE_URL: database.url,
    PAYMENT_SANDBOX_URL: await middleman.listen(),
    SMTP_URL: await mailServer.listen(),
  };
  const everything = { PATH: process.env.PATH, ...TEST_SECRETS, ...env };
  await promisify(execFile)(process.execPath, [entryPoint(), 'seed', '--products', '3'], { env: everything });
  await sql(`DELETE FROM stampede.rule WHERE kind = 'shipping_method' AND id <> 'standard'`);
  await sql(`UPDATE stampede.rule SET doc = jsonb_set(doc::jsonb, '{zones}',
    '[{ "countries": ["US"], "prices": { "USD": 599 } }]') WHERE kind = 'shipping_method'`);
  shop = await ShopProcess.start({ env });
});

after(async () => {
  await shop?.stop();
  await shop?.cleanUp();
  middleman?.close();
  mailServer?.close();
  await sandbox?.close();
  await database?.drop();
  await books?.drop();
});

async function sql(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

const SKU = 'GEN-000001';
let made = 0;

/** A sku of its own, held at the cart for `holdTtlMs`. */
async function heldSku(units: number, holdTtlMs: number): Promise<string> {
  const sku = `HELD-${++made}`;
  const body = { name: sku, category: 'Tests', taxCategory: 'standard', prices: { USD: 1_000 } };
  const put = await shop.admin('PUT', `/v1/admin/products/${sku}`, { body: { ...body, holdAt: 'cart', holdTtlMs } });
  assert.ok(put.status < 300, put.text);
  const path = `/v1/admin/stock/${sku}/adjustments`;
  const stocked = await shop.admin('POST', path, { key: randomUUID(), body: { delta: units, reason: 'test' } });
  assert.equal(stocked.status, 200, stocked.text);
  return sku;
}

async function stockOf(sku: string): Promise<number[]> {
  const { body } = await shop.admin('GET', `/v1/admin/stock/${sku}`);
  return [body.onHand, body.held, body.allocated, body.available];
}

const read = (cart: CartHandle) => shop.request('GET', `/v1/carts/${cart.id}`, { token: cart.token });
const cancel = (cart: CartHandle, orderId: string) =>
  shop.request('POST', `/v1/orders/${orderId}/cancel`, { token: cart.token, key: randomUUID() });

/** What the provider itself has under the order's id. */
async function ledger(orderId: string): Promise<{ state: string; amount: number }[]> {
  const answer = await fetch(`${sandbox.url}/v1/payments?reference=${orderId}`);
  const { items } = (await answer.json()) as { items: { state: string; amount: number }[] };
  return items.map(({ state, amount }) => ({ state, amount }));
}

async function paymentOf(orderId: string): Promise<Answer['body']> {
  return (await shop.admin('GET', `/v1/admin/payments?orderId=${orderId}`)).body.items[0];
}

test('a declined card leaves the cart open with its own hold, which ends when it first would have', async () => {
  const sku = await heldSku(5, 600_000);
  const cart = await cartOf(shop, sku, 2);
  await addLine(shop, cart, SKU, 1);
  const first = (await read(cart)).body.lines[0];
  const answer = await checkout(shop, cart, { payWith: 'tok_insufficient_funds' });
  assert.deepEqual(
    [answer.status, answer.body.code, answer.body.declineCode],
    [402, 'payment_declined', 'insufficient_funds'],
  );
  const { state, lines } = (await read(cart)).body;
  assert.deepEqual([state, lines[0].stock, lines[0].hold], ['open', 'held', first.hold]);
  assert.deepEqual(await stockOf(sku), [5, 2, 0, 3]);
  assert.equal((await checkout(shop, cart)).status, 201);
  assert.deepEqual(await stockOf(sku), [5, 0, 2, 3]);
});

test('a hold that ends while the card is being charged is kept for the order; declined then, its units go back', async () => {
  const sku = await heldSku(4, 1_000);
  try {
    middleman.answerDelayMs = 1_200;
    const bought = await cartOf(shop, sku, 1);
    const refused = await cartOf(shop, sku, 3);
    const [paid, declined] = await Promise.all([
      checkout(shop, bought),
      checkout(shop, refused, { payWith: 'tok_declined' }),
    ]);
    assert.deepEqual([paid.status, declined.status], [201, 402], paid.text + declined.text);
    assert.equal((await read(refused)).body.lines[0].stock, 'hold_expired');
    assert.deepEqual(await stockOf(sku), [4, 0, 1, 3]);
  } finally {
    middleman.answerDelayMs = 0;
  }
});

test('a hold expires by itself and the cart is told; a checkout with it is refused by the line, a new one is taken at once', async () => {
  const sku = await heldSku(1, 1_000);
  const cart = await cartOf(shop, sku, 1);
  const { version } = (await read(cart)).body;
  await until('the units are back', async () => (await stockOf(sku))[3] === 1);
  await until('the cart knows', async () => (await read(cart)).body.version > version);
  const late = await checkout(shop, cart);
  assert.deepEqual([late.status, late.body.code, late.body.errors[0].path], [409, 'hold_expired', '/lines/0']);
  const again = await addLine(shop, cart, sku, 1);
  assert.deepEqual([again.status, again.body.code], [409, 'out_of_stock'], 'two are wanted and one is there');
  const path = `/v1/carts/${cart.id}/lines/${sku}`;
  const renewed = await shop.request('PATCH', path, { token: cart.token, body: { quantity: 1 } });
  assert.equal(renewed.body.lines[0].stock, 'held');
});

test('what nothing ships to the address is not sold, also for the total that the cart shows', async () => {
  const brazil = { country: 'BR' };
  const cart = await newCart(shop, { currency: 'USD', destination: brazil });
  const added = await addLine(shop, cart, SKU, 1);
  assert.equal(added.body.shipping, null);
  const answer = await shop.request('POST', `/v1/carts/${cart.id}/checkout`, {
    token: cart.token,
    key: randomUUID(),
    body: {
      email: 'shopper@example.com',
      shippingAddress: { ...ADDRESS, region: undefined, country: 'BR' },
      expectedTotal: added.body.totals.total,
      payment: { method: 'card', token: 'tok_ok' },
    },
  });
  assert.deepEqual([answer.status, answer.body.code], [409, 'shipping_unavailable'], answer.text);
  assert.equal((await read(cart)).body.state, 'open');
});

test('a provider that is away: 202 after a while, no second checkout beside it, then one charge and the same order', async () => {
  const cart = await cartOf(shop, SKU);
  const key = randomUUID();
  middleman.away = true;
  let waiting: Answer;
  try {
    waiting = await checkout(shop, cart, { key });
    assert.equal(waiting.status, 202, waiting.text);
    assert.deepEqual([waiting.body.state, waiting.body.payment.state], ['pending', 'unknown']);
    assert.equal(waiting.headers.location, `/v1/orders/${waiting.body.id}`);
    const other = await checkout(shop, cart);
    assert.deepEqual([other.status, other.body.code], [409, 'checkout_in_progress']);
    const refused = await cancel(cart, waiting.body.id);
    assert.deepEqual([refused.status, refused.body.code], [409, 'not_cancellable']);
  } finally {
    middleman.away = false;
  }
  assert.equal((await orderAtRest(shop, cart, waiting.body.id)).state, 'confirmed');
  const same = await checkout(shop, cart, { key });
  assert.deepEqual([same.status, same.body.id], [201, waiting.body.id]);
  assert.equal((await ledger(waiting.body.id)).length, 1);
});

test('cancels that race with captures end cancelled, nothing is charged and every unit is back', async () => {
  const sku = await heldSku(12, 600_000);
  const placed = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const cart = await cartOf(shop, sku);
      const order = await checkout(shop, cart);
      assert.equal(order.status, 201, order.text);
      return { cart, id: order.body.id as string };
    }),
  );
  const answers = await Promise.all(
    placed.map(async ({ cart, id }, index) => {
      await pause(index * 50);
      return (await Promise.all([cancel(cart, id), cancel(cart, id)])).map(({ status, body }) => [status, body.state]);
    }),
  );
  for (const both of answers) assert.deepEqual(both, Array(2).fill([200, 'cancelled']));
  for (const { id } of placed) {
    const [charge] = await ledger(id);
    assert.match(charge?.state ?? 'none', /^(voided|refunded)$/);
    assert.equal((await paymentOf(id)).state, charge?.state);
  }
  await until('every unit is back', async () => (await stockOf(sku)).join() === '12,0,0,12');
});

test('a capture that the provider refuses fails for good in sight, and run again it captures', async () => {
  const cart = await cartOf(shop, SKU);
  middleman.refusesCaptures = true;
  let orderId = '';
  try {
    orderId = (await checkout(shop, cart)).body.id;
    const job = await until('the job has failed', async () => {
      const { body } = await shop.admin('GET', '/v1/admin/jobs?state=failed&job=capture');
      return body.items.find((item: { subject: string }) => item.subject === orderId);
    });
    assert.match(job.error, /capture_refused/);
    assert.equal((await paymentOf(orderId)).problem, 'capture: capture_refused');
    assert.deepEqual(
      (await ledger(orderId)).map(({ state }) => state),
      ['authorized'],
    );
  } finally {
    middleman.refusesCaptures = false;
  }
  const retried = await shop.admin('POST', `/v1/admin/jobs/capture:${orderId}/retry`);
  assert.equal(retried.status, 202, retried.text);
  await until('the payment is captured', async () => (await paymentOf(orderId)).state === 'captured');
  const { amount, history, problem } = await paymentOf(orderId);
  assert.equal(problem, undefined);
  assert.deepEqual(await ledger(orderId), [{ state: 'captured', amount: amount.amount }]);
  assert.deepEqual(
    history.map(({ state }: { state: string }) => state),
    ['unknown', 'authorized', 'captured'],
  );
});

test('a confirmation that the mail server refuses fails for good in sight; run again it goes out once', async () => {
  mailServer.refuses = true;
  const cart = await cartOf(shop, SKU);
  const orderId: string = (await checkout(shop, cart)).body.id;
  const path = `/v1/admin/jobs/email:${orderId}`;
  await until('the job has failed', async () => (await shop.admin('GET', path)).body.state === 'failed');
  assert.deepEqual(mailServer.about(orderId), []);
  mailServer.refuses = false;
  assert.equal((await shop.admin('POST', `${path}/retry`)).status, 202);
  await until('the job is done', async () => (await shop.admin('GET', path)).body.state === 'done');
  assert.equal(mailServer.about(orderId).length, 1);
  assert.equal((await shop.admin('POST', `${path}/retry`)).body.code, 'job_not_failed');
});

test('at rest every confirmed order has one open charge of its total and one mail, every other order none', async () => {
  const { body } = await shop.admin('GET', '/v1/admin/orders?limit=100');
  assert.equal(body.nextCursor, null);
  for (const order of body.items) {
    const open = (await ledger(order.id)).filter(({ state }) => state === 'authorized' || state === 'captured');
    if (order.state !== 'confirmed') {
      assert.deepEqual(open, [], `${order.state} ${order.id}`);
      continue;
    }
    await until('the payment is captured', async () => (await paymentOf(order.id)).state === 'captured');
    assert.deepEqual(
      open.map(({ amount }) => amount),
      [order.totals.total.amount],
    );
    await until('the mail is out', () => mailServer.about(order.id).length > 0);
    assert.equal(mailServer.about(order.id).length, 1);
  }
});
