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
import type { DecideContext, Decision, Effect, KeyRef, Rendered, Settlement } from './actor.ts';
import type { Call } from './call.ts';
import type { Cell, Entry } from './cell.ts';
import type { Clock } from './clock.ts';
import { encode, encodeEvent, encodeKeyOnly, encodeSnapshot, withKey } from './codec.ts';
import { Fault, invariant } from './fault.ts';
import type { Gate } from './gate.ts';
import { renderFault } from './gate.ts';
import { KeyTable } from './idempotency.ts';
import type { AnswerRow, EventRow, OutboxRow, SnapshotRow } from './journal.ts';
import type { Lane } from './lane.ts';
import type { Limits } from './limits.ts';
import type { Membership } from './members.ts';
import type { Stats } from './metrics.ts';
import type { Timers } from './timers.ts';

export interface TurnsOptions {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly stats: Stats;
  readonly membership: Membership;
  readonly gate: Gate;
  readonly timers: Timers;
  readonly lane: (shard: number) => Lane;
  /** Takes the cell out of memory because its state cannot be trusted. */
  readonly evict: (cell: Cell) => void;
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

const NONE: readonly never[] = [];

/** The one context that every `decide` gets, set anew for each turn: a decision must not keep it. */
class TurnContext implements DecideContext {
  now = 0;
  seq = 0;
  key: KeyRef | undefined = undefined;
  readonly #ids = new V7Generator();

  newId(prefix: string): string {
    return `${prefix}_${this.#ids.generateOrResetWithTs(this.now).toString()}`;
  }
}

/** An answer to be recorded under `key` in this append. */
interface Recording {
  readonly key: KeyRef;
  readonly reply: unknown;
  /** Those who get it once it is durable. */
  readonly calls: readonly Call[];
  rendered: Rendered | null;
}

/** A decision on its way to becoming an entry. */
interface Draft {
  readonly cell: Cell;
  readonly call: Call;
  readonly decision: Decision<unknown, unknown>;
  readonly events: readonly unknown[];
  readonly payloads: Uint8Array[];
  readonly now: number;
  /** Sequence before this decision. */
  readonly base: number;
  readonly recordings: Recording[];
  /** Parked callers that this decision settles. */
  readonly settled: Call[];
}

/** A draft that waits for its keyed answers. */
interface Waiting {
  readonly draft: Draft;
  readonly since: number;
  over: boolean;
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #context = new TurnContext();
  readonly #waiting = new Set<Waiting>();

  constructor(options: TurnsOptions) {
    this.#options = options;
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
    const { clock, stats, gate } = this.#options;
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

    cell.status = 'deciding';
    try {
      const decision = this.#decide(cell, call, now);
      const decided = clock.monotonic();
      stats.decideUs += (decided - started) * 1000;
      stats.turns++;
      if (decision.defer === true) {
        this.#defer(cell, call, decision);
        return;
      }
      if (mustWrite(decision, call) || cell.entry !== null) {
        const refusal = lane.refusal(started);
        if (refusal !== null) {
          gate.fail(call, refusal);
          return;
        }
      }
      cell.now = now;
      const draft = this.#apply(cell, call, decision, now);
      stats.encodeUs += (clock.monotonic() - decided) * 1000;
      this.#answer(draft);
      if (draft.recordings.some((recording) => recording.rendered === null)) return;
      this.#seal(draft);
    } catch (error) {
      this.#broken(cell, call, error);
    } finally {
      if (cell.status === 'deciding') cell.status = 'active';
    }
  }

  /** Fails keyed writes whose answers are not rendered in time. */
  sweep(): void {
    const before = this.#options.clock.monotonic() - this.#options.limits.renderTimeoutMs;
    for (const waiting of this.#waiting) {
      if (waiting.since < before) this.#unrendered(waiting, new Error('not rendered in time'));
    }
  }

