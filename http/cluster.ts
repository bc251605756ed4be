/** What this node tells of the cluster: to operators who ask, to whoever scrapes metrics, and to the other members. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Bus } from '../runtime/bus.ts';
import type { Succession } from '../runtime/succession.ts';
import { type ClusterView, readCluster } from '../schema/cluster-view.ts';
import type { Database } from '../schema/database.ts';
import { requestDrain } from '../schema/members.ts';
import type { ClusterAccess } from './app.ts';
import { faulting } from './database-fault.ts';
import type { Metrics } from './metrics.ts';

export function clusterAccess(database: Database, nodeId: string, actors: Succession): ClusterAccess {
  return {
    nodeId,
    view: faulting(() => readCluster(database.db)),
    localShare: () => localShare(actors),
    requestDrain: faulting(async (asked: string) => {
      const { members } = await readCluster(database.db);
      if (!living(members).some((member) => member.nodeId === asked)) return 'unknown';
      const heirs = members.filter((member) => member.state === 'alive' && !member.drainRequested);
      if (!heirs.some((member) => member.nodeId !== asked)) return 'last';
      return (await requestDrain(database, asked)) ? 'asked' : 'unknown';
    }),
  };
}

function living(members: ClusterView['members']): ClusterView['members'] {
  return members.filter(({ state }) => state !== 'left' && state !== 'dead');
}

/** Of the calls from outside (the edge's and the jobs') since this incarnation began. */
function localShare(actors: Succession): number | null {
  const { asks = 0, asksForwarded = 0 } = actors.stats;
  return asks === 0 ? null : 1 - Math.min(asks, asksForwarded) / asks;
}

/** Under `stampede_cluster_…` and, where there is a bus, `stampede_peers_…`. */
export function registerClusterMetrics(metrics: Metrics, bus: Bus | null, actors: Succession): void {
  metrics.registerStats('cluster', () => {
    const { current } = actors;
    const members = current?.membership.members() ?? [];
    return {
      members: members.length,
      membersAlive: members.filter(({ state }) => state === 'alive').length,
      shardsOwned: current?.balancing.owned ?? 0,
      shardsGiven: current?.balancing.given ?? 0,
      mayAnswer: current?.membership.mayAnswer() === true ? 1 : 0,
      fencings: actors.fencings,
      busConnected: bus?.connected === true ? 1 : 0,
      localShare: localShare(actors) ?? 1,
    };
  });
  const router = actors.current?.router;
  if (router === null || router === undefined) return;
  let last = router.stats;
  metrics.registerStats('peers', () => {
    last = actors.current?.router?.stats ?? last;
    return last;
  });
}

const STATUS_MS = 1_000;

/**
 * Tells the other members, and whoever looks at the rows, how this node does: once a second, by its member row. Returns what ends that.
 * `loopLagMs`: the longest that its event loop stood still within the second.
 */
export function publishStatus(bus: Bus | null, actors: Succession): () => void {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const timer = setInterval(() => {
    const { current, fencings, stats } = actors;
    const share = localShare(actors);
    const status = {
      handOffs: current?.balancing.given ?? 0,
      fencings,
      localShare: share === null ? null : Math.round(share * 1000) / 1000,
      loopLagMs: Math.max(0, Math.round(delay.max / 1e6) - 10),
      laneQueue: stats.laneQueue ?? 0,
      bus: bus === null ? 'none' : bus.connected ? 'connected' : 'away',
    };
    delay.reset();
    current?.membership.publish(status);
  }, STATUS_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}
