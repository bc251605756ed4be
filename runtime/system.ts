/**
 * The actor system's public face: ask an actor, watch commits, start and drain; and the wiring of its parts.
 *
 * The way of a command: `ask` or `serve` takes it in (`intake.ts`), the actor is found or brought in (`residents.ts`,
 * `activation.ts`), its turn decides (`turn.ts`) and leaves an entry on the shard's lane (`lane.ts`), and when that has
 * committed (`batch-end.ts`), the gate (`gate.ts`) lets out everything that waited for it: answers, read rows, effects
 * (`effects.ts`). Shards of other members are behind `forwarding.ts`, those on their way to one in `handoff.ts`.
 */
import type { ActorRef, AnyActorType, EffectHandler, KeyRef, Responder } from './actor.ts';
import { BatchEnds } from './batch-end.ts';
import { Call } from './call.ts';
import type { Entry, Kind } from './cell.ts';
import type { Clock } from './clock.ts';
import { Effects } from './effects.ts';
import { Fault } from './fault.ts';
import { Forwarding } from './forwarding.ts';
import { Gate } from './gate.ts';
import { Handoff } from './handoff.ts';
import { Answers } from './idempotency.ts';
import { type ActorSummary, summaryOf } from './inspect.ts';
import { Intake } from './intake.ts';
import type { Journal, ProjectionRow } from './journal.ts';
import { Lane } from './lane.ts';
import { type Limits, limitsWith } from './limits.ts';
import type { Membership } from './members.ts';
import { createStats, type Stats } from './metrics.ts';
import type { QuarantinedActor } from './quarantine.ts';
import type { Remote } from './remote.ts';
import { Residents } from './residents.ts';
import { laneOf } from './shard.ts';
import type { Stages } from './stages.ts';
import { Timers } from './timers.ts';
import { Turns } from './turn.ts';

export interface AskOptions {
  /** Under this key the answer is recorded and repeated. */
  readonly key?: KeyRef | undefined;
  /** How long the caller waits for a decision and its commit. Default `limits.askTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** True: the answer is what the type's responder renders; false (default): the actor's bare reply. */
  readonly render?: boolean;
  /** The id was made just now by this process and cannot have a history: skip loading. */
  readonly fresh?: boolean;
  /** Deciding the command twice does no harm (it only reads): where another member has the shard, it may be asked again. A keyed one always is. */
  readonly repeatable?: boolean;
}

/** A call that came from another member. */
export interface PeerCall {
  readonly ref: ActorRef;
  readonly command: unknown;
  readonly key?: KeyRef | undefined;
  readonly render: boolean;
  /** On this node's monotonic clock. */
  readonly deadline: number;
  /** As said by the sender (`ForwardedCall.repeatable`). */
  readonly repeatable: boolean;
}

export interface ActorSystem {
  /** Resolves with the reply (or the rendered value) once everything it rests on is durable. Rejects with a `Fault`. */
  ask(ref: ActorRef, command: unknown, options?: AskOptions): Promise<unknown>;
  /** As `ask`, with one of its two ends called, once, in place of a promise. Neither may throw. */
  submit(
    ref: ActorRef,
    command: unknown,
    options: AskOptions,
    done: (value: unknown) => void,
    failed: (error: unknown) => void,
  ): void;
  /**
   * As `ask`, for a call that came from another member: it is decided here or not at all. Rejects with the fault `moved` where this
   * member does not have the shard: nothing of the call took effect then, or (where it was `repeatable`) it may be decided once more.
   */
  serve(call: PeerCall): Promise<unknown>;
  /**
   * Gives shards to the living member of incarnation `to`, those of one lane together (`handoff.ts`). Resolves with the shards
   * that went; the others are still this member's. Past `timeoutMs` nothing new is tried; what was sent is waited for.
   */
  give(shards: readonly number[], to: string, timeoutMs: number): Promise<readonly number[]>;
  /** To be called after the membership owns other shards than before: what is due in those that came is looked for at once. */
  moved(shards: readonly number[]): void;
  /** Rows of the read side, right after their commit, in order per key. */
  onProjection(listener: (row: ProjectionRow) => void): void;
  start(): Promise<void>;
  /** Refuses new commands with `draining`, waits until all accepted ones are answered and all lanes are empty. Bounded by the time-out; then stopped. */
  drain(timeoutMs: number): Promise<void>;
  /** Another has taken over this member's place: as `stop`, and whoever waits hears `shard_unavailable`. An append that finds it out does the same. */
  fence(): void;
  /** Ends at once: open calls are failed, nothing more is written or said. What is in flight may still commit, as at a crash. */
  stop(): void;
  /** An actor in memory, or null. */
  inspect(ref: ActorRef): ActorSummary | null;
  quarantined(): readonly QuarantinedActor[];
  /** Takes all idle actors out of memory (for tests). Returns how many went. */
  evictAll(): number;
  readonly stats: Readonly<Record<string, number>>;
}

