/** A mail as nodemailer takes it, for a server and for a file alike. Pure. */
import type { Mail } from './mailer.ts';

export function mailEnvelope(mail: Mail, from: string) {
  return {
    from,
    to: mail.to,
    subject: mail.subject,
    text: mail.text,
    html: mail.html,
    messageId: `<${mail.name}@${from.slice(from.lastIndexOf('@') + 1).replace(/[^\w.-]/g, '')}>`,
    date: new Date(mail.date),
    // Automatic mail: no out-of-office answers to it.
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
