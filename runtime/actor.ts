/**
 * What an actor type is: a value with pure functions, no base class. The runtime owns mailbox, journal, gate, timers and
 * effects; an actor type only says what a command means (`decide`) and what an event changes (`apply`).
 *
 * State may be changed in place by `apply` (a batch that fails evicts the actor, nothing is rolled back); `decide` must
 * not change it.
 */

export interface ActorRef {
  readonly type: string;
  readonly id: string;
}

/** An idempotency key of a caller: `hash` names it (22 characters), `fingerprint` identifies the request it came with. */
export interface KeyRef {
  readonly hash: string;
  readonly fingerprint: string;
}

export interface DecideContext {
  /** Milliseconds since the epoch by the database's clock; never goes backwards for one actor. */
  readonly now: number;
  /** Sequence of the actor's last decided event (0: none yet). The first event of this decision gets `seq + 1`. */
  readonly seq: number;
  /** The key this command came with, if any. */
  readonly key: KeyRef | undefined;
  /**
   * The version in which this decision's events are written: the newest that every living member reads. Below the type's own while
   * members of an earlier release live: what cannot be said in it (`ActorType.downgrade`) is not to be decided yet.
   */
  readonly version: number;
  /** A new id, `<prefix>_<uuid v7>`. */
  newId(prefix: string): string;
}

/**
 * Something outside the actor that must happen because of its state. Effects are a function of the state
 * (`ActorType.pending`): the runtime issues each pending id after the events it rests on are committed, again after a
 * crash or a time-out under the same id, until the outcome has come back and an event made it pending no longer.
 * - `send`: a command to another actor; its reply is the outcome.
 * - `call`: a handler of the composition root (a payment, a price); its result is the outcome.
 */
export type Effect =
  | { readonly id: string; readonly kind: 'send'; readonly to: ActorRef; readonly command: unknown }
  | { readonly id: string; readonly kind: 'call'; readonly handler: string; readonly input: unknown };

/** Commands that the runtime itself sends to an actor. */
export type RuntimeCommand =
  | { readonly kind: '$wake' }
  | { readonly kind: '$outcome'; readonly effectId: string; readonly outcome: unknown };

export interface OutboxAdd {
  /** Unique for ever; a second add of the same id is ignored. */
  readonly id: string;
  readonly job: string;
  /** Ids only, never personal data. */
  readonly doc: Readonly<Record<string, unknown>>;
}

/** A row of the read side; written only over a lower version of the same key. `doc: null` deletes the row. */
export interface Projection {
  readonly table: string;
  readonly key: string;
  readonly version: number;
  readonly doc: Readonly<Record<string, unknown>> | null;
}

export interface Settlement<Reply> {
  /** Callers parked under this token get the reply. */
  readonly token: string;
  /** Where given, the answer is recorded under this key in the same append, whether or not a caller still waits. */
  readonly key?: KeyRef | undefined;
  readonly reply: Reply;
}

/**
 * What a command comes to. Exactly one of `reply`, `park` and `defer` is given for a caller's command; commands of the
 * runtime need none.
 * - `reply`: the answer, sent when `events` (and all before them) are committed.
 * - `park`: the caller waits under this token until a later decision settles it. Parked callers are memory only.
 * - `defer`: nothing is decided yet; the command is decided again after the actor's next decision with events. No events may be given.
 */
export interface Decision<Event, Reply> {
  readonly events?: readonly Event[];
  readonly reply?: Reply;
  readonly park?: string;
  readonly defer?: true;
  readonly settle?: readonly Settlement<Reply>[];
  /** Effects of the committed state that wait for their next try are tried again now: somebody has said that it is worth it. */
  readonly hasten?: true;
  readonly outboxAdd?: readonly OutboxAdd[];
  readonly outboxClose?: readonly string[];
  readonly consult?: Consultation<Event, Reply>;
}

