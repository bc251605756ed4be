/**
 * A shop of carts, skus, coupons and orders in a seeded world, with a provider that has books of its own; and what its books must say once it
 * is at rest.
 */
import assert from 'node:assert/strict';
import type { ActorRef, KeyRef } from '../runtime/actor.ts';
import type { Quote } from '../workers/quote.ts';
import type { CartCommand, CartReply, CartState, ProductTerms } from './cart.ts';
import type { CouponState } from './coupon.ts';
import type { OrderCommand, OrderHandlers, OrderReply, OrderState } from './order.ts';
import { actorTypes } from './registry.ts';
import type { SkuReply, SkuState } from './sku.ts';
import { type Caller, World } from './test-world.ts';

export const MINUTE = 60_000;
export const CARTS = ['cart_1', 'cart_2', 'cart_3'];
export const PRODUCTS: readonly (ProductTerms & { readonly price: number; readonly stock: number })[] = [
  { sku: 'PLAIN', price: 1_000, stock: 6, holdAt: 'checkout' },
  { sku: 'SCARCE', price: 2_500, stock: 5, holdAt: 'cart' },
  { sku: 'RARE', price: 9_900, stock: 3, holdAt: 'cart' },
  { sku: 'FREE', price: 0, stock: 4, holdAt: 'checkout' },
].map((product) => ({
  ...product,
  holdAt: product.holdAt as 'cart' | 'checkout',
  maxPerOrder: 4,
  holdTtlMs: 5 * MINUTE,
  currencies: ['EUR'],
}));
/** How the provider behaves for a token: how often its answer is lost first, and what it is. */
export const CARDS = {
  ok: [0, true],
  declined: [0, false],
  late: [2, true],
  late_declined: [3, false],
  mute: [40, true],
} as const;

/** What each code takes off; how often it may be used changes as the seed says (`Shop.limits`). */
export const COUPONS = { TOTAL: 100, EACH: 150, BOTH: 200, FREELY: 50 } as const;
/** Taken off a customer's first order. */
const FIRST_OFF = 10;
type Code = keyof typeof COUPONS;
/** A gift goes with every order of this sku. */
const WITH_GIFT = 'PLAIN';
export const GIFT = 'FREE';

export function priceOf(lines: readonly { sku: string; quantity: number }[]): number {
  return lines.reduce((sum, line) => sum + line.quantity * (PRODUCTS.find((p) => p.sku === line.sku)?.price ?? 0), 0);
}

interface Priced {
  readonly lines: readonly { sku: string; quantity: number }[];
  readonly coupons: readonly string[];
}

/** The codes that take something off, and what is to be paid. */
function discounted({ lines, coupons }: Priced): { used: Code[]; subtotal: number; total: number } {
  const subtotal = priceOf(lines);
  let total = subtotal;
  const used = (coupons as readonly Code[]).filter((code) => {
    if (total < COUPONS[code]) return false;
    total -= COUPONS[code];
    return true;
  });
  return { used, subtotal, total };
}

/** The provider's own ledger: what it holds for each order, whatever the shop believes. */
export class Provider {
  readonly ledger = new Map<string, { state: string; amount: number; silent: number; ok: boolean }>();
  readonly #captures = new Map<string, { ok: true } | { ok: false; code: string }>();

  authorise(input: OrderHandlers['payment.authorise']['input']): unknown {
    const [silent, ok] = CARDS[input.token as keyof typeof CARDS];
    let entry = this.ledger.get(input.orderId);
    if (entry === undefined) {
      entry = { state: ok ? 'authorized' : 'declined', amount: input.amount, silent, ok };
      this.ledger.set(input.orderId, entry);
    }
    assert.equal(entry.amount, input.amount, 'a charge was repeated with another amount');
    if (entry.silent-- > 0) return undefined;
    return entry.ok
      ? { ok: true, paymentId: `pay_${input.orderId}`, provider: 'test' }
      : { ok: false, code: 'declined' };
  }

