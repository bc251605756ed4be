/**
 * The bus in memory, for tests and the simulator: members on one network, with every fault of the real one on request. Time and order
 * come from the clock and from `fate`, so that a run with seeded chance can be repeated.
 *
 *     const network = new MemoryNetwork({ clock });
 *     const bus = network.bus('node-1');
 *     network.fate = ({ from, to }) => (random() < 0.1 ? [] : [random() * 20]);   // a tenth is lost, the rest comes late and out of order
 *     bus.cut('out');                                                            // what it says is lost; noticed after `noticeMs`
 *     network.stop();                                                            // as a broker that is down
 */
import type { Bus, Topic } from './bus.ts';
import type { Clock } from './clock.ts';

/** A message on its way to one receiver. */
export interface Passage {
  /** Names of members' buses. */
  readonly from: string;
  readonly to: string;
  /** `node:<incarnation>` or a topic. */
  readonly channel: string;
  readonly bytes: Uint8Array;
}

/** After how many milliseconds each copy arrives: `[]` lost, `[0]` in the next turn, `[0, 30]` doubled. */
export type Fate = (passage: Passage) => readonly number[];

/** Which way packets between a member and the broker are dropped. */
export type Cut = 'none' | 'out' | 'in';

export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** Default: all arrives in the next turn. */
  readonly fate?: Fate;
  /** When a cut is noticed. Default 1,800 ms. */
  readonly noticeMs?: number;
  /** When a send without an answer rejects. Default 1,000 ms. */
  readonly sendTimeoutMs?: number;
  /** Default 1 MiB. */
  readonly messageBytes?: number;
}

type Listener = (message: Uint8Array) => void;

export class MemoryNetwork {
  readonly clock: Clock;
  readonly noticeMs: number;
  readonly sendTimeoutMs: number;
  readonly messageBytes: number;
  /** May be replaced at any time. */
  fate: Fate;
  readonly #buses = new Set<MemoryBus>();
  #up = true;
  /** Of the broker: what was on its way when it stopped is lost. */
  #run = 0;

  constructor(options: MemoryNetworkOptions) {
    this.clock = options.clock;
    this.fate = options.fate ?? (() => [0]);
    this.noticeMs = options.noticeMs ?? 1_800;
    this.sendTimeoutMs = options.sendTimeoutMs ?? 1_000;
    this.messageBytes = options.messageBytes ?? 1024 * 1024;
  }

  get up(): boolean {
    return this.#up;
  }

  bus(name: string): MemoryBus {
    const bus = new MemoryBus(name, this, () => this.#buses.delete(bus));
    this.#buses.add(bus);
    return bus;
  }

  /** Every member loses its connection; what is on its way is lost. */
  stop(): void {
    this.#up = false;
    this.#run++;
    for (const bus of this.#buses) bus.connection(false);
  }

  start(): void {
    this.#up = true;
    for (const bus of this.#buses) if (bus.cutNow === 'none') bus.connection(true);
  }

  /** Hands copies to all who have subscribed. Returns how many have, whether or not it reaches them. */
  relay(from: string, channel: string, bytes: Uint8Array): number {
    let receivers = 0;
    for (const bus of this.#buses) {
      if (!bus.hears(channel)) continue;
      receivers++;
      // Whoever keeps the bytes keeps them as they were sent.
      const copy = bytes.slice();
      for (const delayMs of this.fate({ from, to: bus.name, channel, bytes: copy })) {
        const run = this.#run;
        const arrive = (): void => {
          if (run === this.#run) bus.arrive(channel, copy);
        };
        if (delayMs <= 0) this.clock.schedule(arrive);
        else this.clock.setTimeout(arrive, delayMs);
      }
    }
    return receivers;
  }
}

export class MemoryBus implements Bus {
  readonly name: string;
  cutNow: Cut = 'none';
  readonly #network: MemoryNetwork;
  readonly #gone: () => void;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #watchers = new Set<(connected: boolean) => void>();
  #state: 'connected' | 'away' | 'closed';

  constructor(name: string, network: MemoryNetwork, gone: () => void) {
    this.name = name;
    this.#network = network;
    this.#gone = gone;
    this.#state = network.up ? 'connected' : 'away';
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  send(incarnation: string, message: Uint8Array): Promise<number> {
    return this.#say(`node:${incarnation}`, message);
  }

  publish(topic: Topic, message: Uint8Array): void {
    this.#say(topic, message).catch(() => {});
  }

  async receive(incarnation: string, listener: Listener): Promise<() => void> {
    const channel = `node:${incarnation}`;
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
    this.#gone();
  }

  /** From now on packets are dropped that way; the member notices later. `none` mends it, which is noticed at once. */
  cut(way: Cut): void {
    this.cutNow = way;
    if (way === 'none') {
      if (this.#network.up) this.connection(true);
      return;
    }
    this.#network.clock.setTimeout(() => {
      if (this.cutNow !== 'none') this.connection(false);
    }, this.#network.noticeMs);
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
    if (!this.connected || this.cutNow === 'in') return;
    for (const listener of [...(this.#listeners.get(channel) ?? [])]) listener(bytes);
  }

  async #say(channel: string, message: Uint8Array): Promise<number> {
    const { clock, messageBytes, sendTimeoutMs } = this.#network;
    if (message.length > messageBytes) throw new Error(`a message of ${message.length} bytes is over the limit`);
    if (!this.connected) throw new Error('the bus is away');
    const receivers = this.cutNow === 'out' ? 0 : this.#network.relay(this.name, channel, message);
    if (this.cutNow === 'none') return receivers;
    // The broker's answer does not come back.
    return new Promise((_resolve, reject) => {
      clock.setTimeout(() => reject(new Error('no answer in time')), sendTimeoutMs);
    });
  }

  #listen(channel: string, listener: Listener): void {
    const listeners = this.#listeners.get(channel);
    if (listeners === undefined) this.#listeners.set(channel, new Set([listener]));
    else listeners.add(listener);
  }
}
