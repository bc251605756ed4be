/**
 * Reads a request's body: bounded in bytes and in time. A body that comes in one piece, as nearly all do, is handed on as a view
 * of the native buffer, good only until the callback returns; one that comes in pieces is copied piece by piece.
 */
import type { Exchange } from './exchange.ts';
import { problem } from './problem.ts';

/**
 * A body under way, a link in a ring. Not a `Set`: its tables link to their successors, so one dead table in the old generation
 * kept every later one, with all their requests, from being collected young (measured: a third of the time went to that).
 */
class Reading {
  readonly exchange: Exchange | null;
  readonly dueAt: number;
  before: Reading = this;
  after: Reading = this;

  constructor(exchange: Exchange | null, dueAt: number) {
    this.exchange = exchange;
    this.dueAt = dueAt;
  }

  joinBefore(end: Reading): void {
    this.before = end.before;
    this.after = end;
    end.before.after = this;
    end.before = this;
  }

  leave(): void {
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this;
    this.after = this;
  }
}

/** Bodies under way on one edge. */
export class BodyReader {
  readonly #timeoutMs: number;
  /** The ring's own link; from it on in order of the deadlines, as all have the same time. */
  readonly #ring = new Reading(null, Number.POSITIVE_INFINITY);

  /** @param timeoutMs from the head of the request to the last byte of its body */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param lengthMax a longer body is answered 413 `body_too_large`, whatever its Content-Length said
   * @param done called at most once, synchronously with the last byte; never after an abort
   */
  read(exchange: Exchange, lengthMax: number, done: (body: Buffer) => void): void {
    const reading = new Reading(exchange, exchange.startedAt + this.#timeoutMs);
    reading.joinBefore(this.#ring);
    let pieces: Buffer[] | null = null;
    let length = 0;
    exchange.onAborted = () => {
      reading.leave();
      pieces = null;
    };
    exchange.onData((chunk, isLast) => {
      if (!exchange.open) return;
      length += chunk.byteLength;
      if (length > lengthMax) {
        reading.leave();
        pieces = null;
        exchange.answer(tooLarge(lengthMax), true);
        return;
      }
      if (!isLast) {
        pieces ??= [];
        // a copy: the native buffer is taken back when this callback returns
        pieces.push(Buffer.from(new Uint8Array(chunk)));
        return;
      }
      reading.leave();
      const last = Buffer.from(chunk);
      done(pieces === null ? last : Buffer.concat([...pieces, last], length));
    });
  }

  /** Answers 408 for bodies whose time is over, and leaves their connections. */
  sweep(now: number): void {
    for (let reading = this.#ring.after; reading.dueAt <= now; reading = this.#ring.after) {
      reading.leave();
      reading.exchange?.answer(problem('request_timeout'), true);
    }
  }
}

export function tooLarge(lengthMax: number) {
  return problem('body_too_large', { detail: `At most ${lengthMax} bytes are taken here.` });
}
