/**
 * Members on one timeline, through random histories of stops, cut-off renewals, a database that goes away and loses answers, joins,
 * departures and gifts, with clocks that run at different speeds. After each step: whoever would answer for a shard has its row.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Clock } from './clock.ts';
import { ClusterMember } from './cluster.ts';
import { admitted } from './joining.ts';
import { LoopLease } from './lease.ts';
import { ManualClock } from './manual-clock.ts';
import type { Candidate } from './member-store.ts';
import { MemberTables, MemoryMembers } from './memory-members.ts';
import { ProcessClock } from './process-clock.ts';
import { SHARD_COUNT } from './shard.ts';

const LEASE_MS = 2_000;
const STEP_MS = 50;
const NODES = 4;
const SHARDS = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
/** As far apart as the margin of a fifth allows. */
const RATES = [1, 1.09, 0.92, 1];

class World {
  readonly time = new ManualClock();
  readonly tables = new MemberTables();
  readonly nodes: (Node | null)[] = new Array(NODES).fill(null);
  databaseAway = false;
  loseAnswers = false;
  incarnations = 0;
  /** At most, each way. */
  latencyMs = 0;
  #seed = 1;

  /** The way there takes its time, and so does the way back, on which the answer waits for a process that is stopped. */
  async commit<T>(process: ProcessClock, effect: () => T): Promise<T> {
    await this.#way(this.time);
    if (this.databaseAway) throw new Error('away');
    const result = effect();
    await this.#way(process);
    if (this.loseAnswers) throw new Error('the answer is lost');
    return result;
  }

  async #way(clock: Clock): Promise<void> {
    // Park and Miller's generator: the same history each time.
    this.#seed = (this.#seed * 48_271) % 0x7fffffff;
    const ms = (this.#seed / 0x7fffffff) * this.latencyMs;
    if (ms > 0) await new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
  }

