/** `kill -9` of everything, the database's processes too, under load; the short form (the long one is `stampede.kill.faults.test.ts`). */
import { test } from 'node:test';
import { runKillRounds } from './bench/kill-rounds.ts';

test('after kill -9 of every process under load nothing acknowledged is missing and the books agree (3 rounds)', async (t) => {
  const result = await runKillRounds({ rounds: 3, loadMs: [1200, 2500], server: process.env.TEST_DATABASE_URL });
  t.diagnostic(JSON.stringify(result));
});
