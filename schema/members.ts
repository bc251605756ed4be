/**
 * Joining: how a process becomes a member on PostgreSQL, alone or among others: admitted (`runtime/joining.ts`), once renewed, and from
 * then on what `runtime/cluster.ts` says, on the rows of `member-store.ts` and the lease of `lease.ts`.
 */
import { randomBytes } from 'node:crypto';
import { ClusterMember } from '../runtime/cluster.ts';
import { admitted } from '../runtime/joining.ts';
import { type Lease, LoopLease } from '../runtime/lease.ts';
import type { Candidate, MemberIdentity } from '../runtime/member-store.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { Refusal } from '../runtime/refusal.ts';
import { Busy } from './busy.ts';
import { type Database, openDatabase } from './database.ts';
import { type LeaseClock, ThreadLease } from './lease.ts';
import { PgMemberStore } from './member-store.ts';
import { renew } from './renewal.ts';
import { membershipName } from './takeover.ts';

export interface JoinOptions {
  readonly database: Database;
  /** Operators' name of the node, at most 40 bytes, the same after each start; of one name only one lives. */
  readonly nodeId: string;
  /** One fence is made for each; the journal may use as many. */
  readonly lanes: number;
  readonly clock: LeaseClock;
  /** How long an acknowledged renewal allows to answer. Default 2,000; without a bus 5,000, since nobody waits for its shards. */
  readonly leaseMs?: number;
  /** True where something else proves that no other process can be alive (the embedded database's lock). Default false. */
  readonly takeAtOnce?: boolean;
  /** Event versions this process can read, by actor type. Default: it reads all, and writes the newest. */
  readonly eventVersions?: Readonly<Record<string, number>>;
  /**
   * True where this process has a bus to the others. Default false: it refuses to start beside a living member, as one with a bus
   * refuses beside a living one without.
   */
  readonly bus?: boolean;
  /** Default 1. */
  readonly weight?: number;
  /** False: it is given and claims no shards until `beginServing`. Default true. */
  readonly ready?: boolean;
  /** Compared with that of every living member; a start that does not fit is refused. Default: not compared. */
  readonly identity?: MemberIdentity;
  /** Where renewals come from. Default `thread`; `loop`: this event loop, by `clock`, for clocks that a test moves. */
  readonly renewals?: 'thread' | 'loop';
}

export type { MemberIdentity } from '../runtime/member-store.ts';

const LEASE_MS = 2_000;
const LONE_LEASE_MS = 5_000;
const LOOK_MS = 250;
/** A look, a takeover, and the end of backends that a takeover waits for. */
const POOL_SIZE = 3;
const STATEMENT_MS = 5_000;

/**
 * Resolves when this process is a member, with a fence for each lane, and has looked at the shards once; the first of all has them all.
 * Rejects with one line where a living member is in the way.
 */
export async function join(options: JoinOptions): Promise<ClusterMembership> {
  const { nodeId, clock, lanes, takeAtOnce = false } = options;
  const leaseMs = options.leaseMs ?? (options.bus === true ? LEASE_MS : LONE_LEASE_MS);
  if (Buffer.byteLength(nodeId) > 40) throw new Refusal('a node id has at most 40 bytes');
  const incarnation = `${nodeId}.${randomBytes(8).toString('hex')}`;
  const database = openDatabase({
    ...options.database.options,
    applicationName: membershipName(incarnation),
    poolSize: POOL_SIZE,
    statementTimeoutMs: STATEMENT_MS,
    // A network that swallowed one attempt to connect may have come back since.
    connectionTimeoutMs: leaseMs,
  });
  const store = new PgMemberStore({ database, clock, leaseMs });
  const lease = leaseOf({ ...options, leaseMs }, database, incarnation);
  try {
    const candidate: Candidate = {
      incarnation,
      nodeId,
      lanes,
      leaseMs,
      state: options.ready === false ? 'joining' : 'alive',
      weight: options.weight ?? 1,
      bus: options.bus ?? false,
      eventVersions: options.eventVersions ?? {},
      identity: options.identity ?? null,
    };
    const writes = await admitted(store, candidate, takeAtOnce, clock);
    const member = new ClusterMember({
      ...candidate,
      state: candidate.state === 'joining' ? 'joining' : 'alive',
      store,
      clock,
      lease,
      writes,
      // Alone, there is little to see.
      lookMs: candidate.bus ? LOOK_MS : leaseMs,
      report: options.database.options.log,
    });
    try {
      if (!(await lease.first())) throw new Busy('this node was taken over while it joined');
      await member.look();
    } catch (error) {
      // The next start should not have to wait for a lease that nobody holds.
      await member.leave().catch(() => {});
      throw error;
    }
    member.start();
    return member;
  } catch (error) {
    await lease.stop();
    await database.close();
    throw error;
  }
}

/** For a process that is alone on its database, or refuses to be there: `join` without a bus. */
export async function joinAlone(options: Omit<JoinOptions, 'bus'>): Promise<ClusterMembership> {
  return await join({ ...options, bus: false });
}

/** Asks the node to leave: its member hears of it at its next look. False where no such node is alive. */
export async function requestDrain({ db }: Database, nodeId: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('member')
    .set({ drain_requested: true })
    .where('node_id', '=', nodeId)
    .where('state', 'in', ['joining', 'alive', 'leaving'])
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Its renewals from this loop, the first of all among them, bring the database's clock, before anything is decided by it. */
function leaseOf(options: JoinOptions & { leaseMs: number }, database: Database, incarnation: string): Lease {
  const { clock, leaseMs } = options;
  const renewal = async (): Promise<boolean> => {
    const sentAt = clock.monotonic();
    const databaseMs = await renew(database.pool, incarnation);
    if (databaseMs !== null) clock.sync?.(databaseMs, (sentAt + clock.monotonic()) / 2);
    return databaseMs !== null;
  };
  if (options.renewals !== 'loop') return new ThreadLease({ database, incarnation, leaseMs, clock, renew: renewal });
  const report = (error: unknown): void =>
    database.options.log('renewal_failed', { error: error instanceof Error ? error.message : String(error) });
  return new LoopLease({ clock, leaseMs, renew: renewal, report });
}
