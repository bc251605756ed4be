/** An order whose world is the test, for tests of the order actor. */
import assert from 'node:assert/strict';
import type { Effect, KeyRef } from '../runtime/actor.ts';
import type { Quote } from '../workers/quote.ts';
import { createOrder, type OrderReply, type OrderStart, type OrderState } from './order.ts';
import { type Caller, World } from './test-world.ts';

export const REF = { type: 'order', id: 'ord_1' };
export const GIVE_UP = 60_000;

export function start(more: Partial<OrderStart> = {}): OrderStart {
  return {
    kind: 'start',
    cartId: 'cart_1',
    currency: 'EUR',
    lines: [
      { id: 'lin_1', sku: 'OWN', quantity: 2, cartHoldId: null },
      { id: 'lin_2', sku: 'CARTS', quantity: 1, cartHoldId: 'hold_cart' },
    ],
    destination: { country: 'DE' },
    coupons: [],
    shippingMethod: null,
    expectedTotal: { amount: 500, currency: 'EUR' },
    contact: { subject: 'subject-1', bytes: new Uint8Array([1, 2]) },
    paymentToken: 'tok_secret',
    ...more,
  };
}

export function quote(total: number, more: Partial<Quote> = {}): Quote {
  const none = { lines: [], discounts: [], taxes: [], warnings: [], shipping: null };
  const sums = { subtotal: total, discount: 0, shippingPrice: 0, taxAdded: 0, taxIncluded: 0, total };
  return { bookVersion: 1, currency: 'EUR', taxState: 'final', ...none, ...sums, ...more };
}

export const HELD = (quantity: number) => ({ ok: true, kind: 'hold', holdId: 'h', quantity, expiresAt: null });
export const DONE = { ok: true, kind: 'done' };
export const SHORT = { ok: false, code: 'out_of_stock', available: 0 };
export const RETURNED = { ok: true, kind: 'returned', returned: true, expiresAt: 99 };
export const AUTHORISED = { ok: true, paymentId: 'pay_1', provider: 'test' };

/** What is asked, and of whom where it is asked of an actor other than the cart. */
function nameOf(effect: Effect): string {
  return effect.kind === 'send' && effect.id.includes(':') ? `${effect.id.split(':')[0]} ${effect.to.id}` : effect.id;
}

/** An order whose world is the test: it sees what is pending and answers by hand. */
export class Order {
  readonly world = new World(1, [createOrder({ giveUpAfterMs: GIVE_UP })]);

  constructor(more: Partial<OrderStart> = {}) {
    this.world.ask(REF, start(more));
  }

  get state(): OrderState {
    return this.world.actor(REF).state as OrderState;
  }

  get #effects(): readonly Effect[] {
    return this.world.pendingOf(this.world.actor(REF));
  }

  pending(): Record<string, unknown> {
    return Object.fromEntries(
      this.#effects.map((effect) => [nameOf(effect), effect.kind === 'call' ? effect.input : effect.command]),
    );
  }

  get waiting(): string[] {
    return Object.keys(this.pending());
  }

  /** Answers `price`, `hold OWN`, `undo CARTS` … twice: every answer may come again. */
  answer(name: string, outcome: unknown): this {
    const effectId = this.#effects.find((effect) => nameOf(effect) === name)?.id;
    assert(this.waiting.includes(name), `${name} is not pending, but ${this.waiting.join(', ')}`);
    this.world.ask(REF, { kind: '$outcome', effectId, outcome });
    const { seq } = this.world.actor(REF);
    this.world.ask(REF, { kind: '$outcome', effectId, outcome });
    assert.equal(this.world.actor(REF).seq, seq, `${name} answered twice had two effects`);
    return this;
  }

  held(): this {
    return this.answer('price', quote(500)).answer('hold OWN', HELD(2)).answer('hold CARTS', HELD(1));
  }

  confirmed(): this {
    this.held().answer('authorise', AUTHORISED).answer('confirm OWN', DONE).answer('confirm CARTS', DONE);
    return this.answer('result', { ok: true, kind: 'cart' });
  }

  ask(command: unknown, key?: KeyRef): OrderReply {
    return this.world.ask(REF, command, key).reply as OrderReply;
  }

  call(command: unknown, key?: KeyRef): Caller {
    return this.world.ask(REF, command, key);
  }

  get failure(): [string | undefined, readonly string[] | undefined] {
    return [this.state.failure?.code, this.state.failure?.skus];
  }
}

export function shown(reply: unknown): [string, string] {
  const { ok, order } = reply as { ok: boolean; order: { state: string; payment: { state: string } } };
  assert(ok);
  return [order.state, order.payment.state];
}
