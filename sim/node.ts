/**
 * A simulated node: a process that is started, dies, is started again, and in it what `http/node.ts` puts together of a node, but its edge
 * and its jobs: incarnations, one after the other, with their lease, journal, actors, router and balancing.
 *
 * States: `down` → (boot) → `up`: it joins, serves, joins anew when it was fenced → (crash, or an end in order) → `down`. A start that is
 * refused ends the process, and its supervisor starts it again.
 */
import type { ActorRef, AnyActorType, EffectHandler, Responder } from '../runtime/actor.ts';
import { ClusterMember } from '../runtime/cluster.ts';
import type { Incarnation } from '../runtime/incarnation.ts';
import { openIncarnation } from '../runtime/incarnation.ts';
import { admitted } from '../runtime/joining.ts';
import type { Batch, Gift, ProjectionRow } from '../runtime/journal.ts';
import { LoopLease } from '../runtime/lease.ts';
import type { Limits } from '../runtime/limits.ts';
import type { Candidate } from '../runtime/member-store.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { shardOf } from '../runtime/shard.ts';
import { ShardNews } from '../runtime/shard-news.ts';
import { Succession } from '../runtime/succession.ts';
import type { AskOptions } from '../runtime/system.ts';
import { SimClock } from './clock.ts';
import { membershipName, type Sender, type SimDatabase } from './database.ts';
import type { Weather } from './faults.ts';
import { SimMemberStore } from './member-store.ts';
import type { SimBus, SimNetwork } from './network.ts';
import type { Random } from './random.ts';
import { type Scheduler, SimProcess } from './scheduler.ts';
import { type Resolved, WatchedJournal } from './watched-journal.ts';

export const LANES = 1;
/** Of a lease; of a short one a larger share, since a look must not take longer than what it looks for. */
const LOOK_SHARE = 8;
const SHORT_LEASE_MS = 2_000;
const RESTART_MS = 500;
/** How long a broker counts a dead connection among the receivers. */
const BROKER_NOTICE_MS = 30;

/** Which code a node runs from its next start on (`release.ts`). */
export type Release = 'present' | 'next';

export interface NodeWorld {
  readonly scheduler: Scheduler;
  readonly database: SimDatabase;
  readonly network: SimNetwork;
  readonly weather: Weather;
  /** Those of each release. */
  readonly types: Readonly<Record<Release, readonly AnyActorType[]>>;
  readonly limits: Partial<Limits>;
  readonly leaseMs: number;
  // biome-ignore lint/suspicious/noExplicitAny: responders of many types, each used only with its own
  responders(process: SimProcess, random: Random): Readonly<Record<string, Responder<any, any>>>;
  handlers(process: SimProcess, random: Random): Readonly<Record<string, EffectHandler>>;
  committed(incarnation: string, batch: Batch): void;
  given(gift: Gift): void;
  readonly resolved: Resolved;
  note(who: string, what: string, detail?: Readonly<Record<string, unknown>>): void;
}

interface Belief {
  readonly shard: number;
  readonly incarnation: string;
  readonly epoch: number;
}

/** What there is while the process runs. */
interface Run {
  readonly process: SimProcess;
  readonly clock: SimClock;
  readonly bus: SimBus;
  readonly actors: Succession;
}

export class SimNode {
  readonly name: string;
  release: Release = 'present';
  /** Rows of the read side, right after their commit here. */
  onProjection: (row: ProjectionRow) => void = () => {};
  readonly #world: NodeWorld;
  readonly #random: Random;
  #run: Run | null = null;
  #starts = 0;
  #restart: { cancel(): void } | null = null;

  constructor(name: string, world: NodeWorld, random: Random) {
    this.name = name;
    this.#world = world;
    this.#random = random;
  }

  get process(): SimProcess | null {
    return this.#run?.process ?? null;
  }

  get clock(): SimClock | null {
    return this.#run?.clock ?? null;
  }

  /** The incarnation that serves now. */
  get current(): Incarnation | null {
    return this.#run?.actors.current ?? null;
  }

