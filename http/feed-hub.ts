/**
 * Who follows which sku, and the tick that tells them. A change of stock marks its sku; at most once in `tickMs` every follower
 * of a marked sku is told the newest level, from one frame that is encoded once for each subprotocol. An idle hub tells a change
 * at once. A tick over many sockets is cut into slices, so that requests are served between them; changes meanwhile wait for the next tick.
 *
 * Relies on a `StockCache` whose versions only grow. It knows no network: sockets come with a `Wire`.
 */
import type { Clock } from '../runtime/clock.ts';
import {
  type ClientMessage,
  encode,
  type FeedLimits,
  type Frame,
  type ServerMessage,
  SUBPROTOCOLS,
  type Subprotocol,
} from './feed-protocol.ts';
import { FeedSocket, type FeedStats, type Subscription, type Wire } from './feed-socket.ts';
import type { StockCache, StockEntry } from './stock-cache.ts';

export interface FeedHubOptions {
  readonly stock: StockCache;
  /** Whether there is such a product; only existing skus can be subscribed to. */
  readonly skuExists: (sku: string) => boolean;
  readonly clock: Clock;
  readonly limits: FeedLimits;
  readonly stats: FeedStats;
  /** Told of what should not happen. */
  readonly onError: (error: unknown) => void;
}

type FrameKind = 'snapshot' | 'current' | 'stock';
const FRAME_KINDS: readonly FrameKind[] = ['snapshot', 'current', 'stock'];

/** A sku with followers. */
export class FeedTopic {
  readonly sku: string;
  readonly followers = new Set<Subscription>();
  /** When its newest level became known here, in milliseconds since the epoch. */
  changedAt: number;
  readonly #stock: StockCache;
  readonly #stats: FeedStats;
  /** Frames of `#framesVersion`, by kind and subprotocol. */
  readonly #frames: (Frame | undefined)[] = [];
  #framesVersion = -1;

  constructor(sku: string, stock: StockCache, stats: FeedStats, now: number) {
    this.sku = sku;
    this.changedAt = now;
    this.#stock = stock;
    this.#stats = stats;
  }

  entry(): StockEntry | undefined {
    return this.#stock.get(this.sku);
  }

  /** The encoded message; made once for each version, kind and subprotocol. */
  frame(protocol: Subprotocol, kind: FrameKind, entry: StockEntry): Frame {
    if (this.#framesVersion !== entry.version) {
      this.#frames.length = 0;
      this.#framesVersion = entry.version;
    }
    const slot = FRAME_KINDS.indexOf(kind) * SUBPROTOCOLS.length + SUBPROTOCOLS.indexOf(protocol);
    let frame = this.#frames[slot];
    if (frame === undefined) {
      frame = encode(protocol, this.#message(kind, entry));
      this.#frames[slot] = frame;
      this.#stats.framesEncoded += 1;
    }
    return frame;
  }

  #message(kind: FrameKind, { available, version }: StockEntry): ServerMessage {
    const { sku } = this;
    if (kind === 'current') return { type: 'current', sku, version };
    if (kind === 'snapshot') return { type: 'snapshot', sku, available, version };
    return { type: 'stock', sku, available, version, at: new Date(this.changedAt).toISOString() };
  }
}

/** Sockets told in one turn of the event loop. */
const SLICE = 512;

export class FeedHub {
  readonly #stock: StockCache;
  readonly #skuExists: (sku: string) => boolean;
  readonly #clock: Clock;
  readonly #limits: FeedLimits;
  readonly #stats: FeedStats;
  readonly #onError: (error: unknown) => void;
  readonly #topics = new Map<string, FeedTopic>();
  readonly #changed = new Set<FeedTopic>();
  readonly #sockets = new Set<FeedSocket>();
  /** Whether a tick is waited for or at work. */
  #ticking = false;
  #lastTickAt = Number.NEGATIVE_INFINITY;

  constructor(options: FeedHubOptions) {
    this.#stock = options.stock;
    this.#skuExists = options.skuExists;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#stats = options.stats;
    this.#onError = options.onError;
    this.#stock.onChange((sku) => this.#change(sku));
  }

  get sockets(): ReadonlySet<FeedSocket> {
    return this.#sockets;
  }

  get topics(): number {
    return this.#topics.size;
  }

