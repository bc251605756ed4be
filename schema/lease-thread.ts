/**
 * The thread that renews a member's lease, so that a main loop that is merely busy loses nothing. It renews only while the main loop's
 * heartbeat moves, once for each beat: a loop that hangs must not be kept alive by a thread that does not. Started by `lease.ts`, which says in
 * `workerData` what to renew; it loads the driver and nothing else of ours but the statement.
 *
 * Shared with the main thread: the count of its heartbeats, and the deadline, in nanoseconds of the monotonic clock that all
 * threads of a process share (`process.hrtime`). By message come the database's clock, failures, and that the member is fenced.
 */
import { parentPort, workerData } from 'node:worker_threads';
import pg from 'pg';
import { HEARTBEAT, type LeaseMessage, type LeaseWork, RENEWED_AT } from './lease-shared.ts';
import { renew } from './renewal.ts';

const work = workerData as LeaseWork;
const shared = new BigInt64Array(work.shared);
const say = (message: LeaseMessage): void => parentPort?.postMessage(message);

let client: pg.Client | null = null;
let lastBeat = work.beat;

function after(delayMs: number): void {
  setTimeout(() => void turn(), delayMs);
}

async function turn(): Promise<void> {
  const beat = Atomics.load(shared, HEARTBEAT);
  if (beat === lastBeat) {
    after(work.pollMs);
    return;
  }
  try {
    const connection = await connected();
    const sentAt = process.hrtime.bigint();
    const databaseMs = await renew(connection, work.incarnation);
    const answeredAt = process.hrtime.bigint();
    if (databaseMs === null) {
      say({ kind: 'fenced' });
      await connection.end();
      return;
    }
    lastBeat = beat;
    Atomics.store(shared, RENEWED_AT, sentAt);
    say({ kind: 'renewed', databaseMs, sentAt, answeredAt });
    after(work.pollMs);
  } catch (error) {
    disconnect();
    say({ kind: 'failed', error: error instanceof Error ? error.message : String(error) });
    after(work.retryMs);
  }
}

async function connected(): Promise<pg.Client> {
  if (client !== null) return client;
  const made = new pg.Client(work.connection);
  const lost = (): void => {
    if (client === made) client = null;
  };
  made.on('error', lost);
  made.on('end', lost);
  await made.connect();
  client = made;
  return made;
}

/** Nothing waits for a polite end: the server may be the one that does not answer. */
function disconnect(): void {
  const lost = client;
  client = null;
  lost?.end().catch(() => {});
}

/** It connects before there is anything to renew; where that fails, the first turn tries again and tells. */
async function begin(): Promise<void> {
  await connected().catch(() => {});
  await turn();
}

// Not awaited here: a thread that is ended while its module waits takes the whole process with it (V8 of Node 20: a failed check in `ExecuteAsyncModule`).
void begin();
