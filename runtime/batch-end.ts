/**
 * What follows the end of a batch, and what is counted at its beginning. Committed: the gate opens for everything that waited for its entries, in their order. Not: its
 * actors leave memory, and everybody who waited for what is void now is told.
 */
import type { Entry } from './cell.ts';
import type { Effects } from './effects.ts';
import { Fault } from './fault.ts';
import type { Gate } from './gate.ts';
import type { Handoff } from './handoff.ts';
import type { Answers } from './idempotency.ts';
import type { ProjectionRow } from './journal.ts';
import type { Stats } from './metrics.ts';
import type { Residents } from './residents.ts';
import type { Stages } from './stages.ts';

export interface BatchEndsOptions {
  readonly gate: Gate;
  readonly answers: Answers;
  readonly effects: Effects;
  readonly residents: Residents;
  readonly handoff: Handoff;
  readonly stats: Stats;
  /** Null: nothing is followed. */
  readonly stages: Stages | null;
  /** Of the read side's rows. */
  readonly listeners: readonly ((row: ProjectionRow) => void)[];
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

export class BatchEnds {
  readonly #options: BatchEndsOptions;

  constructor(options: BatchEndsOptions) {
    this.#options = options;
  }

  sending(part: readonly Entry[], at: number): void {
    const { stats, stages } = this.#options;
    for (const entry of part) stats.laneWaitUs += (at - entry.enqueuedAt) * 1000;
    stages?.markOf(part, 'lane');
  }

  /** The gate opens for these, in order. */
  committed(part: readonly Entry[]): void {
    this.#options.stages?.markOf(part, 'commit');
    for (const entry of part) {
      this.#options.residents.settled(entry);
      const { cell } = entry;
      for (const { keyHash, fingerprint, payload } of entry.answers) {
        this.#options.answers.remember(cell, keyHash, { fingerprint, payload });
      }
      if (entry.gated !== null) for (const call of entry.gated) this.#options.gate.open(call);
      for (const row of entry.projections) this.#publish(row);
      if (entry.effects.length > 0) this.#options.effects.issue(cell, entry.effects);
    }
    this.#options.residents.passivation.trim();
    this.#options.handoff.poke();
  }

  failed(part: readonly Entry[], fault: Fault): void {
    // What is still queued of these actors was never sent: it fails for the same reason, but may be tried again.
    const behind = new Fault('database_unavailable', 'an earlier change of this actor was not written', {
      cause: fault,
    });
    for (const { cell } of part) this.#options.residents.evict(cell, behind);
    for (const entry of part) this.#fail(entry, fault);
    this.#options.handoff.poke();
    this.#options.report('batch_failed', { actors: new Set(part.map((entry) => entry.cell)).size, fault: fault.code });
  }

  dropped(entry: Entry): void {
    this.#fail(entry, entry.cell.side?.fate ?? new Fault('database_unavailable', 'not written'));
    this.#options.handoff.poke();
  }

  #fail(entry: Entry, fault: Fault): void {
    this.#options.residents.settled(entry);
    if (entry.gated === null) return;
    for (const call of entry.gated) {
      // A reader behind a write that was refused has done nothing wrong itself.
      const own =
        call.wrote || fault.retryable ? fault : new Fault('database_unavailable', 'the state read was not written');
      this.#options.gate.fail(call, own);
    }
  }

  #publish(row: ProjectionRow): void {
    for (const listener of this.#options.listeners) {
      try {
        listener(row);
      } catch (error) {
        this.#options.report('projection_listener_failed', { table: row.table, key: row.key, error: String(error) });
      }
    }
  }
}
