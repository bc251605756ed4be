/** The sandbox provider over real HTTP and a real PostgreSQL, in this process and, where it is killed, in one of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { createTestDatabase, eventually, type TestDatabase } from '../schema/test-database.ts';
import { SANDBOX_ROLE } from './sandbox-ledger.ts';
import { type Sandbox, startSandbox } from './sandbox-server.ts';

interface Reply {
  status: number;
  body: {
    id?: string;
    state?: string;
    code?: string;
    items?: ({ id: string; state: string } & Record<string, unknown>)[];
  } & Record<string, unknown>;
}

let database: TestDatabase;
let sandbox: Sandbox;

before(async () => {
  database = await createTestDatabase();
  sandbox = await startSandbox({ databaseUrl: database.url, port: 0 });
});
after(async () => {
  await sandbox.close();
  await database.drop();
});

async function call(method: string, path: string, body?: unknown, key?: string, url = sandbox.url): Promise<Reply> {
  const response = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Reply['body'] };
}
const payment = (token: string, reference: string, amount = 1_999) => ({
  amount,
  currency: 'USD',
  token,
  reference,
  captureMethod: 'manual',
});
const newOrder = () => `ord_${randomUUID()}`;
const authorise = (token: string, reference: string, key = `${reference}:authorise`, url = sandbox.url) =>
  call('POST', '/v1/payments', payment(token, reference), key, url);
const listed = async (reference: string, url = sandbox.url) =>
  (await call('GET', `/v1/payments?reference=${reference}`, undefined, undefined, url)).body.items ?? [];

test('tok_ok authorises, is found by id and reference, and keeps the fingerprint of its suffix', async () => {
  const reference = newOrder();
  const { status, body } = await authorise('tok_ok:card-7', reference);
  assert.equal(status, 200);
  assert.equal(body.state, 'authorized');
  assert.equal(body.fingerprint, 'card-7');
  assert.deepEqual([body.reference, body.amount, body.currency], [reference, 1_999, 'USD']);
  assert.deepEqual(await listed(reference), [body]);
  assert.deepEqual((await call('GET', `/v1/payments/${body.id}`)).body, body);
});

for (const [token, code] of [
  ['tok_declined', 'card_declined'],
  ['tok_insufficient_funds', 'insufficient_funds'],
  ['tok_requires_action', 'requires_action_unsupported'],
  ['tok_nobody_knows', 'card_unknown'],
]) {
  test(`${token} is refused with ${code}, again under the same key, and leaves no payment`, async () => {
    const reference = newOrder();
    for (let i = 0; i < 2; i += 1) {
      const { status, body } = await authorise(token ?? '', reference);
      assert.deepEqual([status, body.code], [402, code]);
    }
    assert.deepEqual(await listed(reference), []);
  });
}

test('tok_timeout authorises and loses only its first answer', async () => {
  const reference = newOrder();
  await assert.rejects(authorise('tok_timeout', reference));
  const [found] = await listed(reference);
  const again = await authorise('tok_timeout', reference);
  assert.equal(again.status, 200);
  assert.equal(again.body.id, found?.id);
  assert.equal((await listed(reference)).length, 1);
});

test('tok_late is authorised but absent from the reference until it is repeated under its key', async () => {
  const reference = newOrder();
  await assert.rejects(authorise('tok_late', reference));
  const rows = await database.query<{ state: string }>('SELECT state FROM sandbox.payment WHERE reference = $1', [
    reference,
  ]);
  assert.deepEqual(rows, [{ state: 'authorized' }]);
  assert.deepEqual(await listed(reference), []);
  const again = await authorise('tok_late', reference);
  assert.equal(again.status, 200);
  assert.deepEqual(
    (await listed(reference)).map((item) => item.id),
    [again.body.id],
  );
});

test('tok_error fails twice per key, even across a restart of the provider, then authorises', async () => {
  const reference = newOrder();
  assert.equal((await authorise('tok_error', reference)).status, 500);
  const second = await startSandbox({ databaseUrl: database.url, port: 0 });
  try {
    assert.equal((await authorise('tok_error', reference, undefined, second.url)).status, 500);
    assert.deepEqual(await listed(reference, second.url), []);
    assert.equal((await authorise('tok_error', reference, undefined, second.url)).status, 200);
  } finally {
    await second.close();
  }
  assert.equal((await listed(reference)).length, 1);
});

test('tok_slow has its payment before its answer', async () => {
  const reference = newOrder();
  let answered = false;
  const answer = authorise('tok_slow', reference).then((reply) => {
    answered = true;
    return reply;
  });
  await eventually(async () => (await listed(reference)).length === 1);
  assert.equal(answered, false);
  assert.equal((await answer).status, 200);
});

test('one key twenty times at once makes one payment and one answer', async () => {
  const reference = newOrder();
  const replies = await Promise.all(Array.from({ length: 20 }, () => authorise('tok_ok', reference)));
  assert.deepEqual(new Set(replies.map((reply) => reply.status)), new Set([200]));
  assert.equal(new Set(replies.map((reply) => reply.body.id)).size, 1);
  assert.equal((await listed(reference)).length, 1);
});

test('one refund key twenty times at once refunds once', async () => {
  const reference = newOrder();
  const { body } = await authorise('tok_ok', reference);
  await call('POST', `/v1/payments/${body.id}/capture`, {}, `${reference}:capture`);
  const refunds = await Promise.all(
    Array.from({ length: 20 }, () =>
      call('POST', `/v1/payments/${body.id}/refund`, { amount: 500 }, `${reference}:r1`),
    ),
  );
  assert.deepEqual(new Set(refunds.map((reply) => reply.body.refundedAmount)), new Set([500]));
});

test('one capture key twenty times at once captures once, with one answer; another key is refused', async () => {
  const reference = newOrder();
  const { body } = await authorise('tok_ok', reference);
  const capture = (key: string) => call('POST', `/v1/payments/${body.id}/capture`, { amount: 400 }, key);
  const replies = await Promise.all(Array.from({ length: 20 }, () => capture(`${reference}:capture`)));
  const expected = { ...body, state: 'captured', capturedAmount: 400 };
  for (const reply of replies) assert.deepEqual([reply.status, reply.body], [200, expected]);
  assert.deepEqual(await listed(reference), [expected]);
  assert.equal((await capture(`${reference}:other`)).status, 409);
  const more = await call('POST', `/v1/payments/${body.id}/capture`, { amount: 500 }, `${reference}:capture`);
  assert.equal(more.status, 422);
});

test('a crowd at once: each has its own payment and capture, and of two keys for one payment one captures', async () => {
  const references = Array.from({ length: 100 }, newOrder);
  const made = await Promise.all(references.map((reference) => authorise('tok_ok', reference)));
  for (const [index, { status, body }] of made.entries())
    assert.deepEqual([status, body.reference, body.state], [200, references[index], 'authorized']);
  assert.equal(new Set(made.map(({ body }) => body.id)).size, references.length);
  const capture = ({ body }: Reply, amount: number, key: string) =>
    call('POST', `/v1/payments/${body.id}/capture`, { amount }, `${body.reference}:${key}`);
  const pairs = await Promise.all(
    made.map((payment, index) => Promise.all([capture(payment, index + 1, 'a'), capture(payment, index + 2, 'b')])),
  );
  for (const [index, pair] of pairs.entries()) {
    assert.deepEqual(pair.map(({ status }) => status).sort(), [200, 409]);
    const [done] = await listed(references[index] ?? '');
    const won = pair.findIndex(({ status }) => status === 200);
    assert.deepEqual([done?.state, done?.capturedAmount], ['captured', index + 1 + won]);
    assert.deepEqual(pair[won]?.body, done);
  }
});

test('a key that comes with another request is refused', async () => {
  const reference = newOrder();
  await authorise('tok_ok', reference);
  const other = await call('POST', '/v1/payments', payment('tok_ok', reference, 2_000), `${reference}:authorise`);
  assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused']);
});

test('capture, refund in parts and void keep to the states, and repeat under their key', async () => {
  const first = (await authorise('tok_ok', newOrder())).body;
  const step = (action: string, key: string, body: unknown = {}) =>
    call('POST', `/v1/payments/${first.id}/${action}`, body, `${first.id}:${key}`);
  assert.equal((await step('refund', 'early')).body.code, 'wrong_state');
  assert.equal((await step('capture', 'big', { amount: 2_000 })).body.code, 'amount_too_large');
  const captured = await step('capture', 'c', { amount: 1_999 });
  assert.deepEqual([captured.status, captured.body.state], [200, 'captured']);
  assert.deepEqual((await step('capture', 'c', { amount: 1_999 })).body, captured.body);
  assert.deepEqual((await step('capture', 'c2')).body.code, 'wrong_state');
  assert.equal((await step('void', 'v')).status, 409);
  assert.equal((await step('refund', 'r1', { amount: 999 })).body.state, 'captured');
  assert.equal((await step('refund', 'r2', { amount: 1_001 })).body.code, 'amount_too_large');
  assert.equal((await step('refund', 'r3')).body.state, 'refunded');
  assert.equal((await step('refund', 'r4')).body.code, 'wrong_state');

  const second = (await authorise('tok_ok', newOrder())).body;
  assert.equal((await call('POST', `/v1/payments/${second.id}/void`, {}, `${second.id}:v`)).body.state, 'voided');
  const late = await call('POST', `/v1/payments/${second.id}/capture`, {}, `${second.id}:c`);
  assert.deepEqual([late.status, late.body.code], [409, 'wrong_state']);
  assert.equal((await call('POST', '/v1/payments/pay_none/void', {}, randomUUID())).status, 404);
});

test('a capture and a void at once have exactly one winner', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { body } = await authorise('tok_ok', newOrder());
    const replies = await Promise.all(
      ['capture', 'void'].map((action) =>
        call('POST', `/v1/payments/${body.id}/${action}`, {}, `${body.id}:${action}`),
      ),
    );
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 409]);
  }
});

test('malformed, oversized and foreign requests answer a code and make no payment', async () => {
  const good = payment('tok_ok', newOrder());
  const bad: [unknown, number][] = [
    ['{', 400],
    ['[]', 400],
    ['null', 400],
    [{ ...good, amount: 0 }, 400],
    [{ ...good, amount: 1.5 }, 400],
    [{ ...good, amount: '1999' }, 400],
    [{ ...good, amount: 1e15 }, 400],
    [{ ...good, currency: 'usd' }, 400],
    [{ ...good, token: '' }, 400],
    [{ ...good, token: 'tok_ok\u0000' }, 400],
    [{ ...good, reference: 'x'.repeat(256) }, 400],
    [{ ...good, captureMethod: 'automatic' }, 400],
    [{ ...good, surprise: true }, 400],
    [{ ...good, padding: 'x'.repeat(17_000) }, 413],
  ];
  for (const [body, status] of bad) {
    const reply = await call('POST', '/v1/payments', body, randomUUID());
    assert.equal(reply.status, status, JSON.stringify(body).slice(0, 80));
    assert.equal(typeof reply.body.code, 'string');
  }
  assert.equal((await call('POST', '/v1/payments', good)).body.code, 'idempotency_key_required');
  assert.equal((await call('GET', '/v1/payments')).status, 400);
  assert.equal((await call('GET', '/v1/payments/pay_none')).status, 404);
  assert.equal((await call('DELETE', '/v1/payments')).status, 405);
  assert.equal((await call('GET', '/elsewhere')).status, 404);
  assert.deepEqual(await listed(good.reference), []);
});

test('a request target that is no URL gets an answer and the provider goes on', async () => {
  const { hostname, port } = new URL(sandbox.url);
  const socket = connect(Number(port), hostname);
  socket.end('GET // HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 404 /);
  socket.destroy();
  assert.equal((await authorise('tok_ok', newOrder())).status, 200);
});

test('the provider outlives the loss of all its connections', async () => {
  const reference = newOrder();
  await authorise('tok_ok', reference);
  await database.cutConnections();
  const found = await eventually(async () => {
    const reply = await call('GET', `/v1/payments?reference=${reference}`);
    assert.ok(reply.status === 200 || reply.status === 500);
    return reply.status === 200 && reply.body.items;
  });
  assert.equal(found.length, 1);
});

test("the sandbox's role can read nothing of the shop, not even through the provider's own connections", async () => {
  await database.query('CREATE SCHEMA IF NOT EXISTS stampede');
  await database.query('CREATE TABLE stampede.journal (payload bytea)');
  const users = await database.query<{ usename: string }>(
    'SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1',
    [SANDBOX_ROLE],
  );
  // Logged in as the role where the server asks it for no password, or where it could be given one; else as the user of the
  // address, with the role set.
  const { host, port, database: name, user, password } = new pg.Client({ connectionString: database.url });
  const direct = new pg.Client({ host, port, database: name, user: SANDBOX_ROLE });
  const welcome = await direct.connect().then(
    () => direct.end().then(() => true),
    () => false,
  );
  const [self] = await database.query<{ super: boolean }>(
    'SELECT rolsuper AS super FROM pg_roles WHERE rolname = current_user',
  );
  const own = welcome || (self?.super === true && typeof password === 'string' && password !== '');
  assert.deepEqual(users, [{ usename: own ? SANDBOX_ROLE : user }]);
  const [rights] = await database.query(
    `SELECT has_schema_privilege($1, 'stampede', 'USAGE') AS usage, has_table_privilege($1, 'stampede.journal', 'SELECT') AS read,
            rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = $1`,
    [SANDBOX_ROLE],
  );
  assert.deepEqual(rights, { usage: false, read: false, rolsuper: false, rolcreaterole: false, rolcreatedb: false });
  const client = new pg.Client({ connectionString: database.url, options: `-c role=${SANDBOX_ROLE}` });
  await client.connect();
  await assert.rejects(client.query('SELECT * FROM stampede.journal'), { code: '42501' });
  await client.end();
});

async function startChild(): Promise<{ child: ChildProcess; url: string }> {
  const module = new URL('./sandbox-server.js', import.meta.url).href;
  const code = `const { startSandbox } = await import(${JSON.stringify(module)});
    console.log((await startSandbox({ databaseUrl: ${JSON.stringify(database.url)}, port: 0 })).url);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, url: line.toString().trim() };
}

test('a provider killed in mid-request has made each payment once or not at all, and repeats end with once', async () => {
  const orders = Array.from({ length: 40 }, newOrder);
  let { child, url } = await startChild();
  const dead = once(child, 'exit');
  const slow = newOrder();
  const first = Promise.allSettled(orders.map((order) => authorise('tok_ok', order, undefined, url)));
  const cut = assert.rejects(authorise('tok_slow', slow, undefined, url));
  // The slow card's payment is committed and its answer is still to come: this is the middle.
  await eventually(async () => (await listed(slow)).length === 1);
  child.kill('SIGKILL');
  await dead;
  await cut;
  const before = new Map<string, string>();
  for (const [i, result] of (await first).entries()) {
    if (result.status === 'fulfilled') before.set(orders[i] ?? '', result.value.body.id ?? '');
  }

  ({ child, url } = await startChild());
  try {
    for (const order of [slow, ...orders]) {
      const reply = await authorise(order === slow ? 'tok_slow' : 'tok_ok', order, undefined, url);
      assert.equal(reply.status, 200);
      if (before.has(order)) assert.equal(reply.body.id, before.get(order));
      assert.deepEqual(
        (await listed(order)).map((item) => item.id),
        [reply.body.id],
      );
    }
  } finally {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
});

test('each change of a payment is told to the shop once, also where its answer was lost', async () => {
  const told: unknown[] = [];
  const shop = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    told.push(JSON.parse(Buffer.concat(chunks).toString()));
    response.writeHead(204).end();
  });
  await once(shop.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(shop.address() as AddressInfo).port}/`;
  const secret = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
  const telling = await startSandbox({ databaseUrl: database.url, port: 0, notices: { url, secret } });
  try {
    const reference = newOrder();
    await assert.rejects(authorise('tok_timeout', reference, undefined, telling.url));
    const { id: paymentId } = (await authorise('tok_timeout', reference, undefined, telling.url)).body;
    await eventually(async () => told.length === 1);
    await call('POST', `/v1/payments/${paymentId}/void`, {}, `${reference}:void`, telling.url);
    await eventually(async () => told.length === 2);
    const notice = (state: string) => ({ type: `payment.${state}`, reference, paymentId, state });
    assert.deepEqual(told, [notice('authorized'), notice('voided')]);
  } finally {
    await telling.close();
    shop.closeAllConnections();
    await new Promise((resolve) => shop.close(resolve));
  }
});
