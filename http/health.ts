/** What watches the process: `/healthz` (it lives), `/readyz` (it can serve), `/metrics` (Prometheus). Never rate-limited. */
import type { Metrics } from './metrics.ts';
import { problem } from './problem.ts';
import type { EdgeReply } from './reply.ts';
import { type AnyRoute, route } from './route.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Why not, in words without host names or queries. */
  readonly reasons: readonly string[];
}

export function healthRoutes(ready: () => Readiness): AnyRoute[] {
  return [
    probe('/healthz', 'health', () => ({ status: 200, body: { status: 'ok' } })),
    probe('/readyz', 'readiness', () => {
      const { ready: isReady, reasons } = ready();
      if (isReady) return { status: 200, body: { status: 'ready' } };
      return problem('not_ready', { extra: { reasons } });
    }),
  ];
}

/** A table of its own, as `/metrics` moves to the operators' port where there is one. */
export function metricsRoutes(metrics: Metrics): AnyRoute[] {
  return [
    probe('/metrics', 'metrics', async () => ({
      status: 200,
      headers: { 'content-type': metrics.contentType },
      body: await metrics.text(),
    })),
  ];
}

function probe(path: string, operationId: string, reply: () => EdgeReply | Promise<EdgeReply>): AnyRoute {
  return route({
    method: 'GET',
    path,
    operationId,
    summary: 'A probe.',
    tag: 'probes',
    access: 'none',
    limit: 'unlimited',
    hidden: true,
    responses: { 200: { description: 'The state.' } },
    handle: reply,
  });
}
