/**
 * What is changed in an open cart: lines, coupons, destination, shipping, exemption from taxes; and the stock held for lines whose sku
 * says so. Relies on `cart.ts` to have checked that the cart is open, that no hold is being asked for, and `If-Match`.
 *
 * A hold is asked for before the line changes: `hold_wanted` is journaled, the sku answers, and only then the line is
 * set and the caller answered. (Simpler: set the line first and take it back where the sku refuses; a shopper, or a
 * checkout, could see units that nobody holds.) A smaller quantity and a removal need no leave: the line changes at
 * once, and the sku is told until it has answered.
 *
 * Where the sku is at hand and the call has no key, it is asked within the decision (`Consultation`), and all of that is one event,
 * `hold_added` or `hold_grown`.
 */
import type { DecideContext, Decision, Effect } from '../runtime/actor.ts';
import { invariant } from '../runtime/fault.ts';
import type { LockedPrice, TaxExemption } from '../workers/quote.ts';
import type { CartEvent } from './cart-events.ts';
import type { CartEdit, CartRefusal, CartReply } from './cart-protocol.ts';
import { type CartLine, type CartState, isLive, lineOfHold, type WantedHold } from './cart-state.ts';
import type { SkuCommand, SkuReply } from './sku-protocol.ts';

export type CartDecision = Decision<CartEvent, CartReply>;
type Refusal = Extract<CartReply, { ok: false }>;

export const LINES_MAX = 200;
export const QUANTITY_MAX = 999;
export const COUPONS_MAX = 10;
/** How long the cart waits for a sku before it gives the request up; longer than any caller waits. */
export const HOLD_GIVE_UP_MS = 30_000;
/** The first version that has `hold_added` and `hold_grown`. */
const AT_ONCE_VERSION = 4;

export const CART: CartReply = { ok: true, kind: 'cart' };

export function refuse(code: CartRefusal, more: Omit<Refusal, 'ok' | 'code'> = {}): CartDecision {
  return { reply: { ok: false, code, ...more } };
}

function change(event: CartEvent): CartDecision {
  return { events: [event], reply: CART };
}

const UNCHANGED: CartDecision = { reply: CART };

interface HoldTerms {
  readonly sku: string;
  readonly quantity: number;
  readonly maxPerOrder: number | null;
  readonly ttlMs: number;
  readonly price: LockedPrice | undefined;
}

function wantHold(state: CartState, line: CartLine | undefined, terms: HoldTerms, ctx: DecideContext): CartDecision {
  const { now } = ctx;
  if (line === undefined) {
    const cooldown = state.cooldowns.find((other) => other.sku === terms.sku && other.until > now);
    if (cooldown !== undefined) return refuse('hold_cooldown', { retryAfterMs: cooldown.until - now });
  }
  const live = isLive(line?.hold, now) ? line.hold : null;
  const holdId = live?.id ?? ctx.newId('hold');
  const rev = live === null ? 1 : live.rev + 1;
  const token = `${holdId}:${rev}`;
  const { sku, quantity, maxPerOrder, ttlMs, price } = terms;
  const lineId = line?.id ?? ctx.newId('lin');
  const giveUpAt = now + HOLD_GIVE_UP_MS;
  const key = ctx.key ?? null;
  const wanted: WantedHold = priced(
    { token, key, lineId, sku, holdId, rev, quantity, maxPerOrder, ttlMs, retried: false, giveUpAt },
    price,
  );
  const events: CartEvent[] = [{ kind: 'hold_wanted', at: now, wanted }];
  // A line whose smaller quantity is still on its way to the sku is settled first: that is between more than these two events.
  const unsettled = line !== undefined && isUnsettled(line);
  if (ctx.key !== undefined || ctx.version < AT_ONCE_VERSION || unsettled) return { events, park: token };
  const until = live?.expiresAt ?? null;
  const instead = (reply: unknown): CartDecision | null => atOnce(wanted, until, reply as SkuReply, now);
  const consult = { to: { type: 'sku', id: wanted.sku }, command: holdOf(wanted, state.id), instead };
  return { events, park: token, consult };
}

