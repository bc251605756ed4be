/** The jobs of an order against the real provider and real files; the order is a stand-in that keeps the order's promises. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { PaymentProvider } from '../payments/provider.ts';
import { sandboxProvider } from '../payments/sandbox-client.ts';
import { type Sandbox, startSandbox } from '../payments/sandbox-server.ts';
import { Fault } from '../runtime/fault.ts';
import { createTestDatabase, type TestDatabase } from '../schema/test-database.ts';
import { captureJob } from './capture-job.ts';
import { answerCleanupJob, cartCleanupJob } from './cart-cleanup-job.ts';
import { emailJob } from './email-job.ts';
import { openMailer } from './mailer.ts';
import type { AskActor, OrderContact, OrderJobCommand } from './order-jobs.ts';
import { moneyText, orderMail } from './order-mail.ts';
import type { Quote } from './quote.ts';

let database: TestDatabase;
let sandbox: Sandbox;
let provider: PaymentProvider;
let directory: string;
before(async () => {
  database = await createTestDatabase();
  sandbox = await startSandbox({ databaseUrl: database.url, port: 0 });
  provider = sandboxProvider({ url: sandbox.url });
  directory = await mkdtemp(join(tmpdir(), 'stampede-mail-'));
});
after(async () => {
  await sandbox.close();
  await database.drop();
  await rm(directory, { recursive: true });
});

const quote: Quote = {
  bookVersion: 1,
  currency: 'USD',
  lines: [
    {
      id: 'lin_1',
      sku: 'MUG',
      name: 'Mug <b>big</b> & "blue"',
      quantity: 2,
      unitPrice: 1_299,
      subtotal: 2_598,
      discount: 260,
      tax: 193,
      taxIncluded: 0,
      total: 2_531,
    },
  ],
  discounts: [{ code: 'SAVE10', label: 'Ten per cent off', amount: 260 }],
  shipping: { method: 'standard', price: 500, tax: 0, taxIncluded: 0, total: 500 },
  taxes: [{ name: 'Texas sales tax', ratePpm: 82_500, base: 2_338, amount: 193, included: false }],
  taxState: 'final',
  subtotal: 2_598,
  discount: 260,
  shippingPrice: 500,
  taxAdded: 193,
  taxIncluded: 0,
  total: 3_031,
  warnings: [],
};
const contact: OrderContact = {
  email: 'ada@example.com',
  shippingAddress: {
    name: 'Ada Lovelace',
    line1: '1 Analytical Way',
    city: 'Austin',
    region: 'TX',
    postalCode: '78701',
    country: 'US',
  },
};

/** An order that says yes to a capture and notes what it hears. */
function standIn(paymentId: string, more: Record<string, unknown> = {}) {
  const heard: OrderJobCommand[] = [];
  const id = `ord_${randomUUID()}`;
  const order = { id, state: 'confirmed', quote, placedAt: 1_700_000_000_000, ...more };
  const ask: AskActor = async (ref, command) => {
    assert.deepEqual(ref, { type: 'order', id });
    heard.push(command);
    if (command.kind === 'request_email') return { ok: true, kind: 'order', order };
    if (command.kind === 'request_capture') return { ok: true, kind: 'capture', paymentId, amount: 1_999 };
    return { ok: true, kind: 'done' };
  };
  return { id, ask, heard };
}
async function authorised(): Promise<string> {
  const reference = `ord_${randomUUID()}`;
  const outcome = await provider.authorise({ amount: 1_999, currency: 'USD', token: 'tok_ok', reference }, reference);
  assert.ok(outcome.ok);
  return outcome.payment.id;
}
const doc = (order: { id: string }) => ({ orderId: order.id });

test('a capture asks the order first, captures once however often it runs, and reports', async () => {
  const order = standIn(await authorised());
  const job = captureJob({ ask: order.ask, provider });
  await job.run(doc(order), 'row');
  await job.run(doc(order), 'row');
  assert.deepEqual(
    order.heard.map((command) => command.kind),
    ['request_capture', 'capture_done', 'request_capture', 'capture_done'],
  );
});

test('a capture that dies before its report is repeated without a second capture', async () => {
  const order = standIn(await authorised());
  let calls = 0;
  const dying: AskActor = async (ref, command) => {
    if (command.kind === 'capture_done' && calls++ === 0) throw new Fault('shard_unavailable', 'gone');
    return order.ask(ref, command);
  };
  const job = captureJob({ ask: dying, provider });
  await assert.rejects(job.run(doc(order), 'row'));
  await job.run(doc(order), 'row');
  assert.deepEqual(order.heard.at(-1), { kind: 'capture_done', outboxId: 'row' });
});

