/** Three nodes, one shop: any node serves anything, shards move while it sells, and nobody who was accepted goes unanswered. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import type { ClusterNode } from './bench/cluster-node.ts';
import { Cluster } from './bench/cluster-process.ts';
import { redisMissing } from './bench/redis-process.ts';
import { type Answer, entryPoint, until } from './bench/shop-process.ts';
import { addLine, type CartHandle, cartOf, checkout, inParallel, newCart, setAvailable } from './bench/shopper.ts';

const skip = redisMissing() ?? false;
let cluster: Cluster;
let skus: readonly string[];
before(async () => {
  if (skip !== false) return;
  cluster = await Cluster.start({ server: process.env.TEST_DATABASE_URL });
  const list = await cluster.request('GET', '/v1/products?limit=100');
  skus = list.body.items.map(({ sku }: { sku: string }) => sku);
  for (const sku of skus) await setAvailable(cluster, sku, 100_000);
});
after(() => cluster?.close());

interface Member {
  readonly node: string;
  readonly incarnation: string;
  readonly state: string;
  readonly shards: number;
}

async function membersSeenBy(node: ClusterNode): Promise<Member[]> {
  const answer = await node.admin('GET', '/v1/admin/cluster');
  assert.equal(answer.status, 200, answer.text);
  return answer.body.members;
}

async function shardsOf(node: ClusterNode): Promise<number> {
  return (await cluster.ownership()).counts.get(node.name) ?? 0;
}

/** A gauge or counter of the node's own. */
async function metric(node: ClusterNode, name: string): Promise<number> {
  const { text } = await node.admin('GET', '/metrics');
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

test('any node serves any cart, and one cart through all of them in order', { skip }, async () => {
  const [sku = ''] = skus;
  await inParallel(12, 4, async (index) => {
    const cart = await newCart(cluster.node(index % 3));
    for (let step = 0; step < 6; step++) {
      const answer = await addLine(cluster.node(step % 3), cart, sku);
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.body.version, step + 2);
    }
    const placed = await checkout(cluster.node((index + 1) % 3), cart);
    assert.equal(placed.status, 201, placed.text);
    const read = await cluster
      .node((index + 2) % 3)
      .request('GET', `/v1/orders/${placed.body.id}`, { token: cart.token });
    assert.equal(read.body.state, 'confirmed', read.text);
  });
  for (const node of cluster.nodes) {
    assert.ok((await metric(node, 'stampede_actors_asks_forwarded')) > 0, node.name);
    const share = await metric(node, 'stampede_cluster_local_share');
    assert.ok(share > 0 && share < 1, `${node.name}: ${share}`);
    assert.equal(await metric(node, 'stampede_cluster_members_alive'), 3);
    assert.equal(await metric(node, 'stampede_cluster_bus_connected'), 1);
    await until(
      'it counts its shards',
      async () => (await metric(node, 'stampede_cluster_shards_owned')) === (await shardsOf(node)),
    );
  }
});

test('a product that one node has just been given is sold at its price by all, also those that have not looked since', {
  skip,
}, async () => {
  for (let round = 0; round < 3; round++) {
    const node = cluster.node(round);
    const sku = `NEW-${round}`;
    const body = { name: 'New', category: 'New', prices: { USD: 1_234 } };
    const carts = await inParallel(12, 6, () => newCart(node));
    assert.equal((await node.admin('PUT', `/v1/admin/products/${sku}`, { body })).status, 201);
    const placed = await inParallel(12, 12, async (i) => {
      const cart = carts[i] as CartHandle;
      const added = await addLine(node, cart, sku);
      assert.equal(added.status, 200, added.text);
      assert.deepEqual([added.body.lines[0].unitPrice.amount, added.body.warnings], [1_234, []], added.text);
      return cart;
    });
    await setAvailable(node, sku, 100);
    const orders = await inParallel(12, 12, (i) => checkout(node, placed[i] as CartHandle));
    for (const { status, text } of orders) assert.equal(status, 201, text);
  }
});

