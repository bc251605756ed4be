/**
 * Why a cart costs what it costs: the quote, and beside it what was looked at on the way and why it counted or did not. Nothing is
 * decided here: the quote is that of `pricing.ts`, promotions are told by its own trace, and every reason is what the engine's own
 * conditions say of the same request.
 */
import { couponCode } from '../schema/coupon.ts';
import type { PriceBook } from '../schema/price-book.ts';
import type { PriceList, PriceListEntry } from '../schema/price-list.ts';
import { PRIORITY_DEFAULT } from '../schema/promotion.ts';
import type { ShippingMethod } from '../schema/shipping-method.ts';
import type { TaxRate } from '../schema/tax-rate.ts';
import { inZone } from '../schema/zone.ts';
import { FigureReader } from './figures.ts';
import type { Parcel } from './goods.ts';
import { isAmong, isValid, openLists } from './price-lookup.ts';
import { figure, type PriceOptions } from './pricing.ts';
import type { Because } from './promotion.ts';
import type { PriceRequest, Quote, QuotedLine } from './quote.ts';
import { readQuote } from './quoting.ts';
import { offerOf, zoneAt } from './shipping.ts';

/** Why a rule is not open to a cart, whatever is in it. */
export type Shut = 'currency' | 'not_valid_now' | 'customer_group' | 'channel';

export interface ExplainedList {
  readonly list: string;
  readonly because: Shut | 'open';
}
export interface ExplainedLookup {
  /** null: the product's own price. */
  readonly list: string | null;
  readonly because: 'chosen' | 'sku_not_listed' | 'no_price' | 'after_chosen';
  /** Tiers of the chosen price by the units they begin with; 1: the price of one. */
  readonly tiers?: readonly {
    readonly from: number;
    readonly because: 'chosen' | 'not_reached' | 'lower_than_chosen';
  }[];
}
export interface ExplainedLine {
  readonly id: string;
  readonly sku: string;
  readonly because: 'priced' | 'locked_by_hold' | 'sku_gone' | 'price_unavailable';
  /** In the order in which they were looked at. */
  readonly prices: readonly ExplainedLookup[];
}
export interface ExplainedPromotion {
  readonly promotion: string;
  readonly label: string;
  readonly because: Because | 'inactive' | 'no_coupon' | 'needs_other_goods' | 'replaced';
}
export interface ExplainedCoupon {
  readonly code: string;
  readonly because: Because | 'unknown' | 'opens_promotion';
}
export interface ExplainedTax {
  readonly rate: string;
  readonly because: 'applies' | 'exempt' | 'not_valid_now' | 'destination' | 'category';
}
export interface ExplainedShipping {
  readonly method: string;
  readonly because: 'chosen' | 'offered' | Shut | 'destination' | 'no_price' | 'past_all_bands' | 'nothing_to_ship';
  /** Before promotions and tax. */
  readonly price?: number;
}
export interface Explanation {
  readonly priceLists: readonly ExplainedList[];
  readonly lines: readonly ExplainedLine[];
  /** In the order in which they apply. */
  readonly promotions: readonly ExplainedPromotion[];
  readonly coupons: readonly ExplainedCoupon[];
  /** Rates of the destination's country. */
  readonly taxes: readonly ExplainedTax[];
  /** In the order in which they are offered. */
  readonly shipping: readonly ExplainedShipping[];
}

export function explain(
  book: PriceBook,
  request: PriceRequest,
  options: PriceOptions = {},
): { readonly quote: Quote; readonly explanation: Explanation } {
  const row: number[] = [];
  const traced = new Map<string, Because>();
  figure(book, request, row, (id, because) => traced.set(id, because));
  const quote = readQuote(book, request, options, new FigureReader(row));
  const explanation: Explanation = {
    priceLists: inOrder(book.priceLists).map((list) => ({ list: list.id, because: shut(list, request) ?? 'open' })),
    lines: linesOf(book, request, quote),
    promotions: promotionsOf(book, request, traced),
    coupons: couponsOf(book, request, traced),
    taxes: taxesOf(book, request, quote),
    shipping: shippingOf(book, request, quote),
  };
  return { quote, explanation };
}

function inOrder<Rule extends { readonly id: string; readonly priority?: number }>(rules: readonly Rule[]): Rule[] {
  const priority = (rule: Rule) => rule.priority ?? PRIORITY_DEFAULT;
  return [...rules].sort((a, b) => priority(a) - priority(b) || (a.id < b.id ? -1 : 1));
}

function shut(rule: Partial<PriceList> | ShippingMethod, request: PriceRequest): Shut | null {
  if ('currency' in rule && rule.currency !== request.currency) return 'currency';
  if (!isValid(rule.validity, request.at ?? 0)) return 'not_valid_now';
  if (!isAmong(rule.customerGroups, request.customerGroup)) return 'customer_group';
  return isAmong(rule.channels, request.channel) ? null : 'channel';
}

