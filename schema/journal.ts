/**
 * The journal on PostgreSQL. Each lane has one connection that does nothing but append, and give shards away in an append's place;
 * reads go through the pool. The SQL is in `append.ts` and `give.ts`, what its errors mean in `append-outcome.ts`.
 *
 * A lane is one of:
 * - `idle`: an append may be sent;
 * - `busy`: one is on its way;
 * - `unresolved`: the last append's outcome is unknown. Nothing is appended until `resolve` has raised the
 *   generation of the lane's fence: that waits for an orphan at work, and voids one that has not begun, because the
 *   orphan locks its fence row under the generation it was sent with.
 * A lost connection is made again by the next append or resolve.
 */
import pg from 'pg';
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
import { APPEND_PARAMETERS, EVENT_PARAMETERS } from './append.ts';
import { encodeAppend, encodeOnlyEvents, isOnlyEvents, type Writer } from './append-encoding.ts';
import { outcomeOfSent, unavailable } from './append-outcome.ts';
import { BinaryArrayWriter } from './binary-array.ts';
import { connectionConfig, type Database, socketOf, watchSilence } from './database.ts';
import { encodeGive, GIVE_TEXT, giftWitness } from './give.ts';
import { JournalReader } from './journal-reader.ts';

export interface PgJournalOptions {
  /** Reads go through its pool; lanes connect to the same address. */
  readonly database: Database;
  /** As in `fence`: the member must have joined with at least as many lanes. */
  readonly incarnation: string;
  readonly lanes: number;
  /** Events per page of `load` and `tail`. Default 500. */
  readonly pageSize?: number;
  /** Encoded bytes of one batch at most; a larger one is refused. Default 64 MiB. */
  readonly batchBytesMax?: number;
}

interface Lane {
  readonly index: number;
  state: 'idle' | 'busy' | 'unresolved';
  /** Generation of the lane's fence as we know it. */
  gen: number;
  client: pg.Client | null;
  readonly arrays: BinaryArrayWriter;
}

const APPEND_TEXT = callOf('append', APPEND_PARAMETERS);
const APPEND_EVENTS_TEXT = callOf('append_events', EVENT_PARAMETERS);

/** Of a lane's connection: what is written by its key is looked up by its key, with plans that are made once. */
export const LANE_SETTINGS = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
} as const;

export class PgJournal implements GivingJournal {
  readonly lanes: number;
  readonly #options: Required<PgJournalOptions>;
  readonly #lanes: Lane[];
  readonly #reader: JournalReader;
  #closed = false;

