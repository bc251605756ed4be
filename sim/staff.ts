/** The people of the shop: who brings the stock, operators who adjust it, change prices, ship and look, workers that run the outbox. */
import type { ActorRef } from '../runtime/actor.ts';
import { Fault } from '../runtime/fault.ts';
import type { OutboxRow } from '../runtime/journal.ts';
import { captureJob } from '../workers/capture-job.ts';
import { type Command, Person } from './person.ts';
import { PRODUCTS } from './shop.ts';
import type { SkuRequest } from './specifications.ts';

/** Brings the first stock. */
export class Supplier extends Person {
  override async run(): Promise<void> {
    await Promise.all(
      PRODUCTS.map(({ sku, stock }) => {
        return this.insist({ type: 'sku', id: sku }, { kind: 'adjust', delta: stock, reason: 'delivery' });
      }),
    );
  }
}

export class Operator extends Person {
  override async run(): Promise<void> {
    while (this.open) {
      await this.idle(this.random.int(30, 400));
      await this.#act();
    }
  }

  async #act(): Promise<void> {
    const { random, rumours } = this;
    const ref = { type: 'sku', id: random.pick(PRODUCTS).sku };
    const dice = random.unit();
    if (dice < 0.4) {
      await this.look(ref, false);
    } else if (dice < 0.7) {
      const intent = this.newIntent();
      const command: Command = { kind: 'adjust', delta: random.int(-3, 4) || 1, reason: intent };
      if (random.chance(0.7)) await this.insist(ref, command, {}, intent);
      else await this.attempt(intent, ref, command, null);
    } else if (dice < 0.75) {
      this.options.shop.changePrices();
      this.options.history.note(this.name, 'changed prices');
    } else if (rumours.orders.length > 0) {
      const order = { type: 'order', id: random.pick(rumours.orders) };
      if (dice < 0.85) await this.look(order, true);
      else if (dice < 0.93) await this.#ship(order.id);
      else await this.insist(order, { kind: 'cancel' }, { render: true });
    }
  }

  async #ship(orderId: string): Promise<void> {
    for (const { sku, holdId, quantity } of this.options.front.parcels(orderId)) {
      const command: SkuRequest = { kind: 'ship', holdId, owner: orderId, quantity };
      await this.insist({ type: 'sku', id: sku }, command);
    }
  }
}

/** Runs the outbox as the queues do: more than once, by several, with pauses in between. */
export class Worker extends Person {
  override async run(): Promise<void> {
    const { front } = this.options;
    while (this.open) {
      await this.idle(this.random.int(50, 400));
      const rows = front.openOutbox();
      if (rows.length === 0) continue;
      const row = this.random.pick(rows);
      if (this.random.chance(0.15)) this.beside(this.work(row));
      await this.work(row);
    }
    void this.#finish();
  }

  /** As long as there is a world: what is in the outbox is done some time. */
  async #finish(): Promise<void> {
    for (;;) {
      await this.sleep(500);
      await Promise.all(this.options.front.openOutbox().map((row) => this.work(row)));
    }
  }

  async work(row: OutboxRow): Promise<void> {
    const job = row.job === 'capture' ? this.#capture : row.job === 'email' ? this.#email : null;
    if (job === null) return;
    try {
      await job.call(this, row);
    } catch (error) {
      // A job that fails is run again later, as its row stays open.
      if (!(error instanceof Fault)) throw error;
    }
  }

  async #asked(ref: ActorRef, command: Command): Promise<unknown> {
    const outcome = await this.attempt(this.newIntent(), ref, command, null, {});
    if (outcome.kind === 'reply') return outcome.value;
    throw new Fault('effect_failed', outcome.kind === 'fault' ? outcome.code : 'no answer');
  }

  async #capture(row: OutboxRow): Promise<void> {
    const { provider } = this.options;
    const job = captureJob({ ask: (ref, command) => this.#asked(ref, command), provider });
    await job.run(row.doc, row.id);
  }

  async #email(row: OutboxRow): Promise<void> {
    const ref = { type: 'order', id: String(row.doc.orderId) };
    const asked = (await this.#asked(ref, { kind: 'request_email', outboxId: row.id })) as {
      ok: boolean;
      kind: string;
    };
    if (!asked.ok || asked.kind === 'done') return;
    await this.sleep(this.random.int(5, 400));
    await this.#asked(ref, { kind: 'email_sent', outboxId: row.id });
  }
}
