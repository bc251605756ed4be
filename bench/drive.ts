/**
 * One measured run of a closed load against one or several servers, from generators in processes of their own: what was served, how fast,
 * and what servers, generators and everybody else took of the machine's cores meanwhile. Used in turn (A B A B …) by the benches.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { answerOf } from './child-answer.ts';
import type { Door, GeneratorJob, GeneratorResult } from './generator.ts';
import { cpuSince, cpuTable, machineBusyMs } from './machine.ts';
import type { Pace } from './pacer.ts';

export interface Run extends GeneratorResult {
  readonly serverCpuUsPerRequest: number;
  /** From before the generator started until it had ended, and what was answered 2xx in it: CPU per request is over both. */
  readonly wallMs: number;
  readonly served: number;
  /** The same of each of the target's groups. */
  readonly groupCpuUsPerRequest: Readonly<Record<string, number>>;
  readonly generatorCpuUsPerRequest: number;
  /** Of one core, 0 to 1. */
  readonly generatorShare: number;
  /** Of all cores, 0 to 1: what neither generator nor servers used. */
  readonly othersShare: number;
  /** Of all cores in the measured time, 0 to 1: what nobody used. */
  readonly idleShare: number;
  /** Why this run proves nothing, or null. */
  readonly voided: string | null;
}

export interface Target {
  readonly name: string;
  readonly doors: readonly Door[];
  /** Of all servers. */
  readonly pids: () => readonly number[];
  /** Some of them, whose CPU is told apart. */
  readonly groups?: Readonly<Record<string, () => readonly number[]>>;
  /** Told of each run's acknowledged answers per door and request. */
  readonly onAcknowledged?: (acknowledged: readonly (readonly number[])[]) => void;
}

/**
 * @param pace open loop at this rate; default: closed loop
 * @param warmUpMs what is answered in it counts for nothing; default: a quarter of the measured time, at most a second
 */
export async function drive(
  target: Target,
  connections: number,
  durationMs: number,
  pace?: Pace,
  warmUpMs = Math.min(1000, durationMs / 4),
): Promise<Run> {
  const generator = takeGenerator();
  const before = cpuTable(target.pids());
  const groups = Object.entries(target.groups ?? {});
  const groupsBefore = groups.map(([, pids]) => cpuTable(pids()));
  const busyBefore = machineBusyMs();
  const started = performance.now();
  const job: GeneratorJob = {
    doors: target.doors,
    connections,
    warmUpMs,
    durationMs,
    ...(pace === undefined ? {} : { pace }),
  };
  const result = await answerOf<GeneratorResult>(generator, 'the generator', job);
  const serverMs = cpuSince(before, cpuTable(target.pids()));
  const groupsMs = groups.map(([, pids], index) => cpuSince(groupsBefore[index] ?? new Map(), cpuTable(pids())));
  const wallMs = performance.now() - started;
  const machineMs = wallMs * availableParallelism();
  const othersMs = machineBusyMs() - busyBefore - serverMs - result.wholeCpuMs;
  // One that may still have connections is not used again.
  if (result.clean) giveBack(generator);
  else generator.disconnect();
  target.onAcknowledged?.(result.acknowledged);
  const served = Math.max(1, result.okInAll);
  const generatorShare = result.generatorCpuMs / result.elapsedMs;
  const idleShare = Math.max(0, 1 - result.machineBusyMs / (result.elapsedMs * availableParallelism()));
  return {
    ...result,
    wallMs,
    served,
    serverCpuUsPerRequest: (serverMs * 1000) / served,
    groupCpuUsPerRequest: Object.fromEntries(
      groups.map(([name], index) => [name, ((groupsMs[index] ?? 0) * 1000) / served]),
    ),
    generatorCpuUsPerRequest: (result.generatorCpuMs * 1000) / Math.max(1, result.ok),
    generatorShare,
    othersShare: Math.max(0, othersMs / machineMs),
    idleShare,
    voided: voidedBy(generatorShare, idleShare, result),
  };
}

/** Waits for the next run, its code warm: a new process takes half a second of both cores until it is. */
let idle: ChildProcess | null = null;

function takeGenerator(): ChildProcess {
  const kept = idle;
  idle = null;
  if (kept?.connected !== true)
    return fork(fileURLToPath(new URL('./generator.js', import.meta.url)), ['generate'], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  kept.ref();
  kept.channel?.ref();
  return kept;
}

/** It keeps nobody's process alive, and ends with it. */
function giveBack(generator: ChildProcess): void {
  idle?.disconnect();
  idle = generator;
  generator.unref();
  generator.channel?.unref();
}

/** A run in which the generator was the limit, or did not keep its own times, says nothing about the server. */
function voidedBy(
  generatorShare: number,
  idleShare: number,
  { lateP99Us, latencyUs }: Pick<GeneratorResult, 'lateP99Us' | 'latencyUs'>,
): string | null {
  const idleCores = idleShare * availableParallelism();
  if (generatorShare > GENERATOR_FULL && idleCores > IDLE_CORES)
    return `the generator was at ${Math.round(generatorShare * 100)} % of a core while ${idleCores.toFixed(2)} cores were idle`;
  if (lateP99Us !== null && lateP99Us > Math.max(LATE_US, latencyUs.p99 * LATE_PART))
    return `one request in a hundred was sent more than ${(lateP99Us / 1000).toFixed(1)} ms late`;
  return null;
}

/** From this share of a core on the generator is called the limit. */
export const GENERATOR_LIMITED = 0.9;
/** Above this, with more than so much of a core idle, the run is void. The machine's clock ticks in 10 ms. */
const GENERATOR_FULL = 0.95;
const IDLE_CORES = 0.1;
/**
 * Of the 99th percentile of an open loop. Lateness hides nothing, since latencies count from when a request was due: it makes them longer than they are,
 * by up to a slice of the scheduler (3 ms) where the generator has no core of its own. As a small part of what is told it voids nothing. To let the
 * generator go before the servers, as nice or in real time, was worse: it then preempts them at each answer, and they did not keep up with half of
 * what they can do.
 */
const LATE_US = 2_000;
const LATE_PART = 0.2;
