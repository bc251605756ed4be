/**
 * The simulated PostgreSQL: one server, its committed rows, its row locks, and the ways in which a statement's sender fails to hear how it
 * ended. What statements there are is in `journal.ts` and `member-store.ts` beside this.
 *
 * A statement (or a transaction; the difference is not seen from outside):
 * - `travelling` from its sender to the server; lost on the way, late by seconds, or refused because nobody is there;
 * - `waiting` for a row lock that another holds, in the order of asking;
 * - `working` with all its locks, for a while; what it decided by then stays true, because of the locks;
 * - `committed`: its writes are seen at once and together; or `aborted` (an error of its own, the server gone, its backend ended by a
 *   taker): nothing is. Its locks are free in either case.
 * The sender hears of it by an answer, which may be lost. A sender that ends or gives up does not stop its statement: the server
 * finds out only when it answers. That is the orphan against which `resolve` raises generations.
 *
 * A read sees what is committed when it is done, not when it was sent. There are no deadlocks: all lock in the order members, fences.
 */

import { MemoryStore } from '../runtime/memory.ts';
import { MemberTables } from '../runtime/memory-members.ts';
import type { Weather } from './faults.ts';
import type { Random } from './random.ts';
import { type Scheduler, SimProcess, type Timer } from './scheduler.ts';

/** `share` only keeps an `exclusive` one out (KEY SHARE); `update` also keeps out its like (an UPDATE of no key). */
export type LockMode = 'share' | 'update' | 'exclusive';

export interface Lock {
  readonly row: string;
  readonly mode: LockMode;
}

/**
 * What the server does: yields the locks that it needs, one after the other, and may look at the rows in between; returns what is done at the
 * commit. Throws what the sender is to be told: nothing is written then.
 */
export type Work<T> = () => Generator<Lock, () => T, void>;

/** Work that takes these locks, and does the rest at its commit. */
export function under<T>(locks: Iterable<Lock>, last: () => T): Work<T> {
  return function* () {
    yield* locks;
    return last;
  };
}

export interface Sent<T> {
  readonly work: Work<T>;
  /** Without it a full disk and a bad batch are nothing to it. */
  readonly writes: boolean;
  /** The sender gives up after this. */
  readonly timeoutMs: number;
  /** Where it waits longer than half a second for a lock, the backends of these that hold it are ended. */
  readonly impatientWith?: readonly string[];
}

/** Not sent: nobody was there. */
export class Unreachable extends Error {}
/** Sent, and no answer: done, still to be done, or never. */
export class NoAnswer extends Error {}
/** The server has no place to write. */
export class DiskFull extends Error {}

/** Who sends: a node's process, under the name of its incarnation. */
export interface Sender {
  readonly process: SimProcess;
  readonly node: string;
  /** As the connection is named; empty where it has joined nothing yet. */
  readonly incarnation: string;
}

interface Backend {
  readonly sender: Sender;
  state: 'travelling' | 'waiting' | 'working' | 'over';
  readonly held: Lock[];
  /** Ends it: nothing is written, and the sender hears nothing. */
  abort(): void;
}

interface Row {
  readonly holders: Map<Backend, LockMode>;
  readonly waiting: { readonly backend: Backend; readonly mode: LockMode; readonly go: () => void }[];
}

/** How long a statement may wait or work before the server cancels it, as of members' connections (`schema/members.ts`). */
export const STATEMENT_MS = 5_000;
const PATIENCE_MS = 500;
const EPOCH_MS = 1_700_000_000_000;

/** What the connections of a member for itself are named (`schema/takeover.ts`). */
export function membershipName(incarnation: string): string {
  return `${incarnation}#m`;
}

export class SimDatabase {
  readonly process = new SimProcess('database');
  readonly store = new MemoryStore();
  readonly tables = new MemberTables();
  /** Generations of the fences, by `<incarnation>/<lane>`; the first is 1. */
  readonly generations = new Map<string, number>();
  /** How far its clock has been set off. */
  clockOffsetMs = 0;
  /** How many statements were committed. */
  commits = 0;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #rows = new Map<string, Row>();
  readonly #backends = new Set<Backend>();
  #up = true;