test('the feed of each node tells of every sku, whoever has it', { skip }, async () => {
  const heard = cluster.nodes.map(() => new Map<string, number>());
  const sockets = cluster.nodes.map((node, index) => {
    const socket = new WebSocket(`ws://127.0.0.1:${node.port}/v1/feed?skus=${skus.join(',')}`);
    socket.on('message', (data: Buffer) => {
      const { sku, available } = JSON.parse(data.toString());
      if (sku !== undefined && available !== undefined) heard[index]?.set(sku, available);
    });
    return socket;
  });
  const allHear = (units: number) =>
    until(`every socket hears of ${units}`, () =>
      heard.every((levels) => skus.every((sku) => levels.get(sku) === units)),
    );
  for (const sku of skus) await setAvailable(cluster, sku, 70_000);
  await allHear(70_000);
  for (const socket of sockets) socket.terminate();
});

test('operators see the cluster from any node, and from the database alone', { skip }, async () => {
  for (const node of cluster.nodes) {
    const members = (await membersSeenBy(node)).filter(({ state }) => state === 'alive');
    assert.deepEqual(
      members.map((member) => member.node),
      ['node-1', 'node-2', 'node-3'],
    );
    assert.equal(
      members.reduce((sum, { shards }) => sum + shards, 0),
      256,
    );
  }
  const env = { PATH: process.env.PATH, DATABASE_URL: cluster.databaseUrl };
  const { stdout } = await promisify(execFile)(process.execPath, [entryPoint(), 'cluster'], { env });
  assert.match(stdout, /^3 alive of \d members; 256 shards \(hash 1\), \d+ to be moved/);
  for (const node of cluster.nodes) assert.match(stdout, new RegExp(`^${node.name} +alive +\\d+ `, 'm'));
});

test('a node that an operator drains gives all away and stays out; restarted it takes its share', {
  skip,
}, async () => {
  const node = cluster.node(0);
  const cart = await cartOf(node, skus[0] ?? '');
  assert.equal((await node.admin('POST', '/v1/admin/cluster/drain/nobody')).status, 404);
  const asked = await cluster.node(1).admin('POST', `/v1/admin/cluster/drain/${node.name}`);
  assert.equal(asked.status, 202, asked.text);
  await until('it has nothing', async () => (await shardsOf(node)) === 0);
  const ready = await node.request('GET', '/readyz');
  assert.equal(ready.status, 503);
  assert.deepEqual(ready.body.reasons, ['leaving']);
  assert.equal((await membersSeenBy(node)).find((member) => member.node === node.name)?.state, 'leaving');
  const served = await addLine(node, cart, skus[0] ?? '');
  assert.equal(served.status, 200, served.text);
  assert.equal(await node.terminate(), 0, node.logTail());
  await node.start();
  await until('it has shards again', async () => (await shardsOf(node)) > 20);
});

test('a node that ends under load leaves nobody unanswered', { skip }, async () => {
  const node = cluster.node(1);
  const other = cluster.node(0);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const carts = await inParallel(16, 8, () => newCart(other));
  const unanswered: string[] = [];
  const statuses = new Map<number, number>();
  let over = false;
  // Without keys: nothing may be decided twice, so nothing may be lost on its way either. Half of it comes through a node that stays.
  const load = carts.map(async (cart, index) => {
    while (!over) {
      const outcome = await addThrough(agent, index % 2 === 0 ? node.port : other.port, cart, skus[0] ?? '');
      if (outcome === 'refused') return;
      if (typeof outcome === 'string') unanswered.push(outcome);
      else statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1);
    }
  });
  await until('there is load', () => (statuses.get(200) ?? 0) > 100);
  let redFirst = false;
  const watch = until('it says that it is going', async () => {
    const ready = await node.request('GET', '/readyz');
    redFirst = ready.status === 503 && ready.body.reasons.includes('draining');
    return redFirst;
  });
  const [code] = await Promise.all([node.terminate(), watch]);
  const atItsEnd = statuses.get(200) ?? 0;
  await until('the others go on', () => (statuses.get(200) ?? 0) > atItsEnd + 50);
  over = true;
  await Promise.all(load);
  agent.destroy();
  assert.equal(code, 0, node.logTail());
  assert.ok(redFirst);
  assert.deepEqual(unanswered, []);
  assert.deepEqual([...statuses.keys()], [200], JSON.stringify([...statuses]));
  const { nodeIds } = await cluster.ownership();
  assert.ok(!nodeIds.includes(null) && !nodeIds.includes(node.name));
});

