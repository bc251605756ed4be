/**
 * Shoppers for fault tests: each opens a cart, fills it, looks at its own and at others' carts, checks out with one of the sandbox's
 * tokens, looks at the order, cancels some. Every call may go to another node. What broke off is repeated under its key, as a real
 * client would; an add without a key is not, and its fate stays open. All that was told goes into the ledger.
 */
import { randomUUID } from 'node:crypto';
import type { CartRecord, Ledger, OrderRecord } from './ledger.ts';
import { type Answer, noAnswerOf, pause, type RequestOptions, type Storefront } from './shop-process.ts';
import { ADDRESS, TEXAS } from './shopper.ts';

/** Every card of the sandbox; the good one more often, as most are. */
const TOKENS = [
  'tok_ok',
  'tok_ok',
  'tok_ok',
  'tok_declined',
  'tok_insufficient_funds',
  'tok_timeout',
  'tok_late',
  'tok_error',
  'tok_slow',
  'tok_requires_action',
];

export interface ShopperLoadOptions {
  readonly front: Storefront;
  readonly ledger: Ledger;
  readonly shoppers: number;
  /** Enough of these for everybody. */
  readonly plainSkus: readonly string[];
  /** Held at the cart, and scarce. May be none. */
  readonly heldSkus: readonly string[];
  /** 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
  /** A shopper waits up to this long between two calls. Default 20. */
  readonly thinkMs?: number;
  /** A call that has no end after this long, over all its tries, is a violation. Default 90,000. */
  readonly patienceMs?: number;
  /** Of one try. Default 20,000: longer than any answer may take. */
  readonly timeoutMs?: number;
}

/** Codes of a 503 after which a write may have had its effect all the same (`runtime/fault.ts`). */
const OPEN_CODES: readonly string[] = ['outcome_unknown', 'shard_unavailable', 'pricing_unavailable'];

export class ShopperLoad {
  /** How often each end of a try was met: "200", "503 shard_unavailable", and those of `NoAnswer`. */
  readonly ends = new Map<string, number>();
  /** The slowest answer that came, in milliseconds. */
  slowestMs = 0;
  readonly #options: ShopperLoadOptions;
  readonly #random: () => number;
  #serial = 0;
  #over = false;
  #running: Promise<void>[] = [];

