/**
 * Peer: fastify and Redis, units of stock taken by a Lua script that checks and counts in one step. Whether it is durable is up to the Redis
 * it is given. Argument: the URL of Redis. Commands that are asked for in one turn of the event loop go out together (auto-pipelining). Tells its port.
 */
import fastify from 'fastify';
import { Redis } from 'ioredis';
import { quickenStringMethods } from '../../runtime/string-methods.ts';

const TAKE = `
local left = tonumber(redis.call('HGET', KEYS[1], 'available'))
if left == nil or left < tonumber(ARGV[1]) then return -1 end
redis.call('HINCRBY', KEYS[1], 'held', ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'available', -ARGV[1])`;

// The peer shall have what we have.
quickenStringMethods();
const redis = new Redis(process.argv[2] ?? '', { enableAutoPipelining: true });
redis.defineCommand('take', { numberOfKeys: 1, lua: TAKE });
const pipeline = redis.pipeline();
for (let i = 0; i < 1000; i++) pipeline.hsetnx(`stock:${i === 0 ? 'hot' : `sku-${i}`}`, 'available', 1_000_000_000);
await pipeline.exec();

const { take } = redis as unknown as { take: (key: string, quantity: number) => Promise<number> };
const app = fastify();
app.post<{ Body: { sku: string; quantity: number } }>('/hold', async (request, reply) => {
  const { sku, quantity } = request.body;
  const available = await take.call(redis, `stock:${sku}`, quantity);
  if (available < 0) return reply.code(409).send({ code: 'out_of_stock' });
  return { sku, available };
});
await app.listen({ host: '127.0.0.1', port: 0 });
const address = app.server.address();
if (address !== null && typeof address === 'object') process.send?.({ port: address.port });
process.once('disconnect', () => process.exit(0));
