import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Busy } from '../schema/busy.ts';
import { patiently } from './patient-start.ts';

/** Fails so many times with that error; counts the attempts. */
function flaky(times: number, error: Error) {
  const attempts = {
    made: 0,
    attempt: async () => {
      if (attempts.made++ < times) throw error;
      return 'started';
    },
  };
  return attempts;
}

const warned: object[] = [];
const log = { warn: (detail: object) => void warned.push(detail) };

test('a start that meets a busy database is made again, and each time is told', async () => {
  const start = flaky(3, new Busy('recovering'));
  assert.equal(await patiently(start.attempt, { log, pauseMs: 1 }), 'started');
  assert.equal(start.made, 4);
  assert.deepEqual(warned, Array(3).fill({ error: 'Busy: recovering' }));
});

test('any other failure ends it at once', async () => {
  const start = flaky(1, new Error('no such database'));
  await assert.rejects(patiently(start.attempt, { log, pauseMs: 1 }), /no such database/);
  assert.equal(start.made, 1);
});

test('patience ends with its time, and where nobody waits any more', async () => {
  const late = flaky(1_000, new Busy('recovering'));
  await assert.rejects(patiently(late.attempt, { log, pauseMs: 2, forMs: 20 }), /recovering/);
  assert.ok(late.made >= 1 && late.made < 1_000);
  const left = flaky(1_000, new Busy('recovering'));
  await assert.rejects(patiently(left.attempt, { log, pauseMs: 1, wanted: () => left.made < 3 }), /recovering/);
  assert.equal(left.made, 3);
});
