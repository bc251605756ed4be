/**
 * Medusa as its documents would have it in production: its Redis modules (events, workflows, locks, cache) on a Redis of its own, its database on the server
 * that everything is measured on, its own manual payment and shipping.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { task } from './installed.ts';
import { Peer } from './peer-process.ts';
import { RedisProcess, redisMissing } from './redis-process.ts';
import type { Account, Place, ShopKind } from './whole-shops.ts';

/** What storefronts have to know, as the seed script tells it. */
export interface MedusaGoods {
  readonly key: string;
  readonly region: string;
  readonly option: string;
  readonly variants: Readonly<Record<'plain' | 'scarce', string>>;
}

const VERSION = '2.21.2';
const PACKAGES = [`@medusajs/medusa@${VERSION}`, `@medusajs/cli@${VERSION}`, `@medusajs/framework@${VERSION}`];

const CONFIG = `const { defineConfig } = require('@medusajs/framework/utils');
const redisUrl = process.env.REDIS_URL;
const kept = { age: 3600, count: 1000 };
const provider = (name) => ({ resolve: '@medusajs/medusa/' + name, id: name, is_default: true, options: { redisUrl } });
module.exports = defineConfig({
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { pool: { max: Number(process.env.BENCH_POOL) } },
    redisUrl,
    http: { storeCors: '*', adminCors: '*', authCors: '*', jwtSecret: 'bench-jwt', cookieSecret: 'bench-cookie' },
  },
  admin: { disable: true },
  modules: [
    { resolve: '@medusajs/medusa/event-bus-redis', options: { redisUrl, jobOptions: { removeOnComplete: kept, removeOnFail: kept } } },
    { resolve: '@medusajs/medusa/workflow-engine-redis', options: { redis: { redisUrl } } },
    { resolve: '@medusajs/medusa/locking', options: { providers: [provider('locking-redis')] } },
    { resolve: '@medusajs/medusa/caching', options: { providers: [provider('caching-redis')] } },
  ],
});
`;

/** Orders that stand, with the product in them. */
const SOLD = `SELECT count(DISTINCT o.id)::int AS n FROM "order" AS o JOIN order_item AS i ON i.order_id = o.id
  JOIN order_line_item AS l ON l.id = i.item_id WHERE l.variant_id = $1 AND o.deleted_at IS NULL AND o.canceled_at IS NULL`;

export const MEDUSA: ShopKind = {
  name: `Medusa ${VERSION}`,
  packages: PACKAGES,
  calls: 8,
  connections: 4,
  measuredTimes: 5,
  settings: [
    { processes: 1, pool: 10, words: 'cache in Redis' },
    { processes: 1, pool: 10, words: 'no cache' },
    { processes: 2, pool: 10, words: 'cache in Redis' },
    { processes: 1, pool: 30, words: 'cache in Redis' },
  ],
  isRefusal: (failure) => failure.includes('insufficient_inventory'),

  async open({ folder, database, units, tell }: Place) {
    const missing = redisMissing();
    if (missing !== null) throw new Error(missing);
    const redis = await RedisProcess.start();
    try {
      writeFileSync(join(folder, 'medusa-config.js'), CONFIG);
      const environment = (pool: number, cache: boolean): NodeJS.ProcessEnv => ({
        ...process.env,
        NODE_ENV: 'production',
        MEDUSA_DISABLE_TELEMETRY: 'true',
        MEDUSA_FF_CACHING: String(cache),
        LOG_LEVEL: 'error',
        DATABASE_URL: urlOf(database),
        REDIS_URL: redis.url,
        BENCH_POOL: String(pool),
      });
      const cli = join(folder, 'node_modules', '.bin', 'medusa');
      tell('making its tables');
      await task('medusa db:migrate', folder, cli, ['db:migrate', '--skip-scripts'], environment(10, false));
      tell('filling them');
      const seed = fileURLToPath(new URL('./peers/medusa-seed.js', import.meta.url));
      const file = join(folder, 'goods.json');
      await task('medusa exec', folder, cli, ['exec', seed, file, String(units)], environment(10, false));
      const { variants, ...known } = JSON.parse(readFileSync(file, 'utf8')) as MedusaGoods;
      return {
        start: ({ processes, pool, words }) =>
          Peer.start('medusa', [folder], processes, environment(pool, words === 'cache in Redis')),
        script: (way, product) => ({ kind: 'medusa', ...known, variant: variants[product], way }),
        pids: () => [redis.pid],
        sold: { text: SOLD, values: [variants.scarce] },
        close: () => redis.close(),
      };
    } catch (error) {
      await redis.close();
      throw error;
    }
  },
};

/** Its parts read an address in two ways: the folder of the socket as the host is what both understand. */
function urlOf({ socketFolder, user, password, name }: Account): string {
  const [host, secret] = [socketFolder, password].map(encodeURIComponent);
  return `postgres://${user}:${secret}@${host}:5432/${name}?sslmode=disable`;
}
