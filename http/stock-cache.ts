/**
 * This node's copy of stock levels: what the feed sends, and what pages and carts show without asking an actor.
 *
 * It is fed by committed projections as they happen, by other nodes' news of theirs (`stock-news.ts`), and by the read table: a sku
 * that is missing or was not looked at for `maxAgeMs` is loaded when asked for, and the ones that are followed are compared with the
 * table every `refreshMs`, so that a projection that never arrived (its owner died after the commit, or its news were lost) costs at
 * most that long. A version only grows here: a row that is older than the copy changes nothing, wherever it comes from. Followed skus
 * stay; of the rest the least recently used go.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../runtime/clock.ts';
import type { ProjectionRow } from '../runtime/journal.ts';

export interface StockEntry {
  readonly available: number;
  /** The sku actor's sequence; 0 for a sku that has no stock yet. */
  readonly version: number;
}

export interface StockRow extends StockEntry {
  readonly sku: string;
}

export interface StockCacheOptions {
  /** Reads the table; skus without a row are left out. At most `loadLimit` skus a call, one call at a time. */
  readonly load: (skus: readonly string[]) => Promise<readonly StockRow[]>;
  readonly clock: Clock;
  /** Skus kept besides the followed ones. Default 100,000. */
  readonly limit?: number;
  /** How old an answer of `ensure` may be, in milliseconds. Default 2,000. */
  readonly maxAgeMs?: number;
  /** Pause between two comparisons of followed skus, in milliseconds. Default 2,000. */
  readonly refreshMs?: number;
  /** Default 1,000. */
  readonly loadLimit?: number;
  /** Told of a failed comparison; the next one follows. */
  readonly onError?: (error: unknown) => void;
}

export type StockListener = (sku: string, entry: StockEntry) => void;

interface Kept {
  entry: StockEntry;
  /** Monotonic time at which the copy was last known to be no older than the table. */
  checkedAt: number;
}

interface Load {
  readonly skus: Set<string>;
  readonly done: Promise<void>;
}

export class StockCache {
  readonly #load: StockCacheOptions['load'];
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #refreshMs: number;
  readonly #loadLimit: number;
  readonly #onError: (error: unknown) => void;
  readonly #others: LRUCache<string, Kept>;
  /** Followed skus with the number of followers; an entry is undefined until its first load. */
  readonly #followed = new Map<string, { followers: number; kept: Kept | undefined }>();
  readonly #listeners = new Set<StockListener>();
  #running: Load | undefined;
  #waiting: Load | undefined;
  #timer: { cancel(): void } | undefined;
  #closed = false;

  constructor(options: StockCacheOptions) {
    this.#load = options.load;
    this.#clock = options.clock;
    this.#maxAgeMs = options.maxAgeMs ?? 2_000;
    this.#refreshMs = options.refreshMs ?? 2_000;
    this.#loadLimit = options.loadLimit ?? 1_000;
    this.#onError = options.onError ?? (() => {});
    this.#others = new LRUCache({ max: options.limit ?? 100_000 });
  }

  /** The copy as it is, without looking at its age. */
  get(sku: string): StockEntry | undefined {
    return this.#kept(sku)?.entry;
  }

  /** Whether the copy is at most `maxAgeMs` old: `ensure` would resolve at once. */
  isFresh(sku: string): boolean {
    const kept = this.#kept(sku);
    return kept !== undefined && kept.checkedAt >= this.#clock.monotonic() - this.#maxAgeMs;
  }

  /** Takes a committed row of the read side; rows of other tables are ignored. */
  apply(row: ProjectionRow): void {
    if (row.table !== 'stock') return;
    const available = row.doc === null ? 0 : row.doc.available;
    if (typeof available === 'number') this.#put(row.key, { available, version: row.version });
  }

