/**
 * A cluster under test: real node processes that share one database and one Redis of the cluster's own, beside an outside payment
 * provider with its own books. Requests go to any node, as from a balancer that knows nothing.
 *
 * The database is a scratch one on a server that runs already, or on a server of its own (embedded binaries) that may be crashed. Where it
 * is asked for, each node reaches Redis and PostgreSQL through proxies of its own.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { SCHEMA } from '../schema/database.ts';
import { type Embedded, startEmbedded } from '../schema/embedded.ts';
import { ClusterNode, type StartOptions } from './cluster-node.ts';
import { RedisProcess } from './redis-process.ts';
import { SandboxProvider } from './sandbox-provider.ts';
import { DEFAULT_SERVER, scratchDatabase } from './scratch-database.ts';
import {
  type Answer,
  entryPoint,
  freePort,
  type RequestOptions,
  type Storefront,
  TEST_SECRETS,
  until,
} from './shop-process.ts';
import { TcpProxy } from './tcp-proxy.ts';

export interface ClusterOptions {
  /** Default 3. */
  readonly nodes?: number;
  /** A running server; default: the one of this machine. The provider's books are always there. */
  readonly server?: string | undefined;
  /** A PostgreSQL of the cluster's own, so that it can be crashed; in a directory that is there, where one is named. */
  readonly ownPostgres?: boolean | { readonly dataDir: string; readonly settings: Readonly<Record<string, string>> };
  /** Each node reaches Redis, PostgreSQL through a proxy of its own; all of them reach the payment provider through one. */
  readonly proxies?: readonly ('redis' | 'postgres' | 'provider')[];
  /** The payment provider tells the first node of each change; its `PAYMENT_WEBHOOK_SECRET` is in `env`. Default: nobody. */
  readonly noticesTo?: 'the first node';
  readonly env?: Readonly<Record<string, string>>;
  /** For each node's first start, by its index. */
  readonly startOf?: (index: number) => StartOptions;
}

interface ClusterDatabase {
  readonly url: string;
  readonly backends: () => number[];
  readonly embedded: Embedded | null;
  close(): Promise<void>;
}

/** As the tables say. */
export interface ShardOwnership {
  /** Of the incarnation that owns the shard, by shard; null where that is no living member. */
  readonly nodeIds: readonly (string | null)[];
  /** Shards of each living node. */
  readonly counts: ReadonlyMap<string, number>;
}

export class Cluster implements Storefront {
  readonly nodes: readonly ClusterNode[];
  readonly redis: RedisProcess;
  readonly provider: SandboxProvider;
  /** Between the nodes and the provider, where that was asked for. */
  readonly providerProxy: TcpProxy | null;
  readonly databaseUrl: string;
  readonly #database: ClusterDatabase;

  private constructor(
    nodes: readonly ClusterNode[],
    database: ClusterDatabase,
    redis: RedisProcess,
    provider: SandboxProvider,
    providerProxy: TcpProxy | null,
  ) {
    this.nodes = nodes;
    this.#database = database;
    this.databaseUrl = database.url;
    this.redis = redis;
    this.provider = provider;
    this.providerProxy = providerProxy;
  }

