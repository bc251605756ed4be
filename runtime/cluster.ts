/**
 * A member among several: it looks at the rows again and again, and from what it sees takes over from those who stand still,
 * claims shards that nobody living has and that it should have, and knows what it should give away (`handoff.ts` gives it).
 *
 * It relies on the store for the truth and for every change of it, on the lease for being allowed to answer, on the clock for time;
 * what is decided from a view is in `watch.ts` and `balance.ts`. It promises that a shard is its own only by a row that it has read (or
 * that it gave away itself), and that nothing that it does by an old view can hurt: every change is checked again in its transaction.
 *
 * States: `joining` (owns nothing yet, is given nothing) → `alive` → `leaving` (keeps what it has, is given nothing) → `left`. From any of the first
 * three → `fenced`, when a renewal or a look finds its row no longer living; it owns and answers nothing then, for ever.
 *
 * One look: read → fenced? → tell what moved → watch → take over the overdue → claim → raise what may be written → once more where
 * something was changed. Looks follow each other every `lookMs`, and right when somebody falls due; `look()` asks for one at once.
 */
import { commonVersions, type Versions } from './admission.ts';
import { Placements, surplusOf } from './balance.ts';
import type { Clock } from './clock.ts';
import type { Lease } from './lease.ts';
import type { MemberRow, MemberStore } from './member-store.ts';
import type { ClusterMembership, GivenShard, MemberSeen, ShardOwner, Surplus } from './members.ts';
import { ShardTable } from './shard-table.ts';
import { Watch } from './watch.ts';

export interface ClusterMemberOptions {
  readonly store: MemberStore;
  readonly clock: Clock;
  readonly lease: Lease;
  readonly incarnation: string;
  readonly nodeId: string;
  readonly state: 'joining' | 'alive';
  readonly leaseMs: number;
  /** Event versions this process can read, by actor type; none at all: it writes the newest. */
  readonly eventVersions: Versions;
  /** In which version each type may be written, as of the admission. */
  readonly writes: Versions;
  /** Between looks. */
  readonly lookMs: number;
  /** Told of what failed and is tried again; must not throw. */
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

const PUBLISH_MS = 1_000;
const STATUS_BYTES = 4_096;
/** Is given nothing while it has not renewed for this share of its lease. */
const QUIET_SHARE = 0.5;

type Listener = () => void;

export class ClusterMember implements ClusterMembership {
  readonly incarnation: string;
  readonly nodeId: string;
  readonly #options: ClusterMemberOptions;
  readonly #table: ShardTable;
  readonly #watch: Watch;
  readonly #placements = new Placements();
  readonly #moved: ((shards: readonly number[]) => void)[] = [];
  readonly #changed: Listener[] = [];
  #fencedListeners: Listener[] = [];
  #drainListeners: Listener[] = [];
  #state: 'joining' | 'alive' | 'leaving' | 'left' | 'fenced';
  #members: readonly MemberRow[] = [];
  #writes: Versions;
  #drainRequested = false;
  #status: { readonly text: string; readonly doc: Readonly<Record<string, unknown>> } | null = null;
  #published = { text: '', at: Number.NEGATIVE_INFINITY };
  #looking: Promise<void> | null = null;
  #lookingNext: Promise<void> | null = null;
  /** The last look by itself failed. */
  #blind = false;
  #timer: { cancel(): void } | null = null;
  #left: Promise<void> | null = null;

  constructor(options: ClusterMemberOptions) {
    this.#options = options;
    this.incarnation = options.incarnation;
    this.nodeId = options.nodeId;
    this.#state = options.state;
    this.#writes = options.writes;
    this.#table = new ShardTable(options.incarnation);
    this.#watch = new Watch(options.leaseMs);
  }

  /** Begins to renew and to look. */
  start(): void {
    this.#options.lease.start(() => this.#fence());
    this.#schedule();
  }

  get renewals(): number {
    return this.#options.lease.renewals;
  }

  owns(shard: number): boolean {
    return this.#table.owns(shard) && this.#lives();
  }

  epoch(shard: number): number {
    return this.#table.epoch(shard);
  }

  mayAnswer(): boolean {
    return this.#lives() && this.#options.lease.holds();
  }

  writes(type: string, newest: number): number {
    const version = this.#writes[type];
    return version !== undefined && version < newest ? version : newest;
  }

  ownerOf(shard: number): ShardOwner | null {
    return this.#table.ownerOf(shard);
  }

