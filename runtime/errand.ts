/** A call on its way to the member that has its shard, and what is known about it so far; who brings it there is `router.ts`. */
import type { ActorRef } from './actor.ts';
import { Fault } from './fault.ts';
import type { ShardOwner } from './members.ts';
import type { Ask, AskEnd } from './peers-calls.ts';
import type { RequestBody } from './peers-protocol.ts';
import { shardOf } from './shard.ts';

/** Who asks its owner for it. */
export interface Asking {
  /** How asking ended. */
  ended(errand: Errand, end: AskEnd): void;
  /** An attempt had no answer: whether to ask this owner again. */
  again(errand: Errand): boolean;
}

/** How a call ends. */
export interface Ends {
  resolve(value: unknown): void;
  reject(fault: Fault): void;
  home(begun: boolean): void;
}

/** A call on its way. */
export class Errand implements Ask {
  readonly ref: ActorRef;
  readonly shard: number;
  readonly body: RequestBody;
  readonly deadline: number;
  readonly repeatable: boolean;
  readonly startedAt: number;
  readonly ends: Ends;
  /** Who was asked last. */
  asked: ShardOwner | null = null;
  hops = 0;
  pauses = 0;
  /** An earlier attempt may have been decided. */
  doubtful = false;
  /** That the owner asked has lost the shard was seen at an attempt's end: the next one is the last. */
  lastAttempt = false;
  /** Monotonic; null before the first wait. */
  waitUntil: number | null = null;
  /** While waiting: when to ask again without any news. */
  againAt = 0;
  readonly #router: Asking;

  constructor(
    router: Asking,
    ref: ActorRef,
    body: RequestBody,
    times: { startedAt: number; deadline: number },
    ends: Ends,
  ) {
    this.#router = router;
    this.ref = ref;
    this.shard = shardOf(ref.type, ref.id);
    this.body = body;
    this.deadline = times.deadline;
    this.startedAt = times.startedAt;
    this.repeatable = body.kind === 'service' || body.repeatable;
    this.ends = ends;
  }

  done(end: AskEnd): void {
    this.#router.ended(this, end);
  }

  again(): boolean {
    return this.#router.again(this);
  }

  /** The fault as its caller may hear it: after a doubtful attempt none that says that nothing was done. */
  told(fault: Fault): Fault {
    return this.doubtful && claimsNoEffect(fault) ? unknownBecause(fault) : fault;
  }
}

/** As the actor system sees it: these say that nothing was done, and a repeat may be. */
function claimsNoEffect(fault: Fault): boolean {
  return fault.retryable && fault.code !== 'outcome_unknown' && fault.code !== 'shard_unavailable';
}

function unknownBecause(cause: Fault): Fault {
  return new Fault('outcome_unknown', 'an earlier attempt had no answer', {
    cause,
    ...(cause.retryAfterMs === undefined ? undefined : { retryAfterMs: cause.retryAfterMs }),
  });
}
