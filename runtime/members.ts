/**
 * Who this process is among the nodes, and what it may write. The truth is in the database (`schema/members.ts`); this
 * is the part that the actor system asks on its hot path, so all of it answers from memory.
 */
export interface Membership {
  /** Names this run of this node; a new one after every start and after every fencing. */
  readonly incarnation: string;
  readonly nodeId: string;
  /** Whether this node has the shard now. */
  owns(shard: number): boolean;
  /** The epoch under which it has it; written with each event. */
  epoch(shard: number): number;
  /** False once the lease's deadline has passed or the member is fenced: nothing may be answered then. */
  mayAnswer(): boolean;
  /** The version in which events of the type are to be written: the newest that every live member reads, and at most `newest`. */
  writes(type: string, newest: number): number;
}

export interface ShardOwner {
  readonly incarnation: string;
  /** Raised by one at each change of the owner. */
  readonly epoch: number;
}

/**
 * Where shards are, as far as this node knows. For shards of others that is a hint; for its own it is the truth as long as it may
 * answer, because a living member's shard is given away by nobody else.
 */
export interface ShardMap {
  ownerOf(shard: number): ShardOwner | null;
  /** Word from a peer that the shard is elsewhere. Believed where its epoch is higher; where it names this member, the rows are read. */
  hint(shard: number, owner: ShardOwner): void;
  /** Called after shards came, went, or changed hands between others. */
  onMoved(listener: (shards: readonly number[]) => void): void;
}

/** What the actor system needs of membership to give shards away (`handoff.ts`). */
export interface GivingMembership extends Membership {
  /** The row of each shard names `to` now, one epoch higher: this member no longer owns them. */
  gave(shards: readonly number[], to: string): void;
}

/** The membership of a process that is alone in its world (tests, benches, the simulator's smallest case). */
export function soleMember(nodeId = 'node-1', incarnation = 'inc-1'): Membership {
  return {
    incarnation,
    nodeId,
    owns: () => true,
    epoch: () => 1,
    mayAnswer: () => true,
    writes: (_type, newest) => newest,
  };
}
