/**
 * The comparison after a fault, once all is at rest: what shoppers were told (`ledger.ts`) with what the shop says, with what the payment
 * provider's own books say, and with what is in the journal (`journal-audit.ts`). Throws at the first thing that does not agree.
 */
import assert from 'node:assert/strict';
import pg from 'pg';
import { SANDBOX_SCHEMA } from '../payments/sandbox-ledger.ts';
import { auditJournal } from './journal-audit.ts';
import { type CartRecord, type Ledger, type LedgerTally, unitsIn } from './ledger.ts';
import { type Answer, type RequestOptions, type Storefront, until } from './shop-process.ts';
import { inParallel } from './shopper.ts';

/** One payment as the provider has it, also one that its public list does not show yet. */
export interface BookedPayment {
  readonly reference: string;
  readonly state: 'authorized' | 'captured' | 'voided' | 'refunded';
  readonly amount: number;
}

export interface BooksOptions {
  /** Every node: each must tell the same. */
  readonly nodes: readonly Storefront[];
  readonly ledger: Ledger;
  /** All that were for sale under the load. */
  readonly skus: readonly string[];
  readonly payments: () => Promise<readonly BookedPayment[]>;
  /** The shop's own, for the journal; null: not looked at. */
  readonly databaseUrl: string | null;
  /** How long sagas, holds and cancels may take to come to rest. Default 60,000. */
  readonly restMs?: number;
}

export interface BooksResult extends LedgerTally {
  readonly ordersConfirmed: number;
  readonly paymentsOpen: number;
  readonly events: number;
}

interface OrderRow {
  readonly id: string;
  readonly version: number;
  readonly cartId: string;
  readonly state: string;
  readonly total: number;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

const WIDTH = 16;

/** All payments in the books of a sandbox provider, by its database. */
export async function bookedPayments(databaseUrl: string): Promise<readonly BookedPayment[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<BookedPayment>(
      `SELECT reference, state, amount::int AS amount FROM ${SANDBOX_SCHEMA}.payment`,
    );
    return rows;
  } finally {
    await client.end();
  }
}

export async function compareBooks(options: BooksOptions): Promise<BooksResult> {
  const { ledger, skus } = options;
  assert.deepEqual(ledger.violations, [], 'no answer under the load was wrong');
  const orders = await ordersAtRest(options);
  compareOrders(ledger, orders);
  await compareCarts(options);
  const paymentsOpen = await comparePayments(options, orders);
  await compareStock(options, orders);
  const events = options.databaseUrl === null ? 0 : await auditJournal(options.databaseUrl, skus);
  const ordersConfirmed = orders.filter((order) => order.state === 'confirmed').length;
  return { ...ledger.tally, ordersConfirmed, paymentsOpen, events };
}

async function ordersAtRest(options: BooksOptions): Promise<OrderRow[]> {
  const [node] = options.nodes;
  assert.ok(node !== undefined);
  let pending: string[] = [];
  return await until(
    'all sagas are at rest',
    async () => {
      const orders = await allOrders(node);
      pending = orders.filter((order) => order.state === 'pending').map((order) => order.id);
      return pending.length === 0 ? orders : undefined;
    },
    options.restMs ?? 60_000,
  ).catch((error: Error) => assert.fail(`${error.message}; still pending: ${pending.slice(0, 5).join(', ')}`));
}

function compareOrders(ledger: Ledger, orders: readonly OrderRow[]): void {
  const byCart = groupedBy(orders, (order) => order.cartId);
  const byId = new Map(orders.map((order) => [order.id, order]));
  for (const cart of ledger.carts) {
    const alive = (byCart.get(cart.id) ?? []).filter((order) => order.state !== 'failed');
    assert.ok(alive.length <= 1, `cart ${cart.id} has ${alive.length} orders that have not failed`);
    for (const told of cart.orders) {
      if (told.id === null) continue;
      const order = byId.get(told.id);
      assert.ok(order !== undefined, `order ${told.id} was acknowledged and is lost`);
      assert.equal(order.state, told.cancelled ? 'cancelled' : 'confirmed', `order ${told.id}`);
      assert.ok(order.version >= told.version, `order ${told.id} is older than it was shown`);
    }
    if (!cart.checkedOut && cart.orders.length > 0)
      assert.equal(alive.length, 0, `cart ${cart.id} was refused a checkout, and has an order`);
  }
  for (const order of orders)
    assert.ok(
      ledger.carts.some((cart) => cart.id === order.cartId),
      `order ${order.id} is of no cart that a shopper has`,
    );
}