  /** Resolves when every node is ready and has its share of the shards. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { nodes: count = 3, proxies = [] } = options;
    const secret = options.env?.PAYMENT_WEBHOOK_SECRET;
    const mainPort = await freePort();
    const provider = await SandboxProvider.start(
      options.server,
      options.noticesTo === undefined || secret === undefined
        ? undefined
        : { url: `http://127.0.0.1:${mainPort}/v1/webhooks/payments`, secret },
    );
    const providerProxy = proxies.includes('provider')
      ? await TcpProxy.listen({ port: Number(new URL(provider.url).port), host: '127.0.0.1' })
      : null;
    const redis = await RedisProcess.start();
    const database = await openDatabase(options);
    const shared = {
      CLUSTER_ID: `faults-${randomUUID().slice(0, 8)}`,
      PAYMENT_SANDBOX_URL: providerProxy === null ? provider.url : `http://127.0.0.1:${providerProxy.port}`,
      ...options.env,
    };
    await seed({ ...shared, DATABASE_URL: database.url, REDIS_URL: redis.url });
    const nodes: ClusterNode[] = [];
    for (let index = 0; index < count; index++) {
      const redisProxy = proxies.includes('redis') ? await TcpProxy.listen({ port: redis.port }) : null;
      const pgProxy = proxies.includes('postgres') ? await TcpProxy.listen(postgresAt(database.url)) : null;
      const name = `node-${index + 1}`;
      const env = {
        ...shared,
        NODE_ID: name,
        REDIS_URL: redisProxy === null ? redis.url : `redis://127.0.0.1:${redisProxy.port}`,
        DATABASE_URL: pgProxy === null ? database.url : throughPort(database.url, pgProxy.port),
      };
      const port = index === 0 ? mainPort : await freePort();
      nodes.push(new ClusterNode({ name, env, port, redis: redisProxy, postgres: pgProxy }));
    }
    const cluster = new Cluster(nodes, database, redis, provider, providerProxy);
    try {
      await Promise.all(nodes.map((node, index) => node.start(options.startOf?.(index))));
      await cluster.settled();
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** Asks any node that runs; one that is paused, or was just killed, counts as running: a balancer does not know. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer> {
    return this.#any().request(method, path, options);
  }

  admin(method: string, path: string, options?: RequestOptions): Promise<Answer> {
    return this.#any().admin(method, path, options);
  }

  node(index: number): ClusterNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  /** A node at random. */
  #any(): ClusterNode {
    return this.node(Math.floor(Math.random() * this.nodes.length));
  }

  /** Process ids of PostgreSQL's backends for this cluster, where it is a server that was running before. */
  backends(): number[] {
    return this.#database.backends();
  }

  /** Crashes the cluster's own PostgreSQL as `pg_ctl -m immediate` does: no checkpoint, every connection cut. It is started again at once. */
  crashPostgres(): void {
    const pid = this.#database.embedded?.pid;
    if (pid === undefined) throw new Error('the cluster has no PostgreSQL of its own that runs');
    process.kill(pid, 'SIGQUIT');
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.databaseUrl });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Row>(sql, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  async ownership(): Promise<ShardOwnership> {
    const rows = await this.query<{ shard: number; node: string | null }>(
      `SELECT s.shard, m.node_id AS node FROM ${SCHEMA}.shard AS s
        LEFT JOIN ${SCHEMA}.member AS m ON m.incarnation = s.owner AND m.state IN ('alive', 'leaving') ORDER BY s.shard`,
    );
    const counts = new Map<string, number>();
    for (const { node } of rows) if (node !== null) counts.set(node, (counts.get(node) ?? 0) + 1);
    return { nodeIds: rows.map((row) => row.node), counts };
  }

  /** Until every node that should be up is ready, every shard is a living node's, and none has less than half of its fair share. */
  async settled(timeoutMs = 60_000): Promise<void> {
    const up = this.nodes.filter((node) => node.state === 'up');
    for (const node of up) await node.ready(timeoutMs);
    let seen = '';
    await until(
      'the shards are shared out',
      async () => {
        const { nodeIds, counts } = await this.ownership();
        seen = JSON.stringify(Object.fromEntries(counts));
        const least = nodeIds.length / up.length / 2;
        return !nodeIds.includes(null) && up.every((node) => (counts.get(node.name) ?? 0) >= least);
      },
      timeoutMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${seen}`);
    });
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.close();
    await this.redis.close();
    await this.providerProxy?.close();
    await this.provider.close();
    await this.#database.close();
  }
}

async function openDatabase({ server, ownPostgres }: ClusterOptions): Promise<ClusterDatabase> {
  if (ownPostgres === undefined || ownPostgres === false) {
    const scratch = await scratchDatabase(server ?? DEFAULT_SERVER, 'stampede_cluster');
    return { url: scratch.url, backends: scratch.backends, embedded: null, close: scratch.drop };
  }
  const given = ownPostgres === true ? undefined : ownPostgres;
  const dataDir = given?.dataDir ?? mkdtempSync(join(tmpdir(), 'stampede-cluster-pg-'));
  const log = { info() {}, warn() {}, error() {} };
  const embedded = await startEmbedded({ dataDir, log, settings: { max_connections: '150', ...given?.settings } });
  return {
    url: embedded.url,
    backends: () => [],
    embedded,
    async close() {
      await embedded.stop();
      if (given === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Fills the empty database, as an operator does before the first node starts. */
async function seed(env: Readonly<Record<string, string>>): Promise<void> {
  const everything = { PATH: process.env.PATH, ...TEST_SECRETS, ...env };
  await promisify(execFile)(process.execPath, [entryPoint(), 'seed', '--products', '3'], { env: everything });
}

/** Where a server listens: `?host=/directory` names a unix socket. */
/** Where a proxy leads that stands before it. */
export function postgresAt(url: string): { port: number; host: string } | { path: string } {
  const { hostname, port, searchParams } = new URL(url);
  const directory = searchParams.get('host');
  if (directory === null) return { host: hostname, port: Number(port || 5432) };
  return { path: join(directory, `.s.PGSQL.${port || 5432}`) };
}

/** The same database through a proxy on that port of this machine. */
export function throughPort(url: string, port: number): string {
  const address = new URL(url);
  address.searchParams.delete('host');
  address.hostname = '127.0.0.1';
  address.port = String(port);
  return address.toString();
}
