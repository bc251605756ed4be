/**
 * The cart as the contract shows it: a plain value taken from the actor's state in one go (`CartFacts`), joined with its quote
 * and written as JSON by hand in one pass, for this is the answer of the hottest call.
 */
import type { CartStatus } from '../actors/cart-protocol.ts';
import { type CartLine, type CartState, CHANNEL_DEFAULT, isLive, lockedPrice } from '../actors/cart-state.ts';
import type { Destination, PriceLine, PriceRequest, Quote, QuotedLine, TaxExemption } from '../workers/quote.ts';
import type { StockCopy } from './app.ts';
import { asMembers, explainLine } from './explained-quote.ts';
import {
  type MoneyPieces,
  moneyPieces,
  writeDestination,
  writeDiscounts,
  writeShipping,
  writeStrings,
  writeTaxes,
} from './json.ts';
import { fragment, JsonWriter } from './json-writer.ts';

export type ShownState = Exclude<CartStatus, 'absent'>;
/** How a line's stock is shown, as an index: it is packed as that. */
export const LINE_STOCK = ['ok', 'held', 'hold_expired', 'short'] as const;
const OK = 0;
const HELD = 1;
const HOLD_EXPIRED = 2;
const SHORT = 3;

export interface LineFacts {
  /** An index into `LINE_STOCK`. */
  stock: number;
  readonly holdId: string | null;
  /** Milliseconds since the epoch; 0 without a hold. */
  readonly holdExpiresAt: number;
}

export interface CartFacts {
  readonly id: string;
  readonly version: number;
  readonly state: ShownState;
  readonly orderId: string | null;
  readonly request: PriceRequest;
  /** In the order of `request.lines`; those of gifts follow, once the stock was looked at. */
  readonly lines: LineFacts[];
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt: number;
}

/**
 * Copies what the document needs; shares nothing with the state that a later event may change (its lists are replaced, not
 * changed, but for the lines).
 * @param destination priced for, where it is not the cart's own (after a checkout for another address).
 */
export function cartFacts(
  state: CartState,
  now: number,
  destination: Destination | null = state.destination,
): CartFacts {
  const count = state.lines.length;
  const lines: PriceLine[] = new Array(count);
  const facts: LineFacts[] = new Array(count);
  for (let i = 0; i < count; i++) {
    const line = state.lines[i] as CartLine;
    const { hold } = line;
    const locked = lockedPrice(state, hold, now);
    const { id, sku, quantity } = line;
    lines[i] = locked === undefined ? { id, sku, quantity } : { id, sku, quantity, locked };
    if (hold === null) facts[i] = { stock: OK, holdId: null, holdExpiresAt: 0 };
    // a checkout that is under way has made its holds last
    else if (state.status === 'open' && !isLive(hold, now))
      facts[i] = { stock: HOLD_EXPIRED, holdId: null, holdExpiresAt: 0 };
    else facts[i] = { stock: HELD, holdId: hold.id, holdExpiresAt: hold.expiresAt };
  }
  const { id, orderId, currency, coupons, shippingMethod, facts: said, createdAt, updatedAt, expiresAt } = state;
  const asked = { currency, lines, destination, coupons, shippingMethod, at: now, channel: CHANNEL_DEFAULT };
  return {
    id,
    version: state.visibleSeq,
    state: state.status === 'absent' ? 'open' : state.status,
    orderId,
    request: said === null ? asked : { ...asked, ...said },
    lines: facts,
    createdAt,
    updatedAt,
    expiresAt,
  };
}

/** Skus of which the stock is to be looked up: those of an open cart that it does not hold. */
export function unheldSkus(cart: CartFacts): readonly string[] {
  if (cart.state !== 'open') return NO_SKUS;
  const skus: string[] = [];
  for (let i = 0; i < cart.lines.length; i++) {
    if ((cart.lines[i] as LineFacts).stock === OK) skus.push((cart.request.lines[i] as PriceLine).sku);
  }
  return skus;
}
const NO_SKUS: readonly string[] = Object.freeze([]);

/** Marks the lines that ask for more than there is, as far as is known here. */
export function markShort(cart: CartFacts, quote: Quote, stock: Pick<StockCopy, 'get'>): void {
  if (cart.state !== 'open') return;
  const own = cart.request.lines.length;
  for (let i = own; i < quote.lines.length; i++) {
    const { sku, quantity } = quote.lines[i] as QuotedLine;
    const known = stock.get(sku);
    const short = known !== undefined && known.available < quantity;
    cart.lines[i] = { stock: short ? SHORT : OK, holdId: null, holdExpiresAt: 0 };
  }
  for (let i = 0; i < own; i++) {
    const facts = cart.lines[i] as LineFacts;
    if (facts.stock !== OK) continue;
    const { sku, quantity } = cart.request.lines[i] as PriceLine;
    const known = stock.get(sku);
    if (known !== undefined && known.available < quantity) facts.stock = SHORT;
  }
}

/** As text, where it becomes part of another document. */
export function cartJson(cart: CartFacts, quote: Quote): string {
  return Buffer.from(cartBytes(cart, quote)).toString();
}

