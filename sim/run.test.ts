/** A fixed set of seeds: nothing is violated, everything that matters happens in some of them, and a seed is the same each time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrderState } from '../actors/order-state.ts';
import { runSeed } from './run.ts';

test('whatever the faults of ten seeds do, no oracle objects, and the histories reach the ends that matter', async () => {
  const ends = new Map<string, number>();
  for (let seed = 0; seed < 10; seed++) {
    const { violations, journal } = await runSeed({ seed });
    assert.deepEqual(violations, [], `seed ${seed}: npm run sim -- --seed ${seed}`);
    for (const { phase, failure, payment } of journal.states<OrderState>('order')) {
      const end = `${phase} ${failure === null ? '' : `${failure.code} `}${payment.state}`;
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
  }
  for (const end of [
    'confirmed captured',
    'confirmed none',
    'cancelled voided',
    'cancelled refunded',
    'failed out_of_stock none',
    'failed payment_declined declined',
  ]) {
    assert.ok((ends.get(end) ?? 0) > 0, `no history ended in "${end}": ${JSON.stringify([...ends])}`);
  }
});

/** In each of them an oracle once objected, to the product or to the simulator itself (`CHANGELOG.md`). */
const REGRESSIONS = [7_283, 21_231, 48_147, 52_175, 56_186, 86_188, 92_111];

test('seeds in which something was found stay without objection', async () => {
  for (const seed of REGRESSIONS) {
    const { violations } = await runSeed({ seed });
    assert.deepEqual(violations, [], `seed ${seed}: npm run sim -- --seed ${seed}`);
  }
});

test('one seed is one history, another seed another', async () => {
  const digests: string[] = [];
  for (const seed of [17, 17, 18]) digests.push((await runSeed({ seed })).history.digest());
  assert.equal(digests[0], digests[1]);
  assert.notEqual(digests[0], digests[2]);
});

test('with fewer faults and clients the others intend what they did before', async () => {
  const whole = await runSeed({ seed: 3 });
  const kept = whole.plan[0];
  assert.ok(kept !== undefined);
  const part = await runSeed({ seed: 3, faults: [kept.id], clients: [0, 2] });
  assert.deepEqual(part.plan, [kept]);
  const first = (result: typeof whole): unknown[] =>
    result.history.calls.filter((call) => call.client === 'shopper-2').map(({ ref, command }) => [ref, command]);
  assert.deepEqual(first(part)[0], first(whole)[0]);
  const clients = new Set(part.history.calls.map((call) => call.client));
  assert.ok(!clients.has('shopper-1') && clients.has('shopper-0'));
});

test('the trace tells of calls, commits and faults, one line each', async () => {
  const { history } = await runSeed({ seed: 11, lengthMs: 3_000 });
  const lines = [...history.trace()];
  assert.equal(lines.length, history.length);
  assert.ok(lines.some((line) => /shopper-\d+ → node-\d {2}#\d+ cart \S+ create/.test(line)));
  assert.ok(lines.some((line) => /commit by node-\d/.test(line)));
});