function linesOf(book: PriceBook, request: PriceRequest, quote: Quote): ExplainedLine[] {
  const open = openLists(book.priceLists, request);
  return request.lines.map(({ id, sku, locked }, i): ExplainedLine => {
    const quoted = quote.lines[i] as QuotedLine;
    if (locked !== undefined) return { id, sku, because: 'locked_by_hold', prices: [] };
    const product = book.products.get(sku);
    if (!product?.active) return { id, sku, because: 'sku_gone', prices: [] };
    const unpriced = quote.warnings.includes(`price_unavailable:${sku}`);
    // A plain quote leaves it out: the product's own price.
    const chosen = unpriced ? undefined : (quoted.price?.list ?? null);
    const prices: ExplainedLookup[] = [];
    let found = false;
    for (const { list, entries } of open) {
      const entry = entries.get(sku);
      if (entry === undefined) prices.push({ list: list.id, because: 'sku_not_listed' });
      else if (found || list.id !== chosen) prices.push({ list: list.id, because: 'after_chosen' });
      else {
        found = true;
        prices.push({ list: list.id, because: 'chosen', ...tiersOf(entry, request.at ?? 0, quoted.price?.tier ?? 1) });
      }
    }
    const own = product.prices[request.currency] === undefined ? 'no_price' : found ? 'after_chosen' : 'chosen';
    prices.push({ list: null, because: own });
    return { id, sku, because: unpriced ? 'price_unavailable' : 'priced', prices };
  });
}

function tiersOf(entry: PriceListEntry, at: number, chosen: number): Pick<ExplainedLookup, 'tiers'> {
  const { tiers } = (entry.changes ?? []).filter((change) => change.at <= at).at(-1) ?? entry;
  if (tiers === undefined) return {};
  const because = (from: number) => (from === chosen ? 'chosen' : from < chosen ? 'lower_than_chosen' : 'not_reached');
  return { tiers: [1, ...tiers.map(({ from }) => from)].map((from) => ({ from, because: because(from) })) };
}

function promotionsOf(
  book: PriceBook,
  request: PriceRequest,
  traced: ReadonlyMap<string, Because>,
): ExplainedPromotion[] {
  const opened = new Set(
    request.coupons.flatMap((typed) => {
      const coupon = book.coupons.get(couponCode(typed));
      return coupon?.kind === 'promotion' ? [coupon.promotion] : [];
    }),
  );
  return inOrder(book.promotions).map(({ id, label, active, trigger }): ExplainedPromotion => {
    const because = (): ExplainedPromotion['because'] => {
      if (active === false) return 'inactive';
      if (trigger === 'coupon' && !opened.has(id)) return 'no_coupon';
      // One that cannot do anything with these goods is not even looked at.
      return traced.get(id) ?? 'needs_other_goods';
    };
    return { promotion: id, label, because: because() };
  });
}

function couponsOf(book: PriceBook, request: PriceRequest, traced: ReadonlyMap<string, Because>): ExplainedCoupon[] {
  const codes = new Set(request.coupons.map(couponCode));
  return [...codes].sort().map((code): ExplainedCoupon => {
    const coupon = book.coupons.get(code);
    if (coupon === undefined) return { code, because: 'unknown' };
    const because = traced.get(`coupon:${code}`);
    return { code, because: because ?? (coupon.kind === 'promotion' ? 'opens_promotion' : 'took_nothing') };
  });
}

function taxesOf(book: PriceBook, request: PriceRequest, quote: Quote): ExplainedTax[] {
  const { destination } = request;
  if (destination === null) return [];
  const counted = new Map(
    quote.taxes.map(({ id, exempt }) => [id, exempt === undefined ? 'applies' : 'exempt'] as const),
  );
  const zoneOf = (rate: TaxRate) => ('zone' in rate ? book.zones.get(rate.zone) : undefined);
  const isHere = (rate: TaxRate): boolean => {
    if (!('zone' in rate)) return rate.region === null || rate.region === destination.region;
    const zone = zoneOf(rate);
    return zone !== undefined && inZone(zone, destination);
  };
  const inCountry = (rate: TaxRate): boolean => {
    if (!('zone' in rate)) return rate.country === destination.country;
    return zoneOf(rate)?.parts.some(({ country }) => country === destination.country) === true;
  };
  return book.taxRates.filter(inCountry).map((rate): ExplainedTax => {
    const because = () => {
      if (!isHere(rate)) return 'destination';
      return isValid(rate.validity, request.at ?? 0) ? 'category' : 'not_valid_now';
    };
    return { rate: rate.id, because: counted.get(rate.id) ?? because() };
  });
}

function shippingOf(book: PriceBook, request: PriceRequest, quote: Quote): ExplainedShipping[] {
  const parcel = parcelIn(book, quote);
  return book.shippingMethods.map((method, index): ExplainedShipping => {
    const { id } = method;
    if (parcel.items === 0) return { method: id, because: 'nothing_to_ship' };
    const offer = offerOf(book, method, index, request, parcel);
    if (offer !== null) {
      const chosen = quote.shipping?.method === id;
      return { method: id, because: chosen ? 'chosen' : 'offered', price: offer.price };
    }
    const zone = method.zones[zoneAt(method, book.zones, request.destination)];
    const because = shut(method, request) ?? (zone === undefined ? 'destination' : null);
    return { method: id, because: because ?? (zone?.bands === undefined ? 'no_price' : 'past_all_bands') };
  });
}

/** What the engine asked shipping for. */
function parcelIn(book: PriceBook, quote: Quote): Parcel {
  let subtotal = 0;
  let weightGrams = 0;
  let items = 0;
  for (const { sku, kind, quantity, subtotal: price, discount } of quote.lines) {
    const product = book.products.get(sku);
    const unpriced = quote.warnings.some(
      (warning) => warning === `price_unavailable:${sku}` || warning === `sku_gone:${sku}`,
    );
    if (product === undefined || kind === 'gift' || unpriced) continue;
    subtotal += price - discount;
    if (product.digital === true) continue;
    items += quantity;
    weightGrams += (product.weightGrams ?? 0) * quantity;
  }
  return { subtotal, weightGrams, items };
}