/** With the price where there is one, into the object just made: to spread several of them for each add was the dearest part of it. */
function priced<T extends object>(made: T, price: LockedPrice | undefined): T & { readonly price?: LockedPrice } {
  return price === undefined ? made : Object.assign(made, { price });
}

/**
 * What is decided where the sku has answered within the decision; null: as if it had not been asked.
 * @param until the end of the hold that should grow; null: there is none
 */
function atOnce(wanted: WantedHold, until: number | null, reply: SkuReply, at: number): CartDecision | null {
  if (granted(wanted, reply)) {
    const { lineId, sku, holdId, rev, quantity, maxPerOrder, ttlMs, price } = wanted;
    const { expiresAt } = reply;
    if (until === null) {
      return change(
        priced(
          { kind: 'hold_added' as const, at, expiresAt, lineId, sku, holdId, rev, quantity, maxPerOrder, ttlMs },
          price,
        ),
      );
    }
    if (expiresAt !== until) return null;
    return change(priced({ kind: 'hold_grown' as const, at, lineId, rev, quantity, maxPerOrder, ttlMs }, price));
  }
  if (reply.ok || reply.code !== 'out_of_stock') return null;
  const refused = refuse('out_of_stock', { skus: [wanted.sku] });
  // A first hold that is refused leaves no trace at the sku. One that should grow spends its `rev` there, and here.
  if (until === null) return refused;
  const events: CartEvent[] = [
    { kind: 'hold_wanted', at, wanted },
    { kind: 'hold_refused', at },
  ];
  return { ...refused, events };
}

type Granted = Extract<SkuReply, { kind: 'hold' }> & { readonly expiresAt: number };

function granted(wanted: WantedHold, reply: SkuReply): reply is Granted {
  return reply.ok && reply.kind === 'hold' && reply.quantity === wanted.quantity && reply.expiresAt !== null;
}

function holdOf({ holdId, rev, quantity, ttlMs, giveUpAt }: WantedHold, owner: string): SkuCommand {
  return { kind: 'hold', holdId, owner, rev, quantity, ttlMs, notAfter: giveUpAt };
}

function overLimit(quantity: number, maxPerOrder: number | null): boolean {
  return quantity > QUANTITY_MAX || (maxPerOrder !== null && quantity > maxPerOrder);
}

function addLine(state: CartState, command: Extract<CartEdit, { kind: 'add_line' }>, ctx: DecideContext): CartDecision {
  const { product } = command;
  const { sku, maxPerOrder } = product;
  invariant(Number.isSafeInteger(command.quantity) && command.quantity > 0, 'an added quantity is at least 1');
  if (!product.currencies.includes(state.currency)) return refuse('price_unavailable', { skus: [sku] });
  const line = state.lines.find((other) => other.sku === sku);
  const quantity = (line?.quantity ?? 0) + command.quantity;
  if (overLimit(quantity, maxPerOrder)) return refuse('limit_reached', { skus: [sku] });
  if (line === undefined && state.lines.length >= LINES_MAX) return refuse('cart_full');
  // Units that are held stay held, also where the sku has since become one that is held at checkout.
  const kept = line !== undefined && isLive(line.hold, ctx.now) ? line.holdTtlMs : null;
  const ttlMs = product.holdAt === 'cart' ? product.holdTtlMs : kept;
  if (ttlMs !== null) {
    const price = command.price ?? product.prices?.[state.currency];
    return wantHold(state, line, { sku, quantity, maxPerOrder, ttlMs, price }, ctx);
  }
  const lineId = line?.id ?? ctx.newId('lin');
  return change({ kind: 'line_set', at: ctx.now, lineId, sku, quantity, maxPerOrder });
}

