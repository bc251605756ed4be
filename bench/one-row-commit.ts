/**
 * The limit of durability: what a commit costs on the server that everything else is measured on, one row at a time over one connection, and as many
 * rows as fit into one `unnest`. Nothing that is durable on this server can answer faster, or write more.
 */
import pg from 'pg';
import { median } from './machine.ts';

const TABLE = 'CREATE TABLE IF NOT EXISTS one_row (id bigserial PRIMARY KEY, payload bytea NOT NULL)';
const PAYLOAD = Buffer.alloc(120, 1);

/** Medians of one-row commits over one connection, in microseconds. */
export async function oneRowCommitUs(url: string, commits = 1_200): Promise<number> {
  return withClient(url, async (client) => {
    const query = { name: 'one', text: 'INSERT INTO one_row (payload) VALUES ($1)', values: [PAYLOAD] };
    const times: number[] = [];
    for (let i = 0; i < commits; i++) {
      const started = performance.now();
      await client.query(query);
      if (i >= commits / 5) times.push((performance.now() - started) * 1000);
    }
    return median(times);
  });
}

/** Rows a second in batches of `rows`, one statement in flight. */
export async function batchedRowsPerSecond(url: string, rows = 256, durationMs = 1_000): Promise<number> {
  return withClient(url, async (client) => {
    const values = [Array.from({ length: rows }, () => PAYLOAD)];
    const query = { name: 'many', text: 'INSERT INTO one_row (payload) SELECT unnest($1::bytea[])', values };
    const started = performance.now();
    let written = 0;
    while (performance.now() - started < durationMs) {
      await client.query(query);
      written += rows;
    }
    return (written * 1000) / (performance.now() - started);
  });
}

async function withClient<T>(connectionString: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(TABLE);
    return await use(client);
  } finally {
    await client.end();
  }
}
