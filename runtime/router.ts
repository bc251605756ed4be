/**
 * The way to the other members: each call whose shard is not this member's is brought to whoever has it. It relies on the shard map for
 * who that is, on `peers.ts` for asking an incarnation, and promises that each call ends exactly once and in bounded time, and that one
 * that is not repeatable is decided at most once.
 *
 *     asking (an incarnation) ──value or fault──▶ ended
 *        │  ├──moved, going away, nobody heard it──▶ waiting
 *        │  └──no answer, and the shard has another owner: repeatable ──▶ asking (that one), otherwise ended as unknown
 *     waiting ──an owner is known, or a pause is over──▶ asking
 *        │  ├──the shard is ours──▶ ended (home)
 *        │  └──the wait's bound, the deadline, or no bus──▶ ended (`shard_unavailable`)
 *
 * A shard between two owners (a takeover, a hand-off) is waited for rather than failed, for `ownerWaitMs` in all; what arrives while the
 * bus is away is refused at once. Asks and hops are bounded. A repeatable call of which an earlier attempt may have been decided never
 * hears a fault that says it had no effect.
 */
import type { ActorRef } from './actor.ts';
import type { Bus } from './bus.ts';
import type { Clock } from './clock.ts';
import { type Asking, type Ends, Errand } from './errand.ts';
import { Fault } from './fault.ts';
import type { Membership, ShardMap } from './members.ts';
import { type PeerLimits, Peers } from './peers.ts';
import type { AskEnd } from './peers-calls.ts';
import type { RequestBody } from './peers-protocol.ts';
import type { ForwardedCall, Remote, Serve, Service } from './remote.ts';

export interface RouterLimits {
  /** How long in all a call waits for its shard to have an owner that answers. */
  readonly ownerWaitMs: number;
  /** Calls that wait so. */
  readonly waiting: number;
  /** Asks of one call. */
  readonly hops: number;
  /** The first pause before an owner is asked again that did not hear or did not have the shard; doubled up to `pauseMaxMs`. */
  readonly pauseMs: number;
  readonly pauseMaxMs: number;
  /** A call under way to an incarnation that lost its shard is asked again within this. */
  readonly hurryMs: number;
  /** Deadlines farther off are taken as this. */
  readonly deadlineMaxMs: number;
}

export const DEFAULT_ROUTER_LIMITS: RouterLimits = Object.freeze({
  ownerWaitMs: 1_500,
  waiting: 10_000,
  hops: 16,
  pauseMs: 25,
  pauseMaxMs: 200,
  hurryMs: 200,
  deadlineMaxMs: 60_000,
});

export interface RouterOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly membership: Pick<Membership, 'incarnation' | 'owns'>;
  readonly shards: ShardMap;
  /** What may be asked for by name at a shard's owner (`perform`). */
  readonly services?: Readonly<Record<string, Service>>;
  readonly limits?: Partial<RouterLimits>;
  readonly peerLimits?: Partial<PeerLimits>;
}

