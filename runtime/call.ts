/**
 * A command on its way, with whoever waits for it; and the list of all that still wait, so that one coarse sweep can
 * tell each of them in bounded time, however long the database stays away.
 *
 * Stages of a call: `waiting` (undecided: in a mailbox or deferred) → `gated` (decided, behind a commit) or `parked`
 * (decided, until a later decision settles it, then `gated`) → `joining` (committed, its answer still being rendered) →
 * `answered`. A sweep may go to `answered` from anywhere; whatever comes later for such a call is dropped.
 */
import type { ActorRef, KeyRef } from './actor.ts';

export type CallStage = 'waiting' | 'gated' | 'parked' | 'joining' | 'answered';

/** `caller`: from outside the actor system. The others are its own: a message between actors, an effect's outcome, a wake. */
export type CallOrigin = 'caller' | 'send' | 'outcome' | 'wake';

export class Call {
  readonly ref: ActorRef;
  readonly command: unknown;
  readonly origin: CallOrigin;
  readonly key: KeyRef | undefined;
  readonly render: boolean;
  /** On the monotonic clock; Infinity for what the runtime repeats by itself. */
  readonly deadline: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;

  stage: CallStage = 'waiting';
  /** Its decision had something to write. */
  wrote = false;
  /** The answer is what was recorded under the key, to be looked up once the gate is open. */
  replay = false;
  value: unknown = undefined;
  rendering: 'none' | 'running' | 'failed' = 'none';
  /** Parked or deferred: takes this call out of its actor's side table. */
  leave: (() => void) | null = null;

  older: Call | null = null;
  newer: Call | null = null;
  listed = false;

  constructor(
    ref: ActorRef,
    command: unknown,
    origin: CallOrigin,
    deadline: number,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
    key?: KeyRef,
    render = false,
  ) {
    this.ref = ref;
    this.command = command;
    this.origin = origin;
    this.deadline = deadline;
    this.resolve = resolve;
    this.reject = reject;
    this.key = key;
    this.render = render;
  }
}

/** All accepted calls with a deadline, oldest first (a list through the calls themselves: no allocation per call). */
export class OpenCalls {
  /** Calls of callers outside. */
  callers = 0;
  #oldest: Call | null = null;
  #newest: Call | null = null;

  add(call: Call): void {
    if (call.deadline === Number.POSITIVE_INFINITY) return;
    if (call.origin === 'caller') this.callers++;
    call.listed = true;
    call.older = this.#newest;
    if (this.#newest === null) this.#oldest = call;
    else this.#newest.newer = call;
    this.#newest = call;
  }

  remove(call: Call): void {
    if (!call.listed) return;
    call.listed = false;
    if (call.origin === 'caller') this.callers--;
    if (call.older === null) this.#oldest = call.newer;
    else call.older.newer = call.newer;
    if (call.newer === null) this.#newest = call.older;
    else call.newer.older = call.older;
    call.older = null;
    call.newer = null;
  }

  /** Calls whose time is over at `now`: undecided and parked ones at their deadline, decided ones `marginMs` later. */
  overdue(now: number, marginMs: number): Call[] {
    const overdue: Call[] = [];
    for (let call = this.#oldest; call !== null; call = call.newer) {
      const decided = call.stage === 'gated' || call.stage === 'joining';
      if (now >= call.deadline + (decided ? marginMs : 0)) overdue.push(call);
    }
    return overdue;
  }

  all(): Call[] {
    return this.overdue(Number.POSITIVE_INFINITY, 0);
  }
}