  join(wire: Wire, protocol: Subprotocol): FeedSocket {
    const socket = new FeedSocket(wire, protocol, this.#limits, this.#stats, this.#clock.monotonic());
    this.#sockets.add(socket);
    return socket;
  }

  leave(socket: FeedSocket): void {
    this.#sockets.delete(socket);
    for (const subscription of socket.subscriptions.values()) this.#end(subscription);
    socket.subscriptions.clear();
    socket.closed();
  }

  receive(socket: FeedSocket, message: ClientMessage): void {
    switch (message.type) {
      case 'subscribe':
        this.#subscribe(socket, message.skus, message.since);
        return;
      case 'unsubscribe':
        for (const sku of message.skus) this.#unsubscribe(socket, sku);
        return;
      case 'auth':
        socket.replyError('ticket_unknown', 'This ticket is not known.');
        return;
      case 'ping':
        socket.reply({ type: 'pong', now: new Date(this.#clock.now()).toISOString() });
        return;
    }
  }

  #subscribe(socket: FeedSocket, skus: readonly string[], since: ReadonlyMap<string, number>): void {
    const known: string[] = [];
    for (const sku of skus) {
      if (this.#skuExists(sku)) known.push(sku);
      else socket.replyError('sku_unknown', 'There is no such sku.', sku);
    }
    const fresh = known.filter((sku) => !socket.subscriptions.has(sku));
    const max = this.#limits.subscriptionsPerSocketMax;
    if (socket.subscriptions.size + fresh.length > max) {
      socket.replyError('subscription_limit', `At most ${max} skus for one socket; none of this message was taken.`);
      return;
    }
    if (socket.state === 'closed' || known.length === 0) return;
    for (const sku of fresh) this.#begin(socket, sku);
    this.#answer(socket, known, since).catch(this.#onError);
  }

  /** Answers a subscribe once the levels are at hand. */
  async #answer(socket: FeedSocket, skus: readonly string[], since: ReadonlyMap<string, number>): Promise<void> {
    const versionOf = (sku: string) => this.#stock.get(sku)?.version ?? 0;
    try {
      await this.#stock.ensure(skus);
      // A version past ours is either newer than this copy, which the table shows, or not of this shop.
      const ahead = skus.filter((sku) => (since.get(sku) ?? -1) > versionOf(sku));
      if (ahead.length > 0) await this.#stock.reload(ahead);
    } catch {
      socket.replyError('database_unavailable', 'Stock cannot be read now; levels follow by themselves.');
    }
    for (const sku of skus) {
      const subscription = socket.subscriptions.get(sku);
      if (subscription === undefined) continue;
      const claimed = since.get(sku) ?? -1;
      subscription.since = claimed <= versionOf(sku) ? claimed : -1;
      subscription.next = 'answer';
      socket.offer(subscription);
    }
    socket.flush(this.#clock.monotonic());
  }

  #begin(socket: FeedSocket, sku: string): void {
    let topic = this.#topics.get(sku);
    if (topic === undefined) {
      topic = new FeedTopic(sku, this.#stock, this.#stats, this.#clock.now());
      this.#topics.set(sku, topic);
      this.#stock.follow(sku);
    }
    const subscription: Subscription = { topic, socket, floor: -1, since: -1, next: 'loading', behind: false };
    topic.followers.add(subscription);
    socket.subscriptions.set(sku, subscription);
    this.#stats.subscriptions += 1;
  }

  #unsubscribe(socket: FeedSocket, sku: string): void {
    const subscription = socket.subscriptions.get(sku);
    if (subscription === undefined) return;
    socket.subscriptions.delete(sku);
    this.#end(subscription);
  }

  #end(subscription: Subscription): void {
    const { topic } = subscription;
    subscription.next = 'ended';
    topic.followers.delete(subscription);
    this.#stats.subscriptions -= 1;
    if (topic.followers.size > 0) return;
    this.#topics.delete(topic.sku);
    this.#changed.delete(topic);
    this.#stock.unfollow(topic.sku);
  }

  #change(sku: string): void {
    const topic = this.#topics.get(sku);
    if (topic === undefined) return;
    topic.changedAt = this.#clock.now();
    this.#changed.add(topic);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    const dueMs = this.#lastTickAt + this.#limits.tickMs - this.#clock.monotonic();
    this.#clock.setTimeout(() => this.#tick(), Math.max(0, dueMs));
  }

  #tick(): void {
    this.#lastTickAt = this.#clock.monotonic();
    const touched: FeedSocket[] = [];
    for (const topic of this.#changed) {
      for (const subscription of topic.followers) {
        const first = subscription.socket.behind === 0;
        if (subscription.socket.offer(subscription) && first) touched.push(subscription.socket);
      }
    }
    this.#changed.clear();
    this.#flush(touched, 0);
  }

  #flush(touched: readonly FeedSocket[], from: number): void {
    const now = this.#clock.monotonic();
    for (const socket of touched.slice(from, from + SLICE)) socket.flush(now);
    if (from + SLICE < touched.length) {
      this.#clock.schedule(() => this.#flush(touched, from + SLICE));
      return;
    }
    this.#ticking = false;
    if (this.#changed.size > 0) this.#schedule();
  }
}
