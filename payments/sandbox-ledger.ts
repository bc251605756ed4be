/**
 * The sandbox provider's book of payments in PostgreSQL, under a role and a schema of its own (`stampede_sandbox`,
 * `sandbox`): the role has no rights on the shop's schema, and nothing of the shop reads these tables.
 *
 * Every mutation is one transaction under its idempotency key. It begins by inserting the key's row, which makes a second
 * call under the same key wait for the first one's commit, so a key has one effect however many calls carry it at once,
 * and after a crash at any point either everything of a call is there or nothing. An effect and a decline are recorded
 * with their answer; a refusal without effect (404, 409) leaves the key free and is decided anew.
 *
 * What nearly all calls are is tried as one statement for many first (`sandbox-at-once.ts`); only where that does nothing is the call decided
 * step by step, in seven statements.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import type { PaymentState } from './provider.ts';
import { type AtOnce, atOnce } from './sandbox-at-once.ts';
import type { Card } from './sandbox-tokens.ts';

export const SANDBOX_ROLE = 'stampede_sandbox';
export const SANDBOX_SCHEMA = 'sandbox';

/** A payment as the wire shows it; `amount` is what was authorised, all amounts are in minor units. */
export interface LedgerPayment {
  readonly id: string;
  readonly state: PaymentState;
  readonly reference: string;
  readonly amount: number;
  readonly currency: string;
  readonly capturedAmount: number;
  readonly refundedAmount: number;
  readonly fingerprint: string | null;
}

export interface AuthoriseInput {
  readonly amount: number;
  readonly currency: string;
  readonly token: string;
  readonly reference: string;
}

export type LedgerAction = 'capture' | 'void' | 'refund';

/** `first`: this call had the effect; false where an earlier call under the key had it. */
export interface LedgerAnswer {
  readonly status: number;
  readonly body: LedgerPayment | { readonly code: string; readonly message: string };
  readonly first: boolean;
}

export interface SandboxLedger {
  authorise(input: AuthoriseInput, card: Card, key: string): Promise<LedgerAnswer>;
  /** `amount` null: all that is left to capture or refund. */
  act(action: LedgerAction, paymentId: string, amount: number | null, key: string): Promise<LedgerAnswer>;
  byId(id: string): Promise<LedgerPayment | null>;
  /** Oldest first, at most 100. */
  byReference(reference: string): Promise<readonly LedgerPayment[]>;
  close(): Promise<void>;
}

/** The two ways to write. */
interface Writers {
  readonly pool: pg.Pool;
  readonly quick: AtOnce;
}

interface PaymentRow {
  id: string;
  state: PaymentState;
  reference: string;
  amount: string;
  currency: string;
  captured: string;
  refunded: string;
  fingerprint: string | null;
}

const tables = `
  CREATE TABLE IF NOT EXISTS payment (
    id text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('authorized', 'captured', 'voided', 'refunded')),
    reference text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    captured bigint NOT NULL DEFAULT 0 CHECK (captured BETWEEN 0 AND amount),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND captured),
    fingerprint text,
    listed boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
  );
  CREATE INDEX IF NOT EXISTS payment_reference ON payment (reference, created_at);
  CREATE TABLE IF NOT EXISTS request (
    key text PRIMARY KEY,
    hash text NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    payment_id text,
    status integer,
    body json,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
  );`;

const columns = 'id, state, reference, amount, currency, captured, refunded, fingerprint';

/**
 * Opens the ledger and makes role, schema and tables where they are absent and `adminUrl`'s user may do so.
 * Rejects where the server cannot be reached, or lacks them and will not have them made.
 */
export async function openSandboxLedger(adminUrl: string): Promise<SandboxLedger> {
  await prepareRole(adminUrl);
  const pool = await openPool(adminUrl);
  try {
    await inTransaction(pool, async (client) => {
      // Two sandboxes may start at once: CREATE … IF NOT EXISTS is not safe against itself.
      await client.query('SELECT pg_advisory_xact_lock(hashtext($1))', [SANDBOX_SCHEMA]);
      await client.query(tables);
    });
  } catch (error) {
    await pool.end();
    throw error;
  }
  return ledgerOn(pool);
}

