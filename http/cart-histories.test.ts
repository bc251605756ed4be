import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cart } from '../actors/cart.ts';
import { CART_LIFETIME_MS, EXPIRED_SHOWN_MS } from '../actors/cart-state.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { type ActorSystem, createActorSystem } from '../runtime/system.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { PgJournal } from '../schema/journal.ts';
import { joinAlone } from '../schema/members.ts';
import { getOutbox } from '../schema/outbox.ts';
import { migratedTestDatabase, type TestDatabase, until } from '../schema/test-database.ts';
import { removeCartHistory } from './cart-histories.ts';

/** The database's clock, ahead by as much as the test says. */
class LaterClock extends SystemClock {
  aheadMs = 0;
  override now(): number {
    return super.now() + this.aheadMs;
  }
}

const clock = new LaterClock();
let database: TestDatabase;
let membership: ClusterMembership;
let journal: PgJournal;
let system: ActorSystem;

before(async () => {
  database = await migratedTestDatabase();
  membership = await joinAlone({ database, nodeId: 'test', lanes: 1, clock, takeAtOnce: true });
  journal = new PgJournal({ database, incarnation: membership.incarnation, lanes: 1 });
  system = createActorSystem({ types: [cart], journal, clock, membership });
  await system.start();
});
after(async () => {
  system.stop();
  await membership.leave();
  await journal.close();
  await database.drop();
});

async function events(id: string): Promise<number> {
  return (await database.db.selectFrom('journal').select('seq').where('id', '=', id).execute()).length;
}

test('an expired cart can be read for a week, then its history is removed and the row that asked for it closed', async () => {
  const ref = { type: 'cart', id: 'cart_old' };
  const row = 'cart-cleanup:cart_old';
  const state = async () => ((await system.ask(ref, { kind: 'glance' })) as { cart?: { status: string } }).cart?.status;
  await system.ask(ref, { kind: 'create', currency: 'EUR', destination: null });
  clock.aheadMs = CART_LIFETIME_MS;
  await system.ask(ref, { kind: 'get' });
  assert.equal(await state(), 'expired');
  assert.equal(await getOutbox(database.db, row), null);
  clock.aheadMs += EXPIRED_SHOWN_MS;
  await until(async () => (await getOutbox(database.db, row)) !== null, 'the clean-up is asked for');
  assert.equal(await state(), 'expired');

  // As it is when the actor leaves memory between the look at it and the removal.
  const blind = { ...system, ask: system.ask.bind(system), inspect: () => null } as unknown as ActorSystem;
  const owner = { database, journal, system, incarnation: membership.incarnation };
  await assert.rejects(removeCartHistory({ ...owner, system: blind }, ref.id, row));
  assert.equal((await getOutbox(database.db, row))?.state, 'open');
  assert.equal(await events(ref.id), 3);

  await removeCartHistory(owner, ref.id, row);
  assert.equal(await events(ref.id), 0);
  assert.equal((await getOutbox(database.db, row))?.state, 'closed');
  system.evictAll();
  await removeCartHistory(owner, ref.id, row);
  assert.deepEqual(await system.ask(ref, { kind: 'get' }), { ok: false, code: 'not_found' });
});
