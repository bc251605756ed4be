/**
 * The rows of members on the simulated database: the transactions of `schema/member-store.ts` and `schema/takeover.ts` with the locks that
 * they take there; what they do to the rows is `runtime/memory-members.ts`.
 */
import type { Admission, Candidate, Look, MemberStore } from '../runtime/member-store.ts';
import { MemoryMembers } from '../runtime/memory-members.ts';
import type { Watched } from '../runtime/watch.ts';
import { type Lock, type Sender, type SimDatabase, STATEMENT_MS, under, type Work } from './database.ts';

const JOINING: Lock = { row: 'joining', mode: 'exclusive' };

type Versions = Readonly<Record<string, number>>;

export interface SimMemberStoreOptions {
  readonly database: SimDatabase;
  readonly sender: Sender;
  readonly lanes: number;
  readonly leaseMs: number;
}

export class SimMemberStore implements MemberStore {
  readonly #options: SimMemberStoreOptions;

  constructor(options: SimMemberStoreOptions) {
    this.#options = options;
  }

  /** Resolves with the database's clock; null: the member no longer lives. */
  async renew(incarnation: string): Promise<number | null> {
    const { database, leaseMs } = this.#options;
    const { tables } = database;
    const work: Work<number | null> = function* () {
      yield { row: `member ${incarnation}`, mode: 'update' };
      return () => {
        const member = tables.living().find((one) => one.incarnation === incarnation);
        if (member === undefined) return null;
        tables.set(incarnation, { renewals: member.renewals + 1 });
        return database.now();
      };
    };
    return await this.#run(work, { writes: true, timeoutMs: leaseMs / 3 });
  }

  /** Two statements: the shards may be those of a moment later. */
  async look(epochs: number): Promise<Look> {
    const { database, leaseMs } = this.#options;
    const { tables } = database;
    const reading = { writes: false, timeoutMs: leaseMs / 2 };
    const count = (): number => tables.shards.reduce((total, { epoch }) => total + epoch, 0);
    const { members, sum } = await this.#run(
      under([], () => ({ members: tables.living(), sum: count() })),
      reading,
    );
    if (sum === epochs) return { members, shards: null };
    const shards = await this.#run(
      under([], () => [...tables.shards]),
      reading,
    );
    return { members, shards };
  }

  async admit(candidate: Candidate, dead: readonly Watched[] | 'all'): Promise<Admission> {
    const { tables } = this.#options.database;
    const gone = dead === 'all' ? tables.living() : dead;
    const fencing = this.fencing(gone);
    return await this.#locked(function* () {
      yield JOINING;
      yield* fencing;
    }, gone).admit(candidate, dead);
  }

  async takeOver(overdue: readonly Watched[]): Promise<readonly string[]> {
    const fencing = this.fencing(overdue);
    return await this.#locked(() => fencing, overdue).takeOver(overdue);
  }

  async claim(incarnation: string): Promise<number> {
    const { tables } = this.#options.database;
    const lock: Lock = { row: `member ${incarnation}`, mode: 'share' };
    return await this.#run(
      function* () {
        yield lock;
        const alive = tables.members.get(incarnation)?.state === 'alive';
        return () => (alive ? tables.assignUnowned(incarnation) : 0);
      },
      { writes: true, timeoutMs: STATEMENT_MS },
    );
  }

  async become(incarnation: string, state: 'alive' | 'leaving'): Promise<boolean> {
    return await this.#updating(incarnation).become(incarnation, state);
  }

  async publish(incarnation: string, status: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#updating(incarnation).publish(incarnation, status);
  }

  async raiseVersions(own: Versions): Promise<Versions> {
    return await this.#locked(function* () {
      yield JOINING;
    }).raiseVersions(own);
  }

  async leave(incarnation: string): Promise<void> {
    const { lanes } = this.#options;
    await this.#locked(function* () {
      yield { row: `member ${incarnation}`, mode: 'update' };
      for (let lane = 0; lane < lanes; lane++) yield { row: `fence ${incarnation}/${lane}`, mode: 'exclusive' };
    }).leave(incarnation);
  }

  async close(): Promise<void> {}

  /** The dead ones' rows, then their fences, behind what is in flight under them. */
  *fencing(watched: readonly Watched[]): Generator<Lock, void, void> {
    const { database, lanes } = this.#options;
    const incarnations = watched.map(({ incarnation }) => incarnation).sort();
    for (const incarnation of incarnations) yield { row: `member ${incarnation}`, mode: 'exclusive' };
    const living = new Map(database.tables.living().map((one) => [one.incarnation, one.renewals]));
    for (const { incarnation, renewals } of watched) {
      if (living.get(incarnation) !== renewals) continue;
      for (let lane = 0; lane < lanes; lane++) yield { row: `fence ${incarnation}/${lane}`, mode: 'exclusive' };
    }
  }

  #updating(incarnation: string): MemoryMembers {
    return this.#locked(function* () {
      yield { row: `member ${incarnation}`, mode: 'update' };
    });
  }

  /** One of its methods may be called once: it is done under these locks. */
  #locked(locks: () => Generator<Lock, void, void>, impatientWith: readonly Watched[] = []): MemoryMembers {
    return new MemoryMembers({
      tables: this.#options.database.tables,
      commit: (effect) =>
        this.#run(under(locks(), effect), {
          writes: true,
          timeoutMs: STATEMENT_MS,
          impatientWith: impatientWith.map((one) => one.incarnation),
        }),
    });
  }

  async #run<T>(
    work: Work<T>,
    options: { readonly writes: boolean; readonly timeoutMs: number; readonly impatientWith?: readonly string[] },
  ): Promise<T> {
    const { database, sender } = this.#options;
    return await database.run(sender, { work, ...options });
  }
}
