/**
 * The journal of one incarnation on the simulated database: the statements of `schema/append.ts` and `schema/give.ts`, with the locks that
 * they take there, and the states of a lane as `schema/journal.ts` has them. What an orphan can do to it, it can do to that.
 */
import type { ActorRef } from '../runtime/actor.ts';
import {
  AppendError,
  type Batch,
  type EventRow,
  type Gift,
  type GivingJournal,
  type LoadedActor,
  type RecordedAnswer,
} from '../runtime/journal.ts';
import { checkBatch, MemoryJournal, writeBatch } from '../runtime/memory.ts';
import {
  DiskFull,
  type Lock,
  NoAnswer,
  type Sender,
  type SimDatabase,
  STATEMENT_MS,
  Unreachable,
  under,
  type Work,
} from './database.ts';

export interface SimJournalOptions {
  readonly database: SimDatabase;
  readonly sender: Sender;
  readonly lanes: number;
  /** Of each commit, at its moment. */
  readonly committed: (batch: Batch) => void;
  /** Of each gift, at its moment. */
  readonly given?: (gift: Gift) => void;
  /** Whether something in this batch is bad data. */
  readonly refuses: (batch: Batch) => boolean;
  /** Events per page of `load` and `tail`. Default 50. */
  readonly pageSize?: number;
}

export interface Lane {
  state: 'idle' | 'busy' | 'unresolved';
  gen: number;
}

/** What a statement is told that was refused by `refuses`. */
export const BAD_DATA = 'bad data';

export class SimJournal implements GivingJournal {
  readonly lanes: number;
  readonly #options: SimJournalOptions;
  readonly #lanes: Lane[];
  readonly #reader: MemoryJournal;
  #closed = false;

  constructor(options: SimJournalOptions) {
    this.#options = options;
    this.lanes = options.lanes;
    this.#lanes = Array.from({ length: options.lanes }, () => ({ state: 'idle', gen: 1 }));
    const { database, lanes, pageSize = 50 } = options;
    this.#reader = new MemoryJournal({ lanes, store: database.store, pageSize });
  }

