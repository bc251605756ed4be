/**
 * The journal read as an auditor would, past the shop: sequences without gap or double, epochs that never fall along them, and each sku
 * replayed event by event, so that it is conserved at every sequence that was ever committed and not only at the end.
 */
import assert from 'node:assert/strict';
import pg from 'pg';
import { sku as skuType } from '../actors/sku.ts';
import { availableOf } from '../actors/sku-holds.ts';
import { decodeRow } from '../runtime/codec.ts';
import { shardOf } from '../runtime/shard.ts';
import { SCHEMA } from '../schema/database.ts';

/** Returns how many events there are. */
export async function auditJournal(databaseUrl: string, skus: readonly string[]): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const gaps = await client.query<{ type: string; id: string; events: string; last: string }>(
      `SELECT type, id, count(*) AS events, max(seq) AS last FROM ${SCHEMA}.journal
        GROUP BY type, id HAVING count(*) <> max(seq) OR min(seq) <> 1 LIMIT 5`,
    );
    assert.deepEqual(gaps.rows, [], 'every sequence is whole');
    const falls = await client.query<{ type: string; id: string; seq: string }>(
      `SELECT type, id, seq FROM (
         SELECT type, id, seq, epoch, lag(epoch) OVER (PARTITION BY type, id ORDER BY seq) AS before FROM ${SCHEMA}.journal
       ) AS stepped WHERE epoch < before LIMIT 5`,
    );
    assert.deepEqual(falls.rows, [], 'no event of an earlier owner follows one of a later');
    const epochs = await client.query<{ type: string; id: string; seq: string }>(
      `SELECT j.type, j.id, j.seq FROM ${SCHEMA}.journal AS j JOIN ${SCHEMA}.shard AS s USING (shard)
        WHERE j.epoch > s.epoch LIMIT 5`,
    );
    assert.deepEqual(epochs.rows, [], 'no event is of an epoch that never was');
    for (const sku of skus) await replay(client, sku);
    const { rows } = await client.query<{ events: number }>(`SELECT count(*)::int AS events FROM ${SCHEMA}.journal`);
    return rows[0]?.events ?? 0;
  } finally {
    await client.end();
  }
}

async function replay(client: pg.Client, sku: string): Promise<void> {
  const { rows } = await client.query<{ seq: string; shard: number; version: number; payload: Buffer }>(
    `SELECT seq, shard, version, payload FROM ${SCHEMA}.journal WHERE type = 'sku' AND id = $1 ORDER BY seq`,
    [sku],
  );
  let state = skuType.initial(sku);
  for (const { seq, shard, version, payload } of rows) {
    assert.equal(shard, shardOf('sku', sku));
    const { event } = decodeRow(payload);
    if (event === undefined || event === null) continue;
    state = skuType.apply(state, event as never, version, Number(seq));
    const least = Math.min(availableOf(state), state.held, state.allocated);
    assert.ok(least >= 0, `${sku} was oversold at sequence ${seq}: ${JSON.stringify(counts(state))}`);
    let held = 0;
    let allocated = 0;
    for (const hold of state.holds.values())
      if (hold.status === 'confirmed') allocated += hold.quantity;
      else held += hold.quantity;
    assert.deepEqual([state.held, state.allocated], [held, allocated], `${sku} is conserved at sequence ${seq}`);
  }
}

function counts({ onHand, held, allocated }: { onHand: number; held: number; allocated: number }): object {
  return { onHand, held, allocated };
}
