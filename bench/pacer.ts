/**
 * When the requests of an open loop are due: a Poisson process of a fixed rate, the same for the same seed; and a thread that wakes its owner at
 * those times. A timer of the event loop is up to a millisecond late, as long as what is measured; a thread that sleeps on a futex is late by 0.1 ms, and
 * costs no core as spinning would.
 */
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export interface Pace {
  readonly perSecond: number;
  readonly seed: number;
}

/** Milliseconds on a clock that all threads of a process share. */
export function sharedNowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** Arrival times in milliseconds from the start, without end. */
export function* arrivals({ perSecond, seed }: Pace): Generator<number, never> {
  let state = seed >>> 0;
  let at = 0;
  for (;;) {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    const uniform = ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    at += (-Math.log(1 - uniform) * 1000) / perSecond;
    yield at;
  }
}

/**
 * What is due within so long is woken for together: a waking takes two threads some 30 µs, on cores that the servers have to share. It counts as the
 * generator's lateness, and in each latency.
 */
const TOGETHER_MS = 0.5;

/**
 * Calls `wake` at, or a little after, each time of the schedule; once for several that are due together.
 * @param startMs on the clock of `sharedNowMs`
 * @returns ends the thread
 */
export function startPacer(pace: Pace, startMs: number, wake: () => void): () => Promise<void> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { pace, startMs } });
  worker.on('message', wake);
  return async () => {
    worker.removeAllListeners('message');
    await worker.terminate();
  };
}

if (!isMainThread && workerData !== null && typeof workerData === 'object' && 'pace' in workerData) {
  const { pace, startMs } = workerData as { pace: Pace; startMs: number };
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (const at of arrivals(pace)) {
    const waitMs = startMs + Math.ceil(at / TOGETHER_MS) * TOGETHER_MS - sharedNowMs();
    if (waitMs < 0) continue;
    Atomics.wait(never, 0, 0, waitMs);
    parentPort?.postMessage(0);
  }
}
