/**
 * One request and its one answer, safe against everything the native response punishes: it is never touched after an abort or
 * after its answer, every write is corked, all that can throw happens before the first write, and a handler that throws still
 * gets an answer.
 *
 * States: open → answered | aborted. Both ends are final; what a handler returns after an abort is dropped and counted.
 */
import { STATUS_CODES } from 'node:http';
import type { Stages } from '../runtime/stages.ts';
import { headerBlock } from './header-block.ts';
import type { RouteTimer } from './metrics.ts';
import { PROBLEM_TYPE, problem } from './problem.ts';
import type { EdgeReply } from './reply.ts';
import type { RequestHead } from './request-head.ts';
import type { HttpResponse } from './uws.ts';

/** What every exchange of one edge shares. */
export interface ExchangeContext {
  readonly stats: EdgeStats;
  /** Answers ask the client to leave the connection. */
  draining: boolean;
  now(): number;
  /** Follows a sample of the requests; none by default. */
  readonly stages?: Stages | undefined;
  /** Headers, as a block, that CORS adds for this origin ('' for none). */
  corsBlock(origin: string): string;
}

export interface EdgeStats {
  /** Requests that reached a route or a refusal of the edge. */
  requests: number;
  inFlight: number;
  connections: number;
  /** Connections closed by the smuggling guard. */
  hostile: number;
  /** Clients that left before their answer. */
  aborted: number;
  /** Answers that came after their client had left. */
  dropped: number;
  /** Answers by class. */
  status2xx: number;
  status3xx: number;
  status4xx: number;
  status5xx: number;
  rateLimited: number;
  overloaded: number;
}

const STATUS_LINES = new Map(Object.entries(STATUS_CODES).map(([code, phrase]) => [Number(code), `${code} ${phrase}`]));

export class Exchange {
  readonly #context: ExchangeContext;
  readonly #timer: RouteTimer;
  readonly #head: RequestHead;
  readonly #startedAt: number;
  readonly #headOnly: boolean;
  readonly path: string;
  #res: HttpResponse | null;
  /** Told once where the client leaves first; for what waits on the body. */
  onAborted: (() => void) | null = null;

  constructor(
    context: ExchangeContext,
    timer: RouteTimer,
    res: HttpResponse,
    head: RequestHead,
    path: string,
    headOnly: boolean,
  ) {
    this.#context = context;
    this.#timer = timer;
    this.#head = head;
    this.#startedAt = context.now();
    this.#headOnly = headOnly;
    this.path = path;
    this.#res = res;
    context.stats.requests++;
    context.stats.inFlight++;
    res.onAborted(() => this.#abort());
  }

  get open(): boolean {
    return this.#res !== null;
  }

  get startedAt(): number {
    return this.#startedAt;
  }

  /** The peer's binary address, or null once the exchange is over. */
  peer(): Uint8Array | null {
    return this.#res === null ? null : new Uint8Array(this.#res.getRemoteAddress());
  }

  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    this.#res?.onData(handler);
  }

  /**
   * Sends the answer. Never throws; a reply that cannot be sent (unsafe header, JSON that does not serialise) becomes `internal`.
   * @param leave close the connection after it, because what the client still sends is not wanted
   * @returns what kept the reply from being sent as it was
   */
  answer(reply: EdgeReply, leave = false): unknown {
    const context = this.#context;
    if (this.#res === null) {
      context.stats.dropped++;
      return undefined;
    }
    let failure: unknown;
    let block: string;
    let body: string | Uint8Array | undefined;
    let status = reply.status;
    let line = STATUS_LINES.get(status);
    try {
      if (line === undefined) throw new RangeError(`no such status: ${status}`);
      block = reply.block ?? headerBlock(reply.headers, !isBodiless(status));
      body = bodyOf(reply, this.path);
    } catch (thrown) {
      failure = thrown;
      const instead = problem('internal');
      status = instead.status;
      line = '500 Internal Server Error';
      block = headerBlock(instead.headers, true);
      body = bodyOf(instead, this.path);
    }
    const res = this.#res;
    this.#res = null;
    block += context.corsBlock(this.#head.origin);
    const close = leave || context.draining;
    const statusLine = line;
    const bodiless = this.#headOnly || isBodiless(status);
    if (bodiless) {
      // the length and the wish to close are written as headers: told to `endWithoutBody`, a length makes the native response
      // wait for as many bytes, and an absent length is read as a number (measured)
      if (this.#headOnly) block += `\r\ncontent-length: ${lengthOf(body)}`;
      if (close) block += '\r\nconnection: close';
    }
    res.cork(() => {
      res.writeStatus(statusLine).writeHeader('x-content-type-options', block);
      if (bodiless) res.endWithoutBody();
      else res.end(body ?? '', close);
    });
    if (context.stages !== undefined && context.stages.subject === this) context.stages.finish();
    this.#count(status);
    return failure;
  }

  /** Ends the connection without an answer. */
  cut(): void {
    this.#res?.close();
  }

  #abort(): void {
    if (this.#res === null) return;
    this.#res = null;
    this.#context.stats.inFlight--;
    this.#context.stats.aborted++;
    if (this.#context.stages?.subject === this) this.#context.stages.abandon();
    this.onAborted?.();
  }

  #count(status: number): void {
    const { stats } = this.#context;
    stats.inFlight--;
    if (status < 300) stats.status2xx++;
    else if (status < 400) stats.status3xx++;
    else if (status < 500) stats.status4xx++;
    else stats.status5xx++;
    this.#timer.observe(status, this.#context.now() - this.#startedAt);
  }
}

function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

function bodyOf(reply: EdgeReply, path: string): string | Uint8Array | undefined {
  const { body } = reply;
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return body;
  if (reply.headers?.['content-type'] === PROBLEM_TYPE) return JSON.stringify({ ...body, instance: path });
  return JSON.stringify(body);
}

function lengthOf(body: string | Uint8Array | undefined): number {
  if (body === undefined) return 0;
  return typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
}
