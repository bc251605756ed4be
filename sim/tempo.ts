/**
 * How fast one history goes, drawn by its seed: how long clients form new intentions, and the times by which members, holds, orders and clients wait.
 * Most histories are short and hurried, so that a lease that ends, a hold that expires and an order that gives up fit into two
 * seconds; a few go by the times of a real shop.
 */
import type { Limits } from '../runtime/limits.ts';
import type { Random } from './random.ts';

export interface Tempo {
  /** Clients form new intentions and faults begin for so long. */
  readonly lengthMs: number;
  readonly leaseMs: number;
  readonly holdTtlMs: number;
  /** An order without a definite charge gives up after this. */
  readonly orderGivesUpMs: number;
  /** The deadline that clients name. */
  readonly askTimeoutMs: number;
  /** How long they listen: longer than a node takes to answer, if it answers at all. */
  readonly patienceMs: number;
  /** Everybody pauses so many times as long between two things that he does. */
  readonly idleness: number;
  /** What of the nodes' limits are times. */
  readonly limits: Partial<Limits>;
}

/** From this length on a history goes by the times of a quiet shop. */
const QUIET_FROM_MS = 600_000;

/** @param lengthMs instead of a drawn one */
export function drawTempo(random: Random, lengthMs?: number): Tempo {
  if (lengthMs !== undefined && lengthMs >= QUIET_FROM_MS) return quiet(lengthMs);
  const slow = random.chance(0.02);
  const [drawnMs, leaseMs, holdTtlMs, orderGivesUpMs, askTimeoutMs] = slow
    ? [random.int(3_000, 8_000), 2_000, 6_000, 8_000, 4_000]
    : [
        random.int(650, 1_250),
        random.int(400, 900),
        random.int(500, 2_500),
        random.int(1_000, 3_000),
        random.int(600, 1_500),
      ];
  const answerMarginMs = slow ? 1_000 : 300;
  const limits = slow
    ? {}
    : {
        answerMarginMs,
        renderTimeoutMs: random.int(500, 1_500),
        effectWakeMs: random.int(500, 2_000),
        effectAttemptMs: random.int(2_000, 6_000),
      };
  const patienceMs = 1.2 * (askTimeoutMs + answerMarginMs) + 500;
  const shared = { leaseMs, holdTtlMs, orderGivesUpMs, askTimeoutMs, patienceMs, limits };
  return { lengthMs: lengthMs ?? drawnMs, idleness: 1, ...shared };
}

/** A few thousand calls in all, and nodes that look around seldom: a day of them takes less than a minute. */
function quiet(lengthMs: number): Tempo {
  return {
    lengthMs,
    leaseMs: 20_000,
    holdTtlMs: 600_000,
    orderGivesUpMs: 60_000,
    askTimeoutMs: 4_000,
    patienceMs: 7_000,
    idleness: lengthMs / 10_000,
    limits: { tickMs: 1_000, timerSweepMs: 5_000 },
  };
}
