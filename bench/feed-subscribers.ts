/**
 * Readers of the stock feed, in a process of their own: raw WebSockets that subscribe to one sku, from many loopback addresses, since a shop takes 500
 * sockets of one network. The same process changes the stock, so that how long the news took is told on one clock: from the sending of the write to
 * its message at each reader.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type Counts, Histogram } from './histogram.ts';
import { HttpConnection } from './http-connection.ts';
import { request } from './http-request.ts';
import { ADMIN_KEY } from './shop-process.ts';

export interface FeedJob {
  readonly port: number;
  readonly sku: string;
}

export type FeedWord =
  | { readonly kind: 'grow'; readonly to: number }
  | { readonly kind: 'news'; readonly count: number };

export interface NewsResult {
  readonly readers: number;
  /** From the sending of the write to its message at a reader, in microseconds. */
  readonly counts: Counts;
  /** The same for the last reader of each piece of news. */
  readonly lastP50Us: number;
  readonly lastMaxUs: number;
  readonly writeP50Us: number;
  readonly messages: number;
  /** Readers who did not get a piece of news within its time. */
  readonly missing: number;
  readonly broken: number;
  readonly cpuMs: number;
}

const PER_ADDRESS = 450;
const CONNECTING_AT_ONCE = 200;
const NEWS_WITHIN_MS = 10_000;

export class Readers {
  readonly #job: FeedJob;
  readonly #sockets: Socket[] = [];
  #broken = 0;
  /** Called with the version of each stock message. */
  #heard: (version: number) => void = () => {};

  constructor(job: FeedJob) {
    this.#job = job;
  }

