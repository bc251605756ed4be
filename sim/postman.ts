/**
 * Brings the payment provider's notices that something has changed: to any node, late, out of order, more than once, some for nothing.
 * Nothing in them is believed; an order in doubt asks its provider again at once.
 */
import type { Weather } from './faults.ts';
import { Person, type Rumours, type WorkloadOptions } from './person.ts';

const COPIES_MAX = 5;

export class Postman extends Person {
  readonly #weather: Weather;

  constructor(options: WorkloadOptions, rumours: Rumours, weather: Weather) {
    super('postman', options, rumours);
    this.#weather = weather;
  }

  override async run(): Promise<void> {}

  /** Of a change of the order's payment. */
  notify(orderId: string): void {
    const doubled = this.#weather.strength('notices_doubled', 'payments');
    const copies = doubled > 0 ? this.random.int(1, COPIES_MAX) : this.random.int(0, 1);
    for (let i = 0; i < copies; i++) this.beside(this.#bring(orderId, doubled));
  }

  async #bring(orderId: string, doubled: number): Promise<void> {
    await this.sleep(this.random.delay(doubled > 0 ? 300 : 20));
    const { orders } = this.rumours;
    const about = orders.length > 0 && this.random.chance(doubled * 0.3) ? this.random.pick(orders) : orderId;
    const ref = { type: 'order', id: about };
    await this.attempt(this.newIntent(), ref, { kind: 'payment_notice' }, null, { repeatable: true });
  }
}
