/**
 * What members say to each other, as bytes (msgpack, without record structures, so that each message stands alone).
 *
 * A message is everything that one incarnation says to another in one turn of its event loop: `[version, from, floor, items]`. Its first
 * two bytes tell its version before anything is decoded. `floor`: no request of the sender below this id waits any more, so what is
 * remembered of those may be forgotten. Ids count up from 1 for each pair of incarnations. An item is one of
 *
 *     [0, id, type, actor id, command, key hash | null, key fingerprint | null, flags, deadline]       request
 *     [1, id, type, actor id, service, input, deadline]                                                request for a service
 *     [2, id, value]                                                                                   the answer
 *     [3, id, fault code, message, retryable, retry after in ms | null]                                the fault
 *     [4, id, owner's incarnation | null, epoch]                                                       not here: who has it
 *     [5, id]                                                                                          still at it; id 0: I am here
 *     [6, 0]                                                                                           are you there?
 *
 * Flags: 1, the answer is rendered; 2, deciding it twice does no harm. Deadlines are milliseconds of the database's clock, the only one that members share. Each item is encoded for itself, so that it can be
 * counted, sent again and put together with others without being encoded again.
 *
 * Values are plain data: null, undefined (also as a member), booleans, numbers, strings, bytes, arrays and objects with string keys.
 * They arrive equal, but for what JSON does not carry either: -0 is 0, and a lone surrogate is U+FFFD. Nothing that is read is believed:
 * an item or a message of another form is counted and left out, never a throw. A later version is written only when all living members
 * read it.
 */
import { Packr } from 'msgpackr';
import type { ActorRef, KeyRef } from './actor.ts';
import { Fault, type FaultCode } from './fault.ts';
import type { ShardOwner } from './members.ts';
import { FAULT_CODES } from './metrics.ts';
import { ownString, ownStrings } from './own-string.ts';

export const PEERS_VERSION = 1;

/** A command for an actor. */
export interface CommandBody {
  readonly kind: 'command';
  readonly command: unknown;
  readonly key: KeyRef | undefined;
  readonly render: boolean;
  readonly repeatable: boolean;
}
/** A named service at the owner of an actor's shard. */
export interface ServiceBody {
  readonly kind: 'service';
  readonly service: string;
  readonly input: unknown;
}
export type RequestBody = CommandBody | ServiceBody;
export type PeerRequest = RequestBody & {
  readonly id: number;
  readonly ref: ActorRef;
  readonly deadlineMs: number;
};
export type PeerReply =
  | { readonly kind: 'value'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'fault'; readonly id: number; readonly fault: Fault }
  | { readonly kind: 'moved'; readonly id: number; readonly owner: ShardOwner | null };
/** Signs of life: `working` answers a request that came again and is not decided yet, and with id 0 a `ping`. */
export type PeerSign = { readonly kind: 'working' | 'ping'; readonly id: number };
export type PeerItem = PeerRequest | PeerReply | PeerSign;

export interface PeerMessage {
  readonly from: string;
  readonly floor: number;
  readonly items: readonly PeerItem[];
  /** Items that could not be read. */
  readonly unreadable: number;
}

// Bytes are copied out, and so are the texts of requests: what an actor keeps of them would keep the whole message alive.
const packr = new Packr({ useRecords: false, variableMapSize: true, copyBuffers: true });
const KNOWN_CODES: ReadonlySet<string> = new Set(FAULT_CODES);
const ARRAY_OF_4 = 0x94;
const ARRAY_32 = 0xdd;
const NAME_LIMIT = 256;
const RENDER = 1;
const REPEATABLE = 2;
const NO_KEY = [null, null] as const;

export function encodeRequest(id: number, ref: ActorRef, body: RequestBody, deadlineMs: number): Uint8Array {
  if (body.kind === 'service') return packr.pack([1, id, ref.type, ref.id, body.service, body.input, deadlineMs]);
  const { command, key, render, repeatable } = body;
  const flags = (render ? RENDER : 0) | (repeatable ? REPEATABLE : 0);
  const [hash, fingerprint] = key === undefined ? NO_KEY : [key.hash, key.fingerprint];
  return packr.pack([0, id, ref.type, ref.id, command, hash, fingerprint, flags, deadlineMs]);
}

export function encodeReply(reply: PeerReply): Uint8Array {
  switch (reply.kind) {
    case 'value':
      return packr.pack([2, reply.id, reply.value]);
    case 'fault': {
      const { code, message, retryable, retryAfterMs } = reply.fault;
      return packr.pack([3, reply.id, code, message, retryable, retryAfterMs ?? null]);
    }
    case 'moved':
      return packr.pack([4, reply.id, reply.owner?.incarnation ?? null, reply.owner?.epoch ?? 0]);
  }
}

