/** What a bench ran on, and what CPU a set of processes has used: the figures beside every figure. */
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

export function machine(): string {
  const cores = cpus();
  return `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, ${process.platform}`;
}

/** CPU time of each of these processes so far, user and system, in milliseconds (Linux: /proc, in ticks of 10 ms). */
export function cpuTable(pids: readonly number[]): ReadonlyMap<number, number> {
  const table = new Map<number, number>();
  for (const pid of pids) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      table.set(pid, (Number(fields[11]) + Number(fields[12])) * 10);
    } catch {
      // The process has ended; what it used is no longer told.
    }
  }
  return table;
}

/** What the processes of `after` have used since `before`; one that began in between counts whole. */
export function cpuSince(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const [pid, ms] of after) sum += ms - (before.get(pid) ?? 0);
  return sum;
}

export function cpuMs(pids: readonly number[]): number {
  return cpuSince(new Map(), cpuTable(pids));
}

/** CPU time of the whole machine so far that was not idle, over all cores, in milliseconds (Linux: /proc). */
export function machineBusyMs(): number {
  // user nice system idle iowait irq softirq steal
  const fields =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/).slice(1, 9).map(Number) ?? [];
  return fields.reduce((sum, ticks, index) => (index === 3 || index === 4 ? sum : sum + ticks), 0) * 10;
}

/** Resident memory of one process in bytes. */
export function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}

/** How many files a process may have open; what it starts inherits that. */
export function openFilesMax(): number {
  const match = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return match === null ? Number.POSITIVE_INFINITY : Number(match[1]);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}
