/**
 * One renewal, as the statement that both the first one and the lease's thread send. Apart, and without imports at run time, so that
 * the thread loads nothing but the driver.
 */
import type pg from 'pg';

/** Returns the database's clock in milliseconds; null: the member no longer lives. Rejects where the outcome is not known. */
export async function renew(client: Pick<pg.ClientBase, 'query'>, incarnation: string): Promise<number | null> {
  const { rows } = await client.query<{ now: number }>({
    name: 'renew',
    text: `UPDATE member SET renewals = renewals + 1, renewed_at = now()
      WHERE incarnation = $1 AND state IN ('joining', 'alive', 'leaving')
      RETURNING (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now`,
    values: [incarnation],
  });
  return rows[0]?.now ?? null;
}
