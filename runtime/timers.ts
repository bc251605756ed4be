/**
 * When actors are due by themselves. The truth is the actor's state (`wakeAt`, and effects it waits for); the journal keeps
 * one row per actor with a time at or before which to look, written by the actor's own appends; this file decides when
 * that row must change, and wakes actors.
 *
 * The row is written when something becomes due earlier than it says, removed when nothing is due any more, and otherwise
 * left alone: that something is due later than the row says is found out when the row's time comes, and the row is then
 * moved. So touching a cart costs no timer row, and an extended due time cannot be lost: nobody but the actor changes its row.
 *
 * Waking: actors in memory that are due soon are woken from a heap, to the moment; a sweep reads the rows that are due and
 * wakes the rest. Either only sends a `$wake`, and never a second while one waits.
 */
import { Heap } from 'heap-js';
import type { ActorRef } from './actor.ts';
import type { Cell } from './cell.ts';
import type { Clock } from './clock.ts';
import type { Journal, TimerRow } from './journal.ts';
import type { Limits } from './limits.ts';
import type { Membership } from './members.ts';
import { SHARD_COUNT } from './shard.ts';

export interface TimersHost {
  wake(ref: ActorRef): void;
  resident(ref: ActorRef): Cell | undefined;
  /** Rows of these actors stay due though they cannot be woken; they must not crowd out others. */
  quarantined(): number;
  report(event: string, detail: Readonly<Record<string, unknown>>): void;
}

interface Due {
  readonly at: number;
  readonly cell: Cell;
}

export class Timers {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #membership: Membership;
  readonly #host: TimersHost;
  readonly #heap = new Heap<Due>((a, b) => a.at - b.at);
  #sweeping: { cancel(): void } | null = null;
  #state: 'stopped' | 'running' = 'stopped';

  constructor(journal: Journal, clock: Clock, limits: Limits, membership: Membership, host: TimersHost) {
    this.#journal = journal;
    this.#clock = clock;
    this.#limits = limits;
    this.#membership = membership;
    this.#host = host;
  }

  start(): void {
    if (this.#state === 'running') return;
    this.#state = 'running';
    this.#arm();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#sweeping?.cancel();
    this.#heap.clear();
  }

  /**
   * The timer row that this decision must write, or null. Also notes the actor in the heap.
   * @param woken the decision answers a `$wake`: what is due even now was not settled by it and is tried again later.
   */
  plan(cell: Cell, now: number, hasEffects: boolean, woken: boolean): TimerRow | null {
    let own = cell.kind.definition.wakeAt?.(cell.state) ?? null;
    if (own !== null && woken && own <= now) own = now + this.#limits.timerAgainMs;
    if (own !== null) this.#note(cell, own, now);
    let due = own;
    if (hasEffects) due = Math.min(own ?? Number.POSITIVE_INFINITY, now + this.#limits.effectWakeMs);
    if (due === null) {
      if (cell.storedDue === 0) return null;
      cell.storedDue = 0;
      return rowFor(cell, null);
    }
    const passed = cell.storedDue <= now && due > now;
    if (cell.storedDue !== 0 && due >= cell.storedDue && !passed) return null;
    cell.storedDue = due;
    return rowFor(cell, due);
  }

  /** Notes a freshly loaded actor. */
  note(cell: Cell): void {
    const own = cell.kind.definition.wakeAt?.(cell.state) ?? null;
    if (own !== null) this.#note(cell, own, this.#clock.now());
  }

  /** Wakes actors in memory whose time has come. */
  fire(): void {
    const now = this.#clock.now();
    for (let due = this.#heap.peek(); due !== undefined && due.at <= now; due = this.#heap.peek()) {
      this.#heap.pop();
      const { cell } = due;
      // An earlier entry of the same cell replaced this one, or the cell has left memory.
      if (cell.heapDue !== due.at) continue;
      cell.heapDue = 0;
      if (cell.status === 'gone') continue;
      // What was due may have been put off since.
      const own = cell.kind.definition.wakeAt?.(cell.state) ?? null;
      if (own === null) continue;
      if (own <= now) this.#host.wake(cell);
      else this.#note(cell, own, now);
    }
  }

  #note(cell: Cell, at: number, now: number): void {
    if (at > now + this.#limits.timerHorizonMs || this.#heap.length >= this.#limits.timerHeapLimit) return;
    if (cell.heapDue !== 0 && cell.heapDue <= at) return;
    cell.heapDue = at;
    this.#heap.push({ at, cell });
  }

  #arm(): void {
    this.#sweeping = this.#clock.setTimeout(() => void this.#sweep(), this.#limits.timerSweepMs);
  }

  async #sweep(): Promise<void> {
    const now = this.#clock.now();
    try {
      const limit = this.#limits.timerSweepLimit + this.#host.quarantined();
      const due = await this.#journal.dueTimers(now, this.#shards(), limit);
      for (const ref of due) {
        if (this.#state !== 'running') return;
        const cell = this.#host.resident(ref);
        // The row is older than what the actor has decided since.
        if (cell !== undefined && cell.status !== 'loading' && (cell.storedDue === 0 || cell.storedDue > now)) continue;
        this.#host.wake(ref);
      }
    } catch (error) {
      this.#host.report('timer_sweep_failed', { error: String(error) });
    }
    if (this.#state === 'running') this.#arm();
  }

  /** This node's shards; null for all of them. */
  #shards(): number[] | null {
    const own: number[] = [];
    for (let shard = 0; shard < SHARD_COUNT; shard++) if (this.#membership.owns(shard)) own.push(shard);
    return own.length === SHARD_COUNT ? null : own;
  }
}

function rowFor(cell: Cell, due: number | null): TimerRow {
  return { type: cell.type, id: cell.id, shard: cell.shard, due };
}
