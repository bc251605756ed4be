/**
 * Those who browse: they look at stock, at carts and orders that they have heard of, at many nodes at once and again and again, and so are
 * the ones who see it when somebody answers from a past that is over. A crowd of them is one of the faults (`crowd`).
 */
import type { ActorRef } from '../runtime/actor.ts';
import { Person } from './person.ts';
import { PRODUCTS } from './shop.ts';

export class Onlooker extends Person {
  override async run(): Promise<void> {
    await this.idle(this.random.int(0, 300));
    while (this.open) {
      const glances = this.random.chance(0.2) ? this.random.int(2, 5) : 1;
      for (let i = 1; i < glances; i++) this.beside(this.#glance());
      if (this.random.chance(0.5)) this.beside(this.#glance());
      else await this.#glance();
      await this.idle(this.random.delay(40));
    }
  }

  /** All at one node, at the same time. */
  crowd(node: string, calls: number): void {
    for (let i = 0; i < calls; i++) this.beside(this.#glance(node));
  }

  async #glance(node?: string): Promise<void> {
    const ref = this.#something();
    const more = { render: ref.type !== 'sku', repeatable: true };
    await this.attempt(this.newIntent(), ref, { kind: 'get' }, null, more, node);
  }

  #something(): ActorRef {
    const { random, rumours } = this;
    const dice = random.unit();
    if (dice < 0.3 && rumours.carts.length > 0) return { type: 'cart', id: random.pick(rumours.carts.slice(-6)) };
    if (dice < 0.4 && rumours.orders.length > 0) return { type: 'order', id: random.pick(rumours.orders.slice(-6)) };
    return { type: 'sku', id: random.pick(PRODUCTS).sku };
  }
}
