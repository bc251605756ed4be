/**
 * The state of a cart and what its events change. It relies on events being decided by `cart.ts` and its neighbours, and
 * promises that an idle cart stays small: plain objects of one shape, shared empty lists, nothing kept that a later
 * decision does not need. (Three lines take well under 1 KB.)
 */
import type { KeyRef } from '../runtime/actor.ts';
import type { Destination, LockedPrice, PriceRequest } from '../workers/quote.ts';
import type { CartEvent } from './cart-events.ts';
import type { CartStatus } from './cart-protocol.ts';
import { sharedDestination } from './destinations.ts';
import type { OrderStart } from './order-protocol.ts';

/** How long after its last change an open cart ends. */
export const CART_LIFETIME_MS = 30 * 86_400_000;
/** How long an ended cart can still be read, in state `expired`, before its history is removed. */
export const EXPIRED_SHOWN_MS = 7 * 86_400_000;
/** The channel that a cart is priced for where it names none. */
export const CHANNEL_DEFAULT = 'web';
/** Skus remembered as just removed; past this the one that ends first is forgotten. */
const COOLDOWNS_MAX = 200;

export interface CartLine {
  readonly id: string;
  readonly sku: string;
  quantity: number;
  /** The terms of the last add, so that a later change of quantity needs no catalogue. `holdTtlMs` null: held at checkout. */
  maxPerOrder: number | null;
  holdTtlMs: number | null;
  /** null: nothing held at the cart. */
  hold: CartHold | null;
}
export interface CartHold {
  readonly id: string;
  rev: number;
  /** The highest `rev` that the sku has answered; below `rev` while a smaller quantity is on its way to it. */
  acked: number;
  readonly expiresAt: number;
  /** The unit price that the line keeps for as long as the hold is live. Left out: the book's of the moment. */
  locked?: LockedPrice;
  /** The sku has said so. Past `expiresAt` a hold has expired whether or not the news is here; see `isLive`. */
  expired: boolean;
}

/** A line and the hold of all its units. */
export interface HeldUnits {
  readonly lineId: string;
  readonly sku: string;
  readonly holdId: string;
  readonly rev: number;
  /** The line's whole quantity, not the difference. */
  readonly quantity: number;
  readonly maxPerOrder: number | null;
  readonly ttlMs: number;
  /** What a unit costs at this quantity, as the caller was about to be shown. Left out: not known. */
  readonly price?: LockedPrice;
}

/** A hold asked for and not answered yet. The caller waits under `token`; the line is changed by the answer only. */
export interface WantedHold extends HeldUnits {
  readonly token: string;
  readonly key: KeyRef | null;
  /** This is the second hold id that is tried. */
  readonly retried: boolean;
  /** When the cart stops waiting for a sku that does not answer. */
  readonly giveUpAt: number;
}

export interface HoldRelease {
  readonly holdId: string;
  readonly sku: string;
}
export interface Cooldown {
  readonly sku: string;
  readonly until: number;
}

export interface CartCheckout {
  readonly orderId: string;
  /** Who may wait for the outcome. */
  readonly key: KeyRef;
  readonly destination: Destination;
  /** What the order is told, until it has said that it knows; the only place where personal data (sealed) passes through. */
  readonly start: OrderStart | null;
}

/** What pricing is told of a cart besides its contents and places. `withoutGifts`: those that a checkout found out of stock. */
export type PriceFacts = Pick<PriceRequest, 'customerGroup' | 'channel' | 'exemption' | 'withoutGifts'>;

export interface CartState {
  readonly id: string;
  status: CartStatus;
  currency: string;
  destination: Destination | null;
  lines: CartLine[];
  coupons: readonly string[];
  shippingMethod: string | null;
  /** null: nothing to say, as of nearly every cart. */
  facts: PriceFacts | null;
  orderId: string | null;
  createdAt: number;
  updatedAt: number;
  expiresAt: number;
  /** Sequence of the last event that changed what a shopper sees; those after it were between actors. */
  visibleSeq: number;
  wanted: WantedHold | null;
  /** Holds given up, until the sku has answered. */
  releases: readonly HoldRelease[];
  cooldowns: readonly Cooldown[];
  /** The checkout under way (state `checking_out`); its key decides who may wait for it. */
  checkout: CartCheckout | null;
  /** Expired: when its history may be removed; null once that was asked for. */
  cleanupAt: number | null;
}

const NONE: readonly never[] = Object.freeze([]);

export function initialCart(id: string): CartState {
  return {
    id,
    status: 'absent',
    currency: '',
    destination: null,
    lines: [],
    coupons: NONE,
    shippingMethod: null,
    facts: null,
    orderId: null,
    createdAt: 0,
    updatedAt: 0,
    expiresAt: 0,
    visibleSeq: 0,
    wanted: null,
    releases: NONE,
    cooldowns: NONE,
    checkout: null,
    cleanupAt: null,
  };
}

/** Whether units stand behind this hold at `now`, as far as the cart can know. */
export function isLive(hold: CartHold | null | undefined, now: number): hold is CartHold {
  return hold !== null && hold !== undefined && !hold.expired && now < hold.expiresAt;
}

