/**
 * A small deterministic world for tests of actor types: it keeps states and journals in memory, carries messages between
 * actors, and loses, repeats, delays and reorders them as its seed says. It relies on nothing but the actor types' pure
 * functions; one seed gives one history. Events and snapshots pass through msgpack as they do on their way to storage.
 */
import assert from 'node:assert/strict';
import { Packr } from 'msgpackr';
import type {
  ActorRef,
  AnyActorType,
  DecideContext,
  Decision,
  Effect,
  KeyRef,
  OutboxAdd,
  Projection,
} from '../runtime/actor.ts';

const packr = new Packr({ useRecords: false });

export function throughMsgpack<T>(value: T): T {
  return packr.unpack(packr.pack(value)) as T;
}

/** Mulberry32: small, seeded, good enough to choose with. */
export function randomOf(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** How long a caller waits; a command that was put off longer is not decided any more. */
const DEADLINE_MS = 10_000;

/** Someone who asked; `reply` is there once answered, `lost` where a crash or the deadline ended the wait. */
export interface Caller {
  readonly key: KeyRef | undefined;
  readonly askedAt: number;
  reply?: unknown;
  lost?: true;
}

interface Waiting {
  readonly command: unknown;
  readonly caller: Caller;
}

export interface WorldActor {
  readonly ref: ActorRef;
  readonly type: AnyActorType;
  state: unknown;
  seq: number;
  readonly journal: Uint8Array[];
  snapshot: { readonly seq: number; readonly bytes: Uint8Array } | null;
  readonly parked: Map<string, Caller[]>;
  deferred: Waiting[];
}

/** On its way: a command to an actor or a handler, or an outcome coming back. */
export type Flight =
  | { readonly kind: 'effect'; readonly from: ActorRef; readonly effect: Effect }
  | { readonly kind: 'outcome'; readonly to: ActorRef; readonly effectId: string; readonly outcome: unknown };

/** A handler of `call` effects; `undefined` means no definite outcome. */
export type Handler = (input: never, from: ActorRef) => unknown;

export class World {
  now = 1_700_000_000_000;
  readonly random: () => number;
  readonly actors = new Map<string, WorldActor>();
  readonly flights: Flight[] = [];
  /** Open outbox rows, and every id ever added. */
  readonly outbox = new Map<string, OutboxAdd>();
  readonly outboxEver = new Set<string>();
  /** Answers recorded under keys, by `type:id:hash`. */
  readonly answers = new Map<string, unknown>();
  readonly rows = new Map<string, Projection>();
  /** How likely it is that an actor can be asked within a decision (`Decision.consult`). */
  atHand = 0;
  readonly #types: ReadonlyMap<string, AnyActorType>;
  readonly #handlers: Readonly<Record<string, Handler>>;
  readonly #records: (ref: ActorRef, reply: unknown) => boolean;
  #ids = 0;

  constructor(
    seed: number,
    types: readonly AnyActorType[],
    handlers: Readonly<Record<string, Handler>> = {},
    records: (ref: ActorRef, reply: unknown) => boolean = () => false,
  ) {
    this.random = randomOf(seed);
    this.#types = new Map(types.map((type) => [type.type, type]));
    this.#handlers = handlers;
    this.#records = records;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.random() * items.length)];
    assert(item !== undefined, 'nothing to pick from');
    return item;
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  actor(ref: ActorRef): WorldActor {
    const name = `${ref.type}:${ref.id}`;
    let actor = this.actors.get(name);
    if (actor === undefined) {
      const type = this.#types.get(ref.type);
      assert(type !== undefined, `no actor type ${ref.type}`);
      const state = type.initial(ref.id);
      actor = { ref, type, state, seq: 0, journal: [], snapshot: null, parked: new Map(), deferred: [] };
      this.actors.set(name, actor);
    }
    return actor;
  }

  /** Asks as the edge does: a recorded answer is repeated, the command is not decided again. */
  ask(ref: ActorRef, command: unknown, key?: KeyRef): Caller {
    const caller: Caller = { key, askedAt: this.now };
    this.#decide(this.actor(ref), { command, caller });
    return caller;
  }

  #context(actor: WorldActor, key: KeyRef | undefined): DecideContext {
    return {
      now: this.now,
      seq: actor.seq,
      key,
      version: actor.type.eventVersion,
      newId: (prefix) => `${prefix}_${String(++this.#ids).padStart(6, '0')}`,
    };
  }

  #record(actor: WorldActor, key: KeyRef | undefined, reply: unknown): void {
    if (key === undefined || !this.#records(actor.ref, reply)) return;
    const name = `${actor.ref.type}:${actor.ref.id}:${key.hash}`;
    assert(!this.answers.has(name), `two answers under ${name}`);
    this.answers.set(name, reply);
  }

  #decide(actor: WorldActor, { command, caller }: Waiting): void {
    // Also before a deferred command is decided again: its twin may have been answered meanwhile.
    const recorded = this.answers.get(`${actor.ref.type}:${actor.ref.id}:${caller.key?.hash}`);
    if (recorded !== undefined) {
      caller.reply = recorded;
      return;
    }
    const decision = this.#consulted(
      actor.type.decide(actor.state, command, this.#context(actor, caller.key)),
      caller.key,
    );
    const events = decision.events ?? [];
    if (decision.defer) {
      assert.equal(events.length, 0, 'a deferred command wrote events');
      actor.deferred.push({ command, caller });
      return;
    }
    for (const event of events) {
      actor.journal.push(packr.pack(event));
      actor.state = actor.type.apply(actor.state, event, actor.type.eventVersion, ++actor.seq);
    }
    this.#write(actor, decision, events);
    for (const { token, key, reply } of decision.settle ?? []) {
      this.#record(actor, key, reply);
      for (const waiting of actor.parked.get(token) ?? []) waiting.reply = reply;
      actor.parked.delete(token);
    }
    if (decision.park !== undefined) {
      const parked = actor.parked.get(decision.park) ?? [];
      actor.parked.set(decision.park, [...parked, caller]);
    } else if (decision.reply !== undefined) {
      this.#record(actor, caller.key, decision.reply);
      caller.reply = decision.reply;
    }
    if (events.length === 0) return;
    const deferred = actor.deferred;
    actor.deferred = [];
    for (const waiting of deferred) this.#decide(actor, waiting);
  }

  /** What is decided where the other actor is asked at once: both are written, as nothing can come between them here. */
  #consulted(decision: Decision<unknown, unknown>, key: KeyRef | undefined): Decision<unknown, unknown> {
    const { consult } = decision;
    if (consult === undefined || key !== undefined || this.atHand === 0 || !this.chance(this.atHand)) return decision;
    const { reply } = this.ask(consult.to, structuredClone(consult.command));
    assert(reply !== undefined, 'one who is consulted answers at once');
    return consult.instead(structuredClone(reply)) ?? decision;
  }

  #write(actor: WorldActor, decision: Decision<unknown, unknown>, events: readonly unknown[]): void {
    for (const row of decision.outboxAdd ?? []) {
      if (!this.outboxEver.has(row.id)) this.outbox.set(row.id, row);
      this.outboxEver.add(row.id);
    }
    for (const id of decision.outboxClose ?? []) this.outbox.delete(id);
    if (events.length === 0) return;
    for (const row of actor.type.project?.(actor.ref.id, actor.state, events, actor.seq) ?? []) {
      const old = this.rows.get(`${row.table}:${row.key}`);
      assert(old === undefined || old.version < row.version, 'a row went back');
      this.rows.set(`${row.table}:${row.key}`, throughMsgpack(row));
    }
  }

  pendingOf(actor: WorldActor): readonly Effect[] {
    return actor.type.pending?.(actor.state) ?? [];
  }

  /** Puts one pending effect on its way, whether or not it is already. */
  issue(actor: WorldActor, effect: Effect): void {
    this.flights.push({ kind: 'effect', from: actor.ref, effect: structuredClone(effect) });
  }

  /** Lets one arrive. Its answer sets out on the way back. */
  arrive(flight: Flight): void {
    if (flight.kind === 'outcome') {
      this.ask(flight.to, { kind: '$outcome', effectId: flight.effectId, outcome: structuredClone(flight.outcome) });
      return;
    }
    const { effect, from } = flight;
    let outcome: unknown;
    if (effect.kind === 'call') {
      const handler = this.#handlers[effect.handler];
      assert(handler !== undefined, `no handler ${effect.handler}`);
      outcome = handler(effect.input as never, from);
      if (outcome === undefined) return;
    } else {
      const caller = this.ask(effect.to, structuredClone(effect.command));
      assert(caller.reply !== undefined, `a message from ${from.type} was not answered at once`);
      outcome = caller.reply;
    }
    this.flights.push({ kind: 'outcome', to: from, effectId: effect.id, outcome: structuredClone(outcome) });
  }

  wake(actor: WorldActor): void {
    this.ask(actor.ref, { kind: '$wake' });
  }

  due(actor: WorldActor): number | null {
    return actor.type.wakeAt?.(actor.state) ?? null;
  }

  /** Lets time go by: callers give up, and actors with something due are woken. */
  pass(ms: number): void {
    this.now += ms;
    const over = (caller: Caller) => this.now - caller.askedAt > DEADLINE_MS;
    for (const actor of this.actors.values()) {
      const waiting = [...actor.parked.values()].flat().concat(actor.deferred.map(({ caller }) => caller));
      for (const caller of waiting) if (over(caller)) caller.lost = true;
      for (const [token, callers] of actor.parked)
        actor.parked.set(
          token,
          callers.filter((caller) => !over(caller)),
        );
      actor.deferred = actor.deferred.filter(({ caller }) => !over(caller));
    }
    this.wakeDue();
  }

  wakeDue(): void {
    for (const actor of [...this.actors.values()]) {
      const due = this.due(actor);
      if (due !== null && due <= this.now) this.wake(actor);
    }
  }

  /** What storage would give back: from the first event, or from the last snapshot on. */
  replay(actor: WorldActor, fromSnapshot: boolean): unknown {
    const { type, ref } = actor;
    const snapshot = fromSnapshot ? actor.snapshot : null;
    let state = snapshot === null ? type.initial(ref.id) : type.restore(ref.id, packr.unpack(snapshot.bytes));
    let seq = snapshot?.seq ?? 0;
    for (const payload of actor.journal.slice(seq)) {
      state = type.apply(state, packr.unpack(payload), type.eventVersion, ++seq);
    }
    return state;
  }

  eventsOf(actor: WorldActor): readonly unknown[] {
    return actor.journal.map((payload) => packr.unpack(payload) as unknown);
  }

  takeSnapshot(actor: WorldActor): void {
    actor.snapshot = { seq: actor.seq, bytes: packr.pack(actor.type.snapshot(actor.state)) };
  }

  /** The state is exactly what its journal says, by either way of loading it. */
  assertReplays(actor: WorldActor): void {
    const live = throughMsgpack(actor.type.snapshot(actor.state));
    for (const fromSnapshot of [false, true]) {
      const loaded = this.replay(actor, fromSnapshot);
      assert.deepEqual(throughMsgpack(actor.type.snapshot(loaded)), live);
      assert.deepEqual(throughMsgpack(actor.type.pending?.(loaded) ?? []), throughMsgpack(this.pendingOf(actor)));
      assert.equal(actor.type.wakeAt?.(loaded), actor.type.wakeAt?.(actor.state));
    }
  }

  /** The node that has the actor dies: what is on disk remains, whoever waited is forgotten. */
  crash(actor: WorldActor): void {
    this.assertReplays(actor);
    actor.state = this.replay(actor, this.chance(0.5));
    for (const callers of actor.parked.values()) for (const caller of callers) caller.lost = true;
    for (const { caller } of actor.deferred) caller.lost = true;
    actor.parked.clear();
    actor.deferred = [];
  }

  /** One thing that the network, the clock or a node may do. */
  disturb(): void {
    const dice = this.random();
    const busy = [...this.actors.values()].filter((actor) => this.pendingOf(actor).length > 0);
    if (dice < 0.4) {
      if (busy.length === 0) return;
      const actor = this.pick(busy);
      this.issue(actor, this.pick(this.pendingOf(actor)));
    } else if (dice < 0.85) {
      if (this.flights.length === 0) return;
      const index = Math.floor(this.random() * this.flights.length);
      const flight = this.flights[index];
      // One in five stays on the way and arrives again, much later perhaps.
      if (!this.chance(0.2)) this.flights.splice(index, 1);
      if (flight !== undefined) this.arrive(flight);
    } else if (dice < 0.9) {
      if (this.flights.length > 0) this.flights.splice(Math.floor(this.random() * this.flights.length), 1);
    } else if (dice < 0.95) {
      if (this.actors.size > 0) this.crash(this.pick([...this.actors.values()]));
    } else if (dice < 0.98) {
      if (this.actors.size > 0) this.takeSnapshot(this.pick([...this.actors.values()]));
    } else {
      this.pass(Math.floor(this.random() * 40_000));
    }
  }

  /** Lets everything that is on its way arrive and everything pending be answered, until no actor waits for anything. */
  rest(): void {
    for (let round = 0; round < 1_000; round++) {
      while (this.flights.length > 0) {
        const [flight] = this.flights.splice(Math.floor(this.random() * this.flights.length), 1);
        if (flight !== undefined) this.arrive(flight);
      }
      for (const actor of [...this.actors.values()]) {
        for (const effect of this.pendingOf(actor)) this.issue(actor, effect);
      }
      if (this.flights.length === 0) return;
    }
    assert.fail('the world does not come to rest');
  }
}
