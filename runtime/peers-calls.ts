/**
 * What this member asks of one peer: a window of requests under way, a bounded line of those that wait for a place in it, and the
 * repetition of what is not answered.
 *
 *     waiting ──a place is free──▶ under way ──answer──▶ ended
 *        │                            │  └──no answer in time──▶ sent again under the same id (the peer remembers ids)
 *        └──deadline: refused         └──nobody heard any of it: unreached; deadline and margin, or given up: unknown──▶ ended
 *
 * A peer of which nothing at all is heard for `silentMs` while it is asked (stopped, or cut off in a way that neither side's bus has
 * noticed) is silent: what is under way ends as unknown, what comes is refused at once, and a `ping` now and then finds out when it is
 * back. One that is only slow is not silent: it says that it is at work when it is asked again.
 *
 * Each ask ends exactly once. `unreached`, `moved` and `refused` say for certain that the peer has not decided it and never will, because
 * ids at and above the floor are remembered there and lower ones are not listened to; `unknown` says nothing. A retry costs the peer no
 * second decision, so it may be early; the bytes are those of the first attempt.
 */
import type { ActorRef } from './actor.ts';
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import { Fifo } from './fifo.ts';
import type { ShardOwner } from './members.ts';
import type { Outbox, Sendable } from './peers-outbox.ts';
import { encodeRequest, encodeSign, type PeerReply, type RequestBody } from './peers-protocol.ts';

export type AskEnd =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'moved'; readonly owner: ShardOwner | null }
  | { readonly kind: 'unreached' }
  | { readonly kind: 'refused'; readonly fault: Fault }
  | { readonly kind: 'unknown' };

export interface Ask {
  readonly ref: ActorRef;
  readonly shard: number;
  readonly body: RequestBody;
  /** On the monotonic clock. */
  readonly deadline: number;
  /** Called once; must not throw. */
  done(end: AskEnd): void;
  /** Called where an attempt stayed without an answer: whether to ask this peer again. */
  again(): boolean;
}

export interface CallLimits {
  /** Requests and bytes under way to one peer: the credit. */
  readonly requestsUnderWay: number;
  readonly bytesUnderWay: number;
  /** Requests that wait for credit; beyond, `overloaded`. */
  readonly requestsWaiting: number;
  readonly bytesWaiting: number;
  /** The first attempt is given up on after this; each next one after twice as long, up to `attemptMaxMs`. */
  readonly attemptMs: number;
  readonly attemptMaxMs: number;
  /** An ask without an answer ends this long after its deadline: the peer's own margin and the way back. */
  readonly marginMs: number;
  /** Longer than a takeover takes, so that what can go to the next owner does. */
  readonly silentMs: number;
  readonly pingMs: number;
}

/** `none`: nobody has heard any attempt. `maybe`: somebody may have. Never back. */
type Reached = 'none' | 'maybe';

class PeerCall implements Sendable {
  readonly id: number;
  readonly ask: Ask;
  readonly bytes: Uint8Array;
  state: 'waiting' | 'under way' | 'ended' = 'waiting';
  reached: Reached = 'none';
  /** Attempts handed to the bus, of which it is not known yet who heard them. */
  sending = 0;
  attempts = 0;
  againAt = 0;
  readonly #calls: PeerCalls;

  constructor(calls: PeerCalls, id: number, ask: Ask, bytes: Uint8Array) {
    this.#calls = calls;
    this.id = id;
    this.ask = ask;
    this.bytes = bytes;
  }

  sent(receivers: number | null): void {
    this.#calls.sent(this, receivers);
  }
}

export function createCallStats() {
  return {
    asked: 0,
    retries: 0,
    unreached: 0,
    unknown: 0,
    overloaded: 0,
    expired: 0,
    /** Refused because the peer was silent. */
    silent: 0,
    /** Answers to what no longer waits. */
    stray: 0,
  };
}
export type CallStats = ReturnType<typeof createCallStats>;

