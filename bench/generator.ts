/**
 * A closed-loop HTTP load generator in a process of its own: each connection has one request under way, always. Requests are
 * ready-made bytes; the answer is read only as far as its status and length, so that the generator costs as little as it can on
 * the cores that it shares with the server. It reports its own CPU time, so that a run in which it was the limit can be told.
 */

import { connect, type Socket } from 'node:net';
import { createHistogram, performance } from 'node:perf_hooks';

/** A server, and what is asked of it: whole HTTP/1.1 requests, which each connection takes in an order of its own. */
export interface Door {
  readonly port: number;
  readonly requests: readonly string[];
}

export interface GeneratorJob {
  /** Connections are dealt out over them in turn. */
  readonly doors: readonly Door[];
  readonly connections: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
}

export interface GeneratorResult {
  /** Answers with a 2xx status in the measured time, and how long that was. */
  readonly ok: number;
  readonly elapsedMs: number;
  readonly perSecond: number;
  /** Every answer that was no 2xx, and every broken connection, by name; the warm-up's too. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latencyUs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
  /** In the measured time, and from the process's start to the last answer. */
  readonly generatorCpuMs: number;
  readonly wholeCpuMs: number;
  /** 2xx answers for each door's requests in their order, the warm-up's too. */
  readonly acknowledged: readonly (readonly number[])[];
}

const READ_BYTES = 16 * 1024;

/** Runs a job in this process. */
export async function generate(job: GeneratorJob): Promise<GeneratorResult> {
  const doors = job.doors.map(({ port, requests }) => ({
    port,
    requests: requests.map((text) => Buffer.from(text)),
    acknowledged: new Array<number>(requests.length).fill(0),
  }));
  const failures: Record<string, number> = {};
  const histogram = createHistogram();
  let measuring = false;
  let running = true;
  let ok = 0;
  const fail = (name: string) => {
    failures[name] = (failures[name] ?? 0) + 1;
  };

  const drive = (index: number): Promise<void> =>
    new Promise((resolve) => {
      const door = doors[index % doors.length];
      if (door === undefined) throw new Error('a job names no door');
      const { port, requests, acknowledged } = door;
      // Connections start far apart and walk in step, so that no two ask for the same thing at one time.
      let at = Math.floor((index * requests.length) / job.connections);
      let sentAt = 0;
      let pending: Buffer | null = null;
      const take = (data: Buffer) => {
        const whole = pending === null ? data : Buffer.concat([pending, data]);
        const status = statusOfWhole(whole);
        if (status === null) {
          pending = Buffer.from(whole);
          return;
        }
        pending = null;
        if (status.startsWith('2')) {
          acknowledged[at] = (acknowledged[at] ?? 0) + 1;
          if (measuring) {
            ok++;
            histogram.record(Math.max(1, Math.round((performance.now() - sentAt) * 1000)));
          }
        } else fail(status);
        if (running) send();
        else socket.end();
      };
      const readInto = Buffer.allocUnsafe(READ_BYTES);
      const socket: Socket = connect({
        host: '127.0.0.1',
        port,
        noDelay: true,
        // One buffer for each connection: a new one for each answer took a quarter of the generator's time.
        onread: {
          buffer: readInto,
          callback: (bytes) => {
            take(readInto.subarray(0, bytes));
            return true;
          },
        },
      });
      const send = () => {
        at = (at + 1) % requests.length;
        sentAt = performance.now();
        socket.write(requests[at] ?? '');
      };
      socket.once('connect', send);
      socket.once('error', () => fail('connection'));
      socket.once('close', () => {
        if (running) fail('closed');
        resolve();
      });
    });

  const all = Promise.all(Array.from({ length: job.connections }, (_, index) => drive(index)));
  await wait(job.warmUpMs);
  measuring = true;
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  await wait(job.durationMs);
  measuring = false;
  const elapsedMs = performance.now() - started;
  const cpu = process.cpuUsage(cpuBefore);
  running = false;
  await Promise.race([all, wait(10_000)]);
  const whole = process.cpuUsage();
  return {
    ok,
    elapsedMs,
    perSecond: (ok * 1000) / elapsedMs,
    failures,
    latencyUs: {
      p50: histogram.percentile(50),
      p90: histogram.percentile(90),
      p99: histogram.percentile(99),
      max: histogram.max,
    },
    generatorCpuMs: (cpu.user + cpu.system) / 1000,
    wholeCpuMs: (whole.user + whole.system) / 1000,
    acknowledged: doors.map((door) => door.acknowledged),
  };
}

/** The status of an answer that is there to its last byte, or null. */
function statusOfWhole(data: Buffer): string | null {
  const headEnd = data.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const head = data.toString('latin1', 0, headEnd);
  const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  return data.length < headEnd + 4 + length ? null : head.slice(9, 12);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (process.send && process.argv[2] === 'generate') {
  process.once('message', (job: GeneratorJob) => {
    generate(job).then(
      (result) => process.send?.(result, () => process.exit(0)),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}
