/**
 * The simulated payment provider with its own books, and the order's payment effects at it. A request has its effect once under its key;
 * on the way it, or its answer, may be lost or come very late, so a caller that hears nothing knows nothing: a charge that is not in
 * the books yet may still be made ("not found proves nothing"). What the provider holds for an order is read by the oracles
 * from here, whatever the shop believes.
 *
 * The interface is that of `payments/provider.ts` by shape: this folder may not import that one.
 */
import type { OrderHandlers } from '../actors/order-protocol.ts';
import { Fault } from '../runtime/fault.ts';
import type { Weather } from './faults.ts';
import type { History } from './history.ts';
import type { Random } from './random.ts';

export interface Payment {
  readonly id: string;
  state: 'authorized' | 'captured' | 'voided' | 'refunded';
  /** The order's id. */
  readonly reference: string;
  readonly amount: number;
  readonly currency: string;
}
type Outcome = { readonly ok: true; readonly payment: Payment } | { readonly ok: false; readonly code: string };

interface AuthoriseRequest {
  readonly amount: number;
  readonly currency: string;
  readonly token: string;
  readonly reference: string;
}

/** The way to the provider: rejects where there was no answer; `work` may have been done all the same, or may still be. */
export type Exchange = <T>(work: () => T) => Promise<T>;

export class PaymentProvider {
  readonly payments = new Map<string, Payment>();
  /** Charges ever made, by order. */
  readonly charged = new Map<string, number>();
  /** What was asked for that must not be; for the oracles. */
  readonly wrongs: string[] = [];
  /** Told of the order each time when its payment has changed. */
  onChange: (orderId: string) => void = () => {};
  readonly #answers = new Map<string, { readonly request: string; readonly outcome: Outcome }>();
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #history: History;

  constructor(random: Random, weather: Weather, history: History) {
    this.#random = random;
    this.#weather = weather;
    this.#history = history;
  }

  connect(exchange: Exchange): ProviderClient {
    return new ProviderClient(this, exchange);
  }

  byReference(reference: string): Payment[] {
    return [...this.payments.values()].filter((payment) => payment.reference === reference);
  }

  authorise({ amount, currency, token, reference }: AuthoriseRequest): Outcome {
    const declined =
      token === 'declined' || this.#random.chance(this.#weather.strength('payment_declined', 'payments'));
    if (declined) return { ok: false, code: 'card_declined' };
    const payment: Payment = { id: `pay_${reference}`, state: 'authorized', reference, amount, currency };
    const before = this.charged.get(reference) ?? 0;
    this.charged.set(reference, before + 1);
    if (before > 0) this.wrongs.push(`${reference} was charged ${before + 1} times`);
    this.payments.set(before === 0 ? payment.id : `${payment.id}_${before + 1}`, payment);
    this.#history.note('payments', 'authorised', { reference, amount });
    this.onChange(reference);
    return { ok: true, payment };
  }

  move(id: string, what: 'capture' | 'void' | 'refund', amount: number | null): Outcome {
    const payment = this.payments.get(id);
    if (payment === undefined) return { ok: false, code: 'not_found' };
    const from = what === 'refund' ? 'captured' : 'authorized';
    if (payment.state !== from) return { ok: false, code: 'wrong_state' };
    if (amount !== null && amount !== payment.amount) {
      this.wrongs.push(`${what} of ${amount} for ${payment.reference}, which was charged ${payment.amount}`);
    }
    payment.state = what === 'capture' ? 'captured' : what === 'void' ? 'voided' : 'refunded';
    this.#history.note('payments', payment.state, { reference: payment.reference });
    this.onChange(payment.reference);
    return { ok: true, payment };
  }

  /** A refusal without effect leaves the key free; all else is repeated for ever. */
  once(key: string, request: string, effect: () => Outcome): Outcome {
    const known = this.#answers.get(key);
    if (known !== undefined) {
      if (known.request !== request) this.wrongs.push(`${key} came with another request`);
      return known.outcome;
    }
    const outcome = effect();
    if (outcome.ok || outcome.code === 'card_declined') this.#answers.set(key, { request, outcome });
    return outcome;
  }
}