  constructor(options: ShopperLoadOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  start(): this {
    this.#over = false;
    this.#running = Array.from({ length: this.#options.shoppers }, async () => {
      while (!this.#over) {
        try {
          await this.#errand(this.#serial++);
        } catch (error) {
          this.#options.ledger.note(error instanceof Error ? error.message : String(error));
          return;
        }
      }
    });
    return this;
  }

  /** No errand begins any more; resolves when those under way have come to their end. */
  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#running);
  }

  count(end: string | RegExp): number {
    let sum = 0;
    for (const [name, count] of this.ends) if (typeof end === 'string' ? name === end : end.test(name)) sum += count;
    return sum;
  }

  /** Tries that no node answered with a success or a refusal of the shop's own. */
  get failures(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.ends].filter(([end]) => !/^[234]\d\d/.test(end)));
  }

  async #errand(serial: number): Promise<void> {
    const { ledger, plainSkus, heldSkus } = this.#options;
    const key = randomUUID();
    const body = { currency: 'USD', destination: TEXAS };
    const created = await this.#persist('a new cart', () => this.#try('POST', '/v1/carts', { key, body }));
    if (created.status !== 201) throw new Error(`a new cart was answered ${created.status} ${created.text}`);
    const cart = ledger.opened(created);
    const adds = 1 + this.#below(5);
    for (let i = 0; i < adds; i++) {
      const held = heldSkus.length > 0 && this.#chance(0.3);
      await this.#add(cart, this.#pick(held ? heldSkus : plainSkus), 1 + this.#below(2), this.#chance(0.6));
      if (this.#chance(0.4)) await this.#read(this.#chance(0.5) ? cart : this.#pick(ledger.carts.slice(-30)));
    }
    if (!this.#chance(0.65)) return;
    let order = await this.#checkout(cart, `${TOKENS[serial % TOKENS.length]}:${serial}`);
    if (order?.status === 402 && this.#chance(0.5)) order = await this.#checkout(cart, `tok_ok:${serial}b`);
    if (order?.status !== 201) return;
    await this.#readOrder(cart, order);
    if (this.#chance(0.3)) await this.#cancel(cart, order);
  }

  async #add(cart: CartRecord, sku: string, quantity: number, keyed: boolean): Promise<void> {
    const asked = this.#options.ledger.adding(cart, sku, quantity);
    const path = `/v1/carts/${cart.id}/lines`;
    const call = { token: cart.token, body: { sku, quantity } };
    if (keyed) {
      const key = randomUUID();
      const answer = await this.#persist(`an add to ${cart.id}`, () => this.#try('POST', path, { ...call, key }));
      if (answer.status === 200) asked.answered(answer);
      else if (answer.status === 409) asked.refused();
      else throw new Error(`an add to ${cart.id} was answered ${answer.status} ${answer.text}`);
      return;
    }
    const answer = await this.#try('POST', path, call);
    if (answer === 'nobody listens') asked.refused();
    else if (typeof answer === 'string') asked.brokeOff();
    else if (answer.status === 200) asked.answered(answer);
    else if (answer.status >= 500 && (answer.status !== 503 || OPEN_CODES.includes(answer.body.code))) asked.brokeOff();
    else asked.refused();
  }

  async #read(cart: CartRecord): Promise<void> {
    const asked = this.#options.ledger.reading(cart);
    const answer = await this.#try('GET', `/v1/carts/${cart.id}`, { token: cart.token });
    if (typeof answer === 'string' || answer.status === 503) return;
    if (answer.status === 200) asked.answered(answer);
    else this.#options.ledger.note(`a read of ${cart.id} was answered ${answer.status} ${answer.text}`);
  }

  /** Null where the cart turned out to be in another state than its shopper thought: adds whose fate was open. */
  async #checkout(cart: CartRecord, payWith: string): Promise<OrderRecord | null> {
    const { ledger } = this.#options;
    // Its total may not be what was last shown: adds without a key may have come to something.
    const asked = ledger.reading(cart);
    const path = `/v1/carts/${cart.id}`;
    const seen = await this.#persist(`a read of ${cart.id}`, () => this.#try('GET', path, { token: cart.token }));
    if (seen.status !== 200) throw new Error(`a read of ${cart.id} was answered ${seen.status} ${seen.text}`);
    asked.answered(seen);
    const key = randomUUID();
    const body = {
      email: `${key}@example.com`,
      shippingAddress: ADDRESS,
      expectedTotal: cart.total,
      payment: { method: 'card', token: payWith },
    };
    const answer = await this.#persist(`a checkout of ${cart.id}`, () =>
      this.#try('POST', `${path}/checkout`, { token: cart.token, key, body }),
    );
    let { status } = answer;
    let { id, version } = answer.body;
    if (status === 202) {
      const order = await this.#settled(cart, id);
      status = order.state === 'confirmed' ? 201 : 402;
      version = order.version;
    }
    if (status !== 201 && status !== 402 && status !== 409)
      throw new Error(`a checkout of ${cart.id} was answered ${answer.status} ${answer.text}`);
    if (status !== 201) id = null;
    const order: OrderRecord = { id, status, payWith, version, cancelled: false };
    ledger.checkedOut(cart, order, answer.status === 202 ? 'order' : 'cart');
    return order;
  }

  async #settled(cart: CartRecord, orderId: string): Promise<Answer['body']> {
    const read = () => this.#try('GET', `/v1/orders/${orderId}`, { token: cart.token });
    const answer = await this.#persist(`order ${orderId}`, async () => {
      const seen = await read();
      return typeof seen !== 'string' && seen.body.state === 'pending' ? 'still pending' : seen;
    });
    if (answer.status !== 200) throw new Error(`order ${orderId} was answered ${answer.status} ${answer.text}`);
    return answer.body;
  }

  async #readOrder(cart: CartRecord, order: OrderRecord): Promise<void> {
    const told = this.#options.ledger.readingOrder(order);
    const answer = await this.#try('GET', `/v1/orders/${order.id}`, { token: cart.token });
    if (typeof answer === 'string' || answer.status === 503) return;
    if (answer.status === 200) told(answer);
    else this.#options.ledger.note(`an acknowledged order was answered ${answer.status} ${answer.text}`);
  }

  async #cancel(cart: CartRecord, order: OrderRecord): Promise<void> {
    const key = randomUUID();
    const answer = await this.#persist(`the cancel of ${order.id}`, () =>
      this.#try('POST', `/v1/orders/${order.id}/cancel`, { token: cart.token, key }),
    );
    if (answer.status === 200) {
      order.cancelled = true;
      order.version = Math.max(order.version, answer.body.version);
      if (answer.body.state !== 'cancelled') this.#options.ledger.note(`a cancelled order is ${answer.body.state}`);
    } else if (answer.body.code !== 'not_cancellable')
      throw new Error(`the cancel of ${order.id} was answered ${answer.status} ${answer.text}`);
  }

  /** Tries again until there is an answer that says what became of it. */
  async #persist(what: string, once: () => Promise<Answer | string>): Promise<Answer> {
    const end = performance.now() + (this.#options.patienceMs ?? 90_000);
    let last = '';
    for (;;) {
      const answer = await once();
      if (typeof answer !== 'string' && !isUndecided(answer)) return answer;
      last = typeof answer === 'string' ? answer : `${answer.status} ${answer.text.slice(0, 200)}`;
      if (performance.now() > end) throw new Error(`${what} came to no end; last: ${last}`);
      await pause(20 + this.#below(80));
    }
  }

  /** One try on some node. A string names how it came to no answer. */
  async #try(method: string, path: string, options: RequestOptions): Promise<Answer | string> {
    await pause(this.#below(this.#options.thinkMs ?? 20));
    const timeoutMs = this.#options.timeoutMs ?? 20_000;
    const started = performance.now();
    let end: string;
    let answer: Answer | null = null;
    try {
      answer = await this.#options.front.request(method, path, { ...options, timeoutMs });
      this.slowestMs = Math.max(this.slowestMs, performance.now() - started);
      end = answer.status >= 400 ? `${answer.status} ${answer.body?.code ?? ''}` : String(answer.status);
    } catch (error) {
      end = noAnswerOf(error);
    }
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
    return answer ?? end;
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<T>(from: readonly T[]): T {
    const picked = from[this.#below(from.length)];
    if (picked === undefined) throw new Error('there is nothing to choose from');
    return picked;
  }
}

/** Not an end: the same call is to be made again under its key. */
function isUndecided({ status, body }: Answer): boolean {
  return status === 503 || status === 429 || (status === 409 && /_in_progress$/.test(body.code));
}
