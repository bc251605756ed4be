/**
 * What more nodes would bring: a queueing model fed with the costs that `bench/cluster.ts` measures. Pure.
 *
 * Each resource is an M/M/c station (Poisson arrivals, exponential service, c servers):
 * - a node: one event loop each, c = 1. A request costs it `localUs`; where the shard is another node's, both nodes together `remoteUs`;
 * - PostgreSQL: c = its cores, `postgresUs` a request;
 * - Redis: one thread, c = 1, `redisUs` for each remote call (its request and its reply).
 *
 * Of n nodes behind a balancer that knows nothing, a request meets its owner by chance, one in n; a balancer that hashes on the cart id
 * sends the share `aimed` of all requests to the owner besides. So remote = (1 − aimed) (1 − 1/n). The most that the cluster takes is that of the
 * station which is full first, the bottleneck. Response times are mean ones, at `load` of that most.
 *
 * What it leaves out, all of which a measurement at that size would show: carts that are hotter than others; nodes that share cores; that
 * batches between two nodes get smaller with more nodes (a remote call then costs more: feed it the cost at one connection for the worst case) and
 * that those of the journal get smaller too; the flush of the write-ahead log, which all commits of a moment share; the leases and news of the
 * members, which grow with n but not with the load.
 */

export interface ClusterCosts {
  /** CPU of the nodes for a request whose shard is its node's, in microseconds. */
  readonly localUs: number;
  /** CPU of both nodes together for one whose shard is another's. */
  readonly remoteUs: number;
  readonly postgresUs: number;
  readonly redisUs: number;
}

export interface ModelOptions {
  readonly costs: ClusterCosts;
  /** Of the PostgreSQL server. */
  readonly postgresCores: number;
  /** Share of the requests that the balancer sends to the owner on purpose, 0 to 1. */
  readonly aimed: number;
  /** Of the most, at which response times are told, 0 to 1. */
  readonly load: number;
}

export interface ModelRow {
  readonly nodes: number;
  readonly remoteShare: number;
  readonly mostPerSecond: number;
  readonly bottleneck: 'node' | 'PostgreSQL' | 'Redis';
  /** Mean time in service and queues at `load` of the most. */
  readonly responseUs: number;
}

interface Station {
  readonly name: ModelRow['bottleneck'];
  /** Mean time that one visit takes a server. */
  readonly serviceUs: number;
  readonly servers: number;
  /** Visits of one station for each request of the cluster. */
  readonly visits: number;
  /** How many of its visits one request makes in all (over all stations of this kind). */
  readonly perRequest: number;
}

export function clusterCurve(options: ModelOptions, sizes: readonly number[]): ModelRow[] {
  return sizes.map((nodes) => row(options, nodes));
}

/** The first size whose bottleneck is not the nodes themselves, or null within those sizes. */
export function firstBottleneck(rows: readonly ModelRow[]): ModelRow | null {
  return rows.find((one) => one.bottleneck !== 'node') ?? null;
}

function row({ costs, postgresCores, aimed, load }: ModelOptions, nodes: number): ModelRow {
  const remoteShare = (1 - aimed) * (1 - 1 / nodes);
  const nodeUs = costs.localUs + remoteShare * (costs.remoteUs - costs.localUs);
  const stations: Station[] = [
    { name: 'node', serviceUs: nodeUs, servers: 1, visits: 1 / nodes, perRequest: 1 },
    { name: 'PostgreSQL', serviceUs: costs.postgresUs, servers: postgresCores, visits: 1, perRequest: 1 },
    { name: 'Redis', serviceUs: costs.redisUs, servers: 1, visits: remoteShare, perRequest: remoteShare },
  ];
  const full = stations.reduce((least, station) => (mostOf(station) < mostOf(least) ? station : least));
  const mostPerSecond = mostOf(full);
  const perUs = (mostPerSecond * load) / 1e6;
  const responseUs = stations.reduce(
    (sum, s) => sum + s.perRequest * meanTimeUs(perUs * s.visits, s.serviceUs, s.servers),
    0,
  );
  return { nodes, remoteShare, mostPerSecond, bottleneck: full.name, responseUs };
}

/** Requests of the cluster in a second at which the station is full. */
function mostOf({ serviceUs, servers, visits }: Station): number {
  return serviceUs * visits === 0 ? Number.POSITIVE_INFINITY : (servers * 1e6) / (serviceUs * visits);
}

/** Mean time in an M/M/c station, waiting and service; infinite where it is full. */
export function meanTimeUs(arrivalsPerUs: number, serviceUs: number, servers: number): number {
  const offered = arrivalsPerUs * serviceUs;
  if (offered >= servers) return Number.POSITIVE_INFINITY;
  return serviceUs + (erlangC(offered, servers) * serviceUs) / (servers - offered);
}

/** The chance that an arrival has to wait (Erlang's second formula), by the recursion of his first one. */
export function erlangC(offered: number, servers: number): number {
  let blocked = 1;
  for (let k = 1; k <= servers; k++) blocked = (offered * blocked) / (k + offered * blocked);
  const busy = offered / servers;
  return blocked / (1 - busy + busy * blocked);
}