function removeLine(line: CartLine, ctx: DecideContext): CartDecision {
  const held = isLive(line.hold, ctx.now) ? line.hold : null;
  const cooldownUntil = held === null || line.holdTtlMs === null ? null : ctx.now + line.holdTtlMs;
  return change({
    kind: 'line_removed',
    at: ctx.now,
    lineId: line.id,
    releaseHoldId: held?.id ?? null,
    cooldownUntil,
  });
}

function setQuantity(
  state: CartState,
  line: CartLine,
  { quantity, price }: Extract<CartEdit, { kind: 'set_quantity' }>,
  ctx: DecideContext,
): CartDecision {
  invariant(Number.isSafeInteger(quantity) && quantity >= 0, 'a quantity is a whole number, not negative');
  if (quantity === 0) return removeLine(line, ctx);
  const { id: lineId, sku, maxPerOrder, holdTtlMs: ttlMs } = line;
  const live = isLive(line.hold, ctx.now);
  if (quantity === line.quantity && (ttlMs === null || live)) return UNCHANGED;
  // Going down is always allowed, also from above a limit that was lowered since.
  if (quantity > line.quantity && overLimit(quantity, maxPerOrder)) return refuse('limit_reached', { skus: [sku] });
  if (ttlMs === null) return change({ kind: 'line_set', at: ctx.now, lineId, sku, quantity, maxPerOrder });
  if (live && quantity < line.quantity) return change({ kind: 'line_lowered', at: ctx.now, lineId, quantity });
  return wantHold(state, line, { sku, quantity, maxPerOrder, ttlMs, price }, ctx);
}

/** By the line's id, or by a sku that is on one line only. */
function onLine(state: CartState, name: string, then: (line: CartLine) => CartDecision): CartDecision {
  const byId = state.lines.find((line) => line.id === name);
  if (byId !== undefined) return then(byId);
  const [first, second] = state.lines.filter((line) => line.sku === name);
  if (first === undefined) return refuse('line_unknown');
  return second === undefined ? then(first) : refuse('ambiguous_line');
}

function applyCoupon(state: CartState, code: string, now: number): CartDecision {
  const coupon = code.toUpperCase();
  if (state.coupons.includes(coupon)) return UNCHANGED;
  if (state.coupons.length >= COUPONS_MAX) return refuse('coupon_limit');
  return change({ kind: 'coupons_set', at: now, coupons: [...state.coupons, coupon] });
}

function removeCoupon(state: CartState, code: string, now: number): CartDecision {
  const coupon = code.toUpperCase();
  if (!state.coupons.includes(coupon)) return UNCHANGED;
  return change({ kind: 'coupons_set', at: now, coupons: state.coupons.filter((other) => other !== coupon) });
}

/** Sealed ids are the same where their bytes are: whoever sets the same id again sends the bytes that are there. */
function isSameExemption(a: TaxExemption | null, b: TaxExemption | null): boolean {
  if (a === null || b === null) return a === b;
  const idOf = ({ id }: TaxExemption) => (typeof id === 'string' ? id : id.sealed);
  return a.kind === b.kind && idOf(a) === idOf(b) && a.countries?.join() === b.countries?.join();
}

export function decideEdit(state: CartState, command: CartEdit, ctx: DecideContext): CartDecision {
  const at = ctx.now;
  switch (command.kind) {
    case 'add_line':
      return addLine(state, command, ctx);
    case 'set_quantity':
      return onLine(state, command.line, (line) => setQuantity(state, line, command, ctx));
    case 'remove_line':
      return onLine(state, command.line, (line) => removeLine(line, ctx));
    case 'apply_coupon':
      return applyCoupon(state, command.code, at);
    case 'remove_coupon':
      return removeCoupon(state, command.code, at);
    case 'set_destination': {
      const { destination: next } = command;
      const old = state.destination;
      const same = old?.country === next.country && old.region === next.region && old.postalCode === next.postalCode;
      return same ? UNCHANGED : change({ kind: 'destination_set', at, destination: next });
    }
    case 'set_shipping':
      if (state.shippingMethod === command.method) return UNCHANGED;
      return change({ kind: 'shipping_set', at, method: command.method });
    case 'set_exemption': {
      const { exemption } = command;
      const same = isSameExemption(state.facts?.exemption ?? null, exemption);
      return same ? UNCHANGED : change({ kind: 'exemption_set', at, exemption });
    }
  }
}

