/**
 * Members of a cluster: their states, what each tells the others, and in which versions events may have been written.
 *
 * Of one node at most one incarnation lives. The database's own id is in `meta` since the first migration (`cluster_id`).
 */
import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `ALTER TABLE member DROP CONSTRAINT member_state_check`,
  `ALTER TABLE member
    ADD CONSTRAINT member_state_check CHECK (state IN ('joining', 'alive', 'leaving', 'left', 'dead')),
    ADD COLUMN lease_ms integer NOT NULL DEFAULT 5000 CHECK (lease_ms > 0),
    ADD COLUMN weight double precision NOT NULL DEFAULT 1 CHECK (weight > 0),
    ADD COLUMN bus boolean NOT NULL DEFAULT false,
    ADD COLUMN identity jsonb,
    ADD COLUMN status jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN drain_requested boolean NOT NULL DEFAULT false`,
  `DROP INDEX member_alive`,
  `CREATE UNIQUE INDEX member_living ON member (node_id) WHERE state IN ('joining', 'alive', 'leaving')`,
  `CREATE TABLE event_version (
    type text COLLATE "C" PRIMARY KEY,
    version integer NOT NULL
  )`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}
