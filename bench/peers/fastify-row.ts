/**
 * Peer: fastify and pg, a stock row taken by one UPDATE for each request: what most shops do. Takes the database's URL as its
 * argument, makes its own table, prints its port.
 */
import fastify from 'fastify';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.argv[2], max: Number(process.argv[3] ?? 10) });
await pool.query(
  'CREATE TABLE IF NOT EXISTS stock (sku text PRIMARY KEY, available int NOT NULL, held int NOT NULL DEFAULT 0)',
);
await pool.query("INSERT INTO stock VALUES ('hot', 2000000000) ON CONFLICT DO NOTHING");
const app = fastify();
app.post<{ Body: { sku: string; quantity: number } }>('/hold', async (request, reply) => {
  const { sku, quantity } = request.body;
  const taken = await pool.query(
    'UPDATE stock SET available = available - $2, held = held + $2 WHERE sku = $1 AND available >= $2 RETURNING available',
    [sku, quantity],
  );
  if (taken.rowCount === 0) return reply.code(409).send({ code: 'out_of_stock' });
  return { sku, available: taken.rows[0].available };
});
await app.listen({ host: '127.0.0.1', port: 0 });
const address = app.server.address();
if (address !== null && typeof address === 'object') process.send?.({ port: address.port });