  #move(orderId: string, from: string, to: string): { ok: true } | { ok: false; code: string } {
    const entry = this.ledger.get(orderId);
    assert(entry !== undefined);
    if (entry.state === from) entry.state = to;
    return entry.state === to ? { ok: true } : { ok: false, code: `payment_${entry.state}` };
  }

  /** Under the capture job's key: the first definite answer is repeated for ever. */
  capture(orderId: string): { ok: true } | { ok: false; code: string } {
    const answer = this.#captures.get(orderId) ?? this.#move(orderId, 'authorized', 'captured');
    this.#captures.set(orderId, answer);
    return answer;
  }

  void(orderId: string): unknown {
    return this.#move(orderId, 'authorized', 'voided');
  }

  refund(input: OrderHandlers['payment.refund']['input']): unknown {
    if (input.captureFirst) this.capture(input.orderId);
    return this.#move(input.orderId, 'captured', 'refunded');
  }
}

export class Shop {
  readonly world: World;
  readonly provider = new Provider();
  /** Capture jobs that asked and were let go ahead; each may run more than once. */
  readonly capturing: string[] = [];
  readonly callers: { caller: Caller; ref: ActorRef; kind: string }[] = [];
  /** Of the price book of the moment. */
  limits = { total: 1, perCustomer: 1 };
  /** The highest that any order was priced by. */
  readonly highest = { total: 1, perCustomer: 1 };
  /** The store has a promotion for first orders. */
  readonly countsOrders: boolean;
  #keys = 0;

  constructor(seed: number) {
    const { provider } = this;
    this.world = new World(
      seed,
      actorTypes(),
      {
        'order.price': (input: OrderHandlers['order.price']['input']): Quote => this.#quote(input),
        'payment.authorise': (input: never) => provider.authorise(input),
        'payment.void': (input: OrderHandlers['payment.void']['input']) => provider.void(input.orderId),
        'payment.refund': (input: never) => provider.refund(input),
      },
      (_ref, reply) => {
        const { ok, code, checkout } = reply as { ok: boolean; code?: string; checkout?: true };
        return ok || (checkout === true && code !== 'price_unavailable' && code !== 'order_failed');
      },
    );
    this.countsOrders = this.world.chance(0.25);
    this.world.atHand = this.world.pick([0, 0.5, 1]);
    for (const { sku, stock } of PRODUCTS) {
      this.world.ask({ type: 'sku', id: sku }, { kind: 'adjust', delta: stock, reason: 'delivery' });
    }
    for (const id of CARTS) {
      this.ask({ type: 'cart', id }, { kind: 'create', currency: 'EUR', destination: null });
      this.ask({ type: 'cart', id }, { kind: 'apply_coupon', code: this.world.pick(Object.keys(COUPONS)) });
    }
  }

  ask(ref: ActorRef, command: CartCommand | OrderCommand, key?: KeyRef): Caller {
    const caller = this.world.ask(ref, command, key);
    this.callers.push({ caller, ref, kind: command.kind });
    return caller;
  }

