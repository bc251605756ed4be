/**
 * The journal in memory, for tests, benches and the simulator. It keeps every promise of `Journal` except that of
 * surviving the process: appends are atomic, contiguous, fenced by generation, and what is stored is copied, as a database would.
 *
 * Several journals may share one `MemoryStore`: the store is what a "restarted" system finds again. An `intercept`
 * stands between the caller and the commit, so that a test can delay a commit, lose its answer, or let an orphan
 * commit late:
 *
 *     new MemoryJournal({ lanes: 1, intercept: (_batch, commit) => { commit(); throw new AppendError('unknown', 'cut'); } })
 *
 * The store knows members and owners of shards only where a test tells it; as in the database an append does not look at them, but
 * at its journal's fence alone, and a gift looks at both.
 */
import type { ActorRef } from './actor.ts';
import type {
  AnswerRow,
  Batch,
  EventRow,
  Gift,
  GivingJournal,
  LoadedActor,
  OutboxRow,
  ProjectionRow,
  RecordedAnswer,
  SnapshotRow,
} from './journal.ts';
import { AppendError } from './journal.ts';

interface StoredActor {
  readonly ref: ActorRef;
  readonly events: EventRow[];
  snapshot: SnapshotRow | null;
  timer: { readonly shard: number; readonly due: number } | null;
}

/** What survives a `MemoryJournal`. Its maps are open so that tests can look into them; only journals change them. */
export class MemoryStore {
  readonly actors = new Map<string, StoredActor>();
  readonly outbox = new Map<string, { readonly row: OutboxRow; open: boolean }>();
  readonly answers = new Map<string, AnswerRow>();
  /** By table, then key. */
  readonly projections = new Map<string, Map<string, ProjectionRow>>();
  readonly shards = new Map<number, { readonly owner: string; readonly epoch: number }>();
  /** Incarnations that are alive. */
  readonly members = new Set<string>();
}

/**
 * Stands before each commit. `commit` writes the batch, or throws the `AppendError` it is refused with. Returning
 * without having called it means: not written, and the caller is told `unavailable`. What it throws, the caller gets.
 */
export type Intercept = (batch: Batch, commit: () => void) => void | Promise<void>;
/** The same before each gift. */
export type InterceptGift = (gift: Gift, commit: () => void) => void | Promise<void>;

export interface MemoryJournalOptions {
  readonly lanes: number;
  /** Default: a store of its own. */
  readonly store?: MemoryStore;
  /** Who writes; gives only what the store says is its own. Default `inc-1`. */
  readonly incarnation?: string;
  readonly intercept?: Intercept;
  /** Events per page of `load` and `tail`. Default 500. */
  readonly pageSize?: number;
}

const keyOf = (ref: ActorRef): string => `${ref.type}\u0000${ref.id}`;
const refOf = (ref: ActorRef): ActorRef => ({ type: ref.type, id: ref.id });

export class MemoryJournal implements GivingJournal {
  readonly lanes: number;
  readonly store: MemoryStore;
  /** May be replaced at any time. */
  intercept: Intercept | undefined;
  interceptGift: InterceptGift | undefined;
  readonly #incarnation: string;
  readonly #pageSize: number;
  readonly #generations: number[];
  readonly #busy: boolean[];
  #fenced = false;
  #closed = false;

  constructor(options: MemoryJournalOptions) {
    this.lanes = options.lanes;
    this.store = options.store ?? new MemoryStore();
    this.intercept = options.intercept;
    this.#incarnation = options.incarnation ?? 'inc-1';
    this.#pageSize = options.pageSize ?? 500;
    this.#generations = new Array<number>(options.lanes).fill(1);
    this.#busy = new Array<boolean>(options.lanes).fill(false);
  }

  /** Another member has taken over: this journal writes nothing any more. The store stays open to others. */
  fence(): void {
    this.#fenced = true;
  }