  constructor(scheduler: Scheduler, random: Random, weather: Weather) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#weather = weather;
  }

  /** By its own clock. */
  now(): number {
    return EPOCH_MS + this.#scheduler.now + this.clockOffsetMs;
  }

  /** Whoever is at work is rolled back; nobody gets in. */
  goAway(): void {
    this.#up = false;
    for (const backend of [...this.#backends]) backend.abort();
  }

  comeBack(): void {
    this.#up = true;
  }

  /** For tests: somebody holds the row, which must be free, until that promise is resolved. */
  hold(row: string, until: Promise<void>): void {
    const sender = { process: this.process, node: '', incarnation: '' };
    const backend: Backend = { sender, state: 'working', held: [], abort: () => {} };
    this.#lock(backend, { row, mode: 'exclusive' }, () => {}, []);
    void until.then(() => this.#over(backend));
  }

  /** Rejects with what its work throws, `DiskFull`, `Unreachable` or `NoAnswer`. */
  run<T>(sender: Sender, sent: Sent<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const random = this.#random;
      const { node, process } = sender;
      if (!process.acts()) return;
      const weather = (kind: 'connections_lost' | 'orphans' | 'answers_lost'): boolean =>
        random.chance(this.#weather.strength(kind, node) * 0.5);
      const timer = this.#scheduler.after(sent.timeoutMs, process, () => reject(new NoAnswer('timed out')));
      /** The sender hears nothing but that, unless the time is over. */
      const tell = (delayMs: number, what: () => void): void => {
        this.#scheduler.after(delayMs, process, () => {
          timer.cancel();
          what();
        });
      };
      const wayMs = (): number => random.between(0.05, 0.4) * (random.chance(0.02) ? 20 : 1);
      if (!this.#up || this.#weather.strength('database_unreachable', node) > 0) {
        tell(wayMs(), () => reject(new Unreachable('nobody is there')));
        return;
      }
      const cutOff = weather('connections_lost') || weather('orphans');
      const noAnswer = cutOff || weather('answers_lost');
      if (cutOff) tell(random.delay(20), () => reject(new NoAnswer('the connection was lost')));
      // A part of what is cut off never arrives, a part much later.
      const late = cutOff && this.#weather.strength('orphans', node) > 0;
      if (late && random.chance(0.2)) return;
      const backend: Backend = { sender, state: 'travelling', held: [], abort: () => lost() };
      const answer = (what: () => void): void => {
        if (!noAnswer) tell(wayMs(), what);
        else if (!cutOff && random.chance(0.5)) tell(wayMs(), () => reject(new NoAnswer('the answer was lost')));
      };
      const lost = (): void => {
        if (backend.state === 'over') return;
        this.#over(backend);
        if (!noAnswer) tell(wayMs(), () => reject(new NoAnswer('the server ended the connection')));
      };
      this.#backends.add(backend);
      const arriveMs = late && random.chance(0.5) ? random.delay(1_500) : wayMs();
      const wouldTakeMs = this.#workMs(sent.writes) + (late && random.chance(0.5) ? random.delay(1_500) : 0);
      // The server cancels what takes longer (`statement_timeout`); what ends just in time is as bad.
      const workMs = Math.min(wouldTakeMs, STATEMENT_MS);
      // What only reads sees what is committed when it is done: its way and its work are one event.
      const [first, then] = sent.writes ? [arriveMs, workMs] : [arriveMs + workMs, 0];
      this.#scheduler.after(first, this.process, () => this.#begin(backend, sent, then, answer, resolve, reject));
    });
  }

  #workMs(writes: boolean): number {
    const slow = this.#weather.strength('database_slow', 'database');
    const base = this.#random.between(0.05, 0.3) + (writes ? this.#random.between(0.2, 1.5) : 0);
    return base + (slow > 0 ? this.#random.delay(slow * 400) : 0);
  }

  #begin<T>(
    backend: Backend,
    { work, writes, impatientWith }: Sent<T>,
    workMs: number,
    answer: (what: () => void) => void,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ): void {
    if (backend.state === 'over') return;
    const fail = (error: unknown): void => {
      this.#over(backend);
      answer(() => reject(error));
    };
    const commit = (last: () => T): void => {
      if (backend.state === 'over') return;
      if (writes && this.#random.chance(this.#weather.strength('disk_full', 'database'))) {
        fail(new DiskFull('no space left'));
        return;
      }
      try {
        const value = last();
        this.commits++;
        this.#over(backend);
        answer(() => resolve(value));
      } catch (error) {
        fail(error);
      }
    };
    const steps = work();
    const step = (): void => {
      if (backend.state === 'over') return;
      try {
        const next = steps.next();
        if (next.done === true) {
          backend.state = 'working';
          if (workMs === 0) commit(next.value);
          else this.#scheduler.after(workMs, this.process, () => commit(next.value));
        } else {
          backend.state = 'waiting';
          this.#lock(backend, next.value, step, impatientWith ?? []);
        }
      } catch (error) {
        fail(error);
      }
    };
    step();
  }

  #lock(backend: Backend, lock: Lock, go: () => void, impatientWith: readonly string[]): void {
    let row = this.#rows.get(lock.row);
    if (row === undefined) {
      row = { holders: new Map(), waiting: [] };
      this.#rows.set(lock.row, row);
    }
    backend.held.push(lock);
    if (row.waiting.length === 0 && isFree(row, backend, lock.mode)) {
      row.holders.set(backend, strongest(row.holders.get(backend), lock.mode));
      go();
      return;
    }
    let patience: Timer | null = null;
    const limit = this.#scheduler.after(STATEMENT_MS, this.process, () => backend.abort());
    const waiting = {
      backend,
      mode: lock.mode,
      go: () => {
        limit.cancel();
        patience?.cancel();
        go();
      },
    };
    row.waiting.push(waiting);
    if (impatientWith.length > 0) {
      const blocked = row;
      const endThem = (): void => {
        if (!blocked.waiting.includes(waiting)) return;
        for (const holder of [...blocked.holders.keys()]) {
          const { incarnation } = holder.sender;
          if (impatientWith.some((one) => incarnation === one || incarnation === membershipName(one))) holder.abort();
        }
        if (blocked.waiting.includes(waiting)) patience = this.#scheduler.after(PATIENCE_MS, this.process, endThem);
      };
      patience = this.#scheduler.after(PATIENCE_MS, this.process, endThem);
    }
  }

  /** Its locks go to who waits for them. */
  #over(backend: Backend): void {
    backend.state = 'over';
    this.#backends.delete(backend);
    const rows = new Set(backend.held.map((lock) => lock.row));
    for (const name of rows) {
      const row = this.#rows.get(name);
      if (row === undefined) continue;
      row.holders.delete(backend);
      for (let i = row.waiting.length - 1; i >= 0; i--) {
        if (row.waiting[i]?.backend === backend) row.waiting.splice(i, 1);
      }
      for (let next = row.waiting[0]; next !== undefined; next = row.waiting[0]) {
        if (!isFree(row, next.backend, next.mode)) break;
        row.waiting.shift();
        row.holders.set(next.backend, next.mode);
        next.go();
      }
      if (row.holders.size === 0 && row.waiting.length === 0) this.#rows.delete(name);
    }
  }
}

function isFree(row: Row, asking: Backend, mode: LockMode): boolean {
  for (const [holder, held] of row.holders) {
    if (holder !== asking && conflicts(held, mode)) return false;
  }
  return true;
}

function conflicts(a: LockMode, b: LockMode): boolean {
  if (a === 'exclusive' || b === 'exclusive') return true;
  return a === 'update' && b === 'update';
}

function strongest(a: LockMode | undefined, b: LockMode): LockMode {
  if (a === 'exclusive' || b === 'exclusive') return 'exclusive';
  return a === 'update' || b === 'update' ? 'update' : 'share';
}
