/**
 * A node's doors: the shoppers' port and, where there is one, the operators' on loopback. Both are made of the one table of routes; what
 * operators call is on the second where there is a second, and nowhere else.
 */
import type { Clock } from '../runtime/clock.ts';
import type { Stages } from '../runtime/stages.ts';
import type { Config } from './config.ts';
import type { EdgeLog } from './dispatch.ts';
import { docsRoutes } from './docs.ts';
import { createEdge, type Edge } from './edge.ts';
import type { Feed, FeedLog } from './feed.ts';
import { healthRoutes, metricsRoutes, type Readiness } from './health.ts';
import type { Metrics } from './metrics.ts';
import type { AnyRoute } from './route.ts';
import type { AdminKeys } from './tokens.ts';

export interface EdgesOptions {
  readonly config: Config;
  readonly version: string;
  readonly clock: Clock;
  readonly log: EdgeLog & FeedLog;
  readonly routes: readonly AnyRoute[];
  readonly feed: Feed;
  readonly metrics: Metrics;
  readonly stages: Stages;
  readonly adminKeys: AdminKeys;
  readonly ready: () => Readiness;
}

export interface Edges {
  /** Of the shoppers' port. */
  readonly url: string;
  /** Of the operators' port; null: there is none of its own. */
  readonly operatorsUrl: string | null;
  /**
   * Stops listening, ends the feed's sockets, answers what was accepted with `Connection: close`. Resolves when that is done, or after
   * `graceMs`.
   */
  drain(graceMs: number): Promise<void>;
  close(): void;
}

/** Listens. Rejects with one line where it cannot. */
export async function openEdges(options: EdgesOptions): Promise<Edges> {
  const { config, version, routes, feed, metrics } = options;
  const isOperators = (route: AnyRoute) => route.path.startsWith('/v1/admin');
  const probes = healthRoutes(options.ready);
  const split = config.opsPort !== null;
  const shown = split ? routes.filter((route) => !isOperators(route)) : routes;
  const main = edge(
    options,
    [...shown, ...docsRoutes(shown, { version }), ...probes, ...(split ? [] : metricsRoutes(metrics))],
    (native) => feed.attach(native),
    !config.sharedPort,
  );
  metrics.registerStats('edge', () => ({ ...main.stats }));
  const open = [main];
  const close = () => {
    for (const one of open) one.close();
  };
  try {
    const port = await main.listen(config.host, config.port);
    let operatorsUrl: string | null = null;
    if (config.opsPort !== null) {
      const operators = routes.filter(isOperators);
      const table = [...operators, ...docsRoutes(operators, { version }), ...probes, ...metricsRoutes(metrics)];
      const ops = edge(options, table, undefined, true);
      open.push(ops);
      operatorsUrl = `http://127.0.0.1:${await ops.listen('127.0.0.1', config.opsPort)}`;
    }
    return {
      url: `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`,
      operatorsUrl,
      async drain(graceMs) {
        // Listening ends first: a socket that the feed sends away should not find its way back here.
        const drained = open.map((one) => one.drain(graceMs));
        await feed.close();
        await Promise.all(drained);
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function edge(
  { config, clock, log, metrics, stages, adminKeys }: EdgesOptions,
  routes: readonly AnyRoute[],
  attach: Parameters<typeof createEdge>[0]['attach'],
  exclusive: boolean,
): Edge {
  return createEdge({
    routes,
    rateLimits: config.rateLimits,
    log,
    clock,
    corsOrigins: config.corsOrigins,
    trustedProxies: config.trustedProxies,
    adminKeys,
    metrics,
    stages,
    ...(attach === undefined ? {} : { attach }),
    exclusive,
  });
}
