/**
 * Cold activation: carts that are in the journal and not in memory, each asked for once, so that every answer has to load its cart first. What the
 * shop counts as activated must be as many as were asked for.
 */
import type { Arena } from './arena.ts';
import { drive } from './drive.ts';
import { makeNumberedCarts } from './numbered-carts.ts';
import type { ColdFound } from './result.ts';
import { rowOf } from './rounds.ts';
import { metric } from './shop-metrics.ts';

const AT_MOST_MS = 60_000;

/** To be run before anything else has asked for numbered carts. */
export async function coldCarts(
  arena: Arena,
  count: number,
  connections: number,
  tell: (line: string) => void,
): Promise<ColdFound> {
  await makeNumberedCarts(arena, 0, count);
  const before = await metric(arena.shop, 'actors_activations');
  const run = await drive(
    {
      name: 'read of a cold cart',
      doors: [
        {
          port: arena.shop.port,
          script: { kind: 'numbered-carts', count, sku: arena.sku, access: 'each-once' },
        },
      ],
      pids: () => arena.shop.family(),
      groups: { node: () => arena.nodePids(), postgres: () => arena.postgresPids() },
    },
    connections,
    AT_MOST_MS,
    undefined,
    0,
  );
  const activations = (await metric(arena.shop, 'actors_activations')) - before;
  const row = rowOf('cold', connections, [run]);
  tell(
    `${count} cold carts: ${Math.round(run.perSecond)} activations/s (${activations} counted by the shop), p50 ${Math.round(row.p50Us)} µs, ${Math.round(row.serverCpuUs)} µs of CPU each (PostgreSQL ${Math.round(run.groupCpuUsPerRequest.postgres ?? Number.NaN)}), failures ${JSON.stringify(run.failures)}`,
  );
  return {
    carts: count,
    activationsPerSecond: run.perSecond,
    activations,
    p50Us: row.p50Us,
    p99Us: row.p99Us,
    serverCpuUs: row.serverCpuUs,
  };
}
