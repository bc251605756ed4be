/**
 * From who is there and who has what: who should have which shard, and what a member has too much of. Pure; the rows say who has a
 * shard, this only where it should be. Shards move one way: towards `heirOf` over the members that are `alive`, by gift from a living
 * owner, by claim or takeover from one that is not.
 */
import type { MemberRow, ShardRow } from './member-store.ts';
import type { Surplus } from './members.ts';
import { rendezvous } from './rendezvous.ts';
import { SHARD_COUNT } from './shard.ts';

type Heir = Pick<MemberRow, 'incarnation' | 'nodeId' | 'weight' | 'state'>;

/** The incarnation that should have each shard, by shard; null for all where nobody is `alive`. */
export type Placement = readonly (string | null)[];

export function placementOver(members: readonly Heir[]): Placement {
  const heirs = members.filter((member) => member.state === 'alive');
  return Array.from({ length: SHARD_COUNT }, (_, shard) => rendezvous(shard, heirs)?.incarnation ?? null);
}

/** `placementOver`, figured again only where something in it has changed: 256 draws for each member take a while among many. */
export class Placements {
  #key = '';
  #placement: Placement = [];

  over(members: readonly Heir[]): Placement {
    const key = JSON.stringify(members.map(({ incarnation, weight, state }) => [incarnation, weight, state]));
    if (key !== this.#key) {
      this.#key = key;
      this.#placement = placementOver(members);
    }
    return this.#placement;
  }
}

export interface Assignment {
  readonly shard: number;
  /** As read: the shard is assigned only where it still has it. */
  readonly epoch: number;
  readonly to: string;
}

/** Each of the shards to the member that should have it; none where nobody can. */
export function assign(shards: readonly ShardRow[], placement: Placement): Assignment[] {
  const assignments: Assignment[] = [];
  for (const { shard, epoch } of shards) {
    const to = placement[shard] ?? null;
    if (to !== null) assignments.push({ shard, epoch, to });
  }
  return assignments;
}

/** At most `limit` of the shards that `owned` names and somebody else should have, if `takes` says that it can be given any now. */
export function surplusOf(
  owned: Iterable<number>,
  placement: Placement,
  self: string,
  takes: (incarnation: string) => boolean,
  limit: number,
): Surplus[] {
  const byHeir = new Map<string, number[]>();
  let left = limit;
  for (const shard of owned) {
    if (left === 0) break;
    const to = placement[shard] ?? null;
    if (to === null || to === self || !takes(to)) continue;
    const shards = byHeir.get(to);
    if (shards === undefined) byHeir.set(to, [shard]);
    else shards.push(shard);
    left -= 1;
  }
  return [...byHeir].map(([to, shards]) => ({ to, shards }));
}
