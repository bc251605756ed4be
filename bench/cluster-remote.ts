/**
 * What it costs that a request meets another node than its actor's: adds to carts of one node, asked of that node and of its neighbour
 * in turn; and one node against two on the same cores. CPU is that of the processes (/proc), the nodes' own idle work taken off.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { type CartsByShard, cartsOf } from './cluster-carts.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { Cluster } from './cluster-process.ts';
import { drive, type Run, type Target } from './drive.ts';
import type { Door } from './generator.ts';
import { post } from './http-request.ts';
import { cpuMs, median } from './machine.ts';
import type { CartHandle } from './shopper.ts';

export interface CallRow {
  readonly target: string;
  readonly connections: number;
  readonly perSecond: number;
  readonly perSecondSpread: readonly [number, number];
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU per request in microseconds: all nodes together, PostgreSQL's backends, Redis. */
  readonly nodeUs: number;
  readonly nodeUsSpread: readonly [number, number];
  readonly postgresUs: number;
  readonly redisUs: number;
  /** Of one core, and of all cores: what the generator used, and what programs outside of the run used. */
  readonly generatorShare: number;
  readonly othersShare: number;
  readonly failures: Readonly<Record<string, number>>;
}

export interface RemoteReport {
  readonly rows: readonly CallRow[];
  /** By connections: CPU of the nodes for a remote add ÷ for a local one, median and spread over the rounds. */
  readonly cpuRatio: Readonly<Record<string, Ratio>>;
  readonly latencyRatio: Readonly<Record<string, Ratio>>;
  /** CPU of all nodes while nobody asks, in milliseconds for each second. */
  readonly idleMsPerSecond: number;
}

export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface CallOptions {
  readonly cluster: Cluster;
  readonly carts: CartsByShard;
  readonly sku: string;
  readonly connections: readonly number[];
  readonly secondsEach: number;
  readonly rounds: number;
  readonly tell: (line: string) => void;
}

/** Local against remote, A B A B …: each of two nodes in turn is the owner. */
export async function remoteAgainstLocal(options: CallOptions): Promise<RemoteReport> {
  const { cluster, carts, sku, rounds, secondsEach, tell } = options;
  const [first, second] = cluster.nodes;
  if (first === undefined || second === undefined) throw new Error('two nodes are needed');
  const idleMsPerSecond = await idle(cluster, Math.max(1, secondsEach));
  const rows: CallRow[] = [];
  const cpuRatio: Record<string, Ratio> = {};
  const latencyRatio: Record<string, Ratio> = {};
  for (const connections of options.connections) {
    const local: Run[] = [];
    const remote: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      const [owner, other] = round % 2 === 0 ? [first, second] : [second, first];
      const own = await cartsOf(cluster, carts, owner.name);
      for (const [asked, runs, name] of [
        [owner, local, 'local'],
        [other, remote, 'remote'],
      ] as const) {
        const run = await drive(clusterTarget(cluster, name, [adds(asked, own, sku)]), connections, secondsEach * 1000);
        runs.push(run);
        tell(line(connections, `${name} add-to-cart`, run));
      }
    }
    rows.push(rowOf('local add-to-cart', connections, local, idleMsPerSecond));
    rows.push(rowOf('remote add-to-cart', connections, remote, idleMsPerSecond));
    cpuRatio[connections] = ratioOf(remote, local, (run) => nodeUs(run, idleMsPerSecond));
    latencyRatio[connections] = ratioOf(remote, local, (run) => run.latencyUs.p50);
  }
  return { rows, cpuRatio, latencyRatio, idleMsPerSecond };
}

export interface ScaleReport {
  readonly rows: readonly CallRow[];
  /** Adds a second of two nodes ÷ of one: where every request meets its owner, and where it meets any node. */
  readonly aimed: Ratio;
  readonly any: Ratio;
}

