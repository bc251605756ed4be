/**
 * A member's lease as its process sees it: how long it may answer. The deadline counts on the monotonic clock from *before* a renewal
 * was sent: whoever watches the row stand still starts later and waits longer, so its watch ends after this deadline.
 *
 * States: `held` until the deadline; `late` past it (the database away, the loop blocked), which answers nothing but goes on renewing
 * and is held again with the first renewal that succeeds; `fenced` once a renewal found the member's row no longer living, for ever.
 *
 * `LoopLease` renews from the event loop, by the clock that it is given: for tests and the simulator, and as the statement of what the
 * thread of `schema/lease.ts` does.
 */
import type { Clock } from './clock.ts';

export interface Lease {
  /** Sends the first renewal. False: the member was taken over before it. Rejects where that is not known. */
  first(): Promise<boolean>;
  /** Whether the deadline is ahead and the member is not known to be fenced. From memory. */
  holds(): boolean;
  /** When the last acknowledged renewal was sent, on the member's monotonic clock; before the first, minus infinity. */
  readonly renewedAt: number;
  /** Acknowledged renewals so far. */
  readonly renewals: number;
  /** Renews from now on. `fenced` is called at most once. */
  start(fenced: () => void): void;
  /** Ends it: it holds no more. */
  stop(): Promise<void>;
}

/** A renewal is sent after this share of the lease. */
export const RENEW_SHARE = 4;
/** One that failed is sent again after this share. */
export const RETRY_SHARE = 20;

export interface LoopLeaseOptions {
  readonly clock: Clock;
  readonly leaseMs: number;
  /** Sends one renewal. False: the member no longer lives. Rejects where that is not known. */
  readonly renew: () => Promise<boolean>;
  /** Told of renewals that failed; must not throw. */
  readonly report: (error: unknown) => void;
}

export class LoopLease implements Lease {
  renewals = 0;
  renewedAt = Number.NEGATIVE_INFINITY;
  readonly #options: LoopLeaseOptions;
  #state: 'running' | 'fenced' | 'stopped' = 'running';
  #next: { cancel(): void } | null = null;

  constructor(options: LoopLeaseOptions) {
    this.#options = options;
  }

  async first(): Promise<boolean> {
    return await this.#renew();
  }

  holds(): boolean {
    const { clock, leaseMs } = this.#options;
    return this.#state === 'running' && clock.monotonic() < this.renewedAt + leaseMs;
  }

  start(fenced: () => void): void {
    const { clock, leaseMs, report } = this.#options;
    const schedule = (delayMs: number): void => {
      if (this.#state === 'running') this.#next = clock.setTimeout(() => void turn(), delayMs);
    };
    const turn = async (): Promise<void> => {
      try {
        if (await this.#renew()) schedule(leaseMs / RENEW_SHARE);
        else if (this.#state === 'running') {
          this.#state = 'fenced';
          fenced();
        }
      } catch (error) {
        report(error);
        schedule(leaseMs / RETRY_SHARE);
      }
    };
    schedule(leaseMs / RENEW_SHARE);
  }

  async stop(): Promise<void> {
    if (this.#state === 'running') this.#state = 'stopped';
    this.#next?.cancel();
  }
  async #renew(): Promise<boolean> {
    const sentAt = this.#options.clock.monotonic();
    const living = await this.#options.renew();
    if (living && this.#state === 'running') {
      this.renewedAt = sentAt;
      this.renewals += 1;
    }
    return living;
  }
}
