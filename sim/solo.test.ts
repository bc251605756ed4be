/** Workload and oracles on one healthy node: everything happens, nothing is wrong, and twice the same seed is twice the same history. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrderState } from '../actors/order-state.ts';
import { JournalOracle, type Violation } from './journal-oracle.ts';
import { checkAtRest, lastDue, unrest } from './oracles.ts';
import { SoloWorld } from './solo.ts';
import { Workload } from './workload.ts';

async function run(seed: number) {
  const world = new SoloWorld(seed);
  const violations: Violation[] = [];
  const violate = (oracle: string, message: string): void => void violations.push({ oracle, message });
  const journal = new JournalOracle(world.types, violate);
  world.history.onEnd = (call) => journal.answered(call);
  world.onCommit = (incarnation, batch) =>
    journal.committed(world.history.commit(incarnation, batch), () => ({ owner: 'inc-1', epoch: 1 }));
  await world.system.start();
  const workload = new Workload({
    front: world,
    history: world.history,
    random: world.random.split('workload'),
    shop: world.shop,
    provider: world.provider.connect(world.clock),
    until: world.now() + 8_000,
  });
  workload.start();
  const { scheduler } = world;
  await scheduler.run(8_000);
  let why: string | null = 'begins';
  while (why !== null && scheduler.now < 200_000) {
    await scheduler.run(Math.max(scheduler.now + 1_000, lastDue(journal) - world.now() + scheduler.now));
    why = workload.done ? unrest(journal, world.openOutbox(), world.now()) : 'clients are at work';
  }
  if (why !== null) violate('liveness', why);
  const projections = [...world.store.projections.values()].flatMap((table) => [...table.values()]);
  checkAtRest(
    {
      history: world.history,
      journal,
      provider: world.provider,
      now: world.now(),
      openOutbox: world.openOutbox(),
      projections,
    },
    violate,
  );
  return { world, violations, journal };
}

test('on one healthy node nothing is wrong, and all that matters happens', async () => {
  const seen = new Map<string, number>();
  for (let seed = 0; seed < 20; seed++) {
    const { violations, journal, world } = await run(seed);
    assert.deepEqual(violations, [], `seed ${seed}`);
    for (const { phase, failure, payment } of journal.states<OrderState>('order')) {
      const end = `${phase} ${failure?.code ?? ''} ${payment.state}`;
      seen.set(end, (seen.get(end) ?? 0) + 1);
    }
  }
});

test('one seed is one history', async () => {
  const first = await run(5);
  const second = await run(5);
  assert.equal(first.world.history.digest(), second.world.history.digest());
  assert.notEqual(first.world.history.digest(), (await run(6)).world.history.digest());
});
