/**
 * Problems (RFC 9457): the one table of codes, each with its HTTP status and sentence, and the two ways to make an answer of
 * one: `problem` for what a handler refuses, `faultReply` for what kept a command from being decided. A test holds this table,
 * the OpenAPI document and the README's API page together.
 */
import { Fault, type FaultCode } from '../runtime/fault.ts';
import type { EdgeReply } from './reply.ts';

export interface ProblemKind {
  readonly status: number;
  /** One sentence, the same for every occurrence. */
  readonly title: string;
}

export const PROBLEMS = {
  // the request itself
  invalid_request: { status: 400, title: 'The request is not valid.' },
  idempotency_key_required: { status: 400, title: 'This call needs an Idempotency-Key.' },
  cursor_invalid: { status: 400, title: 'The cursor does not belong to this list.' },
  route_unknown: { status: 404, title: 'There is nothing at this path.' },
  method_not_allowed: { status: 405, title: 'This path does not take that method.' },
  request_timeout: { status: 408, title: 'The request body did not arrive in time.' },
  body_too_large: { status: 413, title: 'The request body is too large.' },
  unsupported_media_type: { status: 415, title: 'The request body is not in a media type that this call takes.' },
  upgrade_required: { status: 426, title: 'This path speaks WebSocket only.' },
  // who asks
  unauthenticated: { status: 401, title: 'A valid credential is needed.' },
  forbidden: { status: 403, title: 'This credential may not do that.' },
  signature_invalid: { status: 401, title: 'The signature does not belong to this message at this time.' },
  // what is not there
  not_found: { status: 404, title: 'There is no such thing, or this credential may not see it.' },
  sku_unknown: { status: 404, title: 'There is no such sku.' },
  line_unknown: { status: 404, title: 'The cart has no such line.' },
  coupon_unknown: { status: 404, title: 'There is no such coupon.' },
  shipping_unknown: { status: 404, title: 'There is no such shipping method.' },
  // carts and stock
  coupon_not_applicable: { status: 409, title: 'The coupon does not apply to this cart.' },
  coupon_limit: { status: 409, title: 'The cart takes no more coupons.' },
  shipping_unavailable: { status: 409, title: 'The shipping method does not serve this cart.' },
  price_unavailable: { status: 409, title: 'There is no price in the currency of the cart.' },
  limit_reached: { status: 409, title: 'The quantity is over the limit.' },
  hold_cooldown: { status: 409, title: 'This sku cannot be held again yet.' },
  hold_expired: { status: 409, title: 'A hold has expired.' },
  hold_gone: { status: 409, title: 'The hold is no longer there.' },
  out_of_stock: { status: 409, title: 'There is not enough stock.' },
  ambiguous_line: { status: 409, title: 'The sku is on more than one line.' },
  cart_full: { status: 409, title: 'The cart takes no more lines.' },
  cart_empty: { status: 409, title: 'The cart is empty.' },
  cart_closed: { status: 409, title: 'The cart can no longer be changed.' },
  version_mismatch: { status: 412, title: 'The thing has changed since that version.' },
  // checkout and orders
  payment_declined: { status: 402, title: 'The payment was declined.' },
  price_changed: { status: 409, title: 'The total is not the expected one.' },
  checkout_in_progress: { status: 409, title: 'A checkout of this cart is under way.' },
  cart_checked_out: { status: 409, title: 'The cart has been checked out.' },
  order_failed: { status: 409, title: 'The order could not be completed.' },
  not_cancellable: { status: 409, title: 'The order cannot be cancelled now.' },
  // operators
  stock_negative: { status: 409, title: 'The stock would become negative.' },
  stock_limit: { status: 409, title: 'The stock would pass its limit.' },
  job_not_failed: { status: 409, title: 'Only a job that has failed can be run again.' },
  last_node: { status: 409, title: 'No other node could take over.' },
  // idempotency
  idempotency_key_reused: { status: 422, title: 'The Idempotency-Key was used with another request.' },
  idempotency_in_progress: { status: 409, title: 'The first request with this Idempotency-Key is still at work.' },
  idempotency_full: { status: 429, title: 'No more keys are taken for this resource at present.' },
  // limits and faults
  rate_limited: { status: 429, title: 'Too many requests.' },
  rejected: { status: 422, title: 'The data cannot be stored.' },
  internal: { status: 500, title: 'Something went wrong on our side.' },
  quarantined: { status: 500, title: 'This record cannot be read at present.' },
  overloaded: { status: 503, title: 'The server is busy.' },
  deadline_exceeded: { status: 503, title: 'The request was not decided in time and had no effect.' },
  shard_unavailable: { status: 503, title: 'This part of the data is moving to another node.' },
  database_unavailable: { status: 503, title: 'The database cannot be reached.' },
  outcome_unknown: { status: 503, title: 'It is not known whether the request took effect.' },
  pricing_unavailable: { status: 503, title: 'The price could not be computed.' },
  not_ready: { status: 503, title: 'This node cannot serve yet.' },
  draining: { status: 503, title: 'This node is going away.' },
  effect_failed: { status: 503, title: 'A step outside this server has no outcome yet.' },
} as const satisfies Record<string, ProblemKind> & Record<Exclude<FaultCode, 'moved'>, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One wrong place in the input; `path` is a JSON pointer into the body, or `/query/…`, `/params/…`, `/headers/…`. */
export interface InputError {
  readonly path: string;
  readonly message: string;
}