/** The price that a line keeps at `now`: until its hold expires, and beyond where an order in the making has pinned it. */
export function lockedPrice(
  { status }: Pick<CartState, 'status'>,
  hold: CartHold | null,
  now: number,
): LockedPrice | undefined {
  return hold?.locked !== undefined && (status !== 'open' || isLive(hold, now)) ? hold.locked : undefined;
}

function lineOf(state: CartState, lineId: string): CartLine | undefined {
  return state.lines.find((line) => line.id === lineId);
}

export function lineOfHold(state: CartState, holdId: string): (CartLine & { hold: CartHold }) | undefined {
  for (const line of state.lines) if (line.hold?.id === holdId) return line as CartLine & { hold: CartHold };
  return undefined;
}

function touch(state: CartState, at: number): void {
  state.updatedAt = at;
  state.expiresAt = at + CART_LIFETIME_MS;
}

function setLine(state: CartState, line: CartLine): void {
  const index = state.lines.findIndex((other) => other.id === line.id);
  // An array that is pushed to keeps room for 16 more: 112 bytes of each idle cart.
  if (index < 0) state.lines = state.lines.concat([line]);
  else state.lines[index] = line;
}

function removeLine(state: CartState, event: Extract<CartEvent, { kind: 'line_removed' }>): void {
  const line = lineOf(state, event.lineId);
  if (line === undefined) return;
  state.lines = state.lines.filter((other) => other !== line);
  const { sku } = line;
  if (event.releaseHoldId !== null) state.releases = [...state.releases, { holdId: event.releaseHoldId, sku }];
  if (event.cooldownUntil === null) return;
  const others = state.cooldowns.filter((other) => other.until > event.at && other.sku !== sku);
  const all = [...others, { sku, until: event.cooldownUntil }].sort((a, b) => a.until - b.until);
  state.cooldowns = all.slice(-COOLDOWNS_MAX);
}

function holdLine(state: CartState, units: HeldUnits, expiresAt: number): void {
  const { lineId, sku, quantity, maxPerOrder, ttlMs, holdId, rev, price } = units;
  const hold: CartHold = { id: holdId, rev, acked: rev, expiresAt, expired: false };
  const locked = cheaper(lineOfHold(state, holdId)?.hold.locked, price);
  if (locked !== undefined) hold.locked = locked;
  setLine(state, { id: lineId, sku, quantity, maxPerOrder, holdTtlMs: ttlMs, hold });
}

function growHold(line: CartLine, hold: CartHold, grown: Omit<HeldUnits, 'sku' | 'holdId'>): void {
  line.quantity = grown.quantity;
  line.maxPerOrder = grown.maxPerOrder;
  line.holdTtlMs = grown.ttlMs;
  hold.rev = grown.rev;
  hold.acked = grown.rev;
  const locked = cheaper(hold.locked, grown.price);
  if (locked !== undefined) hold.locked = locked;
}

/** A hold that grows keeps its price, unless more units are cheaper by now. */
function cheaper(before: LockedPrice | undefined, price: LockedPrice | undefined): LockedPrice | undefined {
  return before !== undefined && (price === undefined || before.unitPrice <= price.unitPrice) ? before : price;
}

function factsOf(facts: PriceFacts): PriceFacts | null {
  return Object.keys(facts).length === 0 ? null : facts;
}

/** What is offered may be another gift now, or the same one again. */
function offerGifts(state: CartState): void {
  if (state.facts?.withoutGifts === undefined) return;
  const { withoutGifts: _forgotten, ...rest } = state.facts;
  state.facts = factsOf(rest);
}

/** The line stays as it was. A `rev` that was refused or given up is spent: a next one must be higher. */
function dropWanted(state: CartState, refused: boolean): void {
  const wanted = state.wanted;
  if (wanted === null) return;
  state.wanted = null;
  const hold = lineOfHold(state, wanted.holdId)?.hold;
  if (hold !== undefined) {
    const settled = refused && hold.acked === hold.rev;
    // Given up, or asked while a smaller quantity was on its way (whose lower `rev` the sku will not take any more): the
    // sku may hold another quantity than the line says, so the line's is sent again under the next `rev`.
    hold.rev = settled ? wanted.rev : wanted.rev + 1;
    if (settled) hold.acked = wanted.rev;
  } else if (!refused) {
    state.releases = [...state.releases, { holdId: wanted.holdId, sku: wanted.sku }];
  }
}

function expire(state: CartState, at: number): void {
  dropWanted(state, false);
  const given: HoldRelease[] = [];
  for (const line of state.lines) {
    if (line.hold !== null && !line.hold.expired) given.push({ holdId: line.hold.id, sku: line.sku });
    line.hold = null;
  }
  if (given.length > 0) state.releases = [...state.releases, ...given];
  state.cooldowns = NONE;
  state.status = 'expired';
  state.cleanupAt = at + EXPIRED_SHOWN_MS;
}

