/**
 * Where everything is measured: one shop as `npm start` runs it, on its embedded PostgreSQL (with room for more connections), and a database for the peers on the very same
 * server, so that settings, disk and cores are the same for all. Its parts are told apart by process, since CPU is told by process.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { SCHEMA } from '../schema/database.ts';
import { embeddedServer } from './embedded-server.ts';
import { withoutOffers } from './plain-shop.ts';
import { startRoomyPostgres } from './roomy-postgres.ts';
import { type ScratchDatabase, scratchDatabase } from './scratch-database.ts';
import { ShopProcess, until } from './shop-process.ts';
import { addLine, newCart, setAvailable } from './shopper.ts';

/** Jobs of the orders that were made must be done by then. */
const BACKLOG_MS = 10_000;
const SETTINGS = [
  'server_version',
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'shared_buffers',
  'wal_level',
  'max_connections',
];

export interface Arena {
  /** The one that runs now. */
  shop: ShopProcess;
  /** URL of the server, over the unix socket that the shop uses. */
  readonly server: string;
  readonly peers: ScratchDatabase;
  /** Held by orders only, plenty of it. */
  readonly sku: string;
  /** Held at the cart, more of it than any run can take. */
  readonly hot: string;
  /** Processes of the shop without those of PostgreSQL, and those. */
  nodePids(): number[];
  postgresPids(): number[];
  /** Version and what durability rests on, as PostgreSQL tells. */
  settings(): Promise<Readonly<Record<string, string>>>;
  /** Outbox rows whose jobs are not done. */
  backlog(): Promise<number>;
  /** How long it took until the backlog was 0, or null where it was not in 10 s. */
  backlogEnds(): Promise<number | null>;
  /** Does at once what PostgreSQL would do sooner or later about what was put into its tables, so that nothing measured afterwards pays for it. */
  tidy(): Promise<void>;
  query(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** `kill -9` of everything, database included, and a new start on the same data. */
  killAndRestart(): Promise<void>;
  close(): Promise<void>;
}

export async function openArena(): Promise<Arena> {
  const dataDir = mkdtempSync(join(tmpdir(), 'stampede-shop-'));
  await startRoomyPostgres(dataDir);
  const shop = await ShopProcess.start({ dataDir }).catch((error: unknown) => {
    rmSync(dataDir, { recursive: true, force: true });
    throw error;
  });
  try {
    await withoutOffers(shop);
    const server = await embeddedServer(shop.dataDir);
    const peers = await scratchDatabase(server, 'stampede_peers');
    return new OpenArena(shop, server, peers, await plainSku(shop), await stockedSku(shop, 'BENCH-HOT', 100_000_000));
  } catch (error) {
    await shop.cleanUp();
    throw error;
  }
}

class OpenArena implements Arena {
  shop: ShopProcess;
  readonly server: string;
  readonly peers: ScratchDatabase;
  readonly sku: string;
  readonly hot: string;

  constructor(shop: ShopProcess, server: string, peers: ScratchDatabase, sku: string, hot: string) {
    this.shop = shop;
    this.server = server;
    this.peers = peers;
    this.sku = sku;
    this.hot = hot;
  }

  nodePids(): number[] {
    return this.shop.family().filter((pid) => !isPostgres(pid));
  }

  postgresPids(): number[] {
    return this.shop.family().filter(isPostgres);
  }

  async settings(): Promise<Readonly<Record<string, string>>> {
    const rows = await this.query('SELECT name, setting FROM pg_settings WHERE name = ANY($1)', [SETTINGS]);
    return Object.fromEntries(rows.map(({ name, setting }) => [String(name), String(setting)]));
  }

  async backlog(): Promise<number> {
    const [row] = await this.query(`SELECT count(*)::int AS n FROM ${SCHEMA}.outbox WHERE state <> 'closed'`);
    return Number(row?.n);
  }

  async backlogEnds(): Promise<number | null> {
    const started = performance.now();
    const ended = await until('no job is left', async () => (await this.backlog()) === 0, BACKLOG_MS).catch(
      () => false,
    );
    return ended ? performance.now() - started : null;
  }

  async tidy(): Promise<void> {
    await this.query('VACUUM (ANALYZE)');
    await this.query('CHECKPOINT');
  }

  async query(text: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.server });
    await client.connect();
    try {
      return (await client.query(text, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  async killAndRestart(): Promise<void> {
    const { dataDir, port } = this.shop;
    this.shop.killAll();
    this.shop = await ShopProcess.start({ dataDir, port });
  }

  async close(): Promise<void> {
    await this.shop.cleanUp();
  }
}

function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres');
  } catch {
    return false;
  }
}

async function plainSku(shop: ShopProcess): Promise<string> {
  const { items } = (await shop.request('GET', '/v1/products?limit=100')).body;
  const found = items.find(
    (product: { holdAt: string; maxPerOrder?: number }) => product.holdAt === 'checkout' && !product.maxPerOrder,
  );
  await setAvailable(shop, found.sku, 100_000_000);
  return found.sku;
}

/** A sku held at the cart, without a limit for each order, that has exactly so many units. */
export async function stockedSku(shop: ShopProcess, sku: string, units: number): Promise<string> {
  const put = await shop.admin('PUT', `/v1/admin/products/${sku}`, {
    body: {
      name: sku,
      description: 'What everybody wants at the same second.',
      category: 'bench',
      prices: { USD: 4900 },
      taxCategory: 'standard',
      holdAt: 'cart',
      holdTtlMs: 3_600_000,
    },
  });
  if (put.status >= 300) throw new Error(`${sku}: ${put.status} ${put.text}`);
  await setAvailable(shop, sku, units + 1);
  // Every node's copy of the catalogue has it once a hold was taken; that unit is kept out of the count.
  await until(`${sku} can be held`, async () => (await addLine(shop, await newCart(shop), sku)).status === 200);
  return sku;
}
