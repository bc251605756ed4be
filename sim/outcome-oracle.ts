/**
 * Holds what is said of an unknown outcome to the truth: what was called void is never done, what was called committed was; and what is told to
 * callers to the few things that may be told: no fault says that the code itself is broken. Of the timers it holds that each actor which waits for a
 * time or for an effect has a row that wakes it, no later than that.
 */
import type { Effect } from '../runtime/actor.ts';
import type { Batch, Gift } from '../runtime/journal.ts';
import type { MemoryStore } from '../runtime/memory.ts';
import type { CallRecord } from './history.ts';
import type { JournalOracle, Violate } from './journal-oracle.ts';

/** What nobody may ever hear; nor anything that is no fault of the runtime. */
const NEVER_TOLD: ReadonlySet<string> = new Set(['internal', 'quarantined', 'moved', 'idempotency_key_reused']);

export class OutcomeOracle {
  readonly #violate: Violate;
  readonly #done = new WeakSet<Batch | Gift>();
  readonly #void = new WeakSet<Batch | Gift>();

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  /** It was done, at this moment. */
  done(what: Batch | Gift): void {
    if (this.#void.has(what))
      this.#violate('void stays void', `${nameOf(what)} was called void, and is done all the same`);
    this.#done.add(what);
  }

  resolved(what: Batch | Gift, outcome: 'committed' | 'void'): void {
    // Nothing rests on a batch of snapshots alone: there is no telling, and no need to tell.
    if ('events' in what && what.events.length + what.answers.length === 0) return;
    const done = this.#done.has(what);
    if (done !== (outcome === 'committed')) {
      this.#violate('void stays void', `${nameOf(what)} was called ${outcome}, and is ${done ? 'done' : 'not done'}`);
    }
    if (outcome === 'void') this.#void.add(what);
  }

  /** A call has ended. */
  told({ outcome, number, command, ref }: CallRecord): void {
    if (outcome?.kind !== 'fault') return;
    const { code } = outcome;
    if (!NEVER_TOLD.has(code) && !code.startsWith('unexpected')) return;
    this.#violate('nothing is broken', `#${number} (${command.kind} of ${ref.id}) was told ${code}`);
  }

  /** Looks at all actors as they are stored. */
  timers(journal: JournalOracle, store: MemoryStore): void {
    for (const { ref, type, state } of journal.shadows.values()) {
      const own = type.wakeAt?.(state) ?? null;
      const waits = ((type.pending?.(state) ?? []) as readonly Effect[]).length > 0;
      if (own === null && !waits) continue;
      const due = store.actors.get(`${ref.type}\u0000${ref.id}`)?.timer?.due ?? null;
      if (due === null) this.#violate('timers fire', `${ref.id} waits for something, and no row will wake it`);
      else if (own !== null && due > own && !waits) {
        this.#violate('timers fire', `${ref.id} is due at ${own}, its row wakes it at ${due}`);
      }
    }
  }
}

function nameOf(what: Batch | Gift): string {
  if ('to' in what) return `the gift of ${what.shards.length} shards to ${what.to}`;
  const events = what.events.map(({ id, seq }) => `${id}@${seq}`).join(' ');
  return `the append of ${events === '' ? 'answers' : events}`;
}
