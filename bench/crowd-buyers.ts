/**
 * The buyers of a crowd, in a process of their own: all are connected and wait for one word, then each asks for one unit and, if it got it, checks out.
 * Where there are more buyers than connections may be open, the next buyer takes the first connection that is free. Who is told to come again (503), or whose
 * connection breaks, asks the same again under the same key, as a good client does.
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
  /** Calls that were repeated. */
  readonly retries: number;
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
const CONNECTIONS_MAX = 100_000;
const RETRY_MS = 250;
const TRIES_MAX = 20;

/** @param ready told when all are connected; the crowd starts when it resolves */
export async function crowd(job: CrowdJob, ready: () => Promise<void>): Promise<CrowdResult> {
  const histogram = new Histogram();
  const others: Record<string, number> = {};
  let confirmed = 0;
  let refused = 0;
  let calls = 0;
  let retries = 0;
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
    request: string;
    tries: number;
    sentAt: number;
  }
  const send = (place: Place) => {
    place.tries++;
    // A server closes what has been idle for long: who waited too long connects again.
    if (place.connection !== null) {
      place.sentAt = performance.now();
      place.connection.send(place.request);
    } else
      connect(place).then(
        () => {
          place.sentAt = performance.now();
          place.connection?.send(place.request);
        },
        () => again(place, 'not connected', RETRY_MS),
      );
  };
  const again = (place: Place, why: string, afterMs: number) => {
    if (place.tries >= TRIES_MAX) {
      end(`${place.step} ${why}`);
      nextAt(place);
      return;
    }
    retries++;
    setTimeout(() => send(place), afterMs * (1 + Math.random()));
  };
  const ask = (place: Place, step: 'line' | 'checkout', path: string, body: object) => {
    place.step = step;
    place.tries = 0;
    const headers = `Authorization: Bearer ${place.buyer?.token}\r\nIdempotency-Key: ${randomUUID()}\r\n`;
    place.request = request('POST', `/v1/carts/${place.buyer?.id}/${path}`, headers, body);
    send(place);
  };
  const nextAt = (place: Place) => {
    place.buyer = job.buyers[nextBuyer++];
    if (place.buyer === undefined) place.connection?.close();
    else ask(place, 'line', 'lines', { sku: job.sku, quantity: 1 });
  };
  const answered = (place: Place, status: number, body: () => string) => {
    calls++;
    histogram.record((performance.now() - place.sentAt) * 1000);
    const code = status === 409 ? String(JSON.parse(body()).code) : '';
    // The first try of a call that broke off may still be at work.
    if (status === 503 || status === 429 || code.endsWith('_in_progress')) {
      again(place, String(status), RETRY_MS);
      return;
    }
    if (place.step === 'line' && status === 200) {
      ask(place, 'checkout', 'checkout', {
        email: 'shopper@example.com',
        shippingAddress: ADDRESS,
        expectedTotal: JSON.parse(body()).totals.total,
        payment: { method: 'card', token: 'tok_ok' },
      });
      return;
    }
    if (place.step === 'checkout' && status === 201) {
      confirmed++;
      end(null);
      soldOutMs = overMs;
    } else if (code === 'out_of_stock') {
      refused++;
      end(null);
    } else end(`${place.step} ${status} ${code}`.trim());
    nextAt(place);
  };

  let connections = 0;
  const connect = (place: Place): Promise<void> =>
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
            if (open && place.buyer !== undefined) again(place, why, 0);
            reject(new Error(`a buyer could not connect: ${why}`));
          },
        },
        `127.0.0.${2 + Math.floor((connections++ % CONNECTIONS_MAX) / PER_ADDRESS)}`,
      );
    });
  const count = Math.min(job.connections, job.buyers.length);
  const places = Array.from(
    { length: count },
    (): Place => ({ connection: null, buyer: undefined, step: 'line', request: '', tries: 0, sentAt: 0 }),
  );
  for (let at = 0; at < count; at += CONNECTING_AT_ONCE)
    await Promise.all(places.slice(at, at + CONNECTING_AT_ONCE).map((place) => connect(place)));
  await ready();
  const cpuBefore = process.cpuUsage();
  started = performance.now();
  for (const place of places) nextAt(place);
  await over;
  const cpu = process.cpuUsage(cpuBefore);
  return {
    confirmed,
    refused,
    retries,
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
