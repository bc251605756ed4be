/**
 * Who uses the simulated shop: shoppers who fill carts, hold scarce units, check out with retries under the same key and in a second tab
 * under another, cancel and come back; operators who adjust stock, change prices, ship and look; workers that run the outbox. Each
 * draws from a random source of its own, so that leaving one out changes nothing of what the others intend.
 *
 * A client knows only what it was told. It asks one node, gives up after its patience, and where an answer leaves things open it asks
 * again under the same key, at that node or another. Everything it does and hears is in the history.
 */
import type { CartCommand } from '../actors/cart-protocol.ts';
import type { OrderCommand } from '../actors/order-protocol.ts';
import type { ActorRef, KeyRef } from '../runtime/actor.ts';
import { Fault } from '../runtime/fault.ts';
import type { OutboxRow } from '../runtime/journal.ts';
import type { AskOptions } from '../runtime/system.ts';
import { captureJob } from '../workers/capture-job.ts';
import { type History, leavesOpen, type Outcome } from './history.ts';
import type { ProviderClient } from './payments.ts';
import type { Random } from './random.ts';
import { type Answer, COUPONS, CURRENCY, HOLD_TTL_MS, PRODUCTS, type Shop } from './shop.ts';
import type { SkuRequest } from './specifications.ts';
import type { Client as WorldClient } from './world.ts';

/** What of the simulated world clients see. */
export interface Front {
  client(name: string): WorldClient;
  /** Names of the nodes that a client may try. */
  readonly nodeNames: readonly string[];
  /** Open rows of the outbox, oldest first. */
  openOutbox(): readonly OutboxRow[];
  /** What is to be shipped for the order, if it is confirmed. */
  parcels(orderId: string): readonly Parcel[];
}

export interface Parcel {
  readonly sku: string;
  readonly holdId: string;
  readonly quantity: number;
}

export interface WorkloadOptions {
  readonly front: Front;
  readonly history: History;
  readonly random: Random;
  readonly shop: Shop;
  readonly provider: ProviderClient;
  /** Places of the clients that take part; default: all. */
  readonly clients?: readonly number[] | undefined;
  /** New intentions are formed until then, in true time since the world began. */
  readonly until: number;
}

type Command = CartCommand | OrderCommand | SkuRequest;

const ASK_TIMEOUT_MS = 4_000;
/** Longer than a node takes to answer, if it answers at all. */
const PATIENCE_MS = 9_000;
const ATTEMPTS = 6;

/** What all clients know of each other: orders that somebody was told of, so that others may look, cancel and ship. */
interface Rumours {
  readonly orders: string[];
}

export interface Client {
  readonly name: string;
  run(): Promise<void>;
}

/** The clients of one seed, whether or not they take part. */
export class Workload {
  readonly clients: readonly Client[];
  /** Of all clients, taking part or not. */
  readonly size: number;
  readonly #supplier: Supplier;
  #busy = 0;

  constructor(options: WorkloadOptions) {
    const { random } = options;
    const draw = random.split('crowd');
    const shoppers = draw.int(3, 7);
    const operators = draw.int(1, 2);
    const rumours: Rumours = { orders: [] };
    const clients: Client[] = [];
    for (let i = 0; i < shoppers; i++) clients.push(new Shopper(`shopper-${i}`, options, rumours));
    for (let i = 0; i < operators; i++) clients.push(new Operator(`operator-${i}`, options, rumours));
    clients.push(new Worker('worker', options, rumours));
    this.clients = clients.filter((_, place) => options.clients?.includes(place) ?? true);
    this.size = clients.length;
    this.#supplier = new Supplier('supplier', options, rumours);
  }

