/**
 * What the shop needs of a payment provider. Every call carries an idempotency key; the same key has one effect, however
 * often it is sent. A call resolves only with a definite outcome; a throw means that the outcome is unknown and the
 * call is to be repeated under the same key. Amounts are integers in minor units.
 */
export type PaymentState = 'authorized' | 'captured' | 'voided' | 'refunded';

export interface Payment {
  readonly id: string;
  readonly state: PaymentState;
  /** The order's id. */
  readonly reference: string;
  readonly amount: number;
  readonly currency: string;
}

export interface AuthoriseRequest {
  readonly amount: number;
  readonly currency: string;
  readonly token: string;
  readonly reference: string;
}

export type AuthoriseOutcome =
  | { readonly ok: true; readonly payment: Payment }
  | { readonly ok: false; readonly code: string };

/** `conflict`: the provider refuses for good (404 or 409), with its code. */
export type PaymentOutcome =
  | { readonly ok: true; readonly payment: Payment }
  | { readonly ok: false; readonly code: string };

export interface PaymentProvider {
  readonly name: string;
  authorise(request: AuthoriseRequest, key: string): Promise<AuthoriseOutcome>;
  capture(paymentId: string, amount: number, key: string): Promise<PaymentOutcome>;
  void(paymentId: string, key: string): Promise<PaymentOutcome>;
  refund(paymentId: string, amount: number, key: string): Promise<PaymentOutcome>;
  listByReference(reference: string): Promise<readonly Payment[]>;
}
