/**
 * An HTTP load generator in a process of its own. Closed loop: each connection has one request under way, always; it finds the capacity. Open loop:
 * requests are due at a fixed rate whatever the server does, and a latency counts from when its request was due, so that waiting is not hidden.
 * It reports its own CPU, and how late it was itself, so that a run in which it was the limit can be told.
 */
import { createHistogram, performance } from 'node:perf_hooks';
import { Fifo } from '../runtime/fifo.ts';
import { type Counts, Histogram } from './histogram.ts';
import { HttpConnection } from './http-connection.ts';
import { type Script, type Walker, walkerOf } from './journeys.ts';
import { machineBusyMs } from './machine.ts';
import { arrivals, type Pace, sharedNowMs, startPacer } from './pacer.ts';

/** A server, and what is asked of it: a list of whole requests, or another script. */
export interface Door {
  readonly port: number;
  readonly requests?: readonly string[];
  readonly script?: Script;
}

export interface GeneratorJob {
  /** Connections are dealt out over them in turn. */
  readonly doors: readonly Door[];
  readonly connections: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Open loop at this rate, over all connections; a request for which none is free waits. Default: closed loop. */
  readonly pace?: Pace;
}

export interface OperationResult {
  readonly ok: number;
  readonly counts: Counts;
}

export interface GeneratorResult {
  /** Answers with a 2xx status in the measured time, and how long that was. */
  readonly ok: number;
  readonly elapsedMs: number;
  readonly perSecond: number;
  /** The same over the whole run, warm-up and last answers too. */
  readonly okInAll: number;
  /** Orders finished in the measured time, and in all. */
  readonly orders: number;
  readonly ordersInAll: number;
  /** Every answer that was no 2xx, and every broken connection, by name; the warm-up's too. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latencyUs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
  /** Latencies of all, in microseconds, and by the call's name. */
  readonly counts: Counts;
  readonly operations: Readonly<Record<string, OperationResult>>;
  /** Of an open loop: how long after its time a request was taken up by the generator, 99th percentile. */
  readonly lateP99Us: number | null;
  /** In the measured time, and from the job's beginning to the last answer. */
  readonly generatorCpuMs: number;
  readonly wholeCpuMs: number;
  /** Nothing is left of the job in this process. */
  readonly clean: boolean;
  /** Of the whole machine in the measured time. */
  readonly machineBusyMs: number;
  /** 2xx answers for each door's requests in their order, the warm-up's too. */
  readonly acknowledged: readonly (readonly number[])[];
}

interface Shopper {
  readonly connection: HttpConnection;
  readonly walker: Walker;
  /** When the request under way was due; NaN between requests. */
  dueAt: number;
}

const LAST_ANSWERS_MS = 10_000;

