/**
 * What may be asked of a cart actor, and what it answers.
 */
import type { Destination, LockedPrice, TaxExemption } from '../workers/quote.ts';
import type { PriceFacts } from './cart-state.ts';

/**
 * `absent` (never created) → `open` ⇄ `checking_out` → `checked_out`; `open` → `expired` (30 days after its last change)
 * or `merged` (into another cart).
 */
export type CartStatus = 'absent' | 'open' | 'checking_out' | 'checked_out' | 'merged' | 'expired';

/** What the edge knows of a product when it sends a command: the actor decides from this, never from a catalogue. */
export interface ProductTerms {
  readonly sku: string;
  readonly maxPerOrder: number | null;
  readonly holdAt: 'cart' | 'checkout';
  readonly holdTtlMs: number;
  /** In which the sku has a price; a cart in another currency refuses it with `price_unavailable`. */
  readonly currencies: readonly string[];
  /** The product's own prices and former prices, in minor units by currency, for skus held at the cart. Left out: no price is locked. */
  readonly prices?: Readonly<Record<string, LockedPrice>>;
}

export interface GlancedLine {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  /** Units of it are held at the cart, or were. */
  readonly held: boolean;
  /** The price that it keeps for the time of its hold. Left out: none. */
  readonly locked?: LockedPrice;
}

/** What the edge must know of a cart before it sends a command (a candidate price, the order in the making). Shares nothing with the state. */
export interface CartGlance {
  readonly status: CartStatus;
  readonly currency: string;
  readonly destination: Destination | null;
  readonly lines: readonly GlancedLine[];
  readonly coupons: readonly string[];
  readonly shippingMethod: string | null;
  readonly facts: PriceFacts | null;
  /** The order made, or (state `checking_out`) in the making. */
  readonly orderId: string | null;
}

/** Personal data, encrypted under the subject's key at the edge; opaque to actors. */
export interface SealedContact {
  readonly subject: string;
  readonly bytes: Uint8Array;
}

export interface CheckoutRequest {
  readonly contact: SealedContact;
  /** The part of the address that pricing needs. */
  readonly destination: Destination;
  readonly expectedTotal: { readonly amount: number; readonly currency: string };
  readonly paymentToken: string;
  /** Keyed hash that stands for whoever the limits per customer count (today the e-mail address). Left out: nobody known. */
  readonly customer?: string;
  /** True: the store has a promotion for first orders, so the customer's orders are counted and pricing is told whether this is the first. */
  readonly firstOrder?: boolean;
}

/** `ifMatch`: the version that the caller expects, or undefined. `line` is a line's id or a sku. */
export type CartCommand =
  | {
      readonly kind: 'create';
      readonly currency: string;
      readonly destination: Destination | null;
      readonly facts?: PriceFacts;
    }
  | { readonly kind: 'get' }
  /** Like `get`, answered with a `CartGlance` (reply `glance`). Under a caller's key: what is recorded under it comes first. */
  | { readonly kind: 'glance' }
  | {
      readonly kind: 'add_line';
      readonly product: ProductTerms;
      readonly quantity: number;
      /** Of a sku held at the cart: what a unit costs at the line's whole quantity. Left out: what its hold locks is `product.prices`. */
      readonly price?: LockedPrice;
      readonly ifMatch?: number | undefined;
    }
  | {
      readonly kind: 'set_quantity';
      readonly line: string;
      readonly quantity: number;
      /** Of a line that is held: what a unit costs at this quantity. Left out: the line keeps what it has. */
      readonly price?: LockedPrice;
      readonly ifMatch?: number | undefined;
    }
  | { readonly kind: 'remove_line'; readonly line: string; readonly ifMatch?: number | undefined }
  | { readonly kind: 'apply_coupon'; readonly code: string; readonly ifMatch?: number | undefined }
  | { readonly kind: 'remove_coupon'; readonly code: string; readonly ifMatch?: number | undefined }
  | { readonly kind: 'set_destination'; readonly destination: Destination; readonly ifMatch?: number | undefined }
  | { readonly kind: 'set_shipping'; readonly method: string; readonly ifMatch?: number | undefined }
  /** Its id is sealed; null: the cart has none any more. */
  | { readonly kind: 'set_exemption'; readonly exemption: TaxExemption | null; readonly ifMatch?: number | undefined }
  | { readonly kind: 'checkout'; readonly request: CheckoutRequest; readonly ifMatch?: number | undefined }
  | HoldExpiredMessage
  | CheckoutResultMessage;

