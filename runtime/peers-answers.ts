/**
 * What one peer asks of this member. It promises that a request is decided at most once, however often its message is doubled, delayed or
 * repeated, and that what a peer can make this member hold is bounded.
 *
 * A request that is taken is remembered by its id until the peer has said (by its floor) that it no longer waits, or its deadline is
 * well past:
 *
 *     (new) ──taken──▶ running ──its end──▶ kept (the answer's bytes, sent again on request) ──room is needed──▶ forgotten
 *       └──past its deadline, or no room: refused
 *
 * Ids below the floor and requests past their deadline are never decided, so whatever was dropped from memory cannot be decided again. A
 * request whose answer was forgotten is answered with `outcome_unknown`. A refusal for want of room is remembered too: its caller may
 * have been told so, and a late double must not be decided after that. With no room even for that, there is no answer at all.
 */
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import { Fifo } from './fifo.ts';
import type { ShardOwner } from './members.ts';
import type { Outbox } from './peers-outbox.ts';
import { encodeReply, encodeSign, type PeerReply, type PeerRequest } from './peers-protocol.ts';

export interface AnswerLimits {
  /** Requests of one peer at work here at once; beyond, `overloaded`. */
  readonly requestsServed: number;
  /** Ids remembered of one peer. */
  readonly idsKept: number;
  /** Answers kept for one peer. */
  readonly bytesKept: number;
  /** An id is remembered this long past its deadline: longer than its caller waits. */
  readonly keptPastDeadlineMs: number;
  /** No request may have a deadline farther off: memory of it would be kept as long. */
  readonly deadlineMaxMs: number;
}

export interface AnswerHost {
  /** Decides; `deadline` is on the monotonic clock. Rejects with a `Fault`, of code `moved` where the shard is elsewhere. */
  answer(request: PeerRequest, deadline: number): Promise<unknown>;
  /** Who has the actor's shard, as far as is known; null where that is this member itself. */
  elsewhere(request: PeerRequest): ShardOwner | null;
}

interface Known {
  state: 'running' | 'kept' | 'forgotten';
  bytes: Uint8Array | null;
  /** Monotonic. */
  readonly until: number;
  /** By the database's clock. It may be stepped, so an id is remembered until both times are past. */
  readonly deadlineMs: number;
}

export function createAnswerStats() {
  return {
    served: 0,
    /** Requests that came again, and were joined or answered from memory. */
    repeated: 0,
    /** Requests below the floor. */
    late: 0,
    expired: 0,
    overloaded: 0,
    /** Refused without a word. */
    dropped: 0,
  };
}
export type AnswerStats = ReturnType<typeof createAnswerStats>;

export class PeerAnswers {
  readonly #clock: Clock;
  readonly #limits: AnswerLimits;
  readonly #outbox: Outbox;
  readonly #host: AnswerHost;
  readonly #stats: AnswerStats;
  readonly #known = new Map<number, Known>();
  /** In the order in which they were given. */
  readonly #kept = new Fifo<Known>();
  #floor = 0;
  #running = 0;
  #bytes = 0;
  /** Nothing that was ever taken here is to be remembered for longer. */
  #latestUntil = 0;
  #latestDeadlineMs = 0;

  constructor(clock: Clock, limits: AnswerLimits, outbox: Outbox, host: AnswerHost, stats: AnswerStats) {
    this.#clock = clock;
    this.#limits = limits;
    this.#outbox = outbox;
    this.#host = host;
    this.#stats = stats;
  }

  get known(): number {
    return this.#known.size;
  }

  get bytesKept(): number {
    return this.#bytes;
  }

