/**
 * `npm run bench:cluster`: what a cluster of real node processes costs and gives, on a scratch database of a running PostgreSQL and a
 * Redis of its own.
 *
 * - failover: from `kill -9` to the first write on every one of the dead node's shards, with default settings;
 * - drain: what shoppers notice while nodes are drained in good order;
 * - remote: an add-to-cart that meets another node than its cart's, against one that meets the right one, at growing numbers of connections, so
 *   that batching shows;
 * - scale: two nodes against one on the same cores; and, by a queueing model (`cluster-model.ts`) fed with the costs just measured, the
 *   expected curve to 64 nodes.
 *
 * What to look at before believing a row: `failures` (empty), `others` (what programs outside of the run took of the machine) and
 * `generator` (its share of one core). A ratio whose spread over the rounds contains 1 says "inside the noise".
 *
 *   npm run bench:cluster [-- --quick] [--parts failover,drain,remote,scale] [--rounds 20] [--seconds 4] [--connections 1,16,64]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cartsByShard } from './cluster-carts.ts';
import { type DrainReport, drainRounds, type FailoverReport, failoverRounds, ms } from './cluster-failover.ts';
import { clusterCurve, firstBottleneck, type ModelRow } from './cluster-model.ts';
import { Cluster } from './cluster-process.ts';
import {
  type CallRow,
  type Ratio,
  type RemoteReport,
  remoteAgainstLocal,
  type ScaleReport,
  twoAgainstOne,
} from './cluster-remote.ts';
import { GENERATOR_LIMITED } from './drive.ts';
import { goodsFor } from './goods.ts';
import { machine } from './machine.ts';

export const PARTS = ['failover', 'drain', 'remote', 'scale'] as const;
export type Part = (typeof PARTS)[number];

export interface ClusterBenchOptions {
  readonly parts: readonly Part[];
  /** Of failover. */
  readonly kills: number;
  readonly drains: number;
  /** Of remote and scale. */
  readonly rounds: number;
  readonly secondsEach: number;
  readonly connections: readonly number[];
  readonly carts: number;
  readonly server: string | undefined;
  readonly tell: (line: string) => void;
}

export interface ClusterBenchReport {
  readonly machine: string;
  readonly failover: FailoverReport | null;
  readonly drain: DrainReport | null;
  readonly remote: RemoteReport | null;
  readonly scale: ScaleReport | null;
  /** With a remote call's cost in batches (at the most connections), and at its dearest (at the fewest). */
  readonly model: { readonly batched: readonly ModelRow[]; readonly single: readonly ModelRow[] } | null;
}

const SIZES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
/** The database server of the model; the balancer hashes on nothing. */
const MODEL = { postgresCores: 8, aimed: 0, load: 0.7 };

export async function benchCluster(options: ClusterBenchOptions): Promise<ClusterBenchReport> {
  const { parts, tell, server } = options;
  tell(`machine: ${machine()}`);
  const cluster = await Cluster.start({ nodes: 3, server });
  try {
    const { plainSkus } = await goodsFor(cluster.nodes, { plain: 1, held: 0 });
    const sku = plainSkus[0] ?? '';
    const carts = await cartsByShard(cluster, options.carts);
    const failover = parts.includes('failover') ? await failoverRounds(cluster, carts, sku, options.kills, tell) : null;
    const drain = parts.includes('drain')
      ? await drainRounds({
          cluster,
          carts,
          sku,
          drains: options.drains,
          connections: 16,
          aroundMs: options.secondsEach * 500,
        })
      : null;
    let remote: RemoteReport | null = null;
    let scale: ScaleReport | null = null;
    if (parts.includes('remote') || parts.includes('scale')) {
      await cluster.node(2).terminate();
      await cluster.settled();
      const calls = { ...options, cluster, carts, sku };
      if (parts.includes('remote')) remote = await remoteAgainstLocal(calls);
      if (parts.includes('scale')) scale = await twoAgainstOne(calls);
    }
    const model = remote === null ? null : modelOf(remote, options.connections);
    const report: ClusterBenchReport = { machine: machine(), failover, drain, remote, scale, model };
    for (const line of describe(report)) tell(line);
    return report;
  } finally {
    await cluster.close();
  }
}

function modelOf(remote: RemoteReport, connections: readonly number[]): ClusterBenchReport['model'] {
  const row = (name: string, conn: number | undefined) =>
    remote.rows.find((one) => one.target.startsWith(name) && one.connections === conn);
  const curve = (conn: number | undefined) => {
    const [local, far, busy] = [row('local', conn), row('remote', conn), row('local', connections.at(-1))];
    if (local === undefined || far === undefined || busy === undefined) return [];
    // What a request costs its own node and PostgreSQL is that of full batches; only the way between nodes is told apart.
    const costs = {
      localUs: busy.nodeUs,
      remoteUs: busy.nodeUs + Math.max(0, far.nodeUs - local.nodeUs),
      postgresUs: busy.postgresUs,
      redisUs: Math.max(0, far.redisUs - local.redisUs),
    };
    return clusterCurve({ costs, ...MODEL }, SIZES);
  };
  return { batched: curve(connections.at(-1)), single: curve(connections[0]) };
}

