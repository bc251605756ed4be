/**
 * Who leaves memory. Actors stand in one list in the order of their last use; the ones unused longest go when there are
 * more than the bound, and any that was idle for long. An actor with something queued, gated, parked or at work stays:
 * it is put at the other end of the list, so that each look costs O(1) and no busy actor is looked at twice in a row.
 */
import type { Cell } from './cell.ts';
import type { Clock } from './clock.ts';
import type { Limits } from './limits.ts';

/** Cells looked at by one call at most, so that a crowd of busy ones cannot hold up a turn. */
const LOOKS = 64;
const LOOKS_IDLE = 20_000;

export class Passivation {
  size = 0;
  #least: Cell | null = null;
  #most: Cell | null = null;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #passivate: (cell: Cell) => void;

  /** @param passivate takes the cell out of memory; called only for cells that are not busy, and removes it from here. */
  constructor(clock: Clock, limits: Limits, passivate: (cell: Cell) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#passivate = passivate;
  }

  add(cell: Cell): void {
    this.size++;
    this.#append(cell);
  }

  remove(cell: Cell): void {
    this.size--;
    this.#unlink(cell);
  }

  /** The cell was used now. */
  touch(cell: Cell): void {
    if (cell !== this.#most) {
      this.#unlink(cell);
      this.#append(cell);
    } else {
      cell.usedAtSeconds = this.#seconds();
    }
  }

  /** Brings the number of cells down towards the bound. */
  trim(): void {
    for (let looks = 0; this.size > this.#limits.actorsLimit && looks < LOOKS; looks++) {
      const cell = this.#least;
      if (cell === null) return;
      if (cell.busy) this.touch(cell);
      else this.#passivate(cell);
    }
  }

  /** Lets those go that were idle for `idleMs`, and trims what turned idle since it was last looked at. */
  sweep(): void {
    const before = this.#seconds() - Math.ceil(this.#limits.idleMs / 1000);
    for (let looks = 0; looks < LOOKS_IDLE; looks++) {
      const cell = this.#least;
      if (cell === null || (cell.usedAtSeconds > before && this.size <= this.#limits.actorsLimit)) return;
      if (cell.busy) this.touch(cell);
      else this.#passivate(cell);
    }
  }

  #seconds(): number {
    return Math.floor(this.#clock.monotonic() / 1000);
  }

  #append(cell: Cell): void {
    cell.usedAtSeconds = this.#seconds();
    cell.usedLessRecently = this.#most;
    if (this.#most === null) this.#least = cell;
    else this.#most.usedMoreRecently = cell;
    this.#most = cell;
  }

  #unlink(cell: Cell): void {
    if (cell.usedLessRecently === null) this.#least = cell.usedMoreRecently;
    else cell.usedLessRecently.usedMoreRecently = cell.usedMoreRecently;
    if (cell.usedMoreRecently === null) this.#most = cell.usedLessRecently;
    else cell.usedMoreRecently.usedLessRecently = cell.usedLessRecently;
    cell.usedLessRecently = null;
    cell.usedMoreRecently = null;
  }
}
