/** `kill -9` of everything, the database's processes too, under load; the long form of `stampede.kill.test.ts`. */
import { testRow } from './bench/fault-test.ts';
import { runKillRounds } from './bench/kill-rounds.ts';

testRow('kill-all', {}, async (rounds) => {
  const result = await runKillRounds({ rounds, loadMs: [800, 4000], server: process.env.TEST_DATABASE_URL });
  return {
    carts: result.carts,
    'units acknowledged': result.unitsTold,
    'units in doubt': result.unitsOpen,
    orders: result.ordersConfirmed,
    cancelled: result.cancelled,
    'open charges': result.paymentsOpen,
    'tries repeated': result.callsRepeated,
  };
});
