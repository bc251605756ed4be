/**
 * Sends mail: over SMTP, or, where no server is named, into a folder of `.eml` files that any mail program opens. A mail has a
 * name of its own, so that a repeat after a crash is the same mail: the same Message-ID, and in the folder the same file.
 */
import { createTransport } from 'nodemailer';
import { Fault } from '../runtime/fault.ts';
import { mailEnvelope } from './mail-envelope.ts';
import { openMailFolder } from './mail-folder.ts';

export interface Mail {
  /** Names this mail for ever: letters, digits, `_`, `-`. */
  readonly name: string;
  readonly to: { readonly name: string; readonly address: string };
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** Milliseconds since the epoch. */
  readonly date: number;
}

export interface Mailer {
  /**
   * Resolves once the mail is on disk or the server has taken it.
   * @throws Fault `rejected`, not retryable, where the server refuses this mail for good; any other error: try again
   */
  send(mail: Mail): Promise<void>;
  close(): void;
}

export interface MailerOptions {
  /** `smtp://user:password@host:port` or `smtps://…`; absent: files. */
  readonly smtpUrl?: string | undefined;
  /** Where files go; made at the first mail. */
  readonly directory: string;
  /** The shop's address; its domain also ends the Message-IDs. Default `orders@stampede.localhost`. */
  readonly from?: string;
}

export function openMailer(options: MailerOptions): Mailer {
  const from = options.from ?? 'orders@stampede.localhost';
  return options.smtpUrl === undefined ? folderMailer(options.directory, from) : smtpMailer(options.smtpUrl, from);
}

function folderMailer(directory: string, from: string): Mailer {
  const folder = openMailFolder(directory, from);
  return {
    async send(mail) {
      checkName(mail);
      await folder.write(mail);
    },
    close: () => folder.close(),
  };
}

function smtpMailer(url: string, from: string): Mailer {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: 4,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 20_000,
  });
  return {
    async send(mail) {
      checkName(mail);
      try {
        await transport.sendMail(mailEnvelope(mail, from));
      } catch (error) {
        if (isRefusal(error))
          throw new Fault('rejected', 'the mail server refuses the mail', { retryable: false, cause: error });
        throw error;
      }
    },
    close: () => transport.close(),
  };
}

/** It becomes a file's name and a part of a header. */
function checkName({ name }: Mail): void {
  if (!/^[\w-]{1,200}$/.test(name)) throw new Fault('rejected', 'a mail with a bad name', { retryable: false });
}

/** A 5xx to the envelope or the message (RFC 5321, 4.2.1): the same mail will be refused again. Not so a failed log-in. */
function isRefusal(error: unknown): boolean {
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
  const aboutTheMail = code === 'EENVELOPE' || code === 'EMESSAGE';
  return aboutTheMail && typeof responseCode === 'number' && responseCode >= 500;
}
