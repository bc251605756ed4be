/**
 * The buyers of a crowd, in a process of their own: all are connected and wait for one word, then each asks for one unit and, if it got it, checks out.
 * Where there are more buyers than connections may be open, the next buyer takes the first connection that is free.
 */
import { randomUUID } from 'node:crypto';
import { type Counts, Histogram } from './histogram.ts';
import { HttpConnection } from './http-connection.ts';
import { request } from './http-request.ts';
import { ADDRESS } from './shopper.ts';

export interface CrowdJob {
  readonly port: number;
  readonly sku: string;
  readonly buyers: readonly { readonly id: string; readonly token: string }[];
  readonly connections: number;
}

export interface CrowdResult {
  /** Buyers who were told that their order is confirmed. */
  readonly confirmed: number;
  /** Buyers who were told that there is none left. */
  readonly refused: number;
  /** Every other end, by status or by what broke. */
  readonly others: Readonly<Record<string, number>>;
  /** From the word until the last confirmation, and until the last answer. */
  readonly soldOutMs: number;
  readonly overMs: number;
  /** Of each answer, in microseconds. */
  readonly counts: Counts;
  readonly calls: number;
  readonly cpuMs: number;
}

const CONNECTING_AT_ONCE = 500;
/** The kernel has some 28,000 ports for each address to connect from. */
const PER_ADDRESS = 10_000;

/** @param ready told when all are connected; the crowd starts when it resolves */
export async function crowd(job: CrowdJob, ready: () => Promise<void>): Promise<CrowdResult> {
  const histogram = new Histogram();
  const others: Record<string, number> = {};
  let confirmed = 0;
  let refused = 0;
  let calls = 0;
  let soldOutMs = 0;
  let overMs = 0;
  let started = 0;
  let nextBuyer = 0;
  let left = job.buyers.length;
  let allOver: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    allOver = resolve;
  });
  const end = (how: string | null) => {
    if (how !== null) others[how] = (others[how] ?? 0) + 1;
    overMs = performance.now() - started;
    if (--left === 0) allOver();
  };

  interface Place {
    connection: HttpConnection | null;
    buyer: (typeof job.buyers)[number] | undefined;
    step: 'line' | 'checkout';
    sentAt: number;
  }
  const send = (place: Place, bytes: string) => {
    place.sentAt = performance.now();
    place.connection?.send(bytes);
  };
  const nextAt = (place: Place) => {
    const buyer = job.buyers[nextBuyer++];
    place.buyer = buyer;
    place.step = 'line';
    if (buyer === undefined) {
      place.connection?.close();
      return;
    }
    const ask = () => {
      const authorization = `Authorization: Bearer ${buyer.token}\r\n`;
      send(place, request('POST', `/v1/carts/${buyer.id}/lines`, authorization, { sku: job.sku, quantity: 1 }));
    };
    // A server closes what has been idle for long: who waited too long connects again.
    if (place.connection !== null) ask();
    else connect(place, nextBuyer).then(ask, () => end('not connected'));
  };
  const answered = (place: Place, status: number, body: () => string) => {
    calls++;
    histogram.record((performance.now() - place.sentAt) * 1000);
    const { buyer } = place;
    if (buyer !== undefined && place.step === 'line' && status === 200) {
      place.step = 'checkout';
      const headers = `Authorization: Bearer ${buyer.token}\r\nIdempotency-Key: ${randomUUID()}\r\n`;
      const order = {
        email: 'shopper@example.com',
        shippingAddress: ADDRESS,
        expectedTotal: JSON.parse(body()).totals.total,
        payment: { method: 'card', token: 'tok_ok' },
      };
      send(place, request('POST', `/v1/carts/${buyer.id}/checkout`, headers, order));
      return;
    }
    if (place.step === 'checkout' && status === 201) {
      confirmed++;
      end(null);
      soldOutMs = overMs;
    } else if (status === 409 && JSON.parse(body()).code === 'out_of_stock') {
      refused++;
      end(null);
    } else end(`${place.step} ${status}`);
    nextAt(place);
  };

  const connect = (place: Place, index: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const connection = new HttpConnection(
        job.port,
        {
          connected: () => {
            place.connection = connection;
            resolve();
          },
          answered: (status, answer, bodyAt) => answered(place, status, () => answer.toString('utf8', bodyAt)),
          broken: (why) => {
            const open = place.connection !== null;
            place.connection = null;
            if (open && place.buyer !== undefined) {
              end(why);
              nextAt(place);
            }
            reject(new Error(`a buyer could not connect: ${why}`));
          },
        },
        `127.0.0.${2 + Math.floor(index / PER_ADDRESS)}`,
      );
    });
  const count = Math.min(job.connections, job.buyers.length);
  const places = Array.from(
    { length: count },
    (): Place => ({ connection: null, buyer: undefined, step: 'line', sentAt: 0 }),
  );
  for (let at = 0; at < count; at += CONNECTING_AT_ONCE)
    await Promise.all(places.slice(at, at + CONNECTING_AT_ONCE).map((place, i) => connect(place, at + i)));
  await ready();
  const cpuBefore = process.cpuUsage();
  started = performance.now();
  for (const place of places) nextAt(place);
  await over;
  const cpu = process.cpuUsage(cpuBefore);
  return {
    confirmed,
    refused,
    others,
    soldOutMs,
    overMs,
    counts: histogram.counts(),
    calls,
    cpuMs: (cpu.user + cpu.system) / 1000,
  };
}

if (process.send && process.argv[2] === 'crowd') {
  const heard = () => new Promise<unknown>((resolve) => process.once('message', resolve));
  const job = (await heard()) as CrowdJob;
  const result = await crowd(job, async () => {
    const word = heard();
    process.send?.('ready');
    await word;
  });
  process.send(result, () => process.exit(0));
}
