/**
 * The simulated bus: one broker as Redis is one, and a connection of each node to it. By the weather it loses, doubles and delays
 * messages; a node may be cut off in one direction, which it notices late; the broker may be gone.
 *
 * A message goes to the broker, which counts who has subscribed, tells the sender so, and sends a copy to each. A node that died is counted
 * until the broker has noticed.
 */
import type { Bus, Topic } from '../runtime/bus.ts';
import type { Weather } from './faults.ts';
import type { Random } from './random.ts';
import { type Scheduler, SimProcess } from './scheduler.ts';

const NOTICE_MS = 1_800;
const SEND_TIMEOUT_MS = 1_000;
const MESSAGE_BYTES = 1024 * 1024;

type Listener = (message: Uint8Array) => void;

export class SimNetwork {
  readonly process = new SimProcess('broker');
  /** Copies that were handed over. */
  delivered = 0;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly weather: Weather;
  readonly #buses = new Set<SimBus>();
  #up = true;
  /** Of the broker: what was on its way when it stopped is lost. */
  #run = 0;

  constructor(scheduler: Scheduler, random: Random, weather: Weather) {
    this.scheduler = scheduler;
    this.random = random;
    this.weather = weather;
  }

  get up(): boolean {
    return this.#up;
  }

  bus(node: string, process: SimProcess): SimBus {
    const bus = new SimBus(node, process, this);
    this.#buses.add(bus);
    return bus;
  }

  /** It was closed, or its process has died and the broker has noticed. */
  forget(bus: SimBus): void {
    this.#buses.delete(bus);
  }

  goAway(): void {
    this.#up = false;
    this.#run++;
    for (const bus of this.#buses) this.#tell(bus, false);
  }

  comeBack(): void {
    this.#up = true;
    for (const bus of this.#buses) if (!this.isCut(bus.node)) this.#tell(bus, true);
  }

  /** A cut begins: it is noticed if it lasts. */
  cut(node: string): void {
    for (const bus of this.#of(node)) {
      this.scheduler.after(NOTICE_MS, bus.process, () => {
        if (this.isCut(node)) bus.connection(false);
      });
    }
  }

  mend(node: string): void {
    for (const bus of this.#of(node)) if (this.#up && !this.isCut(node)) this.#tell(bus, true);
  }

  isCut(node: string): boolean {
    return this.weather.strength('cut_out', node) > 0 || this.weather.strength('cut_in', node) > 0;
  }

  wayMs(): number {
    return this.random.between(0.05, 0.3) * (this.random.chance(0.02) ? 20 : 1);
  }

  /** From a bus, at its moment. Resolves with the number of receivers, as long as the sender hears of it. */
  send(from: SimBus, channel: string, bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (!from.process.acts()) return;
      const timer = this.scheduler.after(SEND_TIMEOUT_MS, from.process, () => reject(new Error('no answer in time')));
      if (this.weather.strength('cut_out', from.node) > 0) return;
      const run = this.#run;
      this.scheduler.after(this.wayMs(), this.process, () => {
        if (run !== this.#run || !this.#up) return;
        const receivers = this.#relay(channel, bytes, run);
        if (this.weather.strength('cut_in', from.node) > 0) return;
        this.scheduler.after(this.wayMs(), from.process, () => {
          timer.cancel();
          resolve(receivers);
        });
      });
    });
  }

  #relay(channel: string, bytes: Uint8Array, run: number): number {
    let receivers = 0;
    for (const bus of this.#buses) {
      if (!bus.hears(channel)) continue;
      receivers++;
      for (const delayMs of this.#fate()) {
        // Whoever keeps the bytes keeps them as they were sent.
        const copy = bytes.slice();
        this.scheduler.after(delayMs, bus.process, () => {
          if (run !== this.#run || this.weather.strength('cut_in', bus.node) > 0) return;
          this.delivered++;
          bus.arrive(channel, copy);
        });
      }
    }
    return receivers;
  }

  /** After how many milliseconds each copy arrives. */
  #fate(): number[] {
    const { random, weather } = this;
    const strength = (kind: 'messages_lost' | 'messages_doubled' | 'messages_delayed'): number =>
      weather.strength(kind, 'network');
    if (random.chance(strength('messages_lost') * 0.5)) return [];
    const delay = (): number => {
      const late = strength('messages_delayed');
      return this.wayMs() + (random.chance(late) ? random.delay(late * 600) : 0);
    };
    return random.chance(strength('messages_doubled')) ? [delay(), delay() + random.delay(50)] : [delay()];
  }

  #of(node: string): SimBus[] {
    return [...this.#buses].filter((bus) => bus.node === node);
  }

  #tell(bus: SimBus, connected: boolean): void {
    this.scheduler.after(this.random.between(1, 50), bus.process, () => {
      const is = this.#up && !this.isCut(bus.node);
      if (is === connected) bus.connection(connected);
    });
  }
}

export class SimBus implements Bus {
  readonly node: string;
  readonly process: SimProcess;
  readonly #network: SimNetwork;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #watchers = new Set<(connected: boolean) => void>();
  #state: 'connected' | 'away' | 'closed';

  constructor(node: string, process: SimProcess, network: SimNetwork) {
    this.node = node;
    this.process = process;
    this.#network = network;
    this.#state = network.up && !network.isCut(node) ? 'connected' : 'away';
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  async send(incarnation: string, message: Uint8Array): Promise<number> {
    return await this.#say(`node:${incarnation}`, message);
  }

  publish(topic: Topic, message: Uint8Array): void {
    this.#say(topic, message).catch(() => {});
  }

  async receive(incarnation: string, listener: Listener): Promise<() => void> {
    const channel = `node:${incarnation}`;
    const { scheduler } = this.#network;
    await new Promise<void>((resolve) => void scheduler.after(this.#network.wayMs(), this.process, resolve));
    this.#listen(channel, listener);
    return () => this.#listeners.get(channel)?.delete(listener);
  }

  subscribe(topic: Topic, listener: Listener): void {
    this.#listen(topic, listener);
  }

  onConnection(listener: (connected: boolean) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  async close(): Promise<void> {
    this.connection(false);
    this.#state = 'closed';
    this.#network.forget(this);
  }

  /** For the network. */
  connection(connected: boolean): void {
    if (this.#state === 'closed' || connected === this.connected) return;
    this.#state = connected ? 'connected' : 'away';
    for (const watcher of [...this.#watchers]) watcher(connected);
  }

  /** For the network: whether the broker counts it among the channel's receivers. */
  hears(channel: string): boolean {
    return this.connected && (this.#listeners.get(channel)?.size ?? 0) > 0;
  }

  /** For the network. */
  arrive(channel: string, bytes: Uint8Array): void {
    if (!this.connected) return;
    for (const listener of [...(this.#listeners.get(channel) ?? [])]) listener(bytes);
  }

  async #say(channel: string, message: Uint8Array): Promise<number> {
    if (message.length > MESSAGE_BYTES) throw new Error(`a message of ${message.length} bytes is over the limit`);
    if (!this.connected) throw new Error('the bus is away');
    return await this.#network.send(this, channel, message.slice());
  }

  #listen(channel: string, listener: Listener): void {
    const listeners = this.#listeners.get(channel);
    if (listeners === undefined) this.#listeners.set(channel, new Set([listener]));
    else listeners.add(listener);
  }
}
