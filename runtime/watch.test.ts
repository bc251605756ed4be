import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Renewing, Watch } from './watch.ts';

const LEASE_MS = 2_000;
const LOOK_MS = 250;
const one = (renewals: number, incarnation = 'a', leaseMs = LEASE_MS): Renewing => ({ incarnation, renewals, leaseMs });

/** The simpler watcher: remembers when a count was first seen, and believes whatever time has gone by since. */
class NaiveWatch {
  #seen = new Map<string, { renewals: number; since: number }>();
  #sentAt = 0;
  look(members: readonly Renewing[], sentAt: number, answeredAt: number): void {
    this.#sentAt = sentAt;
    for (const { incarnation, renewals } of members) {
      if (this.#seen.get(incarnation)?.renewals !== renewals) {
        this.#seen.set(incarnation, { renewals, since: answeredAt });
      }
    }
  }
  overdue(): string[] {
    return [...this.#seen].filter(([, { since }]) => this.#sentAt >= since + LEASE_MS * 1.2).map(([name]) => name);
  }
}

/** A watcher whose looks take no time and whose own renewals come through. */
function watching(watch = new Watch(LEASE_MS)) {
  const naive = new NaiveWatch();
  return {
    watch,
    naive,
    look: (now: number, members: readonly Renewing[], renewedAt: number | null = now) => {
      watch.look(members, now, now, renewedAt);
      naive.look(members, now, now);
      return watch.overdue().map(({ incarnation }) => incarnation);
    },
  };
}

describe('a watch', () => {
  it('finds overdue who has stood still for its lease and a fifth of it, and not before', () => {
    const { look, watch } = watching();
    for (let now = 0; now < 2_400; now += LOOK_MS) assert.deepEqual(look(now, [one(7)]), []);
    assert.equal(watch.nextDue('b'), 2_400);
    assert.equal(watch.nextDue('a'), null);
    assert.deepEqual(look(2_399, [one(7)]), []);
    assert.equal(watch.quietMs('a', 2_399), 2_399);
    assert.deepEqual(look(2_400, [one(7)]), ['a']);
    assert.deepEqual(watch.overdue(), [{ ...one(7), since: 0 }]);
  });

  it('counts from the answer to the look that first showed the count, to the sending of the last', () => {
    const watch = new Watch(LEASE_MS);
    watch.look([one(7)], 0, 100, 0);
    for (let now = 500; now < 2_400; now += 500) watch.look([one(7)], now, now, now);
    watch.look([one(7)], 2_499, 2_600, 2_499);
    assert.deepEqual(watch.overdue(), []);
    watch.look([one(7)], 2_500, 2_600, 2_500);
    assert.equal(watch.overdue().length, 1);
  });

  it('begins anew with each renewal, each name, and each return', () => {
    const { look } = watching();
    for (let now = 0; now < 10_000; now += LOOK_MS) assert.deepEqual(look(now, [one(Math.floor(now / 2_000))]), []);
    assert.deepEqual(look(10_100, []), []);
    assert.deepEqual(look(10_200, [one(4)]), []);
  });

  it('gives each the lease that it was given by itself', () => {
    const { look } = watching();
    const both = [one(1, 'short', 500), one(1, 'long', 5_000)];
    const found: string[][] = [];
    for (let now = 0; now <= 6_000; now += LOOK_MS) found.push(look(now, both));
    assert.deepEqual(found[2], []);
    assert.deepEqual(found[3], ['short'], 'after 600 ms');
    assert.deepEqual(found[23], ['short']);
    assert.deepEqual(found[24], ['short', 'long'], 'after 6,000 ms');
  });

  it('does not count time in which it saw nothing: PostgreSQL away for longer than the lease kills nobody', () => {
    const { look, naive } = watching();
    for (let now = 0; now <= 1_000; now += LOOK_MS) look(now, [one(7)]);
    assert.deepEqual(look(9_000, [one(7)]), [], 'the first look after it');
    assert.deepEqual(naive.overdue(), ['a'], 'the simpler watcher takes over everybody');
    for (let now = 9_250; now < 11_400; now += LOOK_MS) assert.deepEqual(look(now, [one(7)]), []);
    assert.deepEqual(look(11_400, [one(7)]), ['a'], 'who does not come back is found');
  });

  it('does not count time that one look took to be answered', () => {
    const watch = new Watch(LEASE_MS);
    const naive = new NaiveWatch();
    for (const [sentAt, answeredAt] of [
      [0, 10],
      [250, 3_000],
      [3_010, 3_020],
    ] as const) {
      watch.look([one(7)], sentAt, answeredAt, answeredAt);
      naive.look([one(7)], sentAt, answeredAt);
    }
    assert.deepEqual(watch.overdue(), []);
    assert.deepEqual(naive.overdue(), ['a']);
  });

  it('does not count time in which its own renewals did not come through either', () => {
    const { look, naive } = watching();
    // The database answers reads and takes no writes, from 1,000 to 5,000.
    for (let now = 0; now <= 5_000; now += LOOK_MS) {
      const last = Math.min(now, 1_000);
      assert.deepEqual(look(now, [one(Math.floor(last / 500))], last), []);
    }
    assert.deepEqual(naive.overdue(), ['a']);
    for (let now = 5_250; now <= 7_000; now += LOOK_MS) assert.deepEqual(look(now, [one(2)]), []);
  });

  it('counts the time of one that is no member yet and has no renewals of its own', () => {
    const { look } = watching();
    for (let now = 0; now < 2_400; now += LOOK_MS) look(now, [one(7)], null);
    assert.deepEqual(look(2_400, [one(7)], null), ['a']);
  });
});