test('a capture that the provider refuses for good is reported with its code, and the job fails for good', async () => {
  const paymentId = await authorised();
  await provider.void(paymentId, `${paymentId}:void`);
  const order = standIn(paymentId);
  await assert.rejects(captureJob({ ask: order.ask, provider }).run(doc(order), 'row'), {
    retryable: false,
    message: /wrong_state/,
  });
  assert.deepEqual(order.heard.at(-1), { kind: 'capture_refused', outboxId: 'row', code: 'wrong_state' });
});

test('an order with nothing to capture is left alone', async () => {
  const order = standIn('');
  const ask: AskActor = async (_ref, command) => {
    order.heard.push(command);
    return { ok: true, kind: 'done' };
  };
  await captureJob({ ask, provider }).run(doc(order), 'row');
  assert.equal(order.heard.length, 1);
});

test('an unknown outcome reports nothing and throws', async () => {
  const order = standIn('pay_1');
  const lonely = sandboxProvider({ url: 'http://127.0.0.1:1' });
  await assert.rejects(captureJob({ ask: order.ask, provider: lonely }).run(doc(order), 'row'), {
    code: 'effect_failed',
  });
  assert.deepEqual(
    order.heard.map((command) => command.kind),
    ['request_capture'],
  );
});

test('a job that names no order fails for good', async () => {
  const { ask } = standIn('');
  for (const job of [captureJob({ ask, provider }), cartCleanupJob({ removeCart: async () => undefined })]) {
    await assert.rejects(job.run({}, 'row'), (error) => error instanceof Fault && !error.retryable);
  }
});

const files = async (id: string) => (await readdir(directory)).filter((name) => name.includes(id));

test('a confirmation is written once: a crash before the report sends the same mail to the same file', async () => {
  const order = standIn('');
  const mailer = openMailer({ directory, from: 'Shop <orders@shop.example>' });
  let calls = 0;
  const dying: AskActor = async (ref, command) => {
    if (command.kind === 'email_sent' && calls++ === 0) throw new Fault('database_unavailable', 'gone');
    return order.ask(ref, command);
  };
  const job = emailJob({ ask: dying, openContact: async () => contact, mailer });
  const read = async () => {
    assert.deepEqual(await files(order.id), [`${order.id}.eml`]);
    return readFile(join(directory, `${order.id}.eml`), 'utf8');
  };
  await assert.rejects(job.run(doc(order), 'row'));
  const first = await read();
  await job.run(doc(order), 'row');
  const second = await read();
  const id = (text: string) => /^Message-ID:\s+(\S+)$/im.exec(text)?.[1];
  assert.equal(id(first), `<${order.id}@shop.example>`);
  assert.equal(id(second), id(first));
  assert.match(first, /^To: Ada Lovelace <ada@example\.com>$/m);
  assert.match(first, /^Date: Tue, 14 Nov 2023 22:13:20 \+0000$/m);
  assert.deepEqual(order.heard.at(-1), { kind: 'email_sent', outboxId: 'row' });
  mailer.close();
});

test('a mail whose sending is recorded is not sent again where its job runs once more', async () => {
  const order = standIn('');
  let sent = 0;
  const mailer = { send: async () => void sent++, close: () => undefined };
  const recording: AskActor = async (ref, command) => {
    if (command.kind === 'request_email' && order.heard.some(({ kind }) => kind === 'email_sent')) {
      return { ok: true, kind: 'done' };
    }
    return order.ask(ref, command);
  };
  const job = emailJob({ ask: recording, openContact: async () => contact, mailer });
  await job.run(doc(order), 'row');
  await job.run(doc(order), 'row');
  assert.equal(sent, 1);
});

test('an erased person and a cancelled order get no mail, and the row is closed', async () => {
  const mailer = openMailer({ directory });
  const erased = standIn('');
  await emailJob({ ask: erased.ask, openContact: async () => null, mailer }).run(doc(erased), 'row');
  const cancelled = standIn('', { state: 'cancelled' });
  await emailJob({ ask: cancelled.ask, openContact: async () => contact, mailer }).run(doc(cancelled), 'row');
  for (const order of [erased, cancelled]) {
    assert.deepEqual(await files(order.id), []);
    assert.equal(order.heard.at(-1)?.kind, 'email_sent');
  }
});

