/**
 * Shoppers: they fill carts, hold scarce units, check out with retries under the same key and in a second tab under another, cancel and come
 * back.
 */

import type { ActorRef } from '../runtime/actor.ts';
import type { Outcome } from './history.ts';
import { answerOf, type Command, Person } from './person.ts';
import { type Answer, COUPONS, CURRENCY, PRODUCTS } from './shop.ts';

export class Shopper extends Person {
  #carts = 0;

  override async run(): Promise<void> {
    await this.idle(this.random.int(0, 600));
    while (this.open) await this.#visit();
  }

  async #visit(): Promise<void> {
    const ref = { type: 'cart', id: `cart_${this.name}_${++this.#carts}` };
    const destination = this.random.chance(0.5) ? { country: 'DE' } : null;
    const created = await this.insist(
      ref,
      { kind: 'create', currency: CURRENCY, destination },
      { render: true, fresh: false },
    );
    if (answerOf(created)?.kind !== 'cart') return;
    this.rumours.carts.push(ref.id);
    let seen: Answer | null = answerOf(created);
    const edits = this.random.int(1, 6);
    for (let i = 0; i < edits && this.open; i++) {
      await this.idle(this.random.int(5, 250));
      const answer = answerOf(await this.#edit(ref, seen));
      if (answer?.kind === 'cart') seen = answer;
    }
    if (this.random.chance(0.15)) return;
    await this.#checkOut(ref, seen);
  }

  #command(seen: Answer | null): Command {
    const { random } = this;
    const dice = random.unit();
    const lines = seen?.kind === 'cart' ? seen.lines : [];
    const ifMatch = seen?.kind === 'cart' && random.chance(0.1) ? { ifMatch: seen.version } : {};
    if (dice < 0.6 || lines.length === 0) {
      const { sku, holdAt } = random.pick(PRODUCTS);
      const product = { sku, holdAt, maxPerOrder: 5, holdTtlMs: this.options.tempo.holdTtlMs, currencies: [CURRENCY] };
      return { kind: 'add_line', product, quantity: random.int(1, 2), ...ifMatch };
    }
    const [line] = random.pick(lines);
    if (dice < 0.78) return { kind: 'set_quantity', line, quantity: random.int(0, 4), ...ifMatch };
    if (dice < 0.86) return { kind: 'remove_line', line, ...ifMatch };
    if (dice < 0.95) return { kind: 'apply_coupon', code: random.pick(COUPONS) };
    return { kind: 'remove_coupon', code: random.pick(COUPONS) };
  }

  /** With or without a key; sometimes a look, sometimes two things at once. */
  async #edit(ref: ActorRef, seen: Answer | null): Promise<Outcome> {
    const { random } = this;
    if (random.chance(0.2)) return this.look(ref, true);
    if (random.chance(0.15)) this.beside(this.look(ref, true));
    const command = this.#command(seen);
    if (random.chance(0.6)) return this.insist(ref, command, { render: true });
    if (random.chance(0.2))
      this.beside(this.attempt(this.newIntent(), ref, this.#command(seen), null, { render: true }));
    return this.attempt(this.newIntent(), ref, command, null, { render: true });
  }

  async #checkOut(ref: ActorRef, before: Answer | null): Promise<void> {
    const { random } = this;
    let seen = before;
    for (let turn = 0; turn < 3; turn++) {
      const looked = answerOf(await this.look(ref, true));
      if (looked?.kind === 'cart') seen = looked;
      if (seen?.kind !== 'cart') return;
      const command = this.#payment(seen.quote.total + (random.chance(0.03) ? 1 : 0));
      if (random.chance(0.15)) this.beside(this.insist(ref, this.#payment(seen.quote.total), { render: true }));
      const answer = answerOf(await this.insist(ref, command, { render: true }));
      if (answer?.kind === 'order') {
        await this.#after(answer.order.id);
        return;
      }
      if (answer === null || !this.open) return;
      await this.sleep(random.int(20, 600));
    }
  }

  #payment(amount: number): Command {
    const paymentToken = this.random.chance(0.12) ? 'declined' : 'ok';
    return {
      kind: 'checkout',
      request: {
        contact: { subject: this.name, bytes: new Uint8Array([1, 2, 3]) },
        destination: { country: 'DE' },
        expectedTotal: { amount, currency: CURRENCY },
        paymentToken,
        customer: this.name,
      },
    };
  }

  async #after(orderId: string): Promise<void> {
    const { random, rumours } = this;
    rumours.orders.push(orderId);
    const ref = { type: 'order', id: orderId };
    if (random.chance(0.5)) await this.look(ref, true);
    if (!random.chance(0.3)) return;
    await this.idle(random.int(0, 1_200));
    await this.insist(ref, { kind: 'cancel' }, { render: true });
  }
}
