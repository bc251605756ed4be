/**
 * One lane of the journal: takes the entries that decisions leave, writes them in batches with one append in flight, and
 * says of each entry how it ended. Actors stay on one lane, so the order of their entries is the order of their commits.
 */
import { assemble, canBeWritten, cut, endsBatch, entriesOf, hasFuture } from './batch.ts';
import type { Entry } from './cell.ts';
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import { Fifo } from './fifo.ts';
import type { Batch, Gift, GivingJournal, Journal } from './journal.ts';
import { AppendError } from './journal.ts';
import type { Limits } from './limits.ts';
import type { Stats } from './metrics.ts';

export interface LaneHost {
  /** The part goes to the journal for the first time, at this monotonic time. */
  sending(part: readonly Entry[], at: number): void;
  /** The part is durable, in this order. */
  committed(part: readonly Entry[]): void;
  /** The part is definitely not durable and never will be: its actors leave memory with all they have queued. */
  failed(part: readonly Entry[], fault: Fault): void;
  /** An entry that never reached the journal, because its actor failed before. */
  dropped(entry: Entry): void;
  fenced(): void;
  /** The lane has nothing left. */
  idle(): void;
  report(event: string, detail: Readonly<Record<string, unknown>>): void;
}

/** Idle time, of an append's, from which on it was waited for. */
const IDLE_SHARE = 0.1;
export type LaneState = 'idle' | 'gathering' | 'writing' | 'giving' | 'retrying' | 'resolving' | 'closed';

/**
 * How a gift ended: `given`; or not, and never to be: `refused` by the journal, `void` (lost on its way), `away` (the journal could
 * not be reached in time). `closed`: the lane is, and nothing is known.
 */
export type GiftOutcome = 'given' | 'refused' | 'void' | 'away' | 'closed';

/** A gift that waits for its turn. */
interface Waiting {
  readonly gift: Gift;
  readonly journal: GivingJournal;
  /** How many entries this lane will have taken from its queue when those have gone that were there before the gift. */
  readonly after: number;
  /** On the monotonic clock: not tried again later than this. */
  readonly deadline: number;
  readonly ended: (outcome: GiftOutcome) => void;
}

/**
 * States:
 * - `idle`: nothing queued. `enqueue` → `gathering`.
 * - `gathering`: a flush is scheduled for the next turn of the event loop, so that one turn's decisions share a batch.
 * - `writing`: an append is in flight. Success → its gate opens, and at once the next batch, or `idle`. Where the event loop had to wait
 *   for it, the next is sent first; where the loop was busy all the time, answers first, which lets batches grow (see bench/NOTES.md).
 *   `refused` → the batch is cut in two and each half is written alone, in order, down to the decision (or unit of decisions, see
 *   `carry.ts`) that is at fault: it fails, its actors leave memory, the rest commits.
 * - `giving`: a gift of shards is in flight, in the place of an append. It has its turn after the entries that were queued before
 *   it, and waits as they do for what is `retrying` or `resolving`, which a gift can come to as well.
 * - `retrying`: the journal said `unavailable`: the same batch is tried again with back-off; nothing of it was written.
 * - `resolving`: the outcome is unknown. Nothing is reloaded and nothing further written until `resolve` says `committed`
 *   (the gate opens) or `void` (the part fails); asked again with back-off while the database is away.
 * - `closed`: fenced, or stopped. Nothing is said any more.
 *
 * `retrying` and `resolving` last as long as the database is away; after `laneAwayMs` of it (or where one append has been
 * out for `laneStuckMs`), `refusal` turns away what would have to wait here.
 */
export class Lane {
  readonly index: number;
  state: LaneState = 'idle';
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #stats: Stats;
  readonly #host: LaneHost;
  readonly #queue = new Fifo<Entry>();
  /** What is left of a batch that is being cut up, next part last. */
  readonly #parts: Entry[][] = [];
  readonly #gifts = new Fifo<Waiting>();
  /** Entries taken from the queue so far. */
  #taken = 0;
  /** Durable, and let out as soon as the next part is on its way. */
  #unopened: Entry[] | null = null;
  #awaySince = Number.POSITIVE_INFINITY;
  #sentAt = Number.POSITIVE_INFINITY;

  constructor(index: number, journal: Journal, clock: Clock, limits: Limits, stats: Stats, host: LaneHost) {
    this.index = index;
    this.#journal = journal;
    this.#clock = clock;
    this.#limits = limits;
    this.#stats = stats;
    this.#host = host;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get quiet(): boolean {
    return this.state === 'idle' || this.state === 'closed';
  }

  /** Why this lane takes nothing further now, if so. To be asked before a decision is applied: an applied one must be enqueued. */
  refusal(monotonic: number): Fault | null {
    if (monotonic - this.#sentAt > this.#limits.laneStuckMs || monotonic - this.#awaySince > this.#limits.laneAwayMs) {
      return new Fault('database_unavailable', 'the journal cannot be reached', {
        retryAfterMs: this.#limits.laneRetryMaxMs,
      });
    }
    if (this.#queue.length >= this.#limits.laneLimit) {
      return new Fault('overloaded', 'the journal is behind', { retryAfterMs: 1000 });
    }
    return null;
  }

