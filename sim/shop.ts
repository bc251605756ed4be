/**
 * What the simulated shop sells and how it answers: a small catalogue whose prices change, the real pricing behind a pool that may
 * be slow, down or hang, and responders that show what the real ones show (which answers are recorded is the same), as plain
 * values that name the version they show, so that oracles can hold each of them against the journal.
 */
import type { CartReply } from '../actors/cart-protocol.ts';
import type { CartState } from '../actors/cart-state.ts';
import type { OrderDoc, OrderReply } from '../actors/order-protocol.ts';
import type { ActorRef, RenderContext, Rendered, Responder } from '../runtime/actor.ts';
import { decode, encode } from '../runtime/codec.ts';
import { Fault } from '../runtime/fault.ts';
import { createBook } from '../workers/price-book.ts';
import { price } from '../workers/pricing.ts';
import type { PriceRequest, Quote } from '../workers/quote.ts';
import type { Weather } from './faults.ts';
import type { Random } from './random.ts';
import type { Later } from './world.ts';

export const CURRENCY = 'EUR';
export interface Product {
  readonly sku: string;
  readonly holdAt: 'cart' | 'checkout';
  readonly price: number;
  readonly stock: number;
}
/** Few units of some, so that shoppers meet; prices that do not divide well; one that costs nothing. */
export const PRODUCTS: readonly Product[] = [
  { sku: 'MUG', holdAt: 'checkout', price: 1_799, stock: 40 },
  { sku: 'TOUR', holdAt: 'cart', price: 3_333, stock: 6 },
  { sku: 'RARE', holdAt: 'cart', price: 9_901, stock: 2 },
  { sku: 'PIN', holdAt: 'checkout', price: 7, stock: 5 },
  { sku: 'FLYER', holdAt: 'checkout', price: 0, stock: 12 },
];
/** How often a coupon may be used: by one customer, and in all by the edition that allows most. */
export const USES_EACH = 1;
export const USES_MAX = 3;
export const COUPONS = ['THIRD', 'FIVER'] as const;

/** @param edition prices of a later edition are a little higher */
function bookOf(edition: number) {
  const products = Object.fromEntries(
    PRODUCTS.map(({ sku, price: base }) => [
      sku,
      {
        name: sku,
        category: 'all',
        active: true,
        taxCategory: sku === 'PIN' ? 'reduced' : 'standard',
        prices: { [CURRENCY]: base === 0 ? 0 : base + edition * 13 },
      },
    ]),
  );
  const rate = { country: 'DE', region: null, included: true };
  return createBook({
    version: edition + 1,
    store: { defaultCurrency: CURRENCY, currencies: [CURRENCY], defaultShipping: null },
    products,
    coupons: [
      { code: 'THIRD', label: 'A third off', kind: 'percent', ratePpm: 333_333, limits: { perCustomer: USES_EACH } },
      {
        ...{ code: 'FIVER', label: '5 off', kind: 'fixed', amounts: { [CURRENCY]: 500 } },
        limits: { total: edition === 1 ? USES_MAX : 2 },
      },
    ],
    taxRates: [
      { id: 'de-19', name: '19 %', categories: ['standard'], ratePpm: 190_000, ...rate },
      { id: 'de-7', name: '7 %', categories: ['reduced'], ratePpm: 70_000, ...rate },
    ],
    shippingMethods: [],
  });
}
const EDITIONS = [0, 1, 2].map(bookOf);

/** Without what is sealed in it. */
export type ShownOrder = Omit<OrderDoc, 'contact'>;

/** What callers hear. `version`: the actor's sequence that the answer shows; `replayed`: it was recorded under the key before. */
export type Answer =
  | {
      readonly kind: 'cart';
      readonly version: number;
      readonly status: CartState['status'];
      readonly lines: readonly (readonly [sku: string, quantity: number])[];
      readonly coupons: readonly string[];
      readonly quote: Quote;
      readonly replayed: boolean;
    }
  | { readonly kind: 'order'; readonly order: ShownOrder; readonly replayed: boolean }
  | {
      readonly kind: 'refused';
      readonly code: string;
      readonly skus: readonly string[];
      /** It is the answer for good under its key. */
      readonly recorded: boolean;
      readonly replayed: boolean;
    };

