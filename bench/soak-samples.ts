/** What a soak looks at, at regular times: each node's memory, handles, event loop and actors as its own metrics tell, and the journal. */
import { readdirSync } from 'node:fs';
import { SCHEMA } from '../schema/database.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { Cluster } from './cluster-process.ts';
import { residentBytes } from './machine.ts';
import { kill } from './outside.ts';
import { pause } from './shop-process.ts';

export interface NodeSample {
  readonly node: string;
  /** Changes with each start of the process. */
  readonly pid: number;
  /** Minutes since the soak began. */
  readonly at: number;
  readonly residentMiB: number;
  /** What lives after a full collection. */
  readonly heapMiB: number;
  readonly handles: number;
  /** 99th percentile since the last sample. */
  readonly loopDelayMs: number;
  readonly actors: number;
  readonly passivations: number;
}

export interface JournalSample {
  readonly at: number;
  readonly events: number;
  /** With its keys, over all partitions. */
  readonly mebibytes: number;
}

const MIB = 2 ** 20;

/** Null where the node does not answer now. */
export async function sampleNode(node: ClusterNode, at: number): Promise<NodeSample | null> {
  if (node.state !== 'up') return null;
  const { pid } = node;
  // Two looks: a full collection is asked for by a signal, which is handled in a turn of its own.
  kill(pid, 'SIGWINCH');
  await pause(20);
  const answer = await node.admin('GET', '/metrics', { timeoutMs: 2_000 }).catch(() => null);
  if (answer?.status !== 200 || node.pid !== pid) return null;
  const metric = (name: string) =>
    Number(new RegExp(`^${name} ([\\d.e+-]+)`, 'm').exec(answer.text)?.[1] ?? Number.NaN);
  try {
    return {
      node: node.name,
      pid,
      at,
      residentMiB: residentBytes(pid) / MIB,
      heapMiB: metric('nodejs_heap_size_used_bytes') / MIB,
      handles: readdirSync(`/proc/${pid}/fd`).length,
      loopDelayMs: metric('nodejs_eventloop_lag_p99_seconds') * 1000,
      actors: metric('stampede_actors_actors_in_memory'),
      passivations: metric('stampede_actors_passivations'),
    };
  } catch {
    // It has ended meanwhile.
    return null;
  }
}

/** Null while the database is away. */
export async function sampleJournal(cluster: Cluster, at: number): Promise<JournalSample | null> {
  const [row] = await cluster
    .query<{ events: number; bytes: number }>(
      `SELECT (SELECT count(*)::int FROM ${SCHEMA}.journal) AS events,
          (SELECT sum(pg_total_relation_size(inhrelid))::float8 FROM pg_inherits WHERE inhparent = '${SCHEMA}.journal'::regclass) AS bytes`,
    )
    .catch(() => []);
  return row === undefined ? null : { at, events: row.events, mebibytes: row.bytes / MIB };
}
