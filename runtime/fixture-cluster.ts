/**
 * For the tests of the runtime: several actor systems on one memory store, each with a membership that learns what it owns by
 * reading the store's rows, and a way between them that calls the other system directly. What the real members and the real bus
 * add (leases, loss, delay) is left to tests beside those; what the actor systems must do about it can be set here.
 */

import type { EffectHandler, Responder } from './actor.ts';
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import { type ProbeCommand, type ProbeReply, type ProbeState, probe } from './fixture.ts';
import type { Limits } from './limits.ts';
import type { GivenShard, GivingMembership } from './members.ts';
import { MemoryJournal, MemoryStore } from './memory.ts';
import type { ForwardedCall, Remote } from './remote.ts';
import { SHARD_COUNT, shardOf } from './shard.ts';
import { type ActorSystem, type AskOptions, createActorSystem } from './system.ts';
import { SystemClock } from './system-clock.ts';

/** What one member believes to own. */
export class ToyMembership implements GivingMembership {
  readonly incarnation: string;
  readonly nodeId: string;
  answers = true;
  readonly #store: MemoryStore;
  readonly #known: { owner: string; epoch: number }[] = [];

  constructor(store: MemoryStore, incarnation: string) {
    this.#store = store;
    this.incarnation = incarnation;
    this.nodeId = incarnation;
  }

  /** Reads the rows; those not newer than what is known change nothing. Returns the shards that changed. */
  read(): number[] {
    const moved: number[] = [];
    for (const [shard, row] of this.#store.shards) {
      if (row.epoch <= (this.#known[shard]?.epoch ?? 0)) continue;
      this.#known[shard] = row;
      moved.push(shard);
    }
    return moved;
  }

  owns(shard: number): boolean {
    return this.#known[shard]?.owner === this.incarnation;
  }
  epoch(shard: number): number {
    return this.#known[shard]?.epoch ?? 0;
  }
  ownerOf(shard: number): string {
    return this.#known[shard]?.owner ?? '';
  }
  mayAnswer(): boolean {
    return this.answers;
  }
  writes(_type: string, newest: number): number {
    return newest;
  }
  gave(shards: readonly GivenShard[], to: string): void {
    for (const { shard, epoch } of shards) {
      if (epoch + 1 > this.epoch(shard)) this.#known[shard] = { owner: to, epoch: epoch + 1 };
    }
  }
}

export interface ClusterOptions {
  readonly lanes?: number;
  readonly limits?: Partial<Limits>;
  readonly clock?: Clock;
  readonly handlers?: Readonly<Record<string, EffectHandler>>;
  readonly responder?: Responder<ProbeState, ProbeReply>;
  /** False: calls for another's shard are refused. Default true. */
  readonly connected?: boolean;
}

export interface ClusterNode {
  readonly membership: ToyMembership;
  readonly journal: MemoryJournal;
  readonly system: ActorSystem;
  /** Calls handed to others by this node. */
  readonly sent: ForwardedCall[];
}

export class Cluster {
  readonly store = new MemoryStore();
  readonly nodes: ClusterNode[] = [];
  readonly reports: {
    readonly node: string;
    readonly event: string;
    readonly detail: Readonly<Record<string, unknown>>;
  }[] = [];
  readonly clock: Clock;
  readonly #options: ClusterOptions;
  readonly #alive = setInterval(() => {}, 1000);

  /** The first of `names` has all shards. */
  constructor(names: readonly string[], options: ClusterOptions = {}) {
    this.#options = options;
    this.clock = options.clock ?? new SystemClock();
    for (const name of names) this.store.members.add(name);
    for (let shard = 0; shard < SHARD_COUNT; shard++) this.store.shards.set(shard, { owner: names[0] ?? '', epoch: 1 });
    for (const name of names) this.join(name);
  }

  join(name: string): ClusterNode {
    const { lanes = 2, limits = {}, handlers = {}, responder, connected = true } = this.#options;
    this.store.members.add(name);
    const membership = new ToyMembership(this.store, name);
    membership.read();
    const journal = new MemoryJournal({ lanes, store: this.store, incarnation: name, pageSize: 50 });
    const sent: ForwardedCall[] = [];
    const remote: Remote = {
      forward: (call) => {
        sent.push(call);
        this.#carry(name, call);
      },
    };
    const system = createActorSystem({
      types: [probe],
      journal,
      membership,
      clock: this.clock,
      handlers,
      limits,
      ...(connected ? { remote } : {}),
      responders: responder === undefined ? {} : { probe: responder },
      report: (event, detail) => this.reports.push({ node: name, event, detail }),
    });
    const node = { membership, journal, system, sent };
    this.nodes.push(node);
    return node;
  }

  node(name: string): ClusterNode {
    const found = this.nodes.findLast((node) => node.membership.incarnation === name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  async start(): Promise<void> {
    for (const { system } of this.nodes) await system.start();
  }

  /** All members read the rows, as they do at news and at each look. */
  look(): void {
    for (const node of this.nodes) read(node);
  }

  ask(name: string, id: string, command: ProbeCommand, options: AskOptions = {}): Promise<ProbeReply> {
    return this.node(name).system.ask({ type: 'probe', id }, command, options) as Promise<ProbeReply>;
  }

  /** A living member gives, and all look. */
  async give(from: string, shards: readonly number[], to: string, timeoutMs = 5000): Promise<readonly number[]> {
    const given = await this.node(from).system.give(shards, to, timeoutMs);
    this.look();
    return given;
  }

  async end(): Promise<void> {
    clearInterval(this.#alive);
    for (const { system, journal } of this.nodes) {
      system.stop();
      await journal.close();
    }
  }

  /** To the owner as the sender knows it; where it is elsewhere, both read the rows, and so on until the deadline. */
  #carry(from: string, call: ForwardedCall): void {
    if (this.clock.monotonic() >= call.deadline) {
      call.reject(new Fault('shard_unavailable', 'nobody took it'));
      return;
    }
    const sender = this.node(from);
    const owner = sender.membership.ownerOf(call.shard);
    if (owner === from) {
      call.home();
      return;
    }
    const { ref, command, key, render, deadline, repeatable } = call;
    const receiver = this.node(owner);
    receiver.system.serve({ ref, command, key, render, deadline, repeatable }).then(
      (value) => call.resolve(value),
      (error: unknown) => {
        const fault = error instanceof Fault ? error : new Fault('internal', String(error));
        if (fault.code === 'moved') {
          read(sender);
          read(receiver);
          setTimeout(() => this.#carry(from, call), 1);
        } else {
          call.reject(fault);
        }
      },
    );
  }
}

function read({ membership, system }: ClusterNode): void {
  const moved = membership.read();
  if (moved.length > 0) system.moved(moved);
}

export async function inCluster(
  names: readonly string[],
  options: ClusterOptions,
  body: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const cluster = new Cluster(names, options);
  await cluster.start();
  try {
    await body(cluster);
  } finally {
    await cluster.end();
  }
}

export const probeShard = (id: string): number => shardOf('probe', id);

/** An id of a probe in the given shard. */
export function idIn(shard: number, nth = 0): string {
  for (let n = 0, found = 0; ; n++) if (probeShard(`p${n}`) === shard && found++ === nth) return `p${n}`;
}