  /** Nothing where it is up. */
  boot(): void {
    if (this.#run !== null) return;
    this.#upgradeWhereNeeded();
    this.#restart?.cancel();
    const { scheduler, network, database } = this.#world;
    const random = this.#random.split(`run ${++this.#starts}`);
    const process = new SimProcess(`${this.name}#${this.#starts}`);
    const wallMs = database.now() + random.between(-200, 200);
    const clock = new SimClock({ scheduler, process, random: random.split('timers'), rate: 1, wallMs });
    const bus = network.bus(this.name, process);
    const actors = this.#succession(process, clock, bus, random);
    const run = { process, clock, bus, actors };
    this.#run = run;
    this.#world.note(this.name, 'boots');
    actors.start().then(
      () => this.#world.note(this.name, 'serves', { incarnation: actors.current?.membership.incarnation }),
      (error: unknown) => this.#fatal(run, error),
    );
  }

  /** At this moment: nothing of it happens any more. What it has sent is on its way. */
  crash(): void {
    const run = this.#run;
    if (run === null) return;
    const { scheduler, network } = this.#world;
    this.#run = null;
    scheduler.end(run.process);
    scheduler.after(this.#random.between(0, BROKER_NOTICE_MS), null, () => network.forget(run.bus));
  }

  /** Gives away what it has, answers what it took, leaves. Resolves when the process has ended. */
  async end(): Promise<void> {
    const run = this.#run;
    if (run === null) return;
    await run.actors.giveAll(15_000).catch((error: unknown) => {
      this.#world.note(this.name, 'not all given away', { error: String(error) });
    });
    await run.actors.end(10_000).catch((error: unknown) => {
      this.#world.note(this.name, 'not ended in order', { error: String(error) });
    });
    await run.bus.close();
    if (this.#run === run) this.crash();
  }

  /** As the edge asks. Rejects with a `Fault`. Never settles where the process ends. */
  ask(ref: ActorRef, command: unknown, options: AskOptions): Promise<unknown> {
    if (this.#run === null) return Promise.reject(new Error('nobody is there'));
    const before = this.#belief(ref);
    const answer = this.#run.actors.ask(ref, command, options);
    if (before === null) return answer;
    return answer.then((value) => {
      this.#mayAnswer(ref, before, this.#belief(ref));
      return value;
    });
  }

  /** Under which name and epoch it has the actor's shard, as far as it knows; null: another has it. */
  #belief(ref: ActorRef): Belief | null {
    const membership = this.current?.membership;
    const shard = shardOf(ref.type, ref.id);
    if (membership === undefined || !membership.owns(shard)) return null;
    return { shard, incarnation: membership.incarnation, epoch: membership.epoch(shard) };
  }

  /** What it had all the while it has answered from its own memory: at this moment nobody else may have the shard. */
  #mayAnswer(ref: ActorRef, before: Belief, now: Belief | null): void {
    if (now?.incarnation !== before.incarnation || now.epoch !== before.epoch) return;
    const row = this.#world.database.tables.shards[now.shard];
    if (row === undefined || (row.owner === now.incarnation && row.epoch === now.epoch)) return;
    this.#world.note(this.name, 'answered for another', { ...ref, owner: row.owner });
  }

  #fatal(run: Run, error: unknown): void {
    if (this.#run !== run) return;
    this.#world.note(this.name, 'ends', { error: String(error) });
    this.crash();
    this.#upgradeWhereNeeded();
    this.#restart = this.#world.scheduler.after(RESTART_MS, null, () => this.boot());
  }

  /** What is written by now may not be readable by the release that it ran: its operator starts the one that reads it. */
  #upgradeWhereNeeded(): void {
    const { database, types } = this.#world;
    const { versions } = database.tables;
    if (types.next.some(({ type, eventVersion }) => versions.get(type) === eventVersion)) this.release = 'next';
  }

  #succession(process: SimProcess, clock: SimClock, bus: SimBus, random: Random): Succession {
    const { database, limits } = this.#world;
    const types = this.#world.types[this.release];
    const news = new ShardNews({ bus, clock });
    const note = (event: string, detail: object): void => this.#world.note(this.name, event, { ...detail });
    let incarnations = 0;
    const actors: Succession = new Succession({
      clock,
      open: (leaving) => {
        const own = random.split(`incarnation ${++incarnations}`);
        const incarnation = `${this.name}.${this.#starts}.${incarnations}`;
        const sender: Sender = { process, node: this.name, incarnation };
        const refusing = own.split('refusals');
        return openIncarnation(
          {
            types,
            clock,
            bus,
            limits,
            responders: this.#world.responders(process, own.split('responders')),
            handlers: this.#world.handlers(process, own.split('handlers')),
            random: own.split('ids'),
            journal: () =>
              new WatchedJournal(
                {
                  database,
                  sender,
                  lanes: LANES,
                  committed: (batch) => this.#world.committed(incarnation, batch),
                  given: (gift) => this.#world.given(gift),
                  refuses: (batch) => this.#isBad(batch, refusing),
                },
                (what, outcome) => this.#world.resolved(what, outcome),
              ),
            join: () => this.#join(clock, types, { ...sender, incarnation }, own.split('clock')),
            onProjection: (row) => this.onProjection(row),
            onJoined: (membership) => news.attach(membership),
            report: note,
          },
          leaving,
        );
      },
      rejoins: true,
      onFatal: (error) => {
        const run = this.#run;
        if (run?.actors === actors) this.#fatal(run, error);
      },
      log: {
        warn: (detail, message) => note(message, detail),
        info: (detail, message) => note(message, detail),
      },
    });
    return actors;
  }