  async append(batch: Batch): Promise<void> {
    const write = (): void => {
      checkBatch(this.store, batch);
      writeBatch(this.store, batch);
    };
    await this.#inTurn(batch.lane, write, (commit) =>
      this.intercept === undefined ? commit() : this.intercept(batch, commit),
    );
  }

  async give(gift: Gift): Promise<void> {
    const write = (): void => {
      const { shards, members } = this.store;
      const mine = gift.shards.every(({ shard, epoch }) => this.#has(shard, epoch));
      if (!mine || !members.has(gift.to)) throw new AppendError('refused', `not to be given to ${gift.to}`);
      for (const { shard, epoch } of gift.shards) shards.set(shard, { owner: gift.to, epoch: epoch + 1 });
    };
    await this.#inTurn(gift.lane, write, (commit) =>
      this.interceptGift === undefined ? commit() : this.interceptGift(gift, commit),
    );
  }

  async resolveGift(gift: Gift): Promise<'committed' | 'void'> {
    this.#raise(gift.lane);
    return gift.shards.every(({ shard, epoch }) => this.#has(shard, epoch)) ? 'void' : 'committed';
  }

  #has(shard: number, epoch: number): boolean {
    const row = this.store.shards.get(shard);
    return row?.owner === this.#incarnation && row.epoch === epoch;
  }

  /** One statement of a lane: fenced, and one at a time. */
  async #inTurn(lane: number, write: () => void, run: (commit: () => void) => void | Promise<void>): Promise<void> {
    if (this.#closed) throw new AppendError('unavailable', 'the journal is closed');
    if (this.#busy[lane] !== false) throw new Error(`lane ${lane} is busy or does not exist`);
    this.#busy[lane] = true;
    try {
      const generation = this.#generations[lane];
      let committed = false;
      const commit = (): void => {
        if (this.#fenced || this.#generations[lane] !== generation) {
          throw new AppendError('fenced', `the fence of lane ${lane} is gone or has moved on`);
        }
        write();
        committed = true;
      };
      await null; // a caller never sees its append done in the same turn
      await run(commit);
      if (!committed) throw new AppendError('unavailable', 'the store was not reached');
    } finally {
      this.#busy[lane] = false;
    }
  }

  #raise(lane: number): void {
    this.#open();
    if (this.#fenced) throw new AppendError('fenced', `the fence of lane ${lane} is gone`);
    this.#generations[lane] = (this.#generations[lane] ?? 0) + 1;
  }

  async resolve(batch: Batch): Promise<'committed' | 'void'> {
    this.#raise(batch.lane);
    const event = batch.events[0];
    if (event !== undefined) {
      const stored = this.store.actors.get(keyOf(event))?.events.find((row) => row.seq === event.seq);
      return stored !== undefined && equalBytes(stored.payload, event.payload) ? 'committed' : 'void';
    }
    const answer = batch.answers[0];
    if (answer !== undefined) {
      const stored = this.store.answers.get(answerKey(answer, answer.keyHash));
      const same = stored?.fingerprint === answer.fingerprint && equalBytes(stored.payload, answer.payload);
      return same ? 'committed' : 'void';
    }
    return 'void';
  }

  async load(refs: readonly ActorRef[]): Promise<LoadedActor[]> {
    this.#open();
    return refs.map((ref) => {
      const stored = this.store.actors.get(keyOf(ref));
      const snapshot = stored?.snapshot ?? null;
      const page = this.#page(stored, snapshot?.seq ?? 0);
      return { ref: refOf(ref), snapshot, ...page, timerDue: stored?.timer?.due ?? null };
    });
  }

  async tail(ref: ActorRef, afterSeq: number): Promise<{ events: EventRow[]; more: boolean }> {
    this.#open();
    return this.#page(this.store.actors.get(keyOf(ref)), afterSeq);
  }

  async answer(ref: ActorRef, keyHash: string): Promise<RecordedAnswer | null> {
    this.#open();
    const row = this.store.answers.get(answerKey(ref, keyHash));
    return row === undefined ? null : { fingerprint: row.fingerprint, payload: row.payload };
  }

  async dueTimers(
    now: number,
    shards: readonly number[] | null,
    limit: number,
  ): Promise<(ActorRef & { due: number })[]> {
    this.#open();
    const due: (ActorRef & { due: number })[] = [];
    for (const { ref, timer } of this.store.actors.values()) {
      if (timer === null || timer.due > now) continue;
      if (shards === null || shards.includes(timer.shard)) due.push({ ...ref, due: timer.due });
    }
    return due.sort((a, b) => a.due - b.due).slice(0, limit);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #open(): void {
    if (this.#closed) throw new AppendError('unavailable', 'the journal is closed');
  }

  #page(stored: StoredActor | undefined, afterSeq: number): { events: EventRow[]; more: boolean } {
    // Sequences have no gaps and start at 1, so a sequence is also a position.
    const events = stored?.events.slice(afterSeq, afterSeq + this.#pageSize + 1) ?? [];
    const more = events.length > this.#pageSize;
    if (more) events.pop();
    return { events, more };
  }
}

function answerKey(ref: ActorRef, keyHash: string): string {
  return `${keyOf(ref)}\u0000${keyHash}`;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Throws `refused` where a database would; nothing is written before all of the batch has passed. Apart for the simulator's database. */
export function checkBatch(store: MemoryStore, batch: Batch): void {
  const last = new Map<string, number>();
  for (const event of batch.events) {
    checkText(event.type, event.id);
    const key = keyOf(event);
    const before = last.get(key) ?? store.actors.get(key)?.events.length ?? 0;
    if (event.seq !== before + 1) {
      throw new AppendError('refused', `${event.type} ${event.id}: sequence ${event.seq} does not follow ${before}`);
    }
    last.set(key, event.seq);
  }
  for (const snapshot of batch.snapshots) {
    checkText(snapshot.type, snapshot.id);
    const stored = last.get(keyOf(snapshot)) ?? store.actors.get(keyOf(snapshot))?.events.length ?? 0;
    if (snapshot.seq > stored) {
      throw new AppendError('refused', `${snapshot.type} ${snapshot.id}: snapshot ${snapshot.seq} of ${stored} events`);
    }
  }
  for (const timer of batch.timers) checkText(timer.type, timer.id);
  for (const row of batch.outboxAdd) checkText(row.id, row.job, row.doc);
  for (const answer of batch.answers) checkText(answer.type, answer.id, answer.keyHash, answer.fingerprint);
  for (const row of batch.projections) checkText(row.key, row.doc);
}

/** PostgreSQL keeps neither NUL nor a surrogate without its partner. */
function checkText(...values: readonly unknown[]): void {
  for (const value of values) {
    if (typeof value === 'string') {
      if (/\0|\p{Cs}/u.test(value)) throw new AppendError('refused', 'text with a NUL or a lone surrogate');
    } else if (typeof value === 'object' && value !== null) {
      checkText(...Object.keys(value), ...Object.values(value));
    }
  }
}

/** Of a batch that has passed `checkBatch`. */
export function writeBatch(store: MemoryStore, batch: Batch): void {
  const actor = (ref: ActorRef): StoredActor => {
    const key = keyOf(ref);
    let stored = store.actors.get(key);
    if (stored === undefined) {
      stored = { ref: refOf(ref), events: [], snapshot: null, timer: null };
      store.actors.set(key, stored);
    }
    return stored;
  };
  for (const event of batch.events) actor(event).events.push({ ...event, payload: event.payload.slice() });
  for (const snapshot of batch.snapshots) {
    const stored = actor(snapshot);
    if (stored.snapshot === null || stored.snapshot.seq < snapshot.seq) {
      stored.snapshot = { ...snapshot, payload: snapshot.payload.slice() };
    }
  }
  for (const { due, shard, ...ref } of batch.timers) actor(ref).timer = due === null ? null : { shard, due };
  for (const row of batch.outboxAdd) {
    if (!store.outbox.has(row.id)) store.outbox.set(row.id, { row: structuredClone(row), open: true });
  }
  for (const id of batch.outboxClose) {
    const stored = store.outbox.get(id);
    if (stored !== undefined) stored.open = false;
  }
  for (const row of batch.answers) {
    store.answers.set(answerKey(row, row.keyHash), { ...row, payload: row.payload.slice() });
  }
  for (const row of batch.projections) {
    let table = store.projections.get(row.table);
    if (table === undefined) {
      table = new Map();
      store.projections.set(row.table, table);
    }
    const stored = table.get(row.key);
    if (stored !== undefined && stored.version >= row.version) continue;
    if (row.doc === null) table.delete(row.key);
    else table.set(row.key, structuredClone(row));
  }
}
