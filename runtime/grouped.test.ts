import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { grouped } from './grouped.ts';

test('a lone item goes at once; what comes meanwhile goes together, in order and at most so many', async () => {
  const groups: (readonly number[])[] = [];
  const ends: (() => void)[] = [];
  const double = grouped<number, number>(3, async (items) => {
    groups.push(items);
    await new Promise<void>((resolve) => ends.push(resolve));
    return items.map((item) => 2 * item);
  });
  const outs = Promise.all([1, 2, 3, 4, 5].map(double));
  assert.deepEqual(groups, [[1]]);
  for (let round = 0; round < 3; round++) {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(groups, [[1], [2, 3, 4], [5]]);
  assert.deepEqual(await outs, [2, 4, 6, 8, 10]);
});

test('each caller hears of its own group: a failure ends that group only', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 6 }), { maxLength: 6 }),
      fc.integer({ min: 1, max: 4 }),
      async (waves, most) => {
        const failed = new Set<number>();
        let serial = 0;
        const ask = grouped<{ id: number; value: number }, number>(most, async (items) => {
          assert.ok(items.length >= 1 && items.length <= most);
          await null;
          if (items.some(({ value }) => value === 0)) {
            for (const { id } of items) failed.add(id);
            throw new Error('a group failed');
          }
          return items.map(({ value }) => value + 1);
        });
        const all: Promise<void>[] = [];
        for (const wave of waves) {
          for (const value of wave) {
            const id = serial++;
            const heard = ask({ id, value }).then(
              (out) => assert.deepEqual([out, failed.has(id)], [value + 1, false]),
              () => assert.ok(failed.has(id)),
            );
            all.push(heard);
          }
          await null;
        }
        await Promise.all(all);
      },
    ),
  );
});

test('a call that answers fewer items than it was given is a failure, not a shift of answers', async () => {
  const short = grouped<number, number>(2, async () => []);
  await assert.rejects(short(1), /0 results of 1 items/);
});
