/**
 * Time as the runtime sees it. `now` follows the database's clock (set at renewals, moved on by monotonic time, never
 * backwards); `monotonic` is for deadlines and durations. Nothing in `runtime/` or `actors/` reads any other clock.
 */
// The module's own, not the global of that name: that one is a getter, which took longer than reading the clock.
import { performance } from 'node:perf_hooks';

export interface Clock {
  /** Milliseconds since the epoch, whole, by the database's clock as estimated here. Never decreases. */
  now(): number;
  /** Milliseconds of monotonic time, with fraction. */
  monotonic(): number;
  setTimeout(callback: () => void, delayMs: number): { cancel(): void };
  /** Runs the callback in the next turn of the event loop, after what this one has already brought. */
  schedule(callback: () => void): void;
}

/** The real clock; call `sync` with the database's time whenever it is known. */
export class SystemClock implements Clock {
  #offsetMs = Date.now() - performance.now();
  #last = 0;

  /** @param databaseMs the database's clock at monotonic time `atMonotonic` (the middle of the round trip). */
  sync(databaseMs: number, atMonotonic: number): void {
    this.#offsetMs = databaseMs - atMonotonic;
  }

  now(): number {
    const now = Math.floor(performance.now() + this.#offsetMs);
    if (now > this.#last) this.#last = now;
    return this.#last;
  }

  monotonic(): number {
    return performance.now();
  }

  setTimeout(callback: () => void, delayMs: number): { cancel(): void } {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }

  schedule(callback: () => void): void {
    setImmediate(callback);
  }
}