  #newKey(fingerprint: string): KeyRef {
    return { hash: `key${++this.#keys}`, fingerprint };
  }

  states<State>(type: string): State[] {
    return [...this.world.actors.values()].filter((a) => a.ref.type === type).map((a) => a.state as State);
  }

  checkout(id: string, token: keyof typeof CARDS, key?: KeyRef): Caller {
    const { world } = this;
    const ref = { type: 'cart', id };
    const cart = world.actor(ref).state as CartState;
    const wrong = world.chance(0.05) ? 1 : 0;
    const { total } = discounted(cart);
    const amount = total + wrong - (this.countsOrders && total >= FIRST_OFF && world.chance(0.4) ? FIRST_OFF : 0);
    const command: CartCommand = {
      kind: 'checkout',
      request: {
        contact: { subject: 'subject', bytes: new Uint8Array([1, 2, 3]) },
        destination: { country: 'DE' },
        expectedTotal: { amount, currency: 'EUR' },
        paymentToken: token,
        ...(this.countsOrders ? { firstOrder: true } : {}),
        customer: id === 'cart_3' ? 'customer_2' : 'customer_1',
      },
    };
    const used = key ?? (cart.checkout !== null && world.chance(0.7) ? cart.checkout.key : this.#newKey('checkout'));
    return this.ask(ref, command, used);
  }

  changeLimits(): void {
    const { world, highest } = this;
    this.limits = { total: world.pick([0, 1, 2]), perCustomer: world.pick([0, 1, 2]) };
    highest.total = Math.max(highest.total, this.limits.total);
    highest.perCustomer = Math.max(highest.perCustomer, this.limits.perCustomer);
  }

  #quote(input: OrderHandlers['order.price']['input']): Quote {
    const { used, subtotal, total: before } = discounted(input);
    const first = input.firstOrder === true && before >= FIRST_OFF;
    const total = first ? before - FIRST_OFF : before;
    const { limits } = this;
    const { total: inAll, perCustomer } = limits;
    const limited = used.flatMap((code): NonNullable<Quote['limits']> => {
      if (code === 'FREELY') return [];
      if (code === 'TOTAL') return [{ code, total: inAll }];
      return [code === 'EACH' ? { code, perCustomer } : { code, total: inAll, perCustomer }];
    });
    const gifts = input.lines.some(({ sku }) => sku === WITH_GIFT) ? [giftLine()] : [];
    return {
      bookVersion: 1,
      currency: input.currency,
      lines: gifts,
      discounts: used.map((code) => ({ code, label: code, amount: COUPONS[code] })),
      shipping: null,
      taxes: [],
      taxState: 'final',
      subtotal,
      discount: subtotal - total,
      shippingPrice: 0,
      taxAdded: 0,
      taxIncluded: 0,
      total,
      ...(limited.length === 0 ? {} : { limits: limited }),
      ...(first ? { firstOrder: true } : {}),
      warnings: [],
    };
  }

  /** Something a shopper, a job or a clock does. */
  act(): void {
    const { world } = this;
    const ref = { type: 'cart', id: world.pick(CARTS) };
    const product = world.pick(PRODUCTS);
    const orders = this.states<OrderState>('order');
    const dice = world.random();
    if (dice < 0.35) {
      const key = world.chance(0.5) ? this.#newKey('add') : undefined;
      const command: CartCommand = { kind: 'add_line', product, quantity: 1 + Math.floor(world.random() * 2) };
      this.ask(ref, command, key);
      if (world.chance(0.3)) this.ask(ref, command, key);
    } else if (dice < 0.5) {
      this.ask(ref, {
        kind: 'set_quantity',
        line: product.sku,
        quantity: Math.floor(world.random() * 4),
      });
    } else if (dice < 0.53) {
      this.ask(ref, { kind: 'remove_line', line: product.sku });
    } else if (dice < 0.6) {
      const code = world.pick(Object.keys(COUPONS));
      this.ask(ref, { kind: world.chance(0.8) ? 'apply_coupon' : 'remove_coupon', code });
    } else if (dice < 0.61) {
      this.changeLimits();
    } else if (dice < 0.8) {
      const cards = Object.keys(CARDS) as (keyof typeof CARDS)[];
      this.checkout(ref.id, world.chance(0.5) ? 'ok' : world.pick(cards));
    } else if (dice < 0.87) {
      const sold = orders.filter((order) => order.phase === 'confirmed');
      const from = sold.length > 0 ? sold : orders;
      // Often while a capture is under way: who of the two comes first is what matters.
      for (let i = 0; i < 4 && world.chance(0.7); i++) this.work();
      if (from.length > 0) this.ask({ type: 'order', id: world.pick(from).id }, { kind: 'cancel' });
    } else if (dice < 0.96) {
      this.work();
    } else {
      world.pass(world.pick([MINUTE, 4 * MINUTE, 6 * MINUTE, 11 * MINUTE]));
    }
  }

  /** One step of one job, any of which may be done again, later, by another worker. */
  work(): void {
    const { world } = this;
    const rows = [...world.outbox.values()];
    if (rows.length > 0 && (this.capturing.length === 0 || world.chance(0.5))) {
      const row = world.pick(rows);
      const id = String(row.doc.orderId);
      const ref = { type: 'order', id };
      if (row.job === 'email') {
        world.ask(ref, { kind: 'email_sent', outboxId: row.id });
      } else {
        const { reply } = world.ask(ref, { kind: 'request_capture', outboxId: row.id }) as { reply: OrderReply };
        if (reply.ok && reply.kind === 'capture') this.capturing.push(id);
      }
    } else if (this.capturing.length > 0) {
      const index = Math.floor(world.random() * this.capturing.length);
      const id = this.capturing[index] ?? '';
      if (!world.chance(0.3)) this.capturing.splice(index, 1);
      const answer = this.provider.capture(id);
      // The job may die between the provider's answer and its report.
      if (world.chance(0.3)) return;
      const outboxId = `capture:${id}`;
      const command = answer.ok
        ? { kind: 'capture_done', outboxId }
        : { kind: 'capture_refused', outboxId, code: answer.code };
      world.ask({ type: 'order', id }, command);
    }
  }

  rest(): void {
    const { world } = this;
    world.rest();
    for (let i = 0; i < 500 && (world.outbox.size > 0 || this.capturing.length > 0); i++) {
      this.work();
      world.rest();
    }
    // Past every lifetime of a hold and every give-up time.
    world.pass(30 * MINUTE);
    world.rest();
  }
}