  hint(shard: number, owner: ShardOwner): void {
    if (this.#table.hint(shard, owner)) this.#lookSoon();
  }

  onMoved(listener: (shards: readonly number[]) => void): void {
    this.#moved.push(listener);
  }

  onChange(listener: Listener): void {
    this.#changed.push(listener);
  }

  onFenced(listener: Listener): void {
    if (this.#state === 'fenced') listener();
    else this.#fencedListeners.push(listener);
  }

  onDrainRequested(listener: Listener): void {
    if (this.#drainRequested) listener();
    else this.#drainListeners.push(listener);
  }

  gave(shards: readonly GivenShard[], to: string): void {
    this.#tellMoved(this.#table.read(shards.map(({ shard, epoch }) => ({ shard, owner: to, epoch: epoch + 1 }))));
    this.#tellChanged();
  }

  members(): readonly MemberSeen[] {
    const now = this.#options.clock.monotonic();
    const shards = new Map<string | null, number>();
    for (const { owner } of this.#table.rows()) shards.set(owner, (shards.get(owner) ?? 0) + 1);
    return this.#members
      .map(({ incarnation, nodeId, state, weight, bus, leaseMs, renewals, status }) => ({
        incarnation,
        nodeId,
        state,
        weight,
        bus,
        leaseMs,
        renewals,
        quietMs: this.#watch.quietMs(incarnation, now),
        shards: shards.get(incarnation) ?? 0,
        status,
      }))
      .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  surplus(limit: number): readonly Surplus[] {
    if (!this.mayAnswer()) return [];
    const now = this.#options.clock.monotonic();
    const renewing = new Set(
      this.#members
        .filter(({ incarnation, leaseMs }) => this.#watch.quietMs(incarnation, now) < leaseMs * QUIET_SHARE)
        .map((member) => member.incarnation),
    );
    const placement = this.#placements.over(this.#members);
    return surplusOf(this.#table.owned(), placement, this.incarnation, (to) => renewing.has(to), limit);
  }

  publish(status: Readonly<Record<string, unknown>>): void {
    const text = JSON.stringify(status);
    if (Buffer.byteLength(text) > STATUS_BYTES)
      throw new RangeError(`a member's status has at most ${STATUS_BYTES} bytes`);
    this.#status = { text, doc: status };
  }

  async look(): Promise<void> {
    if (!this.#lives()) return;
    if (this.#looking === null) {
      await this.#begin();
      return;
    }
    // The one at work may have read before the call; the one after it serves all who call meanwhile.
    this.#lookingNext ??= this.#looking
      .catch(() => {})
      .then(() => {
        this.#lookingNext = null;
        return this.#lives() ? this.#begin() : undefined;
      });
    await this.#lookingNext;
  }

  async beginServing(): Promise<void> {
    await this.#become('joining', 'alive');
  }

  async beginLeaving(): Promise<void> {
    if (this.#state === 'leaving') return;
    await this.#become(this.#state, 'leaving');
  }

  async leave(): Promise<void> {
    this.#left ??= this.#leave();
    await this.#left;
  }

  #lives(): boolean {
    return this.#state !== 'fenced' && this.#state !== 'left';
  }

  async #become(from: string, to: 'alive' | 'leaving'): Promise<void> {
    if (this.#state !== from || !this.#lives()) throw new Error(`a member that is ${this.#state} cannot be ${to}`);
    const living = await this.#options.store.become(this.incarnation, to);
    // Fenced or left meanwhile.
    if (!this.#lives()) return;
    if (!living) {
      this.#fence();
      return;
    }
    this.#state = to;
    this.#tellChanged();
    await this.look();
  }

  async #leave(): Promise<void> {
    if (this.#lives()) this.#state = 'left';
    await this.#end(() => this.#options.store.leave(this.incarnation));
    this.#tellChanged();
  }

  #fence(): void {
    if (!this.#lives()) return;
    this.#state = 'fenced';
    // There is nothing to leave any more.
    this.#left = this.#end(async () => {}).catch((error: unknown) => this.#failed('not_closed', error));
    const listeners = this.#fencedListeners;
    this.#fencedListeners = [];
    for (const listener of listeners) listener();
  }

  async #end(last: () => Promise<void>): Promise<void> {
    const { store, lease } = this.#options;
    this.#timer?.cancel();
    await lease.stop();
    await Promise.allSettled([this.#looking, this.#lookingNext]);
    try {
      await last();
    } finally {
      await store.close();
    }
  }

  #schedule(): void {
    if (!this.#lives()) return;
    const { clock, lookMs } = this.#options;
    const due = this.#watch.nextDue(this.incarnation);
    const dueIn = due === null ? lookMs : Math.ceil(due - clock.monotonic());
    this.#timer?.cancel();
    // One that is due already was tried just now.
    this.#timer = clock.setTimeout(() => this.#lookSoon(), dueIn > 0 ? Math.min(dueIn, lookMs) : lookMs);
  }

  #lookSoon(): void {
    this.look().then(
      () => {
        this.#blind = false;
      },
      (error: unknown) => {
        // Once for each time that it sees nothing, not several times a second.
        if (!this.#blind) this.#failed('look_failed', error);
        this.#blind = true;
      },
    );
  }

  #begin(): Promise<void> {
    const looking = this.#lookAndAct().finally(() => {
      this.#looking = null;
      this.#schedule();
    });
    this.#looking = looking;
    return looking;
  }

  async #lookAndAct(): Promise<void> {
    await this.#read();
    if (!this.#lives()) return;
    if (this.mayAnswer()) {
      const changed = (await this.#takeOver()) + (await this.#claim());
      if (changed > 0) {
        this.#tellChanged();
        if (this.#lives()) await this.#read();
      }
      await this.#raise();
    }
    await this.#writeStatus();
  }

  async #read(): Promise<void> {
    const { store, clock, lease } = this.#options;
    const sentAt = clock.monotonic();
    const { members, shards } = await store.look(this.#table.epochs);
    if (!this.#lives()) return;
    const self = members.find((member) => member.incarnation === this.incarnation);
    if (self === undefined) {
      this.#fence();
      return;
    }
    this.#members = members;
    this.#watch.look(members, sentAt, clock.monotonic(), lease.renewedAt);
    this.#tellMoved(this.#table.read(shards));
    if (self.drainRequested) this.#drain();
  }

  async #takeOver(): Promise<number> {
    // Never itself: that its own lease holds says that it has renewed.
    const overdue = this.#watch.overdue().filter((watched) => watched.incarnation !== this.incarnation);
    if (overdue.length === 0) return 0;
    try {
      const dead = await this.#options.store.takeOver(overdue);
      for (const incarnation of dead) this.#options.report('took_over', { incarnation });
      return dead.length;
    } catch (error) {
      this.#failed('takeover_failed', error);
      return 0;
    }
  }

  async #claim(): Promise<number> {
    if (this.#state !== 'alive') return 0;
    const living = new Set(this.#members.map((member) => member.incarnation));
    const placement = this.#placements.over(this.#members);
    const due = this.#table
      .rows()
      .some(({ shard, owner }) => placement[shard] === this.incarnation && (owner === null || !living.has(owner)));
    if (!due) return 0;
    try {
      return await this.#options.store.claim(this.incarnation);
    } catch (error) {
      this.#failed('claim_failed', error);
      return 0;
    }
  }

  /** What all living members read may be more than at the last look, where an old one has gone. */
  async #raise(): Promise<void> {
    const { store, eventVersions } = this.#options;
    const common = commonVersions(eventVersions, this.#members);
    if (Object.keys(common).every((type) => this.#writes[type] === common[type])) return;
    try {
      this.#writes = await store.raiseVersions(eventVersions);
    } catch (error) {
      this.#failed('versions_not_raised', error);
    }
  }

  async #writeStatus(): Promise<void> {
    const status = this.#status;
    const now = this.#options.clock.monotonic();
    if (status === null || status.text === this.#published.text || now - this.#published.at < PUBLISH_MS) return;
    await this.#options.store.publish(this.incarnation, status.doc);
    this.#published = { text: status.text, at: now };
  }

  #drain(): void {
    if (this.#drainRequested) return;
    this.#drainRequested = true;
    const listeners = this.#drainListeners;
    this.#drainListeners = [];
    for (const listener of listeners) listener();
  }

  #tellMoved(shards: readonly number[]): void {
    if (shards.length > 0) for (const listener of this.#moved) listener(shards);
  }

  #tellChanged(): void {
    for (const listener of this.#changed) listener();
  }

  #failed(event: string, error: unknown): void {
    this.#options.report(event, { error: error instanceof Error ? error.message : String(error) });
  }
}
