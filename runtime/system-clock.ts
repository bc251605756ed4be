/**
 * The real clock: the one place in `runtime/` that reads time or sets a timer, for composition roots and tests. Nothing else in `runtime/` may
 * import it.
 */
// The module's own, not the global of that name: that one is a getter, which took longer than reading the clock.
import { performance } from 'node:perf_hooks';
import type { Clock } from './clock.ts';

/** Call `sync` with the database's time whenever it is known. */
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

  idleMs(): number {
    return performance.eventLoopUtilization().idle;
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
