/** From entries to a batch, which of them can still be written, and from a batch that was refused to two halves. */
import type { Cell, Entry } from './cell.ts';
import type { Batch, ProjectionRow, SnapshotRow, TimerRow } from './journal.ts';
import { emptyBatch } from './journal.ts';

/** The entries that are written together with this one, which is the first of them. */
export function entriesOf(entry: Entry): readonly Entry[] {
  return entry.unit?.entries ?? [entry];
}

/** Nothing of it, or of the unit that it begins, has failed since. */
export function canBeWritten(first: Entry): boolean {
  const { unit } = first;
  if (unit === null) return hasFuture(first.cell);
  if (unit.broken === true) return false;
  return unit.entries.every(({ cell }) => hasFuture(cell)) && unit.rests.every(hasFuture);
}

/**
 * A unit fails by what one of its actors rested on, so the others may have entries before it that are sound: those are written first, or
 * an actor would be loaded again from a history that they are still missing from.
 */
export function endsBatch(failing: Entry, before: readonly Entry[]): boolean {
  return failing.unit !== null && before.length > 0;
}

/** The actor has not failed since. */
export function hasFuture(cell: Cell): boolean {
  return cell.status !== 'gone' || cell.side === null || cell.side.fate === null;
}

/**
 * Two halves in order, each unit whole in one of them; null where there is only one. As the first half is written before the second, whatever
 * an entry rests on (earlier ones of its actor, of its unit) still comes before it or with it.
 */
export function cut(part: readonly Entry[]): [Entry[], Entry[]] | null {
  const starts: number[] = [];
  for (let at = 0; at < part.length; at += part[at]?.unit?.entries.length ?? 1) starts.push(at);
  const middle = starts[starts.length >> 1];
  return middle === undefined || middle === 0 ? null : [part.slice(0, middle), part.slice(middle)];
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
