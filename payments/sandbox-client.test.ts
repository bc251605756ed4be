/** The client and the order's payment effects, against the real sandbox and against servers that lie, hang and wander. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { Fault } from '../runtime/fault.ts';
import { createTestDatabase, eventually, type TestDatabase } from '../schema/test-database.ts';
import { paymentHandlers } from './effects.ts';
import type { PaymentProvider } from './provider.ts';
import { sandboxProvider } from './sandbox-client.ts';
import { type Sandbox, startSandbox } from './sandbox-server.ts';

let database: TestDatabase;
let sandbox: Sandbox;
let provider: PaymentProvider;

before(async () => {
  database = await createTestDatabase();
  sandbox = await startSandbox({ databaseUrl: database.url, port: 0 });
  provider = sandboxProvider({ url: `${sandbox.url}/` });
});
after(async () => {
  await sandbox.close();
  await database.drop();
});

const newOrder = () => `ord_${randomUUID()}`;
const request = (token: string, reference: string) => ({ amount: 1_999, currency: 'USD', token, reference });

/** Repeats as the runtime does: under the same key, until the outcome is definite. */
function untilDefinite<T>(call: () => Promise<T>): Promise<T> {
  return eventually(async () => {
    try {
      return (await call()) as T & object;
    } catch (error) {
      assert.ok(error instanceof Fault);
      assert.deepEqual([error.code, error.retryable], ['effect_failed', true]);
      return undefined;
    }
  });
}

/** A provider that answers whatever it likes, for as long as `use` runs. */
async function withServer(listener: RequestListener, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
const unknown = (error: unknown) => error instanceof Fault && error.code === 'effect_failed' && error.retryable;

for (const token of ['tok_ok', 'tok_timeout', 'tok_late', 'tok_error', 'tok_slow']) {
  test(`${token}, repeated until definite, ends in exactly one authorised payment`, async () => {
    const reference = newOrder();
    const outcome = await untilDefinite(() => provider.authorise(request(token, reference), `${reference}:authorise`));
    assert.ok(outcome.ok);
    assert.deepEqual(await provider.listByReference(reference), [outcome.payment]);
  });
}

test('a declined card is a definite refusal with the code of the provider', async () => {
  const reference = newOrder();
  assert.deepEqual(await provider.authorise(request('tok_declined', reference), reference), {
    ok: false,
    code: 'card_declined',
  });
});

test('a refused step is a value, not a fault', async () => {
  assert.deepEqual(await provider.void('pay_none', newOrder()), { ok: false, code: 'not_found' });
});

const honest = { id: 'pay_1', state: 'authorized', reference: 'ord_1', amount: 1_999, currency: 'USD' };
const lies: [string, number, unknown][] = [
  ['a page of HTML', 200, '<html>'],
  ['another amount', 200, { ...honest, amount: 1 }],
  ['another currency', 200, { ...honest, currency: 'EUR' }],
  ['another reference', 200, { ...honest, reference: 'ord_2' }],
  ['an unknown state', 200, { ...honest, state: 'perhaps' }],
  ['no id', 200, { ...honest, id: '' }],
  ['an amount that is no integer', 200, { ...honest, amount: 1_999.5 }],
  ['a list in place of a payment', 200, [honest]],
  ['a refusal without a code', 402, {}],
  ['a refusal with a page', 402, '<html>'],
  ['201', 201, honest],
  ['a payment with a server error', 500, honest],
  ['too many requests', 429, { code: 'slow_down' }],
  ['a conflict', 409, { code: 'in_progress' }],
  ['more than an answer may have', 200, { ...honest, padding: 'x'.repeat(300_000) }],
];
for (const [name, status, body] of lies) {
  test(`${name} is no outcome of an authorisation`, async () => {
    await withServer(
      (_request, response) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
      },
      async (url) => {
        await assert.rejects(sandboxProvider({ url }).authorise(request('tok_ok', 'ord_1'), 'key'), unknown);
      },
    );
  });
}

test('a capture answered with another payment, or one that is not captured, is no outcome', async () => {
  for (const body of [{ ...honest, id: 'pay_2', state: 'captured' }, honest, { ...honest, state: 'voided' }]) {
    await withServer(
      (_request, response) => response.end(JSON.stringify(body)),
      (url) => assert.rejects(sandboxProvider({ url }).capture('pay_1', 1_999, 'key'), unknown),
    );
  }
});

