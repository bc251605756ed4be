/**
 * The rows of members, fences and shards on PostgreSQL, for `runtime/cluster.ts`. What takes from the dead is in `takeover.ts`.
 *
 * Joins, and raising what may be written, exclude each other by one advisory lock: so of two that may not be beside each other the
 * second finds the first, and nobody who cannot read a version joins while it is being allowed. Everything else is guarded by
 * row locks and epochs alone.
 */
import { sql, type Transaction } from 'kysely';
import { commonVersions, conflictsOf, unreadable, type Versions } from '../runtime/admission.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Admission, Candidate, Look, MemberRow, MemberStore, ShardRow } from '../runtime/member-store.ts';
import { Refusal } from '../runtime/refusal.ts';
import type { Watched } from '../runtime/watch.ts';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';
import { assignUnowned, fenceOff, LIVING } from './takeover.ts';

const JOIN_LOCK = 0x6a6f696e;

type LookRow = MemberRow & { readonly epochs: number };

/** One statement, several times a second in each process. The sum of epochs tells cheaply whether any shard has changed hands. */
const LOOK = {
  name: 'members_look',
  text: `SELECT incarnation, node_id AS "nodeId", state, renewals, lease_ms AS "leaseMs", weight, bus,
      event_versions AS "eventVersions", identity, status, drain_requested AS "drainRequested",
      (SELECT sum(epoch)::bigint FROM shard) AS epochs
    FROM member WHERE state IN ('joining', 'alive', 'leaving') ORDER BY incarnation`,
};
const SHARDS = { name: 'members_shards', text: 'SELECT shard, owner, epoch FROM shard ORDER BY shard' };

export interface PgMemberStoreOptions {
  /** Of this store alone, which closes it: what waits in another pool must not keep a takeover waiting. */
  readonly database: Database;
  readonly clock: Clock;
  /** A look that takes half of it has failed: another connection may see more. */
  readonly leaseMs: number;
}

export class PgMemberStore implements MemberStore {
  readonly #options: PgMemberStoreOptions;

  constructor(options: PgMemberStoreOptions) {
    this.#options = options;
  }

  async look(epochs: number): Promise<Look> {
    const { database, leaseMs } = this.#options;
    const limit = { query_timeout: Math.ceil(leaseMs / 2) };
    const { rows } = await database.pool.query<LookRow>({ ...LOOK, ...limit });
    const changed = rows[0] !== undefined && rows[0].epochs !== epochs;
    const shards = changed ? (await database.pool.query<ShardRow>({ ...SHARDS, ...limit })).rows : null;
    return { members: rows.map(({ epochs: _, ...member }) => member), shards };
  }

  async admit(candidate: Candidate, dead: readonly Watched[] | 'all'): Promise<Admission> {
    return await this.#alone(async (trx) => {
      const refusal = unreadable(candidate.eventVersions, await writtenVersions(trx));
      if (refusal !== null) throw new Refusal(refusal);
      const doomed =
        dead === 'all' ? (await livingMembers(trx)).map(({ incarnation }) => ({ incarnation, renewals: null })) : dead;
      const gone = new Set(await fenceOff(trx, doomed, this.#options));
      const living = (await livingMembers(trx)).filter((member) => !gone.has(member.incarnation));
      const conflicts = conflictsOf(candidate, living);
      // What was taken over is rolled back with the rest; the next try takes it again.
      if (conflicts.length > 0) throw new Refused({ ok: false, conflicts });
      const { incarnation } = candidate;
      await forgetOld(trx);
      await trx
        .insertInto('member')
        .values({
          incarnation,
          node_id: candidate.nodeId,
          state: candidate.state,
          lease_ms: candidate.leaseMs,
          weight: candidate.weight,
          bus: candidate.bus,
          event_versions: JSON.stringify(candidate.eventVersions),
          identity: candidate.identity === null ? null : JSON.stringify(candidate.identity),
        })
        .execute();
      const fences = Array.from({ length: candidate.lanes }, (_, lane) => ({ incarnation, lane }));
      await trx.insertInto('fence').values(fences).execute();
      await assignUnowned(trx);
      return { ok: true, writes: await raise(trx, candidate.eventVersions) };
    });
  }