/** Runs a job in this process. */
export async function generate(job: GeneratorJob): Promise<GeneratorResult> {
  const doors = job.doors.map(({ port, requests, script }) => ({
    port,
    script: script ?? { kind: 'requests' as const, requests: requests ?? [] },
    acknowledged: new Array<number>(requests?.length ?? 0).fill(0),
  }));
  const cpuAtFirst = process.cpuUsage();
  const failures: Record<string, number> = {};
  const histogram = new Histogram();
  const operations = new Map<string, Histogram>();
  const late = new Histogram();
  // The largest latency is told exactly: of a histogram's buckets only the middle is known.
  const exact = createHistogram();
  const free: Shopper[] = [];
  const due = new Fifo<number>();
  let measuring = false;
  let running = true;
  let open = 0;
  let okInAll = 0;
  let allEnded: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    allEnded = resolve;
  });

  const fail = (name: string) => {
    failures[name] = (failures[name] ?? 0) + 1;
  };
  const leave = (shopper: Shopper) => {
    shopper.connection.close();
    if (--open === 0) allEnded();
  };
  const begin = (shopper: Shopper, dueAt: number) => {
    const request = shopper.walker.next();
    if (request === null) return leave(shopper);
    shopper.dueAt = dueAt;
    shopper.connection.send(request);
  };
  const onward = (shopper: Shopper) => {
    if (!running) leave(shopper);
    else if (job.pace === undefined) begin(shopper, performance.now());
    else {
      const next = due.shift();
      if (next === undefined) free.push(shopper);
      else begin(shopper, next);
    }
  };
  const answered = (shopper: Shopper, status: number, answer: Buffer, bodyAt: number) => {
    const { walker, dueAt } = shopper;
    const { operation } = walker;
    shopper.dueAt = Number.NaN;
    const failure = walker.answered(
      status,
      () => answer.toString('utf8', bodyAt),
      () => answer.toString('latin1', 0, bodyAt),
    );
    if (failure !== null) fail(failure);
    else okInAll++;
    if (failure === null && measuring) {
      const latencyUs = (performance.now() - dueAt) * 1000;
      histogram.record(latencyUs);
      exact.record(Math.max(1, Math.round(latencyUs)));
      let own = operations.get(operation);
      if (own === undefined) {
        own = new Histogram();
        operations.set(operation, own);
      }
      own.record(latencyUs);
    }
    onward(shopper);
  };

  const shoppers = Array.from({ length: job.connections }, (_, index): Shopper => {
    const door = doors[index % doors.length];
    if (door === undefined) throw new Error('a job names no door');
    open++;
    const shopper: Shopper = {
      walker: walkerOf(door.script, index, job.connections, door.acknowledged),
      dueAt: Number.NaN,
      connection: new HttpConnection(door.port, {
        connected: () => onward(shopper),
        answered: (status, answer, bodyAt) => answered(shopper, status, answer, bodyAt),
        broken: (why) => {
          if (running) fail(why);
          if (--open === 0) allEnded();
        },
      }),
    };
    return shopper;
  });
  const endPacer = job.pace === undefined ? null : pacing(job.pace, { free, due, begin, late, isOn: () => measuring });

  await wait(job.warmUpMs);
  const ordersSoFar = () => shoppers.reduce((sum, { walker }) => sum + walker.completed, 0);
  const ordersBefore = ordersSoFar();
  const cpuBefore = process.cpuUsage();
  const busyBefore = machineBusyMs();
  const started = performance.now();
  measuring = true;
  // A script that has an end may come to it before.
  await Promise.race([ended, wait(job.durationMs)]);
  measuring = false;
  const elapsedMs = performance.now() - started;
  const cpu = process.cpuUsage(cpuBefore);
  const busyMs = machineBusyMs() - busyBefore;
  const orders = ordersSoFar() - ordersBefore;
  running = false;
  await endPacer?.();
  if (due.length > 0) failures['not sent'] = due.length;
  for (const shopper of free.splice(0)) leave(shopper);
  await Promise.race([ended, wait(LAST_ANSWERS_MS)]);
  if (open > 0) failures['no answer'] = open;
  const whole = process.cpuUsage(cpuAtFirst);
  return {
    ok: histogram.count,
    elapsedMs,
    perSecond: (histogram.count * 1000) / elapsedMs,
    okInAll,
    orders,
    ordersInAll: ordersSoFar(),
    failures,
    latencyUs: {
      p50: Math.round(histogram.percentile(50)),
      p90: Math.round(histogram.percentile(90)),
      p99: Math.round(histogram.percentile(99)),
      max: exact.max,
    },
    counts: histogram.counts(),
    operations: Object.fromEntries(
      [...operations].map(([name, own]) => [name, { ok: own.count, counts: own.counts() }]),
    ),
    lateP99Us: job.pace === undefined ? null : Math.round(late.percentile(99)),
    generatorCpuMs: (cpu.user + cpu.system) / 1000,
    wholeCpuMs: (whole.user + whole.system) / 1000,
    clean: open === 0,
    machineBusyMs: busyMs,
    acknowledged: doors.map((door) => door.acknowledged),
  };
}

interface Pacing {
  readonly free: Shopper[];
  readonly due: Fifo<number>;
  readonly begin: (shopper: Shopper, dueAt: number) => void;
  readonly late: Histogram;
  readonly isOn: () => boolean;
}

/** Takes up what is due at each waking. @returns ends it */
function pacing(pace: Pace, { free, due, begin, late, isOn }: Pacing): () => Promise<void> {
  // Two clocks of different origins: the threads share one, latencies are on the other.
  const startMs = sharedNowMs() + 50;
  const start = performance.now() + 50;
  const schedule = arrivals(pace);
  let next = start + schedule.next().value;
  return startPacer(pace, startMs, () => {
    const now = performance.now();
    for (; next <= now; next = start + schedule.next().value) {
      if (isOn()) late.record((now - next) * 1000);
      const shopper = free.pop();
      if (shopper === undefined) due.push(next);
      else begin(shopper, next);
    }
  });
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (process.send && process.argv[2] === 'generate') {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (job: GeneratorJob) => {
    generate(job).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}
