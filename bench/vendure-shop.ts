/** Vendure in production mode, its jobs in its database, its own dummy payment. */
import { fileURLToPath } from 'node:url';
import { task } from './installed.ts';
import { Peer } from './peer-process.ts';
import type { Place, ShopKind } from './whole-shops.ts';

const VERSION = '3.7.3';

/** Orders that were paid, with the product in them. */
const SOLD = `SELECT count(DISTINCT o.id)::int AS n FROM "order" AS o JOIN order_line AS l ON l."orderId" = o.id
  WHERE l."productVariantId" = $1 AND o.state IN ('PaymentAuthorized', 'PaymentSettled')`;

const VARIANTS = { plain: 1, scarce: 2 } as const;

export const VENDURE: ShopKind = {
  name: `Vendure ${VERSION}`,
  packages: [`@vendure/core@${VERSION}`, 'pg@8.23.1'],
  calls: 7,
  connections: 16,
  measuredTimes: 2,
  settings: [
    { processes: 1, pool: 10, words: '' },
    { processes: 2, pool: 10, words: '' },
    { processes: 1, pool: 30, words: '' },
  ],
  isRefusal: (failure) => failure.includes('INSUFFICIENT_STOCK'),

  async open({ folder, database, units, tell }: Place) {
    const environment = { ...process.env, NODE_ENV: 'production' };
    const { socketFolder: host, user: username, password, name } = database;
    const account = JSON.stringify({ host, username, password, database: name });
    const args = (pool: number, what: string) => [folder, account, String(units), String(pool), what];
    tell('filling its database');
    const server = fileURLToPath(new URL('./peers/vendure.js', import.meta.url));
    await task('filling its database', folder, server, args(10, 'populate'), environment);
    return {
      start: ({ processes, pool }) => Peer.start('vendure', args(pool, 'serve'), processes, environment),
      script: (way, product) => ({ kind: 'vendure', variant: VARIANTS[product], way }),
      pids: () => [],
      sold: { text: SOLD, values: [VARIANTS.scarce] },
      close: async () => {},
    };
  },
};