  #decide(cell: Cell, call: Call, now: number): Decision<unknown, unknown> {
    const context = this.#context;
    context.now = now;
    context.seq = cell.seq;
    context.key = call.key;
    const decision: Decision<unknown, unknown> = cell.kind.definition.decide(cell.state, call.command, context);
    if (call.origin === 'caller' || call.origin === 'send') {
      const ways = (decision.reply === undefined ? 0 : 1) + (decision.park === undefined ? 0 : 1);
      invariant(ways + (decision.defer === true ? 1 : 0) === 1, 'a decision has one of reply, park and defer');
    }
    return decision;
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
    const side = cell.needSide();
    side.stash ??= [];
    if (side.stash.length >= this.#options.limits.stashLimit) {
      this.#options.gate.fail(call, new Fault('overloaded', 'too many deferred commands', { retryAfterMs: 1000 }));
      return;
    }
    this.#options.stats.deferred++;
    side.stash.push(call);
  }

  #apply(cell: Cell, call: Call, decision: Decision<unknown, unknown>, now: number): Draft {
    const { definition } = cell.kind;
    const events = decision.events ?? NONE;
    const payloads: Uint8Array[] = [];
    for (const event of events) {
      invariant(event !== null && event !== undefined, 'an event is a value');
      payloads.push(encodeEvent(event));
    }
    const base = cell.seq;
    for (const event of events) {
      cell.state = definition.apply(cell.state, event, definition.eventVersion, ++cell.seq);
    }
    return { cell, call, decision, events, payloads, now, base, recordings: [], settled: [] };
  }

  /**
   * Renders what this decision answers, while the state is the one it answers from. What is recorded must be known before
   * the append; the draft then waits. All else is rendered beside the commit.
   */
  #answer(draft: Draft): void {
    const { cell, call, decision } = draft;
    const settlements = decision.settle ?? NONE;
    if (decision.reply !== undefined && call.key === undefined && settlements.length === 0) {
      this.#renderBeside(draft, call, decision.reply, cell.seq);
      return;
    }
    const keys = new Map<string, KeyRef>();
    if (call.key !== undefined && decision.reply !== undefined) keys.set(call.key.hash, call.key);
    for (const { key } of settlements) if (key !== undefined && !this.#known(cell, key)) keys.set(key.hash, key);
    const seq = draft.base + Math.max(draft.events.length, keys.size);

    if (decision.reply !== undefined) {
      if (call.key !== undefined) this.#record(draft, call.key, decision.reply, [call], seq, call.render);
      else this.#renderBeside(draft, call, decision.reply, seq);
    }
    for (const settlement of settlements) this.#settle(draft, settlement, seq);
    const missing = draft.recordings.filter((recording) => recording.rendered === null);
    if (missing.length > 0) cell.status = 'rendering';
  }

  #known(cell: Cell, key: KeyRef): boolean {
    return cell.keys?.has(key.hash) === true;
  }

  #settle(draft: Draft, settlement: Settlement<unknown>, seq: number): void {
    const { cell } = draft;
    const calls = cell.takeParked(settlement.token);
    draft.settled.push(...calls);
    const { key, reply } = settlement;
    const taken = key !== undefined && draft.recordings.some((recording) => recording.key.hash === key.hash);
    if (key === undefined || taken || this.#known(cell, key)) {
      for (const call of calls) this.#renderBeside(draft, call, reply, seq);
      return;
    }
    this.#record(draft, key, reply, calls, seq, true);
  }

  #renderBeside(draft: Draft, call: Call, reply: unknown, seq: number): void {
    const { responder } = draft.cell.kind;
    if (!call.render || responder === undefined) {
      call.value = reply;
      return;
    }
    const { cell, now } = draft;
    try {
      const rendered = responder.render(cell, cell.state, reply, { seq, now, keyed: false });
      if (rendered instanceof Promise) this.#options.gate.join(call, rendered);
      else call.value = rendered.value;
    } catch (error) {
      call.rendering = 'failed';
      call.value = error;
    }
  }

  /** Where the type has a responder and `render` is asked for, its bytes are recorded; else the bare reply. */
  #record(draft: Draft, key: KeyRef, reply: unknown, calls: readonly Call[], seq: number, render: boolean): void {
    const { cell, now } = draft;
    const { responder } = cell.kind;
    const recording: Recording = { key, reply, calls, rendered: null };
    draft.recordings.push(recording);
    if (!render || responder === undefined) {
      recording.rendered = { value: reply, recorded: encode(reply) };
      return;
    }
    let rendered: Rendered | Promise<Rendered>;
    try {
      rendered = responder.render(cell, cell.state, reply, { seq, now, keyed: true });
    } catch (error) {
      rendered = Promise.reject(error);
    }
    if (rendered instanceof Promise) this.#await(draft, recording, rendered);
    else recording.rendered = rendered;
  }

  #await(draft: Draft, recording: Recording, rendering: Promise<Rendered>): void {
    const waiting: Waiting = { draft, since: this.#options.clock.monotonic(), over: false };
    this.#waiting.add(waiting);
    rendering.then(
      (rendered) => {
        if (waiting.over) return;
        waiting.over = true;
        this.#waiting.delete(waiting);
        recording.rendered = rendered;
        if (draft.recordings.every((other) => other.rendered !== null)) this.#resume(draft);
      },
      (error: unknown) => this.#unrendered(waiting, error),
    );
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
      this.#seal(draft);
    } catch (error) {
      this.#broken(cell, call, error);
    } finally {
      if (cell.status === 'deciding') cell.status = 'active';
    }
    this.run(cell);
  }

  /** A keyed answer cannot be had: nothing of this decision is written. */
  #unrendered(waiting: Waiting, error: unknown): void {
    if (waiting.over) return;
    waiting.over = true;
    this.#waiting.delete(waiting);
    const { cell, call, events, settled } = waiting.draft;
    for (const other of this.#waiting) {
      if (other.draft !== waiting.draft) continue;
      other.over = true;
      this.#waiting.delete(other);
    }
    if (cell.status !== 'rendering') {
      this.#orphaned(waiting.draft);
      return;
    }
    const fault = renderFault(error);
    this.#options.gate.fail(call, fault);
    for (const parked of settled) {
      this.#options.gate.fail(
        parked,
        new Fault('outcome_unknown', 'the answer could not be computed', { cause: fault }),
      );
    }
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
    for (const call of draft.settled)
      this.#options.gate.fail(call, new Fault('outcome_unknown', 'the outcome is not known yet'));
  }

  #broken(cell: Cell, call: Call, error: unknown): void {
    this.#options.report('turn_failed', { type: cell.type, id: cell.id, error: String(error) });
    this.#options.gate.fail(
      call,
      new Fault('internal', 'the command could not be decided', { retryable: false, cause: error }),
    );
    this.#options.evict(cell);
  }

  /** Makes the entry, enqueues it, and puts everybody who waits for it behind it. */
  #seal(draft: Draft): void {
    const { cell, call, decision, events } = draft;
    const { definition } = cell.kind;
    const { rows, answers, bytes } = this.#rows(draft);
    const woken = call.origin === 'wake';
    let effects: readonly Effect[] = NONE;
    let entry: Entry | null = null;
    const outboxAdd = decision.outboxAdd ?? NONE;
    const outboxClose = decision.outboxClose ?? NONE;
    if (rows.length > 0 || woken || outboxAdd.length > 0 || outboxClose.length > 0) {
      effects = definition.pending?.(cell.state) ?? NONE;
      const lastSeq = draft.base + events.length;
      const projections =
        events.length === 0 ? NONE : (definition.project?.(cell.id, cell.state, events, lastSeq) ?? NONE);
      const snapshot = rows.length === 0 ? null : this.#snapshotAlong(cell);
      const timer = this.#options.timers.plan(cell, draft.now, effects.length > 0, woken);
      if (rows.length > 0 || timer !== null || outboxAdd.length > 0 || outboxClose.length > 0) {
        entry = {
          cell,
          rows,
          snapshot,
          timer,
          outboxAdd: outboxAdd.length === 0 ? NONE : outboxRows(cell, outboxAdd),
          outboxClose,
          answers,
          projections,
          effects,
          bytes: bytes + (snapshot?.payload.length ?? 0),
          enqueuedAt: this.#options.clock.monotonic(),
          gated: null,
        };
      }
    }
    if (woken) call.value = effects;
    if (entry !== null) {
      cell.entry = entry;
      this.#options.lane(cell.shard).enqueue(entry);
    }
    this.#gateAll(draft, entry !== null);
    if (events.length > 0) decideAgain(cell);
  }

  #gateAll(draft: Draft, wrote: boolean): void {
    const { cell, call, decision, recordings, settled } = draft;
    for (const recording of recordings) {
      for (const waiter of recording.calls) waiter.value = waiter.render ? recording.rendered?.value : recording.reply;
    }
    call.wrote = wrote;
    if (decision.park !== undefined) {
      this.#options.stats.parked++;
      if (call.stage !== 'answered') cell.park(decision.park, call);
    } else {
      this.#behind(cell, call);
    }
    for (const waiter of settled) {
      waiter.wrote = true;
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

  /** The rows of this decision: its events, each carrying one of the keys recorded with them; further keys get rows of their own. */
  #rows(draft: Draft): { rows: EventRow[]; answers: readonly AnswerRow[]; bytes: number } {
    const { cell, now, payloads, base } = draft;
    const recorded =
      draft.recordings.length === 0 ? NONE : draft.recordings.filter((r) => r.rendered?.recorded !== undefined);
    const count = Math.max(payloads.length, recorded.length);
    if (count === 0) return { rows: [], answers: NONE, bytes: 0 };
    const epoch = this.#options.membership.epoch(cell.shard);
    const { type, eventVersion } = cell.kind.definition;
    const { id, shard } = cell;
    const rows: EventRow[] = [];
    const answers: AnswerRow[] = [];
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const seq = base + i + 1;
      let payload = payloads[i];
      const recording = recorded[i];
      if (recording !== undefined) {
        const { hash: keyHash, fingerprint } = recording.key;
        payload = payload === undefined ? encodeKeyOnly(keyHash, now) : withKey(payload, keyHash, now);
        const answer = recording.rendered?.recorded ?? new Uint8Array();
        answers.push({ type, id, keyHash, fingerprint, payload: answer, at: now });
        bytes += answer.length;
        cell.keys ??= new KeyTable();
        cell.keys.take(keyHash, seq, now);
      }
      invariant(payload !== undefined, 'each row has a payload');
      rows.push({ type, id, shard, seq, epoch, version: eventVersion, payload, at: now });
      bytes += payload.length;
      cell.tailBytes += payload.length;
    }
    cell.seq = base + count;
    this.#options.stats.events += payloads.length;
    this.#options.stats.recorded += answers.length;
    return { rows, answers, bytes };
  }

  /** A snapshot in the same statement as its last event, where the tail has outgrown it. */
  #snapshotAlong(cell: Cell): SnapshotRow | null {
    if (cell.tailBytes <= Math.max(this.#options.limits.snapshotBytes, cell.snapshotBytes)) return null;
    return takeSnapshot(cell);
  }
}

/** Folds the cell's state, as decided so far, into a snapshot row. */
export function takeSnapshot(cell: Cell): SnapshotRow {
  const { definition } = cell.kind;
  const payload = encodeSnapshot(definition.snapshot(cell.state), cell.keys?.toArray() ?? [], cell.now);
  cell.snapshotSeq = cell.seq;
  cell.snapshotBytes = payload.length;
  cell.tailBytes = 0;
  return { type: cell.type, id: cell.id, seq: cell.seq, version: definition.eventVersion, payload };
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

/** What was deferred is decided again, in order, before anything that came later. */
function decideAgain(cell: Cell): void {
  const { side } = cell;
  if (side === null || side.stash === null) return;
  side.again = side.again === null ? side.stash : [...side.stash, ...side.again];
  side.stash = null;
}

function outboxRows(cell: Cell, added: NonNullable<Decision<unknown, unknown>['outboxAdd']>): OutboxRow[] {
  return added.map(({ id, job, doc }) => ({ id, shard: cell.shard, job, doc }));
}
