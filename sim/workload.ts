/**
 * Who uses the simulated shop, drawn by the seed: shoppers (`shopper.ts`), onlookers (`onlooker.ts`), operators and workers (`staff.ts`).
 */
import type { Weather } from './faults.ts';
import { Onlooker } from './onlooker.ts';
import type { Client, Rumours, WorkloadOptions } from './person.ts';
import { Postman } from './postman.ts';
import { Shopper } from './shopper.ts';
import { Operator, Supplier, Worker } from './staff.ts';

/** The clients of one seed: those that may be left out of it and are not, and those that it cannot do without. */
export class Workload {
  readonly clients: readonly Client[];
  /** Of all clients that may be left out, taking part or not. */
  readonly size: number;
  readonly #supplier: Supplier;
  readonly #crowd: Onlooker;
  readonly #postman: Postman;
  #busy = 0;

  constructor(options: WorkloadOptions, weather: Weather) {
    const { random } = options;
    const draw = random.split('crowd');
    const shoppers = draw.int(2, 5);
    const operators = draw.int(1, 2);
    const rumours: Rumours = { carts: [], orders: [] };
    const clients: Client[] = [];
    for (let i = 0; i < shoppers; i++) clients.push(new Shopper(`shopper-${i}`, options, rumours));
    for (let i = 0; i < operators; i++) clients.push(new Operator(`operator-${i}`, options, rumours));
    clients.push(new Onlooker('onlooker', options, rumours));
    const present = clients.filter((_, place) => options.clients?.includes(place) ?? true);
    // Without it the outbox is never done, and a history without it would fail for that alone.
    this.clients = [...present, new Worker('worker', options, rumours)];
    this.size = clients.length;
    this.#postman = new Postman(options, rumours, weather);
    this.#crowd = new Onlooker('crowd', options, rumours);
    this.#supplier = new Supplier('supplier', options, rumours);
  }

  /** The provider says that the order's payment has changed. */
  notify(orderId: string): void {
    this.#postman.notify(orderId);
  }

  /** Many ask the node at once. */
  crowd(node: string, calls: number): void {
    this.#crowd.crowd(node, calls);
  }

  /** True once every client has done what it had begun. */
  get done(): boolean {
    const all = [this.#supplier, this.#crowd, this.#postman, ...this.clients];
    return this.#busy === 0 && all.every(({ quiet }) => quiet);
  }

  start(): void {
    for (const client of [this.#supplier, ...this.clients]) {
      this.#busy++;
      void client.run().finally(() => {
        this.#busy--;
      });
    }
  }
}
