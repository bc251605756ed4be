/** The cluster in a terminal: a line about the whole, and one for each member. */
import type { ClusterView, MemberView } from '../schema/cluster-view.ts';

type Column = readonly [title: string, cell: (member: MemberView) => string];

const COLUMNS: readonly Column[] = [
  ['NODE', ({ nodeId }) => nodeId],
  ['STATE', ({ state, drainRequested }) => (drainRequested ? `${state} (drained)` : state)],
  ['SHARDS', ({ shards }) => String(shards)],
  ['DUE', ({ dueShards }) => String(dueShards)],
  ['LEASE', ({ leaseMs }) => `${leaseMs} ms`],
  ['RENEWED', ({ renewedMsAgo }) => `${ago(renewedMsAgo)} ago`],
  ['GIVEN', ({ status }) => shown(status.handOffs)],
  ['FENCED', ({ status }) => shown(status.fencings)],
  [
    'LOCAL',
    ({ status }) => (typeof status.localShare === 'number' ? `${(status.localShare * 100).toFixed(0)} %` : '-'),
  ],
  ['LOOP LAG', ({ status }) => (typeof status.loopLagMs === 'number' ? `${status.loopLagMs} ms` : '-')],
  ['BUS', ({ status }) => shown(status.bus)],
  ['INCARNATION', ({ incarnation }) => incarnation],
];

export function clusterText(view: ClusterView): string {
  const { members, shardCount, hashVersion, handOffs, lag } = view;
  const rows = [COLUMNS.map(([title]) => title), ...members.map((member) => COLUMNS.map(([, cell]) => cell(member)))];
  const widths = COLUMNS.map((_, index) => Math.max(...rows.map((row) => (row[index] ?? '').length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd();
  const alive = members.filter(({ state }) => state === 'alive').length;
  const whole =
    `${alive} alive of ${members.length} members; ${shardCount} shards (hash ${hashVersion}), ${handOffs.pending} to be moved, ` +
    `${handOffs.total} moved so far; outbox ${ago(lag.outboxMs)} behind, timers ${ago(lag.timersMs)} behind`;
  return `${[whole, ...rows.map(line)].join('\n')}\n`;
}

function ago(ms: number): string {
  if (ms < 10_000) return `${Math.round(ms)} ms`;
  if (ms < 600_000) return `${Math.round(ms / 1000)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'string' ? String(value) : '-';
}
