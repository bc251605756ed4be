/**
 * What is asked of pricing, and what it answers. Plain data, all amounts integers in the currency's minor unit, all rates
 * in parts per million (8.25 % = 82,500), so that nothing on the way is a floating-point fraction of money.
 */
export interface PriceLine {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
}

export interface Destination {
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  /** Second half of an ISO 3166-2 code ("TX"). */
  readonly region?: string;
  readonly postalCode?: string;
}

export interface PriceRequest {
  readonly currency: string;
  readonly lines: readonly PriceLine[];
  readonly destination: Destination | null;
  readonly coupons: readonly string[];
  /** The chosen method's id; null: the store's default counts. */
  readonly shippingMethod: string | null;
}

export interface QuotedLine {
  readonly id: string;
  readonly sku: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: number;
  readonly subtotal: number;
  readonly discount: number;
  /** Tax added on top. */
  readonly tax: number;
  /** Tax contained in the price. */
  readonly taxIncluded: number;
  /** `subtotal - discount + tax`. */
  readonly total: number;
}
export interface QuotedDiscount {
  readonly code: string;
  readonly label: string;
  readonly amount: number;
}
export interface QuotedTax {
  readonly name: string;
  readonly ratePpm: number;
  readonly base: number;
  readonly amount: number;
  readonly included: boolean;
}
export interface QuotedShipping {
  readonly method: string;
  readonly price: number;
  readonly tax: number;
  readonly taxIncluded: number;
  /** `price + tax`. */
  readonly total: number;
}

/** `total = subtotal - discount + shipping + taxAdded = Σ line.total + shipping.total`, always. */
export interface Quote {
  readonly bookVersion: number;
  readonly currency: string;
  readonly lines: readonly QuotedLine[];
  readonly discounts: readonly QuotedDiscount[];
  readonly shipping: QuotedShipping | null;
  readonly taxes: readonly QuotedTax[];
  /** `unknown`: no destination yet; `estimated`: country (and region) known; `final`: priced for a full address at checkout. */
  readonly taxState: 'unknown' | 'estimated' | 'final';
  readonly subtotal: number;
  readonly discount: number;
  /** The shipping price without its tax. */
  readonly shippingPrice: number;
  readonly taxAdded: number;
  readonly taxIncluded: number;
  readonly total: number;
  /**
   * Present where this quote must not become an order: a line has no price (its amounts are 0 and a warning names it), or nothing
   * ships what is in the cart to the destination.
   */
  readonly blocked?: 'price_unavailable' | 'shipping_unavailable';
  /** Codes such as `coupon_not_applicable:SAVE10`, `price_unavailable:SKU`, `sku_gone:SKU`, `shipping_unavailable:express`. */
  readonly warnings: readonly string[];
}
