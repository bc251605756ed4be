/**
 * The one timeline of a simulated world: events ordered by time, those of one moment by a seeded draw. After each event all promises that it
 * has settled are followed to their ends before the next one begins, so that what a process does with one event is one step.
 *
 * Each event belongs to a process or to the world itself. Those of a process that is paused wait until it goes on and then happen in
 * the order in which they were due, as timers and packets do that found a stopped process; those of one that has ended never happen.
 */
import { Heap } from 'heap-js';
import type { Random } from './random.ts';

/** `running` ⇄ `paused`; `dead` from either, for ever. */
export class SimProcess {
  readonly name: string;
  state: 'running' | 'paused' | 'dead' = 'running';
  /** What fell due while it was paused. */
  held: Event[] = [];
  /** When its last turn of the event loop was set for. */
  lastTurnAt = 0;
  /** True time at which it last went on after a pause. */
  wokeAt = Number.NEGATIVE_INFINITY;
  #actsLeft = Number.POSITIVE_INFINITY;
  #afterLast: () => void = () => {};

  constructor(name: string) {
    this.name = name;
  }

  /** `run` is called in the middle of a step, when it has let so many more acts out: what it wanted to do next it does not do, if it is dead by then. */
  afterActs(count: number, run: () => void): void {
    this.#actsLeft = count;
    this.#afterLast = run;
  }

  /** Asked for each thing that leaves it: a statement, a message, a request, an answer. False: it has died in this step, before that. */
  acts(): boolean {
    if (this.#actsLeft === 0) {
      this.#actsLeft = Number.POSITIVE_INFINITY;
      this.#afterLast();
    }
    this.#actsLeft--;
    return this.state !== 'dead';
  }
}

/** Steps after which the event loop of the simulator itself gets a turn. */
const LOOSE_ENDS_EVERY = 32;

export interface Timer {
  cancel(): void;
}

interface Event extends Timer {
  readonly at: number;
  readonly tie: number;
  readonly order: number;
  readonly process: SimProcess | null;
  run: (() => void) | null;
}

export class Scheduler {
  /** Milliseconds of true time since the world began, with fraction. */
  now = 0;
  /** How many have happened. */
  events = 0;
  readonly #random: Random;
  readonly #queue = new Heap<Event>((a, b) => a.at - b.at || a.tie - b.tie || a.order - b.order);
  #order = 0;
  #stopped = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Runs after the given true time, for the process; `null`: for the world. */
  after(delayMs: number, process: SimProcess | null, run: () => void): Timer {
    return this.#put(this.now + Math.max(0, delayMs), this.#random.nextUint32(), process, run);
  }

  /** In the next turn of the process's event loop: shortly, and in the order in which they were asked for. */
  turn(process: SimProcess, run: () => void): Timer {
    const at = Math.max(this.now + 0.002 + this.#random.unit() * 0.05, process.lastTurnAt + 0.000_1);
    process.lastTurnAt = at;
    return this.#put(at, 0, process, run);
  }

  pause(process: SimProcess): void {
    if (process.state === 'running') process.state = 'paused';
  }

  goOn(process: SimProcess): void {
    if (process.state !== 'paused') return;
    process.state = 'running';
    process.wokeAt = this.now;
    const { held } = process;
    process.held = [];
    for (const event of held) {
      if (event.run !== null) this.#queue.push(Object.assign(event, { at: this.now, tie: 0, order: this.#order++ }));
    }
  }

  end(process: SimProcess): void {
    process.state = 'dead';
    process.held = [];
  }

  /** Ends the run that is at work, after the event that calls this. */
  stop(): void {
    this.#stopped = true;
  }

  /** Lets everything happen that is due until then. Returns when that is over, or `stop` was called. */
  async run(untilMs: number): Promise<void> {
    this.#stopped = false;
    while (!this.#stopped) {
      const next = this.#queue.peek();
      if (next === undefined || next.at > untilMs) {
        this.now = Math.max(this.now, untilMs);
        return;
      }
      this.#queue.pop();
      const { process, run } = next;
      if (run === null || process?.state === 'dead') continue;
      if (process?.state === 'paused') {
        process.held.push(next);
        continue;
      }
      this.now = next.at;
      this.events++;
      next.run = null;
      run();
      await settled(this.events % LOOSE_ENDS_EVERY === 0);
    }
  }

  #put(at: number, tie: number, process: SimProcess | null, run: () => void): Timer {
    const event: Event = {
      at,
      tie,
      order: this.#order++,
      process,
      run,
      cancel: () => {
        event.run = null;
      },
    };
    this.#queue.push(event);
    return event;
  }
}

/**
 * What runs at the next tick runs when no promise has anything left to do, and costs less than a turn of the event loop. That
 * is needed at times, since only then the platform tells of rejections that nobody handles.
 */
function settled(turn: boolean): Promise<void> {
  return new Promise((resolve) => (turn ? setImmediate(resolve) : process.nextTick(resolve)));
}