export function encodeSign({ kind, id }: PeerSign): Uint8Array {
  return packr.pack([kind === 'working' ? 5 : 6, id]);
}

/** Bytes that a message adds to its items, at most. */
export function messageOverhead(from: string): number {
  return 2 + 5 + 3 * from.length + 9 + 5;
}

export function encodeMessage(from: string, floor: number, items: readonly Uint8Array[]): Uint8Array {
  const head = packr.pack([PEERS_VERSION, from, floor, 0]);
  // The head's last byte, the 0, gives way to the array of items.
  const length = head.length - 1 + 5;
  const message = Buffer.allocUnsafe(items.reduce((sum, item) => sum + item.length, length));
  message.set(head, 0);
  message[length - 5] = ARRAY_32;
  message.writeUInt32BE(items.length, length - 4);
  let at = length;
  for (const item of items) {
    message.set(item, at);
    at += item.length;
  }
  return message;
}

/**
 * Null where the message is of another version, or no message at all. Nothing in it refers to the message's own bytes, and nothing in its requests
 * to its text.
 */
export function decodeMessage(message: Uint8Array): PeerMessage | null {
  if (message[0] !== ARRAY_OF_4 || message[1] !== PEERS_VERSION) return null;
  let decoded: unknown;
  try {
    decoded = packr.unpack(message);
  } catch {
    return null;
  }
  if (!Array.isArray(decoded)) return null;
  const [, from, floor, raw] = decoded as unknown[];
  if (!isName(from) || !isId(floor) || !Array.isArray(raw)) return null;
  const items: PeerItem[] = [];
  let unreadable = 0;
  for (const one of raw) {
    const item = Array.isArray(one) ? readItem(one) : null;
    if (item === null) unreadable++;
    else items.push(item);
  }
  return { from, floor, items, unreadable };
}

function readItem(raw: readonly unknown[]): PeerItem | null {
  const id = raw[1];
  if (!isId(id)) return null;
  switch (raw[0]) {
    case 0:
      return readCommand(id, raw);
    case 1:
      return readService(id, raw);
    case 2:
      return raw.length === 3 ? { kind: 'value', id, value: raw[2] } : null;
    case 3:
      return readFault(id, raw);
    case 4: {
      const [, , incarnation, epoch] = raw;
      if (incarnation === null) return { kind: 'moved', id, owner: null };
      return isName(incarnation) && isId(epoch) ? { kind: 'moved', id, owner: { incarnation, epoch } } : null;
    }
    case 5:
      return { kind: 'working', id };
    case 6:
      return { kind: 'ping', id };
    default:
      return null;
  }
}

function readCommand(id: number, raw: readonly unknown[]): PeerRequest | null {
  const [, , type, actorId, command, hash, fingerprint, flags, deadlineMs] = raw;
  if (raw.length !== 9 || typeof type !== 'string' || typeof actorId !== 'string') return null;
  if (typeof deadlineMs !== 'number' || typeof flags !== 'number') return null;
  let key: KeyRef | undefined;
  if (hash !== null) {
    if (typeof hash !== 'string' || typeof fingerprint !== 'string') return null;
    key = { hash: ownString(hash), fingerprint: ownString(fingerprint) };
  }
  const [render, repeatable] = [(flags & RENDER) !== 0, (flags & REPEATABLE) !== 0];
  const ref = { type, id: ownString(actorId) };
  return { kind: 'command', id, ref, command: ownStrings(command), key, render, repeatable, deadlineMs };
}

function readService(id: number, raw: readonly unknown[]): PeerRequest | null {
  const [, , type, actorId, service, input, deadlineMs] = raw;
  if (raw.length !== 7 || typeof type !== 'string' || typeof actorId !== 'string') return null;
  if (!isName(service) || typeof deadlineMs !== 'number') return null;
  return { kind: 'service', id, ref: { type, id: ownString(actorId) }, service, input: ownStrings(input), deadlineMs };
}

function readFault(id: number, raw: readonly unknown[]): PeerReply | null {
  const [, , code, message, retryable, retryAfterMs] = raw;
  if (typeof code !== 'string' || typeof message !== 'string' || typeof retryable !== 'boolean') return null;
  // A code of a later version: all that is known then is that there was no answer.
  const known = KNOWN_CODES.has(code) ? (code as FaultCode) : 'outcome_unknown';
  const fault = new Fault(known, message, {
    retryable,
    ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : undefined),
  });
  return { kind: 'fault', id, fault };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= NAME_LIMIT;
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
