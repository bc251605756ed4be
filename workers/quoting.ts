/**
 * From figures to a quote: joins one cart's row with the names of the book and request that it was computed from. It decides
 * no amount; it adds up, and says what things are called. Fields that a plain cart has no use for are left out.
 */
import { invariant } from '../runtime/fault.ts';
import { couponCode } from '../schema/coupon.ts';
import type { PriceBook } from '../schema/price-book.ts';
import type { Promotion } from '../schema/promotion.ts';
import { limitsOf } from './coupon-limits.ts';
import { DISCOUNTED, EXPLAINED, type FigureReader, GONE, NONE, PRICED, SHIPS_NOWHERE, STATUS } from './figures.ts';
import { LOCKED_PRICE, OWN_PRICE, ownAmount } from './price-lookup.ts';
import type { PriceOptions } from './pricing.ts';
import type {
  DiscountReason,
  ExplainedPrice,
  LineDiscount,
  PriceLine,
  PriceRequest,
  Quote,
  QuotedDiscount,
  QuotedLine,
  QuotedShipping,
  QuotedTax,
} from './quote.ts';
import { nextChange } from './rule-instants.ts';
import { spares } from './tax-place.ts';

/** One that was applied, by name; lines refer to it by its place. */
interface Source {
  readonly promotion: Promotion | null;
  readonly why: DiscountReason;
  readonly id: string;
  readonly code: string | null;
  readonly label: string;
  readonly amount: number;
  readonly shippingAmount: number;
  readonly gift: boolean;
}

/** As `T` while it is made. */
type Open<T> = { -readonly [Name in keyof T]: T[Name] };

export function readQuote(book: PriceBook, request: PriceRequest, options: PriceOptions, figures: FigureReader): Quote {
  const warnings: string[] = [];
  const sources = readSources(book, request, figures);
  const lines: QuotedLine[] = [];
  let subtotal = 0;
  let discount = 0;
  let taxAdded = 0;
  let taxIncluded = 0;
  for (const asked of request.lines) {
    const line = readLine(book, asked, figures, sources, warnings);
    lines.push(line);
    subtotal += line.subtotal;
    discount += line.discount;
    taxAdded += line.tax;
    taxIncluded += line.taxIncluded;
  }
  const unpriced = warnings.length > 0;
  if (sources.length > 0) addGifts(book, request, lines, sources);
  const discounts = discountsOf(sources, warnings);
  for (let left = figures.next(); left > 0; left--) {
    warnings.push(`coupon_not_applicable:${couponCode(request.coupons[figures.next()] ?? '')}`);
  }
  const shippingIndex = figures.next();
  const shipping = readShipping(book, shippingIndex, figures, sources);
  const method = shipping?.method ?? null;
  if (shippingIndex === SHIPS_NOWHERE || (method !== null && (request.shippingMethod ?? method) !== method)) {
    warnings.push(`shipping_unavailable:${request.shippingMethod ?? book.store.defaultShipping ?? ''}`);
  }
  const taxes = readTaxes(book, request, figures);
  let shippingPrice = 0;
  if (shipping !== null) {
    shippingPrice = shipping.price;
    taxAdded += shipping.tax;
    taxIncluded += shipping.taxIncluded;
  }
  const total = subtotal - discount + shippingPrice + taxAdded;
  invariant(Number.isSafeInteger(total) && total >= 0, 'a total is an integer of at least 0');
  const quote: Open<Quote> = {
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
    warnings,
  };
  const { exemption } = request;
  if (exemption && taxes.some(({ exempt }) => exempt !== undefined)) quote.exemption = exemption;
  const { limits, firstOrder } = limitsOf(book, discounts);
  if (limits !== undefined) quote.limits = limits;
  if (firstOrder !== undefined) quote.firstOrder = firstOrder;
  const changesAt = nextChange(book, request.at ?? 0);
  if (changesAt !== undefined) quote.changesAt = changesAt;
  if (unpriced) quote.blocked = 'price_unavailable';
  else if (shippingIndex === SHIPS_NOWHERE) quote.blocked = 'shipping_unavailable';
  return quote;
}

function readLine(
  book: PriceBook,
  line: PriceLine,
  figures: FigureReader,
  sources: readonly Source[],
  warnings: string[],
): QuotedLine {
  const marks = figures.next();
  const status = marks & STATUS;
  if (status !== PRICED) warnings.push(`${status === GONE ? 'sku_gone' : 'price_unavailable'}:${line.sku}`);
  const { id, sku, quantity } = line;
  const unitPrice = figures.next();
  const discount = figures.next();
  const tax = figures.next();
  const taxIncluded = figures.next();
  const subtotal = unitPrice * quantity;
  const quoted: Open<QuotedLine> = {
    id,
    sku,
    name: book.products.get(sku)?.name ?? sku,
    quantity,
    unitPrice,
    subtotal,
    discount,
    tax,
    taxIncluded,
    total: subtotal - discount + tax,
  };
  if ((marks & EXPLAINED) !== 0) quoted.price = readPrice(book, line, unitPrice, figures);
  if ((marks & DISCOUNTED) !== 0) {
    const discounts: LineDiscount[] = [];
    for (let left = figures.next(); left > 0; left--) {
      const source = sources[figures.next()];
      invariant(source !== undefined, 'a line names only promotions that were applied');
      discounts.push(lineDiscount(source, figures.next(), figures.next()));
    }
    quoted.discounts = discounts;
  }
  return quoted;
}

