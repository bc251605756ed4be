/**
 * The tables of schema `stampede`, as Kysely sees them; `migrations/` makes them. Times of the runtime's own clock are
 * bigint milliseconds since the epoch (`at`, `due`, `placed_at`), times that only operators and housekeeping read are
 * `timestamptz` by the server's clock. bigint columns arrive as numbers (`database.ts`).
 *
 * A part with tables of its own types them beside its queries and widens with `db.withTables<…>()` (a type alias: Kysely does
 * not take an interface there).
 */
import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { MemberIdentity } from '../runtime/member-store.ts';
import type { MemberState } from '../runtime/members.ts';

/** Written as JSON text, read parsed. */
export type Json<T = unknown> = ColumnType<T, string, string>;

export interface MetaTable {
  key: string;
  value: string;
}
export interface MemberTable {
  incarnation: string;
  node_id: string;
  state: MemberState;
  renewals: Generated<number>;
  lease_ms: Generated<number>;
  weight: Generated<number>;
  bus: Generated<boolean>;
  /** Event versions it can read, by actor type. */
  event_versions: Json<Record<string, number>>;
  identity: Json<MemberIdentity> | null;
  status: ColumnType<Record<string, unknown>, string | undefined, string>;
  drain_requested: Generated<boolean>;
  joined_at: Generated<Date>;
  renewed_at: Generated<Date>;
}
/** Versions that may have been written: raised before an event of the version is. */
export interface EventVersionTable {
  type: string;
  version: number;
}
export interface FenceTable {
  incarnation: string;
  lane: number;
  gen: Generated<number>;
}
export interface ShardTable {
  shard: number;
  /** An incarnation; null: never owned. */
  owner: string | null;
  epoch: Generated<number>;
}
export interface JournalTable {
  type: string;
  id: string;
  seq: number;
  shard: number;
  epoch: number;
  version: number;
  at: number;
  payload: Buffer;
}
export interface SnapshotTable {
  type: string;
  id: string;
  seq: number;
  version: number;
  payload: Buffer;
}
export interface AnswerTable {
  type: string;
  id: string;
  key_hash: string;
  fingerprint: string;
  payload: Buffer;
  at: number;
}
export interface TimerTable {
  type: string;
  id: string;
  shard: number;
  due: number;
}
export type OutboxState = 'open' | 'taken' | 'relayed' | 'failed' | 'closed';
export interface OutboxTable {
  id: string;
  shard: number;
  job: string;
  doc: Json<Record<string, unknown>>;
  state: Generated<OutboxState>;
  /** 0 at first; one more for each time it was added to the queue again. */
  attempt: Generated<number>;
  error: string | null;
  added_at: Generated<Date>;
  /** Of the last change of state. */
  changed_at: Generated<Date>;
}
export interface OrdersTable {
  key: string;
  version: number;
  doc: Json<Record<string, unknown>>;
  state: GeneratedAlways<string>;
  cart_id: GeneratedAlways<string>;
  placed_at: GeneratedAlways<number>;
  payment_state: GeneratedAlways<string>;
}
export interface StockTable {
  key: string;
  version: number;
  doc: Json<Record<string, unknown>>;
  on_hand: GeneratedAlways<number>;
  held: GeneratedAlways<number>;
  allocated: GeneratedAlways<number>;
  available: GeneratedAlways<number>;
}
export interface SubjectKeyTable {
  subject: string;
  /** Null once destroyed: the row stays, so that the subject never gets another key. */
  wrapped: Buffer | null;
  created_at: Generated<Date>;
  erased_at: Date | null;
}
export interface AuditTable {
  id: string;
  at: Generated<Date>;
  actor: string;
  action: string;
  target: string;
  doc: Json;
}

export interface Tables {
  meta: MetaTable;
  member: MemberTable;
  event_version: EventVersionTable;
  fence: FenceTable;
  shard: ShardTable;
  journal: JournalTable;
  snapshot: SnapshotTable;
  answer: AnswerTable;
  timer: TimerTable;
  outbox: OutboxTable;
  orders: OrdersTable;
  stock: StockTable;
  subject_key: SubjectKeyTable;
  audit: AuditTable;
}
