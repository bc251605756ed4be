/**
 * A loop that always does the same work, timed before and after each pair of runs: how steady the machine was meanwhile. Where it got slower by
 * a tenth, so may have what was measured between. Integer arithmetic in a chain, no memory: it tells the core's speed and what others took of it.
 */
const STEPS = 20_000_000;

/** Nanoseconds a step. Takes about 30 ms. */
export function calibrate(steps = STEPS): number {
  const started = performance.now();
  let x = 123_456_789;
  for (let i = 0; i < steps; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  const elapsedMs = performance.now() - started;
  // Never true; it keeps the loop from being optimised away.
  if (x === 0) throw new Error('the generator of numbers got stuck');
  return (elapsedMs * 1e6) / steps;
}
