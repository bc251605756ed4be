/** Operators' calls are written to the audit log with their outcome, before the answer leaves. */
import type { App } from '../app.ts';
import { faulting } from '../database-fault.ts';
import { Later } from '../later.ts';
import { faultReply } from '../problem.ts';
import type { AnyRoute, EdgeReply } from '../route.ts';

/** The route, telling the audit log of each call that reached it. Where there is no log, the route itself. */
export function audited(app: App, route: AnyRoute): AnyRoute {
  const { audit } = app;
  if (audit === undefined) return route;
  const { operationId: operation } = route;
  const write = faulting(async (path: string, clientIp: string, status: number) =>
    audit({ operation, path, status, clientIp, at: app.clock.now() }),
  );
  return {
    ...route,
    async handle(request): Promise<EdgeReply> {
      // asked for while the connection is surely there
      const { path, clientIp } = request;
      let reply: EdgeReply;
      try {
        const given = route.handle(request);
        reply = await (given instanceof Later ? given.promise() : given);
      } catch (thrown) {
        await write(path, clientIp, faultReply(thrown).status);
        throw thrown;
      }
      await write(path, clientIp, reply.status);
      return reply;
    },
  };
}
