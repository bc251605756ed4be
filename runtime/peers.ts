/**
 * Request and reply between incarnations, over a bus that loses, doubles, delays and reorders messages. It relies on the bus only for
 * reaching a peer at all, and on the members' common clock for deadlines; it promises to the one who asks that each ask ends exactly once
 * and in bounded time (`peers-calls.ts`), and to the one who is asked that no request is decided twice (`peers-answers.ts`). What
 * either side holds for a peer is bounded, and a peer that is gone is forgotten.
 *
 * All that is said to a peer in one turn of the event loop goes out as one message (`peers-outbox.ts`); its form is in
 * `peers-protocol.ts`. One instance belongs to one incarnation: a node that was fenced makes another.
 */
import type { ActorRef } from './actor.ts';
import type { Bus } from './bus.ts';
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import type { ShardOwner } from './members.ts';
import { type AnswerLimits, createAnswerStats, PeerAnswers } from './peers-answers.ts';
import { type Ask, type CallLimits, createCallStats, PeerCalls } from './peers-calls.ts';
import { Outbox } from './peers-outbox.ts';
import { decodeMessage, encodeSign, type PeerItem, type PeerRequest } from './peers-protocol.ts';
import type { Serve, Service } from './remote.ts';
import { shardOf } from './shard.ts';

export interface PeerLimits extends CallLimits, AnswerLimits {
  /** A message to a peer is at most this long; a longer one that comes in is not read. */
  readonly messageBytes: number;
  /** Bytes to one peer that the bus has not confirmed; what is over is dropped. */
  readonly unsentBytes: number;
  /** Peers known at once. */
  readonly peers: number;
  /** What is under way ends where the bus is away for this long. */
  readonly awayMs: number;
  /** Period of the sweep over what is open. */
  readonly tickMs: number;
  /** A peer that has nothing open is forgotten after this. */
  readonly idleMs: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_PEER_LIMITS: PeerLimits = Object.freeze({
  requestsUnderWay: 4_096,
  bytesUnderWay: 8 * MIB,
  requestsWaiting: 8_192,
  bytesWaiting: 8 * MIB,
  attemptMs: 500,
  attemptMaxMs: 1_000,
  marginMs: 1_500,
  silentMs: 4_000,
  pingMs: 250,

  requestsServed: 8_192,
  idsKept: 65_536,
  bytesKept: 16 * MIB,
  keptPastDeadlineMs: 3_000,
  deadlineMaxMs: 120_000,

  messageBytes: MIB,
  unsentBytes: 32 * MIB,
  peers: 1_024,
  awayMs: 1_500,
  tickMs: 50,
  idleMs: 30_000,
});

export interface PeersOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly incarnation: string;
  /** Whether the shard is this member's, and who has it otherwise. */
  readonly owns: (shard: number) => boolean;
  readonly ownerOf: (shard: number) => ShardOwner | null;
  readonly services?: Readonly<Record<string, Service>>;
  readonly limits?: Partial<PeerLimits>;
}

interface Peer {
  readonly calls: PeerCalls;
  readonly answers: PeerAnswers;
  readonly outbox: Outbox;
  /** Monotonic; when something was last open. */
  busyAt: number;
}

