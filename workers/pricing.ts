/**
 * A cart's price: a pure function of the price book and the request. No clock, no randomness, no floating-point fraction of money;
 * the order of the lines changes no total, and a second run gives the same bytes.
 *
 * It is computed in two steps, because the pool runs them on two threads. `figure` decides everything that is a number and
 * writes it down as a row of integers, with places in the book's and the request's lists instead of names; `readQuote` joins the
 * row with the names. `price` is one after the other. So what crosses between threads is not a second form of a quote that
 * could drift from the first: it is the first half of the only one.
 */
import { invariant } from '../runtime/fault.ts';
import { type Coupon, couponCode } from '../schema/coupon.ts';
import type { PriceBook, PriceTerms } from '../schema/price-book.ts';
import type { TaxRate } from '../schema/tax-rate.ts';
import { limitsOf } from './coupon-limits.ts';
import { LINES_MAX, QUANTITY_MAX } from './money.ts';
import { type AppliedCoupon, applyCoupons } from './promotion.ts';
import type { PriceRequest, Quote, QuotedDiscount, QuotedLine, QuotedShipping, QuotedTax } from './quote.ts';
import { chooseShipping, type ShippingRules } from './shipping.ts';
import { ratesAt, type TaxSums, taxLine } from './tax.ts';

/** What `figure` reads of a price book; a pricing thread has only this. */
export interface PricingView extends ShippingRules {
  readonly products: { get(sku: string): PriceTerms | undefined };
  readonly coupons: ReadonlyMap<string, Coupon>;
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

const PRICED = 0;
const WITHOUT_PRICE = 1;
const GONE = 2;
/** In place of a shipping method's place in the list. */
const NO_SHIPPING = -1;
const SHIPS_NOWHERE = -2;

/**
 * Appends the figures of one cart to `out`: for each line status, unit price, discount, tax and contained tax; then the number of
 * coupons and each one's place and amount; the shipping method's place, price, tax and contained tax; the number of
 * tax rates and each one's place, base and amount.
 */
export function figure(view: PricingView, request: PriceRequest, out: number[]): void {
  const { lines, currency, destination } = request;
  invariant(lines.length <= LINES_MAX, `a cart of at most ${LINES_MAX} lines is priced`);
  const ids: string[] = [];
  const terms: (PriceTerms | undefined)[] = [];
  const subtotals: number[] = [];
  const discounts: number[] = [];
  let sold = false;
  for (const { id, sku, quantity } of lines) {
    invariant(Number.isInteger(quantity) && quantity >= 1 && quantity <= QUANTITY_MAX, 'a quantity is 1 to 999');
    const product = view.products.get(sku);
    const unitPrice = product?.active ? product.prices[currency] : undefined;
    if (unitPrice !== undefined) sold = true;
    ids.push(id);
    terms.push(product);
    subtotals.push(unitPrice === undefined ? 0 : unitPrice * quantity);
    discounts.push(0);
  }
  const applied =
    request.coupons.length === 0
      ? []
      : applyCoupons(request.coupons, view.coupons, currency, ids, subtotals, discounts);
  const here = ratesAt(view.taxRates, destination);
  const sums: TaxSums = new Map();
  for (let i = 0; i < lines.length; i++) {
    const product = terms[i];
    const unitPrice = product?.active ? product.prices[currency] : undefined;
    if (product === undefined || unitPrice === undefined) {
      out.push(product?.active ? WITHOUT_PRICE : GONE, 0, 0, 0, 0);
      continue;
    }
    const discount = discounts[i] ?? 0;
    const tax = taxLine(view.taxRates, here, product.taxCategory, (subtotals[i] ?? 0) - discount, sums);
    out.push(PRICED, unitPrice, discount, tax.added, tax.included);
  }
  writeCoupons(applied, out);
  writeShipping(view, request, sold, here, sums, out);
  out.push(sums.size);
  const order = sums.size > 1 ? [...sums].sort(([a], [b]) => a - b) : sums;
  for (const [index, { base, amount }] of order) out.push(index, base, amount);
}

function writeCoupons(applied: readonly AppliedCoupon[], out: number[]): void {
  out.push(applied.length);
  for (const { position, amount } of applied) out.push(position, amount);
}

function writeShipping(
  view: PricingView,
  request: PriceRequest,
  sold: boolean,
  here: readonly number[],
  sums: TaxSums,
  out: number[],
): void {
  const { currency, destination, shippingMethod } = request;
  const choice = sold ? chooseShipping(view, currency, destination, shippingMethod) : null;
  const method = choice === null ? undefined : view.shippingMethods[choice.index];
  if (choice === null || method === undefined) {
    const wanted = sold && (shippingMethod !== null || view.store.defaultShipping !== null);
    out.push(wanted ? SHIPS_NOWHERE : NO_SHIPPING, 0, 0, 0);
    return;
  }
  const tax = taxLine(view.taxRates, here, method.taxCategory, choice.price, sums);
  out.push(choice.index, choice.price, tax.added, tax.included);
}

/** Reads figures one after the other; several carts' rows may follow each other in one array. */
export class FigureReader {
  readonly #figures: ArrayLike<number>;
  #at: number;

