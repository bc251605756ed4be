/** The sandbox's notices against a receiver that refuses, hangs up and is away. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { eventually } from '../schema/test-database.ts';
import { type NoticeHeaders, NoticeVerifier } from './notice.ts';
import { SandboxNotices } from './sandbox-notices.ts';

const SECRET = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;

interface Got {
  readonly id: string;
  readonly body: string;
  readonly genuine: boolean;
}

async function withReceiver(
  statusOf: (got: Got) => number,
  use: (notices: SandboxNotices, received: readonly Got[]) => Promise<void>,
): Promise<void> {
  const verifier = new NoticeVerifier([SECRET]);
  const received: Got[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const header = (name: keyof NoticeHeaders) => String(request.headers[name] ?? '');
    const got = {
      id: header('webhook-id'),
      body: body.toString(),
      genuine: verifier.isGenuine(body, header, Date.now()),
    };
    received.push(got);
    const status = statusOf(got);
    if (status === 0) request.socket.destroy();
    else response.writeHead(status, { location: '/elsewhere' }).end('x');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/webhooks/payments`;
  const notices = new SandboxNotices({ url, secret: SECRET, retryMs: 1 });
  try {
    await use(notices, received);
  } finally {
    notices.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('a notice is signed, and sent once where it is taken', async () => {
  await withReceiver(
    () => 204,
    async (notices, received) => {
      notices.tell({ type: 'payment.authorized', reference: 'ord_1' });
      await eventually(async () => notices.delivered === 1);
      assert.deepEqual(received, [
        { id: received[0]?.id, body: '{"type":"payment.authorized","reference":"ord_1"}', genuine: true },
      ]);
    },
  );
});

test('a notice that is refused, redirected or cut off is sent again under its id until it is taken', async () => {
  const statuses = [500, 0, 302, 429, 204];
  await withReceiver(
    () => statuses.shift() ?? 204,
    async (notices, received) => {
      notices.tell({ type: 'payment.voided', reference: 'ord_1' });
      await eventually(async () => notices.delivered === 1);
      assert.equal(received.length, 5);
      assert.equal(new Set(received.map(({ id }) => id)).size, 1);
      assert.ok(received.every(({ genuine }) => genuine));
    },
  );
});

test('more than can wait are dropped, and the rest still arrive', async () => {
  await withReceiver(
    () => 204,
    async (notices, received) => {
      for (let i = 0; i < 1_200; i++) notices.tell({ type: 'payment.captured', reference: `ord_${i}` });
      assert.equal(notices.dropped, 200);
      await eventually(async () => notices.delivered === 1_000);
      assert.equal(new Set(received.map(({ body }) => body)).size, 1_000);
    },
  );
});

test('after it is closed nothing is sent any more', async () => {
  await withReceiver(
    () => 204,
    async (notices, received) => {
      notices.close();
      notices.tell({ type: 'payment.captured', reference: 'ord_1' });
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(received.length, 0);
    },
  );
});
