import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { batchOf } from '../runtime/journal-conformance.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { PgJournal } from './journal.ts';
import { joinAlone } from './members.ts';
import { getOrder, listOrders, listPayments, type OrderQuery, stockVersions } from './read-side.ts';
import { migratedTestDatabase, type TestDatabase } from './test-database.ts';

let database: TestDatabase;
let member: ClusterMembership;
let journal: PgJournal;

const START = 1_700_000_000_000;
const order = (index: number) => {
  const charged = index % 3 !== 0;
  return {
    table: 'orders',
    key: `ord_${String(index).padStart(3, '0')}`,
    version: 2,
    doc: {
      id: `ord_${String(index).padStart(3, '0')}`,
      cartId: `cart_${index % 5}`,
      state: index % 2 === 0 ? 'confirmed' : 'cancelled',
      // Three orders in each millisecond: the page's key must tell them apart.
      placedAt: START + Math.floor(index / 3),
      payment: {
        state: charged ? 'captured' : 'none',
        reference: charged ? `pay_${index}` : null,
        amount: index * 100,
        currency: 'EUR',
        provider: charged ? 'sandbox' : null,
        history: [{ state: 'authorized', at: START }],
      },
    },
  };
};

before(async () => {
  database = await migratedTestDatabase();
  member = await joinAlone({ database, nodeId: 'test', lanes: 1, clock: new SystemClock(), leaseMs: 60_000 });
  journal = new PgJournal({ database, incarnation: member.incarnation, lanes: 1 });
  const stock = ['a', "b'", 'c'].map((key, index) => ({
    table: 'stock',
    key,
    version: index + 1,
    doc: { onHand: 10, held: 1, allocated: 2, available: 7 },
  }));
  await journal.append(batchOf({ projections: [...Array.from({ length: 50 }, (_, index) => order(index)), ...stock] }));
});
after(async () => {
  await journal.close();
  await member.leave();
  await database.drop();
});

async function allPages(query: Omit<OrderQuery, 'limit' | 'after'>): Promise<string[]> {
  const ids: string[] = [];
  for (let after: OrderQuery['after']; ; ) {
    const page = await listOrders(database.db, { ...query, limit: 7, after });
    ids.push(...page.map((row) => row.id));
    after = page.at(-1);
    if (page.length < 7) return ids;
  }
}
const newestFirst = (choose: (doc: ReturnType<typeof order>['doc']) => boolean) =>
  Array.from({ length: 50 }, (_, index) => order(49 - index).doc)
    .filter(choose)
    .map((doc) => doc.id);

describe('orders', () => {
  it('are listed page by page without loss or repetition, newest first, under every filter', async () => {
    assert.deepEqual(
      await allPages({}),
      newestFirst(() => true),
    );
    assert.deepEqual(
      await allPages({ state: 'confirmed' }),
      newestFirst((doc) => doc.state === 'confirmed'),
    );
    assert.deepEqual(
      await allPages({ cartId: 'cart_3' }),
      newestFirst((doc) => doc.cartId === 'cart_3'),
    );
    const since = START + 8;
    assert.deepEqual(
      await allPages({ since }),
      newestFirst((doc) => doc.placedAt >= since),
    );
    assert.deepEqual(
      await allPages({ since, cartId: 'cart_1', state: 'cancelled' }),
      newestFirst((doc) => doc.placedAt >= since && doc.cartId === 'cart_1' && doc.state === 'cancelled'),
    );
    assert.deepEqual(await allPages({ state: 'none such' }), []);
  });

  it('are found by id, with the document as it was projected', async () => {
    const { doc } = order(7);
    const found = { id: doc.id, version: 2, state: doc.state, cartId: doc.cartId, placedAt: doc.placedAt, doc };
    assert.deepEqual(await getOrder(database.db, doc.id), found);
    assert.equal(await getOrder(database.db, 'none'), null);
  });

  it('without what a list needs are refused', async () => {
    for (const missing of ['state', 'cartId', 'placedAt', 'payment']) {
      const row = { ...order(99), doc: { ...order(99).doc, [missing]: undefined } };
      await assert.rejects(journal.append(batchOf({ projections: [row] })), { outcome: 'refused' }, missing);
    }
    assert.equal(await getOrder(database.db, order(99).key), null);
  });
});

describe('payments', () => {
  it('are those of the orders that have one, by order, cart, state and time', async () => {
    const all = await listPayments(database.db, { limit: 100 });
    assert.deepEqual(
      all.map((payment) => payment.orderId),
      newestFirst((doc) => doc.payment.state !== 'none'),
    );
    const { doc } = order(4);
    assert.deepEqual(await listPayments(database.db, { orderId: doc.id, limit: 5 }), [
      { id: doc.id, orderId: doc.id, cartId: doc.cartId, placedAt: doc.placedAt, ...doc.payment },
    ]);
    assert.deepEqual(await listPayments(database.db, { orderId: order(3).key, limit: 5 }), []);
    assert.equal((await listPayments(database.db, { orderId: order(3).key, state: 'none', limit: 5 })).length, 1);
    assert.equal((await listPayments(database.db, { state: 'captured', cartId: 'cart_2', limit: 100 })).length, 7);
    const page = await listPayments(database.db, { limit: 3, after: all[4] });
    assert.deepEqual(page, all.slice(5, 8));
  });
});

describe('stock levels', () => {
  it('are found for many skus at once, in no more rows than there are', async () => {
    const levels = await stockVersions(database.db, ["b'", 'a', 'none', '{"x"}']);
    assert.deepEqual(
      levels.sort((one, other) => one.version - other.version),
      [
        { sku: 'a', available: 7, version: 1 },
        { sku: "b'", available: 7, version: 2 },
      ],
    );
    assert.deepEqual(await stockVersions(database.db, []), []);
  });
});
