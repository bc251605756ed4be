/**
 * A start beside a PostgreSQL that is there but busy (in recovery, out of connections, slower than our time-outs) is made again instead of
 * ending the process: who starts it after an outage would otherwise meet the outage's end. Whatever else goes wrong ends it at once.
 *
 * Each attempt is a whole start, and one that fails has closed what it opened: a start may be cut off anywhere, so it may be repeated.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isBusy } from '../schema/busy.ts';

export interface PatienceOptions {
  readonly log: { warn(detail: object, message: string): void };
  /** No attempt begins later than this after the first one. Default 30,000. */
  readonly forMs?: number;
  /** Default 500. */
  readonly pauseMs?: number;
  /** False: nobody waits for it any more. */
  readonly wanted?: () => boolean;
}

/** Rejects with the last attempt's error. */
export async function patiently<T>(attempt: () => Promise<T>, options: PatienceOptions): Promise<T> {
  const { log, forMs = 30_000, pauseMs = 500, wanted = () => true } = options;
  const end = performance.now() + forMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() + pauseMs > end || !wanted()) throw error;
      log.warn({ error: String(error) }, 'the database is busy: this start is tried again');
    }
    await pause(pauseMs);
  }
}
