/**
 * What the runtime needs of durable storage. Implemented on PostgreSQL in `schema/` and in memory in `memory.ts`; one
 * conformance suite (`journal-conformance.ts`) holds both to the same promises:
 * - an append is atomic over everything in its batch;
 * - it is refused as a whole unless each actor's first event follows a stored one (or is the first) and none is stored already;
 * - it is refused with `fenced` where the writer's fence for the lane is gone or its generation has moved;
 * - after `resolve` the batch is either committed or can never commit.
 */
import type { ActorRef } from './actor.ts';
import type { GivenShard } from './members.ts';

export interface EventRow extends ActorRef {
  readonly shard: number;
  readonly seq: number;
  readonly epoch: number;
  readonly version: number;
  readonly payload: Uint8Array;
  /** Milliseconds since the epoch, from the decision's `ctx.now`. */
  readonly at: number;
}
export interface SnapshotRow extends ActorRef {
  readonly seq: number;
  readonly version: number;
  readonly payload: Uint8Array;
}
/** `due: null` removes the actor's row. */
export interface TimerRow extends ActorRef {
  readonly shard: number;
  readonly due: number | null;
}
export interface OutboxRow {
  readonly id: string;
  readonly shard: number;
  readonly job: string;
  readonly doc: Readonly<Record<string, unknown>>;
}
export interface AnswerRow extends ActorRef {
  readonly keyHash: string;
  readonly fingerprint: string;
  readonly payload: Uint8Array;
  readonly at: number;
}
export interface ProjectionRow {
  readonly table: string;
  readonly key: string;
  readonly version: number;
  readonly doc: Readonly<Record<string, unknown>> | null;
}

/** Everything that one append writes. The rows of one actor are in sequence order. At most one timer, snapshot and projection row per key. */
export interface Batch {
  readonly lane: number;
  readonly events: readonly EventRow[];
  readonly snapshots: readonly SnapshotRow[];
  readonly timers: readonly TimerRow[];
  readonly outboxAdd: readonly OutboxRow[];
  readonly outboxClose: readonly string[];
  readonly answers: readonly AnswerRow[];
  readonly projections: readonly ProjectionRow[];
}

/**
 * Shards of one lane that a living member gives to another, as a statement of that lane: for each, the owner and the epoch after the
 * given one, all or none. Outcomes are those of an append; `refused` where a row is not as given, or `to` is not alive.
 */
export interface Gift {
  readonly lane: number;
  readonly to: string;
  readonly shards: readonly GivenShard[];
}

/**
 * - `refused`: definitely not written, and never will be as it is (bad data, a gap, a duplicate); splitting may save the rest.
 * - `fenced`: definitely not written; this incarnation may not write on the lane any more.
 * - `unknown`: the connection was lost or timed out; the backend may still be at work. Call `resolve`.
 * - `unavailable`: definitely not written, the database cannot be reached or is starting; the same batch may be tried again.
 */
export type AppendOutcome = 'refused' | 'fenced' | 'unknown' | 'unavailable';

export class AppendError extends Error {
  readonly outcome: AppendOutcome;
  constructor(outcome: AppendOutcome, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'AppendError';
    this.outcome = outcome;
  }
}

export interface LoadedActor {
  readonly ref: ActorRef;
  readonly snapshot: SnapshotRow | null;
  /** Events after the snapshot, in order; the first page only. */
  readonly events: readonly EventRow[];
  /** True where more events follow: go on with `tail`. */
  readonly more: boolean;
  /** The actor's timer row as stored, or null. */
  readonly timerDue: number | null;
}

export interface RecordedAnswer {
  readonly fingerprint: string;
  readonly payload: Uint8Array;
}

export interface Journal {
  /** How many lanes there are; a shard always uses lane `shard % lanes`. */
  readonly lanes: number;
  /** Resolves when the batch is durable. Rejects with `AppendError`. One call in flight per lane. */
  append(batch: Batch): Promise<void>;
  /** After `unknown`: makes sure the batch can no longer commit unless it already has, and says which. Rejects while the database is away. */
  resolve(batch: Batch): Promise<'committed' | 'void'>;
  /** Loads actors, in the order asked for; one with no history has no snapshot and no events. */
  load(refs: readonly ActorRef[]): Promise<LoadedActor[]>;
  /** Events after `afterSeq`, at most a page. */
  tail(ref: ActorRef, afterSeq: number): Promise<{ events: EventRow[]; more: boolean }>;
  answer(ref: ActorRef, keyHash: string): Promise<RecordedAnswer | null>;
  /** Actors of the given shards (null: all) whose timer row is due at `now`, earliest first. Reads only; rows stay until the actor's own append changes them. */
  dueTimers(now: number, shards: readonly number[] | null, limit: number): Promise<(ActorRef & { due: number })[]>;
  close(): Promise<void>;
}

/** A journal whose writer is one member of several. */
export interface GivingJournal extends Journal {
  /** Resolves when the shards are the other's. Rejects with `AppendError`. In the lane's place of an append: one call in flight per lane. */
  give(gift: Gift): Promise<void>;
  /** As `resolve`, of a gift. */
  resolveGift(gift: Gift): Promise<'committed' | 'void'>;
}

export function emptyBatch(lane: number): {
  lane: number;
  events: EventRow[];
  snapshots: SnapshotRow[];
  timers: TimerRow[];
  outboxAdd: OutboxRow[];
  outboxClose: string[];
  answers: AnswerRow[];
  projections: ProjectionRow[];
} {
  return {
    lane,
    events: [],
    snapshots: [],
    timers: [],
    outboxAdd: [],
    outboxClose: [],
    answers: [],
    projections: [],
  };
}
