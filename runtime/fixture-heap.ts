/** For tests of what is kept: memory is weighed after full collections. */
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Bytes of the heap and of buffers outside of it that each of `count` kept things takes.
 * @param make what is kept, its number given; what else it allocates is not counted
 * @param enough no more waiting from here on: what was collected is given back by a thread, a moment later
 */
export async function bytesKept(count: number, enough: number, make: (index: number) => unknown): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = () => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const kept = new Array<unknown>(count).fill(null);
  // Code is compiled and caches of the platform are filled before the first look.
  for (let index = 0; index < Math.min(count, 100); index++) kept[index] = make(index);
  kept.fill(null);
  const before = used();
  for (let index = 0; index < count; index++) kept[index] = make(index);
  let each = (used() - before) / count;
  for (let tries = 0; tries < 50 && each >= enough; tries++) {
    await setTimeout(20);
    each = (used() - before) / count;
  }
  return kept.length === count ? each : Number.NaN;
}