/** Two nodes against one, in turn, on the same cores as generator and database. Only the first two nodes may be up. */
export async function twoAgainstOne(options: CallOptions): Promise<ScaleReport> {
  const { cluster, carts, sku, rounds, secondsEach, tell } = options;
  const connections = options.connections.at(-1) ?? 64;
  const [first, second] = cluster.nodes;
  if (first === undefined || second === undefined) throw new Error('two nodes are needed');
  const runs: Record<'aimed' | 'any' | 'one', Run[]> = { aimed: [], any: [], one: [] };
  const measure = async (name: 'aimed' | 'any' | 'one', title: string, doors: Door[]): Promise<void> => {
    const run = await drive(clusterTarget(cluster, title, doors), connections, secondsEach * 1000);
    runs[name].push(run);
    tell(line(connections, title, run));
  };
  const all = carts.flat();
  for (let round = 0; round < rounds; round++) {
    const aimed = [];
    for (const node of [first, second]) aimed.push(adds(node, await cartsOf(cluster, carts, node.name), sku));
    await measure('aimed', 'two nodes, to the owner', aimed);
    // Halves, so that no two connections ask for the same cart at one time.
    const half = all.length >> 1;
    await measure('any', 'two nodes, to any', [
      adds(first, all.slice(half), sku),
      adds(second, all.slice(0, half), sku),
    ]);
    await second.terminate();
    await cluster.settled();
    await measure('one', 'one node', [adds(first, all, sku)]);
    await second.start();
    await cluster.settled();
  }
  const rate = (run: Run) => run.perSecond;
  return {
    rows: [
      rowOf('one node', connections, runs.one, 0),
      rowOf('two nodes, to the owner', connections, runs.aimed, 0),
      rowOf('two nodes, to any', connections, runs.any, 0),
    ],
    aimed: ratioOf(runs.aimed, runs.one, rate),
    any: ratioOf(runs.any, runs.one, rate),
  };
}

function adds(node: ClusterNode, carts: readonly CartHandle[], sku: string): Door {
  const requests = carts.map((cart) => post(`/v1/carts/${cart.id}/lines`, { sku, quantity: 1 }, cart));
  return { port: node.port, requests };
}

export function clusterTarget(cluster: Cluster, name: string, doors: readonly Door[]): Target {
  const nodes = () => cluster.nodes.filter((node) => node.state === 'up').map((node) => node.pid);
  const postgres = () => cluster.backends();
  const redis = () => [cluster.redis.pid];
  return {
    name,
    doors,
    pids: () => [...nodes(), ...postgres(), ...redis()],
    groups: { nodes, postgres, redis },
  };
}

async function idle(cluster: Cluster, seconds: number): Promise<number> {
  const pids = cluster.nodes.filter((node) => node.state === 'up').map((node) => node.pid);
  const before = cpuMs(pids);
  await wait(seconds * 1000);
  return (cpuMs(pids) - before) / seconds;
}

/** Nodes' CPU for one request, without what they use while nobody asks. */
function nodeUs(run: Run, idleMsPerSecond: number): number {
  const idleUs = (idleMsPerSecond * run.wallMs) / Math.max(1, run.served);
  return Math.max(0, (run.groupCpuUsPerRequest.nodes ?? Number.NaN) - idleUs);
}

function rowOf(name: string, connections: number, runs: readonly Run[], idleMsPerSecond: number): CallRow {
  const of = (pick: (run: Run) => number) => median(runs.map(pick));
  const spread = (pick: (run: Run) => number): [number, number] => [
    Math.min(...runs.map(pick)),
    Math.max(...runs.map(pick)),
  ];
  const failures: Record<string, number> = {};
  for (const run of runs)
    for (const [end, count] of Object.entries(run.failures)) failures[end] = (failures[end] ?? 0) + count;
  return {
    target: name,
    connections,
    perSecond: of((run) => run.perSecond),
    perSecondSpread: spread((run) => run.perSecond),
    p50Us: of((run) => run.latencyUs.p50),
    p99Us: of((run) => run.latencyUs.p99),
    nodeUs: of((run) => nodeUs(run, idleMsPerSecond)),
    nodeUsSpread: spread((run) => nodeUs(run, idleMsPerSecond)),
    postgresUs: of((run) => run.groupCpuUsPerRequest.postgres ?? Number.NaN),
    redisUs: of((run) => run.groupCpuUsPerRequest.redis ?? Number.NaN),
    generatorShare: of((run) => run.generatorShare),
    othersShare: of((run) => run.othersShare),
    failures,
  };
}

/** Round by round, since what else the machine does changes over minutes. */
function ratioOf(over: readonly Run[], under: readonly Run[], pick: (run: Run) => number): Ratio {
  const ratios = over.map((run, round) => pick(run) / pick(under[round] as Run));
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

function line(connections: number, name: string, run: Run): string {
  return `${String(connections).padStart(4)} conn  ${name.padEnd(24)} ${Math.round(run.perSecond).toString().padStart(7)}/s  p50 ${run.latencyUs.p50} µs`;
}
