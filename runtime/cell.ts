/**
 * One actor in memory. A million of these may come and go, so a cell is a handful of fields; what only some actors need
 * (parked callers, deferred commands, effects at work) hangs off a side table that exists while it is needed.
 *
 * States of a cell:
 * - `waiting`: takes the place of an evicted cell whose last batch is not settled yet; must not load before that.
 * - `loading`: its history is being read; commands queue.
 * - `active`: takes turns.
 * - `deciding`: in the middle of a turn (nothing can re-enter it).
 * - `rendering`: decided under a key; the next turn waits for the answer that goes into the same append.
 * - `gone`: out of memory. Entries that it left on the lane still commit, unless `fate` says that they must not.
 */
import type { ActorRef, AnyActorType, Effect, Responder } from './actor.ts';
import type { Call } from './call.ts';
import type { Fault } from './fault.ts';
import { Fifo } from './fifo.ts';
import type { KeyTable } from './idempotency.ts';
import type { AnswerRow, EventRow, OutboxRow, ProjectionRow, SnapshotRow, TimerRow } from './journal.ts';

/** An actor type as registered in one system. */
export interface Kind {
  readonly definition: AnyActorType;
  // biome-ignore lint/suspicious/noExplicitAny: used only with the states and replies of its own type
  readonly responder: Responder<any, any> | undefined;
  readonly cells: Map<string, Cell>;
}

export type CellStatus = 'waiting' | 'loading' | 'active' | 'deciding' | 'rendering' | 'gone';

/** One decision's part of a batch, and the calls that wait behind it. */
export interface Entry {
  readonly cell: Cell;
  readonly rows: readonly EventRow[];
  readonly snapshot: SnapshotRow | null;
  timer: TimerRow | null;
  readonly outboxAdd: readonly OutboxRow[];
  readonly outboxClose: readonly string[];
  readonly answers: readonly AnswerRow[];
  readonly projections: readonly ProjectionRow[];
  /** What the state waited for right at this decision; empty where a later entry of the same batch says it. */
  effects: readonly Effect[];
  readonly bytes: number;
  readonly enqueuedAt: number;
  gated: Call[] | null;
  /** Null: it stands alone. */
  unit: Unit | null;
}

/** Entries that are written in one batch or not at all, side by side in the lane (`carry.ts`). */
export interface Unit {
  readonly entries: Entry[];
  /** Actors whose state was looked at: where one of them fails first, the unit does. */
  readonly rests: Cell[];
  /** The turn that it belongs to came to nothing: it must not be written. */
  broken?: true;
}

/** An effect that this actor has at work (see `effects.ts`). */
export interface Flight {
  readonly cell: Cell;
  readonly effect: Effect;
  attempts: number;
  state: 'queued' | 'running' | 'backing-off' | 'delivering';
  /** While `backing-off`: what ends it. */
  again: { cancel(): void } | null;
}

/** Of an actor in memory that is to be woken soon. */
export interface Due {
  readonly at: number;
  readonly cell: Cell;
}

export class Side {
  parked: Map<string, Call[]> | null = null;
  /** Deferred until the next decision with events. */
  stash: Call[] | null = null;
  /** Deferred ones to be decided again, before the mailbox. */
  again: Call[] | null = null;
  flights: Map<string, Flight> | null = null;
  /** A wake is in the mailbox. */
  waking = false;
  /** Gone: what becomes of the entries still queued; null: they commit. */
  fate: Fault | null = null;
  /** Gone: the cell that loads once the last entry is settled. */
  heir: Cell | null = null;

  get empty(): boolean {
    return this.parked === null && this.stash === null && this.again === null && this.flights === null && !this.waking;
  }
}

export class Cell implements ActorRef {
  readonly kind: Kind;
  readonly id: string;
  readonly shard: number;
  status: CellStatus = 'loading';
  state: unknown = undefined;
  /** Sequence of the last decided row. */
  seq = 0;
  /** `ctx.now` of the last decision. */
  now = 0;
  /** Due time of the stored timer row, as decided (0: none). */
  storedDue = 0;
  /** This cell's entry in the heap of timers: an object, and not its time, which would take 16 bytes of every cell. */
  due: Due | null = null;
  snapshotSeq = 0;
  snapshotBytes = 0;
  /** Bytes of events since the last snapshot. */
  tailBytes = 0;
  /** The last entry that is not durable yet. */
  entry: Entry | null = null;
  mailbox: Fifo<Call> | null = null;
  keys: KeyTable | null = null;
  side: Side | null = null;
  /** Neighbours in the order of last use; whole seconds of the monotonic clock. */
  usedLessRecently: Cell | null = null;
  usedMoreRecently: Cell | null = null;
  usedAtSeconds = 0;

