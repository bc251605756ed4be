/**
 * Whether PostgreSQL is there but busy: an error that a repeat of the whole work may not meet again. What only a change can help is not
 * among them: an address where nobody listens, a wrong password, a missing database, a full disk.
 *
 * The codes are SQLSTATEs of PostgreSQL's manual, appendix A; the driver's own errors have none and are known by their text.
 */
export class Busy extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Busy';
  }
}

const SQLSTATE_CLASSES = new Set(['08', '40']);
const SQLSTATES = new Set([
  '53300', // too many connections
  '53400', // configuration limit exceeded
  '55P03', // a lock was not to be had
  '57014', // cancelled: the statement took too long
  '57P01', // shut down by an administrator
  '57P02', // shut down by a crash
  '57P03', // starting up, or in recovery
  '57P05', // idle session ended
  '25P03', // idle transaction ended
]);
const ERRNOS = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN']);
const DRIVER_TEXTS = /^(Connection terminated|timeout exceeded when trying to connect|no answer in time)/;
/** Causes of causes are followed so far. */
const DEPTH_MAX = 5;

export function isBusy(error: unknown): boolean {
  let each = error;
  for (let depth = 0; each instanceof Error && depth < DEPTH_MAX; depth++, each = each.cause) {
    if (each instanceof Busy) return true;
    const { code } = each as { code?: unknown };
    if (typeof code === 'string') {
      if (SQLSTATES.has(code) || ERRNOS.has(code) || (code.length === 5 && SQLSTATE_CLASSES.has(code.slice(0, 2)))) {
        return true;
      }
    } else if (DRIVER_TEXTS.test(each.message)) return true;
  }
  return false;
}
