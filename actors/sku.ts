/**
 * The sku actor: decides who gets one sku's units. It relies on `sku-holds.ts` for what its events change, and promises
 * that no order of commands, however late or often they come, sells a unit twice or loses one.
 *
 * Each decision first takes the holds whose time is over off (`expired`), so an answer never rests on one of them, and
 * units are back on the shelf in the very decision that asks for them. The owner is told by a message that is repeated
 * until it is acknowledged. A first `hold` that is refused leaves no trace (a sold-out sku refuses thousands a second):
 * should the very same message be delivered once more after stock came back and before its `notAfter`, it strands units for
 * one lifetime at most, and the cart ignores the news of their end; an order releases what it was refused as well.
 */
import type { ActorType, DecideContext, Decision, Effect, RuntimeCommand } from '../runtime/actor.ts';
import { invariant } from '../runtime/fault.ts';
import type { HoldExpiredMessage } from './cart-protocol.ts';
import {
  applySku,
  availableOf,
  dueHolds,
  type EndReason,
  type Hold,
  initialSku,
  restoreSku,
  returnKey,
  type SkuEvent,
  type SkuState,
  snapshotSku,
} from './sku-holds.ts';
import type { SkuCommand, SkuRefusal, SkuReply, StockLevel } from './sku-protocol.ts';

export type { SkuEvent, SkuState } from './sku-holds.ts';
export type { SkuCommand, SkuRefusal, SkuReply, StockLevel } from './sku-protocol.ts';

/** Neither one adjustment nor the stock on hand goes beyond this. */
export const STOCK_MAX = 1_000_000_000;
/** Owners told of expired holds at one time; the next ones follow as these acknowledge. */
export const NOTICES_AT_ONCE = 64;

type SkuDecision = Decision<SkuEvent, SkuReply>;
const DONE: SkuReply = { ok: true, kind: 'done' };
const NO_EFFECTS: readonly Effect[] = [];
const NOTHING: SkuDecision = {};

/** The state as it is at `now`: holds whose time is over are seen as ended, before any event says so. */
class View {
  readonly state: SkuState;
  readonly now: number;
  readonly available: number;
  readonly #due: ReturnType<typeof dueHolds>;

