/**
 * A TCP proxy between a node and what it rests on (Redis, PostgreSQL), which can misbehave as a network does. It relies on nothing but
 * sockets, and promises that what it is told holds for connections that stand as for those that come.
 *
 * States, changed by `behave`:
 * - `pass`: bytes go both ways, each chunk after `delayMs` (default 0), in order;
 * - `stall`: bytes of the given way wait in the kernel's buffers, as packets that are sent again and again do, and arrive once it passes
 *   again; the other way goes on;
 * - `lose`: bytes of the given way are read and thrown away. A stream with a hole is none any more: once it passes again,
 *   every connection that lost something is reset;
 * - `refuse`: connections are reset, new ones at once.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';

/** As the client sees it: `up` is what it sends. */
export type Way = 'up' | 'down' | 'both';

export type ProxyBehaviour =
  | { readonly kind: 'pass'; readonly delayMs?: number }
  | { readonly kind: 'stall'; readonly way: Way }
  | { readonly kind: 'lose'; readonly way: Way }
  | { readonly kind: 'refuse' };

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Whether bytes of it were thrown away. */
  holed: boolean;
}

const PASS: ProxyBehaviour = { kind: 'pass' };

export class TcpProxy {
  readonly port: number;
  readonly #target: NetConnectOpts;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #behaviour: ProxyBehaviour = PASS;
  /** Connections that were reset as they came. */
  refused = 0;

  private constructor(server: Server, target: NetConnectOpts) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (client) => this.#link(client));
  }

  /** @param target where connections lead: a port of this machine, or a unix socket. */
  static async listen(target: NetConnectOpts): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, target);
  }

  /** Connections that stand. */
  get connections(): number {
    return this.#links.size;
  }

  behave(behaviour: ProxyBehaviour): void {
    this.#behaviour = behaviour;
    for (const link of this.#links) {
      if (link.holed || behaviour.kind === 'refuse') this.#cut(link);
      else {
        flow(link.client, !stalls(behaviour, 'up'));
        flow(link.server, !stalls(behaviour, 'down'));
      }
    }
  }

  /** Resets every connection; new ones are taken as before. */
  cut(): void {
    for (const link of this.#links) this.#cut(link);
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #link(client: Socket): void {
    if (this.#behaviour.kind === 'refuse') {
      this.refused++;
      client.on('error', ignore);
      client.resetAndDestroy();
      return;
    }
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true } as NetConnectOpts);
    const link: Link = { client, server, holed: false };
    this.#links.add(link);
    for (const [from, to, way] of [
      [client, server, 'up'],
      [server, client, 'down'],
    ] as const) {
      from.on('data', (bytes) => this.#carry(link, from, to, way, bytes));
      from.on('end', () => to.end());
      from.on('error', () => this.#cut(link));
      from.on('close', () => {
        if (from.destroyed && to.destroyed) this.#links.delete(link);
        else to.end();
      });
      flow(from, !stalls(this.#behaviour, way));
    }
  }

  #carry(link: Link, from: Socket, to: Socket, way: 'up' | 'down', bytes: Buffer): void {
    const behaviour = this.#behaviour;
    if (behaviour.kind === 'lose' && concerns(behaviour.way, way)) {
      link.holed = true;
      return;
    }
    const delayMs = behaviour.kind === 'pass' ? (behaviour.delayMs ?? 0) : 0;
    // Timers of one length fire in the order in which they were set; a shorter one could overtake, so a change of the delay cuts nothing
    // but may only be made while nothing is on its way. The tests change it between requests.
    if (delayMs > 0) setTimeout(() => to.destroyed || to.write(bytes), delayMs);
    else if (!to.write(bytes)) {
      from.pause();
      to.once('drain', () => flow(from, !stalls(this.#behaviour, way)));
    }
  }

  #cut(link: Link): void {
    this.#links.delete(link);
    for (const socket of [link.client, link.server]) {
      socket.on('error', ignore);
      // A unix socket knows no reset. One that is being shut down takes none, and Node 20 and 22 then wait for its end for ever when the process is to end.
      if (socket.remoteAddress === undefined || socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
}

function concerns(way: Way, direction: 'up' | 'down'): boolean {
  return way === 'both' || way === direction;
}

function stalls(behaviour: ProxyBehaviour, direction: 'up' | 'down'): boolean {
  return behaviour.kind === 'stall' && concerns(behaviour.way, direction);
}

function flow(socket: Socket, on: boolean): void {
  if (on) socket.resume();
  else socket.pause();
}

function ignore(): void {}
