/**
 * The state of one sku: its counters, its holds in order of expiry, its tombstones, and what its events change. It relies
 * on events being decided by `sku.ts` only, and promises O(1) work for each event (O(log n) where a hold expires),
 * however many confirmed holds stand: counters are kept as they change, never summed up.
 *
 * `expired { at }` names no holds: it means all that were due at that time, which replay finds again in the same order
 * of events. A sale whose ten thousand holds end in one second writes one small event.
 */
import { Heap } from 'heap-js';
import { invariant } from '../runtime/fault.ts';

/** No order wants a hold longer than this after its start (see `notAfter` in `sku-protocol.ts`). */
export const WANTED_MS_MAX = 600_000;
/**
 * How long a hold that ended is remembered, so that a delayed command of its life changes nothing: as long as it may be
 * wanted, and a minute for nodes whose clocks differ.
 */
export const TOMBSTONE_MS = WANTED_MS_MAX + 60_000;
/**
 * No more tombstones than this are kept: the oldest go first. A sku that ends over 160 holds a second for ten minutes
 * forgets them sooner, but never within the seconds that a command's deadline allows it to be late.
 */
export const TOMBSTONES_MAX = 100_000;

/** `held` expires; `pinned` does not; `confirmed` counts as allocated. */
export type HoldStatus = 'held' | 'pinned' | 'confirmed';

export interface Hold {
  owner: string;
  quantity: number;
  rev: number;
  status: HoldStatus;
  /** End of the first lifetime, also while pinned; null for an order's own. */
  readonly expiresAt: number | null;
}

export type EndReason = 'gone' | 'expired' | 'shipped';
interface Tombstone {
  readonly until: number;
  readonly why: EndReason;
}
interface Due {
  readonly at: number;
  readonly holdId: string;
}

export interface SkuState {
  readonly id: string;
  onHand: number;
  held: number;
  allocated: number;
  readonly holds: Map<string, Hold>;
  /** By hold id (the hold ended) or by `hold id|order id` (that order returned it); oldest first. */
  readonly tombstones: Map<string, Tombstone>;
  /** Expired holds whose owner has not yet acknowledged it: hold id → cart id. */
  readonly notices: Map<string, string>;
  /** By expiry. May name holds that are no longer `held`; its top never does. Not part of the snapshot. */
  readonly dues: Heap<Due>;
}

export type SkuEvent =
  | { readonly kind: 'adjusted'; readonly at: number; readonly delta: number; readonly reason: string }
  | {
      readonly kind: 'held';
      readonly at: number;
      readonly holdId: string;
      readonly owner: string;
      readonly rev: number;
      readonly quantity: number;
      readonly expiresAt: number | null;
    }
  /** Also written, with the old quantity, where a larger one was refused: that `rev` must not be granted later. */
  | {
      readonly kind: 'resized';
      readonly at: number;
      readonly holdId: string;
      readonly rev: number;
      readonly quantity: number;
    }
  /** Pinned by its owner, or adopted: then `owner` is the order. */
  | { readonly kind: 'pinned'; readonly at: number; readonly holdId: string; readonly owner: string }
  | { readonly kind: 'confirmed'; readonly at: number; readonly holdId: string }
  | { readonly kind: 'released'; readonly at: number; readonly holdId: string }
  | {
      readonly kind: 'returned';
      readonly at: number;
      readonly holdId: string;
      readonly orderId: string;
      readonly cartId: string;
    }
  /** A command of `key` (a hold id, or `hold id|order id`) that comes later is refused. */
  | { readonly kind: 'barred'; readonly at: number; readonly key: string }
  | { readonly kind: 'shipped'; readonly at: number; readonly holdId: string }
  | { readonly kind: 'expired'; readonly at: number }
  | { readonly kind: 'notified'; readonly at: number; readonly holdId: string };

export function initialSku(id: string): SkuState {
  return {
    id,
    onHand: 0,
    held: 0,
    allocated: 0,
    holds: new Map(),
    tombstones: new Map(),
    notices: new Map(),
    // A total order: what expires in one moment ends in the same order when it is replayed.
    dues: new Heap<Due>((a, b) => a.at - b.at || (a.holdId < b.holdId ? -1 : a.holdId > b.holdId ? 1 : 0)),
  };
}

export function availableOf(state: SkuState): number {
  return state.onHand - state.held - state.allocated;
}

export function returnKey(holdId: string, orderId: string): string {
  return `${holdId}|${orderId}`;
}

function isDue(hold: Hold | undefined): hold is Hold {
  return hold?.status === 'held' && hold.expiresAt !== null;
}

/** Ids and units of the holds whose time is over at `now`; null, at no cost, where there are none. Changes nothing. */
export function dueHolds(state: SkuState, now: number): { ids: ReadonlySet<string>; quantity: number } | null {
  const top = state.dues.peek();
  if (top === undefined || top.at > now) return null;
  const heap = state.dues.heapArray;
  const ids = new Set<string>();
  let quantity = 0;
  const next = [0];
  for (let index = next.pop(); index !== undefined; index = next.pop()) {
    const entry = heap[index];
    // A child in the heap is never due before its parent.
    if (entry === undefined || entry.at > now) continue;
    next.push(2 * index + 1, 2 * index + 2);
    const hold = state.holds.get(entry.holdId);
    if (!isDue(hold) || ids.has(entry.holdId)) continue;
    ids.add(entry.holdId);
    quantity += hold.quantity;
  }
  return { ids, quantity };
}

function settleTop(state: SkuState): void {
  for (let top = state.dues.peek(); top !== undefined && !isDue(state.holds.get(top.holdId)); top = state.dues.peek()) {
    state.dues.pop();
  }
}

