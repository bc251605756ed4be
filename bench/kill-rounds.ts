/**
 * `kill -9` of everything, again and again, under a load of adds and checkouts with every sandbox token; then the books are
 * compared: what shoppers were told, what the shop says, what the payment provider's own ledger says.
 *
 * The shoppers remember each acknowledged answer outside the shop. A call that broke off is repeated under its key after the
 * restart, as a real client would, and must come to exactly one effect.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Payment } from '../payments/provider.ts';
import { sandboxProvider } from '../payments/sandbox-client.ts';
import { startSandbox } from '../payments/sandbox-server.ts';
import { scratchDatabase } from './scratch-database.ts';
import { type Answer, pause, type ShopOptions, ShopProcess, until } from './shop-process.ts';

const TOKENS = [
  'tok_ok',
  'tok_ok',
  'tok_ok',
  'tok_declined',
  'tok_insufficient_funds',
  'tok_timeout',
  'tok_late',
  'tok_error',
  'tok_slow',
];
const ADDRESS = {
  name: 'Kim Crash',
  line1: '1 Main St',
  city: 'Austin',
  region: 'TX',
  postalCode: '73301',
  country: 'US',
};

export interface KillRoundsOptions {
  readonly rounds: number;
  readonly shoppers: number;
  /** How long the load runs before each kill, at least and at most. */
  readonly loadMs: readonly [number, number];
  readonly env: Readonly<Record<string, string>>;
  /** The provider's own books, by order. */
  readonly payments: (orderId: string) => Promise<readonly Payment[]>;
  readonly tell?: (line: string) => void;
}

export interface KillRoundsResult {
  readonly rounds: number;
  readonly addsAcknowledged: number;
  readonly ordersAcknowledged: number;
  readonly declinesAcknowledged: number;
  readonly callsRepeated: number;
  readonly ordersConfirmed: number;
}

interface Shopper {
  cart: { id: string; token: string } | null;
  readonly cartKey: string;
  readonly sku: string;
  readonly payWith: string;
  /** Adds of one unit each that were answered 200. */
  acknowledged: number;
  /** The key of an add or checkout whose answer never came. */
  open: { kind: 'add' | 'checkout'; key: string } | null;
  total: { amount: number; currency: string } | null;
  checkoutKey: string | null;
  outcome: { status: number; orderId: string | null } | null;
}

/** Kill rounds with a payment provider of their own, whose books live on another PostgreSQL server and are not killed. */
export async function runKillRounds(options: {
  readonly rounds: number;
  readonly loadMs: readonly [number, number];
  readonly server: string | undefined;
  readonly shoppers?: number;
  readonly tell?: (line: string) => void;
}): Promise<KillRoundsResult> {
  const database = await scratchDatabase(options.server, 'stampede_kill');
  const sandbox = await startSandbox({ databaseUrl: database.url, host: '127.0.0.1', port: 0 });
  const provider = sandboxProvider({ url: sandbox.url });
  try {
    return await killRounds({
      rounds: options.rounds,
      shoppers: options.shoppers ?? 12,
      loadMs: options.loadMs,
      env: { PAYMENT_SANDBOX_URL: sandbox.url },
      payments: (orderId) => provider.listByReference(orderId),
      ...(options.tell === undefined ? {} : { tell: options.tell }),
    });
  } finally {
    await sandbox.close();
    await database.drop();
  }
}

export async function killRounds(options: KillRoundsOptions): Promise<KillRoundsResult> {
  const tell = options.tell ?? (() => {});
  const shoppers: Shopper[] = [];
  let repeated = 0;
  let serial = 0;
  let shop = await ShopProcess.start({ env: options.env });
  const restart: ShopOptions = { env: options.env, dataDir: shop.dataDir };
  try {
    const skus = await plainSkus(shop, 6);
    for (const sku of skus) {
      const answer = await shop.admin('POST', `/v1/admin/stock/${sku}/adjustments`, {
        key: randomUUID(),
        body: { delta: 100_000, reason: 'load' },
      });
      assert.equal(answer.status, 200, answer.text);
    }
    for (let round = 1; round <= options.rounds; round++) {
      let stopped = false;
      const victim = shop;
      const load = Array.from({ length: options.shoppers }, async () => {
        while (!stopped) {
          const n = serial++;
          const shopper: Shopper = {
            cart: null,
            cartKey: randomUUID(),
            sku: skus[n % skus.length] ?? '',
            payWith: `${TOKENS[n % TOKENS.length]}:${n}`,
            acknowledged: 0,
            open: null,
            total: null,
            checkoutKey: null,
            outcome: null,
          };
          shoppers.push(shopper);
          await errand(victim, shopper, 1 + (n % 4)).catch(() => {});
        }
      });
      const [least, most] = options.loadMs;
      await pause(least + Math.random() * (most - least));
      stopped = true;
      victim.killAll();
      await Promise.all(load);
      shop = await ShopProcess.start({ ...restart, port: victim.port });
      tell(`round ${round}: ${shoppers.length} shoppers so far, ready again in ${Math.round(shop.readyMs)} ms`);
      for (const shopper of shoppers) if (shopper.open !== null) repeated += await finish(shop, shopper);
    }
    const confirmed = await compareBooks(shop, shoppers, skus, options.payments);
    return {
      rounds: options.rounds,
      addsAcknowledged: shoppers.reduce((sum, shopper) => sum + shopper.acknowledged, 0),
      ordersAcknowledged: shoppers.filter((shopper) => shopper.outcome?.status === 201).length,
      declinesAcknowledged: shoppers.filter((shopper) => shopper.outcome?.status === 402).length,
      callsRepeated: repeated,
      ordersConfirmed: confirmed,
    };
  } finally {
    await shop.cleanUp();
  }
}

