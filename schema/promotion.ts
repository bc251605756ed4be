/**
 * Promotions: what is taken off a cart, on which conditions, and how several go together. A document says what is offered; the
 * arithmetic is in `workers/promotion.ts`.
 *
 * Order. Promotions apply one after another, by `priority` and then id, each to what those before it have left of a line; coupons with
 * terms of their own come after all of them (percentages, then amounts, each by code). Conditions look at the cart before
 * any discount, so that no promotion opens or closes another.
 */
import type { Amounts, Validity } from './rules.ts';

export const PROMOTIONS_MAX = 2_000;
export const SELECTOR_MAX = 1_000;
/** Where a promotion states none. */
export const PRIORITY_DEFAULT = 1_000;

/** Which lines. Every field that is given narrows; an empty selector takes all goods. A line of kind `gift` is never taken. */
export interface ItemSelector {
  /** The sku is one of `skus` or the category one of `categories`, where either is given. At most `SELECTOR_MAX` each. */
  readonly skus?: readonly string[];
  readonly categories?: readonly string[];
  readonly exceptSkus?: readonly string[];
  readonly exceptCategories?: readonly string[];
  /** True: no goods that are on sale (a compare-at price above the price, or a price list with `sale`). Default false. */
  readonly notOnSale?: boolean;
}

/** The lines that `items` takes come to at least `min` and at most `max`, in units or in minor units before discounts. */
export interface GoodsCondition {
  readonly items: ItemSelector;
  readonly quantity?: { readonly min?: number; readonly max?: number };
  /** In a currency that a bound does not name the condition does not hold. */
  readonly subtotal?: { readonly min?: Amounts; readonly max?: Amounts };
}

/** All that is given must hold. */
export interface PromotionConditions {
  readonly goods?: readonly GoodsCondition[];
  /** The customer is in one of these. */
  readonly customerGroups?: readonly string[];
  readonly channels?: readonly string[];
  /**
   * True: only on a customer's first order. That is known at checkout only, from the e-mail address: until then a cart is priced without it,
   * and a first order's checkout is answered `price_changed` with the lower total. Orders are counted per customer while the
   * store has such a promotion, active or not; a cancelled one does not count. Default false.
   */
  readonly firstOrder?: boolean;
  /** The destination is in one of these zones; without a destination the condition does not hold. */
  readonly zones?: readonly string[];
}

/** A part of the price, or an amount. In a currency that `amounts` does not name, nothing. `ratePpm` is 1 to 1,000,000. */
export type Off =
  | { readonly kind: 'percent'; readonly ratePpm: number }
  | { readonly kind: 'amount'; readonly amounts: Amounts };

/**
 * Takes `ratePpm` of what is left of the lines. `per: 'order'` (the default): of their sum, rounded half up once and split over
 * them by largest remainder. `per: 'line'`: of each line, rounded half up; then a line does not depend on the others.
 */
export interface PercentAction {
  readonly kind: 'percent';
  readonly items: ItemSelector;
  readonly ratePpm: number;
  readonly per?: 'order' | 'line';
}
/** Takes an amount off the lines together (`per: 'order'`, the default; split by largest remainder), or off each unit. */
export interface AmountAction {
  readonly kind: 'amount';
  readonly items: ItemSelector;
  readonly amounts: Amounts;
  readonly per?: 'order' | 'unit';
}
/**
 * Each `quantity` units of the lines (default 1) cost `prices` together. Units are put together by falling unit price (ties by line
 * id); a bundle that would cost no less this way stays as it is. What a bundle saves is split over its units by their
 * price.
 */
export interface FixedPriceAction {
  readonly kind: 'fixed_price';
  readonly items: ItemSelector;
  /** 1 to 100. */
  readonly quantity?: number;
  readonly prices: Amounts;
}
/**
 * For each `buy.quantity` units bought, `get.quantity` units are taken off by `ratePpm` (1,000,000: free), as often as the cart has
 * both, at most `timesMax` times. A unit counts on one side only. Taken off are the cheapest units (by unit price, then line id)
 * that `get` selects; a unit that both sides select is used for `buy` where there would otherwise be too few of those.
 */
export interface BuyGetAction {
  readonly kind: 'buy_get';
  /** 1 to 999 units. */
  readonly buy: { readonly items: ItemSelector; readonly quantity: number };
  readonly get: { readonly items: ItemSelector; readonly quantity: number; readonly ratePpm: number };
  /** Default: no limit. */
  readonly timesMax?: number;
}
/** The highest tier that the lines reach (in units, or in minor units before discounts) gives what is taken off all of them. */
export interface TiersAction {
  readonly kind: 'tiers';
  readonly items: ItemSelector;
  /** 1 to 20, `from` strictly rising (in each currency). All by quantity or all by subtotal. */
  readonly tiers:
    | readonly { readonly fromQuantity: number; readonly off: Off }[]
    | readonly { readonly fromSubtotal: Amounts; readonly off: Off }[];
}
/** Takes something off the shipping, down to 0; or sets a price, where that is lower. */
export interface ShippingAction {
  readonly kind: 'shipping';
  /** Ids of methods; left out: all. */
  readonly methods?: readonly string[];
  readonly off: Off | { readonly kind: 'price'; readonly prices: Amounts };
}
/** Adds a line of kind `gift`, which costs nothing, is taxed on nothing and counts for no condition and no shipping price. */
export interface GiftAction {
  readonly kind: 'gift';
  readonly sku: string;
  /** 1 to 99. Default 1. */
  readonly quantity?: number;
}
export type PromotionAction =
  | PercentAction
  | AmountAction
  | FixedPriceAction
  | BuyGetAction
  | TiersAction
  | ShippingAction
  | GiftAction;

export interface Promotion {
  /** 1 to 64 of A-Z a-z 0-9 . _ -. */
  readonly id: string;
  /** As shown to the buyer. */
  readonly label: string;
  /** False: kept, but does nothing. Default true. */
  readonly active?: boolean;
  /** `coupon`: only where a coupon that opens it is in the cart. */
  readonly trigger: 'automatic' | 'coupon';
  readonly validity?: Validity;
  /** Default: none. */
  readonly conditions?: PromotionConditions;
  readonly action: PromotionAction;
  /** 0 to 10,000; lower comes first. Default 1,000. */
  readonly priority?: number;
  /** True: where it has taken something off (or given something), no promotion or coupon after it does. Default false. */
  readonly last?: boolean;
  /** At most this much is taken off by it; in a currency that is not named, there is no limit. */
  readonly maxAmount?: Amounts;
}

/**
 * Promotions of which at most one applies to a cart. `first`: the first in order that does something. `best`: where the first of them
 * that does something stands, the one that would take the most off there (goods and shipping); among equals the
 * first. A gift counts as nothing taken off. No promotion is in two groups.
 */
export interface PromotionGroup {
  readonly id: string;
  /** Ids, 2 to 200. */
  readonly promotions: readonly string[];
  readonly choose: 'first' | 'best';
}

export function isForFirstOrders({ conditions }: Promotion): boolean {
  return conditions?.firstOrder === true;
}
