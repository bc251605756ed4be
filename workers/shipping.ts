/**
 * What shipping costs. A method has zones; the first that has the destination says the price, by weight, items and subtotal where
 * it has bands. Which method counts: the chosen one, else (or where that one does not serve the cart) the store's default, else the
 * first that does. Where none does, the cart cannot be ordered. What is only digital is not shipped.
 */
import type { Amounts, Store } from '../schema/rules.ts';
import type { ShippingMethod, ShippingZone } from '../schema/shipping-method.ts';
import { inZone, type Zone } from '../schema/zone.ts';
import type { Parcel } from './goods.ts';
import { isAmong, isValid, ownAmount } from './price-lookup.ts';
import type { Destination, PriceRequest } from './quote.ts';

export interface ShippingChoice {
  /** Place in the book's list of methods. */
  readonly index: number;
  /** Place in the method's list of zones. */
  readonly zone: number;
  /** Before promotions and tax. */
  readonly price: number;
  /** The carrier's own price. */
  readonly byCarrier: boolean;
}

export interface ShippingRules {
  readonly store: Store;
  readonly zones: ReadonlyMap<string, Zone>;
  readonly shippingMethods: readonly ShippingMethod[];
}

/** null: none is chosen and none counts by default, nothing is shipped, or none serves the cart; see `wantsShipping`. */
export function chooseShipping(rules: ShippingRules, request: PriceRequest, parcel: Parcel): ShippingChoice | null {
  const { store, shippingMethods } = rules;
  if (!wantsShipping(store, request, parcel)) return null;
  let best: ShippingChoice | null = null;
  let bestRank = 3;
  for (let index = 0; index < shippingMethods.length && bestRank > 0; index++) {
    const method = shippingMethods[index] as ShippingMethod;
    const rank = method.id === request.shippingMethod ? 0 : method.id === store.defaultShipping ? 1 : 2;
    if (rank >= bestRank) continue;
    const offer = offerOf(rules, method, index, request, parcel);
    if (offer === null) continue;
    best = offer;
    bestRank = rank;
  }
  return best;
}

export function wantsShipping(store: Store, request: PriceRequest, parcel: Parcel): boolean {
  return parcel.items > 0 && (request.shippingMethod !== null || store.defaultShipping !== null);
}

/** null: the method does not serve the cart. */
export function offerOf(
  { zones }: ShippingRules,
  method: ShippingMethod,
  index: number,
  request: PriceRequest,
  parcel: Parcel,
): ShippingChoice | null {
  if (!isValid(method.validity, request.at ?? 0)) return null;
  if (!isAmong(method.customerGroups, request.customerGroup) || !isAmong(method.channels, request.channel)) return null;
  const at = zoneAt(method, zones, request.destination);
  const zone = method.zones[at];
  if (zone === undefined) return null;
  const listed = priceIn(zone, request.currency, parcel);
  if (listed === undefined) return null;
  const freeFrom = zone.freeFrom === undefined ? undefined : ownAmount(zone.freeFrom, request.currency);
  const free = freeFrom !== undefined && parcel.subtotal >= freeFrom;
  const asked = request.carrierPrices === undefined ? undefined : ownAmount(request.carrierPrices, method.id);
  return { index, zone: at, price: free ? 0 : (asked ?? listed), byCarrier: asked !== undefined };
}

/** Place of the zone that counts in the method's list; -1: it does not go there. */
export function zoneAt(
  method: ShippingMethod,
  zones: ReadonlyMap<string, Zone>,
  destination: Destination | null,
): number {
  if (destination === null) return 0;
  return method.zones.findIndex(({ zone, countries }) => {
    if (zone === undefined) return countries === null || countries.includes(destination.country);
    const named = zones.get(zone);
    return named !== undefined && inZone(named, destination);
  });
}

function priceIn(zone: ShippingZone, currency: string, parcel: Parcel): number | undefined {
  if (zone.bands === undefined) return ownAmount(zone.prices, currency);
  const band = zone.bands.find(
    ({ maxWeightGrams, maxItems, maxSubtotal, prices }) =>
      (maxWeightGrams === undefined || parcel.weightGrams <= maxWeightGrams) &&
      (maxItems === undefined || parcel.items <= maxItems) &&
      (maxSubtotal === undefined || isWithin(maxSubtotal, currency, parcel.subtotal)) &&
      ownAmount(prices, currency) !== undefined,
  );
  return band === undefined ? undefined : ownAmount(band.prices, currency);
}

function isWithin(bounds: Amounts, currency: string, sum: number): boolean {
  const bound = ownAmount(bounds, currency);
  return bound !== undefined && sum <= bound;
}