/** One shopper's errand; leaves `open` set where a call broke off. */
async function errand(shop: ShopProcess, shopper: Shopper, adds: number): Promise<void> {
  const created = await shop.request('POST', '/v1/carts', {
    key: shopper.cartKey,
    body: { currency: 'USD', destination: { country: 'US', region: 'TX', postalCode: '73301' } },
  });
  if (created.status !== 201) return;
  shopper.cart = { id: created.body.cart.id, token: created.body.token };
  for (let i = 0; i < adds; i++) {
    shopper.open = { kind: 'add', key: randomUUID() };
    const answer = await add(shop, shopper, shopper.open.key);
    if (answer.status !== 200) return;
    accept(shopper, answer);
  }
  shopper.checkoutKey = randomUUID();
  shopper.open = { kind: 'checkout', key: shopper.checkoutKey };
  await settle(shopper, () => checkout(shop, shopper), shop);
}

function add(shop: ShopProcess, shopper: Shopper, key: string): Promise<Answer> {
  return shop.request('POST', `/v1/carts/${shopper.cart?.id}/lines`, {
    token: shopper.cart?.token ?? '',
    key,
    body: { sku: shopper.sku, quantity: 1 },
  });
}

function accept(shopper: Shopper, answer: Answer): void {
  shopper.acknowledged++;
  shopper.total = answer.body.totals.total;
  shopper.open = null;
}

function checkout(shop: ShopProcess, shopper: Shopper): Promise<Answer> {
  return shop.request('POST', `/v1/carts/${shopper.cart?.id}/checkout`, {
    token: shopper.cart?.token ?? '',
    key: shopper.checkoutKey ?? '',
    body: {
      email: `${shopper.cartKey}@example.com`,
      shippingAddress: ADDRESS,
      expectedTotal: shopper.total,
      payment: { method: 'card', token: shopper.payWith },
    },
  });
}

/** Repeats a checkout under its key until its answer is final; throws where the connection breaks. */
async function settle(shopper: Shopper, call: () => Promise<Answer>, shop: ShopProcess): Promise<void> {
  for (let attempt = 0; attempt < 120; attempt++) {
    const answer = await call();
    if (answer.status === 202) {
      const order = await until(
        `order ${answer.body.id} settles`,
        async () => {
          const read = await shop.request('GET', `/v1/orders/${answer.body.id}`, { token: shopper.cart?.token ?? '' });
          return read.status === 200 && read.body.state !== 'pending' ? read.body : undefined;
        },
        30_000,
      );
      shopper.outcome = { status: order.state === 'confirmed' ? 201 : 402, orderId: order.id };
      shopper.open = null;
      return;
    }
    if (answer.status === 201 || answer.status === 402) {
      shopper.outcome = { status: answer.status, orderId: answer.status === 201 ? answer.body.id : null };
      shopper.open = null;
      return;
    }
    const again =
      answer.status === 503 ||
      answer.status === 429 ||
      (answer.status === 409 && /in_progress$/.test(answer.body.code));
    assert.ok(again, `a checkout was answered ${answer.status} ${answer.text}`);
    await pause(100);
  }
  assert.fail('a checkout did not come to an end');
}

