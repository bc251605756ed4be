/**
 * The actors in memory: found, brought in, let go, and thrown out. Three ways lead out:
 * - passivation, for an idle actor: nothing of it is under way, perhaps a snapshot follows it;
 * - eviction of the state alone (a turn threw): entries that it enqueued before still commit;
 * - eviction with a fate (its batch failed): entries still queued are void, too.
 * After an eviction, commands not decided yet are kept for the cell that takes its place, and that one loads only when
 * the last entry of the old one is settled; else it would read a history that is about to grow.
 */

import { Activation, startFresh } from './activation.ts';
import type { ActorRef } from './actor.ts';
import { Cell, type Entry, type Kind } from './cell.ts';
import type { Clock } from './clock.ts';
import type { Effects } from './effects.ts';
import { snapshotEntry } from './entry.ts';
import { Fault } from './fault.ts';
import type { Gate } from './gate.ts';
import type { Journal } from './journal.ts';
import type { Lane } from './lane.ts';
import type { Limits } from './limits.ts';
import type { Membership } from './members.ts';
import type { Stats } from './metrics.ts';
import { Passivation } from './passivation.ts';
import { Quarantine } from './quarantine.ts';
import type { Timers } from './timers.ts';

export interface ResidentsOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly stats: Stats;
  readonly membership: Membership;
  readonly gate: Gate;
  readonly timers: Timers;
  readonly effects: Effects;
  readonly lane: (shard: number) => Lane;
  /** Takes the turns of an actor that has just become active. */
  readonly run: (cell: Cell) => void;
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

export class Residents {
  readonly quarantine: Quarantine;
  readonly passivation: Passivation;
  readonly activation: Activation;
  readonly #options: ResidentsOptions;

  constructor(options: ResidentsOptions) {
    const { journal, clock, limits, stats } = options;
    this.#options = options;
    this.quarantine = new Quarantine(clock, limits);
    this.passivation = new Passivation(clock, limits, (cell) => this.#passivate(cell));
    this.activation = new Activation(journal, clock, limits, stats, {
      loaded: (cell) => this.#loaded(cell),
      unreadable: (cell, cause) => this.#unreadable(cell, cause),
      unreachable: (cell, cause) => this.#unreachable(cell, cause),
    });
  }

  /** Brings an actor in that is not in memory. `fresh`: it cannot have a history, and is active at once. */
  bringIn(kind: Kind, id: string, shard: number, fresh: boolean): Cell {
    // Before: nothing keeps a fresh actor until its first command is there.
    this.passivation.trim();
    const cell = this.#create(kind, id, shard);
    if (fresh) {
      startFresh(cell);
      this.#options.stats.fresh++;
    } else {
      this.activation.request(cell);
    }
    return cell;
  }

  /**
   * Throws the cell out of memory. Calling it again for a cell that is gone only adds the fate.
   * @param fate what callers behind its queued entries hear; null: those entries commit as they are.
   */
  evict(cell: Cell, fate: Fault | null): void {
    if (cell.status === 'gone') {
      if (fate !== null) cell.needSide().fate ??= fate;
      return;
    }
    this.#options.stats.evictions++;
    const undecided = cell.takeUndecided().filter((call) => call.stage !== 'answered');
    const parked = [...(cell.side?.parked?.values() ?? [])].flat();
    this.#remove(cell);
    if (fate !== null) cell.needSide().fate = fate;
    for (const call of parked)
      this.#options.gate.fail(call, new Fault('outcome_unknown', 'the outcome is not known yet'));
    if (cell.entry === null && undecided.length === 0) return;

    const heir = this.#create(cell.kind, cell.id, cell.shard);
    for (const call of undecided) {
      heir.enqueue(call);
      if (call.origin === 'wake') heir.needSide().waking = true;
    }
    if (cell.entry === null) {
      this.activation.request(heir);
    } else {
      heir.status = 'waiting';
      cell.needSide().heir = heir;
    }
  }

  /** The entry has committed, failed, or been dropped. */
  settled(entry: Entry): void {
    const { cell } = entry;
    if (cell.entry !== entry) return;
    cell.entry = null;
    if (cell.status !== 'gone') {
      cell.trim();
      return;
    }
    const heir = cell.side?.heir;
    if (heir === null || heir === undefined || heir.status !== 'waiting') return;
    if (heir.mailbox === null) {
      this.#remove(heir);
    } else {
      heir.status = 'loading';
      this.activation.request(heir);
    }
  }

  /** Takes an actor out of memory because its shard goes to another member; it must be as idle as for passivation, but for effects at work. */
  release(cell: Cell): void {
    if (cell.status === 'active') this.#passivate(cell);
    else this.#remove(cell);
  }

  /** Takes every idle actor out of memory, without snapshots. For tests; returns how many went. */
  evictIdle(kinds: Iterable<Kind>): number {
    let count = 0;
    for (const kind of kinds) {
      for (const cell of kind.cells.values()) {
        if (cell.busy) continue;
        this.#remove(cell);
        count++;
      }
    }
    return count;
  }

  /** Takes everything out of memory; nobody is told. */
  clear(kinds: Iterable<Kind>): void {
    for (const kind of kinds) for (const cell of kind.cells.values()) this.#remove(cell);
  }

  #create(kind: Kind, id: string, shard: number): Cell {
    const cell = new Cell(kind, id, shard);
    kind.cells.set(id, cell);
    this.passivation.add(cell);
    return cell;
  }

  #remove(cell: Cell): void {
    cell.status = 'gone';
    cell.kind.cells.delete(cell.id);
    this.passivation.remove(cell);
  }

  #passivate(cell: Cell): void {
    const { limits, stats, clock, membership, lane: laneOf, report } = this.#options;
    stats.passivations++;
    this.#remove(cell);
    if (cell.seq - cell.snapshotSeq <= limits.snapshotEvents) return;
    const { type, eventVersion } = cell.kind.definition;
    if (membership.writes(type, eventVersion) < eventVersion) return;
    const lane = laneOf(cell.shard);
    if (lane.refusal(clock.monotonic()) !== null) return;
    try {
      lane.enqueue(snapshotEntry(cell, clock.monotonic()));
    } catch (error) {
      report('snapshot_failed', { type: cell.type, id: cell.id, error: String(error) });
    }
  }

  #loaded(cell: Cell): void {
    const { timers, effects, run } = this.#options;
    try {
      timers.note(cell);
      const pending = cell.kind.definition.pending?.(cell.state) ?? [];
      cell.status = 'active';
      this.quarantine.clear(cell);
      effects.issue(cell, pending);
    } catch (cause) {
      this.#unreadable(cell, cause);
      return;
    }
    run(cell);
  }

  #unreadable(cell: Cell, cause: unknown): void {
    const ref: ActorRef = { type: cell.type, id: cell.id };
    this.#options.report('actor_quarantined', { ...ref, error: String(cause) });
    this.#turnAway(cell, this.quarantine.add(ref, String(cause)));
  }

  #unreachable(cell: Cell, cause: unknown): void {
    this.#turnAway(cell, new Fault('database_unavailable', 'the actor could not be loaded', { cause }));
  }

  #turnAway(cell: Cell, fault: Fault): void {
    const calls = cell.takeUndecided();
    this.#remove(cell);
    for (const call of calls) this.#options.gate.fail(call, fault);
  }
}
