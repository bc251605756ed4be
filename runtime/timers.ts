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
 *
 * A row that stays due though its actor was woken (its history cannot be read, its decision fails, its type is unknown here)
 * is tried again after `timerAgainMs` only, and each sweep reads as many rows more as it found of these, so that they
 * crowd out no others.
 */
import { Heap } from 'heap-js';
import type { ActorRef } from './actor.ts';
import type { Cell, Due } from './cell.ts';
import type { Clock } from './clock.ts';
import type { Journal, TimerRow } from './journal.ts';
import type { Limits } from './limits.ts';
import type { Membership } from './members.ts';
import { SHARD_COUNT } from './shard.ts';

export interface TimersHost {
  wake(ref: ActorRef): void;
  resident(ref: ActorRef): Cell | undefined;
  report(event: string, detail: Readonly<Record<string, unknown>>): void;
}

export class Timers {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #membership: Membership;
  readonly #host: TimersHost;
  readonly #heap = new Heap<Due>((a, b) => a.at - b.at);
  /** Rows found due by the last sweep, and when (monotonic) each was last acted on. */
  #tried: ReadonlyMap<string, number> = new Map();
  /** How many of them had been found before. */
  #stuck = 0;
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

  /**
   * Shards have come from another member: their actors are woken that are due, or wait for an effect. Whoever had them
   * issues none of their effects any more, so these rows are not waited for until they are due.
   */
  arrived(shards: readonly number[]): void {
    if (this.#state === 'running') void this.#lookAhead(shards);
  }

  async #lookAhead(shards: readonly number[]): Promise<void> {
    const { effectWakeMs, timerStuckLimit } = this.#limits;
    try {
      const rows = await this.#journal.dueTimers(this.#clock.now() + effectWakeMs, shards, timerStuckLimit);
      if (this.#state !== 'running') return;
      for (const row of rows) if (this.#host.resident(row) === undefined) this.#host.wake(row);
    } catch (error) {
      this.#host.report('timer_sweep_failed', { error: String(error) });
    }
  }

  /** Wakes actors in memory whose time has come. */
  fire(): void {
    const now = this.#clock.now();
    for (let due = this.#heap.peek(); due !== undefined && due.at <= now; due = this.#heap.peek()) {
      this.#heap.pop();
      const { cell } = due;
      // An earlier entry of the same cell replaced this one, or the cell has left memory.
      if (cell.due !== due) continue;
      cell.due = null;
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
    if (cell.due !== null && cell.due.at <= at) return;
    cell.due = { at, cell };
    this.#heap.push(cell.due);
  }

  #arm(): void {
    this.#sweeping = this.#clock.setTimeout(() => void this.#sweep(), this.#limits.timerSweepMs);
  }

  async #sweep(): Promise<void> {
    const now = this.#clock.now();
    try {
      const limit = this.#limits.timerSweepLimit + Math.min(this.#stuck, this.#limits.timerStuckLimit);
      const due = await this.#journal.dueTimers(now, this.#shards(), limit);
      if (this.#state === 'running') this.#wakeAll(due, now);
    } catch (error) {
      this.#host.report('timer_sweep_failed', { error: String(error) });
    }
    if (this.#state === 'running') this.#arm();
  }

  #wakeAll(rows: readonly (ActorRef & { due: number })[], now: number): void {
    const moment = this.#clock.monotonic();
    const tried = new Map<string, number>();
    let stuck = 0;
    for (const row of rows) {
      const name = `${row.type}:${row.id}:${row.due}`;
      const before = this.#tried.get(name);
      if (before !== undefined) stuck++;
      if (before !== undefined && moment - before < this.#limits.timerAgainMs) {
        tried.set(name, before);
        continue;
      }
      tried.set(name, moment);
      const cell = this.#host.resident(row);
      // The row is older than what the actor has decided since.
      if (cell !== undefined && cell.status !== 'loading' && (cell.storedDue === 0 || cell.storedDue > now)) continue;
      this.#host.wake(row);
    }
    this.#tried = tried;
    this.#stuck = stuck;
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
