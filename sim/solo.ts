/**
 * The smallest world: one node that never dies, on a journal in memory whose commits take a moment. For the tests of workload and
 * oracles, and to tell what is wrong with them from what is wrong with a cluster.
 */
import { actorTypes } from '../actors/registry.ts';
import type { ActorRef } from '../runtime/actor.ts';
import type { Batch, OutboxRow } from '../runtime/journal.ts';
import { soleMember } from '../runtime/members.ts';
import { type Intercept, MemoryJournal, MemoryStore } from '../runtime/memory.ts';
import { type ActorSystem, type AskOptions, createActorSystem } from '../runtime/system.ts';
import { SimClock } from './clock.ts';
import { Weather } from './faults.ts';
import { History } from './history.ts';
import { PaymentProvider, paymentHandlers } from './payments.ts';
import { Random } from './random.ts';
import { Scheduler, SimProcess } from './scheduler.ts';
import { cartResponder, ORDER_GIVES_UP_MS, orderResponder, Pricing, priceHandler, Shop } from './shop.ts';
import type { Front } from './workload.ts';

const EPOCH = 1_700_000_000_000;

export class SoloWorld implements Front {
  readonly types = actorTypes({ order: { giveUpAfterMs: ORDER_GIVES_UP_MS } });
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly history: History;
  readonly weather = new Weather();
  readonly shop = new Shop();
  readonly store = new MemoryStore();
  readonly provider: PaymentProvider;
  readonly clock: SimClock;
  readonly system: ActorSystem;
  /** Called at each commit, before anybody hears of it. */
  onCommit: (incarnation: string, batch: Batch) => void = () => {};

  constructor(seed: number) {
    this.random = new Random(seed, 'solo');
    this.scheduler = new Scheduler(this.random.split('scheduler'));
    this.history = new History(() => this.now());
    const process = new SimProcess('node-1');
    const { scheduler, random, weather } = this;
    this.clock = new SimClock({ scheduler, process, random: random.split('clock'), rate: 1, wallMs: EPOCH });
    this.provider = new PaymentProvider(
      { after: (ms, callback) => this.after(ms, callback) },
      random.split('payments'),
      weather,
      this.history,
    );
    const delays = random.split('journal');
    const intercept: Intercept = async (batch, commit) => {
      await new Promise<void>((resolve) => void scheduler.after(delays.delay(3), process, resolve));
      commit();
      this.onCommit('inc-1', batch);
      await new Promise<void>((resolve) => void scheduler.after(delays.delay(2), process, resolve));
    };
    const pricing = new Pricing(this.shop, this.clock, random.split('pricing'), weather);
    this.system = createActorSystem({
      types: this.types,
      journal: new MemoryJournal({ lanes: 2, store: this.store, intercept }),
      clock: this.clock,
      membership: soleMember(),
      responders: { cart: cartResponder(pricing), order: orderResponder() },
      handlers: {
        'order.price': priceHandler(pricing),
        ...paymentHandlers(this.provider.connect(this.clock)),
      } as never,
      report: (event, detail) => this.history.note('node-1', event, detail),
    });
  }

  now(): number {
    return EPOCH + this.scheduler.now;
  }

  after(ms: number, callback: () => void): void {
    this.scheduler.after(ms, null, callback);
  }

  nodes(): readonly string[] {
    return ['node-1'];
  }

  ask(_node: string, ref: ActorRef, command: unknown, options: AskOptions): Promise<unknown> {
    return this.system.ask(ref, command, options);
  }

  openOutbox(): readonly OutboxRow[] {
    return [...this.store.outbox.values()].filter((one) => one.open).map((one) => one.row);
  }
}
