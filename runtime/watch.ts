/**
 * Watching other members with one's own eyes: whose renewals have stood still for so long that they may be taken over. No clock but
 * the watcher's monotonic one is asked: a step of the database's clock would kill everyone, or make the dead immortal.
 *
 * A member's time to stand still counts from the answer to the first look that showed its present count of renewals, hence from
 * after that renewal was sent; and it must be over before the look that shows it still is sent. Its own deadline counts from before
 * it sent the renewal, so that has passed by then, whatever the clocks of the two say, as long as they run within the margin at one speed.
 *
 * Time in which the watcher could not have seen a renewal is not counted: the watch of everybody begins anew where looks came too
 * far apart (PostgreSQL away, this process stopped), and at each look at which the watcher's own renewals do not come through
 * either (PostgreSQL takes no writes). So whatever stops all members at once kills none of them.
 */

/** Added to a lease for clocks of different speed, and for the way of the renewal. */
const MARGIN_SHARE = 5;
/** Looks that are further apart than this share of the watcher's lease, or an own renewal that is older, begin every watch anew. */
const BLIND_SHARE = 0.75;

export interface Renewing {
  readonly incarnation: string;
  readonly renewals: number;
  readonly leaseMs: number;
}

/** What was seen of a member: it may be taken over only as long as its renewals are as many. */
export interface Watched {
  readonly incarnation: string;
  readonly renewals: number;
}

interface Seen extends Renewing {
  /** On the watcher's monotonic clock. */
  readonly since: number;
}

export class Watch {
  readonly #blindMs: number;
  #seen = new Map<string, Seen>();
  #answeredAt: number | null = null;
  #sentAt = 0;

  /** @param leaseMs the watcher's own. */
  constructor(leaseMs: number) {
    this.#blindMs = leaseMs * BLIND_SHARE;
  }

  /**
   * Takes in one successful look at all living members.
   * @param renewedAt when the watcher's last acknowledged renewal was sent; null: it has no lease of its own.
   */
  look(members: readonly Renewing[], sentAt: number, answeredAt: number, renewedAt: number | null): void {
    const apart = this.#answeredAt === null ? 0 : answeredAt - this.#answeredAt;
    const blind = apart > this.#blindMs || (renewedAt !== null && answeredAt - renewedAt > this.#blindMs);
    const seen = new Map<string, Seen>();
    for (const { incarnation, renewals, leaseMs } of members) {
      const before = this.#seen.get(incarnation);
      const still = !blind && before !== undefined && before.renewals === renewals;
      seen.set(incarnation, { incarnation, renewals, leaseMs, since: still ? before.since : answeredAt });
    }
    this.#seen = seen;
    this.#sentAt = sentAt;
    this.#answeredAt = answeredAt;
  }

  /** Those that had stood still for their lease and the margin when the last look was sent. */
  overdue(): Watched[] {
    return [...this.#seen.values()].filter((seen) => this.#sentAt >= dueAt(seen));
  }

  /** When the next is overdue if nothing changes; null: nobody is watched. */
  nextDue(except: string): number | null {
    let next: number | null = null;
    for (const seen of this.#seen.values()) {
      if (seen.incarnation !== except && (next === null || dueAt(seen) < next)) next = dueAt(seen);
    }
    return next;
  }

  /** How long the member's renewals have stood still, as far as that was watched. */
  quietMs(incarnation: string, now: number): number {
    const seen = this.#seen.get(incarnation);
    return seen === undefined ? 0 : Math.max(0, now - seen.since);
  }
}

function dueAt({ since, leaseMs }: Seen): number {
  return since + leaseMs + leaseMs / MARGIN_SHARE;
}
