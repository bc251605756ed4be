/**
 * What is asked of pricing, and what it answers. Plain data, all amounts integers in the currency's minor unit, all rates
 * in parts per million (8.25 % = 82,500), so that nothing on the way is a floating-point fraction of money.
 *
 * Both are also kept (requests as effects, quotes in orders), so what came later is optional: a field that is left out has the
 * meaning that stands beside it, and of a plain cart all those fields are left out.
 */
export interface PriceLine {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  /** The unit price that a held line keeps; see `QuotedLine.price`, where it comes from. Left out: priced by the book. */
  readonly locked?: LockedPrice;
}

/** A unit price as the book had it when the hold was taken, before any conversion of taxes. */
export interface LockedPrice {
  readonly unitPrice: number;
  /** The price list that it came from; null: the product's own price. The list may be gone by now. */
  readonly list: string | null;
  /** Left out: 1. */
  readonly tier?: number;
  /** A former or usual price, above `unitPrice`. */
  readonly compareAt?: number;
  /** True: the goods are on sale. Left out: where there is a `compareAt`. */
  readonly sale?: boolean;
}

export interface Destination {
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  /** Second half of an ISO 3166-2 code ("TX"). */
  readonly region?: string;
  readonly postalCode?: string;
}

/** Personal data, encrypted under the key of its subject (`schema/subjects.ts`); opaque to pricing and to actors. */
export interface SealedText {
  readonly subject: string;
  /** In base64url. */
  readonly sealed: string;
}

/**
 * A buyer who owes the store no tax. Whether the id is valid was decided before; pricing believes it. `exempt` spares all rates that
 * are `exemptible`, `reverse_charge` those that are marked for it.
 */
export interface TaxExemption {
  readonly kind: 'exempt' | 'reverse_charge';
  /** Certificate or VAT number, as the invoice shows it. It may name a person, so what is kept has it sealed; pricing does not look at it. */
  readonly id: string | SealedText;
  /** Where it holds; left out: everywhere. */
  readonly countries?: readonly string[];
}

export interface PriceRequest {
  readonly currency: string;
  readonly lines: readonly PriceLine[];
  readonly destination: Destination | null;
  readonly coupons: readonly string[];
  /** The chosen method's id; null: the store's default counts. */
  readonly shippingMethod: string | null;
  /**
   * When, in milliseconds since 1970: decides which rules hold and which price changes have come. The caller says it, so that a
   * price is a function of what is asked. Left out (requests kept by earlier versions): 0.
   */
  readonly at?: number;
  /** Left out or null: in none. */
  readonly customerGroup?: string | null;
  /** Left out or null: none. */
  readonly channel?: string | null;
  /** True: known to be a customer's first order. Left out: not known, which is as false. */
  readonly firstOrder?: boolean;
  readonly exemption?: TaxExemption | null;
  /** Promotions whose gift is not to be given (it is out of stock). */
  readonly withoutGifts?: readonly string[];
  /** What carriers ask, by method id, in the request's currency; in place of the price that the method's zone says. */
  readonly carrierPrices?: Readonly<Record<string, number>>;
}

/** Where a unit price comes from. */
export interface ExplainedPrice {
  /** The price list's id; null: the product's own price. */
  readonly list: string | null;
  /** The tier's quantity; 1: the price of one. */
  readonly tier: number;
  /** In the same terms as the unit price that is shown. */
  readonly compareAt?: number;
  readonly sale?: boolean;
  /** True: it was locked by a hold. Left out: false. */
  readonly locked?: boolean;
  /** As stored, where the unit price shown was converted between prices with and without tax. Left out: the same. */
  readonly listed?: number;
}

/** What a promotion took off one line, or off the shipping. */
export interface LineDiscount {
  /** The promotion's id; of a coupon with terms of its own `coupon:` and its code. */
  readonly promotion: string;
  /** The coupon that opened it. Left out: it is automatic. */
  readonly code?: string;
  readonly label: string;
  readonly amount: number;
  /** By what kind of action, in how many of the line's units where it counts units. */
  readonly why: DiscountReason;
  readonly units?: number;
}
export type DiscountReason = 'percent' | 'amount' | 'fixed_price' | 'buy_get' | 'tiers' | 'shipping' | 'gift';

