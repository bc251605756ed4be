/**
 * The responder of carts: what a cart's reply becomes on its way to the edge. It relies on pricing and on the node's copy of
 * the stock, and promises that an answer shows the cart at the version that its own call made, that only the answers named in
 * the contract are recorded, and that nothing recorded holds personal data in clear: of an order only the actor's document is
 * kept, in which e-mail and addresses are sealed. They are opened by the edge for the answer (`order-view.ts`).
 */
import { Packr } from 'msgpackr';
import type { CartGlance, CartRefusal, CartReply } from '../actors/cart-protocol.ts';
import type { CartState } from '../actors/cart-state.ts';
import type { OrderDoc } from '../actors/order-protocol.ts';
import type { ActorRef, RenderContext, Rendered, Responder } from '../runtime/actor.ts';
import { invariant } from '../runtime/fault.ts';
import type { Stages } from '../runtime/stages.ts';
import type { Quote } from '../workers/quote.ts';
import type { Awaitable, Pricing, StockCopy } from './app.ts';
import { type CartFacts, cartBytes, cartFacts, cartJson, markShort, unheldSkus } from './cart-document.ts';
import { packCart, unpackCart } from './cart-packed.ts';
import type { OrderAnswer } from './order-view.ts';
import { type InputError, type ProblemCode, problem } from './problem.ts';
import type { EdgeReply } from './reply.ts';

/** What `ask` with `render` gives for a cart. A glance is only ever given to who asked for one. */
export type CartAnswer = EdgeReply | OrderAnswer | { readonly glance: CartGlance };

type Refusal = Extract<CartReply, { ok: false }>;

export interface CartResponderOptions {
  readonly pricing: Pricing;
  readonly stock: StockCopy;
  /** Told when the answer that it follows is priced. Default: nobody is. */
  readonly stages?: Stages | undefined;
}

/** First element of what is recorded; a reader refuses a form that it does not know. */
const FORM_CART = 1;
const FORM_ORDER = 2;
const FORM_PROBLEM = 3;
const packr = new Packr({ useRecords: false });

/** Refusals of a checkout that are the answer for good under its key; another try needs another key. */
const RECORDED_REFUSALS: ReadonlySet<CartRefusal> = new Set([
  'payment_declined',
  'price_changed',
  'out_of_stock',
  'hold_expired',
  'cart_empty',
] as const);

export function cartResponder(options: CartResponderOptions): Responder<CartState, CartReply> {
  const { pricing, stock, stages } = options;

  /**
   * Prices the cart, and looks at the stock beside it. Where the stock cannot be read, an old copy or none is shown. Mostly neither has
   * to be waited for; then this is the quote itself, and the answer is made without a promise.
   */
  function quoteFor(cart: CartFacts, final: boolean): Awaitable<Quote> {
    const skus = unheldSkus(cart);
    const looked = skus.every((sku) => stock.isFresh(sku)) ? undefined : stock.ensure(skus).catch(NOTHING);
    const quote = pricing.price(cart.request, final ? FINAL : CURRENT, cart);
    if (looked !== undefined || quote instanceof Promise) return quoteLater(cart, quote, looked);
    markShort(cart, quote, stock);
    return quote;
  }

  async function quoteLater(cart: CartFacts, pricing: Awaitable<Quote>, looked?: Promise<void>): Promise<Quote> {
    const quote = await pricing;
    await looked;
    markShort(cart, quote, stock);
    return quote;
  }

  function renderCart(cart: CartFacts, created: boolean, keyed: boolean): Awaitable<Rendered> {
    const quote = quoteFor(cart, false);
    if (quote instanceof Promise) {
      if (stages?.answering) stages.abandon();
      return quote.then((known) => rendered(cart, known, created, keyed));
    }
    if (stages?.answering) stages.mark('price');
    return rendered(cart, quote, created, keyed);
  }

  function rendered(cart: CartFacts, quote: Quote, created: boolean, keyed: boolean): Rendered {
    const value = cartReply(cart, quote, created ? 201 : 200);
    return keyed ? { value, recorded: packr.pack([FORM_CART, created, packCart(cart, quote)]) } : { value };
  }

  function renderRefusal(state: CartState, reply: Refusal, ctx: RenderContext): Rendered | Promise<Rendered> {
    const recorded = ctx.keyed && reply.checkout === true && RECORDED_REFUSALS.has(reply.code);
    if (reply.code === 'price_changed' && state.status !== 'absent') {
      const cart = cartFacts(state, ctx.now, reply.destination ?? state.destination);
      const first = reply.firstOrder === true ? { ...cart, request: { ...cart.request, firstOrder: true } } : cart;
      return renderPriceChanged(first, reply, recorded);
    }
    const told: RecordedProblem = [reply.code, reply.detail ?? null, errorsOf(state, reply), extraOf(reply)];
    const value = refusalReply(told, reply.retryAfterMs, state.visibleSeq);
    return recorded ? { value, recorded: packr.pack([FORM_PROBLEM, told, null]) } : { value };
  }

  async function renderPriceChanged(cart: CartFacts, reply: Refusal, recorded: boolean): Promise<Rendered> {
    const quote = await quoteFor(cart, true);
    const value = priceChanged(cart, quote);
    if (!recorded) return { value };
    const told: RecordedProblem = [reply.code, null, null, null];
    return { value, recorded: packr.pack([FORM_PROBLEM, told, packCart(cart, quote)]) };
  }

  return {
    render(_ref: ActorRef, state: CartState, reply: CartReply, ctx: RenderContext): Rendered | Promise<Rendered> {
      if (!reply.ok) return renderRefusal(state, reply, ctx);
      if (reply.kind === 'cart') {
        return renderCart(cartFacts(state, ctx.now), reply.created === true, ctx.keyed);
      }
      if (reply.kind === 'glance') return { value: { glance: reply.cart } };
      const order = reply.order as OrderDoc;
      const value: OrderAnswer = { order, status: 201, replayed: false };
      return ctx.keyed ? { value, recorded: packr.pack([FORM_ORDER, order]) } : { value };
    },

    replay(_ref: ActorRef, recorded: Uint8Array): CartAnswer {
      const [form, ...rest] = packr.unpack(recorded as Buffer) as [number, ...unknown[]];
      switch (form) {
        case FORM_CART: {
          const { cart, quote } = unpackCart(rest[1] as unknown[]);
          return replayed(cartReply(cart, quote, rest[0] === true ? 201 : 200));
        }
        case FORM_ORDER:
          return { order: rest[0] as OrderDoc, status: 201, replayed: true };
        case FORM_PROBLEM: {
          if (rest[1] === null) return replayed(refusalReply(rest[0] as RecordedProblem));
          const { cart, quote } = unpackCart(rest[1] as unknown[]);
          return replayed(priceChanged(cart, quote));
        }
        default:
          invariant(false, `recorded answer of an unknown form ${form}`);
      }
    },
  };
}

