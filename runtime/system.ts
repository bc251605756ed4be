/**
 * The actor system's public face: ask an actor, watch commits, start and drain. (Interfaces first; the implementation
 * is `createActorSystem`.)
 */
import type { ActorRef, AnyActorType, EffectHandler, KeyRef, Responder } from './actor.ts';
import type { Clock } from './clock.ts';
import type { Journal, ProjectionRow } from './journal.ts';
import type { Membership } from './members.ts';

export interface AskOptions {
  /** Under this key the answer is recorded and repeated. */
  readonly key?: KeyRef | undefined;
  /** How long the caller waits for a decision and its commit. Default `limits.askTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** True: the answer is what the type's responder renders; false (default): the actor's bare reply. */
  readonly render?: boolean;
  /** The id was made just now by this process and cannot have a history: skip loading. */
  readonly fresh?: boolean;
}

export interface ActorSystem {
  /** Resolves with the reply (or the rendered value) once everything it rests on is durable. Rejects with a `Fault`. */
  ask(ref: ActorRef, command: unknown, options?: AskOptions): Promise<unknown>;
  /** Rows of the read side, right after their commit, in order per key. */
  onProjection(listener: (row: ProjectionRow) => void): void;
  start(): Promise<void>;
  /** Refuses new commands with `draining`, waits until all accepted ones are answered and all lanes are empty. */
  drain(timeoutMs: number): Promise<void>;
  readonly stats: Readonly<Record<string, number>>;
}

export interface ActorSystemOptions {
  readonly types: readonly AnyActorType[];
  readonly journal: Journal;
  readonly clock: Clock;
  readonly membership: Membership;
  // biome-ignore lint/suspicious/noExplicitAny: responders of many types, each used only with its own
  readonly responders?: Readonly<Record<string, Responder<any, any>>>;
  readonly handlers?: Readonly<Record<string, EffectHandler>>;
  /** Told of what an operator should know (quarantine, failed batches, fencing); must not throw. */
  readonly report?: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}
