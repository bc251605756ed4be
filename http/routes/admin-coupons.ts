/**
 * How much of a coupon is used, as operators see it: asked of the actor that counts. Numbers only: whose uses they are is known to nobody,
 * and the uses of each customer are counted apart, under a name that says nothing of the person.
 */
import type { CouponCommand, CouponReply } from '../../actors/coupon-protocol.ts';
import { invariant } from '../../runtime/fault.ts';
import { type Coupon, couponCode } from '../../schema/coupon.ts';
import type { App } from '../app.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, route } from '../route.ts';
import { CouponParams, CouponUsage } from '../schemas-admin.ts';

export function adminCouponRoutes(app: App): AnyRoute[] {
  const usage = route({
    method: 'GET',
    path: '/v1/admin/coupons/{code}/usage',
    operationId: 'adminGetCouponUsage',
    summary: 'How much of a coupon is used',
    tag: 'admin: pricing',
    access: 'viewer',
    limit: 'admin',
    params: CouponParams,
    responses: { 200: { description: 'The uses, as of this moment.', schema: CouponUsage } },
    problems: ['not_found'],
    handle: (request) => usageOf(app, couponCode(request.params.code)),
  });
  return [usage];
}

async function usageOf(app: App, code: string): Promise<EdgeReply> {
  const coupon = app.catalogue.rules.get('coupon', code)?.doc as Coupon | undefined;
  // what no coupon is called wakes no actor
  if (coupon === undefined) return problem('not_found');
  const { total: limit = null, perCustomer: limitPerCustomer = null } = coupon.limits ?? {};
  const body = { code, limit, limitPerCustomer, ...(limit === null ? UNCOUNTED : await counted(app, code, limit)) };
  return { status: 200, headers: { 'cache-control': 'no-store' }, body };
}

const UNCOUNTED = { held: null, used: null, taken: null, remaining: null };

async function counted(app: App, code: string, limit: number): Promise<Record<keyof typeof UNCOUNTED, number>> {
  const command: CouponCommand = { kind: 'get' };
  const reply = (await app.system.ask({ type: 'coupon', id: code }, command, { repeatable: true })) as CouponReply;
  invariant(reply.ok && reply.kind === 'usage', 'a coupon tells its usage');
  const { held, used } = reply.usage;
  const taken = held + used;
  return { held, used, taken, remaining: Math.max(0, limit - taken) };
}
