/**
 * A command on its way, with whoever waits for it; and the list of all that still wait, so that one coarse sweep can
 * tell each of them in bounded time, however long the database stays away.
 *
 * Stages of a call: `waiting` (undecided: in a mailbox, deferred, or kept while its shard is handed over) → `rendering` (decided,
 * and written only once the answer that is recorded with it is there), mostly skipped → `gated` (decided, behind a commit) or `parked` (decided, until a later decision settles it, then `gated`) → `joining`
 * (committed, its answer still being rendered) → `answered`. `forwarded`: another member has it, and answers; or it comes
 * home and is `waiting` again, as is a parked one whose shard was handed over. A sweep may go to `answered` from anywhere;
 * whatever comes later for such a call is dropped.
 */
import type { ActorRef, KeyRef } from './actor.ts';

export type CallStage = 'waiting' | 'rendering' | 'gated' | 'parked' | 'joining' | 'forwarded' | 'answered';

/**
 * `caller`: from outside the cluster; `peer`: from another member, for whoever asked there. The others are the actor
 * system's own: a message between actors (`carried`: in its sender's batch, see `carry.ts`), an effect's outcome, a wake.
 */
export type CallOrigin = 'caller' | 'peer' | 'send' | 'carried' | 'outcome' | 'wake';

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
  /** Deciding it twice does no harm. */
  repeatable: boolean;
  /** It was decided once before: nothing may be said that claims that it had no effect. */
  begun = false;
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
    this.repeatable = key !== undefined || origin === 'send';
  }

  /** Somebody outside this actor system waits for it: it is answered only under a lease. */
  get outside(): boolean {
    return this.origin === 'caller' || this.origin === 'peer';
  }
}

/** Asked by a function, since the compiler takes a stage that it has seen for one that stays. */
export function isOver(call: Call): boolean {
  return call.stage === 'answered';
}

/** In how many margins after its deadline a call is told that its time is over. */
const MARGINS: Readonly<Record<CallStage, number>> = {
  waiting: 0,
  parked: 0,
  rendering: 1,
  gated: 1,
  joining: 1,
  forwarded: 2,
  answered: 0,
};

/** All accepted calls with a deadline, oldest first (a list through the calls themselves: no allocation per call). */
export class OpenCalls {
  /** Calls from outside this actor system. */
  callers = 0;
  #oldest: Call | null = null;
  #newest: Call | null = null;

  add(call: Call): void {
    if (call.deadline === Number.POSITIVE_INFINITY || call.listed) return;
    if (call.outside) this.callers++;
    call.listed = true;
    call.older = this.#newest;
    if (this.#newest === null) this.#oldest = call;
    else this.#newest.newer = call;
    this.#newest = call;
  }

  remove(call: Call): void {
    if (!call.listed) return;
    call.listed = false;
    if (call.outside) this.callers--;
    if (call.older === null) this.#oldest = call.newer;
    else call.older.newer = call.newer;
    if (call.newer === null) this.#newest = call.older;
    else call.newer.older = call.older;
    call.older = null;
    call.newer = null;
  }

  /**
   * Calls whose time is over at `now`: undecided and parked ones at their deadline, decided ones `marginMs` later; forwarded ones
   * after twice that, since whoever has them tells first.
   */
  overdue(now: number, marginMs: number): Call[] {
    const overdue: Call[] = [];
    for (let call = this.#oldest; call !== null; call = call.newer) {
      if (now >= call.deadline + MARGINS[call.stage] * marginMs) overdue.push(call);
    }
    return overdue;
  }

  all(): Call[] {
    return this.overdue(Number.POSITIVE_INFINITY, 0);
  }
}