function ledgerOn(pool: pg.Pool): SandboxLedger {
  const writers: Writers = { pool, quick: atOnce(pool) };
  return {
    authorise: (input, card, key) => authorise(writers, input, card, key),
    act: (action, paymentId, amount, key) => act(writers, action, paymentId, amount, key),
    async byId(id) {
      const { rows } = await pool.query<PaymentRow>(`SELECT ${columns} FROM payment WHERE id = $1`, [id]);
      return rows[0] === undefined ? null : shown(rows[0]);
    },
    async byReference(reference) {
      const { rows } = await pool.query<PaymentRow>(
        `SELECT ${columns} FROM payment WHERE reference = $1 AND listed ORDER BY created_at, id LIMIT 100`,
        [reference],
      );
      return rows.map(shown);
    },
    close: () => pool.end(),
  };
}

async function authorise(
  { pool, quick }: Writers,
  input: AuthoriseInput,
  card: Card,
  key: string,
): Promise<LedgerAnswer> {
  const hash = hashOf(['authorise', input.amount, input.currency, input.token, input.reference]);
  if (card.failures === 0 && card.refusal === null) {
    const body = await quick.authorise({ ...input, key, hash, card });
    if (body !== null) return { status: 200, body, first: true };
  }
  return await underKey(pool, key, hash, async (client, failures) => {
    if (failures < card.failures) {
      await client.query('UPDATE request SET failures = failures + 1 WHERE key = $1', [key]);
      return {
        status: 500,
        body: { code: 'provider_error', message: 'The provider failed before doing anything.' },
        keep: 'key',
      };
    }
    if (card.refusal !== null) {
      return { status: 402, body: { code: card.refusal, message: 'The card was refused.' }, keep: 'answer' };
    }
    const { rows } = await client.query<PaymentRow>(
      `INSERT INTO payment (id, state, reference, amount, currency, fingerprint, listed)
       VALUES ($1, 'authorized', $2, $3, $4, $5, $6) RETURNING ${columns}`,
      [`pay_${randomUUID()}`, input.reference, input.amount, input.currency, card.fingerprint, card.listedAtOnce],
    );
    return { status: 200, body: shown(one(rows)), keep: 'answer' };
  });
}

async function act(
  { pool, quick }: Writers,
  action: LedgerAction,
  paymentId: string,
  amount: number | null,
  key: string,
): Promise<LedgerAnswer> {
  const hash = hashOf([action, paymentId, amount]);
  if (action === 'capture') {
    const body = await quick.capture({ key, hash, paymentId, amount });
    if (body !== null) return { status: 200, body, first: true };
  }
  return await underKey(pool, key, hash, async (client) => {
    const found = await client.query<PaymentRow>(`SELECT ${columns} FROM payment WHERE id = $1 FOR UPDATE`, [
      paymentId,
    ]);
    const row = found.rows[0];
    if (row === undefined) return refused(404, 'not_found', 'No such payment.');
    const next = transition(shown(row), action, amount);
    if (typeof next === 'string') {
      return refused(409, next, `A payment in state ${row.state} does not allow this ${action}.`);
    }
    const { rows } = await client.query<PaymentRow>(
      `UPDATE payment SET state = $2, captured = $3, refunded = $4 WHERE id = $1 RETURNING ${columns}`,
      [paymentId, next.state, next.captured, next.refunded],
    );
    return { status: 200, body: shown(one(rows)), keep: 'answer' };
  });
}

/**
 * authorized → captured (once, the whole or a part) | voided; captured → captured (refunded in part) → refunded (all that
 * was captured is back). voided and refunded are ends.
 */
