/**
 * Actors whose stored history cannot be read. Each is left alone for a while, then tried again (a newer version of the
 * program may read what this one could not); meanwhile its callers hear `quarantined` and all other actors live on.
 */
import type { ActorRef } from './actor.ts';
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import type { Limits } from './limits.ts';

export interface QuarantinedActor extends ActorRef {
  readonly reason: string;
  readonly untilMs: number;
}

export class Quarantine {
  readonly #actors = new Map<string, QuarantinedActor>();
  readonly #clock: Clock;
  readonly #limits: Limits;

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#actors.size;
  }

  add(ref: ActorRef, reason: string): Fault {
    const name = `${ref.type}:${ref.id}`;
    const untilMs = this.#clock.now() + this.#limits.quarantineMs;
    this.#actors.delete(name);
    this.#actors.set(name, { type: ref.type, id: ref.id, reason, untilMs });
    if (this.#actors.size > this.#limits.quarantineLimit) {
      const [oldest] = this.#actors.keys();
      if (oldest !== undefined) this.#actors.delete(oldest);
    }
    return quarantinedFault(reason);
  }

  /** The fault for this actor's callers, or null where it may be (tried to be) loaded. */
  refusal(ref: ActorRef): Fault | null {
    if (this.#actors.size === 0) return null;
    const actor = this.#actors.get(`${ref.type}:${ref.id}`);
    return actor === undefined || this.#clock.now() >= actor.untilMs ? null : quarantinedFault(actor.reason);
  }

  /** The actor was loaded after all. */
  clear(ref: ActorRef): void {
    if (this.#actors.size > 0) this.#actors.delete(`${ref.type}:${ref.id}`);
  }

  list(): QuarantinedActor[] {
    return [...this.#actors.values()];
  }
}

function quarantinedFault(reason: string): Fault {
  return new Fault('quarantined', "the actor's stored history cannot be read", { retryable: false, cause: reason });
}
