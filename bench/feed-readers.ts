/**
 * Subscribers of the stock feed as processes outside of the shop meet it: each follows some skus and keeps the newest version that it was told
 * of each. One can stop reading, as a phone in a tunnel does, and read on later. Relies on the feed's JSON subprotocol.
 */
import { WebSocket } from 'ws';

/** In one message. */
const SKUS_OF_A_MESSAGE = 200;

export class FeedReader {
  readonly versions = new Map<string, number>();
  messages = 0;
  /** Told a version that is not newer than the last. */
  repeated = 0;
  /** Of the close frame; 1006 where there was none. */
  closeCode: number | null = null;
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#take(JSON.parse(String(data))));
    socket.on('close', (code) => {
      this.closeCode = code;
    });
    socket.on('error', () => {});
  }

  /** Resolves when the socket is open and the first message of each sku is asked for. */
  static async open(port: number, skus: readonly string[]): Promise<FeedReader> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/feed`);
    const reader = new FeedReader(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    for (let at = 0; at < skus.length; at += SKUS_OF_A_MESSAGE)
      socket.send(JSON.stringify({ type: 'subscribe', skus: skus.slice(at, at + SKUS_OF_A_MESSAGE) }));
    return reader;
  }

  stall(): void {
    this.#socket.pause();
  }

  readOn(): void {
    this.#socket.resume();
  }

  /** Whether it was told of each sku at least this version. */
  knows(newest: ReadonlyMap<string, number>): boolean {
    for (const [sku, version] of newest) if ((this.versions.get(sku) ?? -1) < version) return false;
    return true;
  }

  close(): void {
    this.#socket.terminate();
  }

  #take(message: { readonly sku?: string; readonly version?: number }): void {
    const { sku, version } = message;
    if (sku === undefined || version === undefined) return;
    this.messages++;
    if (version <= (this.versions.get(sku) ?? -1)) this.repeated++;
    this.versions.set(sku, Math.max(version, this.versions.get(sku) ?? -1));
  }
}