  async grow(to: number): Promise<number> {
    while (this.#sockets.length < to) {
      const count = Math.min(CONNECTING_AT_ONCE, to - this.#sockets.length);
      const from = this.#sockets.length;
      this.#sockets.push(...(await Promise.all(Array.from({ length: count }, (_, i) => this.#open(from + i)))));
    }
    return this.#sockets.length;
  }

  /** Changes the stock `count` times, each time waiting until every reader has heard of it. */
  async news(count: number): Promise<NewsResult> {
    const histogram = new Histogram();
    const last: number[] = [];
    const writes: number[] = [];
    let messages = 0;
    let missing = 0;
    const writer = new Writer(this.#job.port);
    await writer.ready;
    const cpuBefore = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      const heardAt = new Map<number, number[]>();
      let complete: () => void = () => {};
      let version = Number.NaN;
      const all = new Promise<void>((resolve) => {
        complete = resolve;
      });
      this.#heard = (told) => {
        messages++;
        let times = heardAt.get(told);
        if (times === undefined) {
          times = [];
          heardAt.set(told, times);
        }
        times.push(performance.now());
        if (told === version && times.length === this.#sockets.length) complete();
      };
      const sentAt = performance.now();
      version = await writer.adjust(this.#job.sku, -1);
      writes.push((performance.now() - sentAt) * 1000);
      if (heardAt.get(version)?.length === this.#sockets.length) complete();
      await Promise.race([all, new Promise((resolve) => setTimeout(resolve, NEWS_WITHIN_MS))]);
      const times = heardAt.get(version) ?? [];
      missing += this.#sockets.length - times.length;
      for (const time of times) histogram.record((time - sentAt) * 1000);
      last.push((Math.max(...times.slice(-1)) - sentAt) * 1000);
    }
    this.#heard = () => {};
    const cpu = process.cpuUsage(cpuBefore);
    writer.close();
    const sorted = [...last].sort((a, b) => a - b);
    return {
      readers: this.#sockets.length,
      counts: histogram.counts(),
      lastP50Us: sorted[sorted.length >> 1] ?? Number.NaN,
      lastMaxUs: sorted.at(-1) ?? Number.NaN,
      writeP50Us: writes.sort((a, b) => a - b)[writes.length >> 1] ?? Number.NaN,
      messages,
      missing,
      broken: this.#broken,
      cpuMs: (cpu.user + cpu.system) / 1000,
    };
  }

  #open(index: number): Promise<Socket> {
    const { port, sku } = this.#job;
    const address = 2 + Math.floor(index / PER_ADDRESS);
    return new Promise((resolve, reject) => {
      let pending: Buffer = Buffer.alloc(0);
      let upgraded = false;
      const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.1.${address}`, noDelay: true });
      socket.once('connect', () =>
        socket.write(
          `GET /v1/feed?skus=${sku} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Protocol: stampede.v1.json\r\n\r\n`,
        ),
      );
      socket.on('data', (data) => {
        pending = pending.length === 0 ? data : Buffer.concat([pending, data]);
        if (!upgraded) {
          const end = pending.indexOf('\r\n\r\n');
          if (end === -1) return;
          const status = pending.toString('latin1', 9, 12);
          if (status !== '101')
            return void reject(new Error(`the feed answered ${pending.toString('latin1', 0, 400)}`));
          upgraded = true;
          pending = pending.subarray(end + 4);
        }
        pending = frames(pending, (opcode, payload) => {
          if (opcode === 9) socket.write(pong(payload));
          else if (opcode === 1) {
            const message = JSON.parse(payload.toString('utf8'));
            if (message.type === 'snapshot') resolve(socket);
            else if (message.type === 'stock') this.#heard(message.version);
          }
        });
      });
      socket.once('error', (error) => {
        this.#broken++;
        reject(error);
      });
      socket.once('close', () => {
        this.#broken++;
      });
    });
  }
}

/** Takes whole frames of a server (never masked) off the front; returns what is left. */
export function frames(data: Buffer, take: (opcode: number, payload: Buffer) => void): Buffer {
  let at = 0;
  while (data.length - at >= 2) {
    const opcode = (data[at] ?? 0) & 0x0f;
    const short = (data[at + 1] ?? 0) & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (data.length - at < head) break;
    const length =
      short === 126 ? data.readUInt16BE(at + 2) : short === 127 ? Number(data.readBigUInt64BE(at + 2)) : short;
    if (data.length - at < head + length) break;
    take(opcode, data.subarray(at + head, at + head + length));
    at += head + length;
  }
  return at === 0 ? data : data.subarray(at);
}

/** A client's frames are masked; a mask of zeros leaves the payload as it is. */
function pong(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x8a, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** Changes of stock over one connection, as an operator makes them. */
class Writer {
  readonly ready: Promise<void>;
  readonly #connection: HttpConnection;
  #answered: (status: number, body: string) => void = () => {};

  constructor(port: number) {
    let connected: () => void = () => {};
    this.ready = new Promise((resolve) => {
      connected = resolve;
    });
    this.#connection = new HttpConnection(port, {
      connected: () => connected(),
      answered: (status, answer, bodyAt) => this.#answered(status, answer.toString('utf8', bodyAt)),
      broken: (why) => this.#answered(0, why),
    });
  }

  /** @returns the stock's version after it */
  adjust(sku: string, delta: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#answered = (status, body) => {
        if (status === 200) resolve(JSON.parse(body).version);
        else reject(new Error(`the stock was not changed: ${status} ${body}`));
      };
      const headers = `Authorization: Bearer ${ADMIN_KEY}\r\nIdempotency-Key: ${randomUUID()}\r\n`;
      const path = `/v1/admin/stock/${sku}/adjustments`;
      this.#connection.send(request('POST', path, headers, { delta, reason: 'news' }));
    });
  }

  close(): void {
    this.#connection.close();
  }
}

if (process.send && process.argv[2] === 'feed') {
  let readers: Readers | null = null;
  process.on('message', (word: FeedJob | FeedWord) => {
    const work = async () => {
      if (!('kind' in word)) readers = new Readers(word);
      else if (word.kind === 'grow') return readers?.grow(word.to);
      else return readers?.news(word.count);
      return 0;
    };
    work().then(
      (result) => process.send?.(result),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}