/** Events that a shopper's next read does not show. */
const INTERNAL: ReadonlySet<CartEvent['kind']> = new Set([
  'hold_wanted',
  'hold_refused',
  'hold_abandoned',
  'hold_acked',
  'release_acked',
  'checkout_sent',
  'cleanup_asked',
]);

/** Total over versions 1 to 4; in place. */
export function applyCart(state: CartState, event: CartEvent, _version: number, seq: number): CartState {
  if (!INTERNAL.has(event.kind)) state.visibleSeq = seq;
  switch (event.kind) {
    case 'created':
      state.status = 'open';
      state.currency = event.currency;
      state.destination = sharedDestination(event.destination);
      state.facts = event.facts ?? null;
      state.createdAt = event.at;
      touch(state, event.at);
      return state;
    case 'line_set': {
      const { lineId: id, sku, quantity, maxPerOrder } = event;
      setLine(state, { id, sku, quantity, maxPerOrder, holdTtlMs: null, hold: null });
      offerGifts(state);
      touch(state, event.at);
      return state;
    }
    case 'line_lowered': {
      const line = lineOf(state, event.lineId);
      if (line !== undefined) line.quantity = event.quantity;
      if (line?.hold) {
        line.hold.rev++;
        // The price was one for more units.
        if (event.quantity < (line.hold.locked?.tier ?? 1)) delete line.hold.locked;
      }
      offerGifts(state);
      touch(state, event.at);
      return state;
    }
    case 'line_removed':
      removeLine(state, event);
      offerGifts(state);
      touch(state, event.at);
      return state;
    case 'hold_wanted':
      state.wanted = event.wanted;
      return state;
    case 'hold_taken': {
      const { wanted } = state;
      state.wanted = null;
      if (wanted !== null) holdLine(state, wanted, event.expiresAt);
      offerGifts(state);
      touch(state, event.at);
      return state;
    }
    case 'hold_added':
      holdLine(state, event, event.expiresAt);
      offerGifts(state);
      touch(state, event.at);
      return state;
    case 'hold_grown': {
      const line = lineOf(state, event.lineId);
      if (line?.hold) growHold(line, line.hold, event);
      offerGifts(state);
      touch(state, event.at);
      return state;
    }
    case 'hold_refused':
      dropWanted(state, true);
      return state;
    case 'hold_abandoned':
      dropWanted(state, false);
      return state;
    case 'hold_acked': {
      const hold = lineOfHold(state, event.holdId)?.hold;
      if (hold !== undefined) hold.acked = event.rev;
      return state;
    }
    case 'hold_expired': {
      const hold = lineOfHold(state, event.holdId)?.hold;
      if (hold !== undefined) hold.expired = true;
      return state;
    }
    case 'release_acked': {
      const left = state.releases.filter((release) => release.holdId !== event.holdId);
      state.releases = left.length === 0 ? NONE : left;
      return state;
    }
    case 'coupons_set':
      state.coupons = event.coupons;
      offerGifts(state);
      touch(state, event.at);
      return state;
    case 'destination_set':
      state.destination = sharedDestination(event.destination);
      touch(state, event.at);
      return state;
    case 'shipping_set':
      state.shippingMethod = event.method;
      touch(state, event.at);
      return state;
    case 'exemption_set': {
      const { exemption: _before, ...rest } = state.facts ?? {};
      state.facts = factsOf(event.exemption === null ? rest : { ...rest, exemption: event.exemption });
      touch(state, event.at);
      return state;
    }
    case 'checkout_started': {
      const { orderId, key, start } = event;
      state.status = 'checking_out';
      state.checkout = { orderId, key, destination: start.destination, start };
      touch(state, event.at);
      return state;
    }
    case 'checkout_sent':
      if (state.checkout !== null) state.checkout = { ...state.checkout, start: null };
      return state;
    case 'checkout_failed':
      state.status = 'open';
      state.checkout = null;
      for (const line of state.lines) {
        if (line.hold !== null && event.goneHoldIds.includes(line.hold.id)) line.hold.expired = true;
      }
      if (event.goneGifts !== undefined) {
        const known = state.facts?.withoutGifts ?? [];
        state.facts = { ...state.facts, withoutGifts: [...new Set([...known, ...event.goneGifts])] };
      }
      touch(state, event.at);
      return state;
    case 'checked_out':
      state.status = 'checked_out';
      state.orderId = state.checkout?.orderId ?? null;
      state.checkout = null;
      state.cooldowns = NONE;
      for (const line of state.lines) line.hold = null;
      touch(state, event.at);
      return state;
    case 'expired':
      expire(state, event.at);
      return state;
    case 'cleanup_asked':
      state.cleanupAt = null;
      return state;
    default:
      throw new TypeError(`unknown cart event ${String((event as { kind: unknown }).kind)}`);
  }
}

/** The state is plain data: only what `apply` changes in place needs a copy. */
export function snapshotCart(state: CartState): CartState {
  const lines = state.lines.map((line) => ({ ...line, hold: line.hold === null ? null : { ...line.hold } }));
  return { ...state, lines };
}

export function restoreCart(id: string, data: unknown): CartState {
  return { ...initialCart(id), ...snapshotCart(data as CartState) };
}