function giftLine(): Quote['lines'][number] {
  const nothing = { unitPrice: 0, subtotal: 0, discount: 0, tax: 0, taxIncluded: 0, total: 0 };
  const why = { promotion: 'with-plain', label: 'A gift', amount: 0, why: 'gift' as const };
  return { id: 'gift_with-plain', sku: GIFT, kind: 'gift', name: GIFT, quantity: 1, ...nothing, discounts: [why] };
}

export function assertStock(shop: Shop, placed: readonly OrderState[]): void {
  for (const product of PRODUCTS) {
    const ref = { type: 'sku', id: product.sku };
    const reply = shop.world.ask(ref, { kind: 'get' }).reply as SkuReply;
    assert(reply.ok && reply.kind === 'stock');
    const sold = placed
      .filter((order) => order.phase === 'confirmed')
      .flatMap((order) => order.lines)
      .filter((line) => line.sku === product.sku)
      .reduce((sum, line) => sum + line.quantity, 0);
    const { onHand, held, allocated, available } = reply.stock;
    assert.deepEqual(
      { onHand, held, allocated, available },
      { onHand: product.stock, held: 0, allocated: sold, available: product.stock - sold },
    );
    const state = shop.world.actor(ref).state as SkuState;
    assert(![...state.holds.values()].some((hold) => hold.status === 'pinned'), 'a pinned hold was left over');
  }
}

const HOLDS = new Set(['held', 'confirmed']);
const STANDING = new Set(['holding', 'charging', 'confirming', 'confirmed']);

