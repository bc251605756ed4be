/**
 * Brings actors into memory. What is asked for in one turn of the event loop goes to the journal in one call, with
 * permits for how many calls run at once, so that a crowd after a restart does not turn into a storm of small reads.
 * A history is replayed from the last snapshot on, page by page. One that cannot be read is told apart from a database
 * that cannot be reached: the first is the actor's own misfortune and lasting, the second is everyone's and passes.
 */
import type { Cell } from './cell.ts';
import type { Clock } from './clock.ts';
import { decodeRow, decodeSnapshot } from './codec.ts';
import { Fifo } from './fifo.ts';
import { KeyTable } from './idempotency.ts';
import type { EventRow, Journal, LoadedActor } from './journal.ts';
import type { Limits } from './limits.ts';
import type { Stats } from './metrics.ts';

export interface ActivationHost {
  /** The cell holds its committed state. */
  loaded(cell: Cell): void;
  /** The history is there and cannot be read. */
  unreadable(cell: Cell, cause: unknown): void;
  /** The history could not be fetched. */
  unreachable(cell: Cell, cause: unknown): void;
}

export class Activation {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #stats: Stats;
  readonly #host: ActivationHost;
  readonly #waiting = new Fifo<Cell>();
  #scheduled = false;
  #calls = 0;

  constructor(journal: Journal, clock: Clock, limits: Limits, stats: Stats, host: ActivationHost) {
    this.#journal = journal;
    this.#clock = clock;
    this.#limits = limits;
    this.#stats = stats;
    this.#host = host;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Loads the cell (in state `loading`) with others asked for in this turn. */
  request(cell: Cell): void {
    this.#waiting.push(cell);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.schedule(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#calls < this.#limits.loadCalls && this.#waiting.length > 0) {
      const cells: Cell[] = [];
      while (cells.length < this.#limits.loadBatch) {
        const cell = this.#waiting.shift();
        if (cell === undefined) break;
        if (cell.status === 'loading') cells.push(cell);
      }
      if (cells.length > 0) void this.#load(cells);
    }
  }

  async #load(cells: readonly Cell[]): Promise<void> {
    this.#calls++;
    try {
      let actors: LoadedActor[];
      try {
        actors = await this.#journal.load(cells.map((cell) => ({ type: cell.type, id: cell.id })));
      } catch (cause) {
        for (const cell of cells) if (cell.status === 'loading') this.#host.unreachable(cell, cause);
        return;
      }
      const long: Cell[] = [];
      for (const [index, cell] of cells.entries()) {
        const actor = actors[index];
        if (cell.status !== 'loading' || actor === undefined || !this.#restore(cell, actor)) continue;
        if (actor.more) long.push(cell);
        else this.#host.loaded(cell);
      }
      // Long histories last: nobody waits behind another actor's pages.
      for (const cell of long) if (await this.#replayTail(cell)) this.#host.loaded(cell);
    } finally {
      this.#calls--;
      this.#pump();
    }
  }

  #restore(cell: Cell, actor: LoadedActor): boolean {
    try {
      restoreSnapshot(cell, actor);
      this.#replay(cell, actor.events);
      this.#stats.activations++;
      return true;
    } catch (cause) {
      this.#host.unreadable(cell, cause);
      return false;
    }
  }

  async #replayTail(cell: Cell): Promise<boolean> {
    for (;;) {
      let page: { events: EventRow[]; more: boolean };
      try {
        page = await this.#journal.tail({ type: cell.type, id: cell.id }, cell.seq);
      } catch (cause) {
        if (cell.status === 'loading') this.#host.unreachable(cell, cause);
        return false;
      }
      if (cell.status !== 'loading') return false;
      try {
        if (page.more && page.events.length === 0) throw new Error('an empty page with more behind it');
        this.#replay(cell, page.events);
      } catch (cause) {
        this.#host.unreadable(cell, cause);
        return false;
      }
      if (!page.more) return true;
    }
  }

  #replay(cell: Cell, rows: readonly EventRow[]): void {
    for (const row of rows) applyRow(cell, row);
    this.#stats.replays += rows.length;
  }
}

/** State, keys and sequence as of the snapshot, or those of an actor without history. Throws where it cannot be read. */
function restoreSnapshot(cell: Cell, actor: LoadedActor): void {
  const { definition } = cell.kind;
  const { snapshot } = actor;
  cell.storedDue = actor.timerDue ?? 0;
  if (snapshot === null) {
    cell.state = definition.initial(cell.id);
    return;
  }
  checkVersion(cell, snapshot.version);
  const decoded = decodeSnapshot(snapshot.payload);
  cell.state = definition.restore(cell.id, decoded.state);
  cell.keys = KeyTable.fromArray(decoded.keys);
  cell.now = decoded.nowMs;
  cell.seq = snapshot.seq;
  cell.snapshotSeq = snapshot.seq;
  cell.snapshotBytes = snapshot.payload.length;
}

function applyRow(cell: Cell, row: EventRow): void {
  if (row.seq !== cell.seq + 1) throw new Error(`sequence ${row.seq} after ${cell.seq}`);
  checkVersion(cell, row.version);
  const decoded = decodeRow(row.payload);
  if (decoded.event !== null) {
    cell.state = cell.kind.definition.apply(cell.state, decoded.event, row.version, row.seq);
  }
  if (decoded.keyHash !== undefined) {
    cell.keys ??= new KeyTable();
    cell.keys.restore(decoded.keyHash, row.seq, decoded.nowMs);
  }
  cell.seq = row.seq;
  cell.tailBytes += row.payload.length;
  if (row.at > cell.now) cell.now = row.at;
}

function checkVersion(cell: Cell, version: number): void {
  const known = cell.kind.definition.eventVersion;
  if (version > known) throw new Error(`written in version ${version}, of which this program knows ${known}`);
}

/** An actor that has no history yet, by word of whoever made its id: nothing is loaded. */
export function startFresh(cell: Cell): void {
  cell.state = cell.kind.definition.initial(cell.id);
  cell.status = 'active';
}
