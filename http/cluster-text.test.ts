import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemberView } from '../schema/cluster-view.ts';
import { clusterText } from './cluster-text.ts';

test('a member that has published nothing yet, or is dead, has its line as well', () => {
  const member: MemberView = {
    nodeId: 'node-1',
    incarnation: 'node-1.ab',
    state: 'alive',
    weight: 1,
    bus: true,
    leaseMs: 2_000,
    renewedMsAgo: 412.3,
    joinedAt: new Date(0),
    shards: 128,
    dueShards: 86,
    drainRequested: false,
    status: { handOffs: 12, fencings: 0, localShare: 0.337, loopLagMs: 3, bus: 'connected' },
  };
  const dead: MemberView = {
    ...member,
    nodeId: 'n2',
    incarnation: 'n2.cd',
    state: 'dead',
    renewedMsAgo: 75_000,
    status: {},
  };
  const text = clusterText({
    databaseId: 'x',
    shardCount: 256,
    hashVersion: 1,
    members: [member, dead],
    shards: [],
    handOffs: { pending: 42, total: 300 },
    lag: { outboxMs: 0, timersMs: 15_400 },
  });
  const [whole, , first = '', second = '', end] = text.split('\n');
  assert.equal(
    whole,
    '1 alive of 2 members; 256 shards (hash 1), 42 to be moved, 300 moved so far; outbox 0 ms behind, timers 15 s behind',
  );
  assert.deepEqual(first.split(/ {2,}/), [
    'node-1',
    'alive',
    '128',
    '86',
    '2000 ms',
    '412 ms ago',
    '12',
    '0',
    '34 %',
    '3 ms',
    'connected',
    'node-1.ab',
  ]);
  assert.deepEqual(second.split(/ {2,}/), [
    'n2',
    'dead',
    '128',
    '86',
    '2000 ms',
    '75 s ago',
    '-',
    '-',
    '-',
    '-',
    '-',
    'n2.cd',
  ]);
  assert.equal(end, '');
});