  constructor(options: PgJournalOptions) {
    this.#options = { pageSize: 500, batchBytesMax: 64 * 1024 * 1024, ...options };
    this.lanes = options.lanes;
    this.#lanes = Array.from({ length: options.lanes }, (_, index) => ({
      index,
      state: 'idle',
      gen: 1,
      client: null,
      arrays: new BinaryArrayWriter(),
    }));
    this.#reader = new JournalReader(options.database.pool, this.#options.pageSize);
  }

  async append(batch: Batch): Promise<void> {
    const lane = this.#lane(batch.lane);
    const [name, text] = isOnlyEvents(batch) ? ['append_events', APPEND_EVENTS_TEXT] : ['append', APPEND_TEXT];
    await this.#inTurn(lane, () => ({ name, text, values: this.#encode(lane, batch) }));
  }

  async give(gift: Gift): Promise<void> {
    const lane = this.#lane(gift.lane);
    await this.#inTurn(lane, () => ({ text: GIVE_TEXT, values: encodeGive(this.#writer(lane), gift) }));
  }

  async resolve(batch: Batch): Promise<'committed' | 'void'> {
    return await this.#resolved(this.#lane(batch.lane), (client) => witness(client, batch));
  }

  async resolveGift(gift: Gift): Promise<'committed' | 'void'> {
    const { incarnation } = this.#options;
    return await this.#resolved(this.#lane(gift.lane), (client) => giftWitness(client, incarnation, gift));
  }

  /** One statement of the lane. Rejects with what its outcome proves. */
  async #inTurn(lane: Lane, statement: () => pg.QueryConfig): Promise<void> {
    if (lane.state === 'busy') throw new Error(`lane ${lane.index} is busy`);
    if (lane.state === 'unresolved') throw new AppendError('unavailable', `lane ${lane.index} waits to be resolved`);
    lane.state = 'busy';
    try {
      // Without an await where the connection stands: the statement leaves before this call returns.
      const client = lane.client ?? (await this.#connected(lane));
      await this.#send(client, statement());
      lane.state = 'idle';
    } catch (error) {
      const failure = error instanceof AppendError ? error : unavailable(error);
      lane.state = failure.outcome === 'unknown' ? 'unresolved' : 'idle';
      if (failure.outcome === 'unknown' || failure.outcome === 'unavailable') disconnect(lane);
      throw failure;
    }
  }

  /** Ends what is on its way on the lane, then looks whether it had been done. */
  async #resolved(
    lane: Lane,
    look: (client: pg.Client) => Promise<'committed' | 'void'>,
  ): Promise<'committed' | 'void'> {
    if (lane.state === 'busy') throw new Error(`lane ${lane.index} is busy`);
    lane.state = 'busy';
    try {
      // The connection of the lost append, if it still stands, may never answer again.
      disconnect(lane);
      const client = await this.#connected(lane);
      const raised = await client.query<{ gen: number }>(
        'UPDATE fence SET gen = gen + 1 WHERE incarnation = $1 AND lane = $2 RETURNING gen',
        [this.#options.incarnation, lane.index],
      );
      const gen = raised.rows[0]?.gen;
      if (gen === undefined) throw new AppendError('fenced', `the fence of lane ${lane.index} is gone`);
      lane.gen = gen;
      // A later statement, which sees what the orphan committed while the fence was waited for.
      const outcome = await look(client);
      lane.state = 'idle';
      return outcome;
    } catch (error) {
      const failure = error instanceof AppendError ? error : unavailable(error);
      // Without a fence nothing can be written any more, by us or by an orphan.
      lane.state = failure.outcome === 'fenced' ? 'idle' : 'unresolved';
      if (failure.outcome !== 'fenced') disconnect(lane);
      throw failure;
    }
  }

  async load(refs: readonly ActorRef[]): Promise<LoadedActor[]> {
    return await this.#reader.load(refs);
  }

  async tail(ref: ActorRef, afterSeq: number): Promise<{ events: EventRow[]; more: boolean }> {
    return await this.#reader.tail(ref, afterSeq);
  }

  async answer(ref: ActorRef, keyHash: string): Promise<RecordedAnswer | null> {
    return await this.#reader.answer(ref, keyHash);
  }

  async dueTimers(
    now: number,
    shards: readonly number[] | null,
    limit: number,
  ): Promise<(ActorRef & { due: number })[]> {
    return await this.#reader.dueTimers(now, shards, limit);
  }

  /** The generation under which a lane writes now, for other statements under its fence. */
  generation(lane: number): number {
    return this.#lanes[lane]?.gen ?? 0;
  }

  /** Closes the lanes' connections; an append still on its way becomes `unknown`. The pool is its owner's to close. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#lanes.map((lane) => lane.client?.end()));
  }

  #lane(index: number): Lane {
    const lane = this.#lanes[index];
    if (lane === undefined) throw new Error(`there is no lane ${index}`);
    if (this.#closed) throw new AppendError('unavailable', 'the journal is closed');
    return lane;
  }

  #writer(lane: Lane): Writer {
    return { incarnation: this.#options.incarnation, lane: lane.index, gen: lane.gen };
  }

  #encode(lane: Lane, batch: Batch): unknown[] {
    const values = (() => {
      try {
        const encode = isOnlyEvents(batch) ? encodeOnlyEvents : encodeAppend;
        return encode(lane.arrays, this.#writer(lane), batch);
      } catch (error) {
        throw new AppendError('refused', error instanceof Error ? error.message : String(error), error);
      }
    })();
    if (lane.arrays.bytes > this.#options.batchBytesMax) {
      throw new AppendError('refused', `a batch of ${lane.arrays.bytes} bytes is too large`);
    }
    return values;
  }

  /** Rejects with what the outcome proves. */
  async #send(client: pg.Client, statement: pg.QueryConfig): Promise<void> {
    try {
      await client.query(statement);
    } catch (error) {
      throw outcomeOfSent(error);
    }
  }

  async #connected(lane: Lane): Promise<pg.Client> {
    if (lane.client !== null) return lane.client;
    const { database, incarnation } = this.#options;
    const client = new pg.Client(
      connectionConfig({
        ...database.options,
        applicationName: incarnation,
        settings: LANE_SETTINGS,
      }),
    );
    const lost = (error?: Error): void => {
      if (lane.client !== client) return;
      lane.client = null;
      if (!this.#closed)
        database.options.log('lane_connection_lost', { lane: lane.index, error: error?.message ?? 'closed' });
    };
    client.on('error', lost);
    client.on('end', () => lost());
    try {
      await client.connect();
    } catch (error) {
      throw unavailable(error);
    }
    watchSilence(client, database.options.statementTimeoutMs);
    lane.client = client;
    return client;
  }
}

/**
 * Whether the batch is there, by one row that only it can have written. A batch with neither events nor answers says
 * `void`: everything else in it may be written twice without a difference, and nobody was told anything that rests on it.
 */
async function witness(client: pg.Client, batch: Batch): Promise<'committed' | 'void'> {
  const event = batch.events[0];
  const answer = batch.answers[0];
  const found = await (async () => {
    if (event !== undefined) {
      return await client.query(
        'SELECT FROM journal WHERE type = $1 AND id = $2 AND seq = $3 AND epoch = $4 AND at = $5 AND payload = $6',
        [event.type, event.id, event.seq, event.epoch, event.at, event.payload],
      );
    }
    if (answer !== undefined) {
      return await client.query(
        'SELECT FROM answer WHERE type = $1 AND id = $2 AND key_hash = $3 AND at = $4 AND payload = $5',
        [answer.type, answer.id, answer.keyHash, answer.at, answer.payload],
      );
    }
    return null;
  })();
  return found !== null && found.rowCount === 1 ? 'committed' : 'void';
}

function callOf(name: string, parameters: readonly (readonly [name: string, type: string])[]): string {
  return `SELECT ${name}(${parameters.map(([, type], index) => `$${index + 1}::${type}`).join(', ')})`;
}

function disconnect(lane: Lane): void {
  const client = lane.client;
  lane.client = null;
  if (client !== null) socketOf(client).destroy();
}
