/**
 * Where the time of one kind of request goes, from a sample: of each 64 such requests one is followed from its first byte to its last, and what
 * passed between two seams is added to the stage that ends there. So the stages of a request add up to all of its time. Cheap enough to stay on: what is
 * not followed costs a comparison at each seam.
 *
 * One request is followed at a time. The seams tell it by what they have in hand:
 *
 *   idle → (begin) handled → (asked) call → (entered) entry → (finish) idle
 *
 * - `handled`: the route's handler runs; the call that it makes in the same turn is the one. It makes none: → idle.
 * - `call`: the command is in the mailbox, is decided and encoded.
 * - `entry`: what it decided is on the lane; its answer is priced and serialised beside that.
 * A request that does not come to `finish` through all of it counts for nothing; one that never ends makes room for the next after 10 s.
 */

export const STAGES = [
  'parse',
  'route',
  'mailbox',
  'decide',
  'encode',
  'price',
  'serialise',
  'lane',
  'commit',
  'write',
] as const;
export type Stage = (typeof STAGES)[number];

const ONE_IN = 64;
const LOST_MS = 10_000;

export interface StagesOptions {
  /** Milliseconds of monotonic time, with fraction: the clock of whoever else tells a time here. */
  readonly now: () => number;
  /** Default 64. */
  readonly oneIn?: number;
}

export class Stages {
  readonly #now: () => number;
  readonly #oneIn: number;
  readonly #sumsUs: Record<Stage, number>;
  readonly #own: Record<Stage, number>;
  #requests = 0;
  #sampled = 0;
  #startedAt = Number.NEGATIVE_INFINITY;
  #at = 0;
  /** The exchange of the request that is followed, or null: nobody is. */
  subject: object | null = null;
  /** The handler of the followed request runs, and has not asked yet. */
  handling = false;
  /** The followed request's command, and what it decided. */
  call: object | null = null;
  entry: object | null = null;
  /** The answer of the followed request is being made. */
  answering = false;

  constructor({ now, oneIn = ONE_IN }: StagesOptions) {
    this.#now = now;
    this.#oneIn = oneIn;
    this.#sumsUs = nothing();
    this.#own = nothing();
  }

  /** A request of the kind has been read and is given to its handler. */
  begin(exchange: object, startedAt: number): void {
    if (++this.#requests % this.#oneIn !== 0) return;
    if (this.subject !== null && startedAt - this.#startedAt < LOST_MS) return;
    this.abandon();
    this.subject = exchange;
    this.handling = true;
    this.#startedAt = startedAt;
    this.#at = startedAt;
    this.mark('parse');
  }

  /** The handler has returned. */
  handled(): void {
    if (this.handling) this.abandon();
  }

  asked(call: object): void {
    this.handling = false;
    this.call = call;
    this.mark('route');
  }

  entered(entry: object): void {
    this.entry = entry;
  }

  /** Its answer is there, or is still being made and comes by another way: then it is not followed any further. */
  answered(): void {
    if (!this.answering) return;
    this.answering = false;
    this.mark('serialise');
  }

  /** The stage has ended now. */
  mark(stage: Stage): void {
    const now = this.#now();
    this.#own[stage] += (now - this.#at) * 1000;
    this.#at = now;
  }

  /** The same, where what is followed is among these. */
  markOf(entries: readonly object[], stage: Stage): void {
    if (this.entry !== null && entries.includes(this.entry)) this.mark(stage);
  }

  /** The answer has left. */
  finish(): void {
    if (this.entry !== null && this.#own.commit > 0) {
      this.mark('write');
      for (const stage of STAGES) this.#sumsUs[stage] += this.#own[stage];
      this.#sampled++;
    }
    this.abandon();
  }

  abandon(): void {
    this.subject = null;
    this.handling = false;
    this.call = null;
    this.entry = null;
    this.answering = false;
    for (const stage of STAGES) this.#own[stage] = 0;
  }

  /** `sampled`, and microseconds of each stage summed over those. */
  get stats(): Readonly<Record<string, number>> {
    const sums = STAGES.map((stage) => [`${stage}Us`, this.#sumsUs[stage]] as const);
    return { sampled: this.#sampled, ...Object.fromEntries(sums) };
  }
}

function nothing(): Record<Stage, number> {
  return Object.fromEntries(STAGES.map((stage) => [stage, 0])) as Record<Stage, number>;
}
