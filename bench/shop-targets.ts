/**
 * What is asked of the shop, and beside it of a bare echo: each a target that can be driven at any number of connections. Acknowledged adds are
 * counted by cart, so that they can be looked for after a `kill -9`.
 */
import type { Arena } from './arena.ts';
import type { Target } from './drive.ts';
import { get, post, request } from './http-request.ts';
import { emptyCarts } from './numbered-carts.ts';
import type { Peer } from './peer-process.ts';
import type { ShopProcess } from './shop-process.ts';
import { addLine, type CartHandle, inParallel, newCart } from './shopper.ts';

export interface ShopTargets {
  readonly echo: Target;
  readonly read: Target;
  readonly add: Target;
  readonly change: Target;
  readonly hold: Target;
  readonly checkout: Target;
  readonly mixed: Target;
  /** Those that `add` and `mixed` add to, and how often each was told that it had its unit. */
  readonly carts: readonly CartHandle[];
  readonly acknowledged: readonly number[];
}

/** Carts with one line that `change` sets to 1 … 5 in turn. */
const CHANGED_CARTS_MAX = 1_000;
const HOT_CARTS_MAX = 2_000;

export async function shopTargets(arena: Arena, echo: Peer, cartCount: number): Promise<ShopTargets> {
  const { shop, sku, hot } = arena;
  const carts = await emptyCarts(arena, cartCount);
  const hotCarts = await emptyCarts(arena, Math.min(cartCount, HOT_CARTS_MAX));
  const changed = await inParallel(Math.min(cartCount, CHANGED_CARTS_MAX), 64, async () => {
    const cart = await newCart(shop);
    await addLine(shop, cart, sku);
    return cart;
  });
  const acknowledged = new Array<number>(carts.length).fill(0);
  const onAcknowledged = ([counts = []]: readonly (readonly number[])[]) => {
    for (const [index, count] of counts.entries()) acknowledged[index] = (acknowledged[index] ?? 0) + count;
  };
  const pids = () => arena.shop.family();
  const groups = { node: () => arena.nodePids(), postgres: () => arena.postgresPids() };
  const { port } = shop;
  const adds = carts.map((cart) => post(`/v1/carts/${cart.id}/lines`, { sku, quantity: 1 }, cart));
  const changes = [2, 3, 4, 5, 1].flatMap((quantity) =>
    changed.map(({ id, token }) =>
      request('PATCH', `/v1/carts/${id}/lines/${sku}`, `Authorization: Bearer ${token}\r\n`, { quantity }),
    ),
  );
  const holds = hotCarts.map((cart) => post(`/v1/carts/${cart.id}/lines`, { sku: hot, quantity: 1 }, cart));
  const reads = [get(`/v1/products/${sku}`)];
  const ours = (name: string, door: Omit<Target['doors'][number], 'port'>): Target => ({
    name,
    doors: [{ port, ...door }],
    pids,
    groups,
  });
  return {
    echo: {
      name: 'bare uWebSockets.js echo',
      doors: echo.doors([post('/echo', { sku, quantity: 1 })]),
      pids: () => echo.pids,
    },
    read: ours('product read', { requests: reads }),
    add: { ...ours('durable, priced add-to-cart', { requests: adds }), onAcknowledged },
    change: ours('durable, priced change of a line', { requests: changes }),
    hold: ours('hold on one hot sku', { requests: holds }),
    checkout: ours('full checkout (cart, line, checkout)', { script: { kind: 'checkouts', skus: [sku] } }),
    mixed: ours('mixed shop (80 read, 15 add, 5 checkout)', {
      script: { kind: 'mixed', reads, adds, skus: [sku] },
    }),
    carts,
    acknowledged,
  };
}

export interface Recount {
  readonly acknowledged: number;
  /** Told as done, and not there. 0, or the shop is broken. */
  readonly missing: number;
  readonly restartMs: number;
}

/** Kills everything with `kill -9`, starts the shop again and looks for each acknowledged add. */
export async function recountAfterKill(arena: Arena, { carts, acknowledged }: ShopTargets): Promise<Recount> {
  await arena.killAndRestart();
  return {
    acknowledged: acknowledged.reduce((sum, n) => sum + n, 0),
    missing: await missingAdds(arena.shop, carts, acknowledged),
    restartMs: arena.shop.readyMs,
  };
}

/** How many of the acknowledged adds are not in their carts. */
export async function missingAdds(
  shop: ShopProcess,
  carts: readonly CartHandle[],
  acknowledged: readonly number[],
): Promise<number> {
  const missing = await inParallel(carts.length, 64, async (index) => {
    const { id, token } = carts[index] as CartHandle;
    const answer = await shop.request('GET', `/v1/carts/${id}`, { token });
    const there = answer.status === 200 ? Number(answer.body.lines[0]?.quantity ?? 0) : 0;
    return Math.max(0, (acknowledged[index] ?? 0) - there);
  });
  return missing.reduce((sum, n) => sum + n, 0);
}