/** Within every limit that was ever in force; at rest also what the orders say. */
export function assertCoupons(shop: Shop, placed: readonly OrderState[] | null): void {
  const { highest } = shop;
  const standing = (placed ?? []).filter(({ phase }) => phase === 'confirmed').flatMap(({ uses }) => uses);
  for (const { id, holds, uses } of shop.states<CouponState>('coupon')) {
    const ofOrders = id.startsWith('|');
    const limit = ofOrders ? Infinity : id.includes('|') ? highest.perCustomer : highest.total;
    const firsts = shop.states<OrderState>('order').filter(({ uses: all, phase }) => {
      return STANDING.has(phase) && all.some((use) => use.coupon === id && use.limit === 1);
    });
    const beyond = firsts.filter(({ uses: all }) => all.some((use) => use.coupon === id && HOLDS.has(use.step)));
    assert(!ofOrders || beyond.length <= 1, `${id} has ${beyond.length} first orders`);
    assert(holds.size + uses.count <= limit, `${id} has ${holds.size} held and ${uses.count} used of ${limit}`);
    if (placed === null) continue;
    const used = standing.filter(({ coupon }) => coupon === id).length;
    assert.deepEqual({ id, held: holds.size, used: uses.count }, { id, held: 0, used });
  }
  for (const { coupon } of standing) {
    assert(shop.world.actors.has(`coupon:${coupon}`), `${coupon} is used and was never held`);
  }
}

export function assertMoney(shop: Shop, placed: readonly OrderState[]): void {
  for (const order of placed) {
    const charged = shop.provider.ledger.get(order.id)?.state ?? 'none';
    assert.equal(order.payment.state, charged, `the ledger disagrees about ${order.id}`);
    const open = charged === 'authorized' || charged === 'captured';
    const owed = order.phase === 'confirmed' && order.payment.amount > 0;
    assert.equal(open, owed, `${order.phase} order of ${order.payment.amount} is ${charged}`);
    assert.equal(order.paymentToken, null);
  }
  assert.equal(shop.world.outbox.size, 0, 'a row of the outbox was left open');
}

export function assertCarts(shop: Shop, placed: readonly OrderState[]): void {
  for (const cart of shop.states<CartState>('cart')) {
    const mine = placed.filter((order) => order.cartId === cart.id && order.phase !== 'failed');
    assert(mine.length <= 1, `${cart.id} has ${mine.length} orders`);
    assert.equal(cart.status, mine.length === 1 ? 'checked_out' : 'open');
    assert.equal(cart.orderId, mine[0]?.id ?? null);
    assert.equal(cart.checkout, null, 'personal data stayed in a cart');
    assert.equal(cart.wanted, null);
    assert.deepEqual(cart.releases, []);
    const contents = (lines: readonly { sku: string; quantity: number }[]) => lines.map((l) => [l.sku, l.quantity]);
    const bought = mine[0]?.lines.filter(({ gift }) => gift === undefined);
    if (bought !== undefined) assert.deepEqual(contents(bought), contents(cart.lines));
  }
}

export function assertAnswers(shop: Shop, placed: readonly OrderState[]): void {
  const byId = new Map(placed.map((order) => [order.id, order]));
  for (const { caller, kind } of shop.callers) {
    assert(caller.reply !== undefined || caller.lost === true, `a ${kind} was never answered`);
    const reply = caller.reply as CartReply | undefined;
    if (kind !== 'checkout' || !reply?.ok || reply.kind !== 'order') continue;
    const order = byId.get((reply.order as { id: string }).id);
    assert(order?.phase === 'confirmed' || order?.phase === 'cancelled', 'an order that was answered is not there');
  }
}

export function assertBooks(shop: Shop): void {
  const placed = shop.states<OrderState>('order');
  for (const { phase, id } of placed) assert.match(phase, /^(confirmed|failed|cancelled)$/, `${id} is ${phase}`);
  assertStock(shop, placed);
  assertCoupons(shop, placed);
  assertMoney(shop, placed);
  assertCarts(shop, placed);
  assertAnswers(shop, placed);
  for (const row of shop.world.rows.values()) {
    const text = JSON.stringify(row.doc);
    assert(!text.includes('contact') && !/late|mute|paymentToken/.test(text), 'the read side carries what it must not');
    const ref = { type: row.table === 'orders' ? 'order' : 'sku', id: row.key };
    if (row.table !== 'orders') continue;
    assert.equal(row.doc?.state, (shop.world.actor(ref).state as OrderState).phase);
  }
}
