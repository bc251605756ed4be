/** The cluster: who is in it, who has which shard; and sending a node's shards to the others before its machine is taken away. */
import type { ClusterView, MemberView, ShardView } from '../../schema/cluster-view.ts';
import { answerRow, earlierAnswer } from '../admin-answers.ts';
import type { App } from '../app.ts';
import { timestamp } from '../json.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, route } from '../route.ts';
import { Cluster, DrainAccepted, DrainParams } from '../schemas-cluster.ts';

export function adminClusterRoutes(app: App): AnyRoute[] {
  const read = route({
    method: 'GET',
    path: '/v1/admin/cluster',
    operationId: 'adminGetCluster',
    summary: 'Members, leases, shards, hand-offs and lag',
    tag: 'admin: cluster',
    access: 'viewer',
    limit: 'admin',
    responses: { 200: { description: 'The cluster, as its rows say.', schema: Cluster } },
    async handle() {
      return { status: 200, body: clusterDocument(app, await app.cluster.view()) };
    },
  });

  const drain = route({
    method: 'POST',
    path: '/v1/admin/cluster/drain/{node}',
    operationId: 'adminDrainNode',
    summary: 'Let a node give all its shards to the others',
    tag: 'admin: cluster',
    access: 'operator',
    limit: 'admin',
    params: DrainParams,
    responses: {
      202: {
        description: 'It is not ready any more, gives all away, and stays out until it is restarted.',
        schema: DrainAccepted,
      },
    },
    problems: ['not_found', 'last_node'],
    async handle(request): Promise<EdgeReply> {
      const { node } = request.params;
      const earlier = await earlierAnswer(app.adminAnswers, request);
      if (earlier !== null) return earlier;
      const outcome = await app.cluster.requestDrain(node);
      if (outcome === 'unknown') return problem('not_found');
      if (outcome === 'last') return problem('last_node');
      const reply = { status: 202, body: { node, drainRequested: true } };
      // Beside the change, not with it: asked twice, a node is drained once.
      const row = answerRow(request, reply, app.clock.now());
      if (row !== undefined) await app.adminAnswers.record(row);
      return reply;
    },
  });

  return [read, drain];
}

function clusterDocument(app: App, view: ClusterView): object {
  const { databaseId, shardCount, hashVersion, handOffs, lag } = view;
  return {
    node: app.cluster.nodeId,
    databaseId,
    shardCount,
    hashVersion,
    members: view.members.map(memberDocument),
    shards: view.shards.map(shardDocument),
    handOffs,
    lag,
    localShare: app.cluster.localShare(),
  };
}

function memberDocument(member: MemberView): object {
  const { nodeId, incarnation, state, weight, leaseMs, renewedMsAgo, shards, dueShards, drainRequested, status } =
    member;
  return {
    node: nodeId,
    incarnation,
    state,
    weight,
    leaseMs,
    renewedMsAgo,
    joinedAt: timestamp(member.joinedAt.getTime()),
    shards,
    dueShards,
    drainRequested,
    status,
  };
}

function shardDocument({ shard, owner, nodeId, epoch, dueNodeId }: ShardView): object {
  return { shard, owner, node: nodeId, epoch, dueNode: dueNodeId };
}