export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  /** The path of the request; the edge fills it in. */
  instance?: string;
  readonly errors?: readonly InputError[];
  /** Further members, such as `cart` or `orderId`. */
  readonly [member: string]: unknown;
}

export interface ProblemOptions {
  /** What is wrong this time, for a person. Never a stack, a query or a host name. Default: the first error, or the title. */
  readonly detail?: string | undefined;
  readonly errors?: readonly InputError[] | undefined;
  /** Further members of the document; they cannot replace the standard ones. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Becomes `Retry-After` in whole seconds, at least 1. 429 and 503 have one of 1 s where none is given. */
  readonly retryAfterMs?: number | undefined;
}

export const PROBLEM_TYPE = 'application/problem+json';

/** Where the codes are explained; served by the edge. */
export const PROBLEM_PAGE = '/docs/problems';

export interface ProblemReply extends EdgeReply {
  readonly body: ProblemDocument;
}

export function problem(code: ProblemCode, options: ProblemOptions = {}): ProblemReply {
  const kind: ProblemKind = PROBLEMS[code];
  const headers: Record<string, string> = { ...options.headers, 'content-type': PROBLEM_TYPE };
  const mustRetry = kind.status === 429 || kind.status === 503;
  if (options.retryAfterMs !== undefined) headers['retry-after'] = retryAfter(options.retryAfterMs);
  else if (mustRetry && headers['retry-after'] === undefined) headers['retry-after'] = '1';
  const body: ProblemDocument = {
    ...options.extra,
    type: `${PROBLEM_PAGE}#${code}`,
    title: kind.title,
    status: kind.status,
    code,
    detail: options.detail ?? firstError(options.errors) ?? kind.title,
    ...(options.errors === undefined ? undefined : { errors: options.errors }),
  };
  return { status: kind.status, headers, body };
}

function firstError(errors: readonly InputError[] | undefined): string | undefined {
  const [first] = errors ?? [];
  return first === undefined ? undefined : `${first.path} ${first.message}`.trim();
}

/** Whole seconds, rounded up, at least 1 (RFC 9110, section 10.2.3). */
export function retryAfter(delayMs: number): string {
  return String(Math.max(1, Math.ceil(delayMs / 1000)));
}

/**
 * The answer to anything thrown. A `Fault` keeps its code; its message is for the log only, for it may name a host or a query.
 * Everything else is `internal`.
 */
export function faultReply(thrown: unknown): ProblemReply {
  if (!(thrown instanceof Fault)) return problem('internal');
  // `moved` is between members; should it get here, the caller hears what it comes to.
  const code = thrown.code === 'moved' ? 'shard_unavailable' : thrown.code;
  return problem(code, { retryAfterMs: thrown.retryAfterMs });
}

export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}
