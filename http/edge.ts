/**
 * The edge: the native server with the routes on it, from the first connection to the last answer. It relies on routes that
 * return values and promises; it promises that whatever reaches a path is answered once, in JSON or as a problem, that no
 * input and no handler can stop the process, and that a drain answers everything that was accepted.
 *
 * What the native server does by itself, measured: heads over 4 KB get 431, heads that are no HTTP/1.1 get 400 or 505, in short
 * HTML of its own, before any route; connections idle for about 10 s are cut. A second request that is pipelined behind one
 * that is still being answered ends the connection without an answer to either: HTTP pipelining works only behind answers
 * that need no waiting, so a client that pipelines must be ready to repeat (under its idempotency key).
 */
import type { Clock } from '../runtime/clock.ts';
import type { Stages } from '../runtime/stages.ts';
import { BodyReader } from './body.ts';
import { TrustedProxies } from './client-address.ts';
import { compileRoute, type Dispatch, type EdgeLog, type Operators } from './dispatch.ts';
import { type EdgeStats, Exchange } from './exchange.ts';
import { Metrics } from './metrics.ts';
import { problem } from './problem.ts';
import { RateLimiter, type RateLimitRules } from './rate-limits.ts';
import { readHead } from './request-head.ts';
import type { AnyRoute, Method } from './route.ts';
import {
  type HttpResponse,
  LISTEN_EXCLUSIVE,
  LISTEN_SHARED,
  listen,
  loadUws,
  type TemplatedApp,
  type us_listen_socket,
} from './uws.ts';

export interface EdgeLimits {
  /** Requests under way at once; over it 503 `overloaded`. */
  readonly inFlightMax: number;
  /** Open connections, WebSockets among them; over it new ones are closed. */
  readonly connectionsMax: number;
  /** From the head of a request to the end of its body, in milliseconds; over it 408. */
  readonly bodyTimeoutMs: number;
  /** A draining edge with nothing under way and no new request for this long is done, in milliseconds. */
  readonly drainQuietMs: number;
}

export const EDGE_LIMITS: EdgeLimits = {
  inFlightMax: 10_000,
  connectionsMax: 20_000,
  bodyTimeoutMs: 10_000,
  drainQuietMs: 500,
};

export interface EdgeOptions {
  readonly routes: readonly AnyRoute[];
  readonly limits?: Partial<EdgeLimits>;
  readonly rateLimits: RateLimitRules | 'off';
  readonly log: EdgeLog;
  readonly clock: Clock;
  /** Origins that may read answers in a browser. Default none. */
  readonly corsOrigins?: readonly string[];
  /** Addresses or networks whose `X-Forwarded-For` is believed. Default none. */
  readonly trustedProxies?: readonly string[];
  /** Needed where routes ask for an operator. */
  readonly adminKeys?: Operators;
  /** Follows a sample of the requests. Default: none. */
  readonly stages?: Stages | undefined;
  /** Latencies are kept here; default: nowhere that is shown. */
  readonly metrics?: Metrics;
  /** Puts handlers of its own on the native server, before the routes (the feed). They are not guarded: see `isHostile`. */
  readonly attach?: (app: TemplatedApp) => void;
  /** Refuse to share the port with another process. */
  readonly exclusive: boolean;
}

export interface Edge {
  /** @returns the port (for port 0 the one that was taken); rejects with one line where it cannot listen */
  listen(host: string, port: number): Promise<number>;
  /**
   * Stops listening and tells clients to leave with each answer; requests on open connections are still served. Resolves when
   * no connection is left, when nothing came for `drainQuietMs`, or after `graceMs`. `close` follows.
   */
  drain(graceMs: number): Promise<void>;
  /** Ends every connection now. */
  close(): void;
  readonly stats: Readonly<EdgeStats>;
}

const SWEEP_INTERVAL_MS = 500;
const DRAIN_POLL_MS = 20;
const EXPOSED = 'ETag, Location, Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed';
const ALLOWED_HEADERS = 'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Ticket';
const PREFLIGHT_MAX_AGE_S = '600';

const REGISTER = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'del' } as const satisfies Record<
  Method,
  keyof TemplatedApp
>;

