/**
 * How the shop's process uses its heap.
 *
 * `NODE_FLAGS`: every request's objects live until its batch has committed, some 10 ms under load. In the young generation's usual
 * semi-space of 16 MiB many were still waiting at each of its collections, and were copied; four times that took a durable add from
 * 45 to 36 µs of the process's time, and a hold from 71 to 61 (256 connections, Node 20, 2 cores). It can only be said before the heap
 * is made: `npm start`, the command's first line and whoever starts a node as a child process say it.
 *
 * `boundHeapGrowth`: how far the heap may grow between two full collections. Left to itself V8 lets a small heap grow to three times what lives in
 * it: with 50,000 carts in memory (54 MiB), 200,000 touched took resident memory from 147 to 258 MiB, and it stays there. With a
 * half it was flat at 180 MiB, for 3 to 5 % more processor time; a quarter saved 20 MiB more. (Measured on Node 20, 2 cores.)
 */
import { setFlagsFromString } from 'node:v8';

/** What a node is started with. */
export const NODE_FLAGS: readonly string[] = ['--enable-source-maps', '--max-semi-space-size=64'];

const GROWTH_PERCENT = 50;

/** For the whole process; takes effect with the next full collection. */
export function boundHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