export class Router implements Remote, Asking {
  readonly peers: Peers;
  readonly #clock: Clock;
  readonly #bus: Bus;
  readonly #membership: Pick<Membership, 'incarnation' | 'owns'>;
  readonly #shards: ShardMap;
  readonly #services: Readonly<Record<string, Service>>;
  readonly #limits: RouterLimits;
  readonly #waiting = new Map<number, Set<Errand>>();
  #waitingCount = 0;
  #tick: { cancel(): void } | null = null;
  readonly #unwatch: () => void;
  #closed = false;
  readonly #counts = {
    forwarded: 0,
    answered: 0,
    failed: 0,
    /** Came back because the shard is this member's own. */
    home: 0,
    moved: 0,
    /** Asked of another incarnation, or again of one that had not heard. */
    rerouted: 0,
    unknown: 0,
    unavailable: 0,
    waited: 0,
    /** From forwarding to the answer. */
    answeredUs: 0,
  };

  constructor(options: RouterOptions) {
    const { bus, clock, membership, shards } = options;
    this.#clock = clock;
    this.#bus = bus;
    this.#membership = membership;
    this.#shards = shards;
    this.#services = options.services ?? {};
    this.#limits = Object.freeze({ ...DEFAULT_ROUTER_LIMITS, ...options.limits });
    this.peers = new Peers({
      bus,
      clock,
      incarnation: membership.incarnation,
      owns: (shard) => membership.owns(shard),
      ownerOf: (shard) => shards.ownerOf(shard),
      services: this.#services,
      ...(options.peerLimits === undefined ? undefined : { limits: options.peerLimits }),
    });
    shards.onMoved((moved) => this.#moved(moved));
    this.#unwatch = bus.onConnection((connected) => {
      if (!connected) this.#endWaiting();
    });
  }

  /** Calls of others come to `serve` from now on. Resolves when they are heard. */
  listen(serve: Serve): Promise<void> {
    return this.peers.listen(serve);
  }

  forward(call: ForwardedCall): void {
    const { ref, command, key, render, repeatable, deadline } = call;
    this.#begin(ref, { kind: 'command', command, key, render, repeatable }, deadline, call);
  }

  /**
   * Runs the named service where the actor's shard is owned: here or at the owner. Rejects with a `Fault`. Default time-out 10,000 ms.
   */
  perform(ref: ActorRef, service: string, input: unknown, timeoutMs = 10_000): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const home = (): void => {
        const run = this.#services[service];
        if (run === undefined) reject(new Fault('internal', `no service is named ${service}`, { retryable: false }));
        else run(ref, input).then(resolve, reject);
      };
      const deadline = this.#clock.monotonic() + timeoutMs;
      this.#begin(ref, { kind: 'service', service, input }, deadline, { resolve, reject, home });
    });
  }

  /** Ends all calls on their way; nothing is heard or said any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unwatch();
    this.#tick?.cancel();
    this.#endWaiting();
    this.peers.close();
  }

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#counts, waiting: this.#waitingCount, ...this.peers.stats };
  }

  /** For an errand: how asking its owner ended. */
  ended(errand: Errand, end: AskEnd): void {
    switch (end.kind) {
      case 'value':
        this.#counts.answered++;
        this.#counts.answeredUs += Math.round((this.#clock.monotonic() - errand.startedAt) * 1000);
        errand.ends.resolve(end.value);
        return;
      case 'refused':
        this.#fail(errand, end.fault);
        return;
      case 'fault':
        this.#faulted(errand, end.fault);
        return;
      case 'moved':
        this.#counts.moved++;
        // It may have begun there, where that does no harm.
        if (errand.repeatable) errand.doubtful = true;
        if (end.owner !== null) this.#shards.hint(errand.shard, end.owner);
        this.#elsewhere(errand);
        return;
      case 'unreached':
        this.#elsewhere(errand);
        return;
      case 'unknown':
        errand.doubtful = true;
        if (errand.repeatable && this.#changed(errand)) this.#go(errand);
        else this.#fail(errand, new Fault('outcome_unknown', 'the member that owns the shard gave no answer'));
        return;
    }
  }

  /**
   * For an errand: an attempt had no answer. An owner that has lost the shard meanwhile may still be at the answer of what it had
   * decided: once more.
   */
  again(errand: Errand): boolean {
    if (!this.#changed(errand)) return true;
    if (errand.lastAttempt) return false;
    errand.lastAttempt = true;
    return true;
  }

  #begin(ref: ActorRef, body: RequestBody, until: number, ends: Ends): void {
    this.#counts.forwarded++;
    const startedAt = this.#clock.monotonic();
    const deadline = Math.min(until, startedAt + this.#limits.deadlineMaxMs);
    this.#go(new Errand(this, ref, body, { startedAt, deadline }, ends));
  }

  /** Asks the owner, or waits for one. */
  #go(errand: Errand): void {
    const { shard, deadline } = errand;
    if (this.#clock.monotonic() >= deadline) {
      this.#fail(errand, new Fault('deadline_exceeded', 'the shard had no owner before the deadline'));
      return;
    }
    if (this.#membership.owns(shard)) {
      this.#counts.home++;
      errand.ends.home(errand.doubtful);
      return;
    }
    if (this.#closed || !this.#bus.connected) {
      this.#fail(errand, unavailable('the other members cannot be reached'));
      return;
    }
    const owner = this.#shards.ownerOf(shard);
    if (owner === null || owner.incarnation === this.#membership.incarnation) {
      this.#wait(errand);
      return;
    }
    if (errand.hops >= this.#limits.hops) {
      this.#fail(errand, unavailable('the shard was not found'));
      return;
    }
    if (errand.hops++ > 0) this.#counts.rerouted++;
    errand.asked = owner;
    errand.lastAttempt = false;
    this.peers.ask(owner.incarnation, errand);
  }

  #faulted(errand: Errand, fault: Fault): void {
    // Going away: it says so to what it has not decided.
    if (fault.code === 'draining') {
      this.#elsewhere(errand);
      return;
    }
    // Its lease is over, or it was fenced: it does not say what became of the call.
    if (fault.code === 'shard_unavailable' && errand.repeatable) {
      errand.doubtful = true;
      this.#elsewhere(errand);
      return;
    }
    this.#fail(errand, fault);
  }

  /** Who was asked cannot decide it: on to the next owner, which may not be known yet. */
  #elsewhere(errand: Errand): void {
    if (this.#changed(errand) || this.#membership.owns(errand.shard)) this.#go(errand);
    else this.#wait(errand);
  }

  #changed(errand: Errand): boolean {
    const owner = this.#shards.ownerOf(errand.shard);
    return owner !== null && owner.incarnation !== errand.asked?.incarnation;
  }

  #wait(errand: Errand): void {
    const { shard, deadline } = errand;
    const { ownerWaitMs, waiting, pauseMs, pauseMaxMs } = this.#limits;
    const now = this.#clock.monotonic();
    if (errand.waitUntil === null) {
      errand.waitUntil = Math.min(deadline, now + ownerWaitMs);
      this.#counts.waited++;
    }
    if (now >= errand.waitUntil || this.#waitingCount >= waiting || !this.#bus.connected || this.#closed) {
      this.#fail(errand, unavailable('the shard has no owner that answers now'));
      return;
    }
    errand.againAt = now + Math.min(pauseMaxMs, pauseMs * 2 ** Math.min(errand.pauses++, 10));
    let ofShard = this.#waiting.get(shard);
    if (ofShard === undefined) {
      ofShard = new Set();
      this.#waiting.set(shard, ofShard);
    }
    ofShard.add(errand);
    this.#waitingCount++;
    this.#arm();
  }

  #moved(shards: readonly number[]): void {
    for (const shard of shards) for (const errand of this.#take(shard)) this.#go(errand);
    this.peers.hurry(new Set(shards), this.#limits.hurryMs);
  }

  /** Takes all that wait for the shard. */
  #take(shard: number): readonly Errand[] {
    const ofShard = this.#waiting.get(shard);
    if (ofShard === undefined) return [];
    this.#waiting.delete(shard);
    this.#waitingCount -= ofShard.size;
    return [...ofShard];
  }

  #endWaiting(): void {
    for (const shard of [...this.#waiting.keys()]) for (const errand of this.#take(shard)) this.#go(errand);
  }

  #arm(): void {
    if (this.#tick !== null || this.#closed) return;
    this.#tick = this.#clock.setTimeout(() => {
      this.#tick = null;
      this.#sweep();
      if (this.#waitingCount > 0) this.#arm();
    }, this.#limits.pauseMs);
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    const due: Errand[] = [];
    for (const [shard, ofShard] of this.#waiting) {
      for (const errand of ofShard) {
        if (now < errand.againAt && now < (errand.waitUntil ?? 0)) continue;
        ofShard.delete(errand);
        this.#waitingCount--;
        due.push(errand);
      }
      if (ofShard.size === 0) this.#waiting.delete(shard);
    }
    for (const errand of due) {
      if (now >= (errand.waitUntil ?? 0)) this.#fail(errand, unavailable('the shard has no owner that answers now'));
      else this.#go(errand);
    }
  }

  #fail(errand: Errand, fault: Fault): void {
    const told = errand.told(fault);
    this.#counts.failed++;
    if (told.code === 'outcome_unknown') this.#counts.unknown++;
    if (told.code === 'shard_unavailable') this.#counts.unavailable++;
    errand.ends.reject(told);
  }
}

function unavailable(message: string): Fault {
  return new Fault('shard_unavailable', message, { retryAfterMs: 1000 });
}