const CURRENT = Object.freeze({ final: false });
const FINAL = Object.freeze({ final: true });
const NOTHING = (): void => {};

/** Code, detail, wrong lines, further members. */
type RecordedProblem = readonly [
  code: CartRefusal,
  detail: string | null,
  errors: readonly InputError[] | null,
  extra: Readonly<Record<string, string>> | null,
];

function cartReply(cart: CartFacts, quote: Quote, status: number): EdgeReply {
  const etag = `"${cart.version}"`;
  if (status !== 201) return { status, headers: { etag }, body: cartBytes(cart, quote) };
  return { status, headers: { etag, location: `/v1/carts/${cart.id}` }, body: cartJson(cart, quote) };
}

function priceChanged(cart: CartFacts, quote: Quote): EdgeReply {
  return problem('price_changed', {
    detail: `The total is ${quote.total} ${quote.currency} in minor units.`,
    extra: { cart: JSON.parse(cartJson(cart, quote)) },
  });
}

function refusalReply(told: RecordedProblem, retryAfterMs?: number, version?: number): EdgeReply {
  const [code, detail, errors, extra] = told;
  return problem(code satisfies ProblemCode, {
    detail: detail ?? undefined,
    errors: errors ?? undefined,
    extra: extra ?? undefined,
    retryAfterMs,
    headers: code === 'version_mismatch' && version !== undefined ? { etag: `"${version}"` } : undefined,
  });
}

function extraOf(reply: Refusal): Readonly<Record<string, string>> | null {
  if (reply.orderId === undefined && reply.declineCode === undefined) return null;
  return {
    ...(reply.orderId === undefined ? undefined : { orderId: reply.orderId }),
    ...(reply.declineCode === undefined ? undefined : { declineCode: reply.declineCode }),
  };
}

/** Names each line and each coupon of the cart that a checkout failed for: `path` is its place in `lines` or `coupons`. */
function errorsOf(state: CartState, { code, skus = [], coupons = [] }: Refusal): readonly InputError[] | null {
  if (skus.length === 0 && coupons.length === 0) return null;
  const at = (list: string, index: number): string => (index < 0 ? `/${list}` : `/${list}/${index}`);
  return [
    ...skus.map((sku) => {
      const index = state.lines.findIndex((line) => line.sku === sku);
      return { path: at('lines', index), message: `${sku}: ${LINE_MESSAGES[code] ?? 'is refused'}` };
    }),
    ...coupons.map((coupon) => {
      return { path: at('coupons', state.coupons.indexOf(coupon)), message: `${coupon}: has no uses left` };
    }),
  ];
}
const LINE_MESSAGES: Readonly<Partial<Record<CartRefusal, string>>> = {
  out_of_stock: 'there is not enough stock',
  hold_expired: 'its hold has expired',
  price_unavailable: 'it has no price in this currency',
  limit_reached: 'the quantity would be over the limit',
};

/** The same answer, marked as a repetition. */
export function replayed(reply: EdgeReply): EdgeReply {
  return { ...reply, headers: { ...reply.headers, 'idempotency-replayed': 'true' } };
}
