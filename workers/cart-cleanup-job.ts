/**
 * Clean-up. A cart that ended by itself leaves an outbox row, and this job has its history removed; recorded answers that are
 * past their life go by the clock. Both are done by statements that the composition root hands in, and both may be repeated:
 * removing what is gone is no error.
 */
import { Fault } from '../runtime/fault.ts';
import type { JobKind } from './queues.ts';

export interface CartCleanupOptions {
  /**
   * Removes the cart's history and closes the outbox row in the same transaction: with its history gone there is no actor
   * left whose append could close it.
   */
  removeCart(cartId: string, outboxId: string): Promise<void>;
}

export interface AnswerCleanupOptions {
  /** Removes answers past their life, at most `limit`. @returns how many it removed */
  removeOldAnswers(limit: number): Promise<number>;
  /** Default 60,000 ms. */
  readonly everyMs?: number;
}

const answersPerStatement = 1_000;
/** Bounds one run; what is left waits for the next turn of the clock. */
const statementsPerRun = 50;

export function cartCleanupJob({ removeCart }: CartCleanupOptions): JobKind {
  return {
    concurrency: 2,
    async run({ cartId }, outboxId) {
      if (typeof cartId !== 'string' || cartId === '') {
        throw new Fault('rejected', 'the job names no cart', { retryable: false });
      }
      await removeCart(cartId, outboxId);
    },
  };
}

export function answerCleanupJob({ removeOldAnswers, everyMs = 60_000 }: AnswerCleanupOptions): JobKind {
  return {
    everyMs,
    concurrency: 1,
    async run() {
      for (let statement = 0; statement < statementsPerRun; statement += 1) {
        if ((await removeOldAnswers(answersPerStatement)) < answersPerStatement) return;
      }
    },
  };
}
