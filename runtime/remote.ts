/**
 * The seam between the actor system of a node and the other members: calls whose shard is another's are handed over as they are,
 * deadline and caller included, so that an edge, an actor's message and a job all use `ask` without knowing where an actor lives.
 * Implemented by `router.ts`.
 */
import type { ActorRef, KeyRef } from './actor.ts';
import type { Fault } from './fault.ts';
import type { PeerCall } from './system.ts';

export interface Remote {
  /** Takes the call over; exactly one of its three ends is called later, at the latest at its deadline and a margin. Must not throw. */
  forward(call: ForwardedCall): void;
}

export interface ForwardedCall {
  readonly ref: ActorRef;
  readonly shard: number;
  readonly command: unknown;
  readonly key: KeyRef | undefined;
  /** True: the answer is what the type's responder renders at the owner. */
  readonly render: boolean;
  /** On this node's monotonic clock. */
  readonly deadline: number;
  /**
   * Deciding it twice does no harm: it has a key, is a message between actors (the command's business key makes it one effect), or only
   * reads. Others may be sent a second time only where the first certainly was not decided, or to the same incarnation under the same id.
   */
  readonly repeatable: boolean;
  /** The owner's answer. */
  resolve(value: unknown): void;
  reject(fault: Fault): void;
  /** The shard has become this member's own: the call is to be decided here. `begun`: it may have been decided elsewhere before. */
  home(begun?: boolean): void;
}

/** Decides a call for another member: `serve` of the actor system. */
export type Serve = (call: PeerCall) => Promise<unknown>;

/**
 * Something other than a command that has to happen where an actor's shard is owned, by name (the removal of an ended cart's history
 * under the owner's fence). Safe to repeat: it may run twice, even on two members.
 */
export type Service = (ref: ActorRef, input: unknown) => Promise<unknown>;
