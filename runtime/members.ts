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
  /** The version in which events of the type are to be written: the newest that every live member reads, and at most `newest`; 0: one does not know the type. */
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
  /** Word from a peer that the shard is elsewhere: where its epoch is higher it is believed of others' shards, until the rows are read, which it causes. */
  hint(shard: number, owner: ShardOwner): void;
  /** Called after shards came, went, or changed hands between others. */
  onMoved(listener: (shards: readonly number[]) => void): void;
}

/** A shard, and the epoch under which it was had when it was given. */
export interface GivenShard {
  readonly shard: number;
  readonly epoch: number;
}

/** What the actor system needs of membership to give shards away (`handoff.ts`). */
export interface GivingMembership extends Membership {
  /**
   * The row of each shard named `to`, one epoch higher than given here, when the gift had committed. By now it may say more: the rows may
   * have been read before this is called, and `to` may have given the shard on, even back. So what is known under a higher epoch stays.
   */
  gave(shards: readonly GivenShard[], to: string): void;
}

/**
 * A member's life. `joining` → `alive` → `leaving` → `left`, or from any of the first three `dead`, by another's takeover. The
 * first three live: they renew, and nobody takes what is theirs. Only an `alive` one is given shards.
 */
export type MemberState = 'joining' | 'alive' | 'leaving' | 'left' | 'dead';

/** A living member as this one last saw it, itself included. */
export interface MemberSeen {
  readonly incarnation: string;
  readonly nodeId: string;
  readonly state: 'joining' | 'alive' | 'leaving';
  /** Its share of the shards is in proportion to it. */
  readonly weight: number;
  /** Has a bus to the others. */
  readonly bus: boolean;
  readonly leaseMs: number;
  readonly renewals: number;
  /** How long this member has watched it without a renewal. */
  readonly quietMs: number;
  readonly shards: number;
  /** What it publishes about itself. */
  readonly status: Readonly<Record<string, unknown>>;
}

/** Shards that this member has and `to` should have. */
export interface Surplus {
  /** An incarnation. */
  readonly to: string;
  readonly shards: readonly number[];
}

/** One member of several, seen from its own process: who it is, what it has, and what moves shards between members. */
export interface ClusterMembership extends GivingMembership, ShardMap {
  /** Acknowledged renewals so far. */
  readonly renewals: number;
  /** Called once, when this member finds that another has taken over from it; at once where that is known already. */
  onFenced(listener: () => void): void;
  /** The living members, in the order of their node ids. From memory, at most one look old. */
  members(): readonly MemberSeen[];
  /**
   * At most `limit` shards to give away now, none where all is as it should be. Of a leaving member that is everything that somebody
   * can take. Only members that renew are named. From memory.
   */
  surplus(limit: number): readonly Surplus[];
  /** Reads the rows, with a reading that begins after the call. For news, *moved* answers and tests; it reads by itself every 250 ms. */
  look(): Promise<void>;
  /** After this member has changed rows that others should look at (took over, claimed, gave, serves, is leaving, has left): tell them. */
  onChange(listener: () => void): void;
  /** For a member that joined with `ready: false`, when its actors can be asked: `joining` → `alive`. Claims and is given shards from now on. */
  beginServing(): Promise<void>;
  /** `alive` → `leaving`: is given nothing more. What it has, it keeps until it gives it away. */
  beginLeaving(): Promise<void>;
  /** Gives up the fences, after the last append: what it still has is claimed by others. Stops renewing even where it rejects. */
  leave(): Promise<void>;
  /** Called once, when an operator has asked this member to leave (`requestDrain` in `schema/members.ts`); at once where that is known already. */
  onDrainRequested(listener: () => void): void;
  /** What other members and operators see of this one (hand-offs, lag), JSON of at most 4 KiB; written about once a second where it changed. */
  publish(status: Readonly<Record<string, unknown>>): void;
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
