/** Whether the simulator sees bugs: the mutants that few seeds show are caught here, all of them by `npm run sim:mutants`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catchMutant, MUTANTS } from './mutants.ts';
import { runSeed } from './run.ts';

/** Of every part those that show at once, wherever the seeds are counted from: the run ends with the first objection. */
const QUICK = [
  'reply before commit',
  'read past the gate',
  'message before commit',
  'dedupe dropped',
  'timer not stored',
  'gift not noticed',
  'hold not pinned',
  'charged with holds on their way',
  'release of one line forgotten',
  'cancel without refund',
  'two orders for one cart',
  'rounding drift',
];

test('there are mutants of every part, each with a name of its own and the promise that it breaks', () => {
  assert.ok(MUTANTS.filter(({ within }) => within !== null).length >= 20);
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  for (const { name, breaks } of MUTANTS) assert.match(breaks, /\. [A-Z].*\.$/, name);
});

for (const name of QUICK) {
  const mutant = MUTANTS.find((one) => one.name === name);
  test(`"${name}" is caught within ${mutant?.within} seeds`, async () => {
    assert.ok(mutant !== undefined && mutant.within !== null);
    assert.notEqual(await catchMutant(mutant), null);
  });
}

test('nothing of a mutant is left when it was taken out', async () => {
  const digest = async (): Promise<string> => (await runSeed({ seed: 2, lengthMs: 1_000 })).history.digest();
  const before = await digest();
  for (const { install } of MUTANTS) install()();
  assert.equal(await digest(), before);
});
