/**
 * A node: every part made, wired and started in the order in which they rest on each other, and stopped in the opposite one.
 * Nothing here decides anything; to learn the project, read it from top to bottom.
 */
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { uuidv7 } from 'uuidv7';
import { actorTypes } from '../actors/registry.ts';
import { paymentHandlers } from '../payments/effects.ts';
import { NoticeVerifier } from '../payments/notice.ts';
import { sandboxProvider } from '../payments/sandbox-client.ts';
import type { EffectHandler } from '../runtime/actor.ts';
import { ShardNews } from '../runtime/shard-news.ts';
import { Stages } from '../runtime/stages.ts';
import { quickenStringMethods } from '../runtime/string-methods.ts';
import { Succession } from '../runtime/succession.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { Catalogue } from '../schema/catalogue.ts';
import { isCatalogueEmpty, seedCatalogue } from '../schema/demo.ts';
import { join as joinCluster } from '../schema/members.ts';
import { stockVersions } from '../schema/read-side.ts';
import { openRedisBus, type RedisBus } from '../schema/redis-bus.ts';
import { SubjectKeys } from '../schema/subjects.ts';
import { httpCarrierRates } from '../workers/carrier-rates.ts';
import { byNewestBook } from '../workers/current-book.ts';
import { finalPricing } from '../workers/final-pricing.ts';
import { openMailer } from '../workers/mailer.ts';
import { PricingPool } from '../workers/pool.ts';
import type { PriceRequest } from '../workers/quote.ts';
import { httpTaxProvider } from '../workers/tax-provider.ts';
import type { App, Pricing } from './app.ts';
import { adminAnswersOf, readSideOf, subjectsOf } from './app-sources.ts';
import { auditLog } from './audit-log.ts';
import { CART_HISTORY } from './cart-histories.ts';
import { cartResponder } from './cart-view.ts';
import { TrustedProxies } from './client-address.ts';
import { clusterAccess, publishStatus, registerClusterMetrics } from './cluster.ts';
import type { Config } from './config.ts';
import { openEdges } from './edges.ts';
import { openText } from './exemption.ts';
import { createFeed } from './feed.ts';
import { identityOf } from './identity.ts';
import { openIncarnation } from './incarnation.ts';
import { startJobs } from './jobs.ts';
import { Metrics } from './metrics.ts';
import { orderResponder } from './order-view.ts';
import { productImage } from './product-images.ts';
import { RateLimiter } from './rate-limits.ts';
import { allRoutes } from './routes/index.ts';
import { startSandboxProcess } from './sandbox-process.ts';
import { seedDemo } from './seed.ts';
import { skuResponder } from './sku-view.ts';
import { StockCache } from './stock-cache.ts';
import { StockNews } from './stock-news.ts';
import { LANES, type Storage } from './storage.ts';
import { AdminKeys, CartTokens } from './tokens.ts';

export interface NodeOptions {
  readonly log: Logger;
  readonly version: string;
  /** The node cannot go on (fenced, or its database was taken); its message is one line. */
  readonly onFatal: (error: Error) => void;
}

export interface RunningNode {
  readonly url: string;
  /** What an operator who looks at the terminal should know. */
  readonly notes: readonly string[];
  /** Drains: what was accepted is answered; then everything is closed. */
  stop(): Promise<void>;
}

const CHECKOUT_WAIT_MS = 5_000;
const DRAIN_MS = 10_000;
const GIVE_ALL_MS = 15_000;
/** What the actors report that is as it should be. */
const ORDINARY = new Set(['shards_given']);

