/**
 * The stock feed on the native server: `GET /v1/feed` as a WebSocket. This file is the door (who may open a socket, with which
 * subprotocol), the socket's callbacks, the sweep that pings and gives up on the silent and the slow, and the way out at a drain.
 * What is told to whom is in `feed-hub.ts` and `feed-socket.ts`.
 *
 * Promises: no callback throws into the native code, which would end the process; a socket is never touched after its close.
 * The native buffer's own limit would drop messages without a word; ours is lower and nothing about stock is sent past it.
 */
import { STATUS_CODES } from 'node:http';
import type { Clock } from '../runtime/clock.ts';
import { addressText, networkOf } from './client-address.ts';
import { FeedHub } from './feed-hub.ts';
import {
  CLOSE_BAD_MESSAGE,
  CLOSE_GOING_AWAY,
  CLOSE_INTERNAL,
  chooseSubprotocol,
  FEED_LIMITS,
  type FeedLimits,
  type Parsed,
  parse,
  parseQuery,
  SUBPROTOCOLS,
  type Subprotocol,
} from './feed-protocol.ts';
import { type FeedSocket, type FeedStats, newFeedStats, type Wire } from './feed-socket.ts';
import { type ProblemCode, type ProblemOptions, problem } from './problem.ts';
import { type RequestHead, readHead } from './request-head.ts';
import type { StockCache } from './stock-cache.ts';
import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from './uws.ts';

export interface FeedLog {
  error(detail: object, message: string): void;
}

export interface FeedOptions {
  /** Started and closed by its owner. */
  readonly stock: StockCache;
  readonly skuExists: (sku: string) => boolean;
  readonly clock: Clock;
  readonly log: FeedLog;
  readonly limits?: Partial<FeedLimits>;
  /** Origins that may open a socket with a cookie, besides the host's own. Default none. */
  readonly allowedOrigins?: readonly string[];
  /** Who the client is behind trusted proxies. Default: the peer. */
  readonly proxies?: { clientOf(peer: string, forwarded: string): string };
  /** A rate limit on new sockets, asked with the client's network; what it returns is told with the 429. Default: all are admitted. */
  readonly admit?: (network: string) => Pick<ProblemOptions, 'headers' | 'retryAfterMs'> | null;
}

export interface Feed {
  /** Puts the feed's path on the server; once, before `listen`. */
  attach(app: TemplatedApp): void;
  /**
   * Refuses new sockets and closes all with 4013, each told to come back after a random while of up to `spreadMs` (default
   * 5,000), so that they do not all come at once. Resolves when every close has been sent.
   */
  close(spreadMs?: number): Promise<void>;
  readonly stats: Readonly<FeedStats>;
}

const PATH = '/v1/feed';
const SWEEP_MS = 1_000;
const RETRY_MS_MIN = 500;
const CLOSES_PER_TURN = 256;
/** Native time limit for a peer that does not finish a close; the sweep sees to living sockets. In seconds. */
const NATIVE_IDLE_S = 120;

type Refusal = [ProblemCode, ProblemOptions];
const STANDARD_HEADERS = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };
/** Sockets stay open for long: one that is refused for their number may as well wait. */
const COME_BACK_MS = 5_000;

function tooManySockets(max: number): ProblemOptions {
  const headers = {
    'ratelimit-policy': `"feed_sockets";q=${max}`,
    ratelimit: `"feed_sockets";r=0;t=${COME_BACK_MS / 1000}`,
  };
  return { detail: `At most ${max} sockets of one network at once.`, headers, retryAfterMs: COME_BACK_MS };
}

const BAD_SUBPROTOCOL: Refusal = ['invalid_request', { detail: `Subprotocols are ${SUBPROTOCOLS.join(', ')}.` }];

interface Peer {
  readonly protocol: Subprotocol;
  readonly network: string;
  readonly first: Parsed | undefined;
  session: Session | undefined;
}

interface Session {
  readonly ws: WebSocket<Peer>;
  readonly socket: FeedSocket;
  readonly network: string;
  heardAt: number;
  pingAt: number;
}

export function createFeed(options: FeedOptions): Feed {
  return new NativeFeed(options);
}

