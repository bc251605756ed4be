/**
 * From a decision to its entry: the rows of its events and recorded answers, the snapshot that goes along, the timer row,
 * what goes to the outbox and the read side. One entry is what one decision writes: all of it or nothing.
 */
import type { Decision, Effect, KeyRef, Rendered } from './actor.ts';
import type { Call } from './call.ts';
import type { Consulted } from './carry.ts';
import type { Cell, Entry } from './cell.ts';
import { encodeKeyOnly, encodeSnapshot, withKey } from './codec.ts';
import { invariant } from './fault.ts';
import { KeyTable } from './idempotency.ts';
import type { AnswerRow, EventRow, OutboxRow, SnapshotRow } from './journal.ts';
import type { Limits } from './limits.ts';
import type { Membership } from './members.ts';
import type { Stats } from './metrics.ts';
import type { Timers } from './timers.ts';

const NONE: readonly never[] = [];

/** An answer to be recorded under `key` in this append. */
export interface Recording {
  readonly key: KeyRef;
  readonly reply: unknown;
  /** Those who get it once it is durable. */
  readonly calls: readonly Call[];
  rendered: Rendered | null;
}

/** A decision on its way to becoming an entry. */
export interface Draft {
  readonly cell: Cell;
  readonly call: Call;
  readonly decision: Decision<unknown, unknown>;
  readonly events: readonly unknown[];
  readonly payloads: Uint8Array[];
  readonly now: number;
  /** In which its events are written. */
  readonly version: number;
  /** Sequence before this decision. */
  readonly base: number;
  readonly recordings: Recording[];
  /** Parked callers that this decision settles. */
  readonly settled: Call[];
  /** Another actor that was asked within the turn, and whose answer the decision rests on. */
  readonly consulted: Consulted | null;
}

export interface EntriesOptions {
  readonly limits: Limits;
  readonly stats: Stats;
  readonly membership: Membership;
  readonly timers: Timers;
}

export interface Sealed {
  /** Null where the decision leaves nothing to write. */
  readonly entry: Entry | null;
  /** What the state waits for now; only told where there is an entry, and to a `$wake`. */
  readonly effects: readonly Effect[];
}

export class Entries {
  readonly #options: EntriesOptions;

  constructor(options: EntriesOptions) {
    this.#options = options;
  }

  /** The entry of an applied decision whose answers are rendered. Moves the cell's sequence past the rows it makes. */
  seal(draft: Draft, monotonic: number): Sealed {
    const { cell, call, decision, events } = draft;
    const { definition } = cell.kind;
    const { rows, answers, bytes } = this.#rows(draft);
    const woken = call.origin === 'wake';
    const outboxAdd = decision.outboxAdd ?? NONE;
    const outboxClose = decision.outboxClose ?? NONE;
    const outboxed = outboxAdd.length > 0 || outboxClose.length > 0;
    if (rows.length === 0 && !woken && !outboxed) return NOTHING;
    const effects = definition.pending?.(cell.state) ?? NONE;
    const timer = this.#options.timers.plan(cell, draft.now, effects.length > 0, woken);
    if (rows.length === 0 && timer === null && !outboxed) return { entry: null, effects };
    const lastSeq = draft.base + events.length;
    const projections =
      events.length === 0
        ? NONE
        : (definition.project?.(cell.id, cell.state, decision.events ?? NONE, lastSeq) ?? NONE);
    const snapshot = rows.length === 0 ? null : this.#snapshotAlong(cell, draft.version);
    const entry: Entry = {
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
      enqueuedAt: monotonic,
      gated: null,
      unit: null,
    };
    return { entry, effects };
  }

  /** The rows of this decision: its events, each carrying one of the keys recorded with them; further keys get rows of their own. */
  #rows(draft: Draft): { rows: EventRow[]; answers: readonly AnswerRow[]; bytes: number } {
    const { cell, now, payloads, base, version } = draft;
    const recorded =
      draft.recordings.length === 0 ? NONE : draft.recordings.filter((r) => r.rendered?.recorded !== undefined);
    const count = Math.max(payloads.length, recorded.length);
    if (count === 0) return { rows: [], answers: NONE, bytes: 0 };
    const epoch = this.#options.membership.epoch(cell.shard);
    const { type } = cell.kind.definition;
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
      rows.push({ type, id, shard, seq, epoch, version, payload, at: now });
      bytes += payload.length;
      cell.tailBytes += payload.length;
    }
    cell.seq = base + count;
    this.#options.stats.events += payloads.length;
    this.#options.stats.recorded += answers.length;
    return { rows, answers, bytes };
  }

  /** A snapshot in the same statement as its last event, where the tail has outgrown it. */
  #snapshotAlong(cell: Cell, version: number): SnapshotRow | null {
    if (version < cell.kind.definition.eventVersion) return null;
    if (cell.tailBytes <= Math.max(this.#options.limits.snapshotBytes, cell.snapshotBytes)) return null;
    return takeSnapshot(cell);
  }
}

/** Folds the cell's state, as decided so far, into a snapshot row. */
function takeSnapshot(cell: Cell): SnapshotRow {
  const { definition } = cell.kind;
  const payload = encodeSnapshot(definition.snapshot(cell.state), cell.keys?.toArray() ?? [], cell.now);
  cell.snapshotSeq = cell.seq;
  cell.snapshotBytes = payload.length;
  cell.tailBytes = 0;
  return { type: cell.type, id: cell.id, seq: cell.seq, version: definition.eventVersion, payload };
}

/** A snapshot of a passivated actor: all its events are committed, so it may follow them in any later batch. */
export function snapshotEntry(cell: Cell, enqueuedAt: number): Entry {
  const snapshot = takeSnapshot(cell);
  return {
    cell,
    rows: NONE,
    snapshot,
    timer: null,
    outboxAdd: NONE,
    outboxClose: NONE,
    answers: NONE,
    projections: NONE,
    effects: NONE,
    bytes: snapshot.payload.length,
    enqueuedAt,
    gated: null,
    unit: null,
  };
}

const NOTHING: Sealed = { entry: null, effects: NONE };

function outboxRows(cell: Cell, added: NonNullable<Decision<unknown, unknown>['outboxAdd']>): OutboxRow[] {
  return added.map(({ id, job, doc }) => ({ id, shard: cell.shard, job, doc }));
}
