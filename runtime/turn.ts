/**
 * An actor's turn: one command is decided, what it decided is applied, and one entry with all that must be durable for it
 * goes to the actor's lane; whoever waits for an answer is put behind that entry (or behind the actor's last one: a read
 * and a refusal rest on what they saw).
 *
 * The order within a turn matters. Everything that may turn the command away (deadline, key, lane) comes before `apply`;
 * events are encoded before they are applied, since `apply` may take parts of an event into the state and change them
 * there; a keyed answer is rendered before its entry is enqueued, and the actor takes no other turn meanwhile. Whatever
 * throws after `decide` was called leaves a state that cannot be trusted: the actor leaves memory, entries that it
 * enqueued before are sound and still commit, and it is loaded again behind them.
 */
import { V7Generator } from 'uuidv7';
import type { ActorRef, DecideContext, Decision, KeyRef } from './actor.ts';
import { Answering } from './answering.ts';
import type { Call } from './call.ts';
import { Carrier, type Consulted, join } from './carry.ts';
import type { Cell } from './cell.ts';
import type { Clock } from './clock.ts';
import { encodeEvent } from './codec.ts';
import { type Draft, Entries } from './entry.ts';
import { Fault, invariant } from './fault.ts';
import type { Gate } from './gate.ts';
import { renderFault } from './gate.ts';
import type { Lane } from './lane.ts';
import type { Limits } from './limits.ts';
import type { Membership } from './members.ts';
import type { Stats } from './metrics.ts';
import type { Stages } from './stages.ts';
import type { Timers } from './timers.ts';

export interface TurnsOptions {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly stats: Stats;
  readonly membership: Membership;
  readonly gate: Gate;
  readonly timers: Timers;
  readonly lane: (shard: number) => Lane;
  /** Tries again now what of the actor's effects waits for its next try. */
  readonly hasten: (cell: Cell) => void;
  /** Takes the cell out of memory because its state cannot be trusted. */
  readonly evict: (cell: Cell) => void;
  /** The actor, where a message of `sender` may be decided in the sender's batch; else null. */
  readonly reach: (to: ActorRef, sender: Cell) => Cell | null;
  /** See `ActorSystemOptions.random`. */
  readonly random: { nextUint32(): number } | undefined;
  /** Null: nothing is followed. */
  readonly stages: Stages | null;
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

const NONE: readonly never[] = [];

/** The one context that every `decide` gets, set anew for each turn: a decision must not keep it. */
class TurnContext implements DecideContext {
  now = 0;
  seq = 0;
  version = 0;
  key: KeyRef | undefined = undefined;
  readonly #ids: V7Generator;

  constructor(random: TurnsOptions['random']) {
    this.#ids = new V7Generator(random);
  }

  newId(prefix: string): string {
    return `${prefix}_${this.#ids.generateOrResetWithTs(this.now).toString()}`;
  }
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #context: TurnContext;
  readonly #entries: Entries;
  readonly #answering: Answering;
  readonly #carrier: Carrier;

