/**
 * The thread's side of `mail-folder.ts`: composes mails and writes each into a file of its own. It calls the file system in step, since it has nothing
 * else to do. A crash leaves of each mail the old file, the new one, or none; never a part of one.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import MailComposer from 'nodemailer/lib/mail-composer';
import { mailEnvelope } from './mail-envelope.ts';
import type { Mail } from './mailer.ts';

export interface MailBatch {
  /** Made where it is absent. */
  readonly directory: string;
  readonly from: string;
  readonly mails: readonly Mail[];
}

// Streams that nodemailer reads make an error each time they end. Nobody looks at its trace, which takes a tenth of a mail.
Error.stackTraceLimit = 0;

interface Draft {
  readonly path: string;
  readonly file: number;
}

/** @returns for each mail null, or why it is not there; names are durable too where this returns */
export default async function writeMails({ directory, from, mails }: MailBatch): Promise<readonly (string | null)[]> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const drafts: (Draft | Error)[] = [];
  // All are written before the first is flushed: what that one waits for in the file system's journal is there for the others as well.
  for (const mail of mails) {
    try {
      drafts.push(writeDraft(directory, mail.name, await compose(mail, from)));
    } catch (error) {
      drafts.push(asError(error));
    }
  }
  const outcomes = drafts.map((draft, index) => {
    if (draft instanceof Error) return draft.message;
    const error = publish(draft, join(directory, `${mails[index]?.name}.eml`));
    return error === null ? null : error.message;
  });
  const folder = openSync(directory, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  return outcomes;
}

function compose(mail: Mail, from: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const message = new MailComposer({ ...mailEnvelope(mail, from), newline: 'unix' }).compile();
    message.build((error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });
}

function writeDraft(directory: string, name: string, bytes: Buffer): Draft {
  const path = join(directory, `.${name}.${randomBytes(6).toString('hex')}`);
  const file = openSync(path, 'wx', 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    return { path, file };
  } catch (error) {
    closeSync(file);
    rmSync(path, { force: true });
    throw error;
  }
}

function publish({ path, file }: Draft, to: string): Error | null {
  try {
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(path, to);
    return null;
  } catch (error) {
    rmSync(path, { force: true });
    return asError(error);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
