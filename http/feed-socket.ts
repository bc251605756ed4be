/**
 * One socket of the stock feed: what it is subscribed to, how far it has got with each sku, and what it still has to be told.
 *
 * Nothing is queued for a socket but the names of the skus that it is behind on, each once; a message is made from the newest
 * level when it is sent. So a slow reader skips versions, memory is bounded by the subscriptions, and the last message about a sku
 * is always about its newest version. Each subscription has a floor, the last version told: nothing at or under it is told again.
 *
 *   flowing ⇄ stalled → closed
 *       flowing → closed
 *
 * - `flowing`: what is behind is sent at the next flush. More than `stallBytes` waiting in the native buffer: → stalled.
 * - `stalled`: nothing about stock is sent. Drained: → flowing, where what was missed comes as snapshots. Not drained within
 *   `stallMsMax`, or answers that pile up past `bufferBytesMax`: → closed with 4008.
 * - `closed`: final; nothing is sent or kept.
 */
import type { FeedTopic } from './feed-hub.ts';
import {
  CLOSE_TOO_SLOW,
  encode,
  type FeedErrorCode,
  type FeedLimits,
  type Frame,
  type ServerMessage,
  type Subprotocol,
} from './feed-protocol.ts';
import type { StockEntry } from './stock-cache.ts';

/** The connection under a socket; the native WebSocket, or a model of it in tests. */
export interface Wire {
  /** False: not taken, the buffer is full. */
  send(frame: Frame): boolean;
  /** Bytes that wait for the reader. */
  buffered(): number;
  /** Runs `write` with all that it sends put together. */
  cork(write: () => void): void;
  /** Ends the connection; may call back into `FeedSocket.closed` at once. */
  close(code: number, reason: string): void;
}

/** Plain numbers for the metrics page, counted over all sockets of a node. */
export interface FeedStats {
  sockets: number;
  subscriptions: number;
  stalled: number;
  opened: number;
  refused: number;
  messagesIn: number;
  messagesBad: number;
  messagesLimited: number;
  framesSent: number;
  framesEncoded: number;
  resyncs: number;
  closedSlow: number;
  closedSilent: number;
}

export function newFeedStats(): FeedStats {
  return {
    sockets: 0,
    subscriptions: 0,
    stalled: 0,
    opened: 0,
    refused: 0,
    messagesIn: 0,
    messagesBad: 0,
    messagesLimited: 0,
    framesSent: 0,
    framesEncoded: 0,
    resyncs: 0,
    closedSlow: 0,
    closedSilent: 0,
  };
}

export interface Subscription {
  readonly topic: FeedTopic;
  readonly socket: FeedSocket;
  /** The last version told; -1: none yet. */
  floor: number;
  /** A version that the client says it has, to be confirmed by the first answer; -1: none. */
  since: number;
  /**
   * What the next message about this sku is: nothing before its level is `loading`; the `answer` to a subscribe; `news`; a `resync`
   * after a stall. `ended`: unsubscribed.
   */
  next: 'loading' | 'answer' | 'news' | 'resync' | 'ended';
  /** Whether it is in the socket's list of what to tell. */
  behind: boolean;
}

const BEHIND_SLACK = 64;

type State = 'flowing' | 'stalled' | 'closed';

export class FeedSocket {
  readonly protocol: Subprotocol;
  readonly subscriptions = new Map<string, Subscription>();
  readonly #wire: Wire;
  readonly #limits: FeedLimits;
  readonly #stats: FeedStats;
  #state: State = 'flowing';
  #stalledAt = 0;
  #behind: Subscription[] = [];
  #tokens: number;
  #tokensAt: number;

  /** @param now monotonic milliseconds, as everywhere below. */
  constructor(wire: Wire, protocol: Subprotocol, limits: FeedLimits, stats: FeedStats, now: number) {
    this.#wire = wire;
    this.protocol = protocol;
    this.#limits = limits;
    this.#stats = stats;
    this.#tokens = limits.messagesBurst;
    this.#tokensAt = now;
  }

  get state(): State {
    return this.#state;
  }

  /** How many subscriptions have something to tell. */
  get behind(): number {
    return this.#behind.length;
  }