export class Peers {
  readonly limits: PeerLimits;
  readonly calls = createCallStats();
  readonly answers = createAnswerStats();
  /** Messages and items that were not of the form, and messages of peers beyond the limit. */
  readonly messages = { received: 0, receivedBytes: 0, unreadable: 0, unreadableItems: 0, strangers: 0 };
  readonly #options: PeersOptions;
  readonly #clock: Clock;
  readonly #peers = new Map<string, Peer>();
  /** Of all requests of this incarnation, to whomever: none is ever used again, though its peer was forgotten meanwhile. */
  #lastId = 0;
  #toFlush: Peer[] = [];
  #flushing = false;
  #serve: Serve | null = null;
  #deaf: (() => void) | null = null;
  readonly #unwatch: () => void;
  #tick: { cancel(): void } | null = null;
  /** Monotonic; null while the bus is there. */
  #awaySince: number | null;
  #sweptAt = 0;
  #closed = false;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.limits = Object.freeze({ ...DEFAULT_PEER_LIMITS, ...options.limits });
    this.#awaySince = options.bus.connected ? null : this.#clock.monotonic();
    this.#unwatch = options.bus.onConnection((connected) => this.#connection(connected));
  }

  /** Resolves when requests and answers are heard. */
  async listen(serve: Serve): Promise<void> {
    this.#serve = serve;
    const { bus, incarnation } = this.#options;
    const deaf = await bus.receive(incarnation, (message) => this.receive(message));
    if (this.#closed) deaf();
    else this.#deaf = deaf;
  }

  /** Asks the incarnation. Never throws; `done` may be called before this returns. */
  ask(incarnation: string, ask: Ask): void {
    const fault = this.#refusal(incarnation);
    if (fault !== null) {
      ask.done({ kind: 'refused', fault });
      return;
    }
    this.#peer(incarnation).calls.ask(ask);
    this.#arm();
  }

  hurry(shards: ReadonlySet<number>, withinMs: number): void {
    for (const peer of this.#peers.values()) peer.calls.hurry(shards, withinMs);
  }

  /** A message for this incarnation, from whomever. */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    const message = bytes.length > this.limits.messageBytes ? null : decodeMessage(bytes);
    if (message === null) {
      this.messages.unreadable++;
      return;
    }
    this.messages.received++;
    this.messages.receivedBytes += bytes.length;
    this.messages.unreadableItems += message.unreadable;
    if (!this.#peers.has(message.from) && this.#peers.size >= this.limits.peers) {
      this.messages.strangers++;
      return;
    }
    const peer = this.#peer(message.from);
    peer.calls.heard();
    peer.answers.raiseFloor(message.floor);
    for (const item of message.items) this.#item(peer, item);
    this.#arm();
  }

  /** Ends all asks; nothing is heard or said any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deaf?.();
    this.#unwatch();
    this.#tick?.cancel();
    const fault = new Fault('shard_unavailable', 'this member is going away', { retryAfterMs: 1000 });
    for (const peer of this.#peers.values()) peer.calls.endAll(fault);
    this.#peers.clear();
  }

  get stats(): Readonly<Record<string, number>> {
    let open = 0;
    let idsKept = 0;
    let bytesKept = 0;
    for (const { calls, answers } of this.#peers.values()) {
      open += calls.size;
      idsKept += answers.known;
      bytesKept += answers.bytesKept;
    }
    return {
      ...prefixed('asks_', this.calls),
      ...prefixed('answers_', this.answers),
      ...prefixed('messages_', this.messages),
      peers: this.#peers.size,
      open,
      idsKept,
      bytesKept,
    };
  }

  #refusal(incarnation: string): Fault | null {
    if (this.#closed || !this.#options.bus.connected) {
      return new Fault('shard_unavailable', 'the other members cannot be reached', { retryAfterMs: 1000 });
    }
    if (!this.#peers.has(incarnation) && this.#peers.size >= this.limits.peers) {
      return new Fault('overloaded', 'too many members are talked to', { retryAfterMs: 1000 });
    }
    return null;
  }

  #peer(incarnation: string): Peer {
    let peer = this.#peers.get(incarnation);
    if (peer !== undefined) return peer;
    const { bus, incarnation: from } = this.#options;
    const outbox = new Outbox({
      bus,
      from,
      to: incarnation,
      messageBytes: this.limits.messageBytes,
      unsentBytes: this.limits.unsentBytes,
      floor: () => calls.floor,
      wake: () => this.#flushLater(made),
    });
    const calls = new PeerCalls(this.#clock, this.limits, outbox, this.calls, () => ++this.#lastId);
    const host = {
      answer: (request: PeerRequest, deadline: number) => this.#answer(request, deadline),
      elsewhere: ({ ref }: PeerRequest) => this.#elsewhere(ref),
    };
    const answers = new PeerAnswers(this.#clock, this.limits, outbox, host, this.answers);
    const made: Peer = { calls, answers, outbox, busyAt: this.#clock.monotonic() };
    peer = made;
    this.#peers.set(incarnation, peer);
    return peer;
  }

  #item(peer: Peer, item: PeerItem): void {
    switch (item.kind) {
      case 'command':
      case 'service':
        peer.answers.take(item);
        return;
      case 'value':
      case 'fault':
      case 'moved':
        peer.calls.answered(item);
        return;
      case 'ping':
        peer.outbox.push(encodeSign({ kind: 'working', id: 0 }), null);
        return;
      case 'working':
        // That it was heard is all it says.
        return;
    }
  }

  async #answer(request: PeerRequest, deadline: number): Promise<unknown> {
    const { ref } = request;
    if (request.kind === 'command') {
      if (this.#serve === null) throw new Fault('shard_unavailable', 'this member is not ready yet');
      const { command, key, render, repeatable } = request;
      return this.#serve({ ref, command, key, render, repeatable, deadline });
    }
    if (!this.#options.owns(shardOf(ref.type, ref.id))) throw new Fault('moved', "the shard is another member's");
    const service = this.#options.services?.[request.service];
    if (service === undefined) {
      throw new Fault('internal', `no service is named ${request.service}`, { retryable: false });
    }
    return service(ref, request.input);
  }

  #elsewhere(ref: ActorRef): ShardOwner | null {
    const owner = this.#options.ownerOf(shardOf(ref.type, ref.id));
    return owner?.incarnation === this.#options.incarnation ? null : owner;
  }

  #flushLater(peer: Peer): void {
    this.#toFlush.push(peer);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#clock.schedule(() => {
      this.#flushing = false;
      const peers = this.#toFlush;
      this.#toFlush = [];
      for (const one of peers) one.outbox.flush();
    });
  }

  #connection(connected: boolean): void {
    if (this.#closed) return;
    if (!connected) {
      this.#awaySince ??= this.#clock.monotonic();
      return;
    }
    this.#awaySince = null;
    for (const peer of this.#peers.values()) peer.calls.repeat();
  }

  #arm(): void {
    if (this.#tick !== null || this.#closed || this.#peers.size === 0) return;
    this.#sweptAt = this.#clock.monotonic();
    this.#tick = this.#clock.setTimeout(() => {
      this.#tick = null;
      this.#sweep();
      this.#arm();
    }, this.limits.tickMs);
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    const { awayMs, idleMs, silentMs, tickMs } = this.limits;
    const stoodStill = now - this.#sweptAt > tickMs + silentMs / 4;
    this.#sweptAt = now;
    const away = this.#awaySince !== null && now - this.#awaySince >= awayMs;
    for (const [incarnation, peer] of this.#peers) {
      const { calls, answers, outbox } = peer;
      if (away && calls.size > 0) {
        calls.endAll(new Fault('shard_unavailable', 'the other members cannot be reached', { retryAfterMs: 1000 }));
      }
      if (stoodStill) calls.heard();
      calls.sweep();
      answers.sweep();
      if (calls.size > 0 || !answers.idle || !outbox.idle) peer.busyAt = now;
      else if (now - peer.busyAt >= idleMs) this.#peers.delete(incarnation);
    }
  }
}

function prefixed(prefix: string, counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [prefix + name, count]));
}