test('the confirmation lists lines, totals, taxes and address, and its HTML escapes what shoppers and shops wrote', () => {
  const mail = orderMail({ id: 'ord_1', placedAt: 0, quote }, contact);
  for (const part of ['2 × Mug', '25.31 USD', '-2.60 USD', 'Texas sales tax 8.25 %', '30.31 USD', 'Austin TX 78701']) {
    assert.ok(mail.text.includes(part), part);
    assert.ok(mail.html.includes(part), part);
  }
  assert.ok(mail.html.includes('Mug &lt;b&gt;big&lt;/b&gt; &amp; &quot;blue&quot;'));
  assert.ok(!mail.html.includes('<b>big'));
});

test('a name with line breaks adds no header to a mail', async () => {
  const mailer = openMailer({ directory });
  const name = 'Ada\r\nBcc: everyone@example.com';
  const mail = orderMail(
    { id: 'ord_evil', placedAt: 0, quote },
    { ...contact, shippingAddress: { ...contact.shippingAddress, name } },
  );
  await mailer.send(mail);
  const text = await readFile(join(directory, 'ord_evil.eml'), 'utf8');
  assert.doesNotMatch(text.slice(0, text.indexOf('\n\n')), /^Bcc:/im);
  await assert.rejects(mailer.send({ ...mail, name: '../elsewhere' }), { retryable: false });
});

test('many mails at once are all there, and a mailer that is closed says so to who waited and writes no more', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stampede-mails-'));
  try {
    const mailer = openMailer({ directory: folder });
    const mail = (id: string) => orderMail({ id, placedAt: 0, quote }, contact);
    const ids = Array.from({ length: 80 }, (_, index) => `ord_many_${index}`);
    await Promise.all(ids.map((id) => mailer.send(mail(id))));
    assert.deepEqual((await readdir(folder)).sort(), ids.map((id) => `${id}.eml`).sort());
    const late = Promise.allSettled(ids.map((id) => mailer.send(mail(`${id}_late`))));
    mailer.close();
    for (const { status } of await late) assert.equal(status, 'rejected');
    await assert.rejects(mailer.send(mail('ord_too_late')), /is closed/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('money reads as its minor unit says', () => {
  assert.equal(moneyText(123_450, 'USD'), '1,234.50 USD');
  assert.equal(moneyText(5, 'USD'), '0.05 USD');
  assert.equal(moneyText(1_234, 'JPY'), '1,234 JPY');
  assert.equal(moneyText(-1_234, 'KWD'), '-1.234 KWD');
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom('USD', 'JPY', 'KWD'), (amount, currency) => {
      const digits = { USD: 2, JPY: 0, KWD: 3 }[currency] ?? 0;
      const [text = ''] = moneyText(amount, currency).split(' ');
      assert.equal(Math.round(Number(text.replaceAll(',', '')) * 10 ** digits), amount);
      assert.match(text, /^-?\d{1,3}(,\d{3})*(\.\d+)?$/);
    }),
  );
});

test('a mail server takes the mail, and its refusal of an address fails for good', async () => {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let data = false;
    let body = '';
    socket.write('220 test\r\n');
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
        if (data) {
          if (line === '.') {
            data = false;
            received.push(body);
            socket.write('250 taken\r\n');
          } else body += `${line}\n`;
        } else if (line === 'DATA') {
          data = true;
          socket.write('354 go\r\n');
        } else socket.write(line.includes('nobody@') ? '550 no such user\r\n' : '250 ok\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const mailer = openMailer({ directory, smtpUrl: `smtp://127.0.0.1:${port}?ignoreTLS=true` });
  try {
    const mail = orderMail({ id: 'ord_smtp', placedAt: 0, quote }, contact);
    await mailer.send(mail);
    assert.match(received[0] ?? '', /Message-ID:\s+<ord_smtp@/i);
    const nobody = { ...mail, to: { name: 'Nobody', address: 'nobody@example.com' } };
    await assert.rejects(mailer.send(nobody), (error) => error instanceof Fault && !error.retryable);
  } finally {
    mailer.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

test('clean-up removes a cart with its row, and old answers in bounded statements until none is left', async () => {
  const removed: string[][] = [];
  await cartCleanupJob({
    removeCart: async (...args) => {
      removed.push(args);
    },
  }).run({ cartId: 'cart_1' }, 'row');
  assert.deepEqual(removed, [['cart_1', 'row']]);
  let left = 2_500;
  const job = answerCleanupJob({
    removeOldAnswers: async (limit) => {
      const now = Math.min(left, limit);
      left -= now;
      return now;
    },
  });
  await job.run({}, '');
  assert.equal(left, 0);
});
