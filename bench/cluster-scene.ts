/**
 * The scene of a fault test: a cluster, shoppers who never stop, a ledger of what they were told; something happens to the cluster; then
 * all comes to rest and every book is compared. And the things that happen, each named after what an operator would call it.
 */
import assert from 'node:assert/strict';
import { SCHEMA } from '../schema/database.ts';
import { type BooksResult, compareBooks } from './books.ts';
import { cartsByShard } from './cluster-carts.ts';
import type { ClusterNode } from './cluster-node.ts';
import { Cluster, type ClusterOptions } from './cluster-process.ts';
import { type Goods, type GoodsOptions, goodsFor } from './goods.ts';
import { Ledger } from './ledger.ts';
import { type NoAnswer, pause, until } from './shop-process.ts';
import { addLine, type CartHandle, inParallel } from './shopper.ts';
import { ShopperLoad, type ShopperLoadOptions } from './shopper-load.ts';

export interface Scene {
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly load: ShopperLoad;
  readonly goods: Goods;
}

export interface SceneOptions extends ClusterOptions {
  readonly goods?: GoodsOptions;
  readonly load?: Partial<Omit<ShopperLoadOptions, 'front' | 'ledger'>>;
}

/** What the comparison found, and what the shoppers met. */
export interface SceneResult extends BooksResult {
  readonly failures: Readonly<Record<string, number>>;
  readonly slowestMs: number;
}

export async function underLoad(
  options: SceneOptions,
  happening: (scene: Scene) => Promise<void>,
): Promise<SceneResult> {
  // A server that other tests use too may have no connections left for three nodes.
  const cluster = await Cluster.start({ ownPostgres: true, ...options });
  try {
    const goods = await goodsFor(cluster.nodes, options.goods);
    const ledger = new Ledger();
    const load = new ShopperLoad({ front: cluster, ledger, shoppers: 10, ...goods, ...options.load }).start();
    await until('there is load', () => load.count('200') > 50);
    try {
      await happening({ cluster, ledger, load, goods });
    } finally {
      await load.stop();
    }
    await cluster.settled();
    const books = await compareBooks({
      nodes: cluster.nodes,
      ledger,
      skus: [...goods.plainSkus, ...goods.heldSkus],
      payments: () => cluster.provider.payments(),
      databaseUrl: cluster.databaseUrl,
    });
    assert.ok(books.unitsTold > 0 && books.confirmed > 0, 'there was a load');
    return { ...books, failures: load.failures, slowestMs: Math.round(load.slowestMs) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // A new one: what is shown of an error is the message that it was made with.
    throw new Error(`${error.message}${await rowsOf(cluster)}${logsOf(cluster)}`, { cause: error });
  } finally {
    await cluster.close();
  }
}

/** Throws where a request came to no end in its time; else returns what it was given. */
export function noneHung(result: SceneResult): SceneResult {
  assert.equal(result.failures['timed out'], undefined, 'no request hung');
  return result;
}

/** Who owns what as the tables say, and who serves it as a node of each name says: what an operator would look at first. */
async function rowsOf(cluster: Cluster): Promise<string> {
  const rows = await cluster
    .query(
      `SELECT m.incarnation, m.state, m.renewals, count(s.shard)::int AS shards, now() - m.renewed_at AS quiet,
          (array_agg(s.shard ORDER BY s.shard))[1:12] AS some
        FROM ${SCHEMA}.member AS m FULL JOIN ${SCHEMA}.shard AS s ON s.owner = m.incarnation
        GROUP BY m.incarnation HAVING m.state <> 'dead' OR count(s.shard) > 0`,
    )
    .catch((error: Error) => [error.message]);
  return `\n${rows.map((row) => JSON.stringify(row)).join('\n')}`;
}

function logsOf(cluster: Cluster): string {
  const told = (node: ClusterNode) => [
    `${node.name} (${node.state}): ${node.logTail()}`,
    ...node.failedRequests().slice(-5),
  ];
  return cluster.nodes
    .flatMap(told)
    .map((line) => `\n${line}`)
    .join('');
}

/** `kill -9` of nodes at random; half of them come back at once, half only when the others have their shards. */
export async function killRounds({ cluster, load }: Scene, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await pause(300 + Math.random() * 1_500);
    const node = atRandom(cluster);
    const incarnation = await incarnationOf(cluster, node);
    await node.kill();
    if (Math.random() < 0.5) await until('its shards are taken over', () => owns(cluster, incarnation, 'nothing'));
    await node.start();
    await goesOn(load);
  }
}

/** SIGSTOP past the lease: the others take over; SIGCONT: it finds itself fenced and joins anew. */
export async function pauseRounds({ cluster, load }: Scene, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await pause(300 + Math.random() * 1_000);
    const node = atRandom(cluster);
    const incarnation = await incarnationOf(cluster, node);
    node.pause();
    await until('it is taken over', () => owns(cluster, incarnation, 'nothing'));
    await pause(Math.random() * 1_500);
    node.resume();
    const next = await until('it has joined anew', async () => {
      const found = await incarnationOf(cluster, node).catch(() => incarnation);
      return found === incarnation ? undefined : found;
    });
    await node.ready();
    await until('it has shards again', () => owns(cluster, next, 'something'));
    await goesOn(load);
  }
}