/** Rejects with one line where something that the node rests on is missing; what was started is stopped again, the storage too. */
export async function startNode(config: Config, storage: Storage, options: NodeOptions): Promise<RunningNode> {
  quickenStringMethods();
  const { log } = options;
  const closers: (() => unknown)[] = [];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        log.warn({ error: String(error) }, 'while stopping');
      }
    }
  };
  try {
    return await wire(config, storage, options, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function wire(
  config: Config,
  storage: Storage,
  { log, version, onFatal }: NodeOptions,
  closers: (() => unknown)[],
  closeAll: () => Promise<void>,
): Promise<RunningNode> {
  // The database, and who this node is in it.
  closers.push(() => storage.close());
  storage.embedded?.onExit(onFatal);
  // The payment provider, which starts while we do; waited for where it is needed.
  const ownProvider =
    storage.embedded !== null && config.paymentSandboxUrl === null
      ? startSandboxProcess(entryPoint(), storage.url, log)
      : null;
  // Should it fail before we get there, that is heard of there; should we fail first, it is stopped.
  ownProvider?.catch(() => {});
  if (ownProvider !== null) closers.push(async () => (await ownProvider.catch(() => null))?.stop());
  const { database, secrets } = storage;
  const { db } = database;
  const subjects = new SubjectKeys({ db, dataKey: secrets.dataKey });
  await subjects.check();
  const clock = new SystemClock();
  const stages = new Stages({ now: () => clock.monotonic() });

  const bus = storage.embedded === null && config.redisUrl !== null ? await openBus(config, storage, clock, log) : null;
  if (bus !== null) closers.push(() => bus.close());

  // Prices and stock, in memory.
  const catalogue = await Catalogue.load(db);
  const pool = new PricingPool();
  closers.push(() => pool.close());
  pool.setBook(catalogue.book());
  catalogue.onChange(() => pool.setBook(catalogue.book()));
  const pricing: Pricing = {
    price: byNewestBook((...asked: Parameters<Pricing['price']>) => pool.price(...asked), catalogue),
  };
  // At checkout others may be asked too.
  const priceFinally = finalPricing({
    pricing: pool,
    book: () => catalogue.book(),
    taxProvider: config.taxProviderUrl === null ? undefined : httpTaxProvider({ url: config.taxProviderUrl }),
    openText: (text) => openText(subjects, text),
    carrierRates: config.carrierRatesUrl === null ? undefined : httpCarrierRates({ url: config.carrierRatesUrl }),
  });
  const final = byNewestBook(priceFinally, catalogue);
  const cartPricing: Pricing = {
    price: (request, options, of) => (options.final ? final(request) : pricing.price(request, options, of)),
  };
  const warn = (what: string) => (error: unknown) => log.warn({ error: String(error) }, what);
  const watch = catalogue.watch({ onError: warn('the catalogue could not be looked at') });
  closers.push(() => watch.stop());
  const stock = new StockCache({
    load: (skus) => stockVersions(db, skus),
    clock,
    onError: warn('the stock could not be compared'),
  });
  stock.start();
  closers.push(() => stock.close());
  const stockNews =
    bus === null
      ? null
      : new StockNews({ bus, stock, clock, onError: warn('the stock could not be compared after a change') });
  if (stockNews !== null) closers.push(() => stockNews.close());
  const shardNews = bus === null ? null : new ShardNews({ bus, clock });

  // Payments.
  const sandbox = await ownProvider;
  const provider = sandboxProvider({ url: config.paymentSandboxUrl ?? sandbox?.url ?? '' });

  // The actors, under one incarnation after the other.
  const types = actorTypes();
  const join = () =>
    joinCluster({
      database,
      nodeId: config.nodeId,
      weight: config.nodeWeight,
      lanes: LANES,
      clock,
      bus: bus !== null,
      ready: bus === null,
      takeAtOnce: storage.embedded !== null,
      eventVersions: Object.fromEntries(types.map((type) => [type.type, type.eventVersion])),
      identity: identityOf(secrets),
    });
  const actors = new Succession({
    clock,
    open: (leaving) =>
      openIncarnation(
        {
          database,
          bus,
          clock,
          stages,
          types,
          join,
          responders: {
            cart: cartResponder({ pricing: cartPricing, stock, stages }),
            order: orderResponder(),
            sku: skuResponder(),
          },
          handlers: {
            ...(paymentHandlers(provider) as unknown as Record<string, EffectHandler>),
            'order.price': async (input) => final(input as PriceRequest),
          },
          onProjection: (row) => {
            stock.apply(row);
            stockNews?.tell(row);
          },
          onJoined: (membership) => {
            shardNews?.attach(membership);
            stockNews?.watch(membership);
          },
          report: (event, detail) => (ORDINARY.has(event) ? log.info(detail, event) : log.warn(detail, event)),
        },
        leaving,
      ),
    // Whoever has taken over the embedded database is a stranger.
    rejoins: storage.embedded === null,
    onFatal,
    log,
  });
  await actors.start();
  closers.push(() => actors.end(DRAIN_MS));
  closers.push(publishStatus(bus, actors));
  if (storage.embedded !== null && (await isCatalogueEmpty(db))) {
    await seedDemo(actors, (data) => seedCatalogue(db, data));
    await catalogue.refresh();
  }
  const jobs = await startJobs({
    storage,
    redisUrl: config.redisUrl,
    clusterId: config.clusterId,
    // A job may run twice as it is, so its commands may be decided twice.
    ask: (ref, command) => actors.ask(ref, command, { repeatable: true }),
    provider,
    subjects,
    mailer: openMailer({ smtpUrl: config.smtpUrl ?? undefined, directory: `${storage.dataDir}/mail` }),
    removeCart: async (cartId, outboxId) => {
      await actors.serving.perform({ type: 'cart', id: cartId }, CART_HISTORY, outboxId);
    },
    now: () => clock.now(),
    log,
  });
  closers.push(() => jobs.close());

  // The edge.
  const adminKeys = new AdminKeys(secrets.adminKey);
  const app: App = {
    system: actors,
    clock,
    catalogue,
    pricing,
    stock,
    subjects: subjectsOf(subjects),
    readSide: readSideOf(db),
    jobs: jobs.admin,
    cluster: clusterAccess(database, config.nodeId, actors),
    tokens: new CartTokens(secrets.tokenSecrets),
    operators: adminKeys,
    cursorSecrets: secrets.tokenSecrets,
    notices: config.paymentWebhookSecrets.length === 0 ? null : new NoticeVerifier(config.paymentWebhookSecrets),
    adminAnswers: adminAnswersOf(db),
    newId: (prefix) => `${prefix}_${uuidv7()}`,
    productImage,
    audit: auditLog(db),
    settings: { checkoutWaitMs: CHECKOUT_WAIT_MS },
  };
  const metrics = new Metrics();
  metrics.registerStats('actors', () => actors.stats);
  metrics.registerStats('stages', () => stages.stats);
  registerClusterMetrics(metrics, bus, actors);
  if (stockNews !== null) metrics.registerStats('stock_news', () => ({ ...stockNews.stats }));
  if (bus !== null) metrics.registerStats('bus', () => ({ ...bus.stats }));
  metrics.registerStats('pricing', () => ({ ...pool.stats }));
  const feedRule = config.rateLimits === 'off' ? undefined : config.rateLimits.feed;
  const feedLimiter = feedRule === undefined ? null : new RateLimiter('feed', feedRule);
  const feed = createFeed({
    stock,
    skuExists: (sku) => catalogue.product(sku) !== undefined,
    clock,
    log,
    allowedOrigins: config.corsOrigins,
    proxies: new TrustedProxies(config.trustedProxies),
    admit: (network) => feedLimiter?.check(network, clock.monotonic()) ?? null,
  });
  metrics.registerStats('feed', () => ({ ...feed.stats }));
  let draining = false;
  const edges = await openEdges({
    config,
    version,
    clock,
    log,
    routes: allRoutes(app),
    feed,
    metrics,
    stages,
    adminKeys,
    ready: () => {
      const reasons = [...(draining ? ['draining'] : []), ...actors.reasonsNotToServe()];
      return { ready: reasons.length === 0, reasons };
    },
  });
  closers.push(() => edges.close());
  const notes: string[] = [];
  if (edges.operatorsUrl !== null) notes.push(`operators: ${edges.operatorsUrl}`);
  if (storage.embedded !== null)
    notes.push(`data and secrets: ${storage.dataDir} (the operators' key is in admin-key.secret)`);
  if (sandbox !== null) notes.push(`sandbox payment provider: ${sandbox.url}`);

  return {
    url: edges.url,
    notes,
    async stop() {
      draining = true;
      // While it still listens: what comes is brought to those who have the shards by then.
      await actors.giveAll(GIVE_ALL_MS).catch(warn('not all shards could be given away'));
      await edges.drain(DRAIN_MS);
      await closeAll();
    },
  };
}

/** Rejects with one line where Redis cannot be used, or the cluster's id is another database's there. */
async function openBus(config: Config, storage: Storage, clock: SystemClock, log: Logger): Promise<RedisBus> {
  // With a reason it was lost; the rest is as it should be.
  const report = (event: string, detail: object) =>
    'reason' in detail ? log.warn(detail, event) : log.info(detail, event);
  const bus = await openRedisBus({ url: config.redisUrl ?? '', clusterId: config.clusterId, clock, report });
  try {
    await bus.claimClusterId(storage.databaseId);
    return bus;
  } catch (error) {
    await bus.close();
    throw error;
  }
}

/** The command line's file, beside which this module was built. */
function entryPoint(): string {
  return fileURLToPath(new URL('../stampede.js', import.meta.url));
}
