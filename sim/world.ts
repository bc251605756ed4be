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
import type { ActorRef, AnyActorType, EffectHandler, Responder } from '../runtime/actor.ts';
import { Fault } from '../runtime/fault.ts';
import type { Batch } from '../runtime/journal.ts';
import type { Limits } from '../runtime/limits.ts';
import { SHARD_COUNT } from '../runtime/shard.ts';
import type { AskOptions } from '../runtime/system.ts';
import type { PriceBook } from '../workers/price-book.ts';
import { price } from '../workers/pricing.ts';
import type { PriceRequest } from '../workers/quote.ts';
import { SimDatabase } from './database.ts';
import { type PlannedFault, Weather } from './faults.ts';
import { SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
import { Random } from './random.ts';
import { Scheduler, type SimProcess, type Timer } from './scheduler.ts';

/** Is told of everything at its moment; must not throw. */
export interface Recorder {
  commit(incarnation: string, batch: Batch): void;
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

/** How a call ended for its client. `lost`: the connection broke, or no answer came in time. */
export type ClientOutcome =
  | { readonly kind: 'reply'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly code: string; readonly retryAfterMs?: number }
  | { readonly kind: 'lost' };

export interface ClientAskOptions extends AskOptions {
  /** How long the client waits. Default 12,000. */
  readonly answerMs?: number;
}

export interface Client {
  readonly name: string;
  /** Never rejects. */
  ask(node: string, ref: ActorRef, command: unknown, options?: ClientAskOptions): Promise<ClientOutcome>;
  sleep(ms: number): Promise<void>;
  /** True time, in milliseconds since the world began. */
  now(): number;
}

interface OpenCall {
  readonly node: string;
  readonly end: (outcome: ClientOutcome) => void;
}

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
  readonly #calls = new Set<OpenCall>();
  readonly #names: readonly string[];
  readonly #leaving = new Set<SimNode>();
  /** Faults that have not begun, and ends that are to come. */
  readonly #planned = new Set<Timer>();
  #guests = 0;

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
    for (const fault of this.#options.plan) this.#plan(fault.atMs, () => this.#begin(fault));
  }

  /** Lets that much true time pass. */
  async run(ms: number): Promise<void> {
    await this.scheduler.run(this.scheduler.now + ms);
  }

  /** Nothing goes wrong from now on, and whoever was down comes up. */
  heal(): void {
    for (const timer of this.#planned) timer.cancel();
    this.#planned.clear();
    this.weather.clear();
    this.database.comeBack();
    this.network.comeBack();
    for (const node of this.nodes.values()) {
      this.network.mend(node.name);
      if (node.process !== null) this.scheduler.goOn(node.process);
      if (node.clock !== null) node.clock.rate = 1;
      if (this.#names.includes(node.name)) this.#comeAgain(node);
    }
    this.recorder.note('world', 'healed');
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
      const { commandsOpen = 0, laneQueue = 0, effectsOpen = 0, loadsWaiting = 0 } = current.system.stats;
      if (commandsOpen + laneQueue + effectsOpen + loadsWaiting > 0) {
        reasons.push(`${name} is at work: ${JSON.stringify({ commandsOpen, laneQueue, effectsOpen, loadsWaiting })}`);
      }
    }
    const out = this.#shardsOut();
    if (out > 0) reasons.push(`${out} shards are not where they should be`);
    if (this.#calls.size > 0) reasons.push(`${this.#calls.size} calls are open`);
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
    const { scheduler } = this;
    const random = this.random(`client ${name}`);
    return {
      name,
      now: () => scheduler.now,
      sleep: (ms) => new Promise((resolve) => void scheduler.after(ms, null, resolve)),
      ask: (node, ref, command, options = {}) => this.#ask(random, node, ref, command, options),
    };
  }

  #ask(
    random: Random,
    nodeName: string,
    ref: ActorRef,
    command: unknown,
    { answerMs = 12_000, ...options }: ClientAskOptions,
  ): Promise<ClientOutcome> {
    const { scheduler } = this;
    const wayMs = (): number => random.between(0.1, 1);
    return new Promise((resolve) => {
      const call: OpenCall = {
        node: nodeName,
        end: (outcome) => {
          if (!this.#calls.delete(call)) return;
          timer.cancel();
          resolve(outcome);
        },
      };
      this.#calls.add(call);
      const timer = scheduler.after(answerMs, null, () => call.end({ kind: 'lost' }));
      const process = this.nodes.get(nodeName)?.process ?? null;
      if (process === null) {
        scheduler.after(wayMs(), null, () => call.end({ kind: 'lost' }));
        return;
      }
      scheduler.after(wayMs(), process, () => {
        const node = this.nodes.get(nodeName);
        if (node?.process !== process) return;
        const answer = (outcome: ClientOutcome): void => void scheduler.after(wayMs(), null, () => call.end(outcome));
        node.ask(ref, command, options).then(
          (value) => answer({ kind: 'reply', value }),
          (error: unknown) => answer(faultOf(error)),
        );
      });
    });
  }

  #addNode(name: string): SimNode {
    const { responders, limits = {}, book, handlers, types = actorTypes() } = this.#options;
    const { scheduler, database, network, weather, recorder } = this;
    const world = {
      scheduler,
      database,
      network,
      weather,
      limits,
      types,
      responders: (process: SimProcess, random: Random): Responders =>
        responders?.((ms, callback) => void scheduler.after(ms, process, callback), random) ?? {},
      leaseMs: LEASE_MS,
      handlers: (process: SimProcess, random: Random): Readonly<Record<string, EffectHandler>> => ({
        ...handlers?.(this.outside(process, random.split('outside'))),
        'order.price': (input) => this.#price(process, random, book(), input as PriceRequest),
      }),
      committed: (incarnation: string, batch: Batch) => recorder.commit(incarnation, batch),
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

  #plan(delayMs: number, run: () => void): void {
    const timer = this.scheduler.after(delayMs, null, () => {
      this.#planned.delete(timer);
      run();
    });
    this.#planned.add(timer);
  }

  #begin(fault: PlannedFault): void {
    const { kind, target, durationMs, strength, id } = fault;
    const { scheduler, database, network, weather } = this;
    const node = this.nodes.get(target);
    this.recorder.note('world', `fault ${kind}`, { id, target, durationMs: Math.round(durationMs), strength });
    const later = (run: () => void): void => this.#plan(durationMs, run);
    switch (kind) {
      case 'crash':
        if (node === undefined || node.process === null) return;
        this.#crash(node);
        later(() => node.boot());
        return;
      case 'pause': {
        const process = node?.process ?? null;
        if (process === null) return;
        scheduler.pause(process);
        later(() => scheduler.goOn(process));
        return;
      }
      case 'clock_rate': {
        const clock = node?.clock ?? null;
        if (clock === null) return;
        clock.rate = 0.92 + 0.17 * strength;
        later(() => {
          clock.rate = 1;
        });
        return;
      }
      case 'clock_jump':
        database.clockOffsetMs += (strength - 0.5) * 120_000;
        return;
      case 'database_gone':
        database.goAway();
        later(() => database.comeBack());
        return;
      case 'bus_gone':
        network.goAway();
        later(() => network.comeBack());
        return;
      case 'evict':
        node?.current?.system.evictAll();
        return;
      case 'join': {
        const guest = this.#addNode(`guest-${++this.#guests}`);
        guest.boot();
        later(() => void this.#leave(guest));
        return;
      }
      case 'leave':
        if (node === undefined) return;
        void this.#leave(node);
        later(() => this.#comeAgain(node));
        return;
      default:
        weather.begin(fault);
        if (kind === 'cut_in' || kind === 'cut_out') network.cut(target);
        later(() => {
          weather.end(fault);
          if (kind === 'cut_in' || kind === 'cut_out') network.mend(target);
        });
    }
  }

  #crash(node: SimNode): void {
    node.crash();
    this.#hangUp(node.name);
  }

  async #leave(node: SimNode): Promise<void> {
    this.#leaving.add(node);
    await node.end();
    this.#leaving.delete(node);
    this.recorder.note(node.name, 'has left');
    this.#hangUp(node.name);
  }

  /** When it has left, where it is leaving. */
  #comeAgain(node: SimNode): void {
    if (node.process === null) node.boot();
    else if (this.#leaving.has(node)) this.#plan(200, () => this.#comeAgain(node));
  }

  /** Its clients hear that their connections are gone. */
  #hangUp(name: string): void {
    const random = this.random('hang up');
    for (const call of this.#calls) {
      if (call.node === name) this.scheduler.after(random.between(0.1, 5), null, () => call.end({ kind: 'lost' }));
    }
  }
}

function faultOf(error: unknown): ClientOutcome {
  if (!(error instanceof Fault)) return { kind: 'fault', code: `unexpected: ${String(error)}` };
  const { code, retryAfterMs } = error;
  return { kind: 'fault', code, ...(retryAfterMs === undefined ? undefined : { retryAfterMs }) };
}