  constructor(figures: ArrayLike<number>, at = 0) {
    this.#figures = figures;
    this.#at = at;
  }

  /** True, and past it, where a cart's row is the mark of one that could not be figured (NaN). */
  skipFailed(): boolean {
    if (!Number.isNaN(this.#figures[this.#at])) return false;
    this.#at++;
    return true;
  }

  next(): number {
    const value = this.#figures[this.#at++];
    invariant(value !== undefined, 'a row of figures ended too early');
    return value;
  }
}

/** Joins one cart's figures with the names of the book and request that they were computed from. */
export function readQuote(book: PriceBook, request: PriceRequest, options: PriceOptions, figures: FigureReader): Quote {
  const warnings: string[] = [];
  const lines = request.lines.map((line): QuotedLine => {
    const status = figures.next();
    if (status !== PRICED) warnings.push(`${status === GONE ? 'sku_gone' : 'price_unavailable'}:${line.sku}`);
    const unitPrice = figures.next();
    const discount = figures.next();
    const tax = figures.next();
    const taxIncluded = figures.next();
    const subtotal = unitPrice * line.quantity;
    return {
      id: line.id,
      sku: line.sku,
      name: book.products.get(line.sku)?.name ?? line.sku,
      quantity: line.quantity,
      unitPrice,
      subtotal,
      discount,
      tax,
      taxIncluded,
      total: subtotal - discount + tax,
    };
  });
  const unpriced = warnings.length > 0;
  const discounts = readDiscounts(book, request, figures, warnings);
  const shippingIndex = figures.next();
  const shipping = readShipping(book, shippingIndex, figures);
  const method = shipping?.method ?? null;
  if (shippingIndex === SHIPS_NOWHERE || (method !== null && (request.shippingMethod ?? method) !== method)) {
    warnings.push(`shipping_unavailable:${request.shippingMethod ?? book.store.defaultShipping ?? ''}`);
  }
  const taxes = readTaxes(book, figures);
  let subtotal = 0;
  let discount = 0;
  let taxAdded = shipping?.tax ?? 0;
  let taxIncluded = shipping?.taxIncluded ?? 0;
  for (const line of lines) {
    subtotal += line.subtotal;
    discount += line.discount;
    taxAdded += line.tax;
    taxIncluded += line.taxIncluded;
  }
  const shippingPrice = shipping?.price ?? 0;
  const total = subtotal - discount + shippingPrice + taxAdded;
  invariant(Number.isSafeInteger(total) && total >= 0, 'a total is an integer of at least 0');
  return {
    bookVersion: book.version,
    currency: request.currency,
    lines,
    discounts,
    shipping,
    taxes,
    taxState: request.destination === null ? 'unknown' : options.final === true ? 'final' : 'estimated',
    subtotal,
    discount,
    shippingPrice,
    taxAdded,
    taxIncluded,
    total,
    ...limitsOf(book, discounts),
    ...(unpriced
      ? { blocked: 'price_unavailable' as const }
      : shippingIndex === SHIPS_NOWHERE
        ? { blocked: 'shipping_unavailable' as const }
        : undefined),
    warnings,
  };
}

function readDiscounts(
  book: PriceBook,
  request: PriceRequest,
  figures: FigureReader,
  warnings: string[],
): QuotedDiscount[] {
  const discounts: QuotedDiscount[] = [];
  for (let left = figures.next(); left > 0; left--) {
    const code = couponCode(request.coupons[figures.next()] ?? '');
    const amount = figures.next();
    if (amount > 0) discounts.push({ code, label: book.coupons.get(code)?.label ?? code, amount });
    else warnings.push(`coupon_not_applicable:${code}`);
  }
  return discounts;
}

function readShipping(book: PriceBook, index: number, figures: FigureReader): QuotedShipping | null {
  const price = figures.next();
  const tax = figures.next();
  const taxIncluded = figures.next();
  const method = book.shippingMethods[index];
  if (method === undefined) return null;
  return { method: method.id, price, tax, taxIncluded, total: price + tax };
}

function readTaxes(book: PriceBook, figures: FigureReader): QuotedTax[] {
  const taxes: QuotedTax[] = [];
  for (let left = figures.next(); left > 0; left--) {
    const rate = book.taxRates[figures.next()];
    const base = figures.next();
    const amount = figures.next();
    invariant(rate !== undefined, 'a quote names only tax rates of its book');
    taxes.push({ name: rate.name, ratePpm: rate.ratePpm, base, amount, included: rate.included });
  }
  return taxes;
}