/** One node's connection: a throw means that the outcome is not known. */
export class ProviderClient {
  readonly name = 'simulated';
  readonly #provider: PaymentProvider;
  readonly #exchange: Exchange;

  constructor(provider: PaymentProvider, exchange: Exchange) {
    this.#provider = provider;
    this.#exchange = exchange;
  }

  authorise(request: AuthoriseRequest, key: string): Promise<Outcome> {
    return this.#ask(key, JSON.stringify(request), () => this.#provider.authorise(request));
  }

  capture(paymentId: string, amount: number, key: string): Promise<Outcome> {
    return this.#ask(key, `capture ${paymentId} ${amount}`, () => this.#provider.move(paymentId, 'capture', amount));
  }

  void(paymentId: string, key: string): Promise<Outcome> {
    return this.#ask(key, `void ${paymentId}`, () => this.#provider.move(paymentId, 'void', null));
  }

  refund(paymentId: string, amount: number, key: string): Promise<Outcome> {
    return this.#ask(key, `refund ${paymentId} ${amount}`, () => this.#provider.move(paymentId, 'refund', amount));
  }

  listByReference(reference: string): Promise<readonly Payment[]> {
    return this.#send(() => this.#provider.byReference(reference).map((payment) => ({ ...payment })));
  }

  #ask(key: string, request: string, effect: () => Outcome): Promise<Outcome> {
    return this.#send(() => {
      const outcome = this.#provider.once(key, request, effect);
      return outcome.ok ? { ok: true, payment: { ...outcome.payment } } : outcome;
    });
  }

  async #send<T>(work: () => T): Promise<T> {
    try {
      return await this.#exchange(work);
    } catch (cause) {
      throw new Fault('effect_failed', 'the provider did not answer', { cause });
    }
  }
}

type Definite = { readonly ok: true } | { readonly ok: false; readonly code: string };
type Handlers = {
  readonly [Name in Exclude<keyof OrderHandlers, 'order.price'>]: (
    input: OrderHandlers[Name]['input'],
  ) => Promise<OrderHandlers[Name]['outcome']>;
};

/** What `payments/effects.ts` does at a provider: each step under its own key; a refusal is looked into before it is believed. */
export function paymentHandlers(provider: ProviderClient): Handlers {
  const stateOf = async (orderId: string, paymentId: string): Promise<Payment['state'] | null> => {
    const payments = await provider.listByReference(orderId);
    return payments.find((payment) => payment.id === paymentId)?.state ?? null;
  };
  return {
    async 'payment.authorise'({ orderId, amount, currency, token }) {
      const outcome = await provider.authorise({ amount, currency, token, reference: orderId }, `${orderId}:authorise`);
      if (!outcome.ok) return outcome;
      const { id, state } = outcome.payment;
      // The payment is shown as it is now: one that was given back is no authorisation.
      if (state === 'voided' || state === 'refunded') return { ok: false, code: `payment_${state}` };
      return { ok: true, paymentId: id, provider: provider.name };
    },
    async 'payment.void'({ orderId, paymentId }): Promise<Definite> {
      const outcome = await provider.void(paymentId, `${orderId}:void`);
      if (outcome.ok || (await stateOf(orderId, paymentId)) === 'voided') return { ok: true };
      return outcome;
    },
    async 'payment.refund'({ orderId, paymentId, amount, captureFirst }): Promise<Definite> {
      if (captureFirst) {
        const captured = await provider.capture(paymentId, amount, `${orderId}:capture`);
        if (!captured.ok) {
          const state = await stateOf(orderId, paymentId);
          if (state === 'voided' || state === 'refunded') return { ok: true };
          if (state !== 'captured') return { ok: false, code: captured.code };
        }
      }
      const refunded = await provider.refund(paymentId, amount, `${orderId}:refund`);
      if (refunded.ok || (await stateOf(orderId, paymentId)) === 'refunded') return { ok: true };
      return refunded;
    },
  };
}
