/** Operators' calls are written to the audit log with their outcome. */
import type { App } from '../app.ts';
import { faultReply } from '../problem.ts';
import type { AnyRoute, EdgeReply, EdgeRequest } from '../route.ts';

/** The route, telling the audit log of each call that reached it. Where there is no log, the route itself. */
export function audited(app: App, route: AnyRoute): AnyRoute {
  const { audit } = app;
  if (audit === undefined) return route;
  const tell = (request: EdgeRequest, status: number) =>
    audit({
      operation: route.operationId,
      path: request.path,
      status,
      clientIp: request.clientIp,
      at: app.clock.now(),
    });
  return {
    ...route,
    async handle(request): Promise<EdgeReply> {
      let reply: EdgeReply;
      try {
        reply = await route.handle(request);
      } catch (thrown) {
        await tell(request, faultReply(thrown).status);
        throw thrown;
      }
      await tell(request, reply.status);
      return reply;
    },
  };
}