/** Each cart by one node in turn: every acknowledged unit, and not one that nobody asked for. */
async function compareCarts(options: BooksOptions): Promise<void> {
  const { ledger, nodes } = options;
  await inParallel(ledger.carts.length, WIDTH, async (index) => {
    const cart = ledger.carts[index] as CartRecord;
    const node = nodes[index % nodes.length] as Storefront;
    // A cart hears of its order's end by a message.
    const answer = await until(
      `cart ${cart.id} is at rest`,
      async () => {
        const asked = ledger.reading(cart);
        const seen = await get(node, `/v1/carts/${cart.id}`, { token: cart.token });
        asked.answered(seen);
        return cart.checkedOut && seen.body.state === 'checking_out' ? undefined : seen;
      },
      options.restMs ?? 60_000,
    );
    for (const [sku, { told, open }] of cart.units) {
      const there = unitsIn(answer.body.lines, sku);
      assert.ok(there >= told, `cart ${cart.id}: ${told} units of ${sku} were acknowledged, ${there} are there`);
      assert.ok(there <= told + open, `cart ${cart.id}: ${there} units of ${sku}, ${told + open} were asked for`);
    }
    for (const { sku } of answer.body.lines) assert.ok(cart.units.has(sku), `nobody put ${sku} into cart ${cart.id}`);
  });
  assert.deepEqual(ledger.violations, [], 'no cart is older than it was shown');
}

/** One open charge of the right amount for each confirmed order, none for any other; no charge without an order. */
async function comparePayments(options: BooksOptions, orders: readonly OrderRow[]): Promise<number> {
  const expected = new Map(
    orders.filter(({ state, total }) => state === 'confirmed' && total > 0).map(({ id, total }) => [id, [total]]),
  );
  let wrong: string[] = [];
  await until(
    'the provider agrees',
    async () => {
      const payments = await options.payments();
      const open = payments.filter(({ state }) => state === 'authorized' || state === 'captured');
      const charged = groupedBy(open, ({ reference }) => reference);
      wrong = [...new Set([...expected.keys(), ...charged.keys()])].flatMap((id) => {
        const amounts = (charged.get(id) ?? []).map(({ amount }) => amount);
        const wanted = expected.get(id) ?? [];
        return String(amounts) === String(wanted) ? [] : [`${id}: charged [${amounts}], should be [${wanted}]`];
      });
      return wrong.length === 0;
    },
    options.restMs ?? 60_000,
  ).catch((error: Error) => assert.fail(`${error.message}: ${wrong.slice(0, 5).join('; ')} (${wrong.length} in all)`));
  return expected.size;
}

/** What is sold is what confirmed orders hold, every node says the same, and nothing stays held once all holds have ended. */
async function compareStock({ nodes, skus, restMs }: BooksOptions, orders: readonly OrderRow[]): Promise<void> {
  for (const sku of skus) {
    const [first, ...others] = nodes;
    assert.ok(first !== undefined);
    const stock = await until(
      `no hold is left on ${sku}`,
      async () => {
        const answer = await first.admin('GET', `/v1/admin/stock/${sku}`);
        return answer.status === 200 && answer.body.held === 0 ? answer.body : undefined;
      },
      restMs ?? 60_000,
    );
    const { onHand, held, allocated, available, version } = stock;
    assert.equal(onHand, held + allocated + available, `stock of ${sku} is conserved`);
    assert.ok(Math.min(held, allocated, available) >= 0, `no count of ${sku} is negative`);
    const confirmed = orders.filter((order) => order.state === 'confirmed');
    const sold = confirmed.reduce((sum, order) => sum + unitsIn(order.lines, sku), 0);
    assert.equal(allocated, sold, `allocated units of ${sku} are those of confirmed orders`);
    for (const node of others) {
      const answer = await until('another node answers', async () => {
        const tried = await node.admin('GET', `/v1/admin/stock/${sku}`);
        return tried.status === 200 ? tried : undefined;
      });
      assert.ok(answer.body.version >= version, `another node shows an older ${sku}`);
      assert.equal(answer.body.allocated, sold, `another node shows other units of ${sku}`);
    }
  }
}

/** An answer of 200, asked for again while a node cannot say. */
async function get(node: Storefront, path: string, options: RequestOptions): Promise<Answer> {
  const answer = await until(`an answer to ${path}`, async () => {
    const tried = await node.request('GET', path, options);
    return tried.status === 503 ? undefined : tried;
  });
  assert.equal(answer.status, 200, `${path}: ${answer.status} ${answer.text}`);
  return answer;
}

async function allOrders(node: Storefront): Promise<OrderRow[]> {
  const found: OrderRow[] = [];
  let cursor: string | null = null;
  do {
    const at: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await until('a page of orders', async () => {
      const tried = await node.admin('GET', `/v1/admin/orders?limit=100${at}`);
      return tried.status === 503 ? undefined : tried;
    });
    assert.equal(page.status, 200, page.text);
    for (const { id, version, cartId, state, totals, lines } of page.body.items)
      found.push({ id, version, cartId, state, total: totals?.total?.amount ?? 0, lines });
    cursor = page.body.nextCursor;
  } while (cursor !== null);
  return found;
}

function groupedBy<T>(rows: readonly T[], keyOf: (row: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}
