/**
 * For tests: one timeline as a process sees it, that can be stopped and whose clock may run fast or slow. What falls due while it is
 * stopped runs when it goes on, as timers do in a process that was.
 */
import type { Clock } from './clock.ts';

export class ProcessClock implements Clock {
  readonly #time: Clock;
  /** Of its own monotonic time to the timeline's. */
  readonly #rate: number;
  #held: (() => void)[] | null = null;

  constructor(time: Clock, rate = 1) {
    this.#time = time;
    this.#rate = rate;
  }

  now(): number {
    return this.#time.now();
  }

  monotonic(): number {
    return this.#time.monotonic() * this.#rate;
  }

  setTimeout(callback: () => void, delayMs: number): { cancel(): void } {
    let cancelled = false;
    const run = (): void => {
      if (cancelled) return;
      if (this.#held === null) callback();
      else this.#held.push(run);
    };
    const timer = this.#time.setTimeout(run, delayMs / this.#rate);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  schedule(callback: () => void): void {
    this.#time.schedule(callback);
  }

  get stopped(): boolean {
    return this.#held !== null;
  }

  stop(): void {
    this.#held ??= [];
  }

  goOn(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const run of held) run();
  }
}
