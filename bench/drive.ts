/**
 * One measured run of a closed load against one or several servers, from generators in processes of their own: what was served, how fast,
 * and what servers, generators and everybody else took of the machine's cores meanwhile. Used in turn (A B A B …) by the benches.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Door, GeneratorJob, GeneratorResult } from './generator.ts';
import { cpuSince, cpuTable, machineBusyMs, median } from './machine.ts';
import type { CartHandle } from './shopper.ts';

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

/** Median over the rounds of one target's rate ÷ another's in the same round. */
export function ratio(perRound: readonly (readonly number[])[], over: number, under: number): number {
  return median(perRound.map((rates) => (rates[over] ?? Number.NaN) / (rates[under] ?? Number.NaN)));
}

export async function drive(target: Target, connections: number, durationMs: number): Promise<Run> {
  const generator = fork(fileURLToPath(new URL('./generator.js', import.meta.url)), ['generate'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const before = cpuTable(target.pids());
  const groups = Object.entries(target.groups ?? {});
  const groupsBefore = groups.map(([, pids]) => cpuTable(pids()));
  const busyBefore = machineBusyMs();
  const started = performance.now();
  const warmUpMs = Math.min(1000, durationMs / 4);
  const job: GeneratorJob = { doors: target.doors, connections, warmUpMs, durationMs };
  const result = await new Promise<GeneratorResult>((resolve, reject) => {
    generator.once('message', (message) => resolve(message as GeneratorResult));
    generator.once('exit', (code) => reject(new Error(`the generator ended with ${code}`)));
    generator.send(job);
  });
  const serverMs = cpuSince(before, cpuTable(target.pids()));
  const groupsMs = groups.map(([, pids], index) => cpuSince(groupsBefore[index] ?? new Map(), cpuTable(pids())));
  const wallMs = performance.now() - started;
  const machineMs = wallMs * availableParallelism();
  const othersMs = machineBusyMs() - busyBefore - serverMs - result.wholeCpuMs;
  target.onAcknowledged?.(result.acknowledged);
  const served = Math.max(
    1,
    result.acknowledged.flat().reduce((sum, n) => sum + n, 0),
  );
  return {
    ...result,
    wallMs,
    served,
    serverCpuUsPerRequest: (serverMs * 1000) / served,
    groupCpuUsPerRequest: Object.fromEntries(
      groups.map(([name], index) => [name, ((groupsMs[index] ?? 0) * 1000) / served]),
    ),
    generatorCpuUsPerRequest: (result.generatorCpuMs * 1000) / Math.max(1, result.ok),
    generatorShare: result.generatorCpuMs / result.elapsedMs,
    othersShare: Math.max(0, othersMs / machineMs),
  };
}

export function post(path: string, body: object, cart?: CartHandle): string {
  const data = JSON.stringify(body);
  const authorization = cart === undefined ? '' : `Authorization: Bearer ${cart.token}\r\n`;
  return `POST ${path} HTTP/1.1\r\nHost: bench\r\n${authorization}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(data)}\r\n\r\n${data}`;
}

export const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`;

/** From this share of a core on the generator is called the limit. */
export const GENERATOR_LIMITED = 0.9;
