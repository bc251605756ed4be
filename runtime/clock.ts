/**
 * Time as the runtime sees it. `now` follows the database's clock (set at renewals, moved on by monotonic time, never
 * backwards); `monotonic` is for deadlines and durations. Nothing in `runtime/` or `actors/` reads any other clock
 * (`.ci/purity.mjs` sees to it); the real one is `system-clock.ts`.
 */
export interface Clock {
  /** Milliseconds since the epoch, whole, by the database's clock as estimated here. Never decreases. */
  now(): number;
  /** Milliseconds of monotonic time, with fraction. */
  monotonic(): number;
  /** Milliseconds in which the event loop had nothing to do, so far. Absent: not known. */
  idleMs?(): number;
  setTimeout(callback: () => void, delayMs: number): { cancel(): void };
  /** Runs the callback in the next turn of the event loop, after what this one has already brought. */
  schedule(callback: () => void): void;
}