function transition(
  payment: LedgerPayment,
  action: LedgerAction,
  amount: number | null,
): { state: PaymentState; captured: number; refunded: number } | 'wrong_state' | 'amount_too_large' {
  if (action === 'refund') {
    if (payment.state !== 'captured') return 'wrong_state';
    const refunded = payment.refundedAmount + (amount ?? payment.capturedAmount - payment.refundedAmount);
    if (refunded > payment.capturedAmount) return 'amount_too_large';
    const state = refunded === payment.capturedAmount ? 'refunded' : 'captured';
    return { state, captured: payment.capturedAmount, refunded };
  }
  if (payment.state !== 'authorized') return 'wrong_state';
  if (action === 'void') return { state: 'voided', captured: 0, refunded: 0 };
  const captured = amount ?? payment.amount;
  return captured > payment.amount ? 'amount_too_large' : { state: 'captured', captured, refunded: 0 };
}

/** `keep`: what the transaction leaves behind, the key's row with its answer, the bare row (a failure counted), or nothing. */
interface Effect {
  readonly status: number;
  readonly body: LedgerAnswer['body'];
  readonly keep: 'answer' | 'key' | 'nothing';
}

function refused(status: number, code: string, message: string): Effect {
  return { status, body: { code, message }, keep: 'nothing' };
}

async function underKey(
  pool: pg.Pool,
  key: string,
  hash: string,
  effect: (client: pg.ClientBase, failures: number) => Promise<Effect>,
): Promise<LedgerAnswer> {
  return inTransaction(pool, async (client, rollBack) => {
    await client.query('INSERT INTO request (key, hash) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING', [key, hash]);
    const { rows } = await client.query<{
      hash: string;
      failures: number;
      payment_id: string | null;
      status: number | null;
      body: LedgerAnswer['body'];
    }>('SELECT hash, failures, payment_id, status, body FROM request WHERE key = $1 FOR UPDATE', [key]);
    const row = one(rows);
    if (row.hash !== hash) {
      const message = 'This key came with another request before.';
      return { status: 422, body: { code: 'idempotency_key_reused', message }, first: false };
    }
    if (row.status !== null) {
      // The repeat is what makes a late payment findable by its reference.
      await client.query('UPDATE payment SET listed = true WHERE id = $1 AND NOT listed', [row.payment_id]);
      return { status: row.status, body: row.body, first: false };
    }
    const { status, body, keep } = await effect(client, row.failures);
    if (keep === 'nothing') rollBack();
    if (keep === 'answer') {
      await client.query('UPDATE request SET status = $2, body = $3, payment_id = $4 WHERE key = $1', [
        key,
        status,
        JSON.stringify(body),
        'id' in body ? body.id : null,
      ]);
    }
    return { status, body, first: true };
  });
}

async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient, rollBack: () => void) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let end = 'COMMIT';
  try {
    await client.query('BEGIN');
    const result = await work(client, () => {
      end = 'ROLLBACK';
    });
    await client.query(end);
    client.release();
    return result;
  } catch (error) {
    // Whatever state this connection is in, the server rolls back what it had open when it goes.
    client.release(true);
    throw error;
  }
}

/** Makes role and schema, each only where absent: a later start needs no more rights than to connect. */
async function prepareRole(adminUrl: string): Promise<void> {
  const admin = new pg.Client({
    connectionString: adminUrl,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
  });
  admin.on('error', () => undefined);
  await admin.connect();
  try {
    // From PostgreSQL 16 on, who makes a role is a member of it without the right to become it.
    const version = await admin.query<{ v: number }>(`SELECT current_setting('server_version_num')::int AS v`);
    const membership = one(version.rows).v >= 160_000 ? 'SET' : 'MEMBER';
    await makeOnce(
      admin,
      `SELECT 1 FROM pg_roles WHERE rolname = '${SANDBOX_ROLE}'`,
      `CREATE ROLE ${SANDBOX_ROLE} LOGIN NOINHERIT`,
    );
    await makeOnce(
      admin,
      `SELECT 1 WHERE pg_has_role(current_user, '${SANDBOX_ROLE}', '${membership}')`,
      `GRANT ${SANDBOX_ROLE} TO CURRENT_USER`,
    );
    await makeOnce(
      admin,
      `SELECT 1 FROM pg_namespace WHERE nspname = '${SANDBOX_SCHEMA}'`,
      `CREATE SCHEMA ${SANDBOX_SCHEMA} AUTHORIZATION ${SANDBOX_ROLE}`,
    );
    await givePassword(admin);
  } finally {
    await admin.end();
  }
}

