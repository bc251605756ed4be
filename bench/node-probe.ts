/**
 * Loaded into a node before everything else (`node --import`), for what no signal does to it by itself. The node's own code knows nothing of it.
 * - SIGUSR2 ends one of the process's worker threads at random, as a crash of it would, and says which kind it was on standard error;
 * - SIGWINCH collects all garbage and closes the gaps between what is left, so that the heap is as large as what lives in it. Left to itself V8
 *   closes gaps late: with 45 MiB alive the old generation of a node under mixed load went from 53 to 75 MiB in four minutes.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Worker as WorkerType } from 'node:worker_threads';

const threads = createRequire(import.meta.url)('node:worker_threads') as {
  Worker: typeof WorkerType;
  isMainThread: boolean;
};

/** For a node's environment. */
export const PROBE = { NODE_OPTIONS: `--import=${fileURLToPath(import.meta.url)}` };

function watchThreads(): void {
  const living = new Map<WorkerType, 'lease' | 'pricing'>();
  class Watched extends threads.Worker {
    constructor(...args: ConstructorParameters<typeof WorkerType>) {
      super(...args);
      living.set(this, String(args[0]).includes('lease') ? 'lease' : 'pricing');
      this.once('exit', () => living.delete(this));
    }
  }
  threads.Worker = Watched;
  syncBuiltinESMExports();
  process.on('SIGUSR2', () => {
    const all = [...living];
    const [worker, kind] = all[Math.floor(Math.random() * all.length)] ?? [];
    if (worker === undefined) return;
    process.stderr.write(`node-probe: ended a thread of ${kind}\n`);
    void worker.terminate();
  });
}

function collectOnSignal(): void {
  setFlagsFromString('--expose-gc');
  setFlagsFromString('--compact-on-every-full-gc');
  const collect = runInNewContext('gc') as () => void;
  process.on('SIGWINCH', () => collect());
}

// Only in a process that was started with it; whoever asks for `PROBE` is not.
if (threads.isMainThread && process.env.NODE_OPTIONS === PROBE.NODE_OPTIONS) {
  watchThreads();
  collectOnSignal();
}
