/**
 * What a route is: one declaration from which the edge takes its dispatch, its validation, its credentials and its limits, and
 * the OpenAPI document its text. Handlers get parsed, validated input and return a reply; they never touch a socket.
 */
import type { Static, TSchema } from 'typebox';
import type { KeyRef } from '../runtime/actor.ts';
import type { Later } from './later.ts';
import type { ProblemCode } from './problem.ts';
import type { EdgeReply } from './reply.ts';

export type { EdgeReply } from './reply.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * - `none`: anyone.
 * - `cart`: a cart's token (bearer); the handler checks that it opens the thing named in the path.
 * - `viewer`, `operator`, `admin`: an operator's key of at least that role.
 */
export type Access = 'none' | 'cart' | 'viewer' | 'operator' | 'admin';

export interface EdgeRequest<Params = unknown, Query = unknown, Body = unknown> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The bearer credential as sent, or null. */
  readonly bearer: string | null;
  /** The idempotency key: as sent, and hashed with the request's fingerprint. */
  readonly key: (KeyRef & { readonly raw: string }) | undefined;
  /** From `If-Match`; undefined where there is none (or `*`). */
  readonly ifMatch: number | undefined;
  /** A header by its lower-case name; '' where it was not sent. */
  header(name: string): string;
  /** The client's address after `TRUSTED_PROXIES`. Read it before the first await: a closed socket has no address (''). */
  readonly clientIp: string;
  readonly path: string;
  /** Raw body bytes, for imports and signed messages (only where the route asks for `rawBody`). */
  readonly raw: Uint8Array | undefined;
}

export interface Route<P extends TSchema = TSchema, Q extends TSchema = TSchema, B extends TSchema = TSchema> {
  readonly method: Method;
  /** OpenAPI form: `/v1/carts/{id}/lines`. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  /** More than the summary says, in Markdown. */
  readonly description?: string;
  readonly tag: string;
  readonly access: Access;
  /** Path parameters, decoded. A value outside its schema names nothing: 404 `not_found`; without a schema the handler decides. */
  readonly params?: P;
  /** Query parameters; numbers, booleans and (comma-separated) lists are converted as the schema says. Unknown ones are refused. Without a schema a call takes none; what is `hidden` does not look at them. */
  readonly query?: Q;
  readonly body?: B;
  /** The body may be left out. */
  readonly bodyOptional?: boolean;
  /** Hand over the bytes unparsed; at most this many. `schema`: what the handler reads them as, for the document. */
  readonly rawBody?: { readonly maxBytes: number; readonly contentTypes: readonly string[]; readonly schema?: TSchema };
  /** Default 16 KiB. */
  readonly maxBodyBytes?: number;
  /** Default `optional` for everything but GET. `uuid`: only a UUID is a key. `ignored`: never looked at. */
  readonly idempotency?: 'optional' | 'required' | 'uuid' | 'ignored';
  /** The handler looks at `If-Match`. Default: of writes to a cart or what is in it. */
  readonly ifMatch?: boolean;
  /** Named limit in `RATE_LIMITS`; default `default`. `unlimited`: not even counted by network (health, metrics). */
  readonly limit?: string;
  /** Left out of the OpenAPI document: pages and probes. */
  readonly hidden?: boolean;
  readonly responses: Readonly<
    Record<number, { readonly description: string; readonly schema?: TSchema; readonly contentType?: string }>
  >;
  /** Problems that this route may answer besides the ones that any route may. */
  readonly problems?: readonly ProblemCode[];
  handle(request: EdgeRequest<Static<P>, Static<Q>, Static<B>>): EdgeReply | Promise<EdgeReply> | Later;
}

// biome-ignore lint/suspicious/noExplicitAny: a table of routes of many shapes; each handler sees only its own
export type AnyRoute = Route<any, any, any>;

/** Keeps a route's own types while it joins the table. */
export function route<P extends TSchema, Q extends TSchema, B extends TSchema>(definition: Route<P, Q, B>): AnyRoute {
  return definition;
}