/** The commands that change what is in the cart. */
export type CartEdit = Extract<
  CartCommand,
  {
    kind:
      | 'add_line'
      | 'set_quantity'
      | 'remove_line'
      | 'apply_coupon'
      | 'remove_coupon'
      | 'set_destination'
      | 'set_shipping'
      | 'set_exemption';
  }
>;

/** From the sku actor: the hold's lifetime ended. Repeated until answered. */
export interface HoldExpiredMessage {
  readonly kind: 'hold_expired';
  readonly holdId: string;
}

/** From the order actor, once its saga has an outcome for the buyer. Repeated until answered. */
export interface CheckoutResultMessage {
  readonly kind: 'checkout_result';
  readonly orderId: string;
  readonly result: CheckoutResult;
}

/** `order` is the order's public document without personal data (see `OrderDoc` in `order-protocol.ts`). */
export type CheckoutResult =
  | { readonly outcome: 'confirmed'; readonly order: unknown }
  | {
      readonly outcome: 'failed';
      readonly code: CheckoutFailure;
      /** For `out_of_stock` and `hold_expired`: the skus concerned. For `payment_declined`: the provider's code. */
      readonly skus?: readonly string[];
      readonly declineCode?: string;
      /** For `price_changed`: it was priced as a customer's first order. */
      readonly firstOrder?: true;
      /** For `coupon_not_applicable`: the codes concerned. */
      readonly coupons?: readonly string[];
      /** Promotions whose gift is out of stock; its sku is among `skus`. */
      readonly gifts?: readonly string[];
      /** What became of the cart's own holds that the order had taken up (one it had not is not named): still the cart's, until `expiresAt`, or gone (null). */
      readonly returned: readonly { readonly holdId: string; readonly expiresAt: number | null }[];
    };
export type CheckoutFailure =
  | 'price_changed'
  | 'out_of_stock'
  | 'hold_expired'
  | 'payment_declined'
  | 'price_unavailable'
  | 'shipping_unavailable'
  | 'coupon_not_applicable'
  | 'order_failed';

/** Refusals of the cart; the edge's problem table gives each its status. */
export type CartRefusal =
  | 'not_found'
  | 'version_mismatch'
  | 'line_unknown'
  | 'ambiguous_line'
  | 'limit_reached'
  | 'out_of_stock'
  | 'hold_cooldown'
  | 'coupon_limit'
  | 'cart_full'
  | 'cart_empty'
  | 'cart_closed'
  | 'checkout_in_progress'
  | 'cart_checked_out'
  | 'idempotency_key_reused'
  | CheckoutFailure;

export type CartReply =
  /** The cart as it now is; `created` for `create`. The responder prices and renders it. */
  | { readonly ok: true; readonly kind: 'cart'; readonly created?: true }
  | { readonly ok: true; readonly kind: 'glance'; readonly cart: CartGlance }
  /** A confirmed checkout; `order` as in `CheckoutResult`. */
  | { readonly ok: true; readonly kind: 'order'; readonly order: unknown }
  | {
      readonly ok: false;
      readonly code: CartRefusal;
      readonly detail?: string;
      readonly orderId?: string;
      readonly skus?: readonly string[];
      readonly coupons?: readonly string[];
      readonly declineCode?: string;
      readonly retryAfterMs?: number;
      /** With `price_changed`: what the checkout was priced for, so that the answer can show the cart at that price. */
      readonly destination?: Destination;
      readonly firstOrder?: true;
      /** The command was a checkout: some refusals of it are recorded under its key. */
      readonly checkout?: true;
    };