const out = new JsonWriter();
const F = {
  id: fragment('{"id":"'),
  version: fragment('","version":'),
  state: fragment(',"state":"'),
  orderId: fragment('","orderId":"'),
  currency: fragment('","currency":"'),
  destination: fragment('","destination":'),
  lines: fragment(',"lines":['),
  sku: fragment('","sku":"'),
  name: fragment('","name":'),
  quantity: fragment(',"kind":"item","quantity":'),
  giftQuantity: fragment(',"kind":"gift","quantity":'),
  unitPrice: fragment(',"unitPrice":{"amount":'),
  hold: fragment('","hold":{"id":"'),
  holdExpiresAt: fragment('","expiresAt":'),
  coupons: fragment('],"coupons":'),
  discounts: fragment(',"discounts":'),
  shipping: fragment(',"shipping":'),
  totals: fragment(',"totals":{"subtotal":{"amount":'),
  taxes: fragment(',"taxes":'),
  taxState: fragment(',"taxState":"'),
  exemption: fragment('","exemption":'),
  exempt: fragment(',"warnings":'),
  warnings: fragment('","warnings":'),
  createdAt: fragment(',"createdAt":'),
  updatedAt: fragment(',"updatedAt":'),
  expiresAt: fragment(',"expiresAt":'),
} as const;

/** The document's bytes (UTF-8); to be sent, not to be kept (`json-writer.ts`). */
export function cartBytes(cart: CartFacts, quote: Quote): Uint8Array {
  const { request } = cart;
  const money = moneyPieces(request.currency);
  out.begin().bytes(F.id).raw(cart.id).bytes(F.version).number(cart.version).bytes(F.state).raw(cart.state);
  if (cart.orderId !== null) out.bytes(F.orderId).raw(cart.orderId);
  out.bytes(F.currency).raw(request.currency).bytes(F.destination);
  writeDestination(out, request.destination);
  out.bytes(F.lines);
  for (let i = 0; i < quote.lines.length; i++) {
    if (i > 0) out.raw(',');
    const line = quote.lines[i] as QuotedLine;
    writeLine(line, factsOf(cart, line.id, i), money);
  }
  out.bytes(F.coupons);
  writeStrings(out, request.coupons);
  out.bytes(F.discounts);
  writeDiscounts(out, quote.discounts, money);
  out.bytes(F.shipping);
  writeShipping(out, quote.shipping, money);
  writeTotals(quote, money);
  out.bytes(F.taxes);
  writeTaxes(out, quote.taxes, money);
  out.bytes(F.taxState).raw(quote.taxState);
  if (request.exemption) out.bytes(F.exemption).raw(exemptionJson(request.exemption)).bytes(F.exempt);
  else out.bytes(F.warnings);
  out.raw(warningsJson(quote.warnings));
  out.bytes(F.createdAt).time(cart.createdAt).bytes(F.updatedAt).time(cart.updatedAt);
  return out.bytes(F.expiresAt).time(cart.expiresAt).raw('}').take();
}

/** A quote keeps the order of the lines that it was asked for, but may leave one out; gifts follow them. */
export function factsOf(cart: CartFacts, lineId: string, guess: number): LineFacts {
  const { lines } = cart.request;
  const at = lines[guess]?.id === lineId ? guess : lines.findIndex((line) => line.id === lineId);
  return cart.lines[at < 0 ? guess : at] ?? NO_FACTS;
}
const NO_FACTS: LineFacts = Object.freeze({ stock: OK, holdId: null, holdExpiresAt: 0 });

function writeLine(line: QuotedLine, facts: LineFacts, money: MoneyPieces): void {
  out.bytes(F.id).raw(line.id).bytes(F.sku).raw(line.sku).bytes(F.name).text(line.name);
  out
    .bytes(line.kind === 'gift' ? F.giftQuantity : F.quantity)
    .number(line.quantity)
    .bytes(F.unitPrice)
    .number(line.unitPrice);
  out.bytes(money.subtotal).number(line.subtotal).bytes(money.discount).number(line.discount);
  out.bytes(money.tax).number(line.tax).bytes(money.taxIncluded).number(line.taxIncluded);
  out.bytes(money.total).number(line.total);
  out.bytes(money.stock).raw(LINE_STOCK[facts.stock] ?? '');
  if (facts.holdId === null) out.raw('"');
  else out.bytes(F.hold).raw(facts.holdId).bytes(F.holdExpiresAt).time(facts.holdExpiresAt).raw('}');
  out.raw(asMembers(explainLine(line, money.of))).raw('}');
}

function writeTotals(quote: Quote, money: MoneyPieces): void {
  out.bytes(F.totals).number(quote.subtotal).bytes(money.discount).number(quote.discount);
  out.bytes(money.shipping).number(quote.shippingPrice).bytes(money.taxAdded).number(quote.taxAdded);
  out.bytes(money.taxIncluded).number(quote.taxIncluded).bytes(money.total).number(quote.total).bytes(money.end);
}

/** Without the id, which is for the order alone (`exemption.ts`). */
function exemptionJson({ kind, countries }: TaxExemption): string {
  return JSON.stringify(countries === undefined ? { kind } : { kind, countries });
}

/** Pricing says `code:subject`. */
function warningsJson(warnings: readonly string[]): string {
  if (warnings.length === 0) return '[]';
  return JSON.stringify(
    warnings.map((warning) => {
      const colon = warning.indexOf(':');
      return colon < 0
        ? { code: warning, subject: null }
        : { code: warning.slice(0, colon), subject: warning.slice(colon + 1) };
    }),
  );
}
