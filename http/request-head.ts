/**
 * The head of a request, read in one walk over its headers before anything else is done with it.
 *
 * The walk is also the smuggling guard. The native parser takes heads that a proxy in front of it may read otherwise: differing
 * or empty `Content-Length`s (the first wins), `Transfer-Encoding` in forms of its own, more than one `Host`. Such a head is
 * `hostile`: its connection is closed without an answer, because after an answer the parser would go on to serve what follows
 * in the same read (measured), which is the smuggled request. No call takes a chunked body, so every Transfer-Encoding counts.
 */
import type { HttpRequest } from './uws.ts';

/** Digits of the longest Content-Length taken: up to 999 GB, so that it is exact as a number. */
const LENGTH_DIGITS_MAX = 12;

export class RequestHead {
  /** Close the connection: where this request ends is not certain. */
  hostile = false;
  /** A header of which only one may be sent came twice; '' for none. */
  repeated = '';
  /** -1: no Content-Length. */
  contentLength = -1;
  contentType = '';
  authorization = '';
  idempotencyKey = '';
  ifMatch = '';
  origin = '';
  /** Values of several headers of this name are joined, in order. */
  forwardedFor = '';
  #hosts = 0;
  /** Names and values in turn. */
  readonly #fields: string[] = [];

  /** The first value of a header by its lower-case name; '' where there is none. */
  header(name: string): string {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1] ?? '';
    return '';
  }

  take(name: string, value: string): void {
    this.#fields.push(name, value);
    switch (name) {
      case 'content-length':
        if (this.contentLength !== -1 || !isLength(value)) this.hostile = true;
        else this.contentLength = Number(value);
        break;
      case 'transfer-encoding':
        this.hostile = true;
        break;
      case 'host':
        if (++this.#hosts > 1) this.hostile = true;
        break;
      case 'content-type':
        this.contentType = this.#once(name, this.contentType, value);
        break;
      case 'authorization':
        this.authorization = this.#once(name, this.authorization, value);
        break;
      case 'idempotency-key':
        // an empty key is a key that is not valid, not an absent one
        this.idempotencyKey = this.#once(name, this.idempotencyKey, value === '' ? ' ' : value);
        break;
      case 'if-match':
        this.ifMatch = this.#once(name, this.ifMatch, value);
        break;
      case 'origin':
        this.origin = this.#once(name, this.origin, value);
        break;
      case 'x-forwarded-for':
        this.forwardedFor = this.forwardedFor === '' ? value : `${this.forwardedFor},${value}`;
        break;
      default:
    }
  }

  #once(name: string, earlier: string, value: string): string {
    if (earlier !== '') this.repeated = name;
    return value;
  }
}

function isLength(value: string): boolean {
  if (value.length === 0 || value.length > LENGTH_DIGITS_MAX) return false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

let walked = new RequestHead();
const take = (name: string, value: string) => walked.take(name, value);

/** One walk, one callback for all requests: the walk is synchronous, so a shared target is safe and saves a closure. */
export function readHead(request: HttpRequest): RequestHead {
  const head = new RequestHead();
  walked = head;
  request.forEach(take);
  return head;
}

/** For upgrades, which do not pass the edge's own dispatch: whether the connection must be closed. */
export function isHostile(request: HttpRequest): boolean {
  return readHead(request).hostile;
}
