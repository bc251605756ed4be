/**
 * The state of one limit of a coupon and what its events change. Relies on events being decided by `coupon.ts`. It promises a size
 * that does not grow with the uses but for one bit each: order ids are kept while a use is held and, for the time in which
 * something of its life may still be on the way, as a tombstone.
 */
import { invariant } from '../runtime/fault.ts';
import { CouponUses, type UsePages } from './coupon-uses.ts';
import { TOMBSTONE_MS, TOMBSTONES_MAX } from './sku-holds.ts';

/** Serials that one actor gives; then it refuses. A set of so many takes 2 MiB, in memory as in its snapshot. */
export const SERIALS_MAX = 16_777_216;

interface Tombstone {
  readonly until: number;
  /** Of a use that was confirmed; null: it was given back, or is barred. */
  readonly serial: number | null;
}

export interface CouponState {
  readonly id: string;
  nextSerial: number;
  /** Serials of held uses, by order id. */
  readonly holds: Map<string, number>;
  /** Serials of confirmed uses that stand. */
  readonly uses: CouponUses;
  /** By order id; oldest first. */
  readonly tombstones: Map<string, Tombstone>;
}

export type CouponEvent =
  | { readonly kind: 'held'; readonly at: number; readonly orderId: string; readonly serial: number }
  | { readonly kind: 'confirmed'; readonly at: number; readonly orderId: string }
  /** A held use ended. */
  | { readonly kind: 'released'; readonly at: number; readonly orderId: string }
  /** A confirmed one. */
  | { readonly kind: 'given_back'; readonly at: number; readonly orderId: string; readonly serial: number }
  /** A `hold` of the order that comes later is refused. */
  | { readonly kind: 'barred'; readonly at: number; readonly orderId: string };

export function initialCoupon(id: string): CouponState {
  return { id, nextSerial: 0, holds: new Map(), uses: new CouponUses(), tombstones: new Map() };
}

function bury(state: CouponState, orderId: string, serial: number | null, at: number): void {
  // Set anew, so that the map's order stays the order of time and pruning ends at the first that is still needed.
  state.tombstones.delete(orderId);
  state.tombstones.set(orderId, { until: at + TOMBSTONE_MS, serial });
  for (const [oldest, stone] of state.tombstones) {
    if (stone.until >= at && state.tombstones.size <= TOMBSTONES_MAX) break;
    state.tombstones.delete(oldest);
  }
}

function endHold(state: CouponState, orderId: string): number {
  const serial = state.holds.get(orderId);
  invariant(serial !== undefined, `coupon ${state.id} is not held by ${orderId}`);
  state.holds.delete(orderId);
  return serial;
}

/** Total over version 1; in place. */
export function applyCoupon(state: CouponState, event: CouponEvent): CouponState {
  const { at, orderId } = event;
  switch (event.kind) {
    case 'held':
      invariant(!state.holds.has(orderId), `coupon ${state.id} is held twice by ${orderId}`);
      state.holds.set(orderId, event.serial);
      state.nextSerial = event.serial + 1;
      return state;
    case 'confirmed': {
      const serial = endHold(state, orderId);
      state.uses.add(serial);
      bury(state, orderId, serial, at);
      return state;
    }
    case 'released':
      endHold(state, orderId);
      bury(state, orderId, null, at);
      return state;
    case 'given_back':
      state.uses.delete(event.serial);
      bury(state, orderId, null, at);
      return state;
    case 'barred':
      bury(state, orderId, null, at);
      return state;
    default:
      throw new TypeError(`unknown coupon event ${String((event as { kind: unknown }).kind)}`);
  }
}

interface CouponSnapshot {
  readonly nextSerial: number;
  readonly holds: readonly (readonly [orderId: string, serial: number])[];
  readonly uses: UsePages;
  readonly tombstones: readonly (readonly [orderId: string, until: number, serial: number | null])[];
}

export function snapshotCoupon(state: CouponState): CouponSnapshot {
  return {
    nextSerial: state.nextSerial,
    holds: Array.from(state.holds),
    uses: state.uses.toPages(),
    tombstones: Array.from(state.tombstones, ([orderId, stone]) => [orderId, stone.until, stone.serial] as const),
  };
}

export function restoreCoupon(id: string, data: unknown): CouponState {
  const { nextSerial, holds, uses, tombstones } = data as CouponSnapshot;
  return {
    id,
    nextSerial,
    holds: new Map(holds),
    uses: CouponUses.fromPages(uses),
    tombstones: new Map(tombstones.map(([orderId, until, serial]) => [orderId, { until, serial }])),
  };
}
