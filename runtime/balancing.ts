/**
 * Brings shards to where they should be: what this member has too much of it gives away, a few at a time, so that who joins takes its
 * share gradually and no call waits long behind a hand-off. Leaving is the same without the pauses, until nothing is left.
 *
 * What should go where is the membership's to say (`surplus`), how one shard goes is the actor system's (`give`). A shard that did not go
 * is still in the surplus of a later round, if it still should go.
 */
import type { Clock } from './clock.ts';
import type { ClusterMembership } from './members.ts';
import { SHARD_COUNT } from './shard.ts';
import type { ActorSystem } from './system.ts';

export interface BalancingOptions {
  readonly membership: ClusterMembership;
  readonly system: Pick<ActorSystem, 'give'>;
  readonly clock: Clock;
  /** Told of rounds that failed, which are repeated; must not throw. */
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

const ROUND_MS = 100;
/** Shards of one round: a newcomer beside two members has its third of them after about a second. */
const SHARDS_AT_ONCE = 8;
/** A hand-off that has not settled within this is given up, and tried again later. */
const GIVE_TIMEOUT_MS = 1_000;
const LEAVING_ROUND_MS = 20;
const SHARDS_AT_ONCE_LEAVING = 16;

/** `balancing` → (giveAll) → `leaving` → `balancing`, for what could not be given; `stopped` from either. */
export class Balancing {
  /** Shards given away so far. */
  given = 0;
  readonly #options: BalancingOptions;
  #state: 'balancing' | 'leaving' | 'stopped' = 'balancing';
  #next: { cancel(): void } | null = null;
  #round: Promise<void> = Promise.resolve();
  #giving: Promise<void> | null = null;
  /** On the monotonic clock. */
  #giveUntil = 0;

  constructor(options: BalancingOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Shards that this member has now. */
  get owned(): number {
    const { membership } = this.#options;
    let owned = 0;
    for (let shard = 0; shard < SHARD_COUNT; shard++) if (membership.owns(shard)) owned++;
    return owned;
  }

  /**
   * Gives everything away, for a member that is leaving. Resolves when it has nothing more, when there is nobody who could take it, or
   * after `timeoutMs`; of several callers the last says how long. What it then still has is given when somebody comes, and claimed by
   * others once it has left.
   */
  async giveAll(timeoutMs: number): Promise<void> {
    this.#giveUntil = this.#options.clock.monotonic() + timeoutMs;
    this.#giving ??= this.#untilEmpty().finally(() => {
      this.#giving = null;
    });
    await this.#giving;
  }

  stop(): void {
    this.#state = 'stopped';
    this.#next?.cancel();
  }

  async #untilEmpty(): Promise<void> {
    const { clock } = this.#options;
    if (this.#stopped()) return;
    this.#state = 'leaving';
    this.#next?.cancel();
    await this.#round;
    while (!this.#stopped() && this.owned > 0 && this.#hasHeirs() && clock.monotonic() < this.#giveUntil) {
      await this.#giveSome(SHARDS_AT_ONCE_LEAVING);
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, LEAVING_ROUND_MS));
    }
    if (this.#stopped()) return;
    this.#state = 'balancing';
    this.#schedule();
  }

  #schedule(): void {
    if (this.#state !== 'balancing') return;
    this.#next = this.#options.clock.setTimeout(() => {
      this.#round = this.#giveSome(SHARDS_AT_ONCE);
      void this.#round.then(() => this.#schedule());
    }, ROUND_MS);
  }

  /** The state may have changed during an await; a method of its own, so that the compiler does not assume otherwise. */
  #stopped(): boolean {
    return this.#state === 'stopped';
  }

  #hasHeirs(): boolean {
    const { membership } = this.#options;
    return membership.members().some((one) => one.state === 'alive' && one.incarnation !== membership.incarnation);
  }

  async #giveSome(limit: number): Promise<void> {
    const { membership, system, report } = this.#options;
    try {
      const gifts = membership.surplus(limit).map(({ to, shards }) => system.give(shards, to, GIVE_TIMEOUT_MS));
      const given = (await Promise.all(gifts)).reduce((sum, shards) => sum + shards.length, 0);
      this.given += given;
    } catch (error) {
      report('shards_not_given', { error: String(error) });
    }
  }
}
