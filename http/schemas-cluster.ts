/** What operators see of the cluster. */
import Type from 'typebox';
import { Nullable, PathWord, Timestamp } from './schemas.ts';

const Count = Type.Integer({ minimum: 0 });
const Milliseconds = Type.Number({ minimum: 0, description: 'Milliseconds.' });

const Member = Type.Object(
  {
    node: Type.String({ description: 'Its NODE_ID.' }),
    incarnation: Type.String({ description: 'This run of it: a new one after each start and each fencing.' }),
    state: Type.Enum(['joining', 'alive', 'leaving', 'left', 'dead']),
    weight: Type.Number({ description: 'Its share of the shards is in proportion to it.' }),
    leaseMs: Milliseconds,
    renewedMsAgo: Milliseconds,
    joinedAt: Timestamp,
    shards: Count,
    dueShards: Type.Integer({ minimum: 0, description: 'What it should have once all hand-offs are done.' }),
    drainRequested: Type.Boolean(),
    status: Type.Object({}, { description: 'What it says of itself: hand-offs, lag, fencings, local share.' }),
  },
  { $id: 'ClusterMember' },
);

const Shard = Type.Object(
  {
    shard: Count,
    owner: Nullable(Type.String({ description: 'An incarnation.' })),
    node: Nullable(Type.String()),
    epoch: Type.Integer({ minimum: 0, description: 'Raised by one at each change of the owner.' }),
    dueNode: Nullable(Type.String({ description: 'Who should have it.' })),
  },
  { $id: 'ClusterShard' },
);

export const Cluster = Type.Object(
  {
    node: Type.String({ description: 'Who answers.' }),
    databaseId: Type.String(),
    shardCount: Count,
    hashVersion: Count,
    members: Type.Array(Member),
    shards: Type.Array(Shard),
    handOffs: Type.Object({
      pending: Type.Integer({ minimum: 0, description: 'Shards that are not where they should be.' }),
      total: Type.Integer({ minimum: 0, description: 'Changes of an owner since the database was made.' }),
    }),
    lag: Type.Object({
      outboxMs: Type.Number({ minimum: 0, description: 'Age of the oldest job that no queue has yet.' }),
      timersMs: Type.Number({ minimum: 0, description: 'How long the earliest timer has been due.' }),
    }),
    localShare: Nullable(
      Type.Number({ minimum: 0, maximum: 1, description: 'Share of the calls that this node decided itself.' }),
    ),
  },
  { $id: 'Cluster' },
);

export const DrainParams = Type.Object({ node: PathWord });
export const DrainAccepted = Type.Object(
  { node: Type.String(), drainRequested: Type.Literal(true) },
  { $id: 'DrainAccepted' },
);
