/**
 * Shards: 256 slices of the actor space. The hash is frozen as version 1: a change of it, or of the count, would send
 * an actor's events to another lane than its history, so a node refuses to start on a database of another version.
 */
export const SHARD_COUNT = 256;
export const SHARD_HASH_VERSION = 1;

/** FNV-1a over the UTF-16 code units of `type:id`, folded to 8 bits. Evenness over uuids is tested, not assumed. */
export function shardOf(type: string, id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < type.length; i++) hash = Math.imul(hash ^ type.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ 58, 0x01000193);
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 16;
  return (hash ^ (hash >>> 8)) & (SHARD_COUNT - 1);
}

export function laneOf(shard: number, lanes: number): number {
  return shard % lanes;
}