/** After the restart: repeats the call that broke off. Returns how many calls were repeated. */
async function finish(shop: ShopProcess, shopper: Shopper): Promise<number> {
  if (shopper.open?.kind === 'add') {
    const key = shopper.open.key;
    const before = shopper.acknowledged;
    const answer = await until('a broken-off add is answered', async () => {
      const tried = await add(shop, shopper, key);
      return tried.status !== 503 ? tried : undefined;
    });
    assert.equal(answer.status, 200, answer.text);
    accept(shopper, answer);
    assert.equal(answer.body.lines[0].quantity, before + 1, 'a repeated add took effect once');
    return 1;
  }
  await settle(shopper, () => checkout(shop, shopper), shop);
  return 1;
}

async function plainSkus(shop: ShopProcess, count: number): Promise<string[]> {
  const list = await shop.request('GET', '/v1/products?limit=100');
  assert.equal(list.status, 200, list.text);
  const found: string[] = list.body.items
    .filter(
      (product: { holdAt: string; maxPerOrder?: number }) => product.holdAt === 'checkout' && !product.maxPerOrder,
    )
    .map((product: { sku: string }) => product.sku);
  assert.ok(found.length >= count, 'the demo shop has plain products');
  return found.slice(0, count);
}

const isOpen = (payment: Payment) => payment.state === 'authorized' || payment.state === 'captured';

/** Compares what shoppers were told with the shop and the provider; returns the number of confirmed orders. */
async function compareBooks(
  shop: ShopProcess,
  shoppers: readonly Shopper[],
  skus: readonly string[],
  payments: KillRoundsOptions['payments'],
): Promise<number> {
  const orders = await until(
    'all sagas are at rest',
    async () => {
      const found = await allOrders(shop);
      return found.every((order) => order.state !== 'pending') ? found : undefined;
    },
    60_000,
  );
  const byCart = new Map<string, { id: string; state: string }[]>();
  for (const order of orders) byCart.set(order.cartId, [...(byCart.get(order.cartId) ?? []), order]);

  for (const shopper of shoppers) {
    if (shopper.cart === null) continue;
    const read = await shop.request('GET', `/v1/carts/${shopper.cart.id}`, { token: shopper.cart.token });
    assert.equal(read.status, 200, `an acknowledged cart is there: ${read.text}`);
    assert.equal(
      read.body.lines[0]?.quantity ?? 0,
      shopper.acknowledged,
      'every acknowledged add is there, none twice',
    );
    const own = byCart.get(shopper.cart.id) ?? [];
    const alive = own.filter((order) => order.state !== 'failed');
    assert.ok(alive.length <= 1, 'at most one order that has not failed for each cart');
    if (shopper.outcome?.status === 201)
      assert.equal(alive[0]?.id, shopper.outcome.orderId, 'an acknowledged order is there');
    if (shopper.outcome?.status === 402) assert.equal(alive.length, 0, 'a declined checkout has no order');
  }

  const sold = new Map<string, number>();
  for (const order of orders) {
    await until(
      `the provider agrees with order ${order.id} (${order.state})`,
      async () => {
        const open = (await payments(order.id)).filter(isOpen);
        return open.length === (order.state === 'confirmed' && order.total > 0 ? 1 : 0);
      },
      30_000,
    );
    if (order.state === 'confirmed')
      for (const line of order.lines) sold.set(line.sku, (sold.get(line.sku) ?? 0) + line.quantity);
  }
  for (const sku of skus) {
    const stock = await until(`no hold is left on ${sku}`, async () => {
      const read = await shop.admin('GET', `/v1/admin/stock/${sku}`);
      return read.status === 200 && read.body.held === 0 ? read.body : undefined;
    });
    assert.equal(stock.onHand, stock.held + stock.allocated + stock.available, 'stock is conserved');
    assert.equal(stock.allocated, sold.get(sku) ?? 0, `allocated units of ${sku} are those of confirmed orders`);
  }
  return orders.filter((order) => order.state === 'confirmed').length;
}

interface OrderRow {
  readonly id: string;
  readonly cartId: string;
  readonly state: string;
  readonly total: number;
  readonly lines: readonly { sku: string; quantity: number }[];
}

async function allOrders(shop: ShopProcess): Promise<OrderRow[]> {
  const found: OrderRow[] = [];
  let cursor: string | null = null;
  do {
    const page: Answer = await shop.admin(
      'GET',
      `/v1/admin/orders?limit=100${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    assert.equal(page.status, 200, page.text);
    for (const order of page.body.items)
      found.push({
        id: order.id,
        cartId: order.cartId,
        state: order.state,
        total: order.totals?.total?.amount ?? 0,
        lines: order.lines,
      });
    cursor = page.body.nextCursor;
  } while (cursor !== null);
  return found;
}