  async append(batch: Batch): Promise<void> {
    const { database, committed, refuses } = this.#options;
    await this.#inTurn(
      batch.lane,
      (gen) => this.appendWork(batch, gen),
      () => {
        if (refuses(batch)) throw new AppendError('refused', BAD_DATA);
        checkBatch(database.store, batch);
        writeBatch(database.store, batch);
        committed(batch);
      },
    );
  }

  async give(gift: Gift): Promise<void> {
    const { tables } = this.#options.database;
    const { incarnation } = this.#options.sender;
    await this.#inTurn(
      gift.lane,
      (gen) => this.giveWork(gift, gen),
      () => {
        const mine = gift.shards.every(({ shard, epoch }) => {
          const row = tables.shards[shard];
          return row?.owner === incarnation && row.epoch === epoch;
        });
        if (!mine) throw new AppendError('refused', `not all shards are ${incarnation}'s`);
        for (const { shard, epoch } of gift.shards) tables.shards[shard] = { shard, owner: gift.to, epoch: epoch + 1 };
        this.#options.given?.(gift);
      },
    );
  }

  async resolve(batch: Batch): Promise<'committed' | 'void'> {
    return await this.#resolved(batch.lane, () => this.#witness(batch));
  }

  async resolveGift(gift: Gift): Promise<'committed' | 'void'> {
    return await this.#resolved(gift.lane, () => this.#giftWitness(gift));
  }

  async load(refs: readonly ActorRef[]): Promise<LoadedActor[]> {
    return await this.#read(() => this.#reader.load(refs));
  }

  async tail(ref: ActorRef, afterSeq: number): Promise<{ events: EventRow[]; more: boolean }> {
    return await this.#read(() => this.#reader.tail(ref, afterSeq));
  }

  async answer(ref: ActorRef, keyHash: string): Promise<RecordedAnswer | null> {
    return await this.#read(() => this.#reader.answer(ref, keyHash));
  }

  async dueTimers(
    now: number,
    shards: readonly number[] | null,
    limit: number,
  ): Promise<(ActorRef & { due: number })[]> {
    return await this.#read(() => this.#reader.dueTimers(now, shards, limit));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  /** The fence under its generation, locked to the commit. */
  *appendWork(batch: Batch, gen: number): Generator<Lock, void, void> {
    yield this.fenceLock(batch.lane);
    this.checkFence(batch.lane, gen);
  }

  /** The receiver first, and that it is alive; then as an append. */
  *giveWork(gift: Gift, gen: number): Generator<Lock, void, void> {
    yield { row: `member ${gift.to}`, mode: 'share' };
    if (this.#options.database.tables.members.get(gift.to)?.state !== 'alive') {
      throw new AppendError('refused', `${gift.to} is not alive`);
    }
    yield this.fenceLock(gift.lane);
    this.checkFence(gift.lane, gen);
  }

  fenceLock(lane: number): Lock {
    return { row: `fence ${this.#options.sender.incarnation}/${lane}`, mode: 'exclusive' };
  }

  checkFence(lane: number, gen: number): void {
    const { database, sender } = this.#options;
    const { incarnation } = sender;
    const stands = database.tables.fences.has(incarnation);
    if (!stands || (database.generations.get(`${incarnation}/${lane}`) ?? 1) !== gen) {
      throw new AppendError('fenced', `the fence of lane ${lane} is gone or has moved on`);
    }
  }

  /** A statement takes the lane, which must be free. */
  enter(lane: Lane, index: number): void {
    if (lane.state === 'busy') throw new Error(`lane ${index} is busy`);
    if (lane.state === 'unresolved') throw new AppendError('unavailable', `lane ${index} waits to be resolved`);
    lane.state = 'busy';
  }

  /** One statement of the lane. Rejects with what its outcome proves. */
  async #inTurn(index: number, locks: (gen: number) => Generator<Lock, void, void>, write: () => void): Promise<void> {
    const lane = this.#lane(index);
    this.enter(lane, index);
    const { gen } = lane;
    try {
      await this.#send(true, under(locks(gen), write));
      lane.state = 'idle';
    } catch (error) {
      const failure = outcomeOf(error);
      lane.state = failure.outcome === 'unknown' ? 'unresolved' : 'idle';
      throw failure;
    }
  }

  async #resolved(index: number, look: () => 'committed' | 'void'): Promise<'committed' | 'void'> {
    const lane = this.#lane(index);
    if (lane.state === 'busy') throw new Error(`lane ${index} is busy`);
    lane.state = 'busy';
    try {
      lane.gen = await this.raise(index);
      const outcome = await this.#read(look);
      lane.state = 'idle';
      return outcome;
    } catch (error) {
      const failure = error instanceof AppendError ? error : new AppendError('unavailable', String(error), error);
      lane.state = failure.outcome === 'fenced' ? 'idle' : 'unresolved';
      throw failure;
    }
  }

  /** Waits for an orphan at work, voids one that has not begun. Resolves with the generation from now on. */
  async raise(index: number): Promise<number> {
    const { database, sender } = this.#options;
    const { incarnation } = sender;
    const lock = this.fenceLock(index);
    return await this.#send(true, function* () {
      yield lock;
      if (!database.tables.fences.has(incarnation)) {
        throw new AppendError('fenced', `the fence of lane ${index} is gone`);
      }
      return () => {
        const gen = (database.generations.get(`${incarnation}/${index}`) ?? 1) + 1;
        database.generations.set(`${incarnation}/${index}`, gen);
        return gen;
      };
    });
  }

  #witness(batch: Batch): 'committed' | 'void' {
    const { store } = this.#options.database;
    const event = batch.events[0];
    if (event !== undefined) {
      const rows = store.actors.get(`${event.type}\u0000${event.id}`)?.events ?? [];
      const row = rows.find(({ seq }) => seq === event.seq);
      const same = row !== undefined && row.epoch === event.epoch && row.at === event.at;
      return same && Buffer.compare(row.payload, event.payload) === 0 ? 'committed' : 'void';
    }
    const answer = batch.answers[0];
    if (answer === undefined) return 'void';
    const row = store.answers.get(`${answer.type}\u0000${answer.id}\u0000${answer.keyHash}`);
    return row?.at === answer.at && Buffer.compare(row.payload, answer.payload) === 0 ? 'committed' : 'void';
  }

  #giftWitness({ shards, to }: Gift): 'committed' | 'void' {
    const { database, sender } = this.#options;
    const rows = shards.map(({ shard, epoch }) => ({ epoch, row: database.tables.shards[shard] }));
    if (rows.every(({ epoch, row }) => row?.owner === sender.incarnation && row.epoch === epoch)) return 'void';
    const gone = rows.every(
      ({ epoch, row }) => row !== undefined && (row.epoch > epoch + 1 || (row.epoch === epoch + 1 && row.owner === to)),
    );
    if (!gone) throw new AppendError('fenced', `shards of ${sender.incarnation} were taken from it`);
    return 'committed';
  }

  #lane(index: number): Lane {
    const lane = this.#lanes[index];
    if (lane === undefined) throw new Error(`there is no lane ${index}`);
    if (this.#closed) throw new AppendError('unavailable', 'the journal is closed');
    return lane;
  }

  /** A statement without locks; sees what is committed when it is done. */
  async #read<T>(look: () => T | Promise<T>): Promise<T> {
    if (this.#closed) throw new AppendError('unavailable', 'the journal is closed');
    try {
      return await this.#send(false, under([], look));
    } catch (error) {
      throw error instanceof AppendError ? error : new AppendError('unavailable', String(error), error);
    }
  }

  #send<T>(writes: boolean, work: Work<T>): Promise<T> {
    return this.#options.database.run(this.#options.sender, { work, writes, timeoutMs: STATEMENT_MS });
  }
}

function outcomeOf(error: unknown): AppendError {
  if (error instanceof AppendError) return error;
  if (error instanceof NoAnswer) return new AppendError('unknown', error.message, error);
  if (error instanceof Unreachable || error instanceof DiskFull) {
    return new AppendError('unavailable', error.message, error);
  }
  throw error;
}
