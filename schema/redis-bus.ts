/**
 * The bus on Redis pub/sub: channels `<CLUSTER_ID>:node:<incarnation>`, `<CLUSTER_ID>:stock` and `<CLUSTER_ID>:shards`.
 *
 *     away ──a pair of connections is open, subscribed and heard itself──▶ connected
 *     connected ──either connection is lost, or own beats stay unheard for about 2 s──▶ away
 *     any ──close──▶ closed
 *
 * While away it tries again for ever, with a back-off. It keeps nothing for later: what cannot be sent now is refused now, and what was
 * published while a member was away is lost to it. Redis pub/sub loses what is on its way at a restart, so a send whose answer is lost
 * rejects: nobody knows who heard it. Whoever may publish on this Redis can speak as a member: it must be the cluster's own, or
 * closed to others by its users and rights.
 */
import { randomBytes } from 'node:crypto';
import type { Bus, Topic } from '../runtime/bus.ts';
import type { Clock } from '../runtime/clock.ts';
import { Refusal } from '../runtime/refusal.ts';
import { RedisLink } from './redis-link.ts';

export interface RedisBusOptions {
  /** `redis://…` or `rediss://…`. */
  readonly url: string;
  readonly clusterId: string;
  readonly clock: Clock;
  /** Default 2,000. Milliseconds, as the next ones. */
  readonly connectTimeoutMs?: number;
  /** A send without an answer for so long rejects. Default 1,000. */
  readonly commandTimeoutMs?: number;
  /** Period of the beat; three unheard in a row end the connection. Default 450: noticed within 1.8 s. */
  readonly beatMs?: number;
  /** The first pause before another try, doubled up to `retryMaxMs`. Default 50 and 1,000. */
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
  /** A larger message is refused. Default 1 MiB. */
  readonly messageBytes?: number;
  /** Bytes handed to Redis and not acknowledged; beyond it a send is refused. Default 32 MiB. */
  readonly pendingBytes?: number;
  /** Told of each loss and return; must not throw. */
  readonly report?: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

type State = 'away' | 'connected' | 'closed';

const MIB = 1024 * 1024;

/**
 * Opens the bus; it is connected when this resolves.
 * @throws one line that names the server where it could not be reached within `firstMs` (default 5,000).
 */
export async function openRedisBus(options: RedisBusOptions, firstMs = 5_000): Promise<RedisBus> {
  const bus = new RedisBus(options);
  try {
    await bus.ready(firstMs);
  } catch (error) {
    await bus.close();
    throw new Error(`Redis at ${shownUrl(options.url)} cannot be used: ${(error as Error).message}`);
  }
  return bus;
}

export class RedisBus implements Bus {
  #state: State = 'away';
  readonly #options: Required<RedisBusOptions>;
  readonly #channels = new Map<string, Set<(message: Uint8Array) => void>>();
  readonly #watchers = new Set<(connected: boolean) => void>();
  #link: RedisLink | null = null;
  #tries = 0;
  #pending = 0;
  #retry: { cancel(): void } | null = null;
  #lastError = 'no answer in time';
  /** Plain numbers for metrics. */
  readonly stats = { sent: 0, sentBytes: 0, heard: 0, heardBytes: 0, failed: 0, lost: 0 };

  constructor(options: RedisBusOptions) {
    this.#options = Object.freeze({
      connectTimeoutMs: 2_000,
      commandTimeoutMs: 1_000,
      beatMs: 450,
      retryMinMs: 50,
      retryMaxMs: 1_000,
      messageBytes: MIB,
      pendingBytes: 32 * MIB,
      report: () => {},
      ...options,
    });
    this.#connect();
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  /** Resolves when the bus is connected for the first time. Rejects with the last reason after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void> {
    if (this.connected) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        end();
        reject(new Error(this.#lastError));
      }, timeoutMs);
      const end = this.onConnection((connected) => {
        if (!connected) return;
        clearTimeout(timer);
        end();
        resolve();
      });
    });
  }

  async send(incarnation: string, message: Uint8Array): Promise<number> {
    return this.#publish(this.#nodeChannel(incarnation), message);
  }

  publish(topic: Topic, message: Uint8Array): void {
    if (this.connected) this.#publish(this.#channel(topic), message).catch(() => {});
  }

  /** Resolves when messages are heard; where the bus is away, at once, and they are heard from its return on. */
  async receive(incarnation: string, listener: (message: Uint8Array) => void): Promise<() => void> {
    const channel = this.#nodeChannel(incarnation);
    await this.#listen(channel, listener);
    return () => {
      const listeners = this.#channels.get(channel);
      listeners?.delete(listener);
      if (listeners?.size !== 0) return;
      this.#channels.delete(channel);
      this.#link?.unsubscribe(channel);
    };
  }