async function makeOnce(admin: pg.Client, exists: string, make: string): Promise<void> {
  if ((await admin.query(exists)).rowCount !== 0) return;
  try {
    await admin.query(make);
  } catch (error) {
    // Roles belong to the whole server: another sandbox may have been quicker, from any database.
    if ((await admin.query(exists)).rowCount !== 0) return;
    throw new Error(`the sandbox provider's database lacks what this would make: ${make}`, { cause: error });
  }
}

/**
 * Where `adminUrl`'s user is a superuser with a password (embedded), the role gets a password too, derived from that one: a
 * session of the superuser with the role set could put it off again. Never in place of another one: roles belong to the whole
 * server, and another sandbox on it may have made this one.
 */
async function givePassword(admin: pg.Client): Promise<void> {
  const password = rolePassword(admin);
  if (password === undefined) return;
  const { rows } = await admin.query<{ super: boolean }>(
    'SELECT rolsuper AS super FROM pg_roles WHERE rolname = current_user',
  );
  if (!one(rows).super) return;
  const bare = await admin.query('SELECT 1 FROM pg_authid WHERE rolname = $1 AND rolpassword IS NULL', [SANDBOX_ROLE]);
  if (bare.rowCount === 0) return;
  // A verifier, not the password: statements may be logged. Where another sandbox is quicker this one's may fail; whether
  // the role can log in is found out by doing so.
  await admin.query(`ALTER ROLE ${SANDBOX_ROLE} PASSWORD '${scramVerifier(password)}'`).catch(() => undefined);
}

function rolePassword(admin: pg.Client): string | undefined {
  const { password } = admin;
  if (typeof password !== 'string' || password === '') return undefined;
  return createHmac('sha256', password).update(SANDBOX_ROLE).digest('base64url');
}

/** As PostgreSQL stores it (RFC 5803). */
function scramVerifier(password: string): string {
  const iterations = 4_096;
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`;
}

/**
 * Connections of the sandbox's own: as its role where the server lets it in (embedded by `givePassword`, or trust), else
 * through `adminUrl`'s user with the role set for the whole session.
 */
async function openPool(adminUrl: string): Promise<pg.Pool> {
  // A client that never connects: it reads the address as the driver does, unix sockets and all.
  const admin = new pg.Client({ connectionString: adminUrl });
  const { host, port, database, ssl } = admin;
  const direct = poolOn({ host, port, ssl, database, user: SANDBOX_ROLE, password: rolePassword(admin) });
  try {
    await direct.query('SELECT 1');
    return direct;
  } catch {
    await direct.end();
    return poolOn({ connectionString: adminUrl }, `-c role=${SANDBOX_ROLE}`);
  }
}

/** All look-ups go by a key, and a plan that was made for a small table is kept while it grows: by an index always. */
const BY_KEY = '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off';

function poolOn(address: pg.PoolConfig, options = ''): pg.Pool {
  const pool = new pg.Pool({
    ...address,
    max: 10,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
    idle_in_transaction_session_timeout: 10_000,
    application_name: SANDBOX_ROLE,
    options: `${options} ${BY_KEY} -c search_path=${SANDBOX_SCHEMA}`.trim(),
  });
  // Without both listeners a restart of PostgreSQL ends the process; the statement that met it still rejects.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

function shown(row: PaymentRow): LedgerPayment {
  return {
    id: row.id,
    state: row.state,
    reference: row.reference,
    amount: Number(row.amount),
    currency: row.currency,
    capturedAmount: Number(row.captured),
    refundedAmount: Number(row.refunded),
    fingerprint: row.fingerprint,
  };
}

function one<T>(rows: readonly T[]): T {
  const row = rows[0];
  if (row === undefined) throw new Error('the ledger lost a row that it had just written');
  return row;
}

function hashOf(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