  async takeOver(overdue: readonly Watched[]): Promise<readonly string[]> {
    return await this.#options.database.db.transaction().execute(async (trx) => {
      const dead = await fenceOff(trx, overdue, this.#options);
      if (dead.length > 0) await assignUnowned(trx);
      return dead;
    });
  }

  async claim(incarnation: string): Promise<number> {
    return await this.#options.database.db.transaction().execute(async (trx) => {
      // Against its own takeover; not against its renewals, which change no key.
      const alive = await trx
        .selectFrom('member')
        .select('incarnation')
        .where('incarnation', '=', incarnation)
        .where('state', '=', 'alive')
        .forKeyShare()
        .executeTakeFirst();
      if (alive === undefined) return 0;
      return await assignUnowned(trx, ({ to }) => to === incarnation);
    });
  }

  async become(incarnation: string, state: 'alive' | 'leaving'): Promise<boolean> {
    const { numUpdatedRows } = await this.#options.database.db
      .updateTable('member')
      .set({ state })
      .where('incarnation', '=', incarnation)
      .where('state', 'in', LIVING)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  async publish(incarnation: string, status: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#options.database.db
      .updateTable('member')
      .set({ status: JSON.stringify(status) })
      .where('incarnation', '=', incarnation)
      .execute();
  }

  async raiseVersions(own: Versions): Promise<Versions> {
    return await this.#alone((trx) => raise(trx, own));
  }

  async leave(incarnation: string): Promise<void> {
    await this.#options.database.db.transaction().execute(async (trx) => {
      await trx
        .updateTable('member')
        .set({ state: 'left' })
        .where('incarnation', '=', incarnation)
        .where('state', 'in', LIVING)
        .execute();
      await trx.deleteFrom('fence').where('incarnation', '=', incarnation).execute();
    });
  }

  async close(): Promise<void> {
    await this.#options.database.close();
  }

  async #alone<T extends Admission | Versions>(work: (trx: Transaction<Tables>) => Promise<T>): Promise<T> {
    try {
      return await this.#options.database.db.transaction().execute(async (trx) => {
        await sql`SELECT pg_advisory_xact_lock(${sql.lit(JOIN_LOCK)})`.execute(trx);
        return await work(trx);
      });
    } catch (error) {
      if (error instanceof Refused) return error.admission as T;
      throw error;
    }
  }
}

/** Rolls an admission back. */
class Refused extends Error {
  readonly admission: Admission;
  constructor(admission: Admission) {
    super('refused');
    this.admission = admission;
  }
}

async function livingMembers(trx: Transaction<Tables>): Promise<MemberRow[]> {
  const { rows } = await sql<LookRow>`${sql.raw(LOOK.text)}`.execute(trx);
  return rows;
}

/** Rows of members that ended long ago; who is not there lives as little as who is dead. Kept until then for operators. */
async function forgetOld(trx: Transaction<Tables>): Promise<void> {
  await sql`DELETE FROM member AS m WHERE state IN ('left', 'dead') AND renewed_at < now() - interval '7 days'
    AND NOT EXISTS (SELECT FROM fence AS f WHERE f.incarnation = m.incarnation)`.execute(trx);
}

async function writtenVersions(trx: Transaction<Tables>): Promise<Versions> {
  const rows = await trx.selectFrom('event_version').selectAll().execute();
  return Object.fromEntries(rows.map(({ type, version }) => [type, version]));
}

async function raise(trx: Transaction<Tables>, own: Versions): Promise<Versions> {
  const common = commonVersions(own, await livingMembers(trx));
  for (const [type, version] of Object.entries(common)) {
    await trx
      .insertInto('event_version')
      .values({ type, version })
      .onConflict((conflict) =>
        conflict.column('type').doUpdateSet({ version }).where('event_version.version', '<', version),
      )
      .execute();
  }
  const written = await writtenVersions(trx);
  return Object.fromEntries(Object.keys(own).map((type) => [type, written[type] ?? 0]));
}
