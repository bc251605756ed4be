/**
 * The cluster as an operator sees it, from the rows alone: it can be read when no node runs, and beside a node that hangs. What only the
 * nodes know (hand-offs, queues, the local share) is what each published about itself, at most a few seconds old.
 */
import { type Kysely, sql } from 'kysely';
import { placementOver } from '../runtime/balance.ts';
import type { MemberState } from '../runtime/members.ts';
import { SHARD_COUNT, SHARD_HASH_VERSION } from '../runtime/shard.ts';
import type { Tables } from './tables.ts';
import { LIVING } from './takeover.ts';

export interface MemberView {
  readonly nodeId: string;
  readonly incarnation: string;
  readonly state: MemberState;
  readonly weight: number;
  readonly bus: boolean;
  readonly leaseMs: number;
  /** Since its last renewal, by the database's clock. */
  readonly renewedMsAgo: number;
  readonly joinedAt: Date;
  readonly shards: number;
  /** Shards that it should have once all hand-offs are done. */
  readonly dueShards: number;
  readonly drainRequested: boolean;
  /** What it published about itself. */
  readonly status: Readonly<Record<string, unknown>>;
}

export interface ShardView {
  readonly shard: number;
  /** An incarnation; null: never owned. */
  readonly owner: string | null;
  readonly nodeId: string | null;
  readonly epoch: number;
  /** The node that should have it; null: nobody can. */
  readonly dueNodeId: string | null;
}

export interface ClusterView {
  readonly databaseId: string;
  readonly shardCount: number;
  readonly hashVersion: number;
  /** By node id. The living, whoever still is named by a shard, and who ended within the last hour. */
  readonly members: readonly MemberView[];
  readonly shards: readonly ShardView[];
  readonly handOffs: {
    /** Shards that are not where they should be. */
    readonly pending: number;
    /** Changes of an owner since the database was made, by gift, claim or takeover. */
    readonly total: number;
  };
  /** How late the cluster is with what is due, in milliseconds. */
  readonly lag: { readonly outboxMs: number; readonly timersMs: number };
}

export async function readCluster(db: Kysely<Tables>): Promise<ClusterView> {
  // One state of the rows: counts that do not add up would look like lost shards.
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      const [shards, members, lag, meta] = [
        await trx.selectFrom('shard').selectAll().orderBy('shard').execute(),
        await readMembers(trx),
        await readLag(trx),
        await trx.selectFrom('meta').select('value').where('key', '=', 'cluster_id').executeTakeFirst(),
      ];
      const due = placementOver(
        members.flatMap(({ state, ...member }) => (isLiving(state) ? [{ ...member, state }] : [])),
      );
      const nodes = new Map(members.map(({ incarnation, nodeId }) => [incarnation, nodeId]));
      const owned = countBy(shards.map(({ owner }) => owner));
      const owed = countBy(due);
      const nodeOf = (incarnation: string | null | undefined) => nodes.get(incarnation ?? '') ?? null;
      return {
        databaseId: meta?.value ?? '',
        shardCount: SHARD_COUNT,
        hashVersion: SHARD_HASH_VERSION,
        members: members.map((member) => ({
          ...member,
          shards: owned.get(member.incarnation) ?? 0,
          dueShards: owed.get(member.incarnation) ?? 0,
        })),
        shards: shards.map(({ shard, owner, epoch }) => ({
          shard,
          owner,
          nodeId: nodeOf(owner),
          epoch,
          dueNodeId: nodeOf(due[shard]),
        })),
        handOffs: {
          pending: shards.filter(({ shard, owner }) => (due[shard] ?? null) !== null && due[shard] !== owner).length,
          total: shards.reduce((sum, { epoch }) => sum + epoch, 0),
        },
        lag,
      };
    });
}

async function readMembers(db: Kysely<Tables>): Promise<Omit<MemberView, 'shards' | 'dueShards'>[]> {
  return await db
    .selectFrom('member')
    .select([
      'node_id as nodeId',
      'incarnation',
      'state',
      'weight',
      'bus',
      'lease_ms as leaseMs',
      'joined_at as joinedAt',
      'drain_requested as drainRequested',
      'status',
      sql<number>`greatest(0, extract(epoch FROM clock_timestamp() - renewed_at) * 1000)::float8`.as('renewedMsAgo'),
    ])
    .where(({ or, eb, selectFrom }) =>
      or([
        eb('state', 'in', LIVING),
        eb('renewed_at', '>', sql<Date>`now() - interval '1 hour'`),
        eb(
          'incarnation',
          'in',
          selectFrom('shard').select('owner').where('owner', 'is not', null).$castTo<{ owner: string }>(),
        ),
      ]),
    )
    .orderBy('node_id')
    .orderBy('joined_at')
    .execute();
}

async function readLag(db: Kysely<Tables>): Promise<ClusterView['lag']> {
  const { rows } = await sql<{ outboxMs: number; timersMs: number }>`
    SELECT
      coalesce((SELECT extract(epoch FROM clock_timestamp() - min(changed_at)) * 1000 FROM outbox
        WHERE state = 'open'), 0)::float8 AS "outboxMs",
      greatest(0, coalesce(extract(epoch FROM clock_timestamp()) * 1000 - (SELECT min(due) FROM timer), 0))::float8 AS "timersMs"
  `.execute(db);
  return rows[0] ?? { outboxMs: 0, timersMs: 0 };
}

function isLiving(state: MemberState): state is 'joining' | 'alive' | 'leaving' {
  return (LIVING as readonly MemberState[]).includes(state);
}

function countBy(values: readonly (string | null | undefined)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
