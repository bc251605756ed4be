/**
 * Asking an outside service for something that the shop can also say itself. It relies on the exchange of `payments/` for HTTP, and
 * promises an answer in bounded time: what the service said, where it can be believed, or why not. A service that failed
 * `FAILURES_MAX` times in a row is not asked for `REST_MS`, then once for a try; so a slow one slows down few checkouts.
 */
import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  wrap,
} from 'cockatiel';
import { openExchange, Unreachable, Unreadable } from '../payments/http-exchange.ts';

export interface OutsideOptions {
  /** Where requests are posted: `http` or `https`. */
  readonly url: string;
  /** From sending to the last byte of the answer; default 1,500. */
  readonly timeoutMs?: number;
  /** How long a service that fails is left alone; default 10,000. */
  readonly restMs?: number;
}

/** `invalid`: it answered 200, but not with what can be an answer, be it no JSON. */
export type NotAsked = 'timeout' | 'unavailable' | 'invalid';
export type Asked<Answer> =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly because: NotAsked };

const FAILURES_MAX = 5;
const CALLS_AT_ONCE = 64;

class Failed extends Error {
  readonly because: NotAsked;

  constructor(because: NotAsked, cause: unknown) {
    super(because, { cause });
    this.because = because;
  }
}

/** @returns asks once, with a JSON document; `read` gives null for what cannot be an answer */
export function openOutside({ url, timeoutMs = 1_500, restMs = 10_000 }: OutsideOptions) {
  const exchange = openExchange(CALLS_AT_ONCE);
  const guard = wrap(
    bulkhead(CALLS_AT_ONCE, CALLS_AT_ONCE * 4),
    circuitBreaker(
      handleWhen((error) => error instanceof Failed),
      { halfOpenAfter: restMs, breaker: new ConsecutiveBreaker(FAILURES_MAX) },
    ),
  );

  async function send(body: unknown): Promise<unknown> {
    const answer = await exchange({ method: 'POST', url, timeoutMs, body }).catch((error: unknown) => {
      throw new Failed(reasonOf(error), error);
    });
    if (answer.status !== 200) throw new Failed('unavailable', `status ${answer.status}`);
    return answer.body;
  }

  return async <Answer>(body: unknown, read: (body: unknown) => Answer | null): Promise<Asked<Answer>> => {
    try {
      const answer = await guard.execute(async () => {
        const value = read(await send(body));
        if (value === null) throw new Failed('invalid', 'the answer is not as the protocol says');
        return value;
      });
      return { ok: true, answer };
    } catch (error) {
      if (error instanceof Failed) return { ok: false, because: error.because };
      if (error instanceof BrokenCircuitError || error instanceof BulkheadRejectedError) {
        return { ok: false, because: 'unavailable' };
      }
      throw error;
    }
  };
}

function reasonOf(error: unknown): NotAsked {
  if (error instanceof Unreadable) return error.status === 200 ? 'invalid' : 'unavailable';
  return isLate(error) ? 'timeout' : 'unavailable';
}

/** Cut off for its time, and not because nobody listens there. */
function isLate(error: unknown): boolean {
  if (!(error instanceof Unreachable)) return false;
  return (error.cause as NodeJS.ErrnoException | undefined)?.code === undefined;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number of minor units that money can be. */
export function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
