/**
 * A cart's price: a pure function of the price book and the request. No clock, no randomness, no floating-point fraction of money;
 * the order of the lines changes no total, and a second run gives the same bytes.
 *
 * It is computed in two steps, because the pool runs them on two threads. `figure` decides everything that is a number and
 * writes it down as a row of integers (`figures.ts`), with places in the book's and the request's lists instead of names; `readQuote` joins the
 * row with the names. `price` is one after the other. So what crosses between threads is not a second form of a quote that
 * could drift from the first: it is the first half of the only one.
 *
 * The steps: unit prices (`price-lookup.ts`), converted where the market is another (`tax.ts`); promotions and coupons
 * (`promotion.ts`); shipping (`shipping.ts`); taxes on what is left (`tax.ts`).
 */
import { invariant } from '../runtime/fault.ts';
import type { PriceBook, PriceTerms } from '../schema/price-book.ts';
import type { PriceList } from '../schema/price-list.ts';
import type { PriceTaxes } from '../schema/rules.ts';
import type { TaxRate } from '../schema/tax-rate.ts';
import {
  DISCOUNTED,
  EXPLAINED,
  FigureReader,
  GONE,
  NO_SHIPPING,
  NONE,
  PRICED,
  SHIPS_NOWHERE,
  WITHOUT_PRICE,
} from './figures.ts';
import { type GoodsLine, type Parcel, parcelOf } from './goods.ts';
import { LINES_MAX, QUANTITY_MAX, type RoundingMode, split } from './money.ts';
import { type FoundPrice, findPrice, OWN_PRICE, openLists } from './price-lookup.ts';
import { type Applied, offShipping, type Promoted, type PromotionRules, promote, type Trace } from './promotion.ts';
import type { PriceRequest, Quote } from './quote.ts';
import { readQuote } from './quoting.ts';
import { chooseShipping, type ShippingChoice, type ShippingRules, wantsShipping } from './shipping.ts';
import { convert, PER_LINE, type Taxed, TaxSums, taxAll } from './tax.ts';
import { NOWHERE, type TaxPlace, type TaxSet, taxPlace } from './tax-place.ts';

/** What `figure` reads of a price book; a pricing thread has only this. */
export interface PricingView extends ShippingRules, PromotionRules {
  readonly products: { get(sku: string): PriceTerms | undefined };
  readonly priceLists: readonly PriceList[];
  readonly taxRates: readonly TaxRate[];
}

export interface PriceOptions {
  /** True: priced for a full address at checkout. Default false. */
  readonly final?: boolean;
}

/** @throws Fault `internal` on a request that passes the limits of `money.ts`; the edge lets none through. */
export function price(book: PriceBook, request: PriceRequest, options: PriceOptions = {}): Quote {
  const row: number[] = [];
  figure(book, request, row);
  return readQuote(book, request, options, new FigureReader(row));
}

/** Appends the figures of one cart to `out`. `trace` hears of every promotion that was looked at. */
export function figure(view: PricingView, request: PriceRequest, out: number[], trace?: Trace): void {
  const place = taxPlace(view.taxRates, view.zones, request.destination, request.at ?? 0, request.exemption);
  const rounding = view.store.taxRounding ?? PER_LINE;
  const lines = goodsOf(view, request, place, rounding.mode);
  const parcel = parcelOf(lines);
  const choice = shippingFor(view, request, place, rounding.mode, parcel);
  const promoted = promote(view, request, lines, choice, trace);
  const offs = shippingOffs(view, request, choice, promoted.applied);
  let shippingPrice = choice?.price ?? 0;
  for (const off of offs) shippingPrice -= off;
  for (const line of lines) line.price = line.left;
  const parts = choice === null ? NO_PARTS : shippingParts(view, place, choice, shippingPrice, lines);
  const sums = new TaxSums();
  taxAll(lines, parts, rounding, sums);
  writePromotions(promoted, offs, out);
  for (const line of lines) writeLine(view, request, line, out);
  out.push(promoted.idle.length);
  for (const position of promoted.idle) out.push(position);
  writeShipping(view, request, parcel, choice, shippingPrice, parts, out);
  sums.write(out);
}

const NO_PARTS: readonly Taxed[] = Object.freeze([]);
const NO_OFFS: readonly number[] = Object.freeze([]);
const UNTAXED = NOWHERE.of('');

function goodsOf(view: PricingView, request: PriceRequest, place: TaxPlace, mode: RoundingMode): GoodsLine[] {
  const { lines } = request;
  invariant(lines.length <= LINES_MAX, 'a cart has at most 200 lines');
  const open = openLists(view.priceLists, request);
  const goods: GoodsLine[] = [];
  for (const line of lines) {
    const { id, sku, quantity } = line;
    invariant(Number.isInteger(quantity) && quantity >= 1 && quantity <= QUANTITY_MAX, 'a quantity is 1 to 999');
    const product = view.products.get(sku);
    const at = product?.active ? findPrice(view, product, line, open, request) : null;
    const sold = at !== null && product !== undefined;
    const set = sold ? place.of(product.taxCategory) : UNTAXED;
    const unitPrice = sold ? marketPrice(at.amount, at.taxes, view, request, product, set, mode) : 0;
    const subtotal = unitPrice * quantity;
    goods.push({
      id,
      sku,
      quantity,
      product: sold ? product : undefined,
      found: at,
      unitPrice,
      subtotal,
      onSale: sold && at.sale,
      set,
      left: subtotal,
      discounts: null,
      price: 0,
      added: 0,
      included: 0,
    });
  }
  return goods;
}

