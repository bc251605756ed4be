/**
 * The coupon actor: decides whether one more use of a coupon is within its limit. It relies on `coupon-state.ts` for what its
 * events change, and promises that held and confirmed uses together never go beyond the limit that a `hold` came with, and that
 * no order of commands, however late or often they come, counts a use twice or loses one.
 *
 * A `hold` that is refused leaves no trace (a coupon that is used up refuses thousands a second); the order releases what it was
 * refused as well, and so bars the same message where it should be delivered once more after another use came back.
 */
import type { ActorType, DecideContext, Decision, RuntimeCommand } from '../runtime/actor.ts';
import { invariant } from '../runtime/fault.ts';
import type { CouponCommand, CouponRefusal, CouponReply } from './coupon-protocol.ts';
import {
  applyCoupon,
  type CouponEvent,
  type CouponState,
  initialCoupon,
  restoreCoupon,
  SERIALS_MAX,
  snapshotCoupon,
} from './coupon-state.ts';

export type { CouponCommand, CouponRefusal, CouponReply, CouponUsage } from './coupon-protocol.ts';
export { couponCustomer } from './coupon-protocol.ts';
export type { CouponEvent, CouponState } from './coupon-state.ts';

type CouponDecision = Decision<CouponEvent, CouponReply>;
type Of<Kind extends CouponCommand['kind']> = Extract<CouponCommand, { kind: Kind }>;

const DONE: CouponReply = { ok: true, kind: 'done' };

function refuse(code: CouponRefusal): CouponDecision {
  return { reply: { ok: false, code } };
}

function done(event: CouponEvent): CouponDecision {
  return { events: [event], reply: DONE };
}

function holding(serial: number): CouponReply {
  return { ok: true, kind: 'hold', serial };
}

function takeHold(state: CouponState, { orderId, limit, notAfter }: Of<'hold'>, at: number): CouponDecision {
  invariant(limit === null || Number.isSafeInteger(limit), 'a limit is a whole number');
  const ended = state.tombstones.get(orderId);
  const known = state.holds.get(orderId) ?? ended?.serial ?? undefined;
  if (known !== undefined) return { reply: holding(known) };
  if (ended !== undefined || at > notAfter) return refuse('hold_gone');
  const taken = state.holds.size + state.uses.count;
  const serial = state.nextSerial;
  if ((limit !== null && taken >= limit) || serial >= SERIALS_MAX) return refuse('used_up');
  return { events: [{ kind: 'held', at, orderId, serial }], reply: holding(serial) };
}

function confirm(state: CouponState, { orderId, serial }: Of<'confirm'>, at: number): CouponDecision {
  if (state.holds.get(orderId) === serial) return done({ kind: 'confirmed', at, orderId });
  return state.uses.has(serial) ? { reply: DONE } : refuse('hold_gone');
}

function release(state: CouponState, { orderId, serial }: Of<'release'>, at: number): CouponDecision {
  if (state.holds.has(orderId)) return done({ kind: 'released', at, orderId });
  if (serial !== null && state.uses.has(serial)) return done({ kind: 'given_back', at, orderId, serial });
  if (state.tombstones.has(orderId)) return { reply: DONE };
  return done({ kind: 'barred', at, orderId });
}

function decideCoupon(state: CouponState, command: CouponCommand | RuntimeCommand, ctx: DecideContext): CouponDecision {
  switch (command.kind) {
    case 'get': {
      const usage = { id: state.id, held: state.holds.size, used: state.uses.count, version: ctx.seq };
      return { reply: { ok: true, kind: 'usage', usage } };
    }
    case 'hold':
      return takeHold(state, command, ctx.now);
    case 'confirm':
      return confirm(state, command, ctx.now);
    case 'release':
      return release(state, command, ctx.now);
    default:
      return {};
  }
}

export const coupon: ActorType<CouponState, CouponCommand, CouponEvent, CouponReply> = {
  type: 'coupon',
  carried: true,
  eventVersion: 1,
  initial: initialCoupon,
  decide: decideCoupon,
  apply: applyCoupon,
  snapshot: snapshotCoupon,
  restore: restoreCoupon,
};
