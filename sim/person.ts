/**
 * Somebody who uses the simulated shop, and how he asks: one node at a time, with patience that ends, and where an answer leaves things
 * open again under the same key, at that node or another. A person knows only what he was told; everything he does and hears is in the
 * history. Each draws from a random source of his own, so that leaving one out changes nothing of what the others intend.
 */
import type { CartCommand } from '../actors/cart-protocol.ts';
import type { OrderCommand } from '../actors/order-protocol.ts';
import type { ActorRef, KeyRef } from '../runtime/actor.ts';
import type { OutboxRow } from '../runtime/journal.ts';
import type { AskOptions } from '../runtime/system.ts';
import type { Client as WorldClient } from './callers.ts';
import { type History, leavesOpen, type Outcome } from './history.ts';
import type { ProviderClient } from './payments.ts';
import type { Random } from './random.ts';
import type { Answer, Shop } from './shop.ts';
import type { SkuRequest } from './specifications.ts';
import type { Tempo } from './tempo.ts';

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
  readonly tempo: Tempo;
  /** Places of the clients that take part; default: all. */
  readonly clients?: readonly number[] | undefined;
  /** New intentions are formed until then, in true time since the world began. */
  readonly until: number;
}

export type Command = CartCommand | OrderCommand | SkuRequest;

const ATTEMPTS = 6;

/** What all clients know of each other: what somebody was told of, so that others may look, cancel and ship. */
export interface Rumours {
  readonly carts: string[];
  readonly orders: string[];
}

export interface Client {
  readonly name: string;
  /** Nothing of what it does beside its run is on its way. */
  readonly quiet: boolean;
  run(): Promise<void>;
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

export function answerOf(outcome: Outcome): Answer | null {
  return outcome.kind === 'reply' ? (outcome.value as Answer) : null;
}

export abstract class Person implements Client {
  readonly name: string;
  protected readonly options: WorkloadOptions;
  protected readonly random: Random;
  protected readonly rumours: Rumours;
  readonly #connection: WorldClient;
  #intents = 0;
  #beside = 0;

  constructor(name: string, options: WorkloadOptions, rumours: Rumours) {
    this.name = name;
    this.options = options;
    this.rumours = rumours;
    this.random = options.random.split(name);
    this.#connection = options.front.client(name);
  }

  abstract run(): Promise<void>;

  get quiet(): boolean {
    return this.#beside === 0;
  }

  /** What nobody waits for: a second tab, a glance, a copy. */
  protected beside(work: Promise<unknown>): void {
    this.#beside++;
    const over = (): void => {
      this.#beside--;
    };
    work.then(over, (error: unknown) => {
      over();
      throw error;
    });
  }

  protected get open(): boolean {
    return this.#connection.now() < this.options.until;
  }

  /** Waits for something to happen meanwhile. */
  protected sleep(ms: number): Promise<void> {
    return this.#connection.sleep(ms);
  }

  /** Between two things that it does. */
  protected idle(ms: number): Promise<void> {
    return this.#connection.sleep(ms * this.options.tempo.idleness);
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
    at?: string,
  ): Promise<Outcome> {
    const { front, history, tempo } = this.options;
    const node = at ?? this.random.pick(front.nodeNames);
    const record = history.begin({ client: this.name, node, ref, command, key, intent });
    const { askTimeoutMs: timeoutMs, patienceMs: answerMs } = tempo;
    const options = { timeoutMs, answerMs, ...more, ...(key === null ? {} : { key }) };
    const outcome = await this.#connection.ask(node, ref, command, options);
    history.end(record, outcome);
    return outcome;
  }

  /** Asks, and where things are left open asks again under the key, until told or out of attempts. */
  protected async insist(ref: ActorRef, command: Command, more: AskOptions = {}, name?: string): Promise<Outcome> {
    const intent = name ?? this.newIntent();
    const key = this.keyFor(intent, command);
    const { tempo } = this.options;
    let outcome: Outcome = { kind: 'lost' };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // Impatient: a second try while the first is still on its way.
      if (attempt === 0 && this.random.chance(0.08)) this.beside(this.attempt(intent, ref, command, key, more));
      outcome = await this.attempt(intent, ref, command, key, more);
      // Told that nothing was done, some leave it at that.
      const refused = outcome.kind === 'fault' && RETRIED.has(outcome.code) && this.random.chance(0.7);
      if (!leavesOpen(outcome) && !refused && !isInProgress(outcome)) {
        if (outcome.kind === 'reply' && this.random.chance(0.1))
          this.beside(this.#echo(intent, ref, command, key, more));
        return outcome;
      }
      await this.sleep(this.random.int(20, tempo.askTimeoutMs / 5) * (attempt + 1));
    }
    return outcome;
  }

  /** What was answered is asked for once more under its key, some time later. */
  async #echo(intent: string, ref: ActorRef, command: Command, key: KeyRef, more: AskOptions): Promise<void> {
    const delayMs = this.random.int(1, 1_200);
    if (this.#connection.now() + delayMs >= this.options.until) return;
    await this.sleep(delayMs);
    if (this.open) await this.attempt(intent, ref, command, key, more);
  }

  protected look(ref: ActorRef, render: boolean): Promise<Outcome> {
    return this.attempt(this.newIntent(), ref, { kind: 'get' }, null, { render, repeatable: true });
  }
}