  /** Whether forgetting all of this peer could have no request decided twice. */
  get idle(): boolean {
    if (this.#known.size > 0 || this.#running > 0) return false;
    return this.#clock.monotonic() > this.#latestUntil && this.#clock.now() > this.#latestDeadlineMs;
  }

  raiseFloor(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    // Ids come nearly in order: what lies behind a higher one is left to the sweep.
    for (const [id, known] of this.#known) {
      if (id >= floor) break;
      this.#forget(id, known);
    }
  }

  take(request: PeerRequest): void {
    const { id } = request;
    if (id < this.#floor) {
      this.#stats.late++;
      return;
    }
    const known = this.#known.get(id);
    if (known !== undefined) {
      this.#repeat(id, known);
      return;
    }
    const { deadlineMaxMs, keptPastDeadlineMs, requestsServed, idsKept } = this.#limits;
    const now = this.#clock.now();
    if (!(request.deadlineMs > now)) {
      this.#stats.expired++;
      const fault = new Fault('deadline_exceeded', 'the request came after its deadline');
      this.#say(encodeReply({ kind: 'fault', id, fault }));
      return;
    }
    const remainingMs = request.deadlineMs - now;
    if (remainingMs > deadlineMaxMs) {
      this.#stats.dropped++;
      return;
    }
    const { deadlineMs } = request;
    const deadline = this.#clock.monotonic() + remainingMs;
    const until = deadline + keptPastDeadlineMs;
    this.#latestUntil = Math.max(this.#latestUntil, until);
    this.#latestDeadlineMs = Math.max(this.#latestDeadlineMs, deadlineMs);
    const entry: Known = { state: 'running', bytes: null, until, deadlineMs };
    if (this.#running >= requestsServed || this.#known.size >= idsKept) {
      this.#overloaded(id, entry);
      return;
    }
    this.#known.set(id, entry);
    this.#run(request, entry, deadline);
  }

  /** Forgets what is past. */
  sweep(): void {
    const monotonic = this.#clock.monotonic();
    const now = this.#clock.now();
    for (const [id, known] of this.#known) {
      const past = known.state !== 'running' && monotonic >= known.until && now >= known.deadlineMs;
      if (id < this.#floor || past) this.#forget(id, known);
    }
    this.#trim();
  }

  #run(request: PeerRequest, entry: Known, deadline: number): void {
    this.#running++;
    this.#stats.served++;
    const { id } = request;
    const done = (reply: PeerReply): void => {
      this.#running--;
      // Its caller no longer waits.
      if (this.#known.get(id) !== entry) return;
      this.#keep(entry, this.#encode(reply));
    };
    this.#host.answer(request, deadline).then(
      (value) => done({ kind: 'value', id, value }),
      (error: unknown) => done(this.#faultReply(request, error)),
    );
  }

  #faultReply(request: PeerRequest, error: unknown): PeerReply {
    const { id } = request;
    if (!(error instanceof Fault)) {
      return { kind: 'fault', id, fault: new Fault('internal', String(error), { retryable: false }) };
    }
    if (error.code === 'moved') return { kind: 'moved', id, owner: this.#host.elsewhere(request) };
    return { kind: 'fault', id, fault: error };
  }

  #encode(reply: PeerReply): Uint8Array {
    let bytes: Uint8Array | null = null;
    try {
      bytes = encodeReply(reply);
    } catch {
      // Told below: what cannot be encoded cannot be sent.
    }
    if (bytes !== null && this.#outbox.fits(bytes.length)) return bytes;
    const fault = new Fault('outcome_unknown', 'the answer cannot be sent to another member', { retryable: false });
    return encodeReply({ kind: 'fault', id: reply.id, fault });
  }

  #repeat(id: number, known: Known): void {
    this.#stats.repeated++;
    if (known.state === 'running') {
      this.#say(encodeSign({ kind: 'working', id }));
      return;
    }
    if (known.bytes !== null) {
      this.#say(known.bytes);
      return;
    }
    const fault = new Fault('outcome_unknown', 'the answer was given and is no longer kept');
    this.#say(encodeReply({ kind: 'fault', id, fault }));
  }

  #overloaded(id: number, entry: Known): void {
    if (this.#known.size >= 2 * this.#limits.idsKept) {
      this.#stats.dropped++;
      return;
    }
    this.#stats.overloaded++;
    this.#known.set(id, entry);
    const fault = new Fault('overloaded', 'the member that owns the shard has too much to do', { retryAfterMs: 1000 });
    this.#keep(entry, encodeReply({ kind: 'fault', id, fault }));
  }

  #keep(entry: Known, bytes: Uint8Array): void {
    entry.state = 'kept';
    entry.bytes = bytes;
    this.#bytes += bytes.length;
    this.#kept.push(entry);
    this.#say(bytes);
    this.#trim();
  }

  #trim(): void {
    for (;;) {
      const oldest = this.#kept.peek();
      if (oldest === undefined) return;
      if (oldest.bytes !== null) {
        if (this.#bytes <= this.#limits.bytesKept) return;
        this.#bytes -= oldest.bytes.length;
        oldest.bytes = null;
        oldest.state = 'forgotten';
      }
      this.#kept.shift();
    }
  }

  #forget(id: number, known: Known): void {
    this.#known.delete(id);
    if (known.bytes === null) return;
    this.#bytes -= known.bytes.length;
    known.bytes = null;
  }

  #say(bytes: Uint8Array): void {
    this.#outbox.push(bytes, null);
  }
}
