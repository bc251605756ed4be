/** One object for each place that carts were priced for lately: a crowd's carts go to few, and each would keep one of its own. */
import type { Destination } from '../workers/quote.ts';

/** Past it all are forgotten. */
const PLACES_MAX = 10_000;

const places = new Map<string, Destination>();

/** The same place, perhaps as the object that others have. */
export function sharedDestination<D extends Destination | null>(destination: D): D | Destination {
  if (destination === null) return destination;
  const { country, region, postalCode } = destination;
  const key = `${country}/${region}/${postalCode}`;
  const there = places.get(key);
  if (there?.country === country && there.region === region && there.postalCode === postalCode) return there;
  if (places.size >= PLACES_MAX) places.clear();
  places.set(key, destination);
  return destination;
}