class NativeFeed implements Feed {
  readonly stats: FeedStats = newFeedStats();
  readonly #limits: FeedLimits;
  readonly #options: FeedOptions;
  readonly #clock: Clock;
  readonly #hub: FeedHub;
  readonly #origins: ReadonlySet<string>;
  readonly #sessions = new Set<Session>();
  readonly #perNetwork = new Map<string, number>();
  #sweepTimer: { cancel(): void } | undefined;
  #state: 'open' | 'closing' = 'open';

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#limits = Object.freeze({ ...FEED_LIMITS, ...options.limits });
    this.#origins = new Set(options.allowedOrigins);
    const { stock, skuExists, clock } = options;
    const onError = (error: unknown) => options.log.error({ error }, 'a feed subscription failed');
    this.#hub = new FeedHub({ stock, skuExists, clock, limits: this.#limits, stats: this.stats, onError });
  }

  attach(app: TemplatedApp): void {
    app.ws<Peer>(PATH, {
      maxPayloadLength: this.#limits.messageBytesMax,
      maxBackpressure: this.#limits.bufferBytesMax,
      idleTimeout: NATIVE_IDLE_S,
      sendPingsAutomatically: false,
      upgrade: (res, req, context) => this.#upgrade(res, req, context),
      open: (ws) => this.#safely(ws, () => this.#open(ws)),
      message: (ws, bytes, binary) => this.#safely(ws, () => this.#message(ws, new Uint8Array(bytes), binary)),
      drain: (ws) => this.#safely(ws, () => ws.getUserData().session?.socket.drained(this.#clock.monotonic())),
      ping: (ws) => this.#heard(ws),
      pong: (ws) => this.#heard(ws),
      close: (ws) => this.#closed(ws),
    });
    // A request that is no upgrade goes on to the edge's routes (`routes/feed.ts`).
    this.#sweepLater();
  }

  async close(spreadMs = 5_000): Promise<void> {
    this.#state = 'closing';
    this.#sweepTimer?.cancel();
    let inTurn = 0;
    for (const session of this.#sessions) {
      const retryAfterMs = RETRY_MS_MIN + Math.floor(Math.random() * Math.max(0, spreadMs - RETRY_MS_MIN));
      session.socket.end(CLOSE_GOING_AWAY, JSON.stringify({ retryAfterMs }));
      inTurn += 1;
      if (inTurn % CLOSES_PER_TURN === 0) await new Promise(setImmediate);
    }
  }

  #upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    try {
      const head = readHead(req);
      const network = this.#networkOf(res, head);
      const asked = head.header('sec-websocket-protocol');
      const protocol = chooseSubprotocol(asked);
      const refusal = this.#refusal(head, network, protocol);
      if (refusal !== undefined || protocol === undefined) {
        this.#refuse(res, head, ...(refusal ?? BAD_SUBPROTOCOL));
        return;
      }
      const peer: Peer = { protocol, network, first: parseQuery(req.getQuery('skus') ?? ''), session: undefined };
      // A client that asked for none must be sent none.
      const chosen = asked.trim() === '' ? '' : protocol;
      res.upgrade(peer, head.header('sec-websocket-key'), chosen, head.header('sec-websocket-extensions'), context);
    } catch (error) {
      this.#options.log.error({ error }, 'a feed upgrade failed');
      res.close();
    }
  }

  #refusal(head: RequestHead, network: string, protocol: Subprotocol | undefined): Refusal | undefined {
    if (head.hostile || head.contentLength > 0) return ['invalid_request', {}];
    if (this.#state !== 'open') return ['draining', {}];
    if (head.header('cookie') !== '' && !this.#isOwnOrigin(head))
      return ['forbidden', { detail: 'This origin may not.' }];
    if (protocol === undefined) return BAD_SUBPROTOCOL;
    const sockets = this.#perNetwork.get(network) ?? 0;
    if (sockets >= this.#limits.socketsPerIpMax) return ['rate_limited', tooManySockets(this.#limits.socketsPerIpMax)];
    if (this.stats.sockets >= this.#limits.socketsMax) return ['overloaded', { retryAfterMs: COME_BACK_MS }];
    const limited = this.#options.admit?.(network) ?? null;
    return limited === null ? undefined : ['rate_limited', limited];
  }

  /** A browser names the page's origin; another site's page must not use the visitor's cookie here. */
  #isOwnOrigin(head: RequestHead): boolean {
    const { origin } = head;
    if (origin === '' || this.#origins.has(origin)) return true;
    try {
      return new URL(origin).host === head.header('host');
    } catch {
      return false;
    }
  }

  #refuse(res: HttpResponse, head: RequestHead, code: ProblemCode, options: ProblemOptions): void {
    this.stats.refused += 1;
    if (head.hostile) {
      // After an answer the parser would serve what follows in the same read.
      res.close();
      return;
    }
    const { status, headers = {}, body } = problem(code, options);
    res.cork(() => {
      res.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
      for (const [name, value] of Object.entries({ ...STANDARD_HEADERS, ...headers })) res.writeHeader(name, value);
      res.end(JSON.stringify({ ...body, instance: PATH }), head.contentLength > 0);
    });
  }

  #networkOf(res: HttpResponse, head: RequestHead): string {
    const peer = addressText(new Uint8Array(res.getRemoteAddress()));
    return networkOf(this.#options.proxies?.clientOf(peer, head.forwardedFor) ?? peer);
  }

  #open(ws: WebSocket<Peer>): void {
    const peer = ws.getUserData();
    const now = this.#clock.monotonic();
    const socket = this.#hub.join(wireOf(ws), peer.protocol);
    // Pings of sockets that came together are spread from the start.
    const pingAt = now + this.#limits.pingMs * Math.random();
    const session: Session = { ws, socket, network: peer.network, heardAt: now, pingAt };
    peer.session = session;
    this.#sessions.add(session);
    this.#perNetwork.set(peer.network, (this.#perNetwork.get(peer.network) ?? 0) + 1);
    this.stats.sockets += 1;
    this.stats.opened += 1;
    if (peer.first !== undefined) this.#take(socket, peer.first);
  }

  #message(ws: WebSocket<Peer>, bytes: Uint8Array, binary: boolean): void {
    const session = ws.getUserData().session;
    if (session === undefined) return;
    const now = this.#clock.monotonic();
    session.heardAt = now;
    this.stats.messagesIn += 1;
    const admitted = session.socket.admit(now);
    if (admitted === 'ok') {
      this.#take(session.socket, parse(session.socket.protocol, bytes, binary));
      return;
    }
    this.stats.messagesLimited += 1;
    if (admitted === 'abuse') session.socket.end(CLOSE_BAD_MESSAGE, 'too many messages');
    else session.socket.replyError('rate_limited', 'Too many messages; this one was not taken.');
  }

  #take(socket: FeedSocket, parsed: Parsed): void {
    if (parsed.ok) {
      this.#hub.receive(socket, parsed.message);
      return;
    }
    this.stats.messagesBad += 1;
    socket.end(CLOSE_BAD_MESSAGE, parsed.why);
  }

  #heard(ws: WebSocket<Peer>): void {
    const session = ws.getUserData().session;
    if (session !== undefined) session.heardAt = this.#clock.monotonic();
  }

  #closed(ws: WebSocket<Peer>): void {
    const peer = ws.getUserData();
    const session = peer.session;
    if (session === undefined) return;
    peer.session = undefined;
    this.#sessions.delete(session);
    this.#hub.leave(session.socket);
    this.stats.sockets -= 1;
    const left = (this.#perNetwork.get(peer.network) ?? 1) - 1;
    if (left > 0) this.#perNetwork.set(peer.network, left);
    else this.#perNetwork.delete(peer.network);
  }

  #sweepLater(): void {
    this.#sweepTimer = this.#clock.setTimeout(() => {
      const now = this.#clock.monotonic();
      for (const session of this.#sessions) this.#safely(session.ws, () => this.#sweep(session, now));
      if (this.#state === 'open') this.#sweepLater();
    }, SWEEP_MS);
  }

  #sweep(session: Session, now: number): void {
    const { socket, ws } = session;
    if (now - session.heardAt > this.#limits.silenceMsMax) {
      this.stats.closedSilent += 1;
      ws.close();
      return;
    }
    socket.checkStall(now);
    if (now < session.pingAt || socket.state !== 'flowing') return;
    session.pingAt = now + this.#limits.pingMs;
    ws.ping();
  }

  /** A throw in a native callback ends the process: the one socket is closed in its place. */
  #safely(ws: WebSocket<Peer>, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.log.error({ error }, 'a feed socket failed');
      if (ws.getUserData().session !== undefined) ws.end(CLOSE_INTERNAL, 'internal');
    }
  }
}

/** Numbers of the native `send`: 1 sent, 0 taken into the buffer, 2 dropped. */
const DROPPED = 2;

function wireOf(ws: WebSocket<Peer>): Wire {
  const peer = ws.getUserData();
  // The native object throws when it is touched after its close.
  const isOpen = () => peer.session !== undefined;
  return {
    send: ({ data, binary }) => isOpen() && ws.send(data, binary) !== DROPPED,
    buffered: () => (isOpen() ? ws.getBufferedAmount() : 0),
    cork: (write) => {
      if (isOpen()) ws.cork(write);
    },
    close: (code, reason) => {
      if (isOpen()) ws.end(code, reason);
    },
  };
}
