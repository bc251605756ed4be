/**
 * The cart as the contract shows it: a plain value taken from the actor's state in one go (`CartFacts`), joined with its quote
 * and written as JSON by hand in one pass, for this is the answer of the hottest call.
 */
import type { CartStatus } from '../actors/cart-protocol.ts';
import { type CartLine, type CartState, CHANNEL_DEFAULT, isLive, lockedPrice } from '../actors/cart-state.ts';
import type { Destination, PriceLine, PriceRequest, Quote, QuotedLine } from '../workers/quote.ts';
import type { StockCopy } from './app.ts';
import { destinationJson, discountsJson, moneyTail, shippingJson, stringsJson, taxesJson, timestamp } from './json.ts';

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
  /** In the order of `request.lines`. */
  readonly lines: readonly LineFacts[];
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
export function markShort(cart: CartFacts, stock: Pick<StockCopy, 'get'>): void {
  if (cart.state !== 'open') return;
  for (let i = 0; i < cart.lines.length; i++) {
    const facts = cart.lines[i] as LineFacts;
    if (facts.stock !== OK) continue;
    const { sku, quantity } = cart.request.lines[i] as PriceLine;
    const known = stock.get(sku);
    if (known !== undefined && known.available < quantity) facts.stock = SHORT;
  }
}

export function cartJson(cart: CartFacts, quote: Quote): string {
  const tail = moneyTail(cart.request.currency);
  let out = `{"id":"${cart.id}","version":${cart.version},"state":"${cart.state}",`;
  if (cart.orderId !== null) out += `"orderId":"${cart.orderId}",`;
  out += `"currency":"${cart.request.currency}","destination":${destinationJson(cart.request.destination)},"lines":[`;
  for (let i = 0; i < quote.lines.length; i++) {
    if (i > 0) out += ',';
    const line = quote.lines[i] as QuotedLine;
    out += lineJson(line, factsOf(cart, line.id, i), tail);
  }
  out +=
    `],"coupons":${stringsJson(cart.request.coupons)},"discounts":${discountsJson(quote.discounts, tail)}` +
    `,"shipping":${shippingJson(quote.shipping, tail)},"totals":${totalsJson(quote, tail)}` +
    `,"taxes":${taxesJson(quote.taxes, tail)},"taxState":"${quote.taxState}","warnings":${warningsJson(quote.warnings)}` +
    `,"createdAt":"${timestamp(cart.createdAt)}","updatedAt":"${timestamp(cart.updatedAt)}","expiresAt":"${timestamp(cart.expiresAt)}"}`;
  return out;
}

/** A quote keeps the order of the lines that it was asked for, but may leave one out. */
export function factsOf(cart: CartFacts, lineId: string, guess: number): LineFacts {
  const { lines } = cart.request;
  const at = lines[guess]?.id === lineId ? guess : lines.findIndex((line) => line.id === lineId);
  return cart.lines[at] ?? NO_FACTS;
}
const NO_FACTS: LineFacts = Object.freeze({ stock: OK, holdId: null, holdExpiresAt: 0 });

function lineJson(line: QuotedLine, facts: LineFacts, tail: string): string {
  const hold =
    facts.holdId === null ? '' : `,"hold":{"id":"${facts.holdId}","expiresAt":"${timestamp(facts.holdExpiresAt)}"}`;
  return (
    `{"id":"${line.id}","sku":"${line.sku}","name":${JSON.stringify(line.name)},"kind":"item","quantity":${line.quantity}` +
    `,"unitPrice":{"amount":${line.unitPrice}${tail},"subtotal":{"amount":${line.subtotal}${tail},"discount":{"amount":${line.discount}${tail}` +
    `,"tax":{"amount":${line.tax}${tail},"taxIncluded":{"amount":${line.taxIncluded}${tail},"total":{"amount":${line.total}${tail}` +
    `,"stock":"${LINE_STOCK[facts.stock]}"${hold}}`
  );
}

export function totalsJson(quote: Quote, tail: string): string {
  return (
    `{"subtotal":{"amount":${quote.subtotal}${tail},"discount":{"amount":${quote.discount}${tail},"shipping":{"amount":${quote.shippingPrice}${tail}` +
    `,"taxAdded":{"amount":${quote.taxAdded}${tail},"taxIncluded":{"amount":${quote.taxIncluded}${tail},"total":{"amount":${quote.total}${tail}}`
  );
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