/**
 * The first message that a decision would send, and what is decided in its place where the receiver can be asked at once and both become
 * durable together (`carry.ts`): one row, where asking, waiting and taking the answer are two. Only for calls without a key.
 */
export interface Consultation<Event, Reply> {
  readonly to: ActorRef;
  readonly command: unknown;
  /**
   * @param reply what the receiver has decided. Where it has changed something for the sender, what this returns must have events.
   * @returns null: it stays with the decision that consults. The context of `decide` is another turn's by now.
   */
  instead(reply: unknown): Decision<Event, Reply> | null;
}

export interface ActorType<State, Command, Event, Reply> {
  readonly type: string;
  /** Version written with each event; `apply` reads this and every earlier one. */
  readonly eventVersion: number;
  initial(id: string): State;
  /** Synchronous and pure: reads state, changes nothing, takes time and ids from `ctx`. */
  decide(state: State, command: Command | RuntimeCommand, ctx: DecideContext): Decision<Event, Reply>;
  /** Total over every event version ever written; throws on an unknown event (the actor is then quarantined). */
  apply(state: State, event: Event, version: number, seq: number): State;
  /**
   * The event as `version`, which is below the type's own, would have it; null where that version has nothing like it. What this
   * returns is stored, and applied here too, so that the state in memory is the one that every member reads. A decision
   * with an event that cannot be had in the version needed is not taken: its caller hears `rejected`. A type without this has a
   * `null` for every event: after its version was raised it takes no writes until the last member of the earlier release is gone.
   */
  downgrade?(event: Event, version: number): unknown;
  /**
   * A value that msgpack can carry; must not share mutable parts with the state. Not asked for while members live that read only an
   * earlier version: a snapshot is nothing but a shorter way to a state, so for that time the events alone must do, and
   * no type has to say its state in the shape of an earlier release.
   */
  snapshot(state: State): unknown;
  restore(id: string, data: unknown): State;
  /** Effects that this state still waits for; usually an empty constant. */
  pending?(state: State): readonly Effect[];
  /** When the actor next has something due by itself, in milliseconds since the epoch; null: never. */
  wakeAt?(state: State): number | null;
  /** Bounds of idempotency keys where the system's (`limits.keysPerActor`, `limits.keyedPerMinute`) do not fit; `none`: unbounded. */
  readonly keyLimit?: 'none' | { readonly kept: number; readonly perMinute: number };
  /**
   * True where other actors' messages may be decided in the batch of their sender (`carry.ts`): no command of another actor is ever parked
   * or deferred, and none settles a caller.
   */
  readonly carried?: true;
  /** Rows of the read side after a decision; `seq` is the sequence of its last event. */
  project?(id: string, state: State, events: readonly Event[], seq: number): readonly Projection[];
}

/** An actor type of which only the runtime's side is known. */
// biome-ignore lint/suspicious/noExplicitAny: the registry holds types of many states; each is used only with its own
export type AnyActorType = ActorType<any, any, any, any>;

/**
 * Turns replies into what the edge sends, on the node that owns the actor. `render` is called synchronously after the
 * decision was applied and must take what it needs from `state` before it first awaits; it may finish later (pricing).
 */
export interface Rendered {
  readonly value: unknown;
  /** The bytes to keep under the caller's key; absent where this answer is not recorded. */
  readonly recorded?: Uint8Array;
}
export interface RenderContext {
  readonly seq: number;
  readonly now: number;
  /** True where the answer may be recorded: the bytes are wanted. */
  readonly keyed: boolean;
}
export interface Responder<State = unknown, Reply = unknown> {
  render(ref: ActorRef, state: State, reply: Reply, ctx: RenderContext): Rendered | Promise<Rendered>;
  /** The value for an answer recorded earlier. */
  replay(ref: ActorRef, recorded: Uint8Array): unknown;
}

/** Handler of `call` effects. It must be safe to repeat under the same id. A throw means: no definite outcome yet, try again. */
export type EffectHandler = (input: unknown, effectId: string, from: ActorRef) => Promise<unknown>;
