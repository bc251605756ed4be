/** Carts of a bench on a cluster, by the shard they live in: with one on every shard, a write to each shows that all shards serve. */
import { SHARD_COUNT, shardOf } from '../runtime/shard.ts';
import type { Cluster } from './cluster-process.ts';
import { until } from './shop-process.ts';
import { type CartHandle, inParallel, newCart } from './shopper.ts';

export type CartsByShard = readonly (readonly CartHandle[])[];

const WIDTH = 32;
const CART_ATTEMPTS_MAX = 100_000;

/** At least `atLeast` carts, and at least one on every shard. */
export async function cartsByShard(cluster: Cluster, atLeast: number): Promise<CartsByShard> {
  const found: CartHandle[][] = Array.from({ length: SHARD_COUNT }, () => []);
  for (let made = 0; made < CART_ATTEMPTS_MAX; made += WIDTH * 8) {
    if (made >= atLeast && found.every((carts) => carts.length > 0)) return found;
    for (const cart of await inParallel(WIDTH * 8, WIDTH, () => aCart(cluster)))
      found[shardOf('cart', cart.id)]?.push(cart);
  }
  throw new Error('some shard gets no cart');
}

/** Those whose shard the tables give to the node now. */
export async function cartsOf(cluster: Cluster, carts: CartsByShard, nodeId: string): Promise<CartHandle[]> {
  const { nodeIds } = await cluster.ownership();
  return carts.flatMap((own, shard) => (nodeIds[shard] === nodeId ? own : []));
}

function aCart(cluster: Cluster): Promise<CartHandle> {
  return until('a cart', () => newCart(cluster).catch(() => undefined));
}
