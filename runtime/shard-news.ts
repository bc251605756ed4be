/**
 * Word among members that rows about members or shards have changed, so that they look now and not at their next turn. A message says
 * only who tells; what has changed is in the rows. Lost ones cost a look's period, forged ones a reading: news come in bursts (a hand-off
 * tells for each lane), so one look follows another no sooner than `pauseMs`.
 */
import type { Bus } from './bus.ts';
import type { Clock } from './clock.ts';
import type { ClusterMembership } from './members.ts';

export interface ShardNewsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  /** Default 25. */
  readonly pauseMs?: number;
}

type Listening = Pick<ClusterMembership, 'incarnation' | 'look' | 'onChange'>;

export class ShardNews {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #pauseMs: number;
  #member: Listening | null = null;
  /** `due`: a look follows; `again`: and another after it, for news that came while it was reading. */
  #look: 'none' | 'due' | 'reading' | 'again' = 'none';
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ShardNewsOptions) {
    this.#bus = options.bus;
    this.#clock = options.clock;
    this.#pauseMs = options.pauseMs ?? 25;
    this.#bus.subscribe('shards', (message) => this.#hear(message));
    // What was told meanwhile was missed.
    this.#bus.onConnection((connected) => {
      if (connected) this.#due();
    });
  }

  /** News go to this member, and its changes are told, from now on; a node's next incarnation takes the place of its last. */
  attach(member: Listening): void {
    this.#member = member;
    const name = Buffer.from(member.incarnation);
    member.onChange(() => {
      if (this.#member === member) this.#bus.publish('shards', name);
    });
  }

  #hear(message: Uint8Array): void {
    if (this.#member === null || Buffer.from(message).toString() === this.#member.incarnation) return;
    this.#due();
  }

  #due(): void {
    if (this.#look === 'reading') this.#look = 'again';
    if (this.#look !== 'none') return;
    this.#look = 'due';
    const delayMs = Math.max(0, this.#lookedAt + this.#pauseMs - this.#clock.monotonic());
    this.#clock.setTimeout(() => this.#read(), delayMs);
  }

  #read(): void {
    this.#look = 'reading';
    this.#lookedAt = this.#clock.monotonic();
    const done = (): void => {
      const again = this.#look === 'again';
      this.#look = 'none';
      if (again) this.#due();
    };
    // A look that fails is followed by the member's own.
    (this.#member?.look() ?? Promise.resolve()).then(done, done);
  }
}
