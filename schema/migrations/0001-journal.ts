/**
 * The journal and everything that one append writes, members and their fences, subject keys, the audit trail.
 *
 * - Ids compare by bytes (collation "C"): cheaper, and the same on every server.
 * - The journal is partitioned by hash of the id, not by time: a key must contain the partition column, and with the
 *   time in the key two events of one sequence would both be accepted.
 * - Rows that are updated in place again and again (fence, timer, stock, member) leave room on their pages, so that an
 *   update stays on its page, and are vacuumed by count rather than by share.
 * - The read rows' columns are generated from the document: one statement writes every read table. Stock that does
 *   not add up is refused by the table itself, whatever the code above it believed.
 */
import { type Kysely, sql } from 'kysely';
import { APPEND_FUNCTION, REMOVE_HISTORY_FUNCTION } from '../append.ts';

const JOURNAL_PARTITIONS = 8;

const HOT = `autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500`;

const TABLES = [
  `CREATE TABLE meta (
    key text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
  )`,

  `CREATE TABLE member (
    incarnation text COLLATE "C" PRIMARY KEY CHECK (octet_length(incarnation) <= 63),
    node_id text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('alive', 'left', 'dead')),
    renewals bigint NOT NULL DEFAULT 0,
    event_versions jsonb NOT NULL DEFAULT '{}',
    joined_at timestamptz NOT NULL DEFAULT now(),
    renewed_at timestamptz NOT NULL DEFAULT now()
  ) WITH (fillfactor = 50, ${HOT})`,
  `CREATE INDEX member_alive ON member (incarnation) WHERE state = 'alive'`,

  `CREATE TABLE fence (
    incarnation text COLLATE "C" NOT NULL REFERENCES member,
    lane integer NOT NULL CHECK (lane >= 0),
    gen bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (incarnation, lane)
  ) WITH (fillfactor = 50, ${HOT})`,

  `CREATE TABLE shard (
    shard integer PRIMARY KEY CHECK (shard BETWEEN 0 AND 255),
    owner text COLLATE "C",
    epoch bigint NOT NULL DEFAULT 0
  ) WITH (fillfactor = 50)`,
  `INSERT INTO shard (shard) SELECT generate_series(0, 255)`,

  `CREATE TABLE journal (
    type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    epoch bigint NOT NULL,
    at bigint NOT NULL,
    shard integer NOT NULL,
    version integer NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (type, id, seq)
  ) PARTITION BY HASH (id)`,
  ...Array.from(
    { length: JOURNAL_PARTITIONS },
    (_, remainder) => `CREATE TABLE journal_${remainder} PARTITION OF journal
      FOR VALUES WITH (MODULUS ${JOURNAL_PARTITIONS}, REMAINDER ${remainder})`,
  ),

  `CREATE TABLE snapshot (
    type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    version integer NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (type, id)
  ) WITH (fillfactor = 80, ${HOT})`,

  `CREATE TABLE answer (
    type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    key_hash text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    payload bytea NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (type, id, key_hash)
  )`,
  `CREATE INDEX answer_at ON answer (at)`,

  `CREATE TABLE timer (
    type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    shard integer NOT NULL,
    due bigint NOT NULL,
    PRIMARY KEY (type, id)
  ) WITH (fillfactor = 70, ${HOT})`,
  `CREATE INDEX timer_due ON timer (due)`,

  `CREATE TABLE outbox (
    id text COLLATE "C" PRIMARY KEY,
    shard integer NOT NULL,
    job text COLLATE "C" NOT NULL,
    doc jsonb NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'taken', 'relayed', 'failed', 'closed')),
    attempt integer NOT NULL DEFAULT 0,
    error text,
    added_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
  ) WITH (fillfactor = 70, ${HOT})`,
  `CREATE INDEX outbox_at_work ON outbox (state, changed_at) WHERE state <> 'closed'`,
  `CREATE INDEX outbox_closed ON outbox (changed_at) WHERE state = 'closed'`,

  `CREATE TABLE orders (
    key text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    doc jsonb NOT NULL,
    state text NOT NULL GENERATED ALWAYS AS (doc ->> 'state') STORED,
    cart_id text COLLATE "C" NOT NULL GENERATED ALWAYS AS (doc ->> 'cartId') STORED,
    placed_at bigint NOT NULL GENERATED ALWAYS AS ((doc ->> 'placedAt')::bigint) STORED,
    payment_state text NOT NULL GENERATED ALWAYS AS (doc -> 'payment' ->> 'state') STORED
  ) WITH (fillfactor = 70, ${HOT})`,
  `CREATE INDEX orders_placed ON orders (placed_at, key)`,
  `CREATE INDEX orders_state ON orders (state, placed_at, key)`,
  `CREATE INDEX orders_cart ON orders (cart_id, placed_at, key)`,

  `CREATE TABLE stock (
    key text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    doc jsonb NOT NULL,
    on_hand integer NOT NULL GENERATED ALWAYS AS ((doc ->> 'onHand')::integer) STORED,
    held integer NOT NULL GENERATED ALWAYS AS ((doc ->> 'held')::integer) STORED,
    allocated integer NOT NULL GENERATED ALWAYS AS ((doc ->> 'allocated')::integer) STORED,
    available integer NOT NULL GENERATED ALWAYS AS ((doc ->> 'available')::integer) STORED,
    CONSTRAINT stock_adds_up CHECK (on_hand = available + held + allocated),
    CONSTRAINT stock_not_negative CHECK (least(on_hand, held, allocated, available) >= 0)
  ) WITH (fillfactor = 50, ${HOT})`,

  `CREATE TABLE subject_key (
    subject text COLLATE "C" PRIMARY KEY,
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz
  )`,

  `CREATE TABLE audit (
    id text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    doc jsonb NOT NULL DEFAULT '{}'
  )`,
  `CREATE INDEX audit_at ON audit (at, id)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...TABLES, APPEND_FUNCTION, REMOVE_HISTORY_FUNCTION]) await sql.raw(statement).execute(db);
}
