/**
 * What the actor system counts: plain numbers, added to on the hot path and read by whoever exposes them. Sums of time
 * are in microseconds; together they tell where a command's time goes (decide, encode, wait for the lane, commit).
 */
import type { FaultCode } from './fault.ts';

export const FAULT_CODES: readonly FaultCode[] = [
  'overloaded',
  'deadline_exceeded',
  'shard_unavailable',
  'moved',
  'database_unavailable',
  'outcome_unknown',
  'pricing_unavailable',
  'rejected',
  'quarantined',
  'idempotency_full',
  'idempotency_key_reused',
  'idempotency_in_progress',
  'draining',
  'effect_failed',
  'internal',
];

type FaultCounts = Record<`fault_${FaultCode}`, number>;

function createFaultCounts(): FaultCounts {
  return Object.fromEntries(FAULT_CODES.map((code) => [`fault_${code}`, 0])) as FaultCounts;
}

export function createStats() {
  return {
    /** Commands given to `decide`. */
    turns: 0,
    events: 0,
    batches: 0,
    rows: 0,
    entries: 0,
    batchesRefused: 0,
    batchesUnknown: 0,
    batchesVoid: 0,
    batchesUnavailable: 0,
    activations: 0,
    fresh: 0,
    passivations: 0,
    evictions: 0,
    /** Events applied while loading. */
    replays: 0,
    snapshots: 0,
    recorded: 0,
    replayedAnswers: 0,
    deferred: 0,
    parked: 0,
    effectsIssued: 0,
    effectsRetried: 0,
    effectsDropped: 0,
    wakes: 0,
    carried: 0,
    consulted: 0,
    /** Commands from outside, and those of them that another member has decided. */
    asks: 0,
    asksForwarded: 0,
    /** Commands handed to other members, and taken from them. */
    forwarded: 0,
    served: 0,
    /** Shards given to other members; those that stayed although they were to go. */
    shardsGiven: 0,
    shardsKept: 0,
    timerRows: 0,
    decideUs: 0,
    encodeUs: 0,
    laneWaitUs: 0,
    commitUs: 0,
    /** Gauges, set when the stats are read. */
    actorsInMemory: 0,
    commandsOpen: 0,
    laneQueue: 0,
    /** Lanes with a write on its way, or one whose outcome is not known yet. */
    lanesBusy: 0,
    loadsWaiting: 0,
    effectsOpen: 0,
    quarantined: 0,
    /** Commands that wait for a hand-over to end. */
    handoffWaiting: 0,
    ...createFaultCounts(),
  };
}

export type Stats = ReturnType<typeof createStats>;
