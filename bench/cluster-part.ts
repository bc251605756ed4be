/** What the suite measures on a cluster of real nodes: how long a shard is away after a `kill -9`, and what an add costs with 1 to 4 nodes on the same cores. */
import { cartsByShard } from './cluster-carts.ts';
import { type FailoverReport, failoverRounds } from './cluster-failover.ts';
import { Cluster } from './cluster-process.ts';
import { clusterTarget } from './cluster-remote.ts';
import { drive } from './drive.ts';
import { goodsFor } from './goods.ts';
import type { GrowthCurve, GrowthPoint } from './growth.ts';
import { post } from './http-request.ts';
import { residentBytes } from './machine.ts';
import { rowOf } from './rounds.ts';
import { fitPower } from './statistics.ts';

export interface ClusterPartOptions {
  readonly nodes: readonly number[];
  readonly kills: number;
  readonly connections: number;
  readonly msEach: number;
  readonly server: string;
  readonly tell: (line: string) => void;
}

export interface ClusterPart {
  readonly failover: FailoverReport | null;
  readonly nodes: GrowthCurve;
}

const WHY =
  'Requests meet any node: of n nodes (n − 1)/n of them are passed on over Redis, which costs two nodes their share. On the same cores more nodes also mean smaller batches for each.';

/** Starts as many nodes as will be needed, kills in turn, then takes nodes away one by one. */
export async function clusterPart(options: ClusterPartOptions): Promise<ClusterPart> {
  const { kills, connections, msEach, server, tell } = options;
  const sizes = [...options.nodes].sort((a, b) => b - a);
  const cluster = await Cluster.start({ nodes: sizes[0] ?? 1, server });
  try {
    const { plainSkus } = await goodsFor(cluster.nodes, { plain: 1, held: 0 });
    const sku = plainSkus[0] ?? '';
    const carts = await cartsByShard(cluster, 1_000);
    const failover =
      kills > 0 && cluster.nodes.length > 1 ? await failoverRounds(cluster, carts, sku, kills, tell) : null;
    const all = carts.flat();
    const points: GrowthPoint[] = [];
    let up = cluster.nodes.length;
    for (const size of sizes) {
      for (; up > size; up--) await cluster.node(up - 1).terminate();
      await cluster.settled();
      const nodes = cluster.nodes.slice(0, size);
      // Slices, so that no two nodes are asked for the same cart at one time.
      const share = Math.floor(all.length / size);
      const doors = nodes.map(({ port }, index) => ({
        port,
        requests: all
          .slice(index * share, (index + 1) * share)
          .map((cart) => post(`/v1/carts/${cart.id}/lines`, { sku, quantity: 1 }, cart)),
      }));
      const run = await drive(clusterTarget(cluster, `${size} nodes`, doors), connections, msEach);
      const row = rowOf('nodes', connections, [run]);
      points.unshift({
        x: size,
        perSecond: run.perSecond,
        cpuUs: run.serverCpuUsPerRequest,
        nodeUs: run.groupCpuUsPerRequest.nodes ?? Number.NaN,
        postgresUs: run.groupCpuUsPerRequest.postgres ?? Number.NaN,
        p50Us: row.p50Us,
        p99Us: row.p99Us,
        residentMiB: nodes.reduce((sum, { pid }) => sum + residentBytes(pid) / 2 ** 20, 0),
        activationsPerSecond: 0,
        failures: run.failures,
      });
      tell(
        `growth ${size} nodes: ${Math.round(run.serverCpuUsPerRequest)} µs of CPU an add, ${Math.round(run.perSecond)}/s, failures ${JSON.stringify(run.failures)}`,
      );
    }
    const fit = (pick: (point: GrowthPoint) => number) => fitPower(points.map((one) => [one.x, pick(one)] as const));
    return {
      failover,
      nodes: {
        title: 'add to a cart, any node asked',
        what: 'nodes on the same cores',
        must: 'be flat',
        points,
        cost: fit((one) => one.cpuUs),
        p99: fit((one) => one.p99Us),
        memory: fit((one) => one.residentMiB),
        why: WHY,
      },
    };
  } finally {
    await cluster.close();
  }
}