  /**
   * Takes a message from the allowance: `ok`; `over`, the message is to be refused; `abuse`, the socket went on for a whole
   * burst past its allowance.
   */
  admit(now: number): 'ok' | 'over' | 'abuse' {
    const { messagesPerSecond, messagesBurst } = this.#limits;
    this.#tokens = Math.min(messagesBurst, this.#tokens + ((now - this.#tokensAt) / 1000) * messagesPerSecond);
    this.#tokensAt = now;
    this.#tokens -= 1;
    if (this.#tokens >= 0) return 'ok';
    return this.#tokens > -messagesBurst ? 'over' : 'abuse';
  }

  /** Notes that the socket should hear about the sku at the next flush. True where that is new. */
  offer(subscription: Subscription): boolean {
    if (this.#state === 'closed' || subscription.behind || subscription.next === 'loading') return false;
    if (this.#behind.length > 2 * this.subscriptions.size + BEHIND_SLACK) {
      // A stalled client that unsubscribes and subscribes on and on.
      this.#behind = this.#behind.filter(({ next }) => next !== 'ended');
    }
    subscription.behind = true;
    this.#behind.push(subscription);
    return true;
  }

  /** Tells what is behind, as far as the reader keeps up. */
  flush(now: number): void {
    if (this.#state !== 'flowing' || this.#behind.length === 0) return;
    this.#wire.cork(() => {
      const behind = this.#behind;
      this.#behind = [];
      for (const [i, subscription] of behind.entries()) {
        if (this.#tell(subscription)) continue;
        this.#behind = behind.slice(i);
        this.#stall(now);
        return;
      }
    });
    if (this.#state === 'flowing' && this.#wire.buffered() > this.#limits.stallBytes) this.#stall(now);
  }

  /** The reader caught up (or may have): goes on with snapshots of what it missed. */
  drained(now: number): void {
    if (this.#state !== 'stalled' || this.#wire.buffered() > 0) return;
    this.#state = 'flowing';
    this.#stats.stalled -= 1;
    for (const subscription of this.#behind) if (subscription.next === 'news') subscription.next = 'resync';
    this.flush(now);
  }

  /** Closes a socket that has been stalled for too long. */
  checkStall(now: number): void {
    if (this.#state !== 'stalled') return;
    if (this.#wire.buffered() === 0) this.drained(now);
    else if (now - this.#stalledAt > this.#limits.stallMsMax) this.#closeSlow();
  }

  /** Answers a message of the client, past what is behind; a client that asks on without reading is closed. */
  reply(message: ServerMessage): void {
    if (this.#state === 'closed') return;
    if (this.#wire.send(encode(this.protocol, message))) this.#stats.framesSent += 1;
    else this.#closeSlow();
  }

  replyError(code: FeedErrorCode, detail: string, sku?: string): void {
    this.reply(sku === undefined ? { type: 'error', code, detail } : { type: 'error', code, detail, sku });
  }

  end(code: number, reason: string): void {
    if (this.#state !== 'closed') this.#wire.close(code, reason);
  }

  /** The connection is gone: forgets everything. */
  closed(): void {
    if (this.#state === 'stalled') this.#stats.stalled -= 1;
    this.#state = 'closed';
    this.#behind = [];
  }

  /** True where the sku needs nothing more now; false where the reader does not keep up. */
  #tell(subscription: Subscription): boolean {
    const { topic } = subscription;
    const entry = topic.entry();
    if (subscription.next === 'ended' || subscription.next === 'loading' || entry === undefined) {
      subscription.behind = false;
      return true;
    }
    const frame = this.#frame(subscription, entry);
    if (frame !== undefined) {
      if (this.#wire.buffered() > this.#limits.stallBytes || !this.#wire.send(frame)) return false;
      this.#stats.framesSent += 1;
      if (subscription.next === 'resync') this.#stats.resyncs += 1;
    }
    subscription.floor = Math.max(subscription.floor, entry.version);
    subscription.since = -1;
    subscription.next = 'news';
    subscription.behind = false;
    return true;
  }

  #frame(subscription: Subscription, entry: StockEntry): Frame | undefined {
    const { floor, next, since, topic } = subscription;
    if (next === 'answer') {
      const known = Math.max(since, floor);
      return topic.frame(this.protocol, known >= entry.version ? 'current' : 'snapshot', entry);
    }
    if (entry.version <= floor) return undefined;
    return topic.frame(this.protocol, next === 'resync' ? 'snapshot' : 'stock', entry);
  }

  #stall(now: number): void {
    if (this.#state !== 'flowing') return;
    this.#state = 'stalled';
    this.#stalledAt = now;
    this.#stats.stalled += 1;
  }

  #closeSlow(): void {
    if (this.#state === 'closed') return;
    this.#stats.closedSlow += 1;
    this.#wire.close(CLOSE_TOO_SLOW, 'too slow');
  }
}
