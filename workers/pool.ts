/**
 * The pricing pool: carts in, quotes out, the work done on threads. It relies on piscina for the threads and on `pricing.ts` for the
 * arithmetic, and promises that each cart is priced by exactly one book, the one set when its batch left; that a thread which
 * crashes or hangs loses no cart; and that no more carts wait than `maxQueue`.
 *
 * Where a cart is priced is decided by what it will cost, in lines × (1 + 2 × coupons + half the promotions that any cart may meet); a unit
 * is about 0.3 µs of arithmetic:
 * - a small cart (up to `inlineCostMax`) on the calling thread, at once, where it costs less than the message to a thread would cost
 *   that same thread; but no more than `inlineCostPerTurn` in one turn of the event loop, so that a crowd never holds the loop up;
 * - all others on the pool's threads, beside whatever the calling thread does meanwhile. `stats` tells how many went which way.
 *
 * Measured on 2 shared cores (`npm run bench:pricing`), processor time per cart of the calling thread alone, itself / by one thread in
 * batches of 64: 1 line 2.1 / 3.0 µs; 10 lines 4.9 to 7.9 / 4.1 to 4.4 µs; 10 lines and 5 promotions (35 units) 14 to 16 / 8 µs; 10 lines and 20
 * promotions (110 units) 32 to 35 / 11 to 14 µs; 50 lines and 20 promotions 119 to 144 / 40 to 42 µs; 200 lines and 50 promotions 1,077 to 1,255 / 267 to 405 µs. With what the
 * threads themselves use the pool costs about half as much again as the calling thread, and alone, without a batch, a message costs
 * about 50 µs: so the calling thread is spared only what holds it up for long, and small carts stay on it also where the pool would
 * spare it a microsecond. The whole shop under adds to carts of one line, this rule against threads only: 256 connections 10 %
 * more adds and a quarter less processor time in the node, 64 connections 18 % more.
 *
 * Quotes of carts from `keepCostMin` on are kept (`quote-cache.ts`): a costly cart that is only read again, or answered again, is not
 * priced again. Of smaller carts none is: figuring one takes no longer than finding it would.
 *
 * A cart's way to the threads: `waiting` (in the queue) → `sent` (in a batch on a thread) → answered, or once more `waiting` where the
 * thread was lost, then answered or failed. All carts of one turn of the event loop leave in one batch; while every thread is at
 * work they gather, so batches grow with the load and the cost of a message to a thread is shared by more carts.
 * After a loss the carts go again in small batches, so that one that kills threads takes few others down with it.
 */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { Fault } from '../runtime/fault.ts';
import { FigureReader } from './figures.ts';
import type { PriceBook } from './price-book.ts';
import { BookEncoder, type SentBook } from './price-book.ts';
import { type PriceOptions, price } from './pricing.ts';
import { promotionIndex } from './promotion-index.ts';
import type { PriceRequest, Quote } from './quote.ts';
import { type CartVersion, QuoteCache } from './quote-cache.ts';
import { readQuote } from './quoting.ts';
import { type BatchTask, joinCarts, writeCart } from './wire.ts';

export interface PricingPoolOptions {
  /** Default: one less than the cores, at least 1 and at most 4. */
  readonly threads?: number;
  /** Carts that may wait; default 8,192. One more is refused with `overloaded`. */
  readonly maxQueue?: number;
  /** Carts in one batch; default 256. */
  readonly maxBatch?: number;
  /** A batch that takes longer ends its thread; default 2,000 ms, and a second more until threads that were just started have answered once. */
  readonly taskTimeoutMs?: number;
  /** The thread's entry; a test puts a faulty one in its place. */
  readonly workerUrl?: URL;
  /** Carts of up to this many units are priced on the calling thread; default 100, the measured break-even. 0: none is. */
  readonly inlineCostMax?: number;
  /** Units that the calling thread takes in one turn of the event loop; default 4,000, about 1.2 ms. */
  readonly inlineCostPerTurn?: number;
  /** Quotes of carts of at least this many units are kept; default 40, about four times what finding one again costs. */
  readonly keepCostMin?: number;
}

export interface PricingPoolStats {
  readonly threads: number;
  readonly queued: number;
  readonly batchesInFlight: number;
  /** Priced on threads. */
  readonly carts: number;
  /** Priced on the calling thread. */
  readonly inlineCarts: number;
  /** Answered with a quote that was known. */
  readonly keptCarts: number;
  readonly batches: number;
  readonly retriedCarts: number;
  readonly failedCarts: number;
  readonly refusedCarts: number;
}

interface Waiting {
  /** Units. */
  readonly cost: number;
  readonly request: PriceRequest;
  readonly options: PriceOptions;
  readonly resolve: (quote: Quote) => void;
  readonly reject: (fault: Fault) => void;
  retried: boolean;
}

