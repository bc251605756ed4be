/**
 * The shop's side of the sandbox protocol: a `PaymentProvider` over HTTP. Whoever answers at the address is an outside
 * party: an answer counts only where its status, shape, amount, currency and reference are those of the contract.
 *
 * It promises that a call resolves only with a definite outcome. Everything else (a time-out, a 5xx, a redirect, a cut
 * connection, an answer that cannot be believed) throws a `Fault` with code `effect_failed`: the outcome is unknown, and
 * the caller repeats under the same key. It never repeats by itself, since only the caller knows whether it still wants to.
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
import { Fault } from '../runtime/fault.ts';
import { openExchange, type ProviderAnswer, Unreachable, unbelievable } from './http-exchange.ts';
import type {
  AuthoriseOutcome,
  AuthoriseRequest,
  Payment,
  PaymentOutcome,
  PaymentProvider,
  PaymentState,
} from './provider.ts';

export interface SandboxProviderOptions {
  /** Base address, `http://host:port` (a path is kept). */
  readonly url: string;
  /** For one call, from sending to the last byte of the answer. Default 10,000. */
  readonly timeoutMs?: number;
  /** Calls at once; default 64. As many times 16 may wait, then calls fail at once with a retryable fault. */
  readonly concurrency?: number;
}

/** So many calls in a row that met nobody, and calls fail at once for this long. Milliseconds. */
const unreachableLimit = 20;
const circuitOpenMs = 1_000;

export function sandboxProvider(options: SandboxProviderOptions): PaymentProvider {
  const base = options.url.replace(/\/+$/, '');
  const timeoutMs = options.timeoutMs ?? 10_000;
  const concurrency = options.concurrency ?? 64;
  const exchange = openExchange(concurrency);
  const guard = wrap(
    bulkhead(concurrency, concurrency * 16),
    circuitBreaker(
      handleWhen((error) => error instanceof Unreachable),
      { halfOpenAfter: circuitOpenMs, breaker: new ConsecutiveBreaker(unreachableLimit) },
    ),
  );

  async function call(method: 'GET' | 'POST', path: string, body?: unknown, key?: string): Promise<ProviderAnswer> {
    try {
      return await guard.execute(() => exchange({ method, url: `${base}${path}`, timeoutMs, body, key }));
    } catch (error) {
      if (error instanceof Fault) throw error;
      if (error instanceof BrokenCircuitError || error instanceof BulkheadRejectedError) {
        throw new Fault('effect_failed', 'the payment provider is not asked now', {
          cause: error,
          retryAfterMs: circuitOpenMs,
        });
      }
      throw new Fault('effect_failed', 'the call to the payment provider failed', { cause: error });
    }
  }

  async function act(action: 'capture' | 'void' | 'refund', id: string, amount: number | null, key: string) {
    const path = `/v1/payments/${encodeURIComponent(id)}/${action}`;
    const answer = await call('POST', path, amount === null ? {} : { amount }, key);
    return actionOutcome(answer, id, action, amount);
  }

  return {
    name: 'sandbox',
    async authorise(request, key) {
      const body = { ...pick(request), captureMethod: 'manual' };
      return authoriseOutcome(await call('POST', '/v1/payments', body, key), request);
    },
    capture: (id, amount, key) => act('capture', id, amount, key),
    void: (id, key) => act('void', id, null, key),
    refund: (id, amount, key) => act('refund', id, amount, key),
    async listByReference(reference) {
      const { status, body } = await call('GET', `/v1/payments?reference=${encodeURIComponent(reference)}`);
      if (status !== 200) throw unbelievable(`status ${status} to a list`);
      const items = isRecord(body) ? body.items : undefined;
      if (!Array.isArray(items)) throw unbelievable('a list without items');
      return items.map((item) => {
        const payment = paymentOf(item);
        if (payment.reference !== reference) throw unbelievable('a payment of another reference');
        return payment;
      });
    },
  };
}

function pick({ amount, currency, token, reference }: AuthoriseRequest): AuthoriseRequest {
  return { amount, currency, token, reference };
}

function authoriseOutcome({ status, body }: ProviderAnswer, request: AuthoriseRequest): AuthoriseOutcome {
  // 400 is a refusal of the request as such (a token that is none): nothing was done, and no repeat changes that.
  if (status === 402 || status === 400) return { ok: false, code: codeOf(status, body) };
  if (status !== 200) throw unbelievable(`status ${status} to an authorisation`);
  const payment = paymentOf(body);
  if (payment.reference !== request.reference) throw unbelievable('a payment of another reference');
  if (payment.amount !== request.amount) throw unbelievable('another amount than asked for');
  if (payment.currency !== request.currency) throw unbelievable('another currency than asked for');
  return { ok: true, payment };
}

function actionOutcome(
  { status, body }: ProviderAnswer,
  id: string,
  action: 'capture' | 'void' | 'refund',
  amount: number | null,
): PaymentOutcome {
  if (status === 404 || status === 409) return { ok: false, code: codeOf(status, body) };
  if (status !== 200) throw unbelievable(`status ${status} to a ${action}`);
  const payment = paymentOf(body);
  if (payment.id !== id) throw unbelievable('another payment than asked for');
  if (amount !== null && payment.amount < amount) throw unbelievable(`a ${action} of more than was authorised`);
  if (!reached[action].includes(payment.state)) throw unbelievable(`state ${payment.state} after a ${action}`);
  return { ok: true, payment };
}

/** Where a payment may stand once the action is done. A refund of a part leaves it captured; a repeated capture may find it refunded. */
const reached: Readonly<Record<'capture' | 'void' | 'refund', readonly PaymentState[]>> = {
  capture: ['captured', 'refunded'],
  void: ['voided'],
  refund: ['captured', 'refunded'],
};

function paymentOf(value: unknown): Payment {
  if (!isRecord(value)) throw unbelievable('no payment');
  const { id, state, reference, amount, currency } = value;
  if (typeof id !== 'string' || id.length < 1 || id.length > 255) throw unbelievable('a payment without an id');
  if (!isState(state)) throw unbelievable('a payment in an unknown state');
  if (typeof reference !== 'string') throw unbelievable('a payment without a reference');
  if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 0) throw unbelievable('no amount');
  if (typeof currency !== 'string') throw unbelievable('a payment without a currency');
  return { id, state, reference, amount, currency };
}

function codeOf(status: number, body: unknown): string {
  const code = isRecord(body) ? body.code : undefined;
  if (typeof code !== 'string' || !/^[a-z0-9_]{1,64}$/.test(code))
    throw unbelievable(`status ${status} without a code`);
  return code;
}

function isState(value: unknown): value is PaymentState {
  return value === 'authorized' || value === 'captured' || value === 'voided' || value === 'refunded';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