  /** Takes another node's news of a sku, where a copy of it is kept or wanted here. */
  hear(sku: string, entry: StockEntry): void {
    if (this.#followed.has(sku) || this.#others.has(sku)) this.#put(sku, entry);
  }

  /**
   * Resolves when a copy of each sku is there that is at most `maxAgeMs` old; one that has no row counts as version 0 with
   * nothing available. Callers of the same moment share a load. Rejects where the table cannot be read.
   */
  async ensure(skus: Iterable<string>): Promise<void> {
    const needed: string[] = [];
    for (const sku of skus) if (!this.isFresh(sku)) needed.push(sku);
    if (needed.length > 0) await this.reload(needed);
  }

  /** Reads the skus again, whatever their age: a row that was committed before the call is in the copy when this resolves. */
  async reload(skus: readonly string[]): Promise<void> {
    // The load that runs already may have read the table before this call.
    this.#waiting ??= this.#enqueue();
    for (const sku of skus) this.#waiting.skus.add(sku);
    await this.#waiting.done;
  }

  /** Keeps the sku and compares it with the table from now on, until `unfollow` was called as often. */
  follow(sku: string): void {
    const followed = this.#followed.get(sku);
    if (followed !== undefined) {
      followed.followers += 1;
      return;
    }
    this.#followed.set(sku, { followers: 1, kept: this.#others.get(sku) });
    this.#others.delete(sku);
  }

  unfollow(sku: string): void {
    const followed = this.#followed.get(sku);
    if (followed === undefined) return;
    followed.followers -= 1;
    if (followed.followers > 0) return;
    this.#followed.delete(sku);
    if (followed.kept !== undefined) this.#others.set(sku, followed.kept);
  }

  followed(): Iterable<string> {
    return this.#followed.keys();
  }

  /** Called at every newer version, in order for each sku; must not throw. */
  onChange(listener: StockListener): void {
    this.#listeners.add(listener);
  }

  /** Compares all followed skus with the table once. */
  async refresh(): Promise<void> {
    if (this.#followed.size > 0) await this.reload([...this.#followed.keys()]);
  }

  /** Compares every `refreshMs` until `close`. */
  start(): void {
    if (this.#closed || this.#timer !== undefined) return;
    const next = () => {
      this.#timer = this.#clock.setTimeout(() => {
        this.refresh()
          .catch(this.#onError)
          .finally(() => {
            if (!this.#closed) next();
          });
      }, this.#refreshMs);
    };
    next();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  get size(): number {
    return this.#others.size + this.#followed.size;
  }

  #kept(sku: string): Kept | undefined {
    const followed = this.#followed.get(sku);
    return followed === undefined ? this.#others.get(sku) : followed.kept;
  }

  #put(sku: string, entry: StockEntry): void {
    const checkedAt = this.#clock.monotonic();
    const kept = this.#kept(sku);
    if (kept === undefined) {
      const followed = this.#followed.get(sku);
      if (followed === undefined) this.#others.set(sku, { entry, checkedAt });
      else followed.kept = { entry, checkedAt };
    } else {
      if (entry.version <= kept.entry.version) return;
      kept.entry = entry;
      kept.checkedAt = checkedAt;
    }
    for (const listener of this.#listeners) listener(sku, entry);
  }

  #enqueue(): Load {
    const skus = new Set<string>();
    const before = this.#running?.done.catch(() => {}) ?? Promise.resolve();
    const load: Load = {
      skus,
      done: before.then(async () => {
        this.#running = load;
        this.#waiting = undefined;
        try {
          await this.#read([...skus]);
        } finally {
          if (this.#running === load) this.#running = undefined;
        }
      }),
    };
    return load;
  }

  async #read(skus: readonly string[]): Promise<void> {
    for (let from = 0; from < skus.length; from += this.#loadLimit) {
      const part = skus.slice(from, from + this.#loadLimit);
      const asked = this.#clock.monotonic();
      const rows = new Map((await this.#load(part)).map((row) => [row.sku, row]));
      for (const sku of part) {
        const row = rows.get(sku);
        this.#put(sku, { available: row?.available ?? 0, version: row?.version ?? 0 });
        const kept = this.#kept(sku);
        if (kept !== undefined && kept.checkedAt < asked) kept.checkedAt = asked;
      }
    }
  }
}