  /** Time goes by; all that it sets off is done, and holds, before it goes on. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      this.time.advance(STEP_MS);
      await new Promise((resolve) => setImmediate(resolve));
      this.check();
    }
  }

  check(): void {
    for (const node of this.nodes) {
      if (node?.member === undefined || !node.member.mayAnswer()) continue;
      for (const { shard, owner } of this.tables.shards) {
        if (!node.member.owns(shard)) continue;
        assert.equal(owner, node.incarnation, `shard ${shard} is answered for without its row`);
        assert.ok(this.tables.fences.has(node.incarnation));
      }
    }
  }
}

class Node {
  readonly incarnation: string;
  readonly clock: ProcessClock;
  cutOff = false;
  member: ClusterMember | undefined;
  readonly #world: World;
  readonly #store: MemoryMembers;

  constructor(world: World, index: number) {
    this.#world = world;
    this.incarnation = `node-${index}.${world.incarnations++}`;
    this.clock = new ProcessClock(world.time, RATES[index]);
    this.#store = new MemoryMembers({ tables: world.tables, commit: (effect) => world.commit(this.clock, effect) });
  }

  /** Does not wait for a living namesake: that fails, and is tried again by the history. */
  async join(): Promise<void> {
    const candidate: Candidate = {
      incarnation: this.incarnation,
      nodeId: this.incarnation.split('.')[0] ?? '',
      state: 'alive',
      leaseMs: LEASE_MS,
      weight: 1,
      bus: true,
      lanes: 1,
      eventVersions: {},
      identity: null,
    };
    const writes = await admitted(this.#store, candidate, false, this.clock);
    const lease = new LoopLease({
      clock: this.clock,
      leaseMs: LEASE_MS,
      renew: async () => {
        if (this.cutOff) throw new Error('cut off');
        return await this.#store.renew(this.incarnation);
      },
      report: () => {},
    });
    if (!(await lease.first())) throw new Error('taken over while it joined');
    const member = new ClusterMember({
      ...candidate,
      state: 'alive',
      store: this.#store,
      clock: this.clock,
      lease,
      writes,
      lookMs: 250,
      report: () => {},
    });
    member.start();
    member.onFenced(() => {
      this.member = undefined;
      this.#world.nodes[this.#world.nodes.indexOf(this)] = null;
    });
    this.member = member;
  }

  /** As the actor system gives: one statement under the fence, and nothing is answered for the shards from it to its outcome. */
  give(limit: number): void {
    const { tables, databaseAway } = this.#world;
    const member = this.member;
    if (member === undefined || this.clock.stopped || databaseAway || !tables.fences.has(this.incarnation)) return;
    for (const { to, shards } of member.surplus(limit)) {
      if (tables.members.get(to)?.state !== 'alive') continue;
      for (const shard of shards) {
        assert.deepEqual(tables.shards[shard], { shard, owner: this.incarnation, epoch: member.epoch(shard) });
        tables.shards[shard] = { shard, owner: to, epoch: member.epoch(shard) + 1 };
      }
      member.gave(
        shards.map((shard) => ({ shard, epoch: member.epoch(shard) })),
        to,
      );
    }
  }
}

type Action =
  | { readonly kind: 'join' | 'stop' | 'goOn' | 'cutOff' | 'reconnect' | 'leave'; readonly node: number }
  | { readonly kind: 'give'; readonly node: number; readonly limit: number }
  | { readonly kind: 'database'; readonly is: 'away' | 'back' | 'losing answers' }
  | { readonly kind: 'pass'; readonly ms: number };

async function act(world: World, action: Action): Promise<void> {
  if (action.kind === 'pass') return await world.pass(action.ms);
  if (action.kind === 'database') {
    world.databaseAway = action.is === 'away';
    world.loseAnswers = action.is === 'losing answers';
  } else {
    const node = world.nodes[action.node] ?? null;
    if (action.kind === 'join') {
      if (node !== null) return;
      const fresh = new Node(world, action.node);
      world.nodes[action.node] = fresh;
      // It may have to wait for its predecessor's lease, or fail; the history goes on meanwhile.
      fresh.join().catch(() => {
        if (world.nodes[action.node] === fresh) world.nodes[action.node] = null;
      });
    } else if (action.kind === 'stop') node?.clock.stop();
    else if (action.kind === 'goOn') node?.clock.goOn();
    else if (action.kind === 'cutOff' && node !== null) node.cutOff = true;
    else if (action.kind === 'reconnect' && node !== null) node.cutOff = false;
    else if (action.kind === 'give') node?.give(action.limit);
    else if (action.kind === 'leave' && node?.member !== undefined && !node.clock.stopped) {
      world.nodes[action.node] = null;
      node.member.leave().catch(() => {});
    }
  }
  await world.pass(STEP_MS);
}

const onNode = (kind: 'join' | 'stop' | 'goOn' | 'cutOff' | 'reconnect' | 'leave') =>
  fc.nat(NODES - 1).map((node): Action => ({ kind, node }));
const history = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: onNode('join') },
    { weight: 2, arbitrary: onNode('stop') },
    { weight: 2, arbitrary: onNode('goOn') },
    { weight: 1, arbitrary: onNode('cutOff') },
    { weight: 1, arbitrary: onNode('reconnect') },
    { weight: 1, arbitrary: onNode('leave') },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('give' as const), node: fc.nat(NODES - 1), limit: fc.nat(99) }),
    },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom<('away' | 'back' | 'losing answers')[]>('away', 'back', 'back', 'losing answers')
        .map((is): Action => ({ kind: 'database', is })),
    },
    { weight: 6, arbitrary: fc.nat(4_000).map((ms): Action => ({ kind: 'pass', ms })) },
  ),
  { minLength: 10, maxLength: 60 },
);

describe('members, whatever happens to them', () => {
  it('answer only for shards whose row names them; and once all is well, each shard is where it should be', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.constantFrom(0, 50, 400, 1_500), async (actions, latencyMs) => {
        const world = new World();
        world.latencyMs = latencyMs;
        for (const action of actions) await act(world, action);
        // All is well again: who is stopped goes on, who is missing comes back.
        await act(world, { kind: 'database', is: 'back' });
        world.latencyMs = 0;
        for (const node of world.nodes) {
          if (node === null) continue;
          node.cutOff = false;
          node.clock.goOn();
        }
        for (let round = 0; round < 4; round++) {
          for (let node = 0; node < NODES; node++) await act(world, { kind: 'join', node });
          await world.pass(4_000);
        }
        for (let node = 0; node < NODES; node++) await act(world, { kind: 'give', node, limit: SHARD_COUNT });
        await world.pass(1_000);
        for (const node of world.nodes) {
          const member = node?.member;
          assert.ok(member?.mayAnswer(), 'all are back');
          assert.deepEqual(member?.surplus(SHARD_COUNT), []);
        }
        for (const shard of SHARDS) {
          assert.equal(world.nodes.filter((node) => node?.member?.owns(shard)).length, 1);
        }
      }),
      { numRuns: 100 },
    );
  });
});