  constructor(state: SkuState, now: number) {
    this.state = state;
    this.now = now;
    this.#due = dueHolds(state, now);
    this.available = availableOf(state) + (this.#due?.quantity ?? 0);
  }

  hold(holdId: string): Hold | undefined {
    return this.#due?.ids.has(holdId) ? undefined : this.state.holds.get(holdId);
  }

  ended(key: string): EndReason | undefined {
    return this.#due?.ids.has(key) ? 'expired' : this.state.tombstones.get(key)?.why;
  }

  decide(reply: SkuReply, ...events: readonly SkuEvent[]): SkuDecision {
    if (this.#due === null) return events.length === 0 ? { reply } : { events, reply };
    return { events: [{ kind: 'expired', at: this.now }, ...events], reply };
  }

  refuse(code: Exclude<SkuRefusal, 'out_of_stock'>): SkuDecision {
    return this.decide({ ok: false, code });
  }

  /** For a hold that is not there (any more), or is another's. */
  refuseGone(holdId: string): SkuDecision {
    return this.refuse(this.ended(holdId) === 'expired' ? 'hold_expired' : 'hold_gone');
  }

  soldOut(...events: readonly SkuEvent[]): SkuDecision {
    return this.decide({ ok: false, code: 'out_of_stock', available: this.available }, ...events);
  }

  holding(holdId: string, hold: Pick<Hold, 'quantity' | 'expiresAt'>, ...events: readonly SkuEvent[]): SkuDecision {
    const { quantity, expiresAt } = hold;
    return this.decide({ ok: true, kind: 'hold', holdId, quantity, expiresAt }, ...events);
  }
}

function stockLevel(state: SkuState, seq: number, released = 0): StockLevel {
  return {
    sku: state.id,
    onHand: state.onHand,
    held: state.held - released,
    allocated: state.allocated,
    available: availableOf(state) + released,
    version: seq,
  };
}

/** The level after the holds that are due have ended and, where given, after an adjustment. */
function showStock(view: View, ctx: DecideContext, delta: number, ...events: readonly SkuEvent[]): SkuDecision {
  const decision = view.decide(DONE, ...events);
  const level = stockLevel(
    view.state,
    ctx.seq + (decision.events?.length ?? 0),
    view.available - availableOf(view.state),
  );
  const stock = { ...level, onHand: level.onHand + delta, available: level.available + delta };
  return { ...decision, reply: { ok: true, kind: 'stock', stock } };
}

function adjust(view: View, command: Extract<SkuCommand, { kind: 'adjust' }>, ctx: DecideContext): SkuDecision {
  const { delta, reason } = command;
  invariant(Number.isSafeInteger(delta), 'a stock adjustment is a whole number');
  if (view.available + delta < 0) return view.refuse('stock_negative');
  if (Math.abs(delta) > STOCK_MAX || view.state.onHand + delta > STOCK_MAX) return view.refuse('stock_limit');
  if (delta === 0) return showStock(view, ctx, 0);
  return showStock(view, ctx, delta, { kind: 'adjusted', at: view.now, delta, reason });
}

function takeHold(view: View, command: Extract<SkuCommand, { kind: 'hold' }>): SkuDecision {
  const { holdId, owner, rev, quantity, ttlMs, notAfter = Infinity } = command;
  invariant(Number.isSafeInteger(quantity) && quantity > 0, 'a hold is of a whole number of units, at least one');
  const hold = view.hold(holdId);
  const at = view.now;
  if (hold === undefined) {
    if (view.ended(holdId) !== undefined || at > notAfter) return view.refuseGone(holdId);
    if (quantity > view.available) return view.soldOut();
    const expiresAt = ttlMs === null ? null : at + ttlMs;
    return view.holding(holdId, { quantity, expiresAt }, { kind: 'held', at, holdId, owner, rev, quantity, expiresAt });
  }
  if (hold.owner !== owner) return view.refuse('hold_gone');
  if (hold.status !== 'held' || rev <= hold.rev) {
    // The same request again after it was refused: it is still refused, its `rev` is spent.
    if (rev === hold.rev && quantity !== hold.quantity) return view.soldOut();
    return view.holding(holdId, hold);
  }
  if (quantity - hold.quantity > view.available) {
    return view.soldOut({ kind: 'resized', at, holdId, rev, quantity: hold.quantity });
  }
  return view.holding(holdId, { quantity, expiresAt: hold.expiresAt }, { kind: 'resized', at, holdId, rev, quantity });
}

function adopt(view: View, command: Extract<SkuCommand, { kind: 'adopt' }>): SkuDecision {
  const { holdId, cartId, orderId, notAfter = Infinity } = command;
  const hold = view.hold(holdId);
  if (hold === undefined) return view.refuseGone(holdId);
  if (hold.owner === orderId) return view.holding(holdId, hold);
  // A late `adopt` of an order that has given this hold back must not take it from the cart's next order.
  if (hold.owner !== cartId || hold.status !== 'held') return view.refuse('hold_gone');
  if (view.ended(returnKey(holdId, orderId)) !== undefined || view.now > notAfter) return view.refuse('hold_gone');
  return view.holding(holdId, hold, { kind: 'pinned', at: view.now, holdId, owner: orderId });
}

function pin(view: View, command: Extract<SkuCommand, { kind: 'pin' }>): SkuDecision {
  const { holdId, owner } = command;
  const hold = view.hold(holdId);
  if (hold === undefined || hold.owner !== owner) return view.refuseGone(holdId);
  if (hold.status !== 'held') return view.holding(holdId, hold);
  return view.holding(holdId, hold, { kind: 'pinned', at: view.now, holdId, owner });
}

function confirm(view: View, command: Extract<SkuCommand, { kind: 'confirm' }>): SkuDecision {
  const { holdId, owner } = command;
  const hold = view.hold(holdId);
  if (hold === undefined) return view.ended(holdId) === 'shipped' ? view.decide(DONE) : view.refuseGone(holdId);
  if (hold.owner !== owner) return view.refuse('hold_gone');
  if (hold.status === 'confirmed') return view.decide(DONE);
  return view.decide(DONE, { kind: 'confirmed', at: view.now, holdId });
}

function release(view: View, command: Extract<SkuCommand, { kind: 'release' }>): SkuDecision {
  const { holdId, owner } = command;
  const hold = view.hold(holdId);
  if (hold === undefined) {
    if (view.ended(holdId) !== undefined) return view.decide(DONE);
    return view.decide(DONE, { kind: 'barred', at: view.now, key: holdId });
  }
  // Another owns it by now: this release is late, and what it meant has happened.
  if (hold.owner !== owner) return view.decide(DONE);
  return view.decide(DONE, { kind: 'released', at: view.now, holdId });
}

function giveBack(view: View, command: Extract<SkuCommand, { kind: 'return' }>): SkuDecision {
  const { holdId, orderId, cartId } = command;
  const at = view.now;
  const hold = view.hold(holdId);
  const gone: SkuReply = { ok: true, kind: 'returned', returned: false, expiresAt: null };
  if (hold === undefined) {
    if (view.ended(holdId) !== undefined) return view.decide(gone);
    return view.decide(gone, { kind: 'barred', at, key: holdId });
  }
  const kept: SkuReply = { ok: true, kind: 'returned', returned: true, expiresAt: hold.expiresAt };
  if (hold.owner === orderId) {
    if (hold.expiresAt === null || hold.expiresAt <= at) return view.decide(gone, { kind: 'released', at, holdId });
    return view.decide(kept, { kind: 'returned', at, holdId, orderId, cartId });
  }
  if (view.ended(returnKey(holdId, orderId)) !== undefined) return view.decide(kept);
  // This order never got it: its `adopt` may still be on the way and must find the door closed.
  return view.decide(hold.owner === cartId ? kept : gone, { kind: 'barred', at, key: returnKey(holdId, orderId) });
}

function ship(view: View, command: Extract<SkuCommand, { kind: 'ship' }>): SkuDecision {
  const { holdId, owner } = command;
  const hold = view.hold(holdId);
  if (hold === undefined) return view.ended(holdId) === 'shipped' ? view.decide(DONE) : view.refuseGone(holdId);
  if (hold.owner !== owner || hold.status !== 'confirmed') return view.refuse('hold_gone');
  return view.decide(DONE, { kind: 'shipped', at: view.now, holdId });
}

function decideSku(state: SkuState, command: SkuCommand | RuntimeCommand, ctx: DecideContext): SkuDecision {
  const view = new View(state, ctx.now);
  switch (command.kind) {
    case 'get':
      return showStock(view, ctx, 0);
    case 'adjust':
      return adjust(view, command, ctx);
    case 'hold':
      return takeHold(view, command);
    case 'adopt':
      return adopt(view, command);
    case 'pin':
      return pin(view, command);
    case 'confirm':
      return confirm(view, command);
    case 'release':
      return release(view, command);
    case 'return':
      return giveBack(view, command);
    case 'ship':
      return ship(view, command);
    case '$wake':
      return { events: view.decide(DONE).events ?? [] };
    case '$outcome': {
      const holdId = command.effectId.slice('expired:'.length);
      if (!state.notices.has(holdId)) return NOTHING;
      return { events: view.decide(DONE, { kind: 'notified', at: ctx.now, holdId }).events ?? [] };
    }
  }
}

function pendingNotices(state: SkuState): readonly Effect[] {
  if (state.notices.size === 0) return NO_EFFECTS;
  const effects: Effect[] = [];
  for (const [holdId, cartId] of state.notices) {
    if (effects.length === NOTICES_AT_ONCE) break;
    const command: HoldExpiredMessage = { kind: 'hold_expired', holdId };
    effects.push({ id: `expired:${holdId}`, kind: 'send', to: { type: 'cart', id: cartId }, command });
  }
  return effects;
}

export const sku: ActorType<SkuState, SkuCommand, SkuEvent, SkuReply> = {
  type: 'sku',
  carried: true,
  eventVersion: 1,
  initial: initialSku,
  decide: decideSku,
  apply: applySku,
  snapshot: snapshotSku,
  restore: restoreSku,
  pending: pendingNotices,
  wakeAt: (state) => state.dues.peek()?.at ?? null,
  project: (id, state, _events, seq) => {
    const { onHand, held, allocated, available } = stockLevel(state, seq);
    return [{ table: 'stock', key: id, version: seq, doc: { onHand, held, allocated, available } }];
  },
};
