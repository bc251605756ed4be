/**
 * One seed, one history, one verdict: a world is opened, the clients live in it while its faults happen, then it is healed and must come to
 * rest within a bound of simulated time; the oracles watch all along and look at the books at the end. The first violation ends the run.
 */
import type { OrderState } from '../actors/order-state.ts';
import { actorTypes } from '../actors/registry.ts';
import type { ActorRef, AnyActorType, EffectHandler } from '../runtime/actor.ts';
import type { Limits } from '../runtime/limits.ts';
import { drawPlan, type FaultKind, type PlannedFault } from './faults.ts';
import { History } from './history.ts';
import { BAD_DATA } from './journal.ts';
import { JournalOracle, type Violation } from './journal-oracle.ts';
import { checkAtRest, unrest } from './oracles.ts';
import { OutcomeOracle } from './outcome-oracle.ts';
import { PaymentProvider, paymentHandlers } from './payments.ts';
import type { Parcel } from './person.ts';
import { Random } from './random.ts';
import { nextRelease } from './release.ts';
import { cartResponder, orderResponder, Pricing, Shop } from './shop.ts';
import { drawTempo, type Tempo } from './tempo.ts';
import { Workload } from './workload.ts';
import { World } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  /** Ids of the planned faults that happen. Default: all. */
  readonly faults?: readonly number[];
  /** Places of the clients that take part. Default: all. */
  readonly clients?: readonly number[];
  /** Only these kinds of faults are drawn. Default: all. */
  readonly kinds?: readonly FaultKind[];
  /** How many faults are drawn. Default: drawn, too. */
  readonly count?: number;
  /** How long clients form new intentions and faults begin. Default: drawn (`tempo.ts`). */
  readonly lengthMs?: number;
  readonly nodes?: number;
}

export interface RunResult {
  readonly seed: number;
  /** None: all is well. */
  readonly violations: readonly Violation[];
  readonly plan: readonly PlannedFault[];
  /** How many clients the seed has. */
  readonly clients: number;
  readonly history: History;
  readonly journal: JournalOracle;
  /** Steps of the scheduler. */
  readonly events: number;
  readonly simulatedMs: number;
}

/** After the world was healed, everything must be at rest by then; the database's clock may have jumped by a minute. */
const REST_WITHIN_MS = 180_000;
/** How often the oracles look at what is stored. */
const LOOK_MS = 100;
const VISITOR_ATTEMPTS = 8;
const CLOCKS_APART_MS = 500;
/** What a node reports only where its code is wrong. */
const BROKEN: ReadonlySet<string> = new Set([
  'turn_failed',
  'actor_quarantined',
  'projection_listener_failed',
  'caller_unanswered',
  'answered for another',
]);

export async function runSeed(options: RunOptions): Promise<RunResult> {
  return new Run(options).run();
}

class Run {
  readonly #options: RunOptions;
  readonly #random: Random;
  readonly #tempo: Tempo;
  readonly #plan: readonly PlannedFault[];
  readonly #violations: Violation[] = [];
  readonly #types: readonly AnyActorType[];
  readonly #shop = new Shop();
  readonly #journal: JournalOracle;
  readonly #outcomes = new OutcomeOracle((oracle, message) => this.#violate(oracle, message));
  readonly #history: History;
  readonly #world: World;
  readonly #provider: PaymentProvider;
  #workload: Workload | null = null;

