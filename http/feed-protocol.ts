/**
 * What is said on the stock feed: the two subprotocols, the client's messages as values after validation, the server's messages as
 * frames, close codes and limits. Pure; the socket's behaviour is in `feed-socket.ts`.
 *
 * Both subprotocols carry the same objects, as JSON in text frames or as MessagePack in binary ones. Unknown message types and
 * malformed messages close the socket with 4000; unknown fields are ignored, so that newer clients may send more.
 */
import { Packr } from 'msgpackr';
import { decodeStrict } from './feed-msgpack.ts';

export const SUBPROTOCOLS = ['stampede.v1.json', 'stampede.v1.msgpack'] as const;
export type Subprotocol = (typeof SUBPROTOCOLS)[number];

export const CLOSE_BAD_MESSAGE = 4000;
export const CLOSE_TOO_SLOW = 4008;
export const CLOSE_GOING_AWAY = 4013;
export const CLOSE_INTERNAL = 1011;

export interface FeedLimits {
  /** Least time between two updates of one sku, in milliseconds. */
  readonly tickMs: number;
  readonly socketsMax: number;
  readonly socketsPerIpMax: number;
  readonly subscriptionsPerSocketMax: number;
  /** Messages a second that a socket may go on sending, and how many at once after a pause. */
  readonly messagesPerSecond: number;
  readonly messagesBurst: number;
  /** Longest message of a client, in bytes. */
  readonly messageBytesMax: number;
  /** Bytes waiting in a socket's buffer past which it gets no more stock until it has drained. */
  readonly stallBytes: number;
  /** Bytes past which nothing is accepted for a socket; above `stallBytes`, so that answers and close frames still fit. */
  readonly bufferBytesMax: number;
  /** How long a stalled socket may take to drain before it is closed as too slow, in milliseconds. */
  readonly stallMsMax: number;
  readonly pingMs: number;
  /** A socket that says nothing, not even pong, for so long is dropped, in milliseconds. */
  readonly silenceMsMax: number;
}

export const FEED_LIMITS: FeedLimits = {
  tickMs: 50,
  socketsMax: 20_000,
  socketsPerIpMax: 500,
  subscriptionsPerSocketMax: 1_000,
  messagesPerSecond: 20,
  messagesBurst: 60,
  messageBytesMax: 16 * 1024,
  stallBytes: 16 * 1024,
  bufferBytesMax: 64 * 1024,
  stallMsMax: 30_000,
  pingMs: 25_000,
  silenceMsMax: 60_000,
};

/** Skus in one message. */
export const SKUS_PER_MESSAGE_MAX = 200;
const SKU_LENGTH_MAX = 64;

export type ClientMessage =
  | { readonly type: 'subscribe'; readonly skus: readonly string[]; readonly since: ReadonlyMap<string, number> }
  | { readonly type: 'unsubscribe'; readonly skus: readonly string[] }
  | { readonly type: 'auth'; readonly ticket: string }
  | { readonly type: 'ping' };

export type FeedErrorCode =
  | 'sku_unknown'
  | 'subscription_limit'
  | 'rate_limited'
  | 'ticket_unknown'
  | 'database_unavailable';

export type ServerMessage =
  | { readonly type: 'snapshot'; readonly sku: string; readonly available: number; readonly version: number }
  | { readonly type: 'current'; readonly sku: string; readonly version: number }
  | {
      readonly type: 'stock';
      readonly sku: string;
      readonly available: number;
      readonly version: number;
      readonly at: string;
    }
  | { readonly type: 'pong'; readonly now: string }
  | { readonly type: 'error'; readonly code: FeedErrorCode; readonly detail: string; readonly sku?: string };

export type Parsed =
  | { readonly ok: true; readonly message: ClientMessage }
  | { readonly ok: false; readonly why: string };

// Maps, never records: the other side may be any MessagePack library.
const packr = new Packr({ useRecords: false });
const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Bytes in either subprotocol: a frame for many sockets is turned into UTF-8 once. */
export interface Frame {
  readonly data: Uint8Array;
  readonly binary: boolean;
}

export function encode(protocol: Subprotocol, message: ServerMessage): Frame {
  if (protocol === 'stampede.v1.json') return { data: encoder.encode(JSON.stringify(message)), binary: false };
  // A copy: the packer hands out parts of one large buffer, and frames are kept.
  return { data: Uint8Array.from(packr.pack(message)), binary: true };
}

/** Reads one message. The bytes are not kept. */
export function parse(protocol: Subprotocol, bytes: Uint8Array, binary: boolean): Parsed {
  const json = protocol === 'stampede.v1.json';
  if (binary === json) return bad(json ? 'text frames only' : 'binary frames only');
  let value: unknown;
  try {
    value = json ? JSON.parse(utf8.decode(bytes)) : decodeStrict(bytes);
  } catch {
    return bad(json ? 'not JSON' : 'not MessagePack');
  }
  if (!isRecord(value)) return bad('not an object');
  switch (value.type) {
    case 'subscribe':
      return subscribe(value);
    case 'unsubscribe': {
      const skus = skuList(value.skus);
      return skus === undefined ? bad(SKUS_WANTED) : { ok: true, message: { type: 'unsubscribe', skus } };
    }
    case 'auth':
      if (typeof value.ticket !== 'string' || value.ticket.length > 512) return bad('ticket is no short string');
      return { ok: true, message: { type: 'auth', ticket: value.ticket } };
    case 'ping':
      return { ok: true, message: { type: 'ping' } };
    default:
      return bad('unknown type');
  }
}

/** The skus of `?skus=a,b` as a message; nothing where there are none. */
export function parseQuery(skus: string): Parsed | undefined {
  if (skus === '') return undefined;
  const list = skuList(skus.split(','));
  return list === undefined
    ? bad(SKUS_WANTED)
    : { ok: true, message: { type: 'subscribe', skus: list, since: new Map() } };
}

/**
 * The subprotocol for a `Sec-WebSocket-Protocol` header: the first of the client's that is known; JSON where it asks for none;
 * undefined where it asks only for others.
 */
export function chooseSubprotocol(header: string): Subprotocol | undefined {
  if (header.trim() === '') return SUBPROTOCOLS[0];
  const asked = header.split(',').map((name) => name.trim());
  const name = asked.find((one) => (SUBPROTOCOLS as readonly string[]).includes(one));
  return name as Subprotocol | undefined;
}

const SKUS_WANTED = `skus is no list of 1 to ${SKUS_PER_MESSAGE_MAX} strings`;

function subscribe(value: Record<string, unknown>): Parsed {
  const skus = skuList(value.skus);
  if (skus === undefined) return bad(SKUS_WANTED);
  const since = new Map<string, number>();
  if (value.since !== undefined && value.since !== null) {
    if (!isRecord(value.since)) return bad('since is no object');
    for (const [sku, version] of Object.entries(value.since)) {
      if (!Number.isSafeInteger(version) || (version as number) < 0)
        return bad('since holds something that is no version');
      since.set(sku, version as number);
    }
  }
  return { ok: true, message: { type: 'subscribe', skus, since } };
}

/** 1 to 200 distinct skus, in the order of their first mention. */
function skuList(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > SKUS_PER_MESSAGE_MAX) return undefined;
  const valid = value.every((sku) => typeof sku === 'string' && sku !== '' && sku.length <= SKU_LENGTH_MAX);
  return valid ? [...new Set<string>(value)] : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(why: string): Parsed {
  return { ok: false, why };
}
