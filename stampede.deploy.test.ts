/** The balancers' examples find the owner that the nodes find: else every request that they place would take a hop more. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { uuidv7 } from 'uuidv7';
import { RedisProcess, redisMissing } from './bench/redis-process.ts';
import { entryPoint } from './bench/shop-process.ts';
import { rendezvous } from './runtime/rendezvous.ts';
import { shardOf } from './runtime/shard.ts';

const NODES = ['node-1', 'node-2', 'node-3', 'shop-eu.4', 'x'];

function deployed(file: string): string {
  let folder = dirname(entryPoint());
  while (!existsSync(join(folder, 'deploy'))) folder = dirname(folder);
  return join(folder, 'deploy', file);
}

const paths = Array.from({ length: 600 }, (_, index) => {
  const type = index % 2 === 0 ? 'cart' : 'order';
  const id = `${type === 'cart' ? 'cart' : 'ord'}_${uuidv7()}`;
  const owner = rendezvous(
    shardOf(type, id),
    NODES.map((nodeId) => ({ nodeId, weight: 1 })),
  )?.nodeId;
  return { path: `/v1/${type}s/${id}${index % 3 === 0 ? '' : '/lines'}`, owner };
});

test('nginx sends a cart and an order to their owner, and leaves the rest to any node', async () => {
  const { default: owner } = await import(pathToFileURL(deployed('owner.js')).href);
  for (const one of paths) assert.equal(owner.ofPath(one.path, NODES), one.owner, one.path);
  for (const path of ['/v1/carts', '/v1/carts/', '/v1/products/cart', '/', '/v1/feed']) {
    assert.equal(owner.ofPath(path, NODES), '', path);
  }
  assert.ok(['node-1', 'node-2', 'node-3'].includes(owner.ofRequest({ uri: paths[0]?.path })));
});

test('Envoy does the same', { skip: redisMissing() ?? false }, async () => {
  // Redis runs the script as Envoy would: the same language, with the same library for the arithmetic of 32 bits.
  const redis = await RedisProcess.start();
  const client = new Redis(redis.url);
  try {
    const source = readFileSync(deployed('owner.lua'), 'utf8').replace('\nfunction ', '\nlocal function ');
    const script = `${source}
      local owners = {}
      for i, path in ipairs(cjson.decode(ARGV[1])) do owners[i] = owner_of(path, cjson.decode(ARGV[2])) or '' end
      return owners`;
    const asked = [...paths.map(({ path }) => path), '/v1/carts', '/v1/carts?x=/v1/carts/y', '/v1/products/cart', '/'];
    const owners = await client.eval(script, 0, JSON.stringify(asked), JSON.stringify(NODES));
    assert.deepEqual(owners, [...paths.map(({ owner }) => owner), '', '', '', '']);
  } finally {
    client.disconnect();
    await redis.close();
  }
});