test('a redirect is not followed, so no payment goes where nobody configured', async () => {
  let visits = 0;
  await withServer(
    (_request, response) => {
      visits += 1;
      response.end(JSON.stringify(honest));
    },
    (elsewhere) =>
      withServer(
        (_request, response) => response.writeHead(302, { location: elsewhere }).end(),
        (url) => assert.rejects(sandboxProvider({ url }).authorise(request('tok_ok', 'ord_1'), 'key'), unknown),
      ),
  );
  assert.equal(visits, 0);
});

test('a provider that hangs before or within its answer ends in an unknown outcome', async () => {
  for (const listener of [
    () => undefined,
    (_request: unknown, response: { write(text: string): unknown }) => {
      response.write('{"id":');
    },
  ]) {
    await withServer(listener as RequestListener, (url) =>
      assert.rejects(sandboxProvider({ url, timeoutMs: 100 }).authorise(request('tok_ok', 'ord_1'), 'key'), unknown),
    );
  }
});

test('where nobody listens calls come to fail at once, and work again when somebody does', async () => {
  let port = 0;
  await withServer(
    () => undefined,
    async (url) => {
      port = Number(new URL(url).port);
    },
  );
  const lonely = sandboxProvider({ url: `http://127.0.0.1:${port}` });
  for (let i = 0; i < 25; i += 1) await assert.rejects(lonely.listByReference('ord_1'), unknown);
  await assert.rejects(lonely.listByReference('ord_1'), /is not asked now/);
  const server = createServer((_request, response) => response.end('{"items":[]}'));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  try {
    assert.deepEqual(await untilDefinite(() => lonely.listByReference('ord_1')), []);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('beyond its queue the client refuses at once instead of piling calls up', async () => {
  await withServer(
    () => undefined,
    async (url) => {
      const narrow = sandboxProvider({ url, timeoutMs: 60, concurrency: 1 });
      const calls = await Promise.allSettled(Array.from({ length: 18 }, () => narrow.listByReference('ord_1')));
      const refused = calls.filter((result) => result.status === 'rejected' && /not asked/.test(String(result.reason)));
      assert.equal(refused.length, 1);
      assert.ok(calls.every((result) => result.status === 'rejected' && unknown(result.reason)));
    },
  );
});

async function authorised(token = 'tok_ok') {
  const handlers = paymentHandlers(provider);
  const orderId = newOrder();
  const outcome = await untilDefinite(() =>
    handlers['payment.authorise']({ orderId, amount: 1_999, currency: 'USD', token }),
  );
  assert.ok(outcome.ok);
  assert.equal(outcome.provider, 'sandbox');
  return { handlers, orderId, paymentId: outcome.paymentId };
}
const stateOf = async (orderId: string) => (await provider.listByReference(orderId)).map((payment) => payment.state);

test('a void that was done by another key before has reached its goal', async () => {
  const { handlers, orderId, paymentId } = await authorised();
  await provider.void(paymentId, 'by-hand');
  assert.deepEqual(await handlers['payment.void']({ orderId, paymentId }), { ok: true });
  assert.deepEqual(await handlers['payment.void']({ orderId, paymentId }), { ok: true });
});

test('a void of a captured payment is refused', async () => {
  const { handlers, orderId, paymentId } = await authorised();
  await provider.capture(paymentId, 1_999, `${orderId}:capture`);
  assert.deepEqual(await handlers['payment.void']({ orderId, paymentId }), { ok: false, code: 'wrong_state' });
});

test('a refund captures first where that was requested, done or not, and repeats without a second effect', async () => {
  for (const capturedBy of [null, 'the job', 'by hand']) {
    const { handlers, orderId, paymentId } = await authorised();
    if (capturedBy === 'the job') await provider.capture(paymentId, 1_999, `${orderId}:capture`);
    if (capturedBy === 'by-hand') await provider.capture(paymentId, 1_999, `${orderId}:by-hand`);
    const input = { orderId, paymentId, amount: 1_999, captureFirst: true };
    assert.deepEqual(await handlers['payment.refund'](input), { ok: true });
    assert.deepEqual(await handlers['payment.refund'](input), { ok: true });
    assert.deepEqual(await stateOf(orderId), ['refunded']);
  }
});

test('a refund of a voided payment has nothing to give back, one of a mere authorisation is refused', async () => {
  const voided = await authorised();
  await provider.void(voided.paymentId, `${voided.orderId}:void`);
  const { orderId, paymentId } = voided;
  const outcome = await voided.handlers['payment.refund']({ orderId, paymentId, amount: 1_999, captureFirst: true });
  assert.deepEqual(outcome, { ok: true });
  const open = await authorised();
  assert.deepEqual(await open.handlers['payment.refund']({ ...open, amount: 1_999, captureFirst: false }), {
    ok: false,
    code: 'wrong_state',
  });
});
