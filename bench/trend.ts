/**
 * Whether a row of samples rises. The slope is Theil and Sen's: the median of the slopes between all pairs of samples, which a few wild ones
 * (a collection that is due, a fault that was just injected) do not move, up to 29 % of them.
 */

/** A sample: when, in minutes, and what was measured. */
export type Point = readonly [minutes: number, value: number];

/** Pairs grow with the square of the samples: more than this many are thinned out first. */
const POINTS_MAX = 600;

/** Units of the value per minute; NaN for fewer than two points. */
export function slopeOf(points: readonly Point[]): number {
  const step = Math.ceil(points.length / POINTS_MAX);
  const some = step > 1 ? points.filter((_, index) => index % step === 0) : points;
  const slopes: number[] = [];
  for (const [index, [later, high]] of some.entries())
    for (const [earlier, low] of some.slice(0, index))
      if (later > earlier) slopes.push((high - low) / (later - earlier));
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  const upper = slopes[middle] ?? Number.NaN;
  return slopes.length % 2 === 1 ? upper : ((slopes[middle - 1] ?? Number.NaN) + upper) / 2;
}
