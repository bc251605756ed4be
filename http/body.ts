/**
 * Reads a request's body: bounded in bytes and in time. A body that comes in one piece, as nearly all do, is handed on as a view
 * of the native buffer, good only until the callback returns; one that comes in pieces is copied piece by piece.
 */
import type { Exchange } from './exchange.ts';
import { problem } from './problem.ts';

interface Reading {
  readonly exchange: Exchange;
  readonly dueAt: number;
}

/** Bodies under way on one edge. */
export class BodyReader {
  readonly #timeoutMs: number;
  /** In order of their deadlines, as all have the same time. */
  readonly #readings = new Set<Reading>();

  /** @param timeoutMs from the head of the request to the last byte of its body */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param lengthMax a longer body is answered 413 `body_too_large`, whatever its Content-Length said
   * @param done called at most once, synchronously with the last byte; never after an abort
   */
  read(exchange: Exchange, lengthMax: number, done: (body: Buffer) => void): void {
    const reading: Reading = { exchange, dueAt: exchange.startedAt + this.#timeoutMs };
    this.#readings.add(reading);
    let pieces: Buffer[] | null = null;
    let length = 0;
    exchange.onAborted = () => {
      this.#readings.delete(reading);
      pieces = null;
    };
    exchange.onData((chunk, isLast) => {
      if (!exchange.open) return;
      length += chunk.byteLength;
      if (length > lengthMax) {
        this.#readings.delete(reading);
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
      this.#readings.delete(reading);
      const last = Buffer.from(chunk);
      done(pieces === null ? last : Buffer.concat([...pieces, last], length));
    });
  }

  /** Answers 408 for bodies whose time is over, and leaves their connections. */
  sweep(now: number): void {
    for (const reading of this.#readings) {
      if (reading.dueAt > now) return;
      this.#readings.delete(reading);
      reading.exchange.answer(problem('request_timeout'), true);
    }
  }
}

export function tooLarge(lengthMax: number) {
  return problem('body_too_large', { detail: `At most ${lengthMax} bytes are taken here.` });
}
