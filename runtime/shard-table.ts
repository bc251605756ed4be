/**
 * What one member knows of where shards are: the newest row that it has read of each, and words of peers until the rows are read
 * again. Epochs only rise, so whichever of two readings is older is known by its epoch, however late it comes.
 */
import type { ShardRow } from './member-store.ts';
import type { ShardOwner } from './members.ts';
import { SHARD_COUNT } from './shard.ts';

export class ShardTable {
  readonly #self: string;
  readonly #owners: (string | null)[] = new Array(SHARD_COUNT).fill(null);
  readonly #epochs: number[] = new Array(SHARD_COUNT).fill(0);
  /** 1 where the newest row names this member. Asked on the hot path. */
  readonly #own = new Uint8Array(SHARD_COUNT);
  readonly #hints = new Map<number, ShardOwner>();

  constructor(self: string) {
    this.#self = self;
  }

  owns(shard: number): boolean {
    return this.#own[shard] === 1;
  }

  epoch(shard: number): number {
    return this.#epochs[shard] ?? 0;
  }

  /** A peer's word where it is newer than the row. */
  ownerOf(shard: number): ShardOwner | null {
    const hint = this.#hints.get(shard);
    if (hint !== undefined) return hint;
    const incarnation = this.#owners[shard] ?? null;
    return incarnation === null ? null : { incarnation, epoch: this.epoch(shard) };
  }

  /** By the newest rows. */
  rows(): ShardRow[] {
    return this.#owners.map((owner, shard) => ({ shard, owner, epoch: this.epoch(shard) }));
  }

  *owned(): IterableIterator<number> {
    for (let shard = 0; shard < SHARD_COUNT; shard++) if (this.#own[shard] === 1) yield shard;
  }

  /** Sum of all epochs: the same sum is the same table. */
  get epochs(): number {
    return this.#epochs.reduce((sum, epoch) => sum + epoch, 0);
  }

  /** Takes in rows as read at one time; null: none has changed. Returns the shards whose owner is another than was believed. */
  read(rows: readonly ShardRow[] | null): number[] {
    const believed = new Map([...this.#hints].map(([shard, owner]) => [shard, owner.incarnation as string | null]));
    // What a peer said was to last until the rows are read: whoever was right, they decide.
    this.#hints.clear();
    for (const { shard, owner, epoch } of rows ?? []) {
      if (epoch <= this.epoch(shard)) continue;
      if (!believed.has(shard)) believed.set(shard, this.#owners[shard] ?? null);
      this.#owners[shard] = owner;
      this.#epochs[shard] = epoch;
      this.#own[shard] = owner === this.#self ? 1 : 0;
    }
    return [...believed].filter(([shard, owner]) => this.#owners[shard] !== owner).map(([shard]) => shard);
  }

  /** Returns whether it is news. Never believed against this member's own rows: those only it can give away. */
  hint(shard: number, owner: ShardOwner): boolean {
    const known = this.ownerOf(shard);
    if (known !== null && owner.epoch <= known.epoch) return false;
    if (owner.incarnation !== this.#self && !this.owns(shard)) this.#hints.set(shard, owner);
    return true;
  }
}