  /** Some rows are bad, and stay so however the batch is cut. */
  #isBad({ events }: Batch, random: Random): boolean {
    const share = this.#world.weather.strength('batch_refused', 'database') * 0.3;
    if (share === 0) return false;
    return events.some(({ id, seq, at }) => random.split(`${id}@${seq} ${at}`).chance(share));
  }

  /** As `join` of `schema/members.ts`. */
  async #join(
    clock: SimClock,
    types: readonly AnyActorType[],
    sender: Sender,
    random: Random,
  ): Promise<ClusterMembership> {
    const { database, leaseMs, weather } = this.#world;
    const { incarnation } = sender;
    // Takers have a name of their own: they are waited for, not ended.
    const store = new SimMemberStore({
      database,
      sender: { ...sender, incarnation: membershipName(incarnation) },
      lanes: LANES,
      leaseMs,
    });
    const report = (event: string, detail: object): void => this.#world.note(this.name, event, { ...detail });
    const candidate: Candidate = {
      incarnation,
      nodeId: this.name,
      lanes: LANES,
      leaseMs,
      state: 'joining',
      weight: 1,
      bus: true,
      eventVersions: Object.fromEntries(types.map((type) => [type.type, type.eventVersion])),
      identity: null,
    };
    const writes = await admitted(store, candidate, false, clock);
    const renew = async (): Promise<boolean> => {
      const sentAt = clock.monotonic();
      const databaseMs = await store.renew(incarnation);
      const offMs = weather.strength('clock_offset', this.name) * random.between(-1_000, 1_000);
      if (databaseMs !== null) clock.sync(databaseMs + offMs, (sentAt + clock.monotonic()) / 2);
      return databaseMs !== null;
    };
    const lease = new LoopLease({
      clock,
      leaseMs,
      renew,
      report: (error) => report('renewal_failed', { error: String(error) }),
    });
    const member = new ClusterMember({
      ...candidate,
      state: 'joining',
      store,
      clock,
      lease,
      writes,
      lookMs: leaseMs / (leaseMs < SHORT_LEASE_MS ? LOOK_SHARE / 2 : LOOK_SHARE),
      report,
    });
    try {
      if (!(await lease.first())) throw new Error('this node was taken over while it joined');
      await member.look();
    } catch (error) {
      await member.leave().catch(() => {});
      throw error;
    }
    member.start();
    return member;
  }
}
