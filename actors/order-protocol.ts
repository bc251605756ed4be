/**
 * What may be asked of an order actor, what it answers, and what it needs of the world (`OrderHandlers`).
 */
import type { Destination, LockedPrice, PriceRequest, Quote } from '../workers/quote.ts';
import type { SealedContact } from './cart-protocol.ts';
import type { PriceFacts } from './cart-state.ts';

export interface OrderLineRequest {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  /** The cart's own hold to adopt; null: the order takes one of its own. */
  readonly cartHoldId: string | null;
  /** The price that the line keeps, as its hold does. */
  readonly locked?: LockedPrice;
  /** Of a gift: the promotion that gives it. Left out: the buyer put it there. */
  readonly gift?: string;
}

/** From the cart: its frozen contents. Repeated until answered; a second one changes nothing. */
export interface OrderStart {
  readonly kind: 'start';
  readonly cartId: string;
  readonly currency: string;
  readonly lines: readonly OrderLineRequest[];
  readonly destination: Destination;
  readonly coupons: readonly string[];
  readonly shippingMethod: string | null;
  readonly expectedTotal: { readonly amount: number; readonly currency: string };
  readonly contact: SealedContact;
  readonly paymentToken: string;
  /** As of `CheckoutRequest`. */
  readonly customer?: string;
  /** As of `CheckoutRequest`. */
  readonly firstOrder?: boolean;
  readonly facts?: PriceFacts;
}

export type OrderCommand =
  | OrderStart
  | { readonly kind: 'get' }
  | { readonly kind: 'cancel'; readonly ifMatch?: number | undefined }
  /** The provider says that something has changed. It is not believed: what is pending is asked again. */
  | { readonly kind: 'payment_notice' }
  /** From the capture job: may the payment be captured? */
  | { readonly kind: 'request_capture'; readonly outboxId: string }
  | { readonly kind: 'capture_done'; readonly outboxId: string }
  | { readonly kind: 'capture_refused'; readonly outboxId: string; readonly code: string }
  /** From the e-mail job: answered with the order, or `done` where the mail is on record as sent. */
  | { readonly kind: 'request_email'; readonly outboxId: string }
  | { readonly kind: 'email_sent'; readonly outboxId: string };

export type PaymentStatus = 'none' | 'unknown' | 'authorized' | 'captured' | 'voided' | 'refunded' | 'declined';

export interface PaymentStep {
  readonly state: PaymentStatus;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** The order as shown, without personal data; the edge adds e-mail and address from the sealed contact. */
export interface OrderDoc {
  readonly id: string;
  readonly version: number;
  readonly cartId: string;
  readonly state: 'pending' | 'confirmed' | 'cancelled' | 'failed' | 'refunded';
  readonly fulfilment: 'none' | 'partial' | 'full';
  readonly quote: Quote | null;
  readonly lines: readonly OrderLineRequest[];
  readonly payment: {
    readonly state: PaymentStatus;
    readonly provider: string | null;
    /** The provider's payment id. */
    readonly reference: string | null;
    readonly amount: number;
    readonly currency: string;
    readonly declineCode?: string;
    /** What the provider last refused for good, until something mends it (`capture: <code>`, `void: …`, `refund: …`); for operators. */
    readonly problem?: string;
    readonly history: readonly PaymentStep[];
  };
  /** Why, once the order has failed. */
  readonly failure: string | null;
  readonly placedAt: number;
  readonly contact: SealedContact;
}

export type OrderReply =
  | { readonly ok: true; readonly kind: 'order'; readonly order: OrderDoc }
  /** `request_capture`: go on with this payment. */
  | { readonly ok: true; readonly kind: 'capture'; readonly paymentId: string; readonly amount: number }
  /** A job's report was taken, or there is nothing (more) to do for it. */
  | { readonly ok: true; readonly kind: 'done' }
  | { readonly ok: false; readonly code: 'not_found' | 'not_cancellable' | 'version_mismatch' };

/** Handlers of `call` effects that the composition root must provide, with their inputs and outcomes. */
export interface OrderHandlers {
  /** Price for the shipping address with `taxState: "final"`. */
  'order.price': {
    input: PriceRequest;
    outcome: Quote;
  };
  /** Authorise under the key `<orderId>:authorise`; repeated until definite. */
  'payment.authorise': {
    input: { readonly orderId: string; readonly amount: number; readonly currency: string; readonly token: string };
    outcome:
      | { readonly ok: true; readonly paymentId: string; readonly provider: string }
      | { readonly ok: false; readonly code: string };
  };
  'payment.void': {
    input: { readonly orderId: string; readonly paymentId: string };
    outcome: { readonly ok: true } | { readonly ok: false; readonly code: string };
  };
  /** Captures first under the capture job's key (where that was requested), then refunds the whole. */
  'payment.refund': {
    input: {
      readonly orderId: string;
      readonly paymentId: string;
      readonly amount: number;
      readonly captureFirst: boolean;
    };
    outcome: { readonly ok: true } | { readonly ok: false; readonly code: string };
  };
}
