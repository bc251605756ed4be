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
  /** What of the nodes' limits are times. */
  readonly limits: Partial<Limits>;
}

export function drawTempo(random: Random): Tempo {
  const slow = random.chance(0.05);
  const [lengthMs, leaseMs, holdTtlMs, orderGivesUpMs, askTimeoutMs] = slow
    ? [random.int(3_000, 8_000), 2_000, 6_000, 8_000, 4_000]
    : [
        random.int(600, 1_600),
        random.int(400, 900),
        random.int(500, 2_500),
        random.int(1_000, 3_000),
        random.int(600, 1_500),
      ];
  const answerMarginMs = slow ? 1_000 : 300;
  const patienceMs = 1.2 * (askTimeoutMs + answerMarginMs) + 500;
  const limits = slow
    ? {}
    : { answerMarginMs, effectWakeMs: random.int(500, 2_000), effectAttemptMs: random.int(2_000, 6_000) };
  return { lengthMs, leaseMs, holdTtlMs, orderGivesUpMs, askTimeoutMs, patienceMs, limits };
}