  constructor(options: RunOptions) {
    const { seed, nodes = 3, kinds, count, faults } = options;
    this.#options = options;
    this.#random = new Random(seed, 'run');
    this.#tempo = drawTempo(this.#random.split('tempo'), options.lengthMs);
    const { lengthMs, leaseMs, orderGivesUpMs } = this.#tempo;
    this.#types = actorTypes({ order: { giveUpAfterMs: orderGivesUpMs } });
    const drawn = drawPlan({
      seed,
      nodes: World.names(nodes),
      endMs: lengthMs,
      leaseMs,
      ...(kinds === undefined ? {} : { kinds }),
      ...(count === undefined ? {} : { count }),
    });
    this.#plan = drawn.filter((fault) => faults?.includes(fault.id) ?? true);
    this.#journal = new JournalOracle(this.#types.map(nextRelease), (oracle, message) =>
      this.#violate(oracle, message),
    );
    this.#history = new History(() => this.#world.scheduler.now);
    this.#world = new World({
      seed,
      nodes,
      plan: this.#plan,
      types: this.#types,
      leaseMs,
      crowd: (node, calls) => this.#workload?.crowd(node, calls),
      limits: { ...this.#tempo.limits, ...drawLimits(this.#random.split('limits')) },
      book: () => this.#shop.book,
      recorder: {
        commit: (incarnation, batch) => this.#committed(incarnation, batch),
        gave: (gift) => this.#outcomes.done(gift),
        resolved: (what, outcome) => this.#outcomes.resolved(what, outcome),
        note: (who, what, detail) => {
          this.#history.note(who, what, detail);
          if (BROKEN.has(what) || (what === 'append_refused' && !String(detail?.error).includes(BAD_DATA)))
            this.#violate('no broken turn', `${who}: ${what} ${JSON.stringify(detail)}`);
        },
      },
      handlers: (outside) => {
        const client = this.#provider.connect((work) => outside.exchange('payment', work));
        return paymentHandlers(client) as unknown as Readonly<Record<string, EffectHandler>>;
      },
      responders: (later, random) => {
        const pricing = new Pricing(this.#shop, later, random, this.#world.weather);
        return { cart: cartResponder(pricing), order: orderResponder() };
      },
    });
    this.#provider = new PaymentProvider(this.#random.split('payments'), this.#world.weather, this.#history);
    this.#provider.onChange = (orderId) => this.#workload?.notify(orderId);
    this.#history.onEnd = (call) => {
      this.#journal.answered(call);
      this.#outcomes.told(call);
    };
  }

  async run(): Promise<RunResult> {
    const { seed } = this.#options;
    // A real node dies of it.
    const unhandled = (error: unknown): void =>
      this.#violate('no loose ends', `unhandled rejection: ${stackOf(error)}`);
    process.on('unhandledRejection', unhandled);
    let clients = 0;
    try {
      const workload = await this.#live();
      clients = workload.size;
    } catch (error) {
      this.#violate('no loose ends', `thrown into the event loop: ${stackOf(error)}`);
    } finally {
      this.#world.close();
      process.off('unhandledRejection', unhandled);
    }
    return {
      seed,
      violations: this.#violations,
      plan: this.#plan,
      clients,
      history: this.#history,
      journal: this.#journal,
      events: this.#world.scheduler.events,
      simulatedMs: this.#world.scheduler.now,
    };
  }

  async #live(): Promise<Workload> {
    const world = this.#world;
    await world.open();
    const workload = new Workload(
      {
        front: {
          client: (name) => world.client(name),
          nodeNames: world.nodeNames,
          openOutbox: () => this.#openOutbox(),
          parcels: (orderId) => this.#parcels(orderId),
        },
        history: this.#history,
        random: this.#random.split('workload'),
        shop: this.#shop,
        provider: this.#provider.connect((work) => world.outside(null, world.random('jobs')).exchange('payment', work)),
        clients: this.#options.clients,
        tempo: this.#tempo,
        until: world.scheduler.now + this.#tempo.lengthMs,
      },
      world.weather,
    );
    this.#workload = workload;
    workload.start();
    await this.#pass(this.#tempo.lengthMs, () => false);
    world.heal();
    const quiet = await this.#pass(REST_WITHIN_MS + 2 * this.#tempo.holdTtlMs, () => this.#unrest(workload) === null);
    if (this.#violations.length > 0) return workload;
    if (!quiet) this.#violate('liveness', this.#unrest(workload) ?? 'at rest only at the last moment');
    else await this.#lookAround();
    if (this.#violations.length === 0) this.#compare();
    return workload;
  }

  /** Lets that much time pass, or less: until it is over, or something was violated. True where `over` said so. */
  async #pass(ms: number, over: () => boolean): Promise<boolean> {
    const world = this.#world;
    const end = world.scheduler.now + ms;
    while (world.scheduler.now < end && this.#violations.length === 0) {
      await world.run(Math.min(LOOK_MS * this.#tempo.idleness, end - world.scheduler.now));
      this.#outcomes.timers(this.#journal, world.database.store);
      if (over()) return true;
    }
    return false;
  }

  #unrest(workload: Workload): string | null {
    if (!workload.done) return 'clients are at work';
    const world = this.#world;
    const now = world.database.now();
    for (const { name, clock } of world.nodes.values()) {
      // A node whose database's clock was set back waits for it to catch up; until then others' deadlines are past for it.
      if (clock !== null && clock.now() > now + CLOCKS_APART_MS) return `${name}'s clock is ahead`;
    }
    return unrest(this.#journal, this.#openOutbox(), now) ?? world.unrest()[0] ?? null;
  }

  /** Everything can be asked for again, everywhere. */
  async #lookAround(): Promise<void> {
    const world = this.#world;
    const client = world.client('visitor');
    let left = true;
    const ask = async (ref: ActorRef): Promise<void> => {
      const node = this.#random.pick(world.nodeNames);
      const command = { kind: 'get' };
      const options = { render: ref.type !== 'sku', repeatable: true };
      let told = 'nothing';
      // A lane, or a member's view of the others, may be about to come back only.
      for (let attempt = 1; attempt <= VISITOR_ATTEMPTS; attempt++) {
        if (world.nodes.get(node)?.current?.state !== 'serving') return;
        const intent = `visitor.${ref.id}.${attempt}`;
        const record = this.#history.begin({ client: 'visitor', node, ref, command, key: null, intent });
        const outcome = await client.ask(node, ref, command, options);
        this.#history.end(record, outcome);
        if (outcome.kind === 'reply') return;
        told = outcome.kind === 'fault' ? outcome.code : 'nothing';
        await client.sleep(200 * attempt);
      }
      this.#violate('liveness', `${node} was asked for ${ref.id} when all was well, and said ${told}`);
    };
    const askAll = async (): Promise<void> => {
      // One after the other: a crowd may be refused where limits are small.
      for (const { ref } of [...this.#journal.shadows.values()]) await ask(ref);
      left = false;
    };
    void askAll();
    await this.#pass(15_000, () => !left);
  }

  #compare(): void {
    const { store } = this.#world.database;
    checkAtRest(
      {
        history: this.#history,
        journal: this.#journal,
        provider: this.#provider,
        projections: [...store.projections.values()].flatMap((table) => [...table.values()]),
      },
      (oracle, message) => this.#violate(oracle, message),
    );
  }

  #committed(incarnation: string, batch: Parameters<History['commit']>[1]): void {
    const { shards, members } = this.#world.database.tables;
    for (const { type, id, seq, version } of batch.events) {
      for (const member of members.values()) {
        if (!/^(joining|alive|leaving)$/.test(member.state) || (member.eventVersions[type] ?? version) >= version)
          continue;
        this.#violate(
          'readable by all',
          `${id}@${seq} has version ${version}, which ${member.incarnation} cannot read`,
        );
      }
    }
    const commit = this.#history.commit(incarnation, batch);
    this.#outcomes.done(batch);
    this.#journal.committed(commit, (shard) => shards[shard] ?? { owner: null, epoch: 0 });
  }

  #openOutbox() {
    return [...this.#world.database.store.outbox.values()].filter((one) => one.open).map((one) => one.row);
  }

  #parcels(orderId: string): readonly Parcel[] {
    const order = this.#journal.shadow({ type: 'order', id: orderId }).state as OrderState;
    return order.phase === 'confirmed' ? order.lines : [];
  }

  #violate(oracle: string, message: string): void {
    this.#violations.push({ oracle, message });
    if (this.#violations.length === 1) this.#history.note('oracle', oracle, { message });
    this.#world.scheduler.stop();
  }
}

/** Half of the histories have the real limits; in the others actors leave memory early, and snapshots, pages and queues are small. */
function drawLimits(random: Random): Partial<Limits> {
  if (random.chance(0.5)) return {};
  return {
    ...(random.chance(0.7) ? { snapshotBytes: random.int(100, 2_000), snapshotEvents: random.int(1, 6) } : {}),
    ...(random.chance(0.5) ? { actorsLimit: random.int(1, 12), idleMs: random.int(50, 2_000) } : {}),
    ...(random.chance(0.3) ? { batchRows: random.int(1, 8) } : {}),
    ...(random.chance(0.2) ? { commandsLimit: random.int(2, 6) } : {}),
    ...(random.chance(0.2) ? { mailboxLimit: random.int(1, 3) } : {}),
    ...(random.chance(0.2) ? { carriedAtOnce: random.int(0, 1) } : {}),
    ...(random.chance(0.2) ? { answerCacheBytes: 1 } : {}),
  };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? String(error)) : String(error);
}
