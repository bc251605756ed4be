/**
 * A closed-loop HTTP load generator in a process of its own: each connection has one request under way, always. Requests are
 * ready-made bytes; the answer is read only as far as its status and length, so that the generator costs as little as it can on
 * the cores that it shares with the server. It reports its own CPU time, so that a run in which it was the limit can be told.
 */

import { connect, type Socket } from 'node:net';
import { createHistogram } from 'node:perf_hooks';

export interface GeneratorJob {
  readonly port: number;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Whole HTTP/1.1 requests; each connection takes them in an order of its own. */
  readonly requests: readonly string[];
}

export interface GeneratorResult {
  /** Answers with a 2xx status in the measured time, and how long that was. */
  readonly ok: number;
  readonly elapsedMs: number;
  readonly perSecond: number;
  /** Every answer that was no 2xx, and every broken connection, by name; the warm-up's too. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latencyUs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
  readonly generatorCpuMs: number;
  /** 2xx answers for each request in the order of `requests`, the warm-up's too. */
  readonly acknowledged: readonly number[];
}

/** Runs a job in this process. */
export async function generate(job: GeneratorJob): Promise<GeneratorResult> {
  const requests = job.requests.map((text) => Buffer.from(text));
  const acknowledged = new Array<number>(requests.length).fill(0);
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
      // A step that shares no factor with the length visits every request before it repeats one.
      let at = Math.floor((index * requests.length) / job.connections) % requests.length;
      let sentAt = 0;
      let pending: Buffer | null = null;
      const socket: Socket = connect({ host: '127.0.0.1', port: job.port, noDelay: true });
      const send = () => {
        at = (at + 1) % requests.length;
        sentAt = performance.now();
        socket.write(requests[at] ?? '');
      };
      socket.once('connect', send);
      socket.on('data', (chunk: Buffer) => {
        const data: Buffer = pending === null ? chunk : Buffer.concat([pending, chunk]);
        const headEnd = data.indexOf('\r\n\r\n');
        if (headEnd === -1) {
          pending = data;
          return;
        }
        const head = data.toString('latin1', 0, headEnd);
        const length = /content-length: *(\d+)/i.exec(head)?.[1];
        if (data.length < headEnd + 4 + Number(length ?? 0)) {
          pending = data;
          return;
        }
        pending = null;
        const status = head.slice(9, 12);
        if (status.charCodeAt(0) === 50) {
          acknowledged[at] = (acknowledged[at] ?? 0) + 1;
          if (measuring) {
            ok++;
            histogram.record(Math.max(1, Math.round((performance.now() - sentAt) * 1000)));
          }
        } else fail(status);
        if (running) send();
        else socket.end();
      });
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
    acknowledged,
  };
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
