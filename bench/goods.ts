/** What shoppers of a fault test buy: products that any shop can be given over its own contract. */
import { randomUUID } from 'node:crypto';
import { type Storefront, until } from './shop-process.ts';

export interface Goods {
  /** More units than anybody will ask for, and held by orders only. */
  readonly plainSkus: readonly string[];
  /** Scarce, and held at the cart for a short while, so that holds end under the load. */
  readonly heldSkus: readonly string[];
}

export interface GoodsOptions {
  /** Default 6. */
  readonly plain?: number;
  /** Default 2. */
  readonly held?: number;
  /** Units of each held one. Default 150. */
  readonly heldUnits?: number;
  /** Default 4,000. */
  readonly holdTtlMs?: number;
}

/** Puts the goods on the shelf by the first node, and waits until every node sells them. */
export async function goodsFor(nodes: readonly Storefront[], options: GoodsOptions = {}): Promise<Goods> {
  const { plain = 6, held = 2, heldUnits = 150, holdTtlMs = 4_000 } = options;
  const plainSkus = Array.from({ length: plain }, (_, index) => `FAULT-PLAIN-${index}`);
  const heldSkus = Array.from({ length: held }, (_, index) => `FAULT-HELD-${index}`);
  const [node] = nodes;
  if (node === undefined) throw new Error('there is no node');
  for (const sku of plainSkus) await put(node, sku, 1_000_000, { holdAt: 'checkout' });
  for (const sku of heldSkus) await put(node, sku, heldUnits, { holdAt: 'cart', holdTtlMs });
  for (const each of nodes)
    for (const sku of [...plainSkus, ...heldSkus])
      await until(
        `every node sells ${sku}`,
        async () => (await each.request('GET', `/v1/products/${sku}`)).status === 200,
      );
  return { plainSkus, heldSkus };
}

async function put(node: Storefront, sku: string, units: number, terms: object): Promise<void> {
  const body = { name: sku, category: 'Faults', taxCategory: 'standard', prices: { USD: 1_250 }, ...terms };
  const product = await node.admin('PUT', `/v1/admin/products/${sku}`, { body });
  if (product.status >= 300) throw new Error(`${sku}: ${product.status} ${product.text}`);
  const stocked = await node.admin('POST', `/v1/admin/stock/${sku}/adjustments`, {
    key: randomUUID(),
    body: { delta: units, reason: 'fault test' },
  });
  if (stocked.status !== 200) throw new Error(`stock of ${sku}: ${stocked.status} ${stocked.text}`);
}