function bury(state: SkuState, key: string, why: EndReason, at: number): void {
  // Set anew, so that the map's order stays the order of time and pruning ends at the first that is still needed.
  state.tombstones.delete(key);
  state.tombstones.set(key, { until: at + TOMBSTONE_MS, why });
  for (const [oldest, stone] of state.tombstones) {
    if (stone.until >= at && state.tombstones.size <= TOMBSTONES_MAX) break;
    state.tombstones.delete(oldest);
  }
}

function find(state: SkuState, holdId: string): Hold {
  const hold = state.holds.get(holdId);
  invariant(hold !== undefined, `sku ${state.id} has no hold ${holdId}`);
  return hold;
}

function end(state: SkuState, holdId: string, why: EndReason, at: number): Hold {
  const hold = find(state, holdId);
  state.holds.delete(holdId);
  if (hold.status === 'confirmed') state.allocated -= hold.quantity;
  else state.held -= hold.quantity;
  bury(state, holdId, why, at);
  settleTop(state);
  return hold;
}

function expire(state: SkuState, at: number): void {
  for (let top = state.dues.peek(); top !== undefined && top.at <= at; top = state.dues.peek()) {
    state.dues.pop();
    if (!isDue(state.holds.get(top.holdId))) continue;
    const hold = end(state, top.holdId, 'expired', at);
    state.notices.set(top.holdId, hold.owner);
  }
  settleTop(state);
}

function queue(state: SkuState, at: number, holdId: string): void {
  state.dues.push({ at, holdId });
  if (state.dues.length <= 2 * state.holds.size + 1024) return;
  const live: Due[] = [];
  for (const [id, hold] of state.holds)
    if (isDue(hold) && hold.expiresAt !== null) live.push({ at: hold.expiresAt, holdId: id });
  state.dues.init(live);
}

function add(state: SkuState, holdId: string, hold: Hold): void {
  state.holds.set(holdId, hold);
  if (hold.status === 'confirmed') state.allocated += hold.quantity;
  else state.held += hold.quantity;
  if (hold.status === 'held' && hold.expiresAt !== null) queue(state, hold.expiresAt, holdId);
}

/** Total over version 1; in place. Throws where an event would break the sku's equation. */
export function applySku(state: SkuState, event: SkuEvent): SkuState {
  switch (event.kind) {
    case 'adjusted':
      state.onHand += event.delta;
      break;
    case 'held': {
      const { owner, quantity, rev, expiresAt } = event;
      add(state, event.holdId, { owner, quantity, rev, status: expiresAt === null ? 'pinned' : 'held', expiresAt });
      break;
    }
    case 'resized': {
      const hold = find(state, event.holdId);
      state.held += event.quantity - hold.quantity;
      hold.quantity = event.quantity;
      hold.rev = event.rev;
      break;
    }
    case 'pinned': {
      const hold = find(state, event.holdId);
      hold.owner = event.owner;
      hold.status = 'pinned';
      settleTop(state);
      break;
    }
    case 'confirmed': {
      const hold = find(state, event.holdId);
      hold.status = 'confirmed';
      state.held -= hold.quantity;
      state.allocated += hold.quantity;
      settleTop(state);
      break;
    }
    case 'released':
      end(state, event.holdId, 'gone', event.at);
      break;
    case 'returned': {
      const hold = find(state, event.holdId);
      invariant(hold.expiresAt !== null, `hold ${event.holdId} was never a cart's`);
      if (hold.status === 'confirmed') {
        state.allocated -= hold.quantity;
        state.held += hold.quantity;
      }
      hold.owner = event.cartId;
      hold.status = 'held';
      queue(state, hold.expiresAt, event.holdId);
      bury(state, returnKey(event.holdId, event.orderId), 'gone', event.at);
      break;
    }
    case 'barred':
      bury(state, event.key, 'gone', event.at);
      break;
    case 'shipped':
      state.onHand -= end(state, event.holdId, 'shipped', event.at).quantity;
      break;
    case 'expired':
      expire(state, event.at);
      break;
    case 'notified':
      state.notices.delete(event.holdId);
      break;
    default:
      throw new TypeError(`unknown sku event ${String((event as { kind: unknown }).kind)}`);
  }
  invariant(
    state.held >= 0 && state.allocated >= 0 && availableOf(state) >= 0,
    `stock of ${state.id} is out of balance`,
  );
  return state;
}

type HoldRow = readonly [string, string, number, number, HoldStatus, number | null];
interface SkuSnapshot {
  readonly onHand: number;
  readonly holds: readonly HoldRow[];
  readonly tombstones: readonly (readonly [string, number, EndReason])[];
  readonly notices: readonly (readonly [string, string])[];
}

export function snapshotSku(state: SkuState): SkuSnapshot {
  return {
    onHand: state.onHand,
    holds: Array.from(state.holds, ([id, h]): HoldRow => [id, h.owner, h.quantity, h.rev, h.status, h.expiresAt]),
    tombstones: Array.from(state.tombstones, ([key, stone]) => [key, stone.until, stone.why] as const),
    notices: Array.from(state.notices),
  };
}

export function restoreSku(id: string, data: unknown): SkuState {
  const saved = data as SkuSnapshot;
  const state = initialSku(id);
  state.onHand = saved.onHand;
  for (const [holdId, owner, quantity, rev, status, expiresAt] of saved.holds) {
    add(state, holdId, { owner, quantity, rev, status, expiresAt });
  }
  for (const [key, until, why] of saved.tombstones) state.tombstones.set(key, { until, why });
  for (const [holdId, cartId] of saved.notices) state.notices.set(holdId, cartId);
  return state;
}