export class PeerCalls {
  readonly #clock: Clock;
  readonly #limits: CallLimits;
  readonly #outbox: Outbox;
  readonly #stats: CallStats;
  readonly #nextId: () => number;
  /** All that have not ended, in order of their ids: those under way first, then those that wait. */
  readonly #calls = new Map<number, PeerCall>();
  #line = new Fifo<PeerCall>();
  #lastId = 0;
  #underWay = 0;
  #bytesUnderWay = 0;
  #waiting = 0;
  #bytesWaiting = 0;
  /** Monotonic: when the first attempt was made after which nothing was heard; null: there was none. */
  #unheardSince: number | null = null;
  #attemptedAt = 0;
  #pingedAt = Number.NEGATIVE_INFINITY;

  /** @param nextId rises over the life of this member: a peer may remember ids for longer than it is itself remembered here. */
  constructor(clock: Clock, limits: CallLimits, outbox: Outbox, stats: CallStats, nextId: () => number) {
    this.#nextId = nextId;
    this.#clock = clock;
    this.#limits = limits;
    this.#outbox = outbox;
    this.#stats = stats;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** No request below this id waits any more. */
  get floor(): number {
    for (const id of this.#calls.keys()) return id;
    return this.#lastId + 1;
  }

  /** Something came from the peer, or may be waiting to be read: this process stood still. */
  heard(): void {
    this.#unheardSince = null;
  }

  ask(ask: Ask): void {
    const { ref, body, deadline } = ask;
    if (this.#isSilent()) {
      this.#stats.silent++;
      this.#ping();
      ask.done({ kind: 'refused', fault: silent() });
      return;
    }
    const deadlineMs = this.#clock.now() + Math.ceil(deadline - this.#clock.monotonic());
    const id = this.#nextId();
    this.#lastId = id;
    const bytes = encodeRequest(id, ref, body, deadlineMs);
    if (!this.#outbox.fits(bytes.length)) {
      const fault = new Fault('rejected', 'the command is too large to be sent to the shard', { retryable: false });
      ask.done({ kind: 'refused', fault });
      return;
    }
    const call = new PeerCall(this, id, ask, bytes);
    if (this.#waiting === 0 && this.#hasCredit(bytes.length)) {
      this.#calls.set(id, call);
      this.#start(call);
      return;
    }
    const { requestsWaiting, bytesWaiting } = this.#limits;
    if (this.#waiting >= requestsWaiting || this.#bytesWaiting + bytes.length > bytesWaiting) {
      this.#stats.overloaded++;
      const fault = new Fault('overloaded', 'too many requests wait for the member that owns the shard', {
        retryAfterMs: 1000,
      });
      ask.done({ kind: 'refused', fault });
      return;
    }
    this.#calls.set(id, call);
    this.#line.push(call);
    this.#waiting++;
    this.#bytesWaiting += bytes.length;
  }

  answered(reply: PeerReply): void {
    const call = this.#calls.get(reply.id);
    if (call === undefined || call.state !== 'under way') {
      this.#stats.stray++;
      return;
    }
    this.#end(call, endOf(reply));
    this.#pump();
  }

  /** What became of an attempt; null: nobody knows. */
  sent(call: PeerCall, receivers: number | null): void {
    call.sending--;
    if (receivers !== 0) call.reached = 'maybe';
    // Where nobody listens, silence says nothing.
    else this.#unheardSince = null;
    if (call.reached !== 'none' || call.sending > 0 || call.state !== 'under way') return;
    this.#stats.unreached++;
    this.#end(call, { kind: 'unreached' });
    this.#pump();
  }

  /** Sends again what is due, and ends what is over. */
  sweep(): void {
    if (this.#calls.size > 0 && this.#isSilent()) this.endAll(silent());
    const now = this.#clock.monotonic();
    for (const call of this.#calls.values()) {
      if (call.state === 'waiting') {
        if (now >= call.ask.deadline) this.#expire(call);
      } else if (now >= call.ask.deadline + this.#limits.marginMs) {
        if (call.reached === 'none' && call.sending === 0) this.#expire(call);
        else this.#giveUp(call);
      } else if (now >= call.againAt) {
        if (call.ask.again()) this.#attempt(call, now);
        else this.#giveUp(call);
      }
    }
    this.#pump();
    if (this.#line.length > 2 * this.#waiting + 64) this.#tidyLine();
  }

  /** Sends all that is under way again: answers and requests were lost with the connection. */
  repeat(): void {
    const now = this.#clock.monotonic();
    for (const call of this.#calls.values()) if (call.state === 'under way') this.#attempt(call, now);
  }

  /** Calls of these shards are not answered by this peer for long any more: the next attempt is due within `withinMs`. */
  hurry(shards: ReadonlySet<number>, withinMs: number): void {
    const soon = this.#clock.monotonic() + withinMs;
    for (const call of this.#calls.values()) {
      if (call.state === 'under way' && call.againAt > soon && shards.has(call.ask.shard)) call.againAt = soon;
    }
  }

  /** Ends everything: with `fault` what certainly was not heard, as unknown the rest. */
  endAll(fault: Fault): void {
    for (const call of [...this.#calls.values()]) {
      if (call.reached === 'none' && call.sending === 0) this.#end(call, { kind: 'refused', fault });
      else this.#giveUp(call);
    }
  }

  #isSilent(): boolean {
    const { silentMs } = this.#limits;
    const now = this.#clock.monotonic();
    if (this.#unheardSince === null || now - this.#unheardSince < silentMs) return false;
    // Whoever was not asked for long may have come back.
    if (now - Math.max(this.#attemptedAt, this.#pingedAt) < 2 * silentMs) return true;
    this.#unheardSince = null;
    return false;
  }

  #ping(): void {
    const now = this.#clock.monotonic();
    if (now - this.#pingedAt < this.#limits.pingMs) return;
    this.#pingedAt = now;
    this.#outbox.push(encodeSign({ kind: 'ping', id: 0 }), null);
  }

  #hasCredit(bytes: number): boolean {
    if (this.#underWay === 0) return true;
    const { requestsUnderWay, bytesUnderWay } = this.#limits;
    return this.#underWay < requestsUnderWay && this.#bytesUnderWay + bytes <= bytesUnderWay;
  }

  #pump(): void {
    for (;;) {
      const next = this.#line.peek();
      if (next === undefined) return;
      if (next.state === 'waiting' && !this.#hasCredit(next.bytes.length)) return;
      this.#line.shift();
      if (next.state !== 'waiting') continue;
      this.#waiting--;
      this.#bytesWaiting -= next.bytes.length;
      this.#start(next);
    }
  }

  #start(call: PeerCall): void {
    call.state = 'under way';
    this.#underWay++;
    this.#bytesUnderWay += call.bytes.length;
    this.#stats.asked++;
    this.#attempt(call, this.#clock.monotonic());
  }

  #attempt(call: PeerCall, now: number): void {
    const { attemptMs, attemptMaxMs } = this.#limits;
    call.againAt = now + Math.min(attemptMaxMs, attemptMs * 2 ** Math.min(call.attempts, 10));
    this.#unheardSince ??= now;
    this.#attemptedAt = now;
    if (call.attempts > 0) this.#stats.retries++;
    call.attempts++;
    call.sending++;
    this.#outbox.push(call.bytes, call);
  }

  #expire(call: PeerCall): void {
    this.#stats.expired++;
    const fault = new Fault('deadline_exceeded', 'the member that owns the shard was not reached in time');
    this.#end(call, { kind: 'refused', fault });
  }

  #giveUp(call: PeerCall): void {
    this.#stats.unknown++;
    this.#end(call, { kind: 'unknown' });
  }

  #end(call: PeerCall, end: AskEnd): void {
    if (call.state === 'ended') return;
    const { length } = call.bytes;
    if (call.state === 'under way') {
      this.#underWay--;
      this.#bytesUnderWay -= length;
    } else {
      this.#waiting--;
      this.#bytesWaiting -= length;
    }
    call.state = 'ended';
    this.#calls.delete(call.id);
    call.ask.done(end);
  }

  #tidyLine(): void {
    const line = this.#line.drain();
    for (const call of line) if (call.state === 'waiting') this.#line.push(call);
  }
}

function silent(): Fault {
  return new Fault('shard_unavailable', 'nothing is heard of the member that owns the shard', { retryAfterMs: 1000 });
}

function endOf(reply: PeerReply): AskEnd {
  switch (reply.kind) {
    case 'value':
      return { kind: 'value', value: reply.value };
    case 'fault':
      return { kind: 'fault', fault: reply.fault };
    case 'moved':
      return { kind: 'moved', owner: reply.owner };
  }
}
