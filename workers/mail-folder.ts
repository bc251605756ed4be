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
  /** Ends what is being written; its callers, and those who wait, hear that it is not known to be there. */
  close(): void;
}

/** Its slowest mail ends a batch. */
const BATCH_MAX = 32;
const IDLE_MS = 30_000;

/** @param from the shop's address */
export function openMailFolder(directory: string, from: string): MailFolder {
  const threads = new Piscina<MailBatch, readonly (string | null)[]>({
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
  let closed = false;
  const send = grouped<Mail, string | null>(BATCH_MAX, async (mails) => {
    // The pool would start a thread anew for what waited while it was ended.
    if (closed) throw new Error('the mail folder is closed');
    return await threads.run({ directory, from, mails });
  });
  return {
    async write(mail) {
      const error = await send(mail);
      if (error !== null) throw new Error(`a mail cannot be written: ${error}`);
    },
    close() {
      closed = true;
      threads.destroy().catch(() => undefined);
    },
  };
}
