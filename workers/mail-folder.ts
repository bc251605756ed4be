/**
 * Mails as `.eml` files of a folder, composed and written on a thread of their own: of an order's processor time its mail took a third on the node's
 * main thread. Mails that come while others are written share a message to the thread and the flush of the folder. The thread starts with the
 * first mail and ends after half a minute without one.
 */
import { Piscina } from 'piscina';
import { grouped } from '../runtime/grouped.ts';
import type { MailBatch } from './mail-thread.ts';
import type { Mail } from './mailer.ts';

export interface MailFolder {
  /** Resolves once the file is on disk under its name. */
  write(mail: Mail): Promise<void>;
  close(): void;
}

/** Its slowest mail ends a batch. */
const BATCH_MAX = 32;
const IDLE_MS = 30_000;

/** @param from the shop's address */
export function openMailFolder(directory: string, from: string): MailFolder {
  let threads: Piscina<MailBatch, readonly (string | null)[]> | null = null;

  function started(): Piscina<MailBatch, readonly (string | null)[]> {
    if (threads !== null) return threads;
    threads = new Piscina({
      filename: new URL('./mail-thread.js', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: IDLE_MS,
      recordTiming: false,
      // It needs nothing of the environment, and secrets are in it.
      env: {},
    });
    // A thread that fails between two batches is replaced; unheard, the event would end the process.
    threads.on('error', () => undefined);
    return threads;
  }

  const send = grouped<Mail, string | null>(BATCH_MAX, (mails) => started().run({ directory, from, mails }));
  return {
    async write(mail) {
      const error = await send(mail);
      if (error !== null) throw new Error(`a mail cannot be written: ${error}`);
    },
    close() {
      threads?.destroy().catch(() => undefined);
      threads = null;
    },
  };
}