  subscribe(topic: Topic, listener: (message: Uint8Array) => void): void {
    this.#listen(this.#channel(topic), listener).catch(() => {});
  }

  onConnection(listener: (connected: boolean) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    const was = this.#state;
    this.#state = 'closed';
    this.#retry?.cancel();
    this.#link?.close();
    if (was === 'connected') this.#tell(false);
  }

  /**
   * Binds this CLUSTER_ID to one database: two clusters on different databases that share a Redis by mistake would answer each
   * other's calls. It does not protect where Redis was emptied since, and not a database that was copied with its id.
   * @throws one line where another database's id stands there, or Redis does not answer.
   */
  async claimClusterId(databaseId: string): Promise<void> {
    const { clusterId } = this.#options;
    if (this.#link === null || !this.connected) throw new Error('Redis is away');
    const holder = await this.#link.claim(`${clusterId}:database`, databaseId);
    if (holder === databaseId) return;
    throw new Refusal(
      `CLUSTER_ID ${clusterId} is used by another database (${holder}, this one is ${databaseId}): give each database a CLUSTER_ID of its own`,
    );
  }

  #channel(topic: Topic): string {
    return `${this.#options.clusterId}:${topic}`;
  }

  #nodeChannel(incarnation: string): string {
    return `${this.#options.clusterId}:node:${incarnation}`;
  }

  async #publish(channel: string, message: Uint8Array): Promise<number> {
    const { messageBytes, pendingBytes } = this.#options;
    const { length } = message;
    if (length > messageBytes) throw new Error(`a message of ${length} bytes is over the limit of ${messageBytes}`);
    if (this.#link === null || !this.connected) throw new Error('Redis is away');
    if (this.#pending + length > pendingBytes) throw new Error('Redis does not keep up');
    this.#pending += length;
    try {
      const receivers = await this.#link.publish(channel, message);
      this.stats.sent++;
      this.stats.sentBytes += length;
      return receivers;
    } catch (error) {
      this.stats.failed++;
      throw error;
    } finally {
      this.#pending -= length;
    }
  }

  async #listen(channel: string, listener: (message: Uint8Array) => void): Promise<void> {
    const listeners = this.#channels.get(channel);
    if (listeners !== undefined) {
      listeners.add(listener);
      return;
    }
    this.#channels.set(channel, new Set([listener]));
    // A link that is still opening finds it among its channels, and so does the successor of one that is lost here.
    await this.#link?.subscribe(channel);
  }

  #hear(channel: string, message: Uint8Array): void {
    this.stats.heard++;
    this.stats.heardBytes += message.length;
    const listeners = this.#channels.get(channel);
    if (listeners === undefined) return;
    for (const listener of listeners) listener(message);
  }

  #connect(): void {
    const { url, clock, clusterId, connectTimeoutMs, commandTimeoutMs, beatMs } = this.#options;
    const link = new RedisLink({
      url,
      clock,
      beatChannel: `${clusterId}:beat:${randomBytes(9).toString('base64url')}`,
      channels: () => this.#channels.keys(),
      onMessage: (channel, message) => this.#hear(channel, message),
      onLost: (reason) => this.#lost(reason),
      connectTimeoutMs,
      commandTimeoutMs,
      beatMs,
      beatsUnheard: 3,
    });
    this.#link = link;
    link.open().then(
      () => {
        if (this.#state === 'closed') {
          link.close();
          return;
        }
        this.#tries = 0;
        this.#state = 'connected';
        this.#tell(true);
      },
      (error: Error) => {
        this.#lastError = error.message;
        this.#again();
      },
    );
  }

  #lost(reason: string): void {
    if (this.#state !== 'connected') return;
    this.#state = 'away';
    this.stats.lost++;
    this.#tell(false, reason);
    this.#again();
  }

  #again(): void {
    if (this.#state === 'closed') return;
    const { clock, retryMinMs, retryMaxMs } = this.#options;
    const full = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(this.#tries++, 16));
    // Spread, so that a whole cluster does not come back in one moment.
    this.#retry = clock.setTimeout(() => this.#connect(), full * (0.5 + Math.random() / 2));
  }

  #tell(connected: boolean, reason?: string): void {
    this.#options.report(connected ? 'bus_connected' : 'bus_lost', reason === undefined ? {} : { reason });
    for (const watcher of [...this.#watchers]) watcher(connected);
  }
}

/** Without user and password. */
function shownUrl(url: string): string {
  try {
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}`;
  } catch {
    return 'REDIS_URL';
  }
}
