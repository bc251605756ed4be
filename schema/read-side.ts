/**
 * Queries on the read tables, which the appends write: orders, the payments in them, stock levels. Pages are by key
 * (placed at, id), newest first, so that a page stays what it is while orders come in.
 *
 * What is read here is committed, and may be older than what the actor knows.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './tables.ts';

/** Place of a row in the list of orders. */
export interface OrderCursor {
  readonly placedAt: number;
  readonly id: string;
}

export interface OrderQuery {
  readonly state?: string | undefined;
  readonly cartId?: string | undefined;
  /** Placed at this time or later, milliseconds since the epoch. */
  readonly since?: number | undefined;
  readonly limit: number;
  /** Cursor of the last row of the page before. */
  readonly after?: OrderCursor | undefined;
}

export interface OrderRecord extends OrderCursor {
  readonly version: number;
  readonly state: string;
  readonly cartId: string;
  /** The document that the order actor projected. */
  readonly doc: Record<string, unknown>;
}

export async function listOrders(db: Kysely<Tables>, query: OrderQuery): Promise<OrderRecord[]> {
  let select = pageOfOrders(db, query);
  if (query.state !== undefined) select = select.where('state', '=', query.state);
  return (await select.execute()).map(orderOf);
}

export async function getOrder(db: Kysely<Tables>, id: string): Promise<OrderRecord | null> {
  const row = await db.selectFrom('orders').selectAll().where('key', '=', id).executeTakeFirst();
  return row === undefined ? null : orderOf(row);
}

export interface PaymentQuery extends Omit<OrderQuery, 'state'> {
  readonly orderId?: string | undefined;
  /** State of the payment. */
  readonly state?: string | undefined;
}

/** What the shop believes was charged for one order. */
export interface PaymentRecord extends OrderCursor {
  readonly orderId: string;
  readonly cartId: string;
  readonly state: string;
  readonly amount: number;
  readonly currency: string;
  readonly provider: string | null;
  /** The provider's id of the payment. */
  readonly reference: string | null;
  readonly history: readonly unknown[];
  /** What the provider last refused for good, as long as it stands. */
  readonly problem?: string | undefined;
}

/** One for each order that has a payment (its state is not `none`), unless asked for by that state. */
export async function listPayments(db: Kysely<Tables>, query: PaymentQuery): Promise<PaymentRecord[]> {
  let select = pageOfOrders(db, query);
  if (query.orderId !== undefined) select = select.where('key', '=', query.orderId);
  select =
    query.state === undefined
      ? select.where('payment_state', '<>', 'none')
      : select.where('payment_state', '=', query.state);
  return (await select.execute()).map((row) => {
    const payment = row.doc.payment as Omit<PaymentRecord, 'orderId' | 'cartId' | keyof OrderCursor>;
    const { state, amount, currency, provider, reference, history, problem } = payment;
    const order = { id: row.key, orderId: row.key, cartId: row.cart_id, placedAt: row.placed_at };
    const told = problem === undefined ? {} : { problem };
    return { ...order, state, amount, currency, provider, reference, history, ...told };
  });
}

export interface StockVersion {
  readonly sku: string;
  readonly available: number;
  readonly version: number;
}

/** Of those skus that have any stock row; a sku without is not in the answer. What the feed compares with the versions its sockets have. */
export async function stockVersions(db: Kysely<Tables>, skus: readonly string[]): Promise<StockVersion[]> {
  if (skus.length === 0) return [];
  const { rows } = await sql<StockVersion>`
    SELECT s.key AS sku, s.available, s.version
    FROM unnest(${skus}::text[]) AS r (sku) JOIN stock AS s ON s.key = r.sku`.execute(db);
  return rows;
}

function pageOfOrders(db: Kysely<Tables>, query: Omit<OrderQuery, 'state'>) {
  let select = db
    .selectFrom('orders')
    .selectAll()
    .orderBy('placed_at', 'desc')
    .orderBy('key', 'desc')
    .limit(query.limit);
  if (query.cartId !== undefined) select = select.where('cart_id', '=', query.cartId);
  if (query.since !== undefined) select = select.where('placed_at', '>=', query.since);
  if (query.after !== undefined) {
    const { placedAt, id } = query.after;
    select = select.where(sql<boolean>`(placed_at, key) < (${placedAt}::bigint, ${id})`);
  }
  return select;
}

function orderOf(row: {
  key: string;
  version: number;
  state: string;
  cart_id: string;
  placed_at: number;
  doc: Record<string, unknown>;
}): OrderRecord {
  const { key, version, state, doc } = row;
  return { id: key, version, state, cartId: row.cart_id, placedAt: row.placed_at, doc };
}
