/**
 * Buyers of big carts, whose prices are figured on threads: each fills a cart with more lines than the node prices by itself, sets one line's
 * quantity after another, and checks that every answer adds up, to the last unit. What has no certain end is asked for again.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type Answer, noAnswerOf, pause, type RequestOptions, type Storefront, until } from './shop-process.ts';
import { newCart } from './shopper.ts';

/** More units than `inlineCostMax` of the pool. */
const LINES = 110;
const PRICE = 100;

export interface BigCartsResult {
  readonly priced: number;
  readonly refused: number;
}

/** Puts them on the shelf by the first node, and waits until every node sells the last of them. */
export async function putBigCartGoods(nodes: readonly Storefront[]): Promise<readonly string[]> {
  const [shop] = nodes;
  assert.ok(shop !== undefined);
  const skus = Array.from({ length: LINES }, (_, index) => `FAULT-BIG-${index}`);
  const body = { category: 'Faults', taxCategory: 'standard', prices: { USD: PRICE }, holdAt: 'checkout' };
  const lines = skus.map((sku) => JSON.stringify({ sku, name: sku, ...body })).join('\n');
  const answer = await shop.admin('POST', '/v1/admin/products/import', {
    body: lines,
    headers: { 'content-type': 'application/x-ndjson' },
  });
  assert.equal(answer.status, 200, answer.text);
  for (const node of nodes)
    await until('every node sells them', async () => {
      return (await node.request('GET', `/v1/products/${skus.at(-1)}`)).status === 200;
    });
  return skus;
}

export class BigCarts {
  readonly #shop: Storefront;
  readonly #skus: readonly string[];
  #over = false;
  #priced = 0;
  #refused = 0;
  #full = 0;
  #running: Promise<void>[] = [];

  constructor(shop: Storefront, skus: readonly string[]) {
    this.#shop = shop;
    this.#skus = skus;
  }

  /** All of them have all their lines. */
  get isFull(): boolean {
    return this.#running.length > 0 && this.#full === this.#running.length;
  }

  get priced(): number {
    return this.#priced;
  }

  start(buyers: number): this {
    this.#running = Array.from({ length: buyers }, () => this.#buy());
    return this;
  }

  /** Rejects where an answer was wrong. */
  async stop(): Promise<BigCartsResult> {
    this.#over = true;
    await Promise.all(this.#running);
    return { priced: this.#priced, refused: this.#refused };
  }

  async #buy(): Promise<void> {
    const cart = await newCart(this.#shop);
    const path = `/v1/carts/${cart.id}/lines`;
    const { token } = cart;
    const quantities = new Map<string, number>();
    for (const sku of this.#skus) {
      quantities.set(sku, 1);
      this.#check(
        await this.#persist('POST', path, { token, key: randomUUID(), body: { sku, quantity: 1 } }),
        quantities,
      );
    }
    this.#full++;
    while (!this.#over) {
      const sku = this.#skus[Math.floor(Math.random() * LINES)] ?? '';
      const quantity = 1 + Math.floor(Math.random() * 9);
      quantities.set(sku, quantity);
      this.#check(await this.#persist('PATCH', `${path}/${sku}`, { token, body: { quantity } }), quantities);
      await pause(5);
    }
  }

  #check({ body }: Answer, quantities: ReadonlyMap<string, number>): void {
    const { lines, totals } = body;
    const shown = lines.map(({ sku, quantity }: { sku: string; quantity: number }) => [sku, quantity]);
    assert.deepEqual(new Map(shown), quantities, 'each change took effect once');
    const units = [...quantities.values()].reduce((sum, quantity) => sum + quantity, 0);
    assert.equal(totals.subtotal.amount, units * PRICE, 'the price adds up');
    assert.equal(
      totals.total.amount,
      totals.subtotal.amount - totals.discount.amount + totals.shipping.amount + totals.taxAdded.amount,
    );
  }

  async #persist(method: string, path: string, call: RequestOptions): Promise<Answer> {
    for (;;) {
      try {
        const answer = await this.#shop.request(method, path, call);
        if (answer.status === 200) {
          this.#priced++;
          return answer;
        }
        assert.equal(answer.status, 503, answer.text);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        noAnswerOf(error);
      }
      this.#refused++;
      await pause(20);
    }
  }
}
