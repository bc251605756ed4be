/**
 * For tests of the way between members: a few of them on a network in memory, shards that change hands between them, and an owner that
 * decides commands late, loses its shards in the middle of it, or dies. Chance is seeded, and time moves only when told.
 *
 * The truth about ownership is one table here, as it is in the database; each member's map learns of it late, or when it is hinted to.
 * A decision counts where its member has the shard at that moment (the fence), and is written down in `decided`.
 */
import type { ActorRef, KeyRef } from './actor.ts';
import { Fault } from './fault.ts';
import { ManualClock } from './manual-clock.ts';
import type { Membership, ShardMap, ShardOwner } from './members.ts';
import { type MemoryBus, MemoryNetwork } from './memory-bus.ts';
import type { PeerLimits } from './peers.ts';
import type { ForwardedCall, Service } from './remote.ts';
import { Router, type RouterLimits } from './router.ts';
import { SHARD_COUNT, shardOf } from './shard.ts';
import type { PeerCall } from './system.ts';

/** Mulberry32: small, seeded, good enough for tests. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Lets everything happen that needs no time. */
export async function turns(count = 8): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

export interface WorldOptions {
  readonly members?: number;
  readonly seed?: number;
  /** How long a decision takes, in milliseconds. */
  readonly decideMs?: (random: () => number) => number;
  /** How late a member learns of a change. Default 20. */
  readonly learnMs?: (random: () => number) => number;
  readonly routerLimits?: Partial<RouterLimits>;
  readonly peerLimits?: Partial<PeerLimits>;
  readonly services?: (node: TestNode) => Readonly<Record<string, Service>>;
}

export class PeersWorld {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork({ clock: this.clock });
  readonly random: () => number;
  readonly nodes: TestNode[] = [];
  readonly options: WorldOptions;
  readonly truth: ShardOwner[];
  /** By command: who decided it, in order. */
  readonly decided = new Map<string, string[]>();

  constructor(options: WorldOptions = {}) {
    this.options = options;
    this.random = randomOf(options.seed ?? 1);
    for (let i = 0; i < (options.members ?? 2); i++) this.nodes.push(new TestNode(this, `node-${i}`));
    this.truth = Array.from({ length: SHARD_COUNT }, (_, shard) => ({
      incarnation: this.node(shard % this.nodes.length).incarnation,
      epoch: 1,
    }));
    for (const node of this.nodes) node.read();
  }

  node(index: number): TestNode {
    return this.nodes[index] as TestNode;
  }

  async start(): Promise<this> {
    for (const node of this.nodes) await node.listen();
    return this;
  }

  /** An actor whose shard that node has now. */
  refAt(node: TestNode, salt = ''): ActorRef {
    for (let i = 0; ; i++) {
      const ref = { type: 'cart', id: `${salt}${i}` };
      if (this.truth[shardOf(ref.type, ref.id)]?.incarnation === node.incarnation) return ref;
    }
  }

  /** Changes a row. Everybody learns of it after a while. */
  own(shard: number, node: TestNode): void {
    const epoch = (this.truth[shard]?.epoch ?? 0) + 1;
    this.truth[shard] = { incarnation: node.incarnation, epoch };
    const { learnMs = () => 20 } = this.options;
    for (const one of this.nodes) this.clock.setTimeout(() => one.read(), learnMs(this.random));
  }

  /** Moves time on in small steps, so that what waits for a turn of the event loop gets it. */
  async pass(ms: number, stepMs = 5): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(stepMs, left));
      await turns(3);
    }
  }

  close(): void {
    for (const node of this.nodes) node.router.close();
  }
}

export class TestNode implements ShardMap, Pick<Membership, 'incarnation' | 'owns'> {
  readonly incarnation: string;
  readonly bus: MemoryBus;
  readonly router: Router;
  /** What it is asked now, for tests that answer by themselves. */
  serve: (call: PeerCall) => Promise<unknown>;
  readonly #world: PeersWorld;
  #known: (ShardOwner | null)[] = new Array(SHARD_COUNT).fill(null);
  readonly #listeners: ((shards: readonly number[]) => void)[] = [];
  #dead = false;

