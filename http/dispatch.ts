/**
 * From a route's declaration to the function that the native router calls. Everything that can be known before the first
 * request is worked out once, in `compileRoute`; a request then goes through fixed steps, each of which may end it:
 *
 *   head (smuggling guard) → room → rate limits → credential → path and query → headers → body → key → handler → answer
 *
 * A handler that returns a value is answered in the same turn; one that returns a promise, when it settles.
 */
import Type from 'typebox';
import { Fault } from '../runtime/fault.ts';
import type { BodyReader } from './body.ts';
import { tooLarge } from './body.ts';
import { addressText, networkKey, networkOf, type TrustedProxies } from './client-address.ts';
import { Exchange, type ExchangeContext } from './exchange.ts';
import { type EdgeKey, edgeKey, isUuid, parseIdempotencyKey } from './idempotency-key.ts';
import { Later } from './later.ts';
import type { RouteTimer } from './metrics.ts';
import { faultReply, type InputError, type ProblemReply, problem } from './problem.ts';
import type { RateLimiter } from './rate-limits.ts';
import type { EdgeReply } from './reply.ts';
import { type RequestHead, readHead } from './request-head.ts';
import type { AnyRoute, EdgeRequest } from './route.ts';
import { type Role, roleCovers } from './tokens.ts';
import type { HttpRequest, HttpResponse } from './uws.ts';
import { Checker, decodePart, parseJson, QueryReader } from './validation.ts';

export interface EdgeLog {
  warn(detail: object, message: string): void;
  error(detail: object, message: string): void;
}

/** Who an operator is by the credential (`AdminKeys`). */
export interface Operators {
  roleOf(bearer: string | null): Role | null;
}

/** What all routes of an edge share. */
export interface Dispatch extends ExchangeContext {
  readonly log: EdgeLog;
  readonly bodies: BodyReader;
  readonly inFlightMax: number;
  readonly proxies: TrustedProxies;
  /** null: rate limits are off. */
  readonly limiters: ReadonlyMap<string, RateLimiter> | null;
  /** null: this edge has no operators' routes. */
  readonly adminKeys: Operators | null;
  newRequestId(): string;
}

export const BODY_BYTES_DEFAULT = 16_384;
/** Whose stages are told: the durable write that a shop takes most of. */
const FOLLOWED = 'addCartLine';
/** Longer credentials are nobody's. */
const BEARER_LENGTH_MAX = 512;
const NO_QUERY: object = Object.freeze({});
const TAKES_NONE = Type.Object({}, { additionalProperties: false });
const NO_BODY = Buffer.alloc(0);

type Handler = (res: HttpResponse, req: HttpRequest) => void;

/** Names of the `{parameters}` in a path, in order. */
export function pathParameters(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}

class IncomingRequest implements EdgeRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly bearer: string | null;
  readonly key: EdgeKey | undefined;
  readonly ifMatch: number | undefined;
  readonly path: string;
  readonly raw: Uint8Array | undefined;
  readonly #call: Call;

  constructor(call: Call, body: unknown, raw: Uint8Array | undefined, key: EdgeKey | undefined) {
    this.params = call.params;
    this.query = call.query;
    this.body = body;
    this.bearer = call.bearer;
    this.key = key;
    this.ifMatch = call.ifMatch;
    this.path = call.exchange.path;
    this.raw = raw;
    this.#call = call;
  }

  header(name: string): string {
    return this.#call.head.header(name);
  }

  get clientIp(): string {
    return this.#call.clientIp();
  }
}

/** What is known of a request before its body. */
class Call {
  readonly exchange: Exchange;
  readonly head: RequestHead;
  readonly #proxies: TrustedProxies;
  #clientIp: string | null = null;
  bearer: string | null = null;
  params: object = NO_QUERY;
  query: unknown = NO_QUERY;
  ifMatch: number | undefined = undefined;
  rawKey: string | undefined = undefined;

  constructor(exchange: Exchange, head: RequestHead, proxies: TrustedProxies) {
    this.exchange = exchange;
    this.head = head;
    this.#proxies = proxies;
  }

