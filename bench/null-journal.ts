/**
 * A journal that keeps nothing: every append succeeds at once. For benches of what stands before the database; an actor that
 * has left memory comes back as `history` says, or empty.
 */
import type { ActorRef } from '../runtime/actor.ts';
import type { EventRow, Journal, LoadedActor, RecordedAnswer } from '../runtime/journal.ts';

export class NullJournal implements Journal {
  readonly lanes: number;
  readonly #history: (ref: ActorRef) => readonly EventRow[];

  /** @param history events of an actor in order; default: none has any */
  constructor(lanes = 1, history: (ref: ActorRef) => readonly EventRow[] = () => []) {
    this.lanes = lanes;
    this.#history = history;
  }

  append(): Promise<void> {
    return Promise.resolve();
  }

  resolve(): Promise<'committed'> {
    return Promise.resolve('committed');
  }

  load(refs: readonly ActorRef[]): Promise<LoadedActor[]> {
    return Promise.resolve(
      refs.map((ref) => ({ ref, snapshot: null, events: this.#history(ref), more: false, timerDue: null })),
    );
  }

  tail(): Promise<{ events: EventRow[]; more: boolean }> {
    return Promise.resolve({ events: [], more: false });
  }

  answer(): Promise<RecordedAnswer | null> {
    return Promise.resolve(null);
  }

  dueTimers(): Promise<[]> {
    return Promise.resolve([]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