export interface ActorSystemOptions {
  readonly types: readonly AnyActorType[];
  readonly journal: Journal;
  readonly clock: Clock;
  readonly membership: Membership;
  /** The way to the other members. Default: none, and what is not this member's is refused with `shard_unavailable`. */
  readonly remote?: Remote;
  // biome-ignore lint/suspicious/noExplicitAny: responders of many types, each used only with its own
  readonly responders?: Readonly<Record<string, Responder<any, any>>>;
  readonly handlers?: Readonly<Record<string, EffectHandler>>;
  readonly limits?: Partial<Limits>;
  /** Where the random part of new ids comes from. Default: the platform's cryptographic source; the simulator hands in a seeded one. */
  readonly random?: { nextUint32(): number };
  /** Follows a sample of the commands through their stages. */
  readonly stages?: Stages | undefined;
  /** Told of what an operator should know (quarantine, failed batches, fencing); must not throw. */
  readonly report?: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

export function createActorSystem(options: ActorSystemOptions): ActorSystem {
  return new System(options);
}

class System implements ActorSystem {
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #membership: Membership;
  readonly #stats: Stats = createStats();
  readonly #stages: Stages | null;
  readonly #report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
  readonly #kinds = new Map<string, Kind>();
  readonly #lanes: Lane[] = [];
  readonly #gate: Gate;
  readonly #answers: Answers;
  readonly #effects: Effects;
  readonly #timers: Timers;
  readonly #turns: Turns;
  readonly #residents: Residents;
  readonly #handoff: Handoff;
  readonly #intake: Intake;
  readonly #listeners: ((row: ProjectionRow) => void)[] = [];
  #tick: { cancel(): void } | null = null;
  #drained: (() => void) | null = null;

