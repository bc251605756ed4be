/**
 * A client that sends exactly the bytes it is told to, for tests of what well-behaved clients cannot send. It reads answers that
 * carry a Content-Length, and tells when the server closes.
 */
import { once } from 'node:events';
import net from 'node:net';

/** A test that waits longer than this has failed. */
const PATIENCE_MS = 15_000;

export interface RawAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export class RawClient {
  readonly #socket: net.Socket;
  #received = Buffer.alloc(0);
  #closed = false;
  #changed: () => void = () => {};

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#changed();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#closed = true;
      this.#changed();
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = net.connect(port, '127.0.0.1');
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** One request on a connection of its own. */
  static async once(port: number, request: string | Buffer, noBody = false): Promise<RawAnswer> {
    const client = await RawClient.connect(port);
    try {
      client.write(request);
      return await client.answer(noBody);
    } finally {
      client.destroy();
    }
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  /** The next whole answer; rejects where the connection ends first. @param noBody the answer to HEAD */
  async answer(noBody = false): Promise<RawAnswer> {
    for (;;) {
      const found = this.#parse(noBody);
      if (found !== null) return found;
      if (this.#closed) throw new Error(`closed after ${this.#received.length} bytes of an answer`);
      await this.#change();
    }
  }

  /** Resolves when the server has closed, with everything that was not read as an answer. */
  async closed(): Promise<string> {
    while (!this.#closed) await this.#change();
    return this.#received.toString('latin1');
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #change(): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`nothing came for ${PATIENCE_MS} ms`)), PATIENCE_MS);
      this.#changed = () => {
        clearTimeout(late);
        resolve();
      };
    });
  }

  #parse(noBody: boolean): RawAnswer | null {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const [first = '', ...lines] = this.#received.subarray(0, end).toString('latin1').split('\r\n');
    const headers: Record<string, string> = {};
    for (const line of lines)
      headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 2);
    const length = noBody ? 0 : Number(headers['content-length'] ?? 0);
    const start = end + 4;
    if (this.#received.length < start + length) return null;
    const body = this.#received.subarray(start, start + length).toString();
    this.#received = this.#received.subarray(start + length);
    return { status: Number(first.split(' ')[1]), headers, body };
  }
}

/** A request with a body, as a browser would send it. */
export function post(path: string, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Buffer {
  const bytes = Buffer.from(body);
  const all = { host: 'shop', 'content-type': 'application/json', 'content-length': String(bytes.length), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), bytes]);
}

export function get(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): string {
  const lines = Object.entries({ host: 'shop', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
