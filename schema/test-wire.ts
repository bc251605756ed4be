/**
 * For tests only: a connection between client and server that can be held and cut, so that a statement's outcome is unknown on purpose.
 */
import net from 'node:net';
import pg from 'pg';

/** Passes bytes both ways; can keep back what clients send, and cut clients off while the server goes on. */
export class Wire {
  readonly #server = net.createServer((client) => this.#accept(client));
  readonly #target: string;
  #pairs: { client: net.Socket; server: net.Socket; held: Buffer[] }[] = [];
  readonly #servers = new Set<net.Socket>();
  #holding = false;

  constructor(target: string) {
    this.#target = target;
  }

  /** Its address, for a client of the target. */
  async listen(): Promise<string> {
    if (!this.#server.listening) await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { user, password = '', database = '' } = new pg.Client({ connectionString: this.#target });
    const credentials = [user, password].map((part) => encodeURIComponent(part ?? '')).join(':');
    const { port } = this.#server.address() as net.AddressInfo;
    return `postgres://${credentials}@127.0.0.1:${port}/${database}`;
  }

  /** From now on nothing that a client sends reaches the server. */
  hold(): void {
    this.#holding = true;
  }

  /** Passes on what is sent from now on; what was held back is lost. */
  pass(): void {
    this.#holding = false;
  }

  get heldBytes(): number {
    return this.#pairs.reduce((sum, { held }) => sum + held.reduce((bytes, chunk) => bytes + chunk.length, 0), 0);
  }

  /**
   * Cuts all clients off; their connections to the server stay. What was held is sent by `release`, which resolves with the server's
   * answer. `end`: the server hears of it, as soon as it is done with what it is at.
   */
  cut(): { release(): Promise<string>; end(): void } {
    const cut = this.#pairs;
    this.#pairs = [];
    this.#holding = false;
    for (const { client } of cut) client.destroy();
    return {
      end: () => {
        for (const { server } of cut) server.end();
      },
      release: () =>
        new Promise((resolve) => {
          for (const { server, held } of cut) {
            if (held.length > 0) server.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1')));
            for (const chunk of held.splice(0)) server.write(chunk);
          }
        }),
    };
  }

  async close(): Promise<void> {
    for (const { client } of this.#pairs) client.destroy();
    for (const server of this.#servers) server.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: net.Socket): void {
    // A client that never connects reads the address as the driver does, unix sockets and all.
    const { host, port } = new pg.Client({ connectionString: this.#target });
    const server = host.startsWith('/') ? net.connect(`${host}/.s.PGSQL.${port}`) : net.connect(port, host);
    this.#servers.add(server);
    const pair = { client, server, held: [] as Buffer[] };
    this.#pairs.push(pair);
    client.on('data', (chunk: Buffer) => {
      if (this.#holding) pair.held.push(chunk);
      else server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (!client.destroyed) client.write(chunk);
    });
    server.on('close', () => {
      client.destroy();
      this.#servers.delete(server);
    });
    for (const socket of [client, server]) socket.on('error', () => {});
  }
}
