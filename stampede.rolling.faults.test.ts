/**
 * A rolling restart of three nodes that share a port, under load: each child of a supervisor is told to end, one after the other, and is
 * started again. No request that a node has accepted fails or goes unanswered; writes carry no key, so none is repeated by its client.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { testRow } from './bench/fault-test.ts';
import { kill, Outside } from './bench/outside.ts';
import { redisMissing } from './bench/redis-process.ts';
import { freePort, until } from './bench/shop-process.ts';

const SHOPPERS = 24;
const ADDS_OF_A_CART = 20;

/** A status, `reset` by the kernel before anybody had accepted it, or how else it ended without an answer. */
interface Outcome {
  readonly status: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came
  readonly body: any;
}

function send(agent: http.Agent, port: number, path: string, body: object, token?: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const data = JSON.stringify(body);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(data),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const ended = (status: string) => resolve({ status, body: null });
    const call = http.request({ host: '127.0.0.1', port, method: 'POST', path, agent, headers }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.once('end', () => resolve({ status: String(answer.statusCode), body: JSON.parse(text) }));
      answer.once('error', (error) => ended(`cut: ${error.message}`));
    });
    call.once('error', (error: NodeJS.ErrnoException) =>
      ended(error.code === 'ECONNRESET' && !call.reusedSocket ? 'reset' : `${error.code}: ${error.message}`),
    );
    call.end(data);
  });
}

const environmentOf = (pid: number): string => readFileSync(`/proc/${pid}/environ`, 'latin1');

testRow('one-port', { skip: redisMissing() ?? false }, async () => {
  const outside = await Outside.open();
  const agent = new http.Agent({ keepAlive: true, maxSockets: SHOPPERS });
  try {
    const seed = outside.run(['seed', '--products', '3']);
    assert.equal(await seed.ended, 0, seed.stderr);
    const port = await freePort();
    const opsPort = await freePort();
    const run = outside.run(['start', '--nodes', '3'], { PORT: String(port), OPS_PORT: String(opsPort) });
    await run.says('3 nodes');
    const list = await fetch(`http://127.0.0.1:${port}/v1/products`).then((answer) => answer.json());
    const { sku } = (list as { items: { sku: string }[] }).items[0] ?? { sku: '' };

    const outcomes = new Map<string, number>();
    const count = ({ status }: Outcome) => outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
    let over = false;
    const load = Array.from({ length: SHOPPERS }, async () => {
      while (!over) {
        const made = await send(agent, port, '/v1/carts', {});
        count(made);
        for (let added = 0; made.status === '201' && added < ADDS_OF_A_CART && !over; added++) {
          const path = `/v1/carts/${made.body.cart.id}/lines`;
          const outcome = await send(agent, port, path, { sku, quantity: 1 }, made.body.token);
          count(outcome);
          // Decided once, and in order, wherever it came in.
          if (outcome.status === '200') assert.equal(outcome.body.lines[0].quantity, outcome.body.version - 1);
        }
      }
    });
    const served = () => outcomes.get('200') ?? 0;
    for (const index of [0, 1, 2]) {
      const before = served();
      await until('there is load', () => served() > before + 300, 60_000);
      const pid = run.children().find((one) => environmentOf(one).includes(`NODE_ID=node-${index + 1}\0`));
      assert.ok(pid !== undefined);
      kill(pid, 'SIGTERM');
      await until('it has ended', () => !run.children().includes(pid), 60_000);
      const ready = () => fetch(`http://127.0.0.1:${opsPort + index}/readyz`).then(({ status }) => status === 200);
      await until('another has taken its place', () => ready().catch(() => false), 60_000);
    }
    over = true;
    await Promise.all(load);
    run.signal('SIGTERM');
    assert.equal(await run.ended, 0, run.stderr);
    const resets = outcomes.get('reset') ?? 0;
    outcomes.delete('reset');
    assert.deepEqual(new Set(outcomes.keys()), new Set(['200', '201']), JSON.stringify([...outcomes]));
    // Connections that the kernel had made and no node had accepted (net.ipv4.tcp_migrate_req=1 hands these to the others).
    assert.ok(resets <= SHOPPERS, `${resets} resets`);
    return {
      'requests answered 2xx': served() + (outcomes.get('201') ?? 0),
      'connections reset by the kernel before anybody took them': resets,
    };
  } finally {
    agent.destroy();
    await outside.close();
  }
});
