/** From entries to a batch, and from one that was refused to two halves. */
import type { Cell, Entry } from './cell.ts';
import type { Batch, ProjectionRow, SnapshotRow, TimerRow } from './journal.ts';
import { emptyBatch } from './journal.ts';

/**
 * Two halves, each actor whole in one of them; one actor's entries are cut between its decisions, earlier ones first.
 * Null where there is a single entry.
 */
export function cut(part: readonly Entry[]): [Entry[], Entry[]] | null {
  if (part.length < 2) return null;
  const byCell = new Map<Cell, Entry[]>();
  for (const entry of part) {
    const own = byCell.get(entry.cell);
    if (own === undefined) byCell.set(entry.cell, [entry]);
    else own.push(entry);
  }
  if (byCell.size === 1) {
    const middle = part.length >> 1;
    return [part.slice(0, middle), part.slice(middle)];
  }
  const groups = [...byCell.values()];
  const middle = groups.length >> 1;
  return [groups.slice(0, middle).flat(), groups.slice(middle).flat()];
}

/** One batch from the entries in order: of timers, snapshots and read rows only the last per key, as the journal asks. */
export function assemble(lane: number, part: readonly Entry[]): Batch {
  const batch = emptyBatch(lane);
  let timers: Map<Cell, TimerRow> | null = null;
  let snapshots: Map<Cell, SnapshotRow> | null = null;
  let projections: Map<string, ProjectionRow> | null = null;
  for (const entry of part) {
    for (const row of entry.rows) batch.events.push(row);
    for (const row of entry.answers) batch.answers.push(row);
    for (const row of entry.outboxAdd) batch.outboxAdd.push(row);
    for (const id of entry.outboxClose) batch.outboxClose.push(id);
    if (entry.timer !== null) {
      timers ??= new Map();
      timers.set(entry.cell, entry.timer);
    }
    if (entry.snapshot !== null) {
      snapshots ??= new Map();
      snapshots.set(entry.cell, entry.snapshot);
    }
    for (const row of entry.projections) {
      projections ??= new Map();
      const name = `${row.table}\n${row.key}`;
      const before = projections.get(name);
      if (before === undefined || before.version <= row.version) projections.set(name, row);
    }
  }
  if (timers !== null) batch.timers.push(...timers.values());
  if (snapshots !== null) batch.snapshots.push(...snapshots.values());
  if (projections !== null) batch.projections.push(...projections.values());
  return batch;
}
