/**
 * One pair of connections to Redis, from its opening to its loss: one that publishes, one that is subscribed. It relies on ioredis
 * for the protocol only. It is never mended: at the first doubt it is closed for good and the bus opens another, so that there is no
 * state in which one half is new and the other old, or a subscription is missing.
 *
 *     opening ──all subscribed, own beat heard──▶ open ──closed by either side, or beats unheard──▶ lost
 *        └──────────────refused, or late──────────────────────────────────────────────────────────────┘
 *
 * The beat: every `beatMs` the publishing half says a number on a channel of this pair's own, and the subscribed half must hear it.
 * Nothing else tells that packets are dropped one way: TCP takes up to 15 minutes, and Redis answers neither side of a PUBLISH that it
 * never got. Beats are counted, not timed: a process that was paused counts one late beat, however long it slept.
 */
import { Redis } from 'ioredis';
import type { Clock } from '../runtime/clock.ts';

export interface LinkOptions {
  readonly url: string;
  readonly clock: Clock;
  /** A channel that only this pair uses. */
  readonly beatChannel: string;
  /** What is to be heard, asked for anew until nothing is missing. */
  readonly channels: () => Iterable<string>;
  readonly onMessage: (channel: string, message: Uint8Array) => void;
  /** Called once, after `open` has resolved. */
  readonly onLost: (reason: string) => void;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly beatMs: number;
  /** So many beats in a row may stay unheard. */
  readonly beatsUnheard: number;
}

type Stage = 'opening' | 'open' | 'lost';

export class RedisLink {
  #stage: Stage = 'opening';
  readonly #options: LinkOptions;
  readonly #publisher: Redis;
  readonly #subscriber: Redis;
  readonly #subscribed = new Set<string>();
  #beat = 0;
  #heard = 0;
  #firstHeard: () => void = () => {};
  #next: { cancel(): void } | null = null;
  #reason = 'not opened';

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#publisher = this.#client();
    this.#subscriber = this.#client();
    this.#subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#hear(channel, message));
  }

  /** Resolves when everything said on the channels is heard. Rejects with the reason; the pair is closed then. */
  async open(): Promise<void> {
    let timer: { cancel(): void } | null = null;
    try {
      await new Promise<void>((resolve, reject) => {
        const { clock, connectTimeoutMs } = this.#options;
        timer = clock.setTimeout(() => reject(new Error('no answer in time')), connectTimeoutMs);
        for (const client of [this.#publisher, this.#subscriber]) {
          client.once('end', () => reject(new Error(this.#reason)));
        }
        this.#opened().then(resolve, reject);
      });
    } catch (error) {
      this.close();
      throw error;
    } finally {
      (timer as { cancel(): void } | null)?.cancel();
    }
    this.#stage = 'open';
    for (const client of [this.#publisher, this.#subscriber]) {
      client.once('end', () => this.#lose(this.#reason));
    }
    this.#beatLater();
  }

  /** Rejects where it is not known whether Redis got it. What is said in one turn goes out in one write. */
  publish(channel: string, message: Uint8Array): Promise<number> {
    const { stream } = this.#publisher;
    if (stream.writableCorked === 0) {
      stream.cork();
      process.nextTick(() => stream.uncork());
    }
    return this.#publisher.publish(channel, message as Buffer);
  }

  /** Sets the key where nobody has; resolves with what stands there then. */
  async claim(key: string, value: string): Promise<string | null> {
    await this.#publisher.set(key, value, 'NX');
    return this.#publisher.get(key);
  }

  /** While opening, what `channels` names is asked for without this. A failure ends the pair. */
  async subscribe(channel: string): Promise<void> {
    if (this.#subscriber.status !== 'ready' || this.#subscribed.has(channel)) return;
    this.#subscribed.add(channel);
    try {
      await this.#subscriber.subscribe(channel);
    } catch (error) {
      this.#lose((error as Error).message);
    }
  }

  unsubscribe(channel: string): void {
    if (!this.#subscribed.delete(channel)) return;
    this.#subscriber.unsubscribe(channel).catch((error: Error) => this.#lose(error.message));
  }

  close(): void {
    this.#stage = 'lost';
    this.#next?.cancel();
    this.#publisher.disconnect();
    this.#subscriber.disconnect();
  }

  async #opened(): Promise<void> {
    await Promise.all([this.#publisher.connect(), this.#subscriber.connect()]);
    const { channels, beatChannel } = this.#options;
    for (;;) {
      const missing = [beatChannel, ...channels()].filter((channel) => !this.#subscribed.has(channel));
      if (missing.length === 0) break;
      for (const channel of missing) this.#subscribed.add(channel);
      await this.#subscriber.subscribe(...missing);
    }
    // From here on `subscribe` is asked for each new one.
    const heard = new Promise<void>((resolve) => {
      this.#firstHeard = resolve;
    });
    await this.#sayBeat();
    await heard;
  }

  #client(): Redis {
    const { url, connectTimeoutMs, commandTimeoutMs } = this.#options;
    const client = new Redis(url, {
      lazyConnect: true,
      // The bus opens another pair; an old connection never comes back to life beside it.
      retryStrategy: null,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: null,
      connectTimeout: connectTimeoutMs,
      commandTimeout: commandTimeoutMs,
      // Where packets are dropped, the other side never answers our FIN.
      disconnectTimeout: 200,
      connectionName: 'stampede-bus',
      disableClientInfo: true,
    });
    client.on('error', (error: Error) => {
      this.#reason = error.message;
    });
    client.on('close', () => {
      if (this.#reason === 'not opened') this.#reason = 'the connection was closed';
    });
    return client;
  }

  #hear(channel: Buffer, message: Buffer): void {
    if (this.#stage === 'lost') return;
    const name = channel.toString('latin1');
    if (name !== this.#options.beatChannel) {
      this.#options.onMessage(name, message);
      return;
    }
    this.#heard = Math.max(this.#heard, Number(message.toString('latin1')));
    this.#firstHeard();
  }

  async #sayBeat(): Promise<void> {
    this.#beat++;
    await this.#publisher.publish(this.#options.beatChannel, String(this.#beat));
  }

  #beatLater(): void {
    this.#next = this.#options.clock.setTimeout(() => {
      if (this.#stage !== 'open') return;
      if (this.#beat - this.#heard >= this.#options.beatsUnheard) {
        this.#lose(`${this.#beat - this.#heard} beats were not heard`);
        return;
      }
      // What is unheard is noticed by its number.
      this.#sayBeat().catch(() => {});
      this.#beatLater();
    }, this.#options.beatMs);
  }

  #lose(reason: string): void {
    if (this.#stage !== 'open') return;
    this.close();
    this.#options.onLost(reason);
  }
}