  constructor(world: PeersWorld, name: string) {
    this.#world = world;
    this.incarnation = `${name}.1`;
    this.bus = world.network.bus(name);
    const { services, routerLimits = {}, peerLimits = {} } = world.options;
    this.router = new Router({
      bus: this.bus,
      clock: world.clock,
      membership: this,
      shards: this,
      limits: routerLimits,
      peerLimits,
      ...(services === undefined ? undefined : { services: services(this) }),
    });
    this.serve = (call) => this.decide(call);
  }

  listen(): Promise<void> {
    return this.router.listen((call) => this.serve(call));
  }

  /** The process ends: what it was about is decided or not, and nobody hears of it. */
  async die(): Promise<void> {
    this.#dead = true;
    await this.bus.close();
  }

  owns(shard: number): boolean {
    return !this.#dead && this.#known[shard]?.incarnation === this.incarnation;
  }

  ownerOf(shard: number): ShardOwner | null {
    return this.#known[shard] ?? null;
  }

  hint(shard: number, owner: ShardOwner): void {
    if (owner.epoch <= (this.#known[shard]?.epoch ?? 0)) return;
    this.#world.clock.setTimeout(() => this.read(), 1);
  }

  onMoved(listener: (shards: readonly number[]) => void): void {
    this.#listeners.push(listener);
  }

  read(): void {
    const moved: number[] = [];
    for (const [shard, owner] of this.#world.truth.entries()) {
      if (owner.epoch <= (this.#known[shard]?.epoch ?? 0)) continue;
      this.#known[shard] = owner;
      moved.push(shard);
    }
    if (moved.length > 0) for (const listener of this.#listeners) listener(moved);
  }

  /** As the actor system does: late, under the fence, and one effect for all that may be repeated. */
  async decide(call: PeerCall): Promise<unknown> {
    const { clock, random, truth, decided, options } = this.#world;
    const shard = shardOf(call.ref.type, call.ref.id);
    if (!this.owns(shard)) throw new Fault('moved', 'not here');
    const wait = options.decideMs?.(random) ?? 0;
    if (wait > 0) await new Promise<void>((resolve) => clock.setTimeout(resolve, wait));
    if (clock.monotonic() >= call.deadline) throw new Fault('deadline_exceeded', 'not decided in time');
    if (truth[shard]?.incarnation !== this.incarnation) throw new Fault('moved', 'given away');
    const name = String(call.command);
    const before = decided.get(name);
    if (before === undefined) decided.set(name, [this.incarnation]);
    else if (!call.repeatable) before.push(this.incarnation);
    return { done: name };
  }

  /** Sends a command into this node's router, and tells how it ended; `home` counts as decided here. */
  ask(ref: ActorRef, command: string, options: Partial<ForwardedCall> & { timeoutMs?: number } = {}): Asked {
    const { clock } = this.#world;
    const { timeoutMs = 10_000, repeatable = false, render = true } = options;
    const key: KeyRef | undefined = options.key;
    const asked: Asked = { command, repeatable, startedAt: clock.monotonic(), deadline: 0, ends: [], endedAt: null };
    asked.deadline = asked.startedAt + timeoutMs;
    const end = (what: unknown): void => {
      asked.ends.push(what);
      asked.endedAt = clock.monotonic();
    };
    this.router.forward({
      ref,
      shard: shardOf(ref.type, ref.id),
      command,
      key,
      render,
      repeatable,
      deadline: asked.deadline,
      resolve: end,
      reject: end,
      home: (begun) => {
        const fault = (error: unknown): void => end(begun ? new Fault('outcome_unknown', String(error)) : error);
        this.decide({ ref, command, render, repeatable, deadline: asked.deadline }).then(end, fault);
      },
    });
    return asked;
  }
}

export interface Asked {
  readonly command: string;
  readonly repeatable: boolean;
  readonly startedAt: number;
  deadline: number;
  /** Exactly one, in the end: a value or a `Fault`. */
  readonly ends: unknown[];
  endedAt: number | null;
}

export function codeOf(asked: Asked): string | undefined {
  const [end] = asked.ends;
  return end instanceof Fault ? end.code : undefined;
}
