/**
 * Keeps the tables from growing for ever: events that a snapshot has overtaken long ago, and outbox rows that are closed. In
 * small statements, so that no append waits long; what is left waits for the next turn of the clock.
 */
import type { JobKind } from './queues.ts';

export interface RetentionOptions {
  /** Each removes at most `limit` rows. @returns how many it removed */
  removeColdEvents(limit: number): Promise<number>;
  removeClosedOutbox(limit: number): Promise<number>;
  /** Default 600,000 ms. */
  readonly everyMs?: number;
}

const rowsPerStatement = 1_000;
const statementsPerRun = 50;

export function retentionJob({ removeColdEvents, removeClosedOutbox, everyMs = 600_000 }: RetentionOptions): JobKind {
  return {
    everyMs,
    concurrency: 1,
    async run() {
      for (const remove of [removeColdEvents, removeClosedOutbox])
        for (let statement = 0; statement < statementsPerRun; statement += 1)
          if ((await remove(rowsPerStatement)) < rowsPerStatement) break;
    },
  };
}
