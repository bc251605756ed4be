/**
 * How many checkouts may be in the making on a node at once. Each that is taken is carried to its end, whoever waits for it; so one more than
 * can be carried in time makes all of them late, and after a crowd ten times too large the node would be busy for minutes with orders whose
 * buyers have gone. (Measured: 4,000 at once, 56 finished a second: for 35 s after the crowd had left every checkout was answered 202.)
 *
 * There is room for as many as were lately finished in `targetMs`, and always for `least`: a crowd that comes all at once meets a node that has
 * finished nothing yet. Who finds no room hears `overloaded`, and nothing was begun.
 */
import type { Clock } from '../runtime/clock.ts';

export interface CheckoutRoomOptions {
  /** Default 2,500: half of what a buyer waits for an outcome. */
  readonly targetMs?: number;
  /** Default 2,000: a crowd of so many at once is carried whole. */
  readonly least?: number;
}

/** Finished ones are counted over this time, in this many parts. */
const WINDOW_MS = 2_000;
const PARTS = 8;
const PART_MS = WINDOW_MS / PARTS;

export class CheckoutRoom {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #targetMs: number;
  readonly #least: number;
  readonly #parts = new Array<number>(PARTS).fill(0);
  /** Number of the part that is counted now, since the clock's zero. */
  #part = 0;
  #inside = 0;

  constructor(clock: Pick<Clock, 'monotonic'>, options: CheckoutRoomOptions = {}) {
    this.#clock = clock;
    this.#targetMs = options.targetMs ?? 2_500;
    this.#least = options.least ?? 2_000;
  }

  get inside(): number {
    return this.#inside;
  }

  /** False: there is no room. Each that has entered leaves once. */
  enter(): boolean {
    if (this.#inside >= this.#least && this.#inside >= this.#room()) return false;
    this.#inside++;
    return true;
  }

  /** Its outcome is known, or nobody waits for it any more. */
  leave(): void {
    this.#inside--;
    this.#turn();
    this.#parts[this.#part % PARTS] = (this.#parts[this.#part % PARTS] ?? 0) + 1;
  }

  #room(): number {
    this.#turn();
    const finished = this.#parts.reduce((sum, count) => sum + count, 0);
    return (finished * this.#targetMs) / WINDOW_MS;
  }

  #turn(): void {
    const now = Math.floor(this.#clock.monotonic() / PART_MS);
    const gone = Math.min(PARTS, now - this.#part);
    for (let ago = 0; ago < gone; ago++) this.#parts[(now - ago) % PARTS] = 0;
    this.#part = now;
  }
}
