/**
 * What the order's payment effects do at a provider. Each function may be repeated at any time and from any node: it sends
 * the same key for the same step, so the provider does each step once. A result is definite; a throw means that the
 * outcome is not known yet and the effect is to be issued again.
 *
 * `void` and `refund` first ask for the step and only where that is refused look at where the payment stands: a refusal
 * may mean that an earlier call, whose answer was lost with its key, has already reached the goal.
 */
import { Fault } from '../runtime/fault.ts';
import type { Payment, PaymentProvider } from './provider.ts';

export const authoriseKey = (orderId: string): string => `${orderId}:authorise`;
export const captureKey = (orderId: string): string => `${orderId}:capture`;
export const voidKey = (orderId: string): string => `${orderId}:void`;
export const refundKey = (orderId: string): string => `${orderId}:refund`;

export interface AuthoriseInput {
  readonly orderId: string;
  readonly amount: number;
  readonly currency: string;
  readonly token: string;
}
export interface VoidInput {
  readonly orderId: string;
  readonly paymentId: string;
}
export interface RefundInput {
  readonly orderId: string;
  readonly paymentId: string;
  readonly amount: number;
  /** A capture was requested and may or may not have happened: make it happen, then refund. */
  readonly captureFirst: boolean;
}
export type Definite = { readonly ok: true } | { readonly ok: false; readonly code: string };

/** Handlers of the order's `call` effects, by the names that the order actor uses. */
export interface PaymentHandlers {
  readonly 'payment.authorise': (
    input: AuthoriseInput,
  ) => Promise<
    | { readonly ok: true; readonly paymentId: string; readonly provider: string }
    | { readonly ok: false; readonly code: string }
  >;
  readonly 'payment.void': (input: VoidInput) => Promise<Definite>;
  readonly 'payment.refund': (input: RefundInput) => Promise<Definite>;
}

export function paymentHandlers(provider: PaymentProvider): PaymentHandlers {
  return {
    async 'payment.authorise'({ orderId, amount, currency, token }) {
      const outcome = await provider.authorise({ amount, currency, token, reference: orderId }, authoriseKey(orderId));
      if (!outcome.ok) return outcome;
      // A provider that shows the payment as it is now: one that was given back is no authorisation.
      if (outcome.payment.state === 'voided' || outcome.payment.state === 'refunded') {
        return { ok: false, code: `payment_${outcome.payment.state}` };
      }
      return { ok: true, paymentId: outcome.payment.id, provider: provider.name };
    },
    'payment.void': (input) => voidPayment(provider, input),
    'payment.refund': (input) => refundPayment(provider, input),
  };
}

async function voidPayment(provider: PaymentProvider, { orderId, paymentId }: VoidInput): Promise<Definite> {
  const outcome = await provider.void(paymentId, voidKey(orderId));
  if (outcome.ok) return { ok: true };
  const payment = await find(provider, orderId, paymentId);
  return payment?.state === 'voided' ? { ok: true } : outcome;
}

async function refundPayment(provider: PaymentProvider, input: RefundInput): Promise<Definite> {
  const { orderId, paymentId, amount, captureFirst } = input;
  if (captureFirst) {
    const captured = await provider.capture(paymentId, amount, captureKey(orderId));
    if (!captured.ok) {
      const payment = await find(provider, orderId, paymentId);
      // Voided or refunded: the money is where the refund wants it. Captured: go on.
      if (payment?.state === 'voided' || payment?.state === 'refunded') return { ok: true };
      if (payment?.state !== 'captured') return { ok: false, code: captured.code };
    }
  }
  const refunded = await provider.refund(paymentId, amount, refundKey(orderId));
  if (refunded.ok) return { ok: true };
  const payment = await find(provider, orderId, paymentId);
  return payment?.state === 'refunded' ? { ok: true } : { ok: false, code: refunded.code };
}

/** The order's payment as the provider lists it; undefined where it does not. */
export async function find(
  provider: PaymentProvider,
  orderId: string,
  paymentId: string,
): Promise<Payment | undefined> {
  const payments = await provider.listByReference(orderId);
  const same = payments.filter((payment) => payment.id === paymentId);
  if (same.length > 1) throw new Fault('effect_failed', 'the payment provider lists one payment twice');
  return same[0];
}
