/**
 * Time as one simulated process has it: its own monotonic clock, which may run fast or slow against true time, and its estimate of the
 * database's clock, set at renewals as `SystemClock` does it and never going back.
 */
import type { Clock } from '../runtime/clock.ts';
import type { Random } from './random.ts';
import type { Scheduler, SimProcess } from './scheduler.ts';

export interface SimClockOptions {
  readonly scheduler: Scheduler;
  readonly process: SimProcess;
  readonly random: Random;
  /** Of its monotonic time to true time. */
  readonly rate: number;
  /** What the machine's wall clock says at its start, before it has heard of the database's. */
  readonly wallMs: number;
}

export class SimClock implements Clock {
  readonly #options: SimClockOptions;
  #rate: number;
  /** Monotonic time at true time `#since`. */
  #base: number;
  #since: number;
  #offsetMs: number;
  #last = 0;

  constructor(options: SimClockOptions) {
    this.#options = options;
    this.#rate = options.rate;
    this.#since = options.scheduler.now;
    this.#base = options.random.between(1_000, 1_000_000);
    this.#offsetMs = options.wallMs - this.#base;
  }

  /** From now on it runs at this speed. */
  set rate(rate: number) {
    this.#base = this.monotonic();
    this.#since = this.#options.scheduler.now;
    this.#rate = rate;
  }

  sync(databaseMs: number, atMonotonic: number): void {
    this.#offsetMs = databaseMs - atMonotonic;
  }

  now(): number {
    this.#last = Math.max(this.#last, Math.floor(this.monotonic() + this.#offsetMs));
    return this.#last;
  }

  monotonic(): number {
    return this.#base + (this.#options.scheduler.now - this.#since) * this.#rate;
  }

  /** At least a millisecond, and a little late, as timers are. */
  setTimeout(callback: () => void, delayMs: number): { cancel(): void } {
    const { scheduler, process, random } = this.#options;
    return scheduler.after((Math.max(1, delayMs) + random.unit()) / this.#rate, process, callback);
  }

  schedule(callback: () => void): void {
    const { scheduler, process } = this.#options;
    scheduler.turn(process, callback);
  }
}
