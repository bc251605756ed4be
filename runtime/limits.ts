/**
 * Every bound of the actor system in one place, each with its default beside it. At a bound a caller hears `overloaded`
 * (or the fault named there); what was accepted is still served. Units are in the names; times are milliseconds.
 */
export interface Limits {
  /** How long a caller waits where it names no time of its own. */
  readonly askTimeoutMs: number;
  /** A decided command's caller hears at the latest this long after its deadline (undecided and parked ones at the deadline). */
  readonly answerMarginMs: number;
  /** Period of the one coarse sweep over deadlines, renders, effect attempts, due actors and idle actors. */
  readonly tickMs: number;
  /** Accepted and unanswered commands of callers on this node, wherever they wait. */
  readonly commandsLimit: number;
  /** Undecided commands of one actor. */
  readonly mailboxLimit: number;
  /** Deferred commands of one actor. */
  readonly stashLimit: number;
  /** Turns that one actor may take in a row before the event loop is let in. */
  readonly turnsPerRun: number;

  /** Messages of one decision that are decided in its own batch. */
  readonly carriedAtOnce: number;

  /** Entries that wait for one lane. */
  readonly laneLimit: number;
  /** Rows of one batch (one decision always stays whole, whatever its size). */
  readonly batchRows: number;
  readonly batchBytes: number;
  /** A lane that could not write for this long refuses what would need it with `database_unavailable`. */
  readonly laneAwayMs: number;
  /** The same where a single append has been out for this long without an answer. */
  readonly laneStuckMs: number;
  /** Back-off between tries of a lane that is away. */
  readonly laneRetryMinMs: number;
  readonly laneRetryMaxMs: number;

  /** Commands that wait while the shards that they are for are handed over; those accepted before do not count. */
  readonly handoffLimit: number;
  /** How long a hand-over waits for callers whose outcome only this node can tell: those parked whose command may not be decided twice. */
  readonly handoffLingerMs: number;

  /** Actors loaded by one call of the journal, and such calls at once. */
  readonly loadBatch: number;
  readonly loadCalls: number;
  /** Actors in memory above which the ones unused longest leave. */
  readonly actorsLimit: number;
  /** Actors in memory above which no further one is activated: all of them are busy then. */
  readonly actorsHardLimit: number;
  /** An actor that was not used for this long leaves. */
  readonly idleMs: number;
  /** A snapshot goes along when the tail has outgrown the larger of this and the last snapshot. */
  readonly snapshotBytes: number;
  /** At passivation, a snapshot is written only past this many events since the last one. */
  readonly snapshotEvents: number;

  /** Idempotency keys that one actor keeps, and new ones that it takes in a minute: `idempotency_full`. */
  readonly keysPerActor: number;
  readonly keyedPerMinute: number;
  /** Older keys are forgotten. */
  readonly keyTtlMs: number;
  /** Recently recorded or read answers kept in memory. */
  readonly answerCacheBytes: number;
  /** Recorded answers fetched from the journal at once. */
  readonly answerFetches: number;
  /** A keyed write whose answer is not rendered by then fails with `pricing_unavailable`. */
  readonly renderTimeoutMs: number;

  /** How long an actor whose history could not be read is left alone, and how many such are remembered. */
  readonly quarantineMs: number;
  readonly quarantineLimit: number;

  /** Effects at work at once: for each handler, and sends to other actors. */
  readonly effectsPerHandler: number;
  readonly sendsAtOnce: number;
  /** Effects that wait for a place, for each handler; beyond it an effect is left to the actor's timer. */
  readonly effectQueueLimit: number;
  readonly effectAttemptMs: number;
  readonly effectRetryMinMs: number;
  readonly effectRetryMaxMs: number;
  /** Due time of an actor's stored timer, from the decision that made an effect pending. */
  readonly effectWakeMs: number;

  /** Period of the sweep over stored timers, and rows per sweep. */
  readonly timerSweepMs: number;
  readonly timerSweepLimit: number;
  /** Rows beyond that at most, for those that stay due though their actors were woken. */
  readonly timerStuckLimit: number;
  /** Actors in memory due within the horizon are woken from a heap of at most this many entries; the sweep finds the rest. */
  readonly timerHeapLimit: number;
  readonly timerHorizonMs: number;
  /** An actor that was woken and is still due, or whose row still is, is woken again after this. */
  readonly timerAgainMs: number;
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  askTimeoutMs: 10_000,
  answerMarginMs: 1_000,
  tickMs: 100,
  commandsLimit: 100_000,
  mailboxLimit: 2_000,
  stashLimit: 256,
  turnsPerRun: 512,
  carriedAtOnce: 16,

  laneLimit: 50_000,
  batchRows: 2_048,
  batchBytes: 4 * 1024 * 1024,
  laneAwayMs: 500,
  laneStuckMs: 3_000,
  laneRetryMinMs: 25,
  laneRetryMaxMs: 1_000,

  handoffLimit: 20_000,
  handoffLingerMs: 1_000,

  loadBatch: 256,
  loadCalls: 4,
  actorsLimit: 50_000,
  actorsHardLimit: 200_000,
  idleMs: 300_000,
  snapshotBytes: 64 * 1024,
  snapshotEvents: 20,

  keysPerActor: 2_000,
  keyedPerMinute: 200,
  keyTtlMs: 24 * 3_600_000,
  answerCacheBytes: 16 * 1024 * 1024,
  answerFetches: 64,
  renderTimeoutMs: 5_000,

  quarantineMs: 10_000,
  quarantineLimit: 10_000,

  effectsPerHandler: 256,
  sendsAtOnce: 10_000,
  effectQueueLimit: 100_000,
  effectAttemptMs: 30_000,
  effectRetryMinMs: 100,
  effectRetryMaxMs: 5_000,
  effectWakeMs: 10_000,

  timerSweepMs: 250,
  timerSweepLimit: 500,
  timerStuckLimit: 10_000,
  timerHeapLimit: 100_000,
  timerHorizonMs: 60_000,
  timerAgainMs: 1_000,
});

export function limitsWith(overrides: Partial<Limits> | undefined): Limits {
  return Object.freeze({ ...DEFAULT_LIMITS, ...overrides });
}