function readPrice(book: PriceBook, line: PriceLine, unitPrice: number, figures: FigureReader): ExplainedPrice {
  const list = figures.next();
  const tier = figures.next();
  const compareAt = figures.next();
  const sale = figures.next() === 1;
  const listed = figures.next();
  const locked = list === LOCKED_PRICE;
  const id = locked ? (line.locked?.list ?? null) : list === OWN_PRICE ? null : (book.priceLists[list]?.id ?? null);
  const price: Open<ExplainedPrice> = { list: id, tier };
  if (compareAt >= 0) price.compareAt = compareAt;
  if (sale) price.sale = true;
  if (locked) price.locked = true;
  if (listed !== unitPrice) price.listed = listed;
  return price;
}

function readSources(book: PriceBook, request: PriceRequest, figures: FigureReader): Source[] {
  const sources: Source[] = [];
  for (let left = figures.next(); left > 0; left--) {
    const promotion = book.promotions[figures.next()] ?? null;
    const position = figures.next();
    const amount = figures.next();
    const shippingAmount = figures.next();
    const gift = figures.next() === 1;
    const code = position === NONE ? null : couponCode(request.coupons[position] ?? '');
    const coupon = promotion === null ? book.coupons.get(code ?? '') : undefined;
    const label = promotion?.label ?? coupon?.label ?? code ?? '';
    const why = promotion?.action.kind ?? (coupon?.kind === 'percent' ? 'percent' : 'amount');
    const id = promotion?.id ?? `coupon:${code}`;
    sources.push({ promotion, why, id, code, label, amount, shippingAmount, gift });
  }
  return sources;
}

function lineDiscount({ why, id, code, label }: Source, amount: number, units: number): LineDiscount {
  const discount: Open<LineDiscount> = { promotion: id, label, amount, why };
  if (code !== null) discount.code = code;
  if (units !== 0) discount.units = units;
  return discount;
}

function addGifts(book: PriceBook, request: PriceRequest, lines: QuotedLine[], sources: readonly Source[]): void {
  const gifts = sources.filter(({ gift }) => gift).sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const source of gifts) {
    const action = source.promotion?.action;
    if (action?.kind !== 'gift') continue;
    const product = book.products.get(action.sku);
    const worth = product === undefined ? undefined : ownAmount(product.prices, request.currency);
    lines.push({
      id: `gift_${source.id}`,
      sku: action.sku,
      kind: 'gift',
      name: product?.name ?? action.sku,
      quantity: action.quantity ?? 1,
      unitPrice: 0,
      subtotal: 0,
      discount: 0,
      tax: 0,
      taxIncluded: 0,
      total: 0,
      ...(worth ? { price: { list: null, tier: 1, compareAt: worth } } : undefined),
      discounts: [lineDiscount(source, 0, 0)],
    });
  }
}

function discountsOf(sources: readonly Source[], warnings: string[]): QuotedDiscount[] {
  const discounts: QuotedDiscount[] = [];
  for (const { promotion, id, code, label, amount, shippingAmount, gift } of sources) {
    if (amount === 0 && shippingAmount === 0 && !gift) {
      // The shipping that it was for has come to cost nothing by what others took off.
      if (code !== null) warnings.push(`coupon_not_applicable:${code}`);
      continue;
    }
    discounts.push({
      code: code ?? id,
      label,
      amount,
      ...(promotion === null ? undefined : { promotion: id }),
      ...(shippingAmount === 0 ? undefined : { shippingAmount }),
    });
  }
  return discounts;
}

function readShipping(
  book: PriceBook,
  index: number,
  figures: FigureReader,
  sources: readonly Source[],
): QuotedShipping | null {
  const zone = figures.next();
  const price = figures.next();
  const listPrice = figures.next();
  const tax = figures.next();
  const taxIncluded = figures.next();
  const byCarrier = figures.next() === 1;
  const method = book.shippingMethods[index];
  if (method === undefined) return null;
  const delivery = method.zones[zone]?.delivery ?? method.delivery;
  const quoted: Open<QuotedShipping> = { method: method.id, price, tax, taxIncluded, total: price + tax };
  if (listPrice !== price) {
    const offs = sources.filter(({ shippingAmount }) => shippingAmount > 0);
    quoted.listPrice = listPrice;
    quoted.discounts = offs.map((one) => lineDiscount(one, one.shippingAmount, 0));
  }
  if (delivery !== undefined) quoted.delivery = delivery;
  if (byCarrier) quoted.byCarrier = true;
  return quoted;
}

function readTaxes(book: PriceBook, request: PriceRequest, figures: FigureReader): QuotedTax[] {
  const taxes: QuotedTax[] = [];
  const { exemption, destination } = request;
  for (let left = figures.next(); left > 0; left--) {
    const rate = book.taxRates[figures.next()];
    const base = figures.next();
    const amount = figures.next();
    invariant(rate !== undefined, 'a quote names only tax rates of its book');
    const { id, name, ratePpm, included } = rate;
    if (exemption && spares(exemption, rate, destination?.country ?? '')) {
      taxes.push({ name, ratePpm, base, amount, included, id, exempt: exemption.kind });
    } else taxes.push({ name, ratePpm, base, amount, included, id });
  }
  return taxes;
}