test('a node that stood still past its lease answers 503, drops what it knew, and joins anew', { skip }, async () => {
  const node = cluster.node(2);
  const other = cluster.node(0);
  const before = (await membersSeenBy(node)).find((member) => member.node === node.name && member.state === 'alive');
  const carts = await inParallel(24, 8, () => newCart(other));
  node.pause();
  // What its kernel accepts while it stands still, it finds when it wakes: its lease is over then.
  // A kept connection that was idle before may be cut then by the server's own limit: nothing is said on it, least of all a success.
  const waiting = carts.map((cart) => addLine(node, cart, skus[1] ?? '', 1, cart.id).catch(cutOff));
  await until('it is taken over', async () => (await shardsOf(node)) === 0);
  const sold = await inParallel(24, 8, (index) => addLine(other, carts[index] as CartHandle, skus[0] ?? ''));
  assert.deepEqual(new Set(sold.map(({ status }) => status)), new Set([200]));
  node.resume();
  const woken = (await Promise.all(waiting)).filter((answer) => answer !== null);
  const refused = woken.filter(({ status }) => status !== 200);
  assert.ok(refused.length > 0);
  for (const answer of refused) {
    assert.equal(answer.status, 503, answer.text);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
  }
  // What it reads of its sockets only when it has joined anew is served: from what is true then, so with what the others sold meanwhile.
  for (const answer of woken.filter(({ status }) => status === 200))
    assert.deepEqual(quantities(answer), new Map([skus[0], skus[1]].map((sku) => [sku, 1])), answer.text);
  await node.ready();
  const next = await until('it is a member again', async () =>
    (await membersSeenBy(node)).find((member) => member.node === node.name && member.state === 'alive'),
  );
  assert.notEqual(next.incarnation, before?.incarnation);
  assert.equal(await metric(node, 'stampede_cluster_fencings'), 1);
  // What was sold meanwhile is there, whichever node is asked; what was not answered is done once, when it is asked for again.
  for (const [index, cart] of carts.entries()) {
    const again = await addLine(index % 2 === 0 ? node : other, cart, skus[1] ?? '', 1, cart.id);
    assert.equal(again.status, 200, again.text);
    assert.deepEqual(quantities(again), new Map([skus[0], skus[1]].map((sku) => [sku, 1])), again.text);
  }
});

function quantities({ body }: Answer): Map<string, number> {
  return new Map(body.lines.map((line: { sku: string; quantity: number }) => [line.sku, line.quantity]));
}

/** Null for a connection that was cut; whatever else went wrong is thrown. */
function cutOff(error: NodeJS.ErrnoException): null {
  if (error.code !== 'ECONNRESET') throw error;
  return null;
}

/** The status, `refused` where nobody listens, or how a request that was under way ended without an answer. */
function addThrough(agent: http.Agent, port: number, cart: CartHandle, sku: string): Promise<number | string> {
  return new Promise((resolve) => {
    const body = JSON.stringify({ sku, quantity: 1 });
    const headers = {
      authorization: `Bearer ${cart.token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const path = `/v1/carts/${cart.id}/lines`;
    const call = http.request(
      { host: '127.0.0.1', port, method: 'POST', path, agent, headers, timeout: 20_000 },
      (answer) => {
        answer.resume();
        answer.once('end', () => resolve(answer.statusCode ?? 0));
        answer.once('error', (error) => resolve(`cut: ${error.message}`));
      },
    );
    call.once('timeout', () => call.destroy(new Error('timed out')));
    call.once('error', (error: NodeJS.ErrnoException) => {
      // A connection that the kernel had made, and nobody had accepted when the port closed, is reset by the kernel.
      const kernels = error.code === 'ECONNREFUSED' || (error.code === 'ECONNRESET' && !call.reusedSocket);
      resolve(kernels ? 'refused' : `${error.code}: ${error.message}`);
    });
    call.end(body);
  });
}
