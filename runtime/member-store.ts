/**
 * What membership needs of the database: the rows of members, fences and shards. Implemented on PostgreSQL in
 * `schema/member-store.ts`; the simulator has its own. Each call is one transaction. A call that rejects may have been done or not; all may be
 * repeated.
 */
import type { MemberState } from './members.ts';
import type { Watched } from './watch.ts';

/** A living member's row. */
export interface MemberRow {
  readonly incarnation: string;
  readonly nodeId: string;
  readonly state: Extract<MemberState, 'joining' | 'alive' | 'leaving'>;
  readonly renewals: number;
  readonly leaseMs: number;
  readonly weight: number;
  readonly bus: boolean;
  /** Event versions it can read, by actor type; none at all: it does not say. */
  readonly eventVersions: Readonly<Record<string, number>>;
  readonly identity: MemberIdentity | null;
  readonly status: Readonly<Record<string, unknown>>;
  readonly drainRequested: boolean;
}

/** Fingerprints (HMACs) of secrets that all members must share; never the secrets. */
export interface MemberIdentity {
  readonly dataKey: string;
  /** Of the token secret that signs. */
  readonly signing: string;
  /** Of all token secrets, the signing one too. */
  readonly verifying: readonly string[];
}

export interface ShardRow {
  readonly shard: number;
  /** An incarnation, living or not; null: never owned. */
  readonly owner: string | null;
  readonly epoch: number;
}

export interface Look {
  /** The living ones. */
  readonly members: readonly MemberRow[];
  /** All of them; null where no shard has changed hands since the given sum of epochs. */
  readonly shards: readonly ShardRow[] | null;
}

/** Who wants to join. */
export type Candidate = Omit<MemberRow, 'renewals' | 'status' | 'drainRequested'> & { readonly lanes: number };

/** A living member beside which the candidate may not start, and why, as one line. */
export interface Conflict {
  readonly member: MemberRow;
  readonly reason: string;
}

export type Admission =
  | { readonly ok: true; readonly writes: Readonly<Record<string, number>> }
  | { readonly ok: false; readonly conflicts: readonly Conflict[] };

export interface MemberStore {
  /** @param epochs sum of the epochs of all shards as known; each change of an owner raises one of them. */
  look(epochs: number): Promise<Look>;
  /**
   * Makes the candidate a member with its fences, unless a living one forbids it (`admission.ts`). Of `dead`, those whose renewals are
   * still as watched are taken over in the same transaction; `all`: whoever lives, is dead. Gives shards that nobody living has to
   * those who should have them.
   * @throws where the journal may hold event versions that the candidate cannot read.
   */
  admit(candidate: Candidate, dead: readonly Watched[] | 'all'): Promise<Admission>;
  /**
   * The takeover: those of the overdue that live and have not renewed since are marked dead, their fences deleted, their shards given
   * to those who should have them under the next epoch. Returns whom it marked.
   */
  takeOver(overdue: readonly Watched[]): Promise<readonly string[]>;
  /** Gives the member those shards that nobody living has and that it should have; none where it is not `alive`. Returns how many. */
  claim(incarnation: string): Promise<number>;
  /** Returns false where the member no longer lives. */
  become(incarnation: string, state: 'alive' | 'leaving'): Promise<boolean>;
  publish(incarnation: string, status: Readonly<Record<string, unknown>>): Promise<void>;
  /**
   * Raises the record of what may have been written to what all living members read, while nobody joins. Returns the record for the
   * types that `own` names.
   */
  raiseVersions(own: Readonly<Record<string, number>>): Promise<Readonly<Record<string, number>>>;
  /** Its state becomes `left`, its fences go, behind an append in flight. */
  leave(incarnation: string): Promise<void>;
  /** Called once, when nothing more is asked of it. */
  close(): Promise<void>;
}