export interface QuotedLine {
  readonly id: string;
  readonly sku: string;
  /** Left out: `item`. A gift's id is `gift_` and its promotion's id; it is in no request. All its amounts are 0. */
  readonly kind?: 'item' | 'gift';
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
  /** Left out: the product's own price, for one, nothing to compare it with. */
  readonly price?: ExplainedPrice;
  /** They add up to `discount`. Left out: none. Of a gift: the promotion that gives it, with amount 0. */
  readonly discounts?: readonly LineDiscount[];
}
/** What one promotion or coupon did to the whole cart. */
export interface QuotedDiscount {
  /** The coupon's code; of an automatic promotion its id. */
  readonly code: string;
  readonly label: string;
  /** Taken off the goods. */
  readonly amount: number;
  /** Left out: a coupon with terms of its own. */
  readonly promotion?: string;
  /** Taken off the shipping, whose price is already less by it. Left out: 0. */
  readonly shippingAmount?: number;
}
export interface QuotedTax {
  readonly name: string;
  readonly ratePpm: number;
  readonly base: number;
  readonly amount: number;
  readonly included: boolean;
  /** The rate's id. Left out: by an outside provider, or an order of an earlier version. */
  readonly id?: string;
  /** Why nothing is owed although the rate fits. */
  readonly exempt?: TaxExemption['kind'];
}
export interface QuotedShipping {
  readonly method: string;
  /** After what promotions took off. */
  readonly price: number;
  readonly tax: number;
  readonly taxIncluded: number;
  /** `price + tax`. */
  readonly total: number;
  /** Before promotions. Left out: as `price`. */
  readonly listPrice?: number;
  /** They add up to `listPrice - price`. Left out: none. */
  readonly discounts?: readonly LineDiscount[];
  /** Days after the order, both included. */
  readonly delivery?: { readonly minDays: number; readonly maxDays: number };
  /** True: the carrier's own price. Left out: the table's. */
  readonly byCarrier?: boolean;
}

/** Who said what the taxes are. */
export interface TaxSource {
  /** `table`: the rates of the book. */
  readonly provider: string;
  /** Why the table answered though a provider is configured. */
  readonly fallback?: 'timeout' | 'unavailable' | 'invalid';
}

/** A coupon that took part, and how often it may be used: see the coupon actor. */
export interface QuotedLimit {
  readonly code: string;
  /** Orders in all. Left out: no limit. */
  readonly total?: number;
  /** Orders of one customer. Left out: no limit. */
  readonly perCustomer?: number;
}

/**
 * `total = subtotal - discount + shipping + taxAdded = Σ line.total + shipping.total`, always; `discount = Σ line.discount =
 * Σ discounts.amount`.
 */
export interface Quote {
  readonly bookVersion: number;
  readonly currency: string;
  /** In the order of the request; gifts follow, by promotion id. */
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
  /** Left out: the table, and no provider was asked. */
  readonly taxSource?: TaxSource;
  /** As asked for, where it spared a tax, or where a tax provider was told of it. */
  readonly exemption?: TaxExemption;
  /**
   * The instant (milliseconds since 1970) from which on the same request by the same book may come to something else. Left out:
   * nothing in the book changes by itself.
   */
  readonly changesAt?: number;
  /** Of the coupons that took part and whose uses are limited. Left out: none is. */
  readonly limits?: readonly QuotedLimit[];
  /** True: a promotion for first orders took part. Left out: none. */
  readonly firstOrder?: boolean;
  /**
   * Present where this quote must not become an order: a line has no price (its amounts are 0 and a warning names it), or nothing
   * ships what is in the cart to the destination.
   */
  readonly blocked?: 'price_unavailable' | 'shipping_unavailable';
  /** Codes such as `coupon_not_applicable:SAVE10`, `price_unavailable:SKU`, `sku_gone:SKU`, `shipping_unavailable:express`. */
  readonly warnings: readonly string[];
}