/** The sku's answer to `state.wanted`, for the callers parked under its token. */
function decideWanted(wanted: WantedHold, reply: SkuReply, state: CartState, ctx: DecideContext): CartDecision {
  const at = ctx.now;
  const { token, sku } = wanted;
  const settle = (answer: CartReply) => [{ token, key: wanted.key ?? undefined, reply: answer }];
  if (granted(wanted, reply)) {
    return { events: [{ kind: 'hold_taken', at, expiresAt: reply.expiresAt }], settle: settle(CART) };
  }
  const ended = !reply.ok && (reply.code === 'hold_gone' || reply.code === 'hold_expired');
  if (ended && !wanted.retried) {
    const events: CartEvent[] = [];
    if (lineOfHold(state, wanted.holdId)?.hold.expired === false) {
      events.push({ kind: 'hold_expired', at, holdId: wanted.holdId });
    }
    events.push({ kind: 'hold_wanted', at, wanted: { ...wanted, holdId: ctx.newId('hold'), rev: 1, retried: true } });
    return { events };
  }
  return { events: [{ kind: 'hold_refused', at }], settle: settle({ ok: false, code: 'out_of_stock', skus: [sku] }) };
}

/** An answer to a `hold` message: the one that a caller waits for, or one that told the sku of a smaller quantity. */
export function decideHoldAnswer(
  state: CartState,
  holdId: string,
  rev: number,
  reply: SkuReply,
  ctx: DecideContext,
): CartDecision {
  const { wanted } = state;
  if (wanted !== null && wanted.holdId === holdId && wanted.rev === rev) return decideWanted(wanted, reply, state, ctx);
  const hold = lineOfHold(state, holdId)?.hold;
  if (hold === undefined || hold.rev !== rev || hold.acked === rev) return {};
  const acked: CartEvent = { kind: 'hold_acked', at: ctx.now, holdId, rev };
  if (reply.ok || reply.code === 'out_of_stock' || hold.expired) return { events: [acked] };
  return { events: [acked, { kind: 'hold_expired', at: ctx.now, holdId }] };
}

/** A hold's quantity is on its way to the sku: what it holds may differ from the line. */
export function isUnsettled(line: CartLine): boolean {
  return line.hold !== null && !line.hold.expired && line.hold.acked !== line.hold.rev;
}

/** Releases sent at one time; the next ones follow as these are answered. */
const RELEASES_AT_ONCE = 32;

function toSku(id: string, sku: string, command: SkuCommand): Effect {
  return { id, kind: 'send', to: { type: 'sku', id: sku }, command };
}

export function collectHoldEffects(state: CartState, effects: Effect[]): void {
  const owner = state.id;
  const { wanted } = state;
  if (wanted !== null) {
    effects.push(toSku(`hold:${wanted.holdId}:${wanted.rev}`, wanted.sku, holdOf(wanted, owner)));
  }
  for (const line of state.lines) {
    if (line.hold === null || !isUnsettled(line) || wanted?.holdId === line.hold.id) continue;
    const { id: holdId, rev, expiresAt: notAfter } = line.hold;
    const { quantity, holdTtlMs: ttlMs } = line;
    const command: SkuCommand = { kind: 'hold', holdId, owner, rev, quantity, ttlMs, notAfter };
    effects.push(toSku(`hold:${holdId}:${rev}`, line.sku, command));
  }
  for (const { holdId, sku } of state.releases.slice(0, RELEASES_AT_ONCE)) {
    effects.push(toSku(`release:${holdId}`, sku, { kind: 'release', holdId, owner }));
  }
}
