/**
 * Full checkouts and the mixed shop. An order counts once its jobs are done (capture, mail): its rate is over the time until the backlog is 0, and a round
 * whose backlog is not within 10 s of its end is void.
 */
import type { Arena } from './arena.ts';
import { calibrate } from './calibration.ts';
import { drive, type Run } from './drive.ts';
import type { OrdersFound } from './result.ts';
import { type RoundsOptions, type Row, rowOf } from './rounds.ts';
import type { ShopTargets } from './shop-targets.ts';

/** Jobs end some half a second after the last order: runs as short as the others would measure that. */
const CHECKOUT_TIMES = 3;

export async function orders(
  arena: Arena,
  { checkout, mixed }: ShopTargets,
  { connections, rounds, msEach, tell }: RoundsOptions,
): Promise<{ rows: readonly Row[]; calibrationNs: readonly number[]; orders: OrdersFound }> {
  const runs: { checkout: Run[]; mixed: Run[] } = { checkout: [], mixed: [] };
  const settledPerSecond: number[] = [];
  const backlogEndMs: (number | null)[] = [];
  const calibrationNs = [calibrate()];
  for (let round = 0; round < rounds; round++) {
    const run = await drive(checkout, connections, CHECKOUT_TIMES * msEach);
    const endMs = await arena.backlogEnds();
    backlogEndMs.push(endMs);
    const late = endMs === null ? 'jobs of its orders were not done 10 s after its end' : null;
    runs.checkout.push({ ...run, voided: run.voided ?? late });
    if (endMs !== null) settledPerSecond.push((run.orders * 1000) / (run.elapsedMs + endMs));
    tell(
      `${connections} conn  full checkouts: ${Math.round((run.orders * 1000) / run.elapsedMs)} orders/s, ${Math.round(run.perSecond)} calls/s, jobs done ${endMs === null ? 'not in 10 s' : `${Math.round(endMs)} ms after the end`}, failures ${JSON.stringify(run.failures)}`,
    );
    const shop = await drive(mixed, connections, msEach);
    const shopEndMs = await arena.backlogEnds();
    runs.mixed.push({ ...shop, voided: shop.voided ?? (shopEndMs === null ? late : null) });
    tell(
      `${connections} conn  mixed shop: ${Math.round(shop.perSecond)} calls/s, ${Math.round((shop.orders * 1000) / shop.elapsedMs)} orders/s, failures ${JSON.stringify(shop.failures)}`,
    );
    calibrationNs.push(calibrate());
  }
  const rows = [rowOf(checkout.name, connections, runs.checkout), rowOf(mixed.name, connections, runs.mixed)];
  return {
    rows,
    calibrationNs,
    orders: { settledPerSecond, backlogEndMs, callsPerOrder: rows[0]?.callsPerOrder ?? Number.NaN },
  };
}
