/**
 * What nearly all calls of the sandbox are, an authorisation of a card without a peculiarity and a capture of all or a part, as one statement for
 * all that come while the last one is at work. A call either has all of its effect there or, where anything is not as it expects (its key is known, the
 * payment is not open, another call of the group has the same key or payment), none: the ledger then decides it step by step.
 *
 * Rows are written in the order of their keys, so that two processes on one ledger do not wait for each other in a circle.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { grouped } from '../runtime/grouped.ts';
import type { AuthoriseInput, LedgerPayment } from './sandbox-ledger.ts';
import type { Card } from './sandbox-tokens.ts';

export interface AtOnce {
  /** Null: nothing was done. @param hash of what was asked for under the key */
  authorise(call: AuthoriseCall): Promise<LedgerPayment | null>;
  capture(call: CaptureCall): Promise<LedgerPayment | null>;
}

export interface AuthoriseCall extends AuthoriseInput {
  readonly key: string;
  readonly hash: string;
  readonly card: Card;
}

export interface CaptureCall {
  readonly key: string;
  readonly hash: string;
  readonly paymentId: string;
  /** Null: all of it. */
  readonly amount: number | null;
}

/** As many calls as a shop has at work at once (`sandbox-client.ts`). */
const GROUP_MAX = 64;

export function atOnce(pool: pg.Pool): AtOnce {
  return {
    authorise: grouped(GROUP_MAX, (calls: readonly AuthoriseCall[]) => authoriseAll(pool, calls)),
    capture: grouped(GROUP_MAX, (calls: readonly CaptureCall[]) => captureAll(pool, calls)),
  };
}

async function authoriseAll(
  pool: pg.Pool,
  calls: readonly AuthoriseCall[],
): Promise<readonly (LedgerPayment | null)[]> {
  const own = firstOfEach(calls, ({ key }) => [key]);
  const bodies = own.map(({ reference, amount, currency, card }): LedgerPayment => {
    const open = { state: 'authorized', capturedAmount: 0, refundedAmount: 0 } as const;
    return { id: `pay_${randomUUID()}`, reference, amount, currency, fingerprint: card.fingerprint, ...open };
  });
  const { rows } = await pool.query<{ key: string }>({
    name: 'authorise',
    text: `
      WITH asked AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::json[], $5::boolean[])
          AS asked (key, hash, id, body, listed)
      ), own AS (
        INSERT INTO request (key, hash, payment_id, status, body)
        SELECT key, hash, id, 200, body FROM asked ORDER BY key
        ON CONFLICT (key) DO NOTHING RETURNING key
      ), made AS (
        INSERT INTO payment (id, state, reference, amount, currency, fingerprint, listed)
        SELECT id, 'authorized', body ->> 'reference', (body ->> 'amount')::bigint, body ->> 'currency',
          body ->> 'fingerprint', listed
        FROM asked JOIN own USING (key)
      )
      SELECT key FROM own`,
    values: [
      own.map(({ key }) => key),
      own.map(({ hash }) => hash),
      bodies.map(({ id }) => id),
      bodies.map((body) => JSON.stringify(body)),
      own.map(({ card }) => card.listedAtOnce),
    ],
  });
  const done = new Set(rows.map(({ key }) => key));
  const made = new Map(own.map((call, index) => [call, done.has(call.key) ? bodies[index] : undefined]));
  return calls.map((call) => made.get(call) ?? null);
}

async function captureAll(pool: pg.Pool, calls: readonly CaptureCall[]): Promise<readonly (LedgerPayment | null)[]> {
  const own = firstOfEach(calls, ({ key, paymentId }) => [`key ${key}`, `payment ${paymentId}`]);
  const { rows } = await pool.query<{ key: string; body: LedgerPayment }>({
    name: 'capture',
    text: `
      WITH asked AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS asked (key, hash, id, part)
      ), found AS (
        SELECT payment.*, asked.key, asked.hash, coalesce(asked.part, payment.amount) AS taken
        FROM asked JOIN payment USING (id)
        WHERE state = 'authorized' AND coalesce(asked.part, payment.amount) <= payment.amount
        ORDER BY id FOR UPDATE OF payment
      ), own AS (
        INSERT INTO request (key, hash, payment_id, status, body)
        SELECT key, hash, id, 200, json_build_object(
          'id', id, 'state', 'captured', 'reference', reference, 'amount', amount, 'currency', currency,
          'capturedAmount', taken, 'refundedAmount', 0, 'fingerprint', fingerprint
        ) FROM found ORDER BY key
        ON CONFLICT (key) DO NOTHING RETURNING key, body
      ), taken AS (
        UPDATE payment SET state = 'captured', captured = found.taken
        FROM own JOIN found USING (key) WHERE payment.id = found.id
      )
      SELECT key, body FROM own`,
    values: [
      own.map(({ key }) => key),
      own.map(({ hash }) => hash),
      own.map(({ paymentId }) => paymentId),
      own.map(({ amount }) => amount),
    ],
  });
  const done = new Map(rows.map(({ key, body }) => [key, body]));
  const first = new Set(own);
  return calls.map((call) => (first.has(call) ? (done.get(call.key) ?? null) : null));
}

/** Without those of which an earlier one has a name in common. */
function firstOfEach<T>(calls: readonly T[], namesOf: (call: T) => readonly string[]): readonly T[] {
  const seen = new Set<string>();
  return calls.filter((call) => {
    const names = namesOf(call);
    if (names.some((name) => seen.has(name))) return false;
    for (const name of names) seen.add(name);
    return true;
  });
}
