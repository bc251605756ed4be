/**
 * A simulated world from a seed: a database, a broker, a payment provider's network, a few nodes, and the faults of a plan. The nodes run
 * the real code (`node.ts`); everything that they touch is simulated. One seed, one plan and one set of clients give one history, event by event.
 *
 *     const world = new World({ seed, plan: drawPlan({ seed, nodes: World.names(3), endMs: 20_000 }), recorder, book, handlers });
 *     await world.open();
 *     void shopper(world.client('shopper-1'));
 *     await world.run(20_000);
 *     await world.heal();
 *     const quiet = await world.rest(120_000);
 *
 * Whoever lives in the world waits for nothing but what the world gives him (`client.ask`, `client.sleep`, `outside.exchange`).
 */
import { actorTypes } from '../actors/registry.ts';
import type { AnyActorType, EffectHandler, Responder } from '../runtime/actor.ts';
import { Fault } from '../runtime/fault.ts';
import type { Batch, Gift } from '../runtime/journal.ts';
import type { Limits } from '../runtime/limits.ts';
import { SHARD_COUNT } from '../runtime/shard.ts';
import type { PriceBook } from '../workers/price-book.ts';
import { price } from '../workers/pricing.ts';
import type { PriceRequest } from '../workers/quote.ts';
import { Callers, type Client } from './callers.ts';
import { SimDatabase } from './database.ts';
import { Fate } from './fate.ts';
import { type PlannedFault, Weather } from './faults.ts';
import { SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
import { Random } from './random.ts';
import { nextRelease } from './release.ts';
import { Scheduler, type SimProcess } from './scheduler.ts';

/** Is told of everything at its moment; must not throw. */
export interface Recorder {
  commit(incarnation: string, batch: Batch): void;
  /** A gift was done. */
  gave?(gift: Gift): void;
  /** What a node was told of an append or a gift whose outcome it did not know. */
  resolved?(what: Batch | Gift, outcome: 'committed' | 'void'): void;
  note(who: string, what: string, detail?: Readonly<Record<string, unknown>>): void;
}

/** The way of an effect handler to what is outside of its node. */
export interface Outside {
  /** Sends a request; `work` is done by whoever it is for, if it arrives. Rejects where there was no answer. */
  exchange<T>(kind: 'payment', work: () => T): Promise<T>;
}

export interface WorldOptions {
  readonly seed: number;
  readonly plan: readonly PlannedFault[];
  readonly recorder: Recorder | ((world: World) => Recorder);
  /** What prices are at the moment. */
  readonly book: () => PriceBook;
  /** Default: those of the shop, as they are. */
  readonly types?: readonly AnyActorType[];
  /** Of members. Default 2,000. */
  readonly leaseMs?: number;
  /** Many ask the node at once, in a fault of that kind. */
  readonly crowd?: (node: string, calls: number) => void;
  /** Default 3. */
  readonly nodes?: number;
  /** Handlers of effects but `order.price`, which is the world's own; made for each run of a node. */
  readonly handlers?: (outside: Outside) => Readonly<Record<string, EffectHandler>>;
  /** Made for each run of a node; `later` is that node's time. */
  readonly responders?: (later: Later, random: Random) => Responders;
  readonly limits?: Partial<Limits>;
}

// biome-ignore lint/suspicious/noExplicitAny: responders of many types, each used only with its own
export type Responders = Readonly<Record<string, Responder<any, any>>>;
/** Runs the callback after that many milliseconds, unless its process has died by then. */
export type Later = (ms: number, callback: () => void) => void;

const LEASE_MS = 2_000;
const REQUEST_TIMEOUT_MS = 5_000;
const PRICING_TIMEOUT_MS = 3_000;

export class World {
  readonly scheduler: Scheduler;
  readonly weather = new Weather();
  readonly database: SimDatabase;
  readonly network: SimNetwork;
  readonly nodes = new Map<string, SimNode>();
  readonly recorder: Recorder;
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #streams = new Map<string, Random>();
  readonly #callers: Callers;
  readonly #fate: Fate;
  readonly #names: readonly string[];

  constructor(options: WorldOptions) {
    const { seed, nodes = 3, recorder } = options;
    this.#options = options;
    this.#random = new Random(seed, 'world');
    this.scheduler = new Scheduler(this.random('ties'));
    this.database = new SimDatabase(this.scheduler, this.random('database'), this.weather);
    this.network = new SimNetwork(this.scheduler, this.random('network'), this.weather);
    this.recorder = typeof recorder === 'function' ? recorder(this) : recorder;
    this.#names = World.names(nodes);
    for (const name of this.#names) this.#addNode(name);
    const { scheduler, weather, database, network } = this;
    const note: Recorder['note'] = (who, what, detail) => this.recorder.note(who, what, detail);
    this.#callers = new Callers({
      scheduler,
      nodes: this.nodes,
      random: (purpose) => this.random(purpose),
      unanswered: (node, ref) => note(node, 'caller_unanswered', { ...ref }),
    });
    this.#fate = new Fate({
      scheduler,
      weather,
      database,
      network,
      callers: this.#callers,
      nodes: this.nodes,
      names: this.#names,
      addNode: (name) => this.#addNode(name),
      crowd: options.crowd ?? (() => {}),
      note,
    });
  }

  static names(nodes: number): string[] {
    return Array.from({ length: nodes }, (_, index) => `node-${index + 1}`);
  }

  /** The nodes that clients know, whether they are there or not. */
  get nodeNames(): readonly string[] {
    return [...this.nodes.keys()];
  }

  /** The one stream of this name. */
  random(purpose: string): Random {
    let stream = this.#streams.get(purpose);
    if (stream === undefined) {
      stream = this.#random.split(purpose);
      this.#streams.set(purpose, stream);
    }
    return stream;
  }

  /** All nodes are started. Resolves when they serve; the faults of the plan count from then. */
  async open(): Promise<void> {
    for (const name of this.#names) this.nodes.get(name)?.boot();
    const serving = (): boolean => this.#names.every((name) => this.nodes.get(name)?.current?.state === 'serving');
    for (let waited = 0; !serving() || this.#shardsOut() > 0; waited += 100) {
      if (waited > 60_000) throw new Error('the nodes do not come up');
      await this.scheduler.run(this.scheduler.now + 100);
    }
    this.#fate.plan(this.#options.plan);
  }

  /** Lets that much true time pass. */
  async run(ms: number): Promise<void> {
    await this.scheduler.run(this.scheduler.now + ms);
  }

  /** Nothing goes wrong from now on, and whoever was down comes up. */
  heal(): void {
    this.#fate.heal();
  }

  /**
   * Lets time pass until nothing is going on, and `done` says so too: all nodes serve, the shards are where they should be, nobody waits for an
   * answer, no actor for an effect or a time that comes soon. False: not within the bound.
   */
  async rest(boundMs: number, done: () => boolean = () => true): Promise<boolean> {
    const end = this.scheduler.now + boundMs;
    while (this.scheduler.now < end) {
      await this.run(200);
      if (this.unrest().length === 0 && done()) return true;
    }
    return false;
  }

  /** What is still going on, in words. */
  unrest(): string[] {
    const reasons: string[] = [];
    for (const name of this.#names) {
      if (this.nodes.get(name)?.current?.state !== 'serving') reasons.push(`${name} does not serve`);
    }
    for (const { name, current } of this.nodes.values()) {
      if (current === null) continue;
      const {
        commandsOpen = 0,
        laneQueue = 0,
        lanesBusy = 0,
        effectsOpen = 0,
        loadsWaiting = 0,
      } = current.system.stats;
      if (commandsOpen + laneQueue + lanesBusy + effectsOpen + loadsWaiting > 0) {
        const work = { commandsOpen, laneQueue, lanesBusy, effectsOpen, loadsWaiting };
        reasons.push(`${name} is at work: ${JSON.stringify(work)}`);
      }
    }
    const out = this.#shardsOut();
    if (out > 0) reasons.push(`${out} shards are not where they should be`);
    if (this.#callers.open > 0) reasons.push(`${this.#callers.open} calls are open`);
    const soon = this.database.now() + 10_000;
    for (const { ref, timer } of this.database.store.actors.values()) {
      if (timer !== null && timer.due <= soon) reasons.push(`${ref.type} ${ref.id} is due`);
    }
    return reasons;
  }

  /** Ends all processes. */
  close(): void {
    for (const node of this.nodes.values()) node.crash();
  }

  client(name: string): Client {
    return this.#callers.client(name);
  }

  #addNode(name: string): SimNode {
    const { responders, limits = {}, book, handlers, types = actorTypes(), leaseMs = LEASE_MS } = this.#options;
    const { scheduler, database, network, weather, recorder } = this;
    const world = {
      scheduler,
      database,
      network,
      weather,
      limits,
      types: { present: types, next: types.map(nextRelease) },
      responders: (process: SimProcess, random: Random): Responders =>
        responders?.((ms, callback) => void scheduler.after(ms, process, callback), random) ?? {},
      leaseMs,
      handlers: (process: SimProcess, random: Random): Readonly<Record<string, EffectHandler>> => ({
        ...handlers?.(this.outside(process, random.split('outside'))),
        'order.price': (input) => this.#price(process, random, book(), input as PriceRequest),
      }),
      committed: (incarnation: string, batch: Batch) => recorder.commit(incarnation, batch),
      given: (gift: Gift) => recorder.gave?.(gift),
      resolved: (what: Batch | Gift, outcome: 'committed' | 'void') => recorder.resolved?.(what, outcome),
      note: (who: string, what: string, detail?: Readonly<Record<string, unknown>>) => recorder.note(who, what, detail),
    };
    const node = new SimNode(name, world, this.random(name));
    this.nodes.set(name, node);
    return node;
  }

  /** The node's pool: threads of its own process. */
  #price(process: SimProcess, random: Random, book: PriceBook, request: PriceRequest): Promise<unknown> {
    const { scheduler, weather } = this;
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(new Fault('pricing_unavailable', 'the pool gave no answer'));
      const workMs = random.between(0.1, 2);
      if (random.chance(weather.strength('pricing_down', 'pricing'))) scheduler.after(workMs, process, fail);
      else if (random.chance(weather.strength('pricing_hangs', 'pricing'))) {
        scheduler.after(PRICING_TIMEOUT_MS, process, fail);
      } else scheduler.after(workMs, process, () => resolve(price(book, request, { final: true })));
    });
  }

  /** The way from a process, or (null) from somebody who never dies, to what is outside of all nodes. */
  outside(process: SimProcess | null, random: Random): Outside {
    const { scheduler, weather } = this;
    return {
      exchange: (_kind, work) =>
        new Promise((resolve, reject) => {
          const timer = scheduler.after(REQUEST_TIMEOUT_MS, process, () => reject(new Error('no answer in time')));
          const slow = weather.strength('payment_slow', 'payments');
          const wayMs = (): number => random.between(5, 50) + (slow > 0 ? random.delay(slow * 4_000) : 0);
          if (random.chance(weather.strength('payment_lost', 'payments'))) return;
          if (process?.acts() === false) return;
          scheduler.after(wayMs(), null, () => {
            const answer = work();
            if (random.chance(weather.strength('payment_answer_lost', 'payments'))) return;
            scheduler.after(wayMs(), process, () => {
              timer.cancel();
              resolve(answer);
            });
          });
        }),
    };
  }

  /** Shards that are not with a node that should have them and knows it. */
  #shardsOut(): number {
    let out = 0;
    const serving = [...this.nodes.values()].flatMap(({ current }) => (current === null ? [] : [current]));
    for (let shard = 0; shard < SHARD_COUNT; shard++) {
      const owner = this.database.tables.shards[shard]?.owner;
      const has = serving.some(({ membership }) => membership.incarnation === owner && membership.owns(shard));
      if (!has) out++;
    }
    for (const { membership } of serving)
      for (const { shards } of membership.surplus(SHARD_COUNT)) out += shards.length;
    return out;
  }
}
