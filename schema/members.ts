/**
 * The lease of a member that is alone on its database: taking over what a dead predecessor held, renewing, being fenced,
 * leaving. Joining beside a living member needs the bus between them, and is refused here.
 *
 * States of a membership:
 * - `alive`: answers while its monotonic clock is before the deadline of its last acknowledged renewal. Late (PostgreSQL
 *   away, the loop blocked) it answers nothing, but goes on renewing and resumes with the first that succeeds;
 * - `fenced`: a renewal found its row no longer alive. It is never alive again; the process joins anew or ends;
 * - `left`: it gave up its fences itself, after its last append.
 *
 * The deadline counts from before the renewal was sent: whoever watches the row stand still starts later and waits
 * longer, so its watch ends after this deadline whatever the clocks of the two say.
 *
 * Renewals are sent from the main loop, which makes them stop when it does. A thread of its own, for a loop that is
 * merely busy, comes with the cluster.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Clock } from '../runtime/clock.ts';
import type { Membership } from '../runtime/members.ts';
import { connectionConfig, type Database } from './database.ts';
import { freeze, takeOver } from './takeover.ts';

/** A clock that can be told the database's time; `SystemClock` is one. */
export interface LeaseClock extends Clock {
  sync?(databaseMs: number, atMonotonic: number): void;
}

export interface JoinOptions {
  readonly database: Database;
  /** Operators' name of the node, at most 40 bytes. */
  readonly nodeId: string;
  /** One fence is made for each; the journal may use as many. */
  readonly lanes: number;
  readonly clock: LeaseClock;
  /** How long an acknowledged renewal allows to answer. Default 5,000. */
  readonly leaseMs?: number;
  /** True where something else proves that no other process can be alive (the embedded database's lock). Default false. */
  readonly takeAtOnce?: boolean;
  /** Event versions this process can read, by actor type. */
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
}

/** Fingerprints (HMACs) of secrets that all members must share; never the secrets. */
export interface MemberIdentity {
  readonly dataKey: string;
  /** Of the token secret that signs. */
  readonly signing: string;
  /** Of all token secrets, the signing one too. */
  readonly verifying: readonly string[];
}

export interface LoneMembership extends Membership {
  /** Acknowledged renewals so far. */
  readonly renewals: number;
  /** Called once, when a renewal finds that another has taken over; at once where that is known already. */
  onFenced(listener: () => void): void;
  /** Gives up the fences, after the last append: the next to come takes over at once. Stops renewing even where it rejects. */
  leave(): Promise<void>;
}

const LEASE_MS = 5_000;
/** A renewal that failed is sent again after this share of the lease. */
const RETRY_SHARE = 20;

/** Resolves when every shard is this member's. Rejects with one line where another member is alive. */
export async function joinAlone(options: JoinOptions): Promise<LoneMembership> {
  if (Buffer.byteLength(options.nodeId) > 40) throw new Error('a node id has at most 40 bytes');
  const all = { leaseMs: LEASE_MS, takeAtOnce: false, eventVersions: {}, ...options };
  const watched = all.takeAtOnce ? null : await freeze(all.database.db, all.clock, all.leaseMs);
  const incarnation = `${all.nodeId}.${randomBytes(8).toString('hex')}`;
  const sentAt = all.clock.monotonic();
  const epochs = await takeOver({ ...all, incarnation, watched });
  const lease = new Lease(all, incarnation, epochs, sentAt + all.leaseMs);
  // The first renewal brings the database's clock, before anything is decided by it.
  try {
    await lease.renew();
  } catch (error) {
    // The next start should not have to wait for a lease that nobody holds.
    await lease.leave().catch(() => {});
    throw error;
  }
  lease.keepRenewing();
  return lease;
}

class Lease implements LoneMembership {
  readonly incarnation: string;
  readonly nodeId: string;
  renewals = 0;
  readonly #options: JoinOptions & { readonly leaseMs: number };
  readonly #epochs: readonly number[];
  readonly #listeners: (() => void)[] = [];
  #state: 'alive' | 'fenced' | 'left' = 'alive';
  /** On the monotonic clock. */
  #deadline: number;
  #client: pg.Client | null = null;
  #next: { cancel(): void } | null = null;