  /** True once every client has done what it had begun. */
  get done(): boolean {
    return this.#busy === 0;
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

abstract class Person implements Client {
  readonly name: string;
  protected readonly options: WorkloadOptions;
  protected readonly random: Random;
  protected readonly rumours: Rumours;
  readonly #connection: WorldClient;
  #intents = 0;

  constructor(name: string, options: WorkloadOptions, rumours: Rumours) {
    this.name = name;
    this.options = options;
    this.rumours = rumours;
    this.random = options.random.split(name);
    this.#connection = options.front.client(name);
  }

  abstract run(): Promise<void>;

  protected get open(): boolean {
    return this.#connection.now() < this.options.until;
  }

  protected sleep(ms: number): Promise<void> {
    return this.#connection.sleep(ms);
  }

  protected newIntent(): string {
    return `${this.name}.${++this.#intents}`;
  }

  protected keyFor(intent: string, command: Command): KeyRef {
    return { hash: intent, fingerprint: command.kind };
  }

  /** One attempt at one node. */
  protected async attempt(
    intent: string,
    ref: ActorRef,
    command: Command,
    key: KeyRef | null,
    more: AskOptions = {},
  ): Promise<Outcome> {
    const { front, history } = this.options;
    const node = this.random.pick(front.nodeNames);
    const record = history.begin({ client: this.name, node, ref, command, key, intent });
    const options = { timeoutMs: ASK_TIMEOUT_MS, answerMs: PATIENCE_MS, ...more, ...(key === null ? {} : { key }) };
    const outcome = await this.#connection.ask(node, ref, command, options);
    history.end(record, outcome);
    return outcome;
  }

  /** Asks, and where things are left open asks again under the key, until told or out of attempts. */
  protected async insist(ref: ActorRef, command: Command, more: AskOptions = {}, name?: string): Promise<Outcome> {
    const intent = name ?? this.newIntent();
    const key = this.keyFor(intent, command);
    let outcome: Outcome = { kind: 'lost' };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // Impatient: a second try while the first is still on its way.
      if (attempt === 0 && this.random.chance(0.08)) void this.attempt(intent, ref, command, key, more);
      outcome = await this.attempt(intent, ref, command, key, more);
      const again = leavesOpen(outcome) || (outcome.kind === 'fault' && RETRIED.has(outcome.code));
      if (!again && !isInProgress(outcome)) return outcome;
      await this.sleep(this.random.int(50, 800) * (attempt + 1));
    }
    return outcome;
  }

  protected look(ref: ActorRef, render: boolean): Promise<Outcome> {
    return this.attempt(this.newIntent(), ref, { kind: 'get' }, null, { render, repeatable: true });
  }
}

/** Certainly without effect, and perhaps better next time. */
const RETRIED: ReadonlySet<string> = new Set([
  'overloaded',
  'deadline_exceeded',
  'database_unavailable',
  'draining',
  'idempotency_in_progress',
]);

function isInProgress(outcome: Outcome): boolean {
  return outcome.kind === 'reply' && (outcome.value as { code?: string }).code === 'checkout_in_progress';
}

function answerOf(outcome: Outcome): Answer | null {
  return outcome.kind === 'reply' ? (outcome.value as Answer) : null;
}

class Shopper extends Person {
  #carts = 0;

  override async run(): Promise<void> {
    await this.sleep(this.random.int(0, 600));
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
    let seen: Answer | null = answerOf(created);
    const edits = this.random.int(1, 6);
    for (let i = 0; i < edits && this.open; i++) {
      await this.sleep(this.random.int(5, 250));
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
      const product = { sku, holdAt, maxPerOrder: 5, holdTtlMs: HOLD_TTL_MS, currencies: [CURRENCY] };
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
    if (random.chance(0.15)) void this.look(ref, true);
    const command = this.#command(seen);
    if (random.chance(0.6)) return this.insist(ref, command, { render: true });
    if (random.chance(0.2)) void this.attempt(this.newIntent(), ref, this.#command(seen), null, { render: true });
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
      if (random.chance(0.15)) void this.insist(ref, this.#payment(seen.quote.total), { render: true });
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
      },
    };
  }

  async #after(orderId: string): Promise<void> {
    const { random, rumours } = this;
    rumours.orders.push(orderId);
    const ref = { type: 'order', id: orderId };
    if (random.chance(0.5)) await this.look(ref, true);
    if (!random.chance(0.3)) return;
    await this.sleep(random.int(0, 1_200));
    await this.insist(ref, { kind: 'cancel' }, { render: true });
  }
}

/** Brings the first stock. */
class Supplier extends Person {
  override async run(): Promise<void> {
    await Promise.all(
      PRODUCTS.map(({ sku, stock }) => {
        return this.insist({ type: 'sku', id: sku }, { kind: 'adjust', delta: stock, reason: 'delivery' });
      }),
    );
  }
}

class Operator extends Person {
  override async run(): Promise<void> {
    while (this.open) {
      await this.sleep(this.random.int(30, 400));
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
class Worker extends Person {
  override async run(): Promise<void> {
    const { front } = this.options;
    while (this.open) {
      await this.sleep(this.random.int(50, 400));
      const rows = front.openOutbox();
      if (rows.length === 0) continue;
      const row = this.random.pick(rows);
      if (this.random.chance(0.15)) void this.work(row);
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
