/**
 * A clock that moves only when told, for tests. Time-outs run inside `advance`, in the order they are due; scheduled
 * callbacks run in the real event loop's next turn, since they measure no time.
 */
import type { Clock } from './clock.ts';

interface Waiting {
  readonly at: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #now: number;
  #last = 0;
  #monotonic = 0;
  readonly #waiting = new Set<Waiting>();

  constructor(nowMs = 1_700_000_000_000) {
    this.#now = nowMs;
  }

  now(): number {
    this.#last = Math.max(this.#last, Math.floor(this.#now));
    return this.#last;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimeout(callback: () => void, delayMs: number): { cancel(): void } {
    const waiting: Waiting = { at: this.#monotonic + delayMs, callback };
    this.#waiting.add(waiting);
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  schedule(callback: () => void): void {
    setImmediate(callback);
  }

  /** Moves both clocks on by `ms`, running what falls due on the way at its own time. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (;;) {
      let next: Waiting | undefined;
      for (const waiting of this.#waiting) {
        if (waiting.at <= end && (next === undefined || waiting.at < next.at)) next = waiting;
      }
      if (next === undefined) break;
      this.#waiting.delete(next);
      this.#moveTo(Math.max(next.at, this.#monotonic));
      next.callback();
    }
    this.#moveTo(end);
  }

  /** The database's clock alone is stepped. Backwards, `now` stands until it has caught up, as it does in `SystemClock`. */
  step(ms: number): void {
    this.now();
    this.#now += ms;
  }

  #moveTo(monotonic: number): void {
    this.#now += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }
}