  constructor(
    options: JoinOptions & { readonly leaseMs: number },
    incarnation: string,
    epochs: readonly number[],
    deadline: number,
  ) {
    this.#options = options;
    this.incarnation = incarnation;
    this.nodeId = options.nodeId;
    this.#epochs = epochs;
    this.#deadline = deadline;
  }

  owns(shard: number): boolean {
    return this.#state === 'alive' && this.#epochs[shard] !== undefined;
  }

  epoch(shard: number): number {
    return this.#epochs[shard] ?? 0;
  }

  mayAnswer(): boolean {
    return this.#state === 'alive' && this.#options.clock.monotonic() < this.#deadline;
  }

  /** Alone, there is nobody else to read what it writes. */
  writes(_type: string, newest: number): number {
    return newest;
  }

  onFenced(listener: () => void): void {
    if (this.#state === 'fenced') listener();
    else this.#listeners.push(listener);
  }

  /** Sends one renewal. Rejects where its outcome is not known; being fenced is no rejection. */
  async renew(): Promise<void> {
    const { clock, leaseMs } = this.#options;
    const client = await this.#connected();
    const sentAt = clock.monotonic();
    const { rows } = await client.query<{ now: number }>({
      name: 'renew',
      text: `UPDATE member SET renewals = renewals + 1, renewed_at = now()
        WHERE incarnation = $1 AND state = 'alive'
        RETURNING (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now`,
      values: [this.incarnation],
    });
    const row = rows[0];
    if (this.#state !== 'alive') return;
    if (row === undefined) {
      this.#fence();
      return;
    }
    clock.sync?.(row.now, (sentAt + clock.monotonic()) / 2);
    this.#deadline = sentAt + leaseMs;
    this.renewals += 1;
  }

  keepRenewing(): void {
    const { clock, leaseMs, database } = this.#options;
    const schedule = (delayMs: number): void => {
      if (this.#state === 'alive') this.#next = clock.setTimeout(() => void turn(), delayMs);
    };
    const turn = async (): Promise<void> => {
      try {
        await this.renew();
        schedule(leaseMs / 3);
      } catch (error) {
        this.#disconnect();
        database.options.log('renewal_failed', { error: error instanceof Error ? error.message : String(error) });
        schedule(leaseMs / RETRY_SHARE);
      }
    };
    schedule(leaseMs / 3);
  }

  async leave(): Promise<void> {
    if (this.#state === 'alive') this.#state = 'left';
    this.#next?.cancel();
    this.#disconnect();
    await this.#options.database.db.transaction().execute(async (trx) => {
      await trx
        .updateTable('member')
        .set({ state: 'left' })
        .where('incarnation', '=', this.incarnation)
        .where('state', '=', 'alive')
        .execute();
      await trx.deleteFrom('fence').where('incarnation', '=', this.incarnation).execute();
    });
  }

  #fence(): void {
    this.#state = 'fenced';
    this.#next?.cancel();
    this.#disconnect();
    for (const listener of this.#listeners.splice(0)) listener();
  }

  /** A connection of its own: a pool that is full with slow queries must not cost the lease. */
  async #connected(): Promise<pg.Client> {
    if (this.#client !== null) return this.#client;
    const { database, leaseMs } = this.#options;
    const limit = Math.ceil(leaseMs / 3);
    const client = new pg.Client({
      ...connectionConfig({
        ...database.options,
        // Not the incarnation's bare name: a taker ends the backends of that name, and this one must hear that it is fenced.
        applicationName: `${this.incarnation}#`,
        statementTimeoutMs: limit,
        connectionTimeoutMs: limit,
      }),
      // A server that does not answer at all: the connection is given up in time for another try within the lease.
      query_timeout: limit,
    });
    const lost = (): void => {
      if (this.#client === client) this.#client = null;
    };
    client.on('error', lost);
    client.on('end', lost);
    await client.connect();
    if (this.#state !== 'alive') {
      await client.end();
      throw new Error('the member is no longer alive');
    }
    this.#client = client;
    return client;
  }

  #disconnect(): void {
    const client = this.#client;
    this.#client = null;
    // Nothing waits for a polite end: the server may be the one that does not answer.
    client?.end().catch(() => {});
  }
}
