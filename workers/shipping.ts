/**
 * Flat shipping: a method has a price per zone and currency. Which method counts: the chosen one, else (or where that one does
 * not go there) the store's default, else the first that does. Where none does, the cart cannot be ordered.
 */
import type { Store } from '../schema/rules.ts';
import type { ShippingMethod } from '../schema/shipping-method.ts';
import type { Destination } from './quote.ts';

export interface ShippingChoice {
  /** Place in the book's list of methods. */
  readonly index: number;
  readonly price: number;
}

export interface ShippingRules {
  readonly store: Store;
  readonly shippingMethods: readonly ShippingMethod[];
}

export interface ShippingOption {
  readonly id: string;
  readonly name: string;
  /** Minor units of the currency asked for, before tax. */
  readonly price: number;
}

/** The methods that go to the destination in this currency, in the order in which they are offered. */
export function shippingOptions(
  rules: ShippingRules,
  currency: string,
  destination: Destination | null,
): ShippingOption[] {
  return rules.shippingMethods.flatMap((method) => {
    const price = priceOf(method, currency, destination);
    return price === undefined ? [] : [{ id: method.id, name: method.name, price }];
  });
}

export function chooseShipping(
  rules: ShippingRules,
  currency: string,
  destination: Destination | null,
  chosen: string | null,
): ShippingChoice | null {
  const { store, shippingMethods } = rules;
  if (chosen === null && store.defaultShipping === null) return null;
  let best: ShippingChoice | null = null;
  let bestRank = 3;
  for (const [index, method] of shippingMethods.entries()) {
    const rank = method.id === chosen ? 0 : method.id === store.defaultShipping ? 1 : 2;
    if (rank >= bestRank) continue;
    const price = priceOf(method, currency, destination);
    if (price === undefined) continue;
    best = { index, price };
    bestRank = rank;
  }
  return best;
}

function priceOf(method: ShippingMethod, currency: string, destination: Destination | null): number | undefined {
  const zone =
    destination === null
      ? method.zones[0]
      : method.zones.find(({ countries }) => countries === null || countries.includes(destination.country));
  return zone?.prices[currency];
}