/** A stored price as it is in the destination's market: without a destination as it stands. */
function marketPrice(
  amount: number,
  taxes: PriceTaxes,
  view: PricingView,
  request: PriceRequest,
  product: PriceTerms,
  set: TaxSet,
  mode: RoundingMode,
): number {
  switch (taxes.kind) {
    case 'as_rate':
      return set.spared.length === 0 ? amount : convert(amount, set.listedFactor, set.factor, mode);
    case 'net':
      return convert(amount, null, set.factor, mode);
    case 'gross': {
      if (request.destination === null) return amount;
      const home = taxPlace(view.taxRates, view.zones, taxes.home, request.at ?? 0);
      return convert(amount, home.of(product.taxCategory).grossFactor, set.factor, mode);
    }
  }
}

/** The choice with its price as it is in the destination's market: an exempt buyer does not pay the tax contained in it. */
function shippingFor(
  view: PricingView,
  request: PriceRequest,
  place: TaxPlace,
  mode: RoundingMode,
  parcel: Parcel,
): ShippingChoice | null {
  const choice = chooseShipping(view, request, parcel);
  if (choice === null || !request.exemption) return choice;
  const set = place.of(view.shippingMethods[choice.index]?.taxCategory ?? '');
  return { ...choice, price: convert(choice.price, set.listedFactor, set.factor, mode) };
}

/** What each applied promotion takes off the shipping; empty: none does. */
function shippingOffs(
  view: PricingView,
  request: PriceRequest,
  choice: ShippingChoice | null,
  applied: readonly Applied[],
): readonly number[] {
  if (choice === null || !applied.some(({ shipping }) => shipping !== null)) return NO_OFFS;
  const method = view.shippingMethods[choice.index]?.id ?? '';
  let left = choice.price;
  return applied.map(({ shipping }) => {
    const off = shipping === null ? 0 : offShipping(shipping, method, left, request.currency);
    left -= off;
    return off;
  });
}

/** The shipping as what it is taxed as: as its method says, or as the goods in it. */
function shippingParts(
  view: PricingView,
  place: TaxPlace,
  { index }: ShippingChoice,
  price: number,
  lines: readonly GoodsLine[],
): readonly Taxed[] {
  const own = view.shippingMethods[index]?.taxCategory ?? '';
  if (view.store.shippingTaxedAs !== 'goods') return [taxedPart(place, '~', own, price)];
  const costs = new Map<string, number>();
  for (const { product, left } of lines) {
    if (product === undefined || product.digital === true || left === 0) continue;
    costs.set(product.taxCategory, (costs.get(product.taxCategory) ?? 0) + left);
  }
  const categories = [...costs.keys()].sort();
  if (categories.length === 0) return [taxedPart(place, '~', own, price)];
  const weights = categories.map((category) => costs.get(category) ?? 0);
  const prices = split(price, weights, categories);
  return categories.map((category, i) => taxedPart(place, `~${category}`, category, prices[i] ?? 0));
}

/** `~` is after all ids of lines, so that among equal remainders a line comes first. */
function taxedPart(place: TaxPlace, id: string, category: string, amount: number): Taxed {
  return { id, set: place.of(category), price: amount, added: 0, included: 0 };
}

function writeLine(view: PricingView, request: PriceRequest, line: GoodsLine, out: number[]): void {
  const { found } = line;
  if (found === null || line.product === undefined) {
    out.push(view.products.get(line.sku)?.active ? WITHOUT_PRICE : GONE, 0, 0, 0, 0);
    return;
  }
  const { unitPrice, discounts } = line;
  const plain = found.list === OWN_PRICE && !found.sale && found.amount === unitPrice;
  const marks = (plain ? 0 : EXPLAINED) + (discounts === null ? 0 : DISCOUNTED);
  out.push(PRICED + marks, unitPrice, line.subtotal - line.left, line.added, line.included);
  if (!plain) {
    const compareAt =
      found.compareAt < 0 || found.amount === unitPrice ? found.compareAt : compareAtOf(view, request, line, found);
    out.push(found.list, found.tier, compareAt, found.sale ? 1 : 0, found.amount);
  }
  if (discounts === null) return;
  out.push(discounts.length / 3);
  for (const figureOf of discounts) out.push(figureOf);
}

function compareAtOf(view: PricingView, request: PriceRequest, line: GoodsLine, found: FoundPrice): number {
  const mode = (view.store.taxRounding ?? PER_LINE).mode;
  const { product, set } = line;
  if (product === undefined) return NONE;
  return marketPrice(found.compareAt, found.taxes, view, request, product, set, mode);
}

function writePromotions({ applied }: Promoted, offs: readonly number[], out: number[]): void {
  out.push(applied.length);
  for (let i = 0; i < applied.length; i++) {
    const { ready, coupon, amount, gift } = applied[i] as Applied;
    out.push(ready?.place ?? NONE, coupon, amount, offs[i] ?? 0, gift ? 1 : 0);
  }
}

function writeShipping(
  view: PricingView,
  request: PriceRequest,
  parcel: Parcel,
  choice: ShippingChoice | null,
  price: number,
  parts: readonly Taxed[],
  out: number[],
): void {
  if (choice === null) {
    out.push(wantsShipping(view.store, request, parcel) ? SHIPS_NOWHERE : NO_SHIPPING, NONE, 0, 0, 0, 0, 0);
    return;
  }
  let added = 0;
  let included = 0;
  for (const part of parts) {
    added += part.added;
    included += part.included;
  }
  out.push(choice.index, choice.zone, price, choice.price, added, included, choice.byCarrier ? 1 : 0);
}