  constructor(options: TurnsOptions) {
    this.#options = options;
    this.#context = new TurnContext(options.random);
    this.#entries = new Entries(options);
    this.#carrier = new Carrier({
      limits: options.limits,
      stats: options.stats,
      reach: options.reach,
      turn: (cell, call) => this.turn(cell, call),
      run: (cell) => this.run(cell),
    });
    this.#answering = new Answering({
      clock: options.clock,
      limits: options.limits,
      gate: options.gate,
      ready: (draft) => this.#resume(draft),
      failed: (draft, error) => this.#unrendered(draft, error),
    });
  }

  /** Fails keyed writes whose answers are not rendered in time. */
  sweep(): void {
    this.#answering.sweep();
  }

  /** Takes the actor's turns until its mailbox is empty, it has to wait, or others must be let in. */
  run(cell: Cell): void {
    for (let turns = 0; cell.status === 'active'; turns++) {
      if (turns >= this.#options.limits.turnsPerRun) {
        this.#options.clock.schedule(() => this.run(cell));
        return;
      }
      const call = cell.next();
      if (call === undefined) return;
      this.turn(cell, call);
    }
  }

  /** Decides one command of an `active` cell. */
  turn(cell: Cell, call: Call): void {
    const { clock, stats, gate, stages } = this.#options;
    const followed = stages !== null && stages.call === call;
    if (call.origin === 'wake') {
      if (cell.side !== null) cell.side.waking = false;
      cell.trim();
    }
    if (call.stage === 'answered') return;
    const started = clock.monotonic();
    if (started >= call.deadline) {
      gate.fail(call, new Fault('deadline_exceeded', 'not decided before the deadline'));
      return;
    }
    const now = Math.max(cell.now, clock.now());
    if (call.key !== undefined && this.#keyDecides(cell, call, call.key, now)) return;
    const lane = this.#options.lane(cell.shard);
    if (call.origin === 'wake') {
      const refusal = lane.refusal(started);
      if (refusal !== null) {
        gate.fail(call, refusal);
        return;
      }
    }

    if (followed) stages.mark('mailbox');
    cell.status = 'deciding';
    const { entry, storedDue } = cell;
    let draft: Draft | null = null;
    let hasten = false;
    let consulted: Consulted | null = null;
    try {
      let decision = this.#decide(cell, call, now);
      if (decision.consult !== undefined && call.key === undefined && lane.refusal(started) === null) {
        consulted = this.#carrier.consult(cell, decision.consult);
        if (consulted !== null) ({ decision } = consulted);
        this.#enter(cell, call, now);
      }
      const decided = clock.monotonic();
      stats.decideUs += (decided - started) * 1000;
      stats.turns++;
      if (followed) stages.mark('decide');
      if (decision.defer === true) {
        this.#defer(cell, call, decision);
        return;
      }
      // One that was asked for has its place beside what the other actor wrote.
      if (consulted === null && (mustWrite(decision, call) || cell.entry !== null)) {
        const refusal = lane.refusal(started);
        if (refusal !== null) {
          gate.fail(call, refusal);
          return;
        }
      }
      const events = this.#asWritten(cell, decision);
      if (events === null) {
        if (consulted !== null) consulted.unit.broken = true;
        gate.fail(call, notYet(cell));
        return;
      }
      cell.now = now;
      draft = this.#apply(cell, call, decision, events, now, consulted);
      stats.encodeUs += (clock.monotonic() - decided) * 1000;
      hasten = decision.hasten === true;
      if (followed) stages.mark('encode');
      const plain = this.#answering.isPlain(draft);
      if (plain || this.#answer(draft)) this.#seal(draft, plain);
      else {
        cell.status = 'rendering';
        call.stage = 'rendering';
      }
    } catch (error) {
      if (consulted !== null) consulted.unit.broken = true;
      this.#broken(cell, call, draft, error);
    } finally {
      if (cell.status === 'deciding') cell.status = 'active';
    }
    if (cell.entry !== null && cell.entry !== entry && cell.entry.effects.length > 0 && cell.status === 'active') {
      this.#carrier.carry(cell, cell.entry, storedDue);
    }
    // Behind the turn: what it sets going may take turns of its own.
    if (consulted !== null && consulted.receiver.waiting > 0) this.run(consulted.receiver);
    if (hasten) this.#options.hasten(cell);
  }

  #decide(cell: Cell, call: Call, now: number): Decision<unknown, unknown> {
    this.#enter(cell, call, now);
    const decision: Decision<unknown, unknown> = cell.kind.definition.decide(cell.state, call.command, this.#context);
    if (call.origin === 'caller' || call.origin === 'send') {
      const ways = (decision.reply === undefined ? 0 : 1) + (decision.park === undefined ? 0 : 1);
      invariant(ways + (decision.defer === true ? 1 : 0) === 1, 'a decision has one of reply, park and defer');
    } else if (call.origin === 'carried') {
      const plain = decision.reply !== undefined && decision.park === undefined && decision.defer !== true;
      invariant(plain && decision.settle === undefined, 'a carried message is answered at once, and settles nobody');
    }
    return decision;
  }

  /** The context is that of this turn. */
  #enter(cell: Cell, call: Call, now: number): void {
    const context = this.#context;
    const { type, eventVersion } = cell.kind.definition;
    context.now = now;
    context.seq = cell.seq;
    context.key = call.key;
    context.version = this.#options.membership.writes(type, eventVersion);
  }

  /** True where the key settles what becomes of the call: known (its answer is replayed), or not taken. */
  #keyDecides(cell: Cell, call: Call, key: KeyRef, now: number): boolean {
    const { limits, gate } = this.#options;
    const { keyLimit } = cell.kind.definition;
    if (cell.keys === null) return false;
    cell.keys.forget(now, limits.keyTtlMs);
    if (cell.keys.has(key.hash)) {
      call.replay = true;
      this.#behind(cell, call);
      return true;
    }
    if (keyLimit === 'none') return false;
    const refusal = cell.keys.refusal(now, keyLimit ?? { kept: limits.keysPerActor, perMinute: limits.keyedPerMinute });
    if (refusal === null) return false;
    gate.fail(call, refusal);
    return true;
  }

  #defer(cell: Cell, call: Call, decision: Decision<unknown, unknown>): void {
    invariant((decision.events?.length ?? 0) === 0, 'a deferred decision has no events');
    if ((cell.side?.stash?.length ?? 0) >= this.#options.limits.stashLimit) {
      this.#options.gate.fail(call, new Fault('overloaded', 'too many deferred commands', { retryAfterMs: 1000 }));
      return;
    }
    this.#options.stats.deferred++;
    cell.defer(call);
  }

  /** The events of the decision just made, in the version that all living members read; null where one of them cannot be had in it. */
  #asWritten(cell: Cell, decision: Decision<unknown, unknown>): readonly unknown[] | null {
    const { version } = this.#context;
    const { definition } = cell.kind;
    const events = decision.events ?? NONE;
    if (version >= definition.eventVersion || events.length === 0) return events;
    const lowered = events.map((event) => definition.downgrade?.(event, version) ?? null);
    return lowered.includes(null) ? null : lowered;
  }

  #apply(
    cell: Cell,
    call: Call,
    decision: Decision<unknown, unknown>,
    events: readonly unknown[],
    now: number,
    consulted: Consulted | null,
  ): Draft {
    const { definition } = cell.kind;
    const { version } = this.#context;
    const payloads: Uint8Array[] = [];
    for (const event of events) {
      invariant(event !== null && event !== undefined, 'an event is a value');
      payloads.push(encodeEvent(event));
    }
    const base = cell.seq;
    for (const event of events) {
      cell.state = definition.apply(cell.state, event, version, ++cell.seq);
    }
    return { cell, call, decision, events, payloads, now, version, base, recordings: [], settled: [], consulted };
  }

  /** All keyed answers are there: the turn goes on where it stopped. */
  #resume(draft: Draft): void {
    const { cell, call } = draft;
    if (cell.status !== 'rendering') {
      this.#orphaned(draft);
      return;
    }
    cell.status = 'deciding';
    try {
      this.#seal(draft, false);
    } catch (error) {
      this.#broken(cell, call, draft, error);
    } finally {
      if (cell.status === 'deciding') cell.status = 'active';
    }
    this.run(cell);
  }

  /** A keyed answer cannot be had: nothing of this decision is written. */
  #unrendered(draft: Draft, error: unknown): void {
    const { cell, call, events, settled } = draft;
    if (cell.status !== 'rendering') {
      this.#orphaned(draft);
      return;
    }
    const fault = renderFault(error);
    this.#options.gate.fail(call, fault);
    this.#unsettle(draft);
    if (events.length > 0 || settled.length > 0) {
      this.#options.evict(cell);
    } else {
      cell.status = 'active';
      this.run(cell);
    }
  }

  /** The actor left memory while an answer was being rendered: this decision was never enqueued. */
  #orphaned(draft: Draft): void {
    const fate =
      draft.cell.side?.fate ?? new Fault('database_unavailable', 'the actor left memory; nothing was written');
    this.#options.gate.fail(draft.call, fate);
    this.#unsettle(draft);
  }

  /** What the parked callers were to hear is not written; they are no longer in their actor's table. */
  #unsettle(draft: Draft): void {
    for (const call of draft.settled)
      this.#options.gate.fail(call, new Fault('outcome_unknown', 'the outcome is not known yet'));
  }

  #broken(cell: Cell, call: Call, draft: Draft | null, error: unknown): void {
    this.#options.report('turn_failed', { type: cell.type, id: cell.id, error: String(error) });
    this.#options.gate.fail(
      call,
      new Fault('internal', 'the command could not be decided', { retryable: false, cause: error }),
    );
    if (draft !== null) this.#unsettle(draft);
    this.#options.evict(cell);
  }

  /** Makes the entry, enqueues it, and puts everybody who waits for it behind it. */
  #seal(draft: Draft, plain: boolean): void {
    const { cell, call, events } = draft;
    const { stages } = this.#options;
    const followed = stages !== null && stages.call === call;
    const { entry, effects } = this.#entries.seal(draft, this.#options.clock.monotonic());
    if (call.origin === 'wake') call.value = effects;
    if (entry !== null) {
      cell.entry = entry;
      if (draft.consulted !== null) join(draft.consulted.unit, entry);
      const lane = this.#options.lane(cell.shard);
      lane.enqueue(entry);
      if (followed) stages.entered(entry);
      // Nobody else is there to share a batch with: it is on its way while the answer is made. (One that rests on another actor might fail at
      // once, before anybody waits behind it.)
      const alone = call.origin === 'caller' && this.#options.gate.calls.callers === 1;
      if (alone && plain && effects.length === 0 && draft.consulted === null) lane.flush();
    }
    if (plain) this.#answer(draft);
    this.#gateAll(draft, entry !== null);
    if (events.length > 0) cell.decideAgain();
  }

  #answer(draft: Draft): boolean {
    const { stages } = this.#options;
    const followed = stages !== null && stages.call === draft.call;
    if (followed) stages.answering = true;
    const there = this.#answering.answer(draft);
    if (followed) stages.answered();
    return there;
  }

  #gateAll(draft: Draft, wrote: boolean): void {
    const { cell, call, decision, recordings, settled } = draft;
    for (const recording of recordings) {
      for (const waiter of recording.calls) waiter.value = waiter.render ? recording.rendered?.value : recording.reply;
    }
    call.wrote = wrote;
    if (call.origin === 'carried') {
      // Nobody waits at the gate: the sender takes the reply into the same batch.
      call.stage = 'gated';
    } else if (decision.park !== undefined) {
      this.#options.stats.parked++;
      if (call.stage !== 'answered') cell.park(decision.park, call);
    } else {
      // One who was told what another actor said, and changed nothing, waits until that is durable.
      const rest = draft.consulted !== null && cell.entry === null ? draft.consulted.receiver : cell;
      this.#behind(rest, call);
    }
    for (const waiter of settled) {
      waiter.wrote = true;
      // What it asked for was begun by an earlier entry, and goes on though this one should fail.
      waiter.begun = true;
      this.#behind(cell, waiter);
    }
  }

  /** The call leaves once all that its actor has decided is durable. */
  #behind(cell: Cell, call: Call): void {
    if (call.stage === 'answered') return;
    if (cell.entry === null) {
      this.#options.gate.open(call);
      return;
    }
    call.stage = 'gated';
    cell.entry.gated ??= [];
    cell.entry.gated.push(call);
  }
}

function notYet(cell: Cell): Fault {
  const { type, eventVersion } = cell.kind.definition;
  const message = `an event of ${type} that version ${eventVersion} brings cannot be read by every member yet`;
  return new Fault('rejected', message, { retryAfterMs: 10_000 });
}

/** Whether the decision may leave rows (a keyed answer is recorded more often than not). */
function mustWrite(decision: Decision<unknown, unknown>, call: Call): boolean {
  return (
    (decision.events?.length ?? 0) > 0 ||
    (decision.settle?.length ?? 0) > 0 ||
    (decision.outboxAdd?.length ?? 0) > 0 ||
    (decision.outboxClose?.length ?? 0) > 0 ||
    (call.key !== undefined && decision.reply !== undefined)
  );
}
