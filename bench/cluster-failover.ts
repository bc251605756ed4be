/**
 * How long a shard is away: from `kill -9` of its node to the first write that is answered 200, for every shard that the dead node had; and
 * what shoppers notice of a node that is drained in good order.
 */
import { randomUUID } from 'node:crypto';
import type { CartsByShard } from './cluster-carts.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { Cluster } from './cluster-process.ts';
import { median } from './machine.ts';
import { noAnswerOf, pause } from './shop-process.ts';
import { addLine, type CartHandle } from './shopper.ts';

export interface FailoverReport {
  /** Of each round: until the last of the dead node's shards served again. */
  readonly roundsMs: readonly number[];
  readonly p50Ms: number;
  readonly worstMs: number;
  /** Median over all shards of all rounds. */
  readonly shardP50Ms: number;
  /** Shards that were waited for, over all rounds. */
  readonly shards: number;
}

const RETRY_MS = 20;
/** How long one try waits. */
const PROBE_MS = 250;
/** A shard that does not come back within this has been lost. */
const GIVE_UP_MS = 60_000;

export async function failoverRounds(
  cluster: Cluster,
  carts: CartsByShard,
  sku: string,
  rounds: number,
  tell: (line: string) => void,
): Promise<FailoverReport> {
  const roundsMs: number[] = [];
  const shardsMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const victim = cluster.node(round % cluster.nodes.length);
    const survivors = cluster.nodes.filter((node) => node !== victim);
    const { nodeIds } = await cluster.ownership();
    const lost = carts.flatMap((own, shard) => (nodeIds[shard] === victim.name && own[0] ? [own[0]] : []));
    // At any moment between two renewals.
    await pause(Math.random() * 1_000);
    const killedAt = performance.now();
    const killed = victim.kill();
    const times = await Promise.all(lost.map((cart) => firstWrite(survivors, cart, sku, killedAt)));
    await killed;
    roundsMs.push(Math.max(...times));
    shardsMs.push(...times);
    tell(
      `failover ${round + 1}: ${times.length} shards, ${ms(median(times))} median, ${ms(Math.max(...times))} the last`,
    );
    await victim.start();
    await cluster.settled();
  }
  return {
    roundsMs,
    p50Ms: median(roundsMs),
    worstMs: Math.max(...roundsMs),
    shardP50Ms: median(shardsMs),
    shards: shardsMs.length,
  };
}

/**
 * Milliseconds from `since` until some survivor has written to the cart. The same add is asked for again under its key after a short while:
 * what is measured is when the shard serves, not how long a call waits that the dead node had already taken.
 */
async function firstWrite(
  survivors: readonly ClusterNode[],
  cart: CartHandle,
  sku: string,
  since: number,
): Promise<number> {
  const call = { token: cart.token, key: randomUUID(), body: { sku, quantity: 1 }, timeoutMs: PROBE_MS };
  for (let attempt = 0; ; attempt++) {
    const node = survivors[attempt % survivors.length];
    const answer = await (node?.request('POST', `/v1/carts/${cart.id}/lines`, call).catch(() => null) ?? null);
    const elapsed = performance.now() - since;
    if (answer?.status === 200) return elapsed;
    if (elapsed > GIVE_UP_MS) throw new Error(`a shard did not come back: ${answer?.status} ${answer?.text}`);
    await pause(RETRY_MS);
  }
}

export interface DrainReport {
  readonly drains: number;
  readonly requests: number;
  /** Connections that the kernel reset before the node took them; made again on another node. */
  readonly resets: number;
  /** By name: statuses that were no 2xx, connections that broke under a request. */
  readonly failures: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  /** From SIGTERM to the end of the process; the longest. */
  readonly drainMs: number;
}

export interface DrainOptions {
  readonly cluster: Cluster;
  readonly carts: CartsByShard;
  readonly sku: string;
  readonly drains: number;
  readonly connections: number;
  /** Load before and after each drain. */
  readonly aroundMs: number;
}

/** Drains one node after the other under a closed load that goes to any node which still listens. */
export async function drainRounds({
  cluster,
  carts,
  sku,
  drains,
  connections,
  aroundMs,
}: DrainOptions): Promise<DrainReport> {
  const all = carts.flat();
  const failures: Record<string, number> = {};
  let requests = 0;
  let resets = 0;
  let slowestMs = 0;
  let drainMs = 0;
  const fail = (name: string) => {
    failures[name] = (failures[name] ?? 0) + 1;
  };
  const once = async (cart: CartHandle): Promise<void> => {
    const started = performance.now();
    for (;;) {
      const node = cluster.node(Math.floor(Math.random() * cluster.nodes.length));
      try {
        const answer = await addLine(node, cart, sku);
        if (answer.status !== 200) fail(`${answer.status} ${answer.body?.code ?? ''}`);
        break;
      } catch (error) {
        const end = noAnswerOf(error);
        // Nobody took it: as a balancer would, ask another node.
        if (end === 'nobody listens') continue;
        if (end === 'reset at connect') {
          resets++;
          continue;
        }
        fail(end);
        break;
      }
    }
    requests++;
    slowestMs = Math.max(slowestMs, performance.now() - started);
  };
  for (let drain = 0; drain < drains; drain++) {
    let over = false;
    let serial = Math.floor(Math.random() * all.length);
    const load = Array.from({ length: connections }, async () => {
      while (!over) await once(all[serial++ % all.length] as CartHandle);
    });
    await pause(aroundMs);
    const node = cluster.node(drain % cluster.nodes.length);
    const started = performance.now();
    const code = await node.terminate();
    drainMs = Math.max(drainMs, performance.now() - started);
    if (code !== 0) fail(`exit ${code}`);
    await pause(aroundMs);
    over = true;
    await Promise.all(load);
    await node.start();
    await cluster.settled();
  }
  return { drains, requests, resets, failures, slowestMs, drainMs };
}

export const ms = (value: number) => `${Math.round(value)} ms`;
