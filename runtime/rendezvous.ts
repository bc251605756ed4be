/**
 * Who should have a shard: weighted rendezvous hashing over the members' node ids. Each member draws a number for the shard, from
 * its node id and the shard alone; the highest has it. So all who know the same members agree without a word; a member that comes
 * takes shards only for itself, one that goes leaves its own to all others; and a node that restarts, under whatever incarnation, is
 * due the same shards as before.
 *
 * The draw is `-weight / ln(u)` with `u` even in (0, 1): it wins with a chance in proportion to the weight, and changing one weight
 * moves shards to or from that member only (Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005).
 *
 * Frozen: two versions that draw differently would give shards to and fro as long as both run.
 */
export interface Candidate {
  readonly nodeId: string;
  /** Above 0. */
  readonly weight: number;
}

/** Who of the candidates should have the shard; null where there are none. Of two equal draws, which do not happen, the first in order. */
export function rendezvous<C extends Candidate>(shard: number, candidates: readonly C[]): C | null {
  let best: C | null = null;
  let highest = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const drawn = candidate.weight / -Math.log(draw(candidate.nodeId, shard));
    if (drawn > highest) {
      highest = drawn;
      best = candidate;
    }
  }
  return best;
}

/** Even in (0, 1), 53 bits. */
function draw(nodeId: string, shard: number): number {
  const high = hash(`${shard}:${nodeId}`, 0x811c9dc5);
  const low = hash(`${nodeId}:${shard}`, high);
  return ((high >>> 0) * 0x200000 + (low >>> 11) + 0.5) / 2 ** 53;
}

/** FNV-1a over the UTF-16 code units, then the last steps of MurmurHash3, without which similar names draw alike. */
function hash(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
