/** What is needed stays, all else goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Case, shrink } from './shrink.ts';

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test('of twenty faults and nine clients the two and the one that matter are left', async () => {
  const needs = ({ faults, clients }: Case): boolean =>
    faults.includes(3) && faults.includes(17) && clients.includes(4);
  const { least, runs } = await shrink({ faults: upTo(20), clients: upTo(9) }, async (one) => needs(one));
  assert.deepEqual(least, { faults: [3, 17], clients: [4] });
  assert.ok(runs < 120, `${runs} runs`);
});

test('what fails by itself is left with nothing', async () => {
  const { least } = await shrink({ faults: upTo(12), clients: upTo(5) }, async () => true);
  assert.deepEqual(least, { faults: [], clients: [] });
});

test('whatever is needed, what is left fails, and fails no more with anything less', async () => {
  const needed = fc.record({ faults: fc.subarray(upTo(12)), clients: fc.subarray(upTo(6)) });
  await fc.assert(
    fc.asyncProperty(needed, async ({ faults, clients }) => {
      const fails = async (one: Case): Promise<boolean> =>
        faults.every((id) => one.faults.includes(id)) && clients.every((id) => one.clients.includes(id));
      const { least } = await shrink({ faults: upTo(12), clients: upTo(6) }, fails);
      assert.deepEqual(least, { faults, clients });
    }),
    { numRuns: 100 },
  );
});

test('it stops after so many runs with the least that it has found', async () => {
  const { least, runs } = await shrink(
    { faults: upTo(50), clients: upTo(9) },
    async ({ faults }) => faults.includes(7),
    5,
  );
  assert.equal(runs, 5);
  assert.ok(least.faults.includes(7) && least.faults.length < 50);
});
