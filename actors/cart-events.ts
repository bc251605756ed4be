/**
 * The events of a cart, and how those of later versions are said in earlier ones. What a version brings is left out where there is nothing
 * to say, so that most events are the same in all.
 *
 * Version 2 brings locked prices, facts and the customer's name: a cart of version 1 is priced by the book alone. Version 3 brings the
 * exemption from taxes. It cannot be left out, since its buyer would be charged taxes that are not owed: it waits until all members
 * read it. Version 4 brings `hold_added` and `hold_grown`, which are not decided before that.
 */
import type { KeyRef } from '../runtime/actor.ts';
import type { Destination, TaxExemption } from '../workers/quote.ts';
import type { CheckoutFailure } from './cart-protocol.ts';
import type { HeldUnits, PriceFacts, WantedHold } from './cart-state.ts';
import type { OrderStart } from './order-protocol.ts';

export type CartEvent =
  | {
      readonly kind: 'created';
      readonly at: number;
      readonly currency: string;
      readonly destination: Destination | null;
      /** From version 2 on, with an exemption from version 3 on; left out where there is nothing to say. */
      readonly facts?: PriceFacts;
    }
  /** A line that is held at checkout. */
  | {
      readonly kind: 'line_set';
      readonly at: number;
      readonly lineId: string;
      readonly sku: string;
      readonly quantity: number;
      readonly maxPerOrder: number | null;
    }
  | { readonly kind: 'line_lowered'; readonly at: number; readonly lineId: string; readonly quantity: number }
  | {
      readonly kind: 'line_removed';
      readonly at: number;
      readonly lineId: string;
      readonly releaseHoldId: string | null;
      readonly cooldownUntil: number | null;
    }
  | { readonly kind: 'hold_wanted'; readonly at: number; readonly wanted: WantedHold }
  | { readonly kind: 'hold_taken'; readonly at: number; readonly expiresAt: number }
  /** From version 4 on: wanted and taken at once, where the sku was asked within the decision. */
  | ({ readonly kind: 'hold_added'; readonly at: number; readonly expiresAt: number } & HeldUnits)
  /** Likewise, of a hold that lives: its sku, id and end are as they were. */
  | ({ readonly kind: 'hold_grown'; readonly at: number } & Omit<HeldUnits, 'sku' | 'holdId'>)
  | { readonly kind: 'hold_refused'; readonly at: number }
  | { readonly kind: 'hold_abandoned'; readonly at: number }
  | { readonly kind: 'hold_acked'; readonly at: number; readonly holdId: string; readonly rev: number }
  | { readonly kind: 'hold_expired'; readonly at: number; readonly holdId: string }
  | { readonly kind: 'release_acked'; readonly at: number; readonly holdId: string }
  | { readonly kind: 'coupons_set'; readonly at: number; readonly coupons: readonly string[] }
  | { readonly kind: 'destination_set'; readonly at: number; readonly destination: Destination }
  | { readonly kind: 'shipping_set'; readonly at: number; readonly method: string }
  /** From version 3 on; null: it is taken away. */
  | { readonly kind: 'exemption_set'; readonly at: number; readonly exemption: TaxExemption | null }
  | {
      readonly kind: 'checkout_started';
      readonly at: number;
      readonly orderId: string;
      readonly key: KeyRef;
      readonly start: OrderStart;
    }
  | { readonly kind: 'checkout_sent'; readonly at: number }
  | {
      readonly kind: 'checkout_failed';
      readonly at: number;
      readonly code: CheckoutFailure;
      /** The cart's own holds that did not come back. */
      readonly goneHoldIds: readonly string[];
      /** From version 2 on: promotions whose gift is out of stock; left out where there are none. */
      readonly goneGifts?: readonly string[];
    }
  | { readonly kind: 'checked_out'; readonly at: number }
  | { readonly kind: 'expired'; readonly at: number }
  | { readonly kind: 'cleanup_asked'; readonly at: number };

/** The event in an earlier version; null where it cannot be said in it. */
export function downgradeCart(event: CartEvent, version: number): CartEvent | null {
  if (event.kind === 'hold_added' || event.kind === 'hold_grown') return null;
  if (version >= 3) return event;
  if (event.kind === 'exemption_set') return null;
  if (event.kind === 'created' && isExempt(event.facts)) return null;
  if (event.kind === 'checkout_started' && isExempt(event.start.facts)) return null;
  return version === 1 ? inVersion1(event) : event;
}

export function isExempt(facts: PriceFacts | null | undefined): boolean {
  return facts?.exemption !== undefined;
}

function inVersion1(event: CartEvent): CartEvent {
  switch (event.kind) {
    case 'created': {
      const { facts: _unsaid, ...before } = event;
      return before;
    }
    case 'hold_wanted': {
      const { price: _unsaid, ...wanted } = event.wanted;
      return { ...event, wanted };
    }
    case 'checkout_started': {
      const { customer: _unsaid, firstOrder: _nor, facts: _neither, ...start } = event.start;
      return { ...event, start: { ...start, lines: start.lines.map(({ locked: _book, ...line }) => line) } };
    }
    case 'checkout_failed': {
      const { goneGifts: _unsaid, ...before } = event;
      return before;
    }
    default:
      return event;
  }
}
