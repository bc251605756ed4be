/** What an operator may see of an actor in memory: how far it is and what it waits for, never what it holds. */
import type { ActorRef } from './actor.ts';
import type { Cell } from './cell.ts';

export interface ActorSummary extends ActorRef {
  readonly seq: number;
  readonly status: Cell['status'];
  /** Commands not decided yet. */
  readonly waiting: number;
  readonly parked: number;
  /** Ids of the effects that its state waits for. */
  readonly effects: readonly string[];
  readonly keys: number;
  /** Due time of its stored timer row, or null. */
  readonly timerDue: number | null;
}

export function summaryOf(cell: Cell): ActorSummary {
  const decided = cell.status !== 'loading' && cell.status !== 'waiting';
  const effects = decided ? (cell.kind.definition.pending?.(cell.state) ?? []) : [];
  return {
    type: cell.type,
    id: cell.id,
    seq: cell.seq,
    status: cell.status,
    waiting: cell.waiting,
    parked: [...(cell.side?.parked?.values() ?? [])].flat().length,
    effects: effects.map((effect) => effect.id),
    keys: cell.keys?.size ?? 0,
    timerDue: cell.storedDue === 0 ? null : cell.storedDue,
  };
}