/** Refusals of a checkout that are the answer for good under its key, as at the edge (`http/cart-view.ts`). */
const RECORDED = new Set(['payment_declined', 'price_changed', 'out_of_stock', 'hold_expired', 'cart_empty']);

/** One node's pricing pool, as the edge asks it. */
export class Pricing {
  readonly #shop: Shop;
  readonly #later: Later;
  readonly #random: Random;
  readonly #weather: Weather;

  constructor(shop: Shop, later: Later, random: Random, weather: Weather) {
    this.#shop = shop;
    this.#later = later;
    this.#random = random;
    this.#weather = weather;
  }

  /** At once where the pool has nothing else to do, as the real one; else later, or never. */
  price(request: PriceRequest): Quote | Promise<Quote> {
    const random = this.#random;
    if (random.chance(this.#weather.strength('pricing_down', 'pricing'))) {
      return Promise.reject(new Fault('pricing_unavailable', 'the pool is down'));
    }
    if (random.chance(this.#weather.strength('pricing_hangs', 'pricing'))) return new Promise(() => {});
    const quote = price(this.#shop.book, request);
    if (random.chance(0.7)) return quote;
    const delayMs = random.delay(8);
    return new Promise((resolve) => this.#later(delayMs, () => resolve(quote)));
  }
}

export class Shop {
  #edition = 0;

  get book() {
    return EDITIONS[this.#edition] ?? bookOf(this.#edition);
  }

  changePrices(): void {
    this.#edition = (this.#edition + 1) % EDITIONS.length;
  }
}

function requestOf(state: CartState): PriceRequest {
  const { currency, destination, coupons, shippingMethod } = state;
  const lines = state.lines.map(({ id, sku, quantity }) => ({ id, sku, quantity }));
  return { currency, lines, destination, coupons, shippingMethod };
}

function shownOrder({ contact: _sealed, ...shown }: OrderDoc): ShownOrder {
  return shown;
}

function recordable(answer: Answer, keyed: boolean): Rendered {
  return keyed ? { value: answer, recorded: encode(answer) } : { value: answer };
}

function replay(_ref: ActorRef, recorded: Uint8Array): Answer {
  return { ...(decode(recorded) as Answer), replayed: true };
}

export function cartResponder(pricing: Pricing): Responder<CartState, CartReply> {
  const renderCart = (state: CartState, ctx: RenderContext): Rendered | Promise<Rendered> => {
    const { status, coupons } = state;
    const lines = state.lines.map(({ sku, quantity }) => [sku, quantity] as const);
    const shown = { kind: 'cart' as const, version: ctx.seq, status, lines, coupons, replayed: false };
    const quote = pricing.price(requestOf(state));
    if (quote instanceof Promise) return quote.then((known) => recordable({ ...shown, quote: known }, ctx.keyed));
    return recordable({ ...shown, quote }, ctx.keyed);
  };
  return {
    render(_ref, state, reply, ctx) {
      if (reply.ok && reply.kind === 'order') {
        return recordable({ kind: 'order', order: shownOrder(reply.order as OrderDoc), replayed: false }, ctx.keyed);
      }
      if (reply.ok) return renderCart(state, ctx);
      const { code, skus = [] } = reply;
      const recorded = ctx.keyed && reply.checkout === true && RECORDED.has(code);
      return recordable({ kind: 'refused', code, skus, recorded, replayed: false }, recorded);
    },
    replay,
  };
}

export function orderResponder(): Responder<unknown, OrderReply> {
  return {
    render(_ref, _state, reply, ctx) {
      if (!reply.ok) {
        return { value: { kind: 'refused', code: reply.code, skus: [], recorded: false, replayed: false } };
      }
      if (reply.kind !== 'order') throw new Error('only documents of orders are rendered');
      return recordable({ kind: 'order', order: shownOrder(reply.order), replayed: false }, ctx.keyed);
    },
    replay,
  };
}