  constructor(options: ActorSystemOptions) {
    const { journal, clock, membership } = options;
    const stages = options.stages ?? null;
    this.#stages = stages;
    const limits = limitsWith(options.limits);
    const stats = this.#stats;
    const report = options.report ?? (() => {});
    this.#clock = clock;
    this.#limits = limits;
    this.#membership = membership;
    this.#report = report;
    for (const definition of options.types) {
      if (this.#kinds.has(definition.type)) throw new Error(`two actor types are named ${definition.type}`);
      const responder = options.responders?.[definition.type];
      this.#kinds.set(definition.type, { definition, responder, cells: new Map() });
    }
    const lane = (shard: number): Lane => this.#lanes[laneOf(shard, journal.lanes)] as Lane;
    this.#gate = new Gate({
      clock,
      limits,
      membership,
      stats,
      replay: (call) => this.#answers.replay(call),
      onQuiet: () => this.#quiet(),
    });
    const home = (call: Call): void => clock.schedule(() => this.#intake.again(call));
    const forwarding = new Forwarding({ remote: options.remote, gate: this.#gate, stats, home });
    this.#answers = new Answers({
      journal,
      limits,
      stats,
      responder: (type) => this.#kinds.get(type)?.responder,
      answer: (call, value) => this.#gate.answer(call, value),
      fail: (call, fault) => this.#gate.fail(call, fault),
    });
    this.#effects = new Effects(options.handlers ?? {}, clock, limits, stats, {
      submit: (call) => this.#intake.submit(call, false),
      report,
    });
    this.#timers = new Timers(journal, clock, limits, membership, {
      wake: (ref) => this.#intake.wake(ref),
      resident: (ref) => this.#kinds.get(ref.type)?.cells.get(ref.id),
      report,
    });
    this.#turns = new Turns({
      clock,
      limits,
      stats,
      membership,
      gate: this.#gate,
      timers: this.#timers,
      lane,
      hasten: (cell) => this.#effects.hasten(cell),
      evict: (cell) => this.#residents.evict(cell, null),
      reach: (to, sender) => this.#intake.reach(to, sender),
      random: options.random,
      stages,
      report,
    });
    this.#residents = new Residents({
      journal,
      clock,
      limits,
      stats,
      membership,
      gate: this.#gate,
      timers: this.#timers,
      effects: this.#effects,
      lane,
      run: (cell) => this.#turns.run(cell),
      report,
    });
    this.#handoff = new Handoff({
      journal,
      membership,
      clock,
      limits,
      stats,
      gate: this.#gate,
      residents: this.#residents,
      kinds: this.#kinds,
      lane,
      run: (cell) => this.#turns.run(cell),
      again: (call) => this.#intake.again(call),
      resumed: (shards) => this.#timers.arrived(shards),
      gone: () => this.#answers.forget(),
      report,
    });
    this.#intake = new Intake({
      lanes: journal.lanes,
      limits,
      stats,
      membership,
      kinds: this.#kinds,
      gate: this.#gate,
      forwarding,
      handoff: this.#handoff,
      residents: this.#residents,
      turns: this.#turns,
      effects: this.#effects,
    });
    const ends = new BatchEnds({
      gate: this.#gate,
      answers: this.#answers,
      effects: this.#effects,
      residents: this.#residents,
      handoff: this.#handoff,
      stats,
      stages,
      listeners: this.#listeners,
      report,
    });
    const host = {
      sending: (part: readonly Entry[], at: number) => ends.sending(part, at),
      committed: (part: readonly Entry[]) => ends.committed(part),
      failed: (part: readonly Entry[], fault: Fault) => ends.failed(part, fault),
      dropped: (entry: Entry) => ends.dropped(entry),
      fenced: () => this.#fenced(),
      idle: () => this.#quiet(),
      report,
    };
    for (let i = 0; i < journal.lanes; i++) this.#lanes.push(new Lane(i, journal, clock, limits, stats, host));
  }

  ask(ref: ActorRef, command: unknown, options: AskOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => this.submit(ref, command, options, resolve, reject));
  }

  submit(
    ref: ActorRef,
    command: unknown,
    options: AskOptions,
    done: (value: unknown) => void,
    failed: (error: unknown) => void,
  ): void {
    this.#stats.asks++;
    const deadline = this.#clock.monotonic() + (options.timeoutMs ?? this.#limits.askTimeoutMs);
    const call = new Call(ref, command, 'caller', deadline, done, failed, options.key, options.render === true);
    if (options.repeatable === true) call.repeatable = true;
    if (this.#stages?.handling) this.#stages.asked(call);
    this.#intake.submit(call, options.fresh === true);
  }

  serve({ ref, command, key, render, deadline, repeatable }: PeerCall): Promise<unknown> {
    this.#stats.served++;
    return new Promise((resolve, reject) => {
      const call = new Call(ref, command, 'peer', deadline, resolve, reject, key, render);
      if (repeatable) call.repeatable = true;
      this.#intake.submit(call, false);
    });
  }

  give(shards: readonly number[], to: string, timeoutMs: number): Promise<readonly number[]> {
    if (this.#intake.phase === 'stopped' || this.#intake.phase === 'fenced') return Promise.resolve([]);
    return this.#handoff.give(shards, to, timeoutMs);
  }

  moved(shards: readonly number[]): void {
    const arrived = shards.filter((shard) => this.#membership.owns(shard));
    if (arrived.length < shards.length) this.#handoff.lost(shards.filter((shard) => !this.#membership.owns(shard)));
    if (arrived.length > 0) this.#timers.arrived(arrived);
  }

  onProjection(listener: (row: ProjectionRow) => void): void {
    this.#listeners.push(listener);
  }

  async start(): Promise<void> {
    if (this.#tick !== null) return;
    this.#timers.start();
    this.#arm();
  }

  drain(timeoutMs: number): Promise<void> {
    if (this.#intake.phase !== 'running') return Promise.resolve();
    this.#intake.phase = 'draining';
    return new Promise((resolve) => {
      const timer = this.#clock.setTimeout(() => {
        this.#report('drain_timed_out', { callers: this.#gate.calls.callers });
        this.#drained?.();
      }, timeoutMs);
      this.#drained = () => {
        this.#drained = null;
        timer.cancel();
        this.stop();
        resolve();
      };
      this.#quiet();
    });
  }

  stop(): void {
    if (this.#intake.phase === 'stopped' || this.#intake.phase === 'fenced') return;
    this.#intake.phase = 'stopped';
    this.#halt((call) =>
      call.stage === 'waiting'
        ? new Fault('draining', 'this node has stopped')
        : new Fault('outcome_unknown', 'this node has stopped'),
    );
    this.#drained?.();
  }

  fence(): void {
    this.#fenced();
  }

  inspect(ref: ActorRef): ActorSummary | null {
    const cell = this.#kinds.get(ref.type)?.cells.get(ref.id);
    return cell === undefined ? null : summaryOf(cell);
  }

  quarantined(): readonly QuarantinedActor[] {
    return this.#residents.quarantine.list();
  }

  evictAll(): number {
    return this.#residents.evictIdle(this.#kinds.values());
  }

  get stats(): Readonly<Record<string, number>> {
    const stats = this.#stats;
    stats.actorsInMemory = this.#residents.passivation.size;
    stats.commandsOpen = this.#gate.calls.callers;
    stats.laneQueue = this.#lanes.reduce((sum, lane) => sum + lane.queued, 0);
    stats.lanesBusy = this.#lanes.filter((lane) => !lane.quiet).length;
    stats.loadsWaiting = this.#residents.activation.waiting;
    stats.effectsOpen = this.#effects.open;
    stats.quarantined = this.#residents.quarantine.size;
    stats.handoffWaiting = this.#handoff.waiting;
    return stats;
  }

  #fenced(): void {
    if (this.#intake.phase === 'fenced' || this.#intake.phase === 'stopped') return;
    this.#intake.phase = 'fenced';
    this.#report('fenced', { incarnation: this.#membership.incarnation });
    this.#halt(() => new Fault('shard_unavailable', 'this node was fenced'));
    this.#drained?.();
  }

  /** Everything in memory is dropped, and everybody who waits is told. */
  #halt(faultFor: (call: Call) => Fault): void {
    this.#tick?.cancel();
    this.#timers.stop();
    this.#effects.stop();
    this.#handoff.stop();
    for (const lane of this.#lanes) lane.close();
    this.#residents.clear(this.#kinds.values());
    for (const call of this.#gate.calls.all()) this.#gate.fail(call, faultFor(call));
  }

  /** A drain is over when no caller waits and no lane has anything left. Sagas that nobody waits for go on after the restart. */
  #quiet(): void {
    if (this.#intake.phase !== 'draining' || this.#drained === null || this.#gate.calls.callers > 0) return;
    this.#timers.stop();
    this.#effects.stop();
    if (this.#lanes.every((lane) => lane.quiet)) this.#drained();
  }

  #arm(): void {
    this.#tick = this.#clock.setTimeout(() => {
      this.#gate.sweep();
      this.#turns.sweep();
      this.#handoff.poke();
      this.#effects.sweep();
      this.#timers.fire();
      this.#residents.passivation.sweep();
      if (this.#intake.phase === 'running' || this.#intake.phase === 'draining') this.#arm();
    }, this.#limits.tickMs);
  }
}
