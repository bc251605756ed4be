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
}

/** The membership of a process that is alone in its world (tests, benches, the simulator's smallest case). */
export function soleMember(nodeId = 'node-1', incarnation = 'inc-1'): Membership {
  return { incarnation, nodeId, owns: () => true, epoch: () => 1, mayAnswer: () => true };
}