/**
 * Redis is gone for a while: every node stays ready, calls go on where they are local, and fail in bounded time where not. The shoppers are
 * no measure of that: each waits sooner or later for a call that needs another node.
 */
export async function redisRounds({ cluster, load, goods }: Scene, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await pause(500 + Math.random() * 1_000);
    const refusedBefore = load.count(/^503 /);
    await cluster.redis.kill();
    try {
      await until('calls to other nodes are refused', () => load.count(/^503 /) > refusedBefore);
      for (const node of cluster.nodes) await servesItsOwn(node, goods.plainSkus[0] ?? '');
      await pause(Math.random() * 2_000);
    } finally {
      await cluster.redis.start();
    }
    await servesEverywhere(cluster);
    await goesOn(load);
  }
}

/** A node that is down, or that stopped listening, took nothing: a balancer asks the next one. */
export const NOT_TAKEN: readonly string[] = ['nobody listens', 'reset at connect'] satisfies NoAnswer[];

/**
 * Every node is drained, ended and started again, one after the other; no request that a node took may fail by it. A machine that gives a
 * node no time for as long as a lease makes one fail all the same: then all of it is done once more, and what fails again is no accident.
 */
export async function rollingRestart(scene: Scene): Promise<void> {
  const first = await restartEach(scene);
  if (first.length > 0) assert.deepEqual(await restartEach(scene), [], `at first: ${JSON.stringify(first)}`);
}

/** Returns how requests failed meanwhile, and how many have so far. */
async function restartEach({ cluster, load }: Scene): Promise<[string, number][]> {
  const before = { ...load.failures };
  for (const node of cluster.nodes) {
    assert.equal(await node.terminate(), 0, node.logTail());
    await node.start();
    await cluster.settled();
    await goesOn(load);
  }
  return Object.entries(load.failures).filter(([end, count]) => !NOT_TAKEN.includes(end) && count > (before[end] ?? 0));
}

/** Until the shoppers have had some more good answers. */
export async function goesOn(load: ShopperLoad, answers = 40): Promise<void> {
  const before = load.count(/^2/);
  await until('the load goes on', () => load.count(/^2/) >= before + answers, 30_000);
}

/** The node is ready, and a cart of its own is opened and filled there. */
async function servesItsOwn(node: ClusterNode, sku: string): Promise<void> {
  assert.equal((await node.request('GET', '/readyz')).status, 200, `${node.name} is ready`);
  await until(`${node.name} serves a cart of its own`, async () => {
    const cart = await openedCart(node);
    return cart !== undefined && (await addLine(node, cart, sku)).status === 200;
  });
}

/** Until every node answers for actors of every other: a bus that came back is heard by all. */
export async function servesEverywhere(cluster: Cluster): Promise<void> {
  const carts = await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const node = cluster.node(index % cluster.nodes.length);
      return await until('a cart', () => openedCart(node));
    }),
  );
  for (const node of cluster.nodes)
    for (const { id, token } of carts)
      await until(`${node.name} answers for every cart`, async () => {
        const answer = await node.request('GET', `/v1/carts/${id}`, { token });
        return answer.status === 200;
      });
}

/** Undefined where the node does not open one now. */
async function openedCart(node: ClusterNode): Promise<CartHandle | undefined> {
  const { status, body } = await node.request('POST', '/v1/carts', { body: {} });
  return status === 201 ? { id: body.cart.id, token: body.token, total: null } : undefined;
}

/** Every node answers for every shard, whoever has it. */
export async function everyShardServes(cluster: Cluster): Promise<void> {
  const carts = await cartsByShard(cluster, 0);
  await inParallel(carts.length, 16, async (shard) => {
    const cart = carts[shard]?.[0];
    for (const node of cluster.nodes) {
      let last = '';
      await until('an answer', async () => {
        const answer = await node.request('GET', `/v1/carts/${cart?.id}`, { token: cart?.token ?? '' });
        last = `${answer.status} ${answer.text.slice(0, 200)}`;
        return answer.status === 200;
      }).catch(() => assert.fail(`${node.name} does not answer for shard ${shard}: ${last}`));
    }
  });
}

export function atRandom(cluster: Cluster): ClusterNode {
  return cluster.node(Math.floor(Math.random() * cluster.nodes.length));
}

/** Under which the node is a living member now. */
export async function incarnationOf(cluster: Cluster, node: ClusterNode): Promise<string> {
  const rows = await cluster.query<{ incarnation: string }>(
    `SELECT incarnation FROM ${SCHEMA}.member WHERE node_id = $1 AND state = 'alive'`,
    [node.name],
  );
  assert.equal(rows.length, 1, `${node.name} is ${rows.length} living members`);
  return rows[0]?.incarnation ?? '';
}

export async function owns(cluster: Cluster, incarnation: string, what: 'nothing' | 'something'): Promise<boolean> {
  const [row] = await cluster.query<{ shards: number }>(
    `SELECT count(*)::int AS shards FROM ${SCHEMA}.shard WHERE owner = $1`,
    [incarnation],
  );
  return (row?.shards ?? 0) > 0 === (what === 'something');
}