/** @throws where a route names a limit that has no rule, asks for an operator without `adminKeys`, or is declared twice */
export function createEdge(options: EdgeOptions): Edge {
  const { clock, routes, rateLimits } = options;
  const limits: EdgeLimits = Object.freeze({ ...EDGE_LIMITS, ...options.limits });
  const { uws } = loadUws();
  const app = uws.App();
  const stats = newStats();
  const bodies = new BodyReader(limits.bodyTimeoutMs);
  const metrics = options.metrics ?? new Metrics(false);
  const run = Math.random().toString(36).slice(2, 8);
  const origins = options.corsOrigins ?? [];
  let requestIds = 0;
  const dispatch: Dispatch = {
    stats,
    bodies,
    log: options.log,
    draining: false,
    inFlightMax: limits.inFlightMax,
    proxies: new TrustedProxies(options.trustedProxies ?? []),
    limiters: rateLimits === 'off' ? null : limitersOf(rateLimits),
    adminKeys: options.adminKeys ?? null,
    now: () => clock.monotonic(),
    stages: options.stages,
    corsBlock: corsBlocks(origins),
    newRequestId: () => `${run}-${++requestIds}`,
  };
  checkRoutes(routes, dispatch);

  const onConnection = (res: HttpResponse, opened: unknown) => {
    stats.connections += Number(opened);
    if (Number(opened) > 0 && stats.connections > limits.connectionsMax) res.close();
  };
  app.filter(onConnection);
  options.attach?.(app);
  const methods = new Map<string, Method[]>();
  for (const route of routes) {
    const pattern = nativePattern(route.path);
    const timer = metrics.routeTimer(route.method, route.path);
    app[REGISTER[route.method]](pattern, compileRoute(route, dispatch, timer, false));
    if (route.method === 'GET') app.head(pattern, compileRoute(route, dispatch, timer, true));
    methods.set(pattern, [...(methods.get(pattern) ?? []), route.method]);
  }
  for (const [pattern, allowed] of methods) refuseOthers(app, pattern, allowed, dispatch, metrics, origins);
  refuseOthers(app, '/*', null, dispatch, metrics, origins);

  let socket: us_listen_socket | null = null;
  let sweeper: NodeJS.Timeout | null = null;
  const stopListening = () => {
    if (socket !== null) uws.us_listen_socket_close(socket);
    socket = null;
  };

  return {
    stats,
    listen(host, port) {
      return new Promise((resolve, reject) => {
        listen(app, host, port, options.exclusive ? LISTEN_EXCLUSIVE : LISTEN_SHARED, (listening) => {
          if (listening === false) return reject(new Error(`cannot listen on ${host}:${port}: is it taken?`));
          socket = listening;
          sweeper = setInterval(() => bodies.sweep(clock.monotonic()), SWEEP_INTERVAL_MS);
          sweeper.unref();
          resolve(uws.us_socket_local_port(listening));
        });
      });
    },
    async drain(graceMs) {
      stopListening();
      dispatch.draining = true;
      const end = clock.monotonic() + graceMs;
      let seen = stats.requests;
      let quietSince = clock.monotonic();
      while (stats.connections > 0 && clock.monotonic() < end) {
        if (stats.inFlight > 0 || stats.requests !== seen) quietSince = clock.monotonic();
        else if (clock.monotonic() - quietSince >= limits.drainQuietMs) break;
        seen = stats.requests;
        await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
      }
      if (stats.inFlight > 0)
        options.log.warn({ inFlight: stats.inFlight }, 'the grace of the drain ended before all answers');
    },
    close() {
      stopListening();
      if (sweeper !== null) clearInterval(sweeper);
      app.close();
    },
  };
}

function newStats(): EdgeStats {
  return {
    requests: 0,
    inFlight: 0,
    connections: 0,
    hostile: 0,
    aborted: 0,
    dropped: 0,
    status2xx: 0,
    status3xx: 0,
    status4xx: 0,
    status5xx: 0,
    rateLimited: 0,
    overloaded: 0,
  };
}

function limitersOf(rules: RateLimitRules): Map<string, RateLimiter> {
  return new Map(Object.entries(rules).map(([name, rule]) => [name, new RateLimiter(name, rule)]));
}

function checkRoutes(routes: readonly AnyRoute[], dispatch: Dispatch): void {
  const seen = new Set<string>();
  for (const { method, path, access, limit = 'default' } of routes) {
    const name = `${method} ${path}`;
    if (seen.has(name)) throw new Error(`${name} is declared twice`);
    seen.add(name);
    const open = access === 'none' || access === 'cart';
    if (!open && dispatch.adminKeys === null)
      throw new Error(`${name} asks for an operator, but there are no operators' keys`);
    if (limit !== 'unlimited' && dispatch.limiters !== null && !dispatch.limiters.has(limit))
      throw new Error(`${name} names the limit ${limit}, which has no rule`);
  }
}

/** `{id}` becomes `:id`. */
function nativePattern(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}

/** What a path answers to methods that it does not take: 405, a preflight, or (`allowed` null: no such path) 404. */
function refuseOthers(
  app: TemplatedApp,
  pattern: string,
  allowed: readonly Method[] | null,
  dispatch: Dispatch,
  metrics: Metrics,
  origins: readonly string[],
): void {
  const timer = metrics.routeTimer('other', pattern);
  const methods = [...(allowed ?? []), ...(allowed?.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  app.any(pattern, (res, req) => {
    const head = readHead(req);
    const method = req.getMethod();
    const exchange = new Exchange(dispatch, timer, res, head, req.getUrl(), method === 'head');
    if (head.hostile) {
      dispatch.stats.hostile++;
      exchange.cut();
      return;
    }
    // what is sent along with it is not read
    const leave = head.contentLength > 0;
    if (allowed === null) exchange.answer(problem('route_unknown'), leave);
    else if (method !== 'options')
      exchange.answer(problem('method_not_allowed', { headers: { allow: methods } }), leave);
    else {
      const headers = {
        allow: methods,
        'access-control-allow-methods': methods,
        'access-control-allow-headers': ALLOWED_HEADERS,
        'access-control-max-age': PREFLIGHT_MAX_AGE_S,
      };
      exchange.answer({ status: 204, headers: origins.includes(head.origin) ? headers : { allow: methods } }, leave);
    }
  });
}

/** Header blocks for the allowed origins; every other origin gets none that opens the answer to it. */
function corsBlocks(origins: readonly string[]): (origin: string) => string {
  if (origins.length === 0) return () => '';
  // also without an origin: a shared cache must not hand the answer to one origin that was made for another
  const vary = '\r\nvary: origin';
  const blocks = new Map(
    origins.map((origin) => [
      origin,
      `${vary}\r\naccess-control-allow-origin: ${origin}\r\naccess-control-expose-headers: ${EXPOSED}`,
    ]),
  );
  return (origin) => (origin === '' ? vary : (blocks.get(origin) ?? vary));
}
