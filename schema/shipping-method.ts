/**
 * Shipping methods: where each goes, what that costs and how long it takes. Which one counts for a cart is decided in
 * `workers/shipping.ts`. Weight and number of items are those of goods that are shipped, so without what is `digital`; the
 * subtotal is that of all goods before discounts, so that no discount makes the shipping dearer.
 */
import type { Amounts, Validity } from './rules.ts';

export const SHIPPING_METHODS_MAX = 200;
/** Bands of one zone. */
export const SHIPPING_BANDS_MAX = 50;

/** In days after the order, both included; 0 to 365. */
export interface DeliveryEstimate {
  readonly minDays: number;
  readonly maxDays: number;
}

/** A price for carts up to all the bounds that are given. */
export interface ShippingBand {
  readonly maxWeightGrams?: number;
  /** In a currency that is not named the band does not count. */
  readonly maxSubtotal?: Amounts;
  readonly maxItems?: number;
  readonly prices: Amounts;
}

export interface ShippingZone {
  /** null: everywhere that no zone before it names. Not looked at where `zone` is given. */
  readonly countries: readonly string[] | null;
  /** Id of a zone. */
  readonly zone?: string;
  /** Where there are no bands. */
  readonly prices: Amounts;
  /** The first that the cart keeps within counts; a cart past all of them is not served here. */
  readonly bands?: readonly ShippingBand[];
  /** From this subtotal on it costs nothing. */
  readonly freeFrom?: Amounts;
  /** In place of the method's. */
  readonly delivery?: DeliveryEstimate;
}

export interface ShippingMethod {
  readonly id: string;
  readonly name: string;
  readonly taxCategory: string;
  /** In order: the first zone that has the destination counts; without a destination the first of all (the store's home). */
  readonly zones: readonly ShippingZone[];
  readonly delivery?: DeliveryEstimate;
  readonly validity?: Validity;
  /** Left out: all. */
  readonly customerGroups?: readonly string[];
  readonly channels?: readonly string[];
  /**
   * The carrier's name for this service. At checkout the carrier is asked for the price; the zones say where the method goes, and
   * their prices are the fallback.
   */
  readonly carrierService?: string;
}
