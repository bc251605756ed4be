/**
 * The simulated payment provider with its own books, and the order's payment effects at it. A request travels, has its effect once
 * under its key, and its answer travels back; either may be lost or come very late, so a caller that hears nothing knows nothing: a
 * charge that is not in the books yet may still be made ("not found proves nothing"). What the provider holds for an order is read
 * by the oracles from here, whatever the shop believes.
 *
 * The interface is that of `payments/provider.ts` by shape: this folder may not import that one.
 */
import type { OrderHandlers } from '../actors/order-protocol.ts';
import type { Clock } from '../runtime/clock.ts';
import { Fault } from '../runtime/fault.ts';
import type { FaultKind, Weather } from './faults.ts';
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

export interface Timers {
  /** Runs at the true time, whatever becomes of the node that asked. */
  after(ms: number, callback: () => void): void;
}

/** How long a node waits for an answer. */
const PATIENCE_MS = 2_000;

export class PaymentProvider {
  readonly payments = new Map<string, Payment>();
  /** Charges ever made, by order. */
  readonly charged = new Map<string, number>();
  /** What was asked for that must not be; for the oracles. */
  readonly wrongs: string[] = [];
  readonly #answers = new Map<string, { readonly request: string; readonly outcome: Outcome }>();
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #history: History;

  constructor(timers: Timers, random: Random, weather: Weather, history: History) {
    this.#timers = timers;
    this.#random = random;
    this.#weather = weather;
    this.#history = history;
  }

  /** As a node sees it: answers come on that node's own clock, and no more once it has died. */
  connect(clock: Clock): ProviderClient {
    return new ProviderClient(this, clock);
  }

  byReference(reference: string): Payment[] {
    return [...this.payments.values()].filter((payment) => payment.reference === reference);
  }

  /**
   * Sends one request.
   * @param answer called with the outcome, at most once; never where the request or the answer was lost
   */
  send(key: string | null, request: string, effect: () => Outcome, answer: (outcome: Outcome) => void): void {
    const random = this.#random;
    const strength = (kind: FaultKind): number => this.#weather.strength(kind, 'payments');
    const slow = strength('payment_slow');
    const travel = (): number => random.delay(20 + slow * 1_500);
    const lost = random.chance(Math.max(0.01, strength('payment_lost')));
    const mute = random.chance(Math.max(0.02, strength('payment_answer_lost')));
    // Some of what is lost for its sender comes all the same, long after that one has given up.
    if (lost && random.chance(0.5)) return;
    const there = lost ? random.int(PATIENCE_MS, 10 * PATIENCE_MS) : travel();
    const back = travel();
    this.#timers.after(there, () => {
      const outcome = key === null ? effect() : this.#once(key, request, effect);
      if (!mute) this.#timers.after(back, () => answer(outcome));
    });
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
    return { ok: true, payment };
  }

  /** A refusal without effect leaves the key free; all else is repeated for ever. */
  #once(key: string, request: string, effect: () => Outcome): Outcome {
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
  readonly #clock: Clock;

  constructor(provider: PaymentProvider, clock: Clock) {
    this.#provider = provider;
    this.#clock = clock;
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

  async listByReference(reference: string): Promise<readonly Payment[]> {
    let listed: readonly Payment[] = [];
    await this.#ask(null, `list ${reference}`, () => {
      listed = this.#provider.byReference(reference).map((payment) => ({ ...payment }));
      return { ok: false, code: 'listed' };
    });
    return listed;
  }

  #ask(key: string | null, request: string, effect: () => Outcome): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimeout(
        () => reject(new Fault('effect_failed', 'the provider did not answer')),
        PATIENCE_MS,
      );
      this.#provider.send(key, request, effect, (outcome) => {
        // In a turn of the node's own event loop: a node that stands still takes no answers, a dead one never.
        this.#clock.setTimeout(() => {
          timer.cancel();
          resolve(outcome.ok ? { ok: true, payment: { ...outcome.payment } } : outcome);
        }, 0);
      });
    });
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
