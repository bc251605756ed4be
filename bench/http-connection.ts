/**
 * One keep-alive HTTP/1.1 connection of a load generator: ready-made bytes go out, an answer is read only as far as its status, length and
 * bytes, so that it costs as little as it can on the cores that it shares with the server. One request under way at a time.
 */
import { connect, type Socket } from 'node:net';

const READ_BYTES = 16 * 1024;
const LENGTH_HEADER = Buffer.from('ontent-length: ');
const HEAD_END = Buffer.from('\r\n\r\n');

export interface ConnectionHost {
  connected(): void;
  /** @param answer the whole message; it is overwritten after this call. @param bodyAt where its body begins */
  answered(status: number, answer: Buffer, bodyAt: number): void;
  /** The connection could not be made, or broke. Told once at most. */
  broken(why: 'connection' | 'closed'): void;
}

export class HttpConnection {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  #pending: Buffer | null = null;
  #over = false;

  /** @param from an address of this machine to connect from, where the server counts connections by address */
  constructor(port: number, host: ConnectionHost, from?: string) {
    this.#host = host;
    const readInto = Buffer.allocUnsafe(READ_BYTES);
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      ...(from === undefined ? {} : { localAddress: from }),
      // One buffer for each connection: a new one for each answer took a quarter of the generator's time.
      onread: {
        buffer: readInto,
        callback: (bytes) => {
          this.#take(readInto.subarray(0, bytes));
          return true;
        },
      },
    });
    this.#socket.once('connect', () => host.connected());
    this.#socket.once('error', () => this.#end('connection'));
    this.#socket.once('close', () => this.#end('closed'));
  }

  send(request: string): void {
    this.#socket.write(request, 'latin1');
  }

  close(): void {
    this.#over = true;
    this.#socket.destroy();
  }

  #end(why: 'connection' | 'closed'): void {
    if (this.#over) return;
    this.#over = true;
    this.#host.broken(why);
  }

  #take(data: Buffer): void {
    const whole = this.#pending === null ? data : Buffer.concat([this.#pending, data]);
    const headEnd = whole.indexOf(HEAD_END);
    const bodyAt = headEnd + 4;
    if (headEnd === -1 || whole.length < bodyAt + contentLength(whole, headEnd)) {
      this.#pending = this.#pending === null ? Buffer.from(data) : whole;
      return;
    }
    this.#pending = null;
    this.#host.answered(digit(whole, 9) * 100 + digit(whole, 10) * 10 + digit(whole, 11), whole, bodyAt);
  }
}

const digit = (data: Buffer, at: number) => (data[at] ?? 0) - 48;

/** Of a message whose head ends at `headEnd`; 0 where it names none. */
function contentLength(message: Buffer, headEnd: number): number {
  let at = message.indexOf(LENGTH_HEADER);
  if (at === -1 || at > headEnd) at = message.indexOf('ontent-Length: ');
  if (at === -1 || at > headEnd) return 0;
  let length = 0;
  for (let i = at + LENGTH_HEADER.length; i < headEnd; i++) {
    const value = digit(message, i);
    if (value < 0 || value > 9) break;
    length = length * 10 + value;
  }
  return length;
}
