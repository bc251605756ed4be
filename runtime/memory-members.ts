/**
 * The rows of members, fences and shards in memory, for tests and the simulator: what `schema/member-store.ts` does on PostgreSQL, each
 * call atomic. `commit` stands around each call and may delay it, fail it before its effect, or lose its answer after it.
 */
import { commonVersions, conflictsOf, unreadable, type Versions } from './admission.ts';
import { assign, placementOver } from './balance.ts';
import type { Admission, Candidate, Look, MemberRow, MemberStore, ShardRow } from './member-store.ts';
import type { MemberState } from './members.ts';
import { Refusal } from './refusal.ts';
import { SHARD_COUNT } from './shard.ts';
import type { Watched } from './watch.ts';

type StoredMember = Omit<MemberRow, 'state'> & { readonly state: MemberState };

/** What all members share. */
export class MemberTables {
  readonly members = new Map<string, StoredMember>();
  /** Incarnations that may write. */
  readonly fences = new Set<string>();
  readonly shards: ShardRow[] = Array.from({ length: SHARD_COUNT }, (_, shard) => ({ shard, owner: null, epoch: 0 }));
  readonly versions = new Map<string, number>();

  living(): MemberRow[] {
    const living: MemberRow[] = [];
    for (const member of this.members.values()) {
      const { state } = member;
      if (state === 'joining' || state === 'alive' || state === 'leaving') living.push({ ...member, state });
    }
    return living;
  }

  set(incarnation: string, change: Partial<StoredMember>): void {
    const member = this.members.get(incarnation);
    if (member !== undefined) this.members.set(incarnation, { ...member, ...change });
  }

  fenceOff(watched: readonly Watched[]): string[] {
    const living = new Map(this.living().map((member) => [member.incarnation, member.renewals]));
    const dead = watched.filter(({ incarnation, renewals }) => living.get(incarnation) === renewals);
    for (const { incarnation } of dead) this.end(incarnation, 'dead');
    return dead.map(({ incarnation }) => incarnation);
  }

  end(incarnation: string, state: 'left' | 'dead'): void {
    if (this.living().some((member) => member.incarnation === incarnation)) this.set(incarnation, { state });
    this.fences.delete(incarnation);
  }

  assignUnowned(only: string | null = null): number {
    const living = this.living();
    const incarnations = new Set<string | null>(living.map((member) => member.incarnation));
    const unowned = this.shards.filter(({ owner }) => !incarnations.has(owner));
    const due = assign(unowned, placementOver(living)).filter(({ to }) => only === null || to === only);
    for (const { shard, epoch, to } of due) this.shards[shard] = { shard, owner: to, epoch: epoch + 1 };
    return due.length;
  }

  raise(own: Versions): Versions {
    for (const [type, version] of Object.entries(commonVersions(own, this.living()))) {
      this.versions.set(type, Math.max(this.versions.get(type) ?? 0, version));
    }
    return Object.fromEntries(Object.keys(own).map((type) => [type, this.versions.get(type) ?? 0]));
  }
}

export interface MemoryMembersOptions {
  readonly tables: MemberTables;
  readonly commit?: <T>(effect: () => T) => Promise<T>;
}

export class MemoryMembers implements MemberStore {
  readonly #tables: MemberTables;
  readonly #commit: <T>(effect: () => T) => Promise<T>;

  constructor({ tables, commit = async (effect) => effect() }: MemoryMembersOptions) {
    this.#tables = tables;
    this.#commit = commit;
  }

  /** False: the member no longer lives. */
  async renew(incarnation: string): Promise<boolean> {
    return await this.#commit(() => {
      const member = this.#tables.living().find((one) => one.incarnation === incarnation);
      if (member !== undefined) this.#tables.set(incarnation, { renewals: member.renewals + 1 });
      return member !== undefined;
    });
  }

  async look(epochs: number): Promise<Look> {
    return await this.#commit(() => {
      const sum = this.#tables.shards.reduce((total, { epoch }) => total + epoch, 0);
      return { members: this.#tables.living(), shards: sum === epochs ? null : [...this.#tables.shards] };
    });
  }

  async admit(candidate: Candidate, dead: readonly Watched[] | 'all'): Promise<Admission> {
    return await this.#commit(() => {
      const tables = this.#tables;
      const refusal = unreadable(candidate.eventVersions, Object.fromEntries(tables.versions));
      if (refusal !== null) throw new Refusal(refusal);
      const gone = dead === 'all' ? tables.living() : dead;
      const stays = tables
        .living()
        .filter((one) => !gone.some((seen) => seen.incarnation === one.incarnation && seen.renewals === one.renewals));
      const conflicts = conflictsOf(candidate, stays);
      if (conflicts.length > 0) return { ok: false, conflicts };
      tables.fenceOff(gone);
      const { lanes: _, ...row } = candidate;
      tables.members.set(candidate.incarnation, { ...row, renewals: 0, status: {}, drainRequested: false });
      tables.fences.add(candidate.incarnation);
      tables.assignUnowned();
      return { ok: true, writes: tables.raise(candidate.eventVersions) };
    });
  }

  async takeOver(overdue: readonly Watched[]): Promise<readonly string[]> {
    return await this.#commit(() => {
      const dead = this.#tables.fenceOff(overdue);
      if (dead.length > 0) this.#tables.assignUnowned();
      return dead;
    });
  }

  async claim(incarnation: string): Promise<number> {
    return await this.#commit(() => this.#tables.assignUnowned(incarnation));
  }

  async become(incarnation: string, state: 'alive' | 'leaving'): Promise<boolean> {
    return await this.#commit(() => {
      const lives = this.#tables.living().some((member) => member.incarnation === incarnation);
      if (lives) this.#tables.set(incarnation, { state });
      return lives;
    });
  }

  async publish(incarnation: string, status: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#commit(() => this.#tables.set(incarnation, { status }));
  }

  async raiseVersions(own: Versions): Promise<Versions> {
    return await this.#commit(() => this.#tables.raise(own));
  }

  async leave(incarnation: string): Promise<void> {
    await this.#commit(() => this.#tables.end(incarnation, 'left'));
  }

  async close(): Promise<void> {}
}
