import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assign, Placements, placementOver, surplusOf } from './balance.ts';
import type { MemberRow } from './member-store.ts';
import { SHARD_COUNT } from './shard.ts';
import { ShardTable } from './shard-table.ts';

type Heir = Pick<MemberRow, 'incarnation' | 'nodeId' | 'weight' | 'state'>;
const SHARDS = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
const heir = (nodeId: string, state: Heir['state'] = 'alive'): Heir => ({
  incarnation: `${nodeId}.1`,
  nodeId,
  weight: 1,
  state,
});

describe('a placement', () => {
  it('counts members that are alive, not those that join or leave', () => {
    const placement = placementOver([heir('a', 'joining'), heir('b'), heir('c', 'leaving')]);
    assert.ok(placement.every((incarnation) => incarnation === 'b.1'));
    assert.ok(placementOver([heir('a', 'joining')]).every((incarnation) => incarnation === null));
  });

  it('is the same for a node that comes back under another incarnation', () => {
    const before = placementOver([heir('a'), heir('b')]);
    const after = placementOver([heir('a'), { ...heir('b'), incarnation: 'b.2' }]);
    assert.deepEqual(
      after,
      before.map((incarnation) => (incarnation === 'b.1' ? 'b.2' : incarnation)),
    );
  });

  it('is figured again only where members, states or weights have changed', () => {
    const placements = new Placements();
    const first = placements.over([heir('a'), heir('b')]);
    assert.equal(placements.over([heir('a'), heir('b')]), first);
    assert.notEqual(placements.over([heir('a'), heir('b', 'leaving')]), first);
    assert.notEqual(placements.over([heir('a'), { ...heir('b'), weight: 2 }]), first);
  });
});

describe('what is to be moved', () => {
  const names = ['a', 'b', 'c', 'd'];
  const owners = fc.array(fc.constantFrom(...names), { minLength: SHARD_COUNT, maxLength: SHARD_COUNT });

  it('ends, after every owner has given its surplus, with each shard where it should be, and no shard moves twice', () => {
    fc.assert(
      fc.property(
        owners,
        fc.integer({ min: 1, max: 64 }),
        fc.subarray(names, { minLength: 1 }),
        (had, limit, alive) => {
          const placement = placementOver(names.map((name) => heir(name, alive.includes(name) ? 'alive' : 'leaving')));
          const owner = had.map((name) => `${name}.1`);
          const moves = SHARDS.map(() => 0);
          for (let round = 0; round < SHARD_COUNT; round++) {
            for (const name of names) {
              const self = `${name}.1`;
              const owned = SHARDS.filter((shard) => owner[shard] === self);
              const surplus = surplusOf(owned, placement, self, () => true, limit);
              assert.ok(surplus.reduce((sum, { shards }) => sum + shards.length, 0) <= limit);
              for (const { to, shards } of surplus) {
                for (const shard of shards) {
                  owner[shard] = to;
                  moves[shard] = (moves[shard] ?? 0) + 1;
                }
              }
            }
          }
          assert.deepEqual(owner, [...placement]);
          assert.ok(moves.every((count) => count <= 1));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('goes to nobody who takes nothing now, and what nobody living has to whoever should have it', () => {
    const placement = placementOver([heir('a'), heir('b'), heir('c')]);
    const surplus = surplusOf(SHARDS, placement, 'a.1', (to) => to !== 'b.1', SHARD_COUNT);
    assert.deepEqual(
      surplus.map(({ to }) => to),
      ['c.1'],
    );
    const rows = [3, 5, 8].map((shard) => ({ shard, owner: 'dead', epoch: shard }));
    assert.deepEqual(
      assign(rows, placement),
      rows.map(({ shard, epoch }) => ({ shard, epoch, to: placement[shard] })),
    );
    assert.deepEqual(assign(rows, placementOver([])), []);
  });
});

describe('a table of shards', () => {
  it('keeps the newest of what it reads, however late the older comes', () => {
    const table = new ShardTable('me');
    assert.deepEqual(table.read([{ shard: 1, owner: 'me', epoch: 4 }]), [1]);
    assert.ok(table.owns(1));
    assert.deepEqual(table.read([{ shard: 1, owner: 'b', epoch: 5 }]), [1]);
    assert.deepEqual(table.read([{ shard: 1, owner: 'me', epoch: 4 }]), []);
    assert.ok(!table.owns(1));
    assert.deepEqual(table.ownerOf(1), { incarnation: 'b', epoch: 5 });
    assert.deepEqual([table.epoch(1), table.epochs, [...table.owned()].length], [5, 5, 0]);
    assert.ok(!table.owns(SHARD_COUNT));
  });

  it('believes a peer until it reads again, then the row', () => {
    const table = new ShardTable('me');
    table.read([{ shard: 1, owner: 'b', epoch: 4 }]);
    assert.equal(table.hint(1, { incarnation: 'c', epoch: 4 }), false);
    assert.equal(table.hint(1, { incarnation: 'c', epoch: 5 }), true);
    assert.equal(table.ownerOf(1)?.incarnation, 'c');
    assert.deepEqual(table.read(null), [1], 'it was wrong');
    assert.equal(table.ownerOf(1)?.incarnation, 'b');
    table.hint(1, { incarnation: 'c', epoch: 5 });
    assert.deepEqual(table.read([{ shard: 1, owner: 'c', epoch: 5 }]), [], 'it was right, and had been told');
  });

  it('takes neither its own shards nor others’ by a peer’s word', () => {
    const table = new ShardTable('me');
    table.read([{ shard: 1, owner: 'me', epoch: 4 }]);
    assert.equal(table.hint(1, { incarnation: 'b', epoch: 5 }), true, 'worth a look');
    assert.ok(table.owns(1));
    assert.equal(table.ownerOf(1)?.incarnation, 'me');
    assert.equal(table.hint(2, { incarnation: 'me', epoch: 9 }), true);
    assert.ok(!table.owns(2));
    assert.equal(table.ownerOf(2), null);
  });
});
