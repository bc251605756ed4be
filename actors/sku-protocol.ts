/**
 * What may be asked of a sku actor, and what it answers. A sku is one sellable unit's stock:
 * on hand = available + held + allocated, none of them negative, at every sequence.
 *
 * A hold's life: `hold` (owner, expires) → `adopt`/`pin` (owner = order, never expires by itself) → `confirm` (allocated) → `ship`.
 * `release` ends it from any state before `ship`; `return` gives an adopted one back to its cart.
 * `quantity` of a `hold` is absolute: a repeated `hold` of the same id with a higher `rev` changes the quantity, one with
 * the same or a lower `rev` is answered from the state. `owner` is a cart's or an order's id; a command that names another
 * owner than the hold's present one changes nothing.
 *
 * A hold with `ttlMs: null` is an order's own and is pinned at birth (hold and pin in one step). That is safe although no
 * lifetime will ever end it, because the order's `started` event and its timer are durable before its first `hold` is
 * sent: whatever dies in between, the order wakes, and ends each of its holds by `confirm` or `release`; and a `hold` that
 * is delivered after that `release` finds the tombstone. Later still than a tombstone lasts, `notAfter` refuses it: an
 * order gives up no later than a tombstone lasts after its start, so there is no time at which neither of the two holds.
 */
export type SkuCommand =
  | { readonly kind: 'get' }
  | { readonly kind: 'adjust'; readonly delta: number; readonly reason: string }
  | {
      readonly kind: 'hold';
      readonly holdId: string;
      readonly owner: string;
      readonly rev: number;
      readonly quantity: number;
      /** Lifetime from the first hold on; null: pinned from the start (an order's own hold). */
      readonly ttlMs: number | null;
      /** When its sender stops wanting it, in milliseconds since the epoch: later than that it takes nothing. Default: never. */
      readonly notAfter?: number;
    }
  | {
      readonly kind: 'adopt';
      readonly holdId: string;
      readonly cartId: string;
      readonly orderId: string;
      /** As of `hold`. */
      readonly notAfter?: number;
    }
  | { readonly kind: 'pin'; readonly holdId: string; readonly owner: string }
  | { readonly kind: 'confirm'; readonly holdId: string; readonly owner: string }
  | { readonly kind: 'release'; readonly holdId: string; readonly owner: string }
  | { readonly kind: 'return'; readonly holdId: string; readonly orderId: string; readonly cartId: string }
  | { readonly kind: 'ship'; readonly holdId: string; readonly owner: string };

export interface StockLevel {
  readonly sku: string;
  readonly onHand: number;
  readonly held: number;
  readonly allocated: number;
  readonly available: number;
  /** The actor's sequence. */
  readonly version: number;
}

export type SkuReply =
  | { readonly ok: true; readonly kind: 'stock'; readonly stock: StockLevel }
  | {
      readonly ok: true;
      readonly kind: 'hold';
      readonly holdId: string;
      readonly quantity: number;
      readonly expiresAt: number | null;
    }
  | { readonly ok: true; readonly kind: 'done' }
  /** Answer of `return`: false where the first lifetime was over and the units went back to the shelf. */
  | { readonly ok: true; readonly kind: 'returned'; readonly returned: boolean; readonly expiresAt: number | null }
  | { readonly ok: false; readonly code: 'out_of_stock'; readonly available: number }
  | { readonly ok: false; readonly code: 'hold_gone' | 'hold_expired' | 'stock_negative' | 'stock_limit' };

export type SkuRefusal = Extract<SkuReply, { ok: false }>['code'];
