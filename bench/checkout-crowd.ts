/**
 * An open loop of whole checkouts: buyers arrive at a rate, whatever has become of those before them, and each opens a cart, puts one thing in
 * and checks out, on a connection of its own that is used again. Who is refused anywhere goes home. In a process of its own (`fork`), as a
 * crowd would be; requests are written as bytes, so that the crowd takes as little as it can of the cores that it shares with the shop.
 */

import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { post } from './http-request.ts';
import { ADDRESS, TEXAS } from './shopper.ts';

export interface OpenLoopJob {
  readonly port: number;
  readonly skus: readonly string[];
  /** Buyers a second; null: as many as `width` can be, one after the other (a closed loop). */
  readonly perSecond: number | null;
  /** Buyers at a time, at most: more than that are turned away before the shop has seen them. */
  readonly width: number;
  readonly durationMs: number;
}

export interface OpenLoopResult {
  readonly offered: number;
  /** Orders confirmed (201), by the second in which the answer came. */
  readonly confirmedBySecond: readonly number[];
  /** How buyers ended: `201`, the first other status they met, `closed`, `turned away`. */
  readonly ends: Readonly<Record<string, number>>;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
}

/** How long a buyer waits for any one answer. */
const PATIENCE_MS = 15_000;

interface Parsed {
  readonly status: number;
  readonly text: string;
}

/** One keep-alive connection; a request at a time. */
class Line {
  readonly #port: number;
  #socket: Socket | null = null;
  #received = '';
  #waiting: ((answer: Parsed | null) => void) | null = null;

  constructor(port: number) {
    this.#port = port;
  }

  /** Null: it was cut, or nothing came in time. */
  ask(request: string): Promise<Parsed | null> {
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#end(), PATIENCE_MS);
      this.#waiting = (answer) => {
        clearTimeout(late);
        this.#waiting = null;
        resolve(answer);
      };
      this.#open().write(request);
    });
  }

  #open(): Socket {
    if (this.#socket !== null) return this.#socket;
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#parse();
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      if (this.#socket === socket) this.#end();
    });
    return socket;
  }

  #parse(): void {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.#received.slice(0, end);
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#received.length < end + 4 + length) return;
    const text = this.#received.slice(end + 4, end + 4 + length);
    this.#received = '';
    this.#waiting?.({ status: Number(head.slice(9, 12)), text });
  }

  #end(): void {
    this.#socket?.destroy();
    this.#socket = null;
    this.#received = '';
    this.#waiting?.(null);
  }
}

/** Runs a job in this process. */
export async function openLoop(job: OpenLoopJob): Promise<OpenLoopResult> {
  const { port, skus, perSecond, width, durationMs } = job;
  const idle = Array.from({ length: width }, () => new Line(port));
  const confirmedBySecond: number[] = [];
  const ends: Record<string, number> = {};
  const latencies: number[] = [];
  let offered = 0;
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  const end = (how: string) => {
    ends[how] = (ends[how] ?? 0) + 1;
  };
  const buyer = async (line: Line): Promise<void> => {
    const arrived = elapsed();
    const how = await buy(line, skus[offered % skus.length] ?? '');
    end(how);
    if (how !== '201') return;
    const second = Math.floor(elapsed() / 1000);
    confirmedBySecond[second] = (confirmedBySecond[second] ?? 0) + 1;
    latencies.push(elapsed() - arrived);
  };
  const open: Promise<void>[] = [];
  if (perSecond === null) {
    const lines = idle.splice(0);
    open.push(
      ...lines.map(async (line) => {
        while (elapsed() < durationMs) {
          offered++;
          await buyer(line);
        }
      }),
    );
  } else {
    const under = new Set<Promise<void>>();
    while (elapsed() < durationMs) {
      for (const due = (elapsed() * perSecond) / 1000; offered < due; ) {
        offered++;
        const line = idle.pop();
        if (line === undefined) {
          end('turned away');
          continue;
        }
        const one: Promise<void> = buyer(line).finally(() => {
          idle.push(line);
          under.delete(one);
        });
        under.add(one);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    open.push(...under);
  }
  await Promise.all(open);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  const { user, system } = process.cpuUsage();
  const seconds = Math.ceil(durationMs / 1000);
  return {
    offered,
    confirmedBySecond: Array.from({ length: seconds }, (_, second) => confirmedBySecond[second] ?? 0),
    ends,
    medianMs: at(0.5),
    p99Ms: at(0.99),
    cpuMs: (user + system) / 1000,
  };
}

async function buy(line: Line, sku: string): Promise<string> {
  const created = await line.ask(post('/v1/carts', { currency: 'USD', destination: TEXAS }));
  if (created?.status !== 201) return endOf(created, 'cart');
  const { cart, token } = JSON.parse(created.text);
  const handle = { id: cart.id, token, total: null };
  const added = await line.ask(post(`/v1/carts/${cart.id}/lines`, { sku, quantity: 1 }, handle));
  if (added?.status !== 200) return endOf(added, 'line');
  const body = {
    email: 'crowd@example.com',
    shippingAddress: ADDRESS,
    expectedTotal: JSON.parse(added.text).totals.total,
    payment: { method: 'card', token: 'tok_ok' },
  };
  const request = post(`/v1/carts/${cart.id}/checkout`, body, handle);
  const ordered = await line.ask(request.replace('\r\n', `\r\nIdempotency-Key: ${randomUUID()}\r\n`));
  return ordered?.status === 201 ? '201' : endOf(ordered, 'checkout');
}

function endOf(answer: Parsed | null, step: string): string {
  return answer === null ? 'closed' : `${answer.status} ${step}`;
}

/** Runs a job in a process of its own. */
export function crowd(job: OpenLoopJob): Promise<OpenLoopResult> {
  const child = fork(fileURLToPath(import.meta.url), ['crowd'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as OpenLoopResult));
    child.once('exit', (code) => reject(new Error(`the crowd ended with ${code}`)));
    child.send(job);
  });
}

if (process.send && process.argv[2] === 'crowd') {
  process.once('message', (job: OpenLoopJob) => {
    openLoop(job).then(
      (result) => process.send?.(result, () => process.exit(0)),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}
