/**
 * Stock levels between nodes: a sku's owner tells all others its new level after the commit, on the topic `stock`, one entry per sku and
 * tick and all skus of a tick in one message, however many subscribers a node has. It relies on the bus, which may lose any message, so
 * nothing depends on news: a copy that missed some is compared with the read table
 * - every 2 s (`stock-cache.ts`);
 * - at once when a sku's shard has moved: its owner may have died after the commit and before its news;
 * - at once when the bus has come back: what was told meanwhile was missed.
 *
 * A message is `[1, [sku, available, version, sku, available, version, …]]` in msgpack; what is not of this form is counted and ignored.
 */
import { Packr } from 'msgpackr';
import type { Bus } from '../runtime/bus.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ProjectionRow } from '../runtime/journal.ts';
import type { ShardMap } from '../runtime/members.ts';
import { shardOf } from '../runtime/shard.ts';
import type { StockCache, StockEntry } from './stock-cache.ts';

export interface StockNewsOptions {
  readonly bus: Bus;
  readonly stock: Pick<StockCache, 'hear' | 'followed' | 'reload' | 'refresh'>;
  readonly clock: Clock;
  /** Period in which a sku is told of at most once, in milliseconds. Default 50. */
  readonly tickMs?: number;
  /** A message is at most about this long. Default 128 KiB. */
  readonly messageBytes?: number;
  /** Told of a comparison that failed; the next one follows. */
  readonly onError?: (error: unknown) => void;
}

const FORM = 1;
/** Two numbers and what msgpack adds. */
const ENTRY_BYTES = 24;
const packr = new Packr({ useRecords: false });

export class StockNews {
  /** Plain numbers for metrics. */
  readonly stats = { told: 0, messages: 0, heard: 0, unreadable: 0, compared: 0 };
  readonly #bus: Bus;
  readonly #stock: StockNewsOptions['stock'];
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #messageBytes: number;
  readonly #onError: (error: unknown) => void;
  #pending = new Map<string, StockEntry>();
  #next: { cancel(): void } | null = null;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: StockNewsOptions) {
    this.#bus = options.bus;
    this.#stock = options.stock;
    this.#clock = options.clock;
    this.#tickMs = options.tickMs ?? 50;
    this.#messageBytes = options.messageBytes ?? 128 * 1024;
    this.#onError = options.onError ?? (() => {});
    this.#bus.subscribe('stock', (message) => this.#hear(message));
    this.#bus.onConnection((connected) => {
      if (connected && !this.#closed) this.#compare(this.#stock.refresh());
    });
  }

  /** A row of the read side that this node has just committed; rows of other tables are ignored. */
  tell(row: ProjectionRow): void {
    if (row.table !== 'stock' || this.#closed || !this.#bus.connected) return;
    const available = row.doc === null ? 0 : row.doc.available;
    if (typeof available !== 'number') return;
    this.#pending.set(row.key, { available, version: row.version });
    if (this.#next !== null) return;
    const delayMs = Math.max(0, this.#flushedAt + this.#tickMs - this.#clock.monotonic());
    this.#next = this.#clock.setTimeout(() => this.#flush(), delayMs);
  }

  /** From now on followed skus of shards that move by this map are compared at once. For the map of each incarnation in turn. */
  watch(shards: Pick<ShardMap, 'onMoved'>): void {
    shards.onMoved((moved) => {
      if (this.#closed) return;
      const wanted = new Set(moved);
      const skus = [...this.#stock.followed()].filter((sku) => wanted.has(shardOf('sku', sku)));
      if (skus.length > 0) this.#compare(this.#stock.reload(skus));
    });
  }

  close(): void {
    this.#closed = true;
    this.#next?.cancel();
    this.#pending.clear();
  }

  #flush(): void {
    this.#next = null;
    this.#flushedAt = this.#clock.monotonic();
    const pending = this.#pending;
    this.#pending = new Map();
    let entries: (string | number)[] = [];
    let bytes = 0;
    const send = (): void => {
      this.stats.messages++;
      this.#bus.publish('stock', packr.pack([FORM, entries]));
      entries = [];
      bytes = 0;
    };
    for (const [sku, { available, version }] of pending) {
      entries.push(sku, available, version);
      bytes += 3 * sku.length + ENTRY_BYTES;
      this.stats.told++;
      if (bytes >= this.#messageBytes) send();
    }
    if (entries.length > 0) send();
  }

  #hear(message: Uint8Array): void {
    if (this.#closed) return;
    const entries = readEntries(message);
    if (entries === null) {
      this.stats.unreadable++;
      return;
    }
    for (let i = 0; i + 2 < entries.length; i += 3) {
      const [sku, available, version] = [entries[i], entries[i + 1], entries[i + 2]];
      if (typeof sku !== 'string' || !Number.isSafeInteger(available) || !Number.isSafeInteger(version)) {
        this.stats.unreadable++;
        continue;
      }
      this.stats.heard++;
      this.#stock.hear(sku, { available: available as number, version: version as number });
    }
  }

  #compare(done: Promise<void>): void {
    this.stats.compared++;
    done.catch(this.#onError);
  }
}

function readEntries(message: Uint8Array): readonly unknown[] | null {
  try {
    const [form, entries] = packr.unpack(message) as unknown[];
    return form === FORM && Array.isArray(entries) ? entries : null;
  } catch {
    return null;
  }
}