const RETRY_BATCH = 16;
/** Units in one batch, about: answering it must not hold up the loop of the calling thread, on which all other calls wait. */
const BATCH_COST_MAX = 2_000;
/** More time for a batch that may have to wait for its thread to start: a busy machine takes long, and the carts are not to blame. */
const THREAD_START_MS = 1_000;
/** After so many lost batches without one success the threads are made anew: piscina starts none after one has failed at its start. */
const LOSSES_BEFORE_RESTART = 2;

export class PricingPool {
  readonly #threads: number;
  readonly #maxQueue: number;
  readonly #maxBatch: number;
  readonly #taskTimeoutMs: number;
  readonly #workerUrl: URL;
  readonly #inlineCostMax: number;
  readonly #inlineCostPerTurn: number;
  readonly #keepCostMin: number;
  readonly #encoder = new BookEncoder();
  readonly #counts = {
    carts: 0,
    inlineCarts: 0,
    keptCarts: 0,
    batches: 0,
    retriedCarts: 0,
    failedCarts: 0,
    refusedCarts: 0,
  };
  #piscina: Piscina<BatchTask, Float64Array>;
  #book: PriceBook | null = null;
  /** Units for each line, for the promotions that any cart may meet. */
  #costOfBook = 0;
  readonly #cache = new QuoteCache();
  #sent: SentBook | null = null;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #queue: Waiting[] = [];
  readonly #retries: Waiting[][] = [];
  #retriesQueued = 0;
  #inFlight = 0;
  #losses = 0;
  /** A batch has come back since threads were last started. */
  #warm = false;
  #flushPlanned = false;
  /** Units spent on the calling thread in this turn of the event loop. */
  #inlineCost = 0;
  #idle: (() => void)[] = [];

  constructor(options: PricingPoolOptions = {}) {
    this.#threads = options.threads ?? Math.max(1, Math.min(4, availableParallelism() - 1));
    this.#maxQueue = options.maxQueue ?? 8_192;
    this.#maxBatch = options.maxBatch ?? 256;
    this.#taskTimeoutMs = options.taskTimeoutMs ?? 2_000;
    this.#workerUrl = options.workerUrl ?? new URL('./pricing-worker.js', import.meta.url);
    this.#inlineCostMax = options.inlineCostMax ?? 100;
    this.#inlineCostPerTurn = options.inlineCostPerTurn ?? 4_000;
    this.#keepCostMin = options.keepCostMin ?? 40;
    this.#piscina = this.#startThreads();
  }

  /** From now on batches leave with this book. It must never be changed; it is encoded when the next batch needs it. */
  setBook(book: PriceBook): void {
    if (book === this.#book) return;
    this.#book = book;
    this.#costOfBook = promotionIndex(book.promotions, book.promotionGroups).broad.length / 2;
    this.#sent = null;
  }

  /**
   * The quote itself where the cart is priced on the calling thread or known, the promise of it where on another.
   * @param of which state of which cart this is: the quote of a costly one is kept under it
   * @throws Fault (or rejects with it) `overloaded` where too many carts wait, `pricing_unavailable` where the threads failed it twice
   * or there is no book yet, `internal` for a request past the limits of `money.ts`, `draining` after `close`.
   */
  price(request: PriceRequest, options: PriceOptions = {}, of?: CartVersion): Quote | Promise<Quote> {
    const cost = this.#costOf(request);
    const book = this.#book;
    if (of === undefined || book === null || cost < this.#keepCostMin) return this.#compute(cost, request, options);
    const final = options.final === true;
    const known = this.#cache.get(of, book, request, final);
    if (known !== undefined) {
      this.#counts.keptCarts++;
      return known;
    }
    const quote = this.#compute(cost, request, options);
    this.#cache.put(of, book, request, final, quote);
    return quote;
  }

  #costOf({ lines, coupons }: PriceRequest): number {
    return lines.length * (1 + 2 * coupons.length + this.#costOfBook);
  }

  #compute(cost: number, request: PriceRequest, options: PriceOptions): Quote | Promise<Quote> {
    if (cost > this.#inlineCostMax || this.#inlineCost + cost > this.#inlineCostPerTurn) {
      return this.priceOnThreads(request, options);
    }
    if (this.#state !== 'open') throw new Fault('draining', 'the pricing pool is closing');
    if (this.#inlineCost === 0) setImmediate(this.#turnOver);
    this.#inlineCost += cost + 1;
    const quote = this.priceInline(request, options);
    this.#counts.inlineCarts++;
    return quote;
  }

  /** Rejects with what `price` throws. */
  priceOnThreads(request: PriceRequest, options: PriceOptions = {}): Promise<Quote> {
    const cost = this.#costOf(request);
    if (this.#state !== 'open') return Promise.reject(new Fault('draining', 'the pricing pool is closing'));
    if (this.#book === null) return Promise.reject(unavailable('there is no price book yet'));
    if (this.#queued() >= this.#maxQueue) {
      this.#counts.refusedCarts++;
      return Promise.reject(new Fault('overloaded', 'too many carts wait for a price', { retryAfterMs: 1_000 }));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ cost, request, options, resolve, reject, retried: false });
      if (this.#flushPlanned || this.#inFlight >= this.#threads) return;
      this.#flushPlanned = true;
      setImmediate(() => {
        this.#flushPlanned = false;
        this.#flush();
      });
    });
  }

  /** The same price on the calling thread, by the same book. */
  priceInline(request: PriceRequest, options: PriceOptions = {}): Quote {
    if (this.#book === null) throw unavailable('there is no price book yet');
    return price(this.#book, request, options);
  }

  /** Takes no more carts, answers those that it has, then ends the threads. */
  async close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing';
    if (this.#inFlight > 0 || this.#queued() > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    await this.#piscina.destroy();
  }

  get stats(): PricingPoolStats {
    return { threads: this.#threads, queued: this.#queued(), batchesInFlight: this.#inFlight, ...this.#counts };
  }

  readonly #turnOver = (): void => {
    this.#inlineCost = 0;
  };

  #queued(): number {
    return this.#queue.length + this.#retriesQueued;
  }

  #flush(): void {
    while (this.#inFlight < this.#threads) {
      const batch = this.#take();
      if (batch.length === 0) break;
      this.#send(batch);
    }
    if (this.#inFlight > 0 || this.#queued() > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #take(): Waiting[] {
    const retry = this.#retries.shift();
    if (retry !== undefined) {
      this.#retriesQueued -= retry.length;
      return retry;
    }
    let count = 0;
    let cost = 0;
    while (count < this.#queue.length && count < this.#maxBatch && (count === 0 || cost < BATCH_COST_MAX)) {
      cost += (this.#queue[count] as Waiting).cost;
      count++;
    }
    if (count < this.#queue.length) return this.#queue.splice(0, count);
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  #send(batch: readonly Waiting[]): void {
    const book = this.#book;
    if (book === null) return;
    this.#sent ??= this.#encoder.encode(book);
    const fields: string[] = [];
    for (const { request } of batch) writeCart(request, fields);
    const piscina = this.#piscina;
    const abort = new AbortController();
    const timeoutMs = this.#warm ? this.#taskTimeoutMs : this.#taskTimeoutMs + THREAD_START_MS;
    const timer = setTimeout(() => abort.abort(), timeoutMs);
    this.#inFlight++;
    this.#counts.batches++;
    piscina
      .run({ book: this.#sent, carts: joinCarts(fields) }, { signal: abort.signal })
      .then(
        (figures) => {
          this.#losses = 0;
          this.#warm = true;
          this.#answer(book, batch, figures);
        },
        (cause: unknown) => {
          this.#warm = false;
          if (piscina === this.#piscina) {
            this.#losses++;
            this.#lost(batch, cause);
          } else {
            // Ended with its threads by `#restartThreads`, for what another batch did: it does not count against these carts.
            this.#retry(batch);
          }
        },
      )
      .finally(() => {
        clearTimeout(timer);
        this.#inFlight--;
        if (this.#losses >= LOSSES_BEFORE_RESTART) this.#restartThreads();
        this.#flush();
      });
  }

  #answer(book: PriceBook, batch: readonly Waiting[], figures: Float64Array): void {
    const reader = new FigureReader(figures);
    for (const cart of batch) {
      this.#counts.carts++;
      try {
        if (reader.skipFailed())
          throw new Fault('internal', 'the cart is past the limits of pricing', { retryable: false });
        cart.resolve(readQuote(book, cart.request, cart.options, reader));
      } catch (error) {
        this.#counts.failedCarts++;
        cart.reject(error instanceof Fault ? error : unavailable('the cart could not be priced', error));
      }
    }
  }

  #lost(batch: readonly Waiting[], cause: unknown): void {
    const again: Waiting[] = [];
    for (const cart of batch) {
      if (cart.retried) {
        this.#counts.failedCarts++;
        cart.reject(unavailable('the threads that price carts failed twice', cause));
      } else {
        cart.retried = true;
        again.push(cart);
      }
    }
    this.#retry(again);
  }

  #retry(carts: readonly Waiting[]): void {
    this.#counts.retriedCarts += carts.length;
    this.#retriesQueued += carts.length;
    for (let i = 0; i < carts.length; i += RETRY_BATCH) this.#retries.push(carts.slice(i, i + RETRY_BATCH));
  }

  #startThreads(): Piscina<BatchTask, Float64Array> {
    const piscina = new Piscina<BatchTask, Float64Array>({
      filename: this.#workerUrl.href,
      name: 'figureBatch',
      minThreads: this.#threads,
      maxThreads: this.#threads,
      maxQueue: this.#threads,
      recordTiming: false,
      // Pricing needs nothing of the environment, and secrets are in it.
      env: {},
    });
    // A thread that fails while it has no task is replaced, or found out by the next task; unheard, the event would end the process.
    piscina.on('error', () => undefined);
    return piscina;
  }

  #restartThreads(): void {
    const old = this.#piscina;
    this.#losses = 0;
    this.#piscina = this.#startThreads();
    old.destroy().catch(() => undefined);
  }
}

function unavailable(message: string, cause?: unknown): Fault {
  return new Fault('pricing_unavailable', message, { cause, retryAfterMs: 1_000 });
}
