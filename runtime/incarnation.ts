/**
 * What lives as long as one membership: the lease, the journal under its fences, the actors, the way to the other members, the giving
 * away of shards. A fenced one is dropped whole, and nothing of it is used again: what its actors knew may be other than what was
 * committed since.
 *
 * States: `serving` → `leaving` (is given nothing, gives all away, still serves) → `ended` (left in order, after its last append); from
 * the first two → `fenced` (another has taken over: its actors are gone, whoever waited hears 503).
 */
import type { ActorRef, AnyActorType } from './actor.ts';
import { Balancing } from './balancing.ts';
import type { Bus } from './bus.ts';
import { Fault } from './fault.ts';
import type { GivingJournal, ProjectionRow } from './journal.ts';
import type { ClusterMembership } from './members.ts';
import type { Service } from './remote.ts';
import { Router } from './router.ts';
import { type ActorSystem, type ActorSystemOptions, createActorSystem } from './system.ts';

const LINGER_MS = 400;

/** What a service of an incarnation works with. */
export interface Own<J extends GivingJournal> {
  readonly journal: J;
  readonly system: ActorSystem;
  readonly incarnation: string;
}

export interface IncarnationOptions<J extends GivingJournal>
  extends Pick<ActorSystemOptions, 'clock' | 'responders' | 'handlers' | 'limits' | 'random' | 'stages'> {
  readonly types: readonly AnyActorType[];
  /** The journal that writes under the fences of that incarnation; closed with it. */
  readonly journal: (incarnation: string) => J;
  /** What may be asked for by name where a shard is owned (`perform`). */
  readonly services?: (own: Own<J>) => Readonly<Record<string, Service>>;
  /** null: this process is alone. */
  readonly bus: Bus | null;
  /** Becomes a member, under a new incarnation each time it is called; where there is a bus one that is not ready yet. */
  readonly join: () => Promise<ClusterMembership>;
  /** Rows of the read side, right after their commit here. */
  readonly onProjection: (row: ProjectionRow) => void;
  /** It has become a member: for who wants to hear what it learns of shards. */
  readonly onJoined: (membership: ClusterMembership) => void;
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

export interface Incarnation {
  readonly membership: ClusterMembership;
  readonly system: ActorSystem;
  readonly balancing: Balancing;
  /** null: this process is alone. */
  readonly router: Router | null;
  readonly state: 'serving' | 'leaving' | 'fenced' | 'ended';
  /** Called once, when it is fenced; its actors are gone then. */
  onFenced(listener: () => void): void;
  /** Runs the named service where the actor's shard is owned. Rejects with a `Fault`. */
  perform(ref: ActorRef, service: string, input: unknown): Promise<unknown>;
  /** Gives everything away while it goes on serving. Resolves when that is done or cannot be. */
  giveAll(timeoutMs: number): Promise<void>;
  /** Answers what was accepted, writes what was decided, leaves. Does nothing where it is fenced. */
  end(drainMs: number): Promise<void>;
}

/** @param leaving it only brings calls to others, and is given nothing */
export async function openIncarnation<J extends GivingJournal>(
  options: IncarnationOptions<J>,
  leaving: boolean,
): Promise<Incarnation> {
  const membership = await options.join();
  const incarnation = new Serving(options, membership);
  try {
    await incarnation.begin(leaving);
    return incarnation;
  } catch (error) {
    await incarnation.abandon();
    throw error;
  }
}

class Serving<J extends GivingJournal> implements Incarnation {
  readonly membership: ClusterMembership;
  readonly system: ActorSystem;
  readonly balancing: Balancing;
  readonly router: Router | null;
  state: 'serving' | 'leaving' | 'fenced' | 'ended' = 'serving';
  readonly #journal: J;
  readonly #options: IncarnationOptions<J>;
  readonly #services: Readonly<Record<string, Service>>;
  readonly #listeners: (() => void)[] = [];

  constructor(options: IncarnationOptions<J>, membership: ClusterMembership) {
    const { bus, clock, report } = options;
    const { incarnation } = membership;
    this.#options = options;
    this.membership = membership;
    this.#journal = options.journal(incarnation);
    const services: Record<string, Service> = {};
    this.router = bus === null ? null : new Router({ bus, clock, membership, shards: membership, services });
    this.system = createActorSystem({
      ...options,
      journal: this.#journal,
      membership,
      ...(this.router === null ? {} : { remote: this.router }),
      report: (event, detail) => {
        report(event, detail);
        // An append may find out before the next renewal does.
        if (event === 'fenced') this.#fenced();
      },
    });
    const own = { journal: this.#journal, system: this.system, incarnation };
    this.#services = Object.assign(services, options.services?.(own));
    this.balancing = new Balancing({ membership, system: this.system, clock, report });
  }

  async begin(leaving: boolean): Promise<void> {
    const { membership, system, router } = this;
    const { onJoined, onProjection, bus } = this.#options;
    system.onProjection(onProjection);
    membership.onMoved((shards) => system.moved(shards));
    membership.onFenced(() => this.#fenced());
    onJoined(membership);
    await router?.listen((call) => system.serve(call));
    await system.start();
    if (leaving) await this.giveAll(0);
    else if (bus !== null) await membership.beginServing();
  }

  onFenced(listener: () => void): void {
    if (this.state === 'fenced') listener();
    else this.#listeners.push(listener);
  }

  async perform(ref: ActorRef, service: string, input: unknown): Promise<unknown> {
    if (this.router !== null) return await this.router.perform(ref, service, input);
    const run = this.#services[service];
    if (run === undefined) throw new Fault('internal', `no service is named ${service}`, { retryable: false });
    return await run(ref, input);
  }

  async giveAll(timeoutMs: number): Promise<void> {
    if (this.router === null || (this.state !== 'serving' && this.state !== 'leaving')) return;
    this.state = 'leaving';
    await this.membership.beginLeaving();
    await this.balancing.giveAll(timeoutMs);
  }

  async end(drainMs: number): Promise<void> {
    if (this.state === 'fenced' || this.state === 'ended') return;
    await this.system.drain(drainMs);
    if (this.router !== null && this.membership.members().length > 1) await this.#linger();
    if (this.#isFenced()) return;
    this.state = 'ended';
    this.balancing.stop();
    this.router?.close();
    await this.#journal.close();
    await this.membership.leave();
  }

  /**
   * Others may have sent it something before they learned that its shards are elsewhere. Unanswered that would be unknown to them; so it
   * stays for longer than they take to look at the rows, says where the shards are, and sends its last answers.
   */
  #linger(): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.setTimeout(resolve, LINGER_MS));
  }

  /** Of one that could not begin. */
  async abandon(): Promise<void> {
    this.state = 'ended';
    this.#drop();
    await this.membership.leave().catch(() => {});
  }

  /** The state may have changed during an await; a method of its own, so that the compiler does not assume otherwise. */
  #isFenced(): boolean {
    return this.state === 'fenced';
  }

  #fenced(): void {
    if (this.state === 'fenced' || this.state === 'ended') return;
    this.state = 'fenced';
    this.#drop();
    // It holds nothing any more; this ends what it still has open.
    this.membership.leave().catch(() => {});
    for (const listener of this.#listeners.splice(0)) listener();
  }

  #drop(): void {
    this.balancing.stop();
    this.system.fence();
    this.router?.close();
    this.#journal
      .close()
      .catch((error: unknown) => this.#options.report('journal_not_closed', { error: String(error) }));
  }
}
