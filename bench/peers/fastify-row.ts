/**
 * Peer: fastify and pg, units of stock taken from a row. `row`: one UPDATE for each request, what most shops do. `batch`: what is asked for
 * while a statement is out goes into the next one, through `unnest`; the units of one sku are added up first, and where not all of them are
 * there, none is given to that sku's requests of the batch (a shop would go on to ask one by one; here the stock never ends).
 * Arguments: the database's URL, connections of its pool, `row` or `batch`. Makes its own table of 1,000 skus; tells its port.
 */
import fastify from 'fastify';
import pg from 'pg';

const [, , connectionString, connections = '10', way = 'row'] = process.argv;
const pool = new pg.Pool({ connectionString, max: Number(connections) });
await pool.query(
  'CREATE TABLE IF NOT EXISTS stock (sku text PRIMARY KEY, available bigint NOT NULL, held bigint NOT NULL DEFAULT 0)',
);
await pool.query(
  "INSERT INTO stock SELECT CASE i WHEN 0 THEN 'hot' ELSE 'sku-' || i END, 1000000000 FROM generate_series(0, 999) AS i ON CONFLICT DO NOTHING",
);

interface Hold {
  readonly sku: string;
  readonly quantity: number;
}

const ROW = {
  name: 'row',
  text: 'UPDATE stock SET available = available - $2, held = held + $2 WHERE sku = $1 AND available >= $2 RETURNING available',
};
const BATCH = {
  name: 'batch',
  text: `UPDATE stock AS s SET available = s.available - a.quantity, held = s.held + a.quantity
    FROM unnest($1::text[], $2::bigint[]) AS a (sku, quantity) WHERE s.sku = a.sku AND s.available >= a.quantity RETURNING s.sku, s.available`,
};

async function byRow({ sku, quantity }: Hold): Promise<string | null> {
  const taken = await pool.query({ ...ROW, values: [sku, quantity] });
  return taken.rows[0]?.available ?? null;
}

const waiting: { readonly hold: Hold; readonly tell: (available: string | null) => void }[] = [];
let out = 0;
const OUT_MAX = Number(connections);

function byBatch(hold: Hold): Promise<string | null> {
  return new Promise((tell) => {
    waiting.push({ hold, tell });
    // Requests that were read in one turn of the event loop share a statement.
    if (out < OUT_MAX && waiting.length === 1) setImmediate(flush);
  });
}

function flush(): void {
  if (out >= OUT_MAX || waiting.length === 0) return;
  const batch = waiting.splice(0);
  out++;
  void send(batch).finally(() => {
    out--;
    flush();
  });
}

async function send(batch: typeof waiting): Promise<void> {
  const wanted = new Map<string, number>();
  for (const { hold } of batch) wanted.set(hold.sku, (wanted.get(hold.sku) ?? 0) + hold.quantity);
  // In one order everywhere: two statements that lock the same rows in different orders end each other.
  const skus = [...wanted.keys()].sort();
  const left = await pool
    .query({ ...BATCH, values: [skus, skus.map((sku) => wanted.get(sku))] })
    .then(({ rows }) => new Map<string, string>(rows.map(({ sku, available }) => [sku, available])))
    .catch(() => new Map<string, string>());
  for (const { hold, tell } of batch) tell(left.get(hold.sku) ?? null);
}

const take = way === 'batch' ? byBatch : byRow;
const app = fastify();
app.post<{ Body: Hold }>('/hold', async (request, reply) => {
  const available = await take(request.body);
  if (available === null) return reply.code(409).send({ code: 'out_of_stock' });
  return { sku: request.body.sku, available: Number(available) };
});
await app.listen({ host: '127.0.0.1', port: 0 });
const address = app.server.address();
if (address !== null && typeof address === 'object') process.send?.({ port: address.port });
process.once('disconnect', () => process.exit(0));