  constructor(kind: Kind, id: string, shard: number) {
    this.kind = kind;
    this.id = id;
    this.shard = shard;
  }

  get type(): string {
    return this.kind.definition.type;
  }

  /** Undecided commands that wait here. */
  get waiting(): number {
    return (this.mailbox?.length ?? 0) + (this.side?.again?.length ?? 0);
  }

  /** Something of this actor is queued, gated, parked, deferred or at work: it must stay in memory. */
  get busy(): boolean {
    return (
      this.status !== 'active' ||
      this.entry !== null ||
      this.mailbox !== null ||
      (this.side !== null && !this.side.empty)
    );
  }

  needSide(): Side {
    this.side ??= new Side();
    return this.side;
  }

  /** Gives the side table back where nothing is in it any more. */
  trim(): void {
    if (this.status !== 'gone' && this.side?.empty === true) this.side = null;
  }

  enqueue(call: Call): void {
    this.mailbox ??= new Fifo();
    this.mailbox.push(call);
  }

  /** The next command to decide: first deferred ones whose turn has come, then the mailbox. */
  next(): Call | undefined {
    const again = this.side?.again;
    if (again !== null && again !== undefined) {
      const call = again.shift();
      if (again.length === 0) this.needSide().again = null;
      if (call !== undefined) return call;
    }
    const call = this.mailbox?.shift();
    if (this.mailbox?.length === 0) this.mailbox = null;
    return call;
  }

  /** Takes out all commands that are not decided yet, in the order in which they would be. */
  takeUndecided(): Call[] {
    this.decideAgain();
    const calls = [...(this.side?.again ?? []), ...(this.mailbox?.drain() ?? [])];
    if (this.side !== null) this.side.again = null;
    this.mailbox = null;
    return calls;
  }

  /** Puts an undecided command aside until `decideAgain`; one whose caller is told meanwhile leaves no trace. */
  defer(call: Call): void {
    const side = this.needSide();
    side.stash ??= [];
    side.stash.push(call);
    call.leave = () => this.#undefer(call);
  }

  #undefer(call: Call): void {
    const stash = this.side?.stash;
    const at = stash?.indexOf(call) ?? -1;
    if (stash === null || stash === undefined || at < 0) return;
    stash.splice(at, 1);
    if (stash.length === 0) this.needSide().stash = null;
    this.trim();
  }

  /** What was deferred is to be decided again, in order, before anything that came later. */
  decideAgain(): void {
    const { side } = this;
    if (side === null || side.stash === null) return;
    for (const call of side.stash) call.leave = null;
    side.again = side.again === null ? side.stash : [...side.stash, ...side.again];
    side.stash = null;
  }

  park(token: string, call: Call): void {
    const side = this.needSide();
    side.parked ??= new Map();
    const callers = side.parked.get(token);
    if (callers === undefined) side.parked.set(token, [call]);
    else callers.push(call);
    call.stage = 'parked';
    call.leave = () => this.#unpark(token, call);
  }

  #unpark(token: string, call: Call): void {
    const callers = this.side?.parked?.get(token);
    if (callers === undefined) return;
    const at = callers.indexOf(call);
    if (at >= 0) callers.splice(at, 1);
    if (callers.length === 0) this.takeParked(token);
  }

  /** Takes out all parked callers. */
  takeAllParked(): Call[] {
    const tokens = [...(this.side?.parked?.keys() ?? [])];
    return tokens.flatMap((token) => this.takeParked(token));
  }

  /** Takes out those parked under the token. */
  takeParked(token: string): Call[] {
    const parked = this.side?.parked;
    const callers = parked?.get(token);
    if (parked === null || parked === undefined || callers === undefined) return [];
    parked.delete(token);
    if (parked.size === 0) this.needSide().parked = null;
    this.trim();
    for (const call of callers) call.leave = null;
    return callers;
  }
}