function describe({ failover, drain, remote, scale, model }: ClusterBenchReport): string[] {
  const lines: string[] = [];
  if (failover !== null)
    lines.push(
      '',
      `failover after kill -9, ${failover.roundsMs.length} rounds: p50 ${ms(failover.p50Ms)}, worst ${ms(failover.worstMs)} (to the last of a node's shards; median shard ${ms(failover.shardP50Ms)})`,
    );
  if (drain !== null)
    lines.push(
      `planned drain, ${drain.drains} drains under ${drain.requests} requests: failures ${JSON.stringify(drain.failures)}, ${drain.resets} connections reset before they were taken, slowest request ${ms(drain.slowestMs)}, slowest drain ${ms(drain.drainMs)}`,
    );
  const rows = [...(remote?.rows ?? []), ...(scale?.rows ?? [])];
  if (rows.length > 0) lines.push('', ...table(rows));
  if (remote !== null) {
    const list = (ratios: Readonly<Record<string, Ratio>>) =>
      Object.entries(ratios)
        .map(([connections, ratio]) => `${connections} conn ${told(ratio)}`)
        .join(', ');
    lines.push('', `CPU of the nodes, remote ÷ local: ${list(remote.cpuRatio)}`);
    lines.push(`median latency, remote ÷ local: ${list(remote.latencyRatio)}`);
    lines.push(`idle: ${remote.idleMsPerSecond.toFixed(1)} ms of CPU a second in all nodes, taken off above`);
  }
  if (scale !== null)
    lines.push(
      `two nodes ÷ one on the same cores: ${told(scale.aimed)} where requests meet their owner, ${told(scale.any)} where they meet any node`,
    );
  if (model !== null)
    lines.push(
      '',
      ...curveTable('a remote call as in full batches', model.batched),
      ...curveTable('a remote call as at one connection', model.single),
    );
  return lines;
}

function table(rows: readonly CallRow[]): string[] {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const head = `conn  ${'target'.padEnd(24)}    per s (spread)          p50 µs   p99 µs  nodes µs/req (spread)  pg µs  redis µs  generator  others  failures`;
  return [
    head,
    ...rows.map((row) =>
      [
        String(row.connections).padStart(4),
        row.target.padEnd(24),
        `${rounded(row.perSecond, 8)} (${row.perSecondSpread.map(Math.round).join('–')})`.padEnd(24),
        rounded(row.p50Us, 7),
        rounded(row.p99Us, 8),
        `${rounded(row.nodeUs, 8)} (${row.nodeUsSpread.map(Math.round).join('–')})`.padEnd(20),
        rounded(row.postgresUs, 6),
        rounded(row.redisUs, 9),
        percent(row.generatorShare).padStart(10),
        percent(row.othersShare).padStart(7),
        ` ${JSON.stringify(row.failures)}${row.generatorShare >= GENERATOR_LIMITED ? ' generator-limited' : ''}`,
      ].join(' '),
    ),
  ];
}

const rounded = (value: number, width: number) => Math.round(value).toString().padStart(width);

function told({ median, least, most }: Ratio): string {
  const noise = least <= 1 && most >= 1 ? ', inside the noise' : '';
  return `${median.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)}${noise})`;
}

function curveTable(title: string, rows: readonly ModelRow[]): string[] {
  const first = firstBottleneck(rows);
  return [
    `model, ${title}; PostgreSQL with ${MODEL.postgresCores} cores, a core for each node, a balancer that knows nothing:`,
    '  nodes  remote  most adds/s  bottleneck  mean response at 70 %',
    ...rows.map(
      (row) =>
        `  ${String(row.nodes).padStart(5)}  ${`${Math.round(row.remoteShare * 100)} %`.padStart(6)}  ${rounded(row.mostPerSecond, 11)}  ${row.bottleneck.padEnd(10)}  ${rounded(row.responseUs, 8)} µs`,
    ),
    first === null
      ? '  the nodes themselves are the limit all the way'
      : `  the first bottleneck besides the nodes: ${first.bottleneck}, from ${first.nodes} nodes on`,
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      parts: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      connections: { type: 'string' },
      server: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const quick = values.quick === true;
  const wanted = values.parts?.split(',') ?? PARTS;
  const report = await benchCluster({
    parts: PARTS.filter((part) => wanted.includes(part)),
    kills: Number(values.rounds ?? (quick ? 3 : 20)),
    drains: quick ? 1 : 6,
    rounds: quick ? 2 : 4,
    secondsEach: Number(values.seconds ?? (quick ? 1 : 4)),
    connections: values.connections?.split(',').map(Number) ?? [1, 16, 64],
    carts: quick ? 1_000 : 4_000,
    server: values.server,
    tell: (line) => void process.stdout.write(`${line}\n`),
  });
  if (values.json !== undefined) {
    mkdirSync(dirname(resolve(values.json)), { recursive: true });
    writeFileSync(resolve(values.json), `${JSON.stringify(report, null, 2)}\n`);
  }
}
