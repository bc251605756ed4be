/**
 * `kill -9` of a single shop, its embedded database's processes too, again and again under a load of adds, holds and checkouts with every
 * sandbox token; then the books are compared: what shoppers were told, what the shop says, what the payment provider's own books say.
 */
import assert from 'node:assert/strict';
import { startSandbox } from '../payments/sandbox-server.ts';
import { type BooksResult, bookedPayments, compareBooks } from './books.ts';
import { goodsFor } from './goods.ts';
import { Ledger } from './ledger.ts';
import { scratchDatabase } from './scratch-database.ts';
import { pause, ShopProcess, type Storefront } from './shop-process.ts';
import { ShopperLoad } from './shopper-load.ts';

export interface KillRoundsOptions {
  readonly rounds: number;
  /** How long the load runs before each kill, at least and at most. */
  readonly loadMs: readonly [number, number];
  /** The server for the provider's books, which is not killed. */
  readonly server: string | undefined;
  /** Default 12. */
  readonly shoppers?: number;
  readonly tell?: (line: string) => void;
}

export interface KillRoundsResult extends BooksResult {
  readonly rounds: number;
  /** Tries that broke off or found nobody, and were made again. */
  readonly callsRepeated: number;
}

export async function runKillRounds(options: KillRoundsOptions): Promise<KillRoundsResult> {
  const tell = options.tell ?? (() => {});
  const database = await scratchDatabase(options.server, 'stampede_kill');
  const sandbox = await startSandbox({ databaseUrl: database.url, host: '127.0.0.1', port: 0 });
  const env = { PAYMENT_SANDBOX_URL: sandbox.url };
  let shop = await ShopProcess.start({ env });
  const front: Storefront = {
    request: (method, path, call) => shop.request(method, path, call),
    admin: (method, path, call) => shop.admin(method, path, call),
  };
  try {
    const goods = await goodsFor([front]);
    const ledger = new Ledger();
    const load = new ShopperLoad({ front, ledger, shoppers: options.shoppers ?? 12, ...goods }).start();
    const [least, most] = options.loadMs;
    for (let round = 1; round <= options.rounds; round++) {
      await pause(least + Math.random() * (most - least));
      const { dataDir, port } = shop;
      shop.killAll();
      shop = await ShopProcess.start({ env, dataDir, port });
      tell(`round ${round}: ${ledger.carts.length} carts so far, ready again in ${Math.round(shop.readyMs)} ms`);
    }
    await load.stop();
    const books = await compareBooks({
      nodes: [front],
      ledger,
      skus: [...goods.plainSkus, ...goods.heldSkus],
      payments: () => bookedPayments(database.url),
      databaseUrl: null,
    });
    assert.ok(books.confirmed > 0 && books.unitsTold > 0, 'there was a load');
    const callsRepeated = load.count('broken off') + load.count('nobody listens');
    return { ...books, rounds: options.rounds, callsRepeated };
  } finally {
    await shop.cleanUp();
    await sandbox.close();
    await database.drop();
  }
}
