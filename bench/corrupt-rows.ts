/**
 * Rows of the journal that nobody can read, as a failing disk or a careless hand leaves them: bytes of no event, an event that nobody knows,
 * one of a version still to come. Each is of an actor that has left memory, so that it is read; it can be mended again.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { encodeEvent } from '../runtime/codec.ts';
import { SCHEMA } from '../schema/database.ts';
import { goesOn, type Scene } from './cluster-scene.ts';
import { type Answer, until } from './shop-process.ts';
import { addLine, type CartHandle, newCart } from './shopper.ts';

interface Victim {
  readonly type: 'cart' | 'order' | 'sku';
  readonly id: string;
  /** Replaces the payload of its last event; its version is raised by `versions`. */
  readonly payload: Uint8Array | null;
  readonly versions: number;
  read(node: { request: Scene['cluster']['request']; admin: Scene['cluster']['admin'] }): Promise<Answer>;
}

const NO_EVENT = Buffer.from('c1ffff00deadbeef', 'hex');
const UNKNOWN_EVENT = encodeEvent({ kind: 'never_heard_of', at: 1 });
const SKU = 'FAULT-CORRUPT';

/** Returns how many actors were quarantined at once, and served again once mended. */
export async function corruptRows({ cluster, load, ledger, goods }: Scene, times: number): Promise<number> {
  const front = cluster;
  const carts: CartHandle[] = [];
  for (let i = 0; i < 3; i++) {
    const cart = await until('a cart', () => newCart(front).catch(() => undefined));
    assert.equal((await addLine(front, cart, goods.plainSkus[0] ?? '', 2)).status, 200);
    carts.push(cart);
  }
  const body = { name: SKU, category: 'Faults', taxCategory: 'standard', prices: { USD: 100 } };
  const first = cluster.node(0);
  assert.equal((await first.admin('PUT', `/v1/admin/products/${SKU}`, { body })).status, 201);
  const stock = { delta: 5, reason: 'fault test' };
  const key = randomUUID();
  const stocked = await first.admin('POST', `/v1/admin/stock/${SKU}/adjustments`, { key, body: stock });
  assert.equal(stocked.status, 200, stocked.text);
  const ordered = await until('an order', () =>
    ledger.carts.find((cart) => cart.orders.some(({ id, status }) => id !== null && status === 201)),
  );
  const orderId = ordered.orders.find(({ id }) => id !== null)?.id ?? '';
  const cartVictim = (index: number, payload: Uint8Array | null, versions = 0): Victim => {
    const cart = carts[index] as CartHandle;
    const read: Victim['read'] = (node) => node.request('GET', `/v1/carts/${cart.id}`, { token: cart.token });
    return { type: 'cart', id: cart.id, payload, versions, read };
  };
  const victims: Victim[] = [
    cartVictim(0, NO_EVENT),
    cartVictim(1, UNKNOWN_EVENT),
    cartVictim(2, null, 40),
    {
      type: 'order',
      id: orderId,
      payload: NO_EVENT,
      versions: 0,
      read: (node) => node.request('GET', `/v1/orders/${orderId}`, { token: ordered.token }),
    },
    {
      type: 'sku',
      id: SKU,
      payload: UNKNOWN_EVENT,
      versions: 0,
      read: (node) => node.admin('GET', `/v1/admin/stock/${SKU}`),
    },
  ];
  assert.equal(victims.length, times);
  for (const victim of victims)
    await until(
      `${victim.type} ${victim.id} is served`,
      async () => (await victim.read(cluster.node(0))).status === 200,
    );
  const intact = await corrupt(cluster, victims);
  for (const node of cluster.nodes) {
    assert.equal(await node.terminate(), 0, node.logTail());
    await node.start();
    await cluster.settled();
  }
  for (const node of cluster.nodes)
    for (const victim of victims)
      await until(`${victim.type} ${victim.id} is quarantined`, async () => {
        const { status, body: told } = await victim.read(node);
        assert.ok(status === 503 || told.code === 'quarantined', `${victim.type}: ${status} ${JSON.stringify(told)}`);
        return status === 500;
      });
  await reported(cluster, victims);
  // Everybody else has noticed nothing.
  await goesOn(load, 500);
  await mend(cluster, victims, intact);
  for (const victim of victims)
    await until(`${victim.type} ${victim.id} serves again`, async () => {
      return (await victim.read(cluster.node(0))).status === 200;
    });
  return victims.length;
}

/** In the nodes' logs, by name, and in their metrics. */
async function reported(cluster: Scene['cluster'], victims: readonly Victim[]): Promise<void> {
  let quarantined = 0;
  for (const node of cluster.nodes) {
    const { text } = await node.admin('GET', '/metrics');
    quarantined += Number(/^stampede_actors_quarantined (\d+)/m.exec(text)?.[1] ?? 0);
  }
  assert.equal(quarantined, victims.length, 'the metrics tell how many');
  const log = cluster.nodes.map((node) => node.log()).join('\n');
  for (const { id } of victims) assert.ok(log.includes(id), `a log names ${id}`);
}

interface Intact {
  readonly seq: number;
  readonly payload: Buffer;
  readonly version: number;
}

async function corrupt(cluster: Scene['cluster'], victims: readonly Victim[]): Promise<readonly Intact[]> {
  const all: Intact[] = [];
  for (const { type, id, payload, versions } of victims) {
    const [row] = await cluster.query<Intact>(
      `SELECT seq::int AS seq, payload, version FROM ${SCHEMA}.journal WHERE type = $1 AND id = $2 ORDER BY seq DESC LIMIT 1`,
      [type, id],
    );
    assert.ok(row !== undefined, `${type} ${id} has events`);
    all.push(row);
    await cluster.query(
      `UPDATE ${SCHEMA}.journal SET payload = $4, version = $5 WHERE type = $1 AND id = $2 AND seq = $3`,
      [type, id, row.seq, payload ?? row.payload, row.version + versions],
    );
    await cluster.query(`DELETE FROM ${SCHEMA}.snapshot WHERE type = $1 AND id = $2`, [type, id]);
  }
  return all;
}

async function mend(cluster: Scene['cluster'], victims: readonly Victim[], intact: readonly Intact[]): Promise<void> {
  for (const [index, { type, id }] of victims.entries()) {
    const row = intact[index];
    await cluster.query(
      `UPDATE ${SCHEMA}.journal SET payload = $4, version = $5 WHERE type = $1 AND id = $2 AND seq = $3`,
      [type, id, row?.seq, row?.payload, row?.version],
    );
  }
}