  enqueue(entry: Entry): void {
    this.#queue.push(entry);
    if (this.state === 'idle') this.#gather();
  }

  /** Writes what is queued now, where the lane is free, instead of in the next turn of the event loop. */
  flush(): void {
    if (this.state === 'gathering') void this.#run();
  }

  /** Gives shards away in their turn. No entry of theirs may be queued any more, nor come before the outcome. */
  give(journal: GivingJournal, gift: Gift, deadline: number): Promise<GiftOutcome> {
    return new Promise((ended) => {
      if (this.#closed()) {
        ended('closed');
        return;
      }
      this.#gifts.push({ gift, journal, after: this.#taken + this.#queue.length, deadline, ended });
      if (this.state === 'idle') this.#gather();
    });
  }

  close(): void {
    this.state = 'closed';
    this.#queue.drain();
    this.#parts.length = 0;
    this.#unopened = null;
    for (const { ended } of this.#gifts.drain()) ended('closed');
  }

  #gather(): void {
    this.state = 'gathering';
    this.#clock.schedule(() => {
      if (this.state === 'gathering') void this.#run();
    });
  }

  async #run(): Promise<void> {
    for (;;) {
      const gift = this.#giftInTurn();
      if (gift !== undefined) {
        this.#open();
        await this.#give(gift);
      } else {
        const part = this.#take();
        if (part !== null) await this.#write(part);
        else if (!this.#open() && this.#gifts.length === 0) break;
      }
      if (this.#closed()) return;
    }
    this.state = 'idle';
    this.#host.idle();
  }

  /** Opens the gate that waits, if one does. */
  #open(): boolean {
    const part = this.#unopened;
    this.#unopened = null;
    if (part !== null) this.#host.committed(part);
    return part !== null;
  }

  #giftInTurn(): Waiting | undefined {
    const next = this.#gifts.peek();
    if (next === undefined || this.#parts.length > 0 || this.#taken < next.after) return undefined;
    return this.#gifts.shift();
  }

  /** The state may have changed during an await; a method of its own, so that the compiler does not assume otherwise. */
  #closed(): boolean {
    return this.state === 'closed';
  }

  /** The next part to write, without what its actor's failure has made void; null when there is nothing. */
  #take(): Entry[] | null {
    for (let rest = this.#parts.pop(); rest !== undefined; rest = this.#parts.pop()) {
      const alive: Entry[] = [];
      for (let at = 0; at < rest.length; at += rest[at]?.unit?.entries.length ?? 1) {
        const entry = rest[at] as Entry;
        if (canBeWritten(entry)) alive.push(...entriesOf(entry));
        else if (endsBatch(entry, alive)) {
          this.#parts.push(rest.slice(at));
          return alive;
        } else this.#void(entry);
      }
      if (alive.length > 0) return alive;
    }
    const part: Entry[] = [];
    let rows = 0;
    let bytes = 0;
    for (let entry = this.#queue.peek(); entry !== undefined; entry = this.#queue.peek()) {
      const entries = entriesOf(entry);
      const alive = canBeWritten(entry);
      if (!alive && endsBatch(entry, part)) break;
      if (alive) {
        for (const member of entries) {
          rows += 1 + member.rows.length;
          bytes += member.bytes;
        }
        if (part.length > 0 && (rows > this.#limits.batchRows || bytes > this.#limits.batchBytes)) break;
      }
      // A unit stands in the queue as it is in itself.
      for (const member of entries) {
        this.#queue.shift();
        if (alive) part.push(member);
      }
      this.#taken += entries.length;
      if (!alive) this.#void(entry);
    }
    return part.length === 0 ? null : part;
  }

  /** Fails an entry, or the unit that it begins, with its actors: it can no longer be written. */
  #void(first: Entry): void {
    for (const entry of entriesOf(first)) {
      if (hasFuture(entry.cell))
        this.#host.failed([entry], new Fault('database_unavailable', 'what it rests on was not written'));
      else this.#host.dropped(entry);
    }
  }

  async #write(part: Entry[]): Promise<void> {
    const batch = assemble(this.index, part);
    this.#host.sending(part, this.#clock.monotonic());
    for (let attempt = 0; !this.#closed(); attempt++) {
      this.state = 'writing';
      const sent = this.#clock.monotonic();
      const idleBefore = this.#clock.idleMs?.() ?? 0;
      const sending = this.#send(() => this.#journal.append(batch));
      this.#open();
      const error = await sending;
      if (this.#closed()) return;
      const outMs = this.#clock.monotonic() - sent;
      this.#stats.commitUs += outMs * 1000;
      if (error === null) {
        this.#succeed(part, batch, (this.#clock.idleMs?.() ?? 0) - idleBefore > outMs * IDLE_SHARE);
        return;
      }
      switch (error.outcome) {
        case 'refused':
          this.#refused(part, error);
          return;
        case 'fenced':
          this.#host.fenced();
          return;
        case 'unknown':
          this.#stats.batchesUnknown++;
          this.#host.report('append_unknown', { lane: this.index, entries: part.length, error: error.message });
          switch (await this.#resolve(() => this.#journal.resolve(batch))) {
            case 'committed':
              this.#succeed(part, batch, false);
              return;
            case 'void':
              this.#stats.batchesVoid++;
              this.#host.failed(part, new Fault('database_unavailable', 'the write was lost with its connection'));
              return;
            case 'closed':
              return;
          }
          break;
        case 'unavailable':
          this.#stats.batchesUnavailable++;
          await this.#retry(attempt, sent, error);
      }
    }
  }

  async #give({ gift, journal, deadline, ended }: Waiting): Promise<void> {
    for (let attempt = 0; !this.#closed(); attempt++) {
      this.state = 'giving';
      const sent = this.#clock.monotonic();
      const error = await this.#send(() => journal.give(gift));
      const outcome = this.#closed() ? 'closed' : await this.#giftOutcome(error, gift, journal);
      if (outcome !== 'away') this.#awaySince = Number.POSITIVE_INFINITY;
      if (outcome !== 'away' || sent >= deadline) {
        ended(outcome);
        return;
      }
      await this.#retry(attempt, sent, error);
    }
    ended('closed');
  }

  async #giftOutcome(error: AppendError | null, gift: Gift, journal: GivingJournal): Promise<GiftOutcome> {
    switch (error?.outcome) {
      case undefined:
        return 'given';
      case 'refused':
        return 'refused';
      case 'unavailable':
        return 'away';
      case 'fenced':
        this.#host.fenced();
        return 'closed';
      case 'unknown': {
        this.#host.report('gift_unknown', { lane: this.index, error: error?.message });
        const outcome = await this.#resolve(() => journal.resolveGift(gift));
        return outcome === 'committed' ? 'given' : outcome;
      }
    }
  }

  /** Null: done. Anything thrown that does not say what became of the statement leaves it unknown. */
  async #send(statement: () => Promise<void>): Promise<AppendError | null> {
    this.#sentAt = this.#clock.monotonic();
    try {
      await statement();
      return null;
    } catch (error) {
      return error instanceof AppendError ? error : new AppendError('unknown', String(error), error);
    } finally {
      this.#sentAt = Number.POSITIVE_INFINITY;
    }
  }

  async #resolve(ask: () => Promise<'committed' | 'void'>): Promise<'committed' | 'void' | 'closed'> {
    this.state = 'resolving';
    this.#away(this.#clock.monotonic());
    for (let attempt = 0; !this.#closed(); attempt++) {
      try {
        const outcome = await ask();
        if (this.#closed()) break;
        this.#awaySince = Number.POSITIVE_INFINITY;
        return outcome;
      } catch (error) {
        if (this.#closed()) break;
        if (error instanceof AppendError && error.outcome === 'fenced') {
          this.#host.fenced();
          break;
        }
      }
      await this.#backOff(attempt);
    }
    return 'closed';
  }

  async #retry(attempt: number, since: number, error: AppendError | null): Promise<void> {
    this.state = 'retrying';
    this.#away(since);
    if (attempt === 0) this.#host.report('journal_away', { lane: this.index, error: error?.message });
    await this.#backOff(attempt);
  }

  /** @param waited the event loop did, for this append */
  #succeed(part: Entry[], batch: Batch, waited: boolean): void {
    this.#awaySince = Number.POSITIVE_INFINITY;
    this.#stats.batches++;
    this.#stats.entries += part.length;
    this.#stats.rows += batch.events.length;
    this.#stats.timerRows += batch.timers.length;
    this.#stats.snapshots += batch.snapshots.length;
    if (waited) this.#unopened = part;
    else this.#host.committed(part);
  }

  #refused(part: Entry[], error: AppendError): void {
    this.#awaySince = Number.POSITIVE_INFINITY;
    this.#stats.batchesRefused++;
    const halves = cut(part);
    if (halves !== null) {
      this.#parts.push(halves[1], halves[0]);
      return;
    }
    const culprit = part[0]?.cell;
    this.#host.report('append_refused', { type: culprit?.type, id: culprit?.id, error: error.message });
    this.#host.failed(
      part,
      new Fault('rejected', 'the journal refused this change', { retryable: false, cause: error }),
    );
  }

  #away(since: number): void {
    if (this.#awaySince === Number.POSITIVE_INFINITY) this.#awaySince = since;
  }

  #backOff(attempt: number): Promise<void> {
    const { laneRetryMinMs, laneRetryMaxMs } = this.#limits;
    const delayMs = Math.min(laneRetryMaxMs, laneRetryMinMs * 2 ** Math.min(attempt, 16));
    return new Promise((resolve) => {
      this.#clock.setTimeout(resolve, delayMs);
    });
  }
}
