import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Candidate, rendezvous } from './rendezvous.ts';
import { SHARD_COUNT } from './shard.ts';

const SHARDS = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

const nodeId = fc.oneof(
  fc.nat(999).map((n) => `node-${n}`),
  fc.string({ minLength: 1, maxLength: 40 }),
  fc.uuid(),
);
const members = (minLength: number, maxLength: number) =>
  fc.uniqueArray(fc.record({ nodeId, weight: fc.constantFrom(0.5, 1, 1, 1, 2, 10) }), {
    minLength,
    maxLength,
    selector: (member) => member.nodeId,
  });

/** How many shards each has, by node id. */
function shares(candidates: readonly Candidate[]): Map<string, number> {
  const counts = new Map(candidates.map((candidate) => [candidate.nodeId, 0]));
  for (const shard of SHARDS) {
    const heir = rendezvous(shard, candidates)?.nodeId ?? '';
    counts.set(heir, (counts.get(heir) ?? 0) + 1);
  }
  return counts;
}

describe('rendezvous', () => {
  it('names the same member whatever the order in which the members are known', () => {
    fc.assert(
      fc.property(members(1, 12), fc.nat(SHARD_COUNT - 1), (all, shard) => {
        assert.equal(rendezvous(shard, all)?.nodeId, rendezvous(shard, all.toReversed())?.nodeId);
      }),
    );
  });

  it('moves shards only to the member that comes, and only from the one that goes', () => {
    fc.assert(
      fc.property(members(2, 12), ([newcomer, ...others]) => {
        assert.ok(newcomer !== undefined);
        for (const shard of SHARDS) {
          const without = rendezvous(shard, others)?.nodeId;
          const withIt = rendezvous(shard, [...others, newcomer])?.nodeId;
          assert.ok(withIt === without || withIt === newcomer.nodeId);
        }
      }),
    );
  });

  it('moves shards only to the member whose weight grows', () => {
    fc.assert(
      fc.property(members(2, 12), fc.double({ min: 1.01, max: 100, noNaN: true }), ([one, ...others], factor) => {
        assert.ok(one !== undefined);
        const heavier = { ...one, weight: one.weight * factor };
        for (const shard of SHARDS) {
          const before = rendezvous(shard, [one, ...others])?.nodeId;
          const after = rendezvous(shard, [heavier, ...others])?.nodeId;
          assert.ok(after === before || after === one.nodeId);
        }
      }),
    );
  });

  it('is even: over many clusters each member has its share on average, and hardly ever one far from it', () => {
    // Counts of one cluster are spread as throws of a die are; a bound of five deviations is crossed about once in a million.
    fc.assert(
      fc.property(fc.uniqueArray(nodeId, { minLength: 2, maxLength: 8 }), (ids) => {
        const due = SHARD_COUNT / ids.length;
        const deviation = Math.sqrt(due * (1 - 1 / ids.length));
        for (const [id, count] of shares(ids.map((one) => ({ nodeId: one, weight: 1 })))) {
          assert.ok(Math.abs(count - due) < 5 * deviation, `${id} has ${count} of ${due}`);
        }
      }),
      { seed: 1 },
    );
    const totals = [0, 0, 0];
    for (let cluster = 0; cluster < 300; cluster++) {
      const trio = [0, 1, 2].map((n) => ({ nodeId: `host-${cluster}-${n}`, weight: 1 }));
      [...shares(trio).values()].forEach((count, n) => {
        totals[n] = (totals[n] ?? 0) + count;
      });
    }
    for (const total of totals) assert.ok(Math.abs(total / 300 - SHARD_COUNT / 3) < 2, `${totals}`);
  });

  it('gives shards in proportion to the weights', () => {
    let heavy = 0;
    for (let cluster = 0; cluster < 300; cluster++) {
      const trio = [1, 1, 2].map((weight, n) => ({ nodeId: `host-${cluster}-${n}`, weight }));
      heavy += shares(trio).get(`host-${cluster}-2`) ?? 0;
    }
    assert.ok(Math.abs(heavy / 300 - SHARD_COUNT / 2) < 3, `${heavy / 300}`);
  });

  it('is frozen: members of two versions must agree', () => {
    const trio = ['node-1', 'node-2', 'node-3'].map((id) => ({ nodeId: id, weight: 1 }));
    const first = SHARDS.slice(0, 32).map((shard) => rendezvous(shard, trio)?.nodeId.slice(-1));
    assert.equal(first.join(''), '22232131322232112211312321322312');
    const weighted = trio.map((member, n) => ({ ...member, weight: n + 1 }));
    assert.equal(
      SHARDS.slice(0, 32)
        .map((shard) => rendezvous(shard, weighted)?.nodeId.slice(-1))
        .join(''),
      '32232133322232123232323321322312',
    );
  });

  it('names nobody where there is nobody', () => {
    assert.equal(rendezvous(7, []), null);
  });
});
