/**
 * What lives as long as one membership: the lease, the journal under its fences, the actors, the way to the other members, the giving
 * away of shards. A fenced one is dropped whole, and nothing of it is used again: what its actors knew may be other than what was
 * committed since.
 *
 * States: `serving` → `leaving` (is given nothing, gives all away, still serves) → `ended` (left in order, after its last append); from
 * the first two → `fenced` (another has taken over: its actors are gone, whoever waited hears 503).
 */
import type { AnyActorType } from '../runtime/actor.ts';
import type { Bus } from '../runtime/bus.ts';
import type { ProjectionRow } from '../runtime/journal.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import type { Service } from '../runtime/remote.ts';
import { Router } from '../runtime/router.ts';
import { type ActorSystem, type ActorSystemOptions, createActorSystem } from '../runtime/system.ts';
import type { Database } from '../schema/database.ts';
import { PgJournal } from '../schema/journal.ts';
import { Balancing } from './balancing.ts';
import { CART_HISTORY, type CartOwner, removeCartHistory } from './cart-histories.ts';
import { LANES } from './storage.ts';

export interface IncarnationOptions extends Pick<ActorSystemOptions, 'clock' | 'responders' | 'handlers'> {
  readonly types: readonly AnyActorType[];
  readonly database: Database;
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
  /** Removes the history of a cart that has expired, wherever the cart is. */
  removeCart(cartId: string, outboxId: string): Promise<void>;
  /** Gives everything away while it goes on serving. Resolves when that is done or cannot be. */
  giveAll(timeoutMs: number): Promise<void>;
  /** Answers what was accepted, writes what was decided, leaves. Does nothing where it is fenced. */
  end(drainMs: number): Promise<void>;
}

/** @param leaving it only brings calls to others, and is given nothing */
export async function openIncarnation(options: IncarnationOptions, leaving: boolean): Promise<Incarnation> {
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

class Serving implements Incarnation {
  readonly membership: ClusterMembership;
  readonly system: ActorSystem;
  readonly balancing: Balancing;
  readonly router: Router | null;
  state: 'serving' | 'leaving' | 'fenced' | 'ended' = 'serving';
  readonly #journal: PgJournal;
  readonly #options: IncarnationOptions;
  readonly #owner: CartOwner;
  readonly #listeners: (() => void)[] = [];

  constructor(options: IncarnationOptions, membership: ClusterMembership) {
    const { database, bus, clock, report } = options;
    const { incarnation } = membership;
    this.#options = options;
    this.membership = membership;
    this.#journal = new PgJournal({ database, incarnation, lanes: LANES });
    const services: Record<string, Service> = {
      [CART_HISTORY]: (ref, outboxId) => removeCartHistory(this.#owner, ref.id, String(outboxId)),
    };
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
    this.#owner = { database, journal: this.#journal, system: this.system, incarnation };
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

  async removeCart(cartId: string, outboxId: string): Promise<void> {
    if (this.router === null) await removeCartHistory(this.#owner, cartId, outboxId);
    else await this.router.perform({ type: 'cart', id: cartId }, CART_HISTORY, outboxId);
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
    if (this.#isFenced()) return;
    this.state = 'ended';
    this.balancing.stop();
    this.router?.close();
    await this.#journal.close();
    await this.membership.leave();
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
