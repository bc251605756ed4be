/** `kill -9` of everything, the database's processes too, under load; the long form of `stampede.kill.test.ts`. */
import { test } from 'node:test';
import { runKillRounds } from './bench/kill-rounds.ts';

test('after kill -9 of every process under load nothing acknowledged is missing and the books agree (20 rounds)', async (t) => {
  const result = await runKillRounds({ rounds: 20, loadMs: [800, 4000], server: process.env.TEST_DATABASE_URL });
  t.diagnostic(JSON.stringify(result));
});