  clientIp(): string {
    if (this.#clientIp !== null) return this.#clientIp;
    const peer = this.exchange.peer();
    if (peer === null) return '';
    this.#clientIp = this.#proxies.clientOf(addressText(peer), this.head.forwardedFor);
    return this.#clientIp;
  }

  /** What the client's network is counted under. */
  network(): string | number {
    if (this.#proxies.any && this.head.forwardedFor !== '') return networkOf(this.clientIp());
    const peer = this.exchange.peer();
    return peer === null ? '' : networkKey(peer);
  }
}

export function compileRoute(route: AnyRoute, dispatch: Dispatch, timer: RouteTimer, headOnly: boolean): Handler {
  const { stats, limiters, log } = dispatch;
  const names = pathParameters(route.path);
  const paramsChecker = route.params === undefined ? null : new Checker(route.params);
  const query = route.query === undefined && route.hidden === true ? null : new QueryReader(route.query ?? TAKES_NONE);
  const bodyChecker = route.body === undefined ? null : new Checker(route.body);
  const takesBody = route.method !== 'GET';
  const bodyMax = route.rawBody?.maxBytes ?? route.maxBodyBytes ?? BODY_BYTES_DEFAULT;
  const bodyNeeded = route.rawBody !== undefined || (bodyChecker !== null && route.bodyOptional !== true);
  const keys = takesBody ? (route.idempotency ?? 'optional') : 'ignored';
  const limited = route.limit !== 'unlimited';
  const networkLimiter = limited ? (limiters?.get('network') ?? null) : null;
  const limiter = limited ? (limiters?.get(route.limit ?? 'default') ?? null) : null;
  const role: Role | null = route.access === 'none' || route.access === 'cart' ? null : route.access;
  const name = route.operationId;
  const stages = name === FOLLOWED ? (dispatch.stages ?? null) : null;

  function refused(thrown: unknown, exchange: Exchange): ProblemReply {
    const quiet = thrown instanceof Fault && thrown.code !== 'internal' && thrown.code !== 'quarantined';
    if (quiet) return faultReply(thrown);
    const requestId = dispatch.newRequestId();
    log.error({ err: thrown, requestId, route: name, path: exchange.path }, 'a request failed');
    const reply = faultReply(thrown);
    return { ...reply, body: { ...reply.body, requestId } };
  }

  function send(exchange: Exchange, reply: EdgeReply, leave = false): void {
    const failure = exchange.answer(reply, leave);
    if (failure !== undefined) log.error({ err: failure, route: name }, 'an answer could not be sent as it was');
  }

  function overloaded(): ProblemReply {
    stats.overloaded++;
    return problem('overloaded');
  }

  function limit(call: Call): ProblemReply | null {
    if (networkLimiter === null && limiter === null) return null;
    const now = call.exchange.startedAt;
    const network = call.network();
    // by token only where the route is opened by one: else a caller would pick a new counter with each made-up token
    const caller = route.access === 'none' || call.bearer === null ? network : call.bearer;
    const refusal = networkLimiter?.check(network, now) ?? limiter?.check(caller, now) ?? null;
    if (refusal === null) return null;
    stats.rateLimited++;
    return problem('rate_limited', refusal);
  }

  function credential(call: Call): ProblemReply | null {
    if (route.access === 'none') return null;
    if (call.bearer === null) return unauthenticated();
    if (role === null) return null;
    const held = dispatch.adminKeys?.roleOf(call.bearer) ?? null;
    if (held === null) return unauthenticated();
    return roleCovers(held, role) ? null : problem('forbidden');
  }

  function target(call: Call, req: HttpRequest): ProblemReply | null {
    if (names.length > 0) {
      const params: Record<string, string> = {};
      for (let i = 0; i < names.length; i++) {
        const parameter = names[i] ?? '';
        const value = decodePart(req.getParameter(i) ?? '', false);
        if (value === null)
          return invalid([{ path: `/params/${parameter}`, message: 'is not valid percent-encoded UTF-8' }]);
        params[parameter] = value;
      }
      if (paramsChecker !== null && !paramsChecker.accepts(params)) return problem('not_found');
      call.params = params;
    }
    if (query === null) return null;
    const raw = req.getQuery() ?? '';
    if (raw === '' && route.query === undefined) return null;
    const read = query.read(raw);
    if ('errors' in read) return invalid(read.errors);
    call.query = read.value;
    return null;
  }

  function headers(call: Call): ProblemReply | null {
    const { head } = call;
    if (head.repeated !== '')
      return invalid([{ path: `/headers/${head.repeated}`, message: 'is given more than once' }]);
    if (head.ifMatch !== '') {
      const version = entityVersion(head.ifMatch);
      if (version === null) return invalid([{ path: '/headers/if-match', message: 'must be one entity tag or *' }]);
      call.ifMatch = version;
    }
    if (keys === 'ignored') return null;
    if (head.idempotencyKey === '') return keys === 'required' ? problem('idempotency_key_required') : null;
    const key = parseIdempotencyKey(head.idempotencyKey);
    if (key === null || (keys === 'uuid' && !isUuid(key))) {
      const message = keys === 'uuid' ? 'must be a UUID' : 'must be 1 to 255 visible ASCII characters';
      return invalid([{ path: '/headers/idempotency-key', message }]);
    }
    // one UUID is one key, however its letters are written
    call.rawKey = keys === 'uuid' ? key.toLowerCase() : key;
    return null;
  }

  /** What keeps a body of this length and type from being read at all, or null. */
  function bodyAhead(head: RequestHead): ProblemReply | null {
    if (head.contentLength > bodyMax) return tooLarge(bodyMax);
    if (route.rawBody !== undefined) {
      const type = mediaType(head.contentType);
      const readable = type !== 'application/json' || isJson(head.contentType);
      if (readable && route.rawBody.contentTypes.includes(type)) return null;
      return problem('unsupported_media_type', {
        detail: `One of ${route.rawBody.contentTypes.join(', ')} is taken here.`,
      });
    }
    if (!isJson(head.contentType))
      return problem('unsupported_media_type', { detail: 'application/json in UTF-8 is taken here.' });
    return null;
  }

  /** Reads the body and calls the handler. `bytes` may be a view that is gone after this turn; it is parsed in it. */
  function handled(call: Call, bytes: Buffer): EdgeReply | Promise<EdgeReply> | Later {
    let body: unknown;
    let raw: Buffer | undefined;
    if (route.rawBody !== undefined) raw = Buffer.from(bytes);
    else if (bytes.length > 0) {
      const parsed = parseJson(bytes);
      if (!parsed.ok) return invalid([{ path: '', message: parsed.detail }], parsed.detail);
      if (bodyChecker !== null) {
        body = parsed.value;
        if (!bodyChecker.accepts(body)) return invalid(bodyChecker.errors(body, ''));
      } else if (!isEmptyObject(parsed.value)) return invalid([{ path: '', message: 'no body is taken here' }]);
    }
    const { rawKey, exchange } = call;
    const key = rawKey === undefined ? undefined : edgeKey(rawKey, route.method, exchange.path, raw ?? body);
    if (stages === null) return route.handle(new IncomingRequest(call, body, raw, key));
    stages.begin(exchange, exchange.startedAt);
    const reply = route.handle(new IncomingRequest(call, body, raw, key));
    stages.handled();
    return reply;
  }

  function answerWith(call: Call, bytes: Buffer): void {
    const { exchange } = call;
    try {
      const result = handled(call, bytes);
      if (result instanceof Later) {
        result.take(
          (reply) => send(exchange, reply),
          (thrown) => send(exchange, refused(thrown, exchange)),
        );
      } else if (isPromise(result)) {
        result.then(
          (reply) => send(exchange, reply),
          (thrown: unknown) => send(exchange, refused(thrown, exchange)),
        );
      } else send(exchange, result);
    } catch (thrown) {
      send(exchange, refused(thrown, exchange));
    }
  }

  /** Everything before the body: what refuses the request, or null. */
  function opened(call: Call, req: HttpRequest): ProblemReply | null {
    call.bearer = bearerOf(call.head.authorization);
    return limit(call) ?? credential(call) ?? target(call, req) ?? headers(call);
  }

  return (res, req) => {
    const head = readHead(req);
    const exchange = new Exchange(dispatch, timer, res, head, req.getUrl(), headOnly);
    if (head.hostile) {
      stats.hostile++;
      exchange.cut();
      return;
    }
    try {
      const call = new Call(exchange, head, dispatch.proxies);
      const refusal = stats.inFlight > dispatch.inFlightMax ? overloaded() : opened(call, req);
      if (refusal !== null) {
        // a body larger than the route would read is not waited for
        send(exchange, refusal, head.contentLength > bodyMax);
      } else if (head.contentLength <= 0) {
        if (bodyNeeded) send(exchange, invalid([{ path: '', message: 'a body is needed' }]));
        else answerWith(call, NO_BODY);
      } else {
        const unwanted = takesBody ? bodyAhead(head) : invalid([{ path: '', message: 'no body is taken here' }]);
        if (unwanted !== null) send(exchange, unwanted, true);
        else dispatch.bodies.read(exchange, bodyMax, (bytes) => answerWith(call, bytes));
      }
    } catch (thrown) {
      send(exchange, refused(thrown, exchange));
    }
  };
}

function invalid(errors: readonly InputError[], detail?: string): ProblemReply {
  return problem('invalid_request', { errors, detail });
}

function unauthenticated(): ProblemReply {
  return problem('unauthenticated', { headers: { 'www-authenticate': 'Bearer' } });
}

function isPromise(result: EdgeReply | Promise<EdgeReply>): result is Promise<EdgeReply> {
  return 'then' in result && typeof result.then === 'function';
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}

/** RFC 6750; the scheme's case does not matter. */
function bearerOf(authorization: string): string | null {
  if (authorization.length < 8 || authorization.length > BEARER_LENGTH_MAX) return null;
  if (authorization.slice(0, 7).toLowerCase() !== 'bearer ') return null;
  const token = authorization.slice(7).trim();
  return token === '' ? null : token;
}

/** A version that no thing has: a tag of another form matches nothing. */
const NO_VERSION = -1;

/** The version in `If-Match`; undefined for `*`, null where it is not one strong tag. */
function entityVersion(ifMatch: string): number | undefined | null {
  if (ifMatch === '*') return undefined;
  const tag = /^(W\/)?"([\x21\x23-\x7e]*)"$/.exec(ifMatch);
  if (tag === null) return null;
  // a weak tag never matches (RFC 9110, section 13.1.1)
  return tag[1] === undefined && /^\d{1,15}$/.test(tag[2] ?? '') ? Number(tag[2]) : NO_VERSION;
}

function mediaType(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

function isJson(contentType: string): boolean {
  if (contentType === 'application/json') return true;
  if (mediaType(contentType) !== 'application/json') return false;
  const charset = /;\s*charset="?([^;"\s]+)/i.exec(contentType)?.[1];
  return charset === undefined || charset.toLowerCase() === 'utf-8';
}
