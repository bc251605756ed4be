/**
 * A fault: something that kept a command from being decided or answered, as against a refusal, which is a value that an
 * actor returns. `retryable` says whether the same call may succeed later.
 *
 * A fault says that the command took no effect and will take none, with three exceptions, where only asking again (under
 * the same key) tells: `outcome_unknown`; `shard_unavailable`, since a node that may not answer any more does not say
 * what became of a write either; and `pricing_unavailable` of a command without a key, which is answered beside its commit.
 * No fault leaves part of a command in effect.
 */
export type FaultCode =
  | 'overloaded' // a bounded queue was full
  | 'deadline_exceeded' // the command was not decided before its deadline
  | 'shard_unavailable' // this node may not answer for the shard now
  | 'moved' // another member has the shard: told to a peer, which asks there; never to a caller
  | 'database_unavailable' // the journal cannot be reached
  | 'outcome_unknown' // the write may or may not be durable
  | 'pricing_unavailable' // the answer could not be computed; under a key nothing was written then
  | 'rejected' // the journal refused this command's data for good
  | 'quarantined' // the actor's stored history cannot be read
  | 'idempotency_full' // the actor keeps as many keys as it may
  | 'idempotency_key_reused' // same key, other request
  | 'idempotency_in_progress' // same key, first call still at work
  | 'draining' // the node is going away
  | 'effect_failed' // an effect handler could not get a definite outcome yet
  | 'internal';

export interface FaultOptions {
  readonly retryable?: boolean;
  readonly cause?: unknown;
  /** Hint for `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number;
}

export class Fault extends Error {
  readonly code: FaultCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: FaultCode, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Fault';
    this.code = code;
    this.retryable = options.retryable ?? true;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A broken invariant of our own: the actor stops, the process tells, nothing is written. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Fault('internal', `invariant broken: ${message}`, { retryable: false });
}
