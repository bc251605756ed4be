/**
 * All commercial rules together: whether what one names is there, and whether they contradict one another. It relies on each rule
 * having passed its own check. A change is looked at as the set that it would make; where that has an error, it is refused.
 * Errors are at `/<kind>/<id>/<field>`, kinds named as in `RuleSet`.
 */
import type { Coupon } from './coupon.ts';
import type { PriceList } from './price-list.ts';
import type { ItemSelector, Promotion, PromotionAction, PromotionGroup } from './promotion.ts';
import { pointer, type RuleError } from './rule-fields.ts';
import type { Store } from './rules.ts';
import type { ShippingMethod } from './shipping-method.ts';
import type { TaxRate } from './tax-rate.ts';
import type { Zone } from './zone.ts';

export interface RuleSet {
  readonly store: Store;
  readonly zones: readonly Zone[];
  readonly priceLists: readonly PriceList[];
  readonly promotions: readonly Promotion[];
  readonly promotionGroups: readonly PromotionGroup[];
  readonly coupons: readonly Coupon[];
  readonly taxRates: readonly TaxRate[];
  readonly shippingMethods: readonly ShippingMethod[];
}

export type RuleSetCheck = { readonly ok: true } | { readonly ok: false; readonly errors: readonly RuleError[] };

const ERRORS_MAX = 50;

/** @param hasSku whether there is a product of that sku, sold or archived */
export function validateRules(rules: RuleSet, hasSku: (sku: string) => boolean): RuleSetCheck {
  const errors: RuleError[] = [];
  const check = (path: string, fine: boolean, message: string): void => {
    if (!fine && errors.length < ERRORS_MAX) errors.push({ path, message });
  };
  const names = namesIn(rules, hasSku, check);
  checkStore(rules, names, check);
  for (const list of rules.priceLists) checkPriceList(list, rules.store, names, check);
  for (const promotion of rules.promotions) checkPromotion(promotion, names, check);
  checkGifts(rules.promotions, check);
  checkGroups(rules.promotionGroups, names, check);
  for (const coupon of rules.coupons) checkCoupon(coupon, rules.promotions, check);
  for (const rate of rules.taxRates) {
    if ('zone' in rate) names.zone(pointer(pointer('/taxRates', rate.id), 'zone'), rate.zone);
  }
  for (const method of rules.shippingMethods) checkMethod(method, names, check);
  return errors.length === 0 ? { ok: true } : { ok: false, errors };
}

type Check = (path: string, fine: boolean, message: string) => void;
type Named = (path: string, name: string) => void;
interface Names {
  readonly sku: Named;
  readonly zone: Named;
  readonly promotion: Named;
  readonly method: Named;
  readonly group: Named;
  readonly channel: Named;
}

function namesIn(rules: RuleSet, hasSku: (sku: string) => boolean, check: Check): Names {
  const among = (what: string, known: Iterable<string>): Named => {
    const all = new Set(known);
    return (path, name) => check(path, all.has(name), `there is no ${what} "${name}"`);
  };
  const ids = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id);
  return {
    sku: (path, sku) => check(path, hasSku(sku), `there is no product "${sku}"`),
    zone: among('zone', ids(rules.zones)),
    promotion: among('promotion', ids(rules.promotions)),
    method: among('shipping method', ids(rules.shippingMethods)),
    group: among('customer group', rules.store.customerGroups ?? []),
    channel: among('channel', rules.store.channels ?? []),
  };
}

function each(path: string, list: readonly string[] | undefined, named: Named): void {
  list?.forEach((name, i) => {
    named(pointer(path, i), name);
  });
}

function checkStore({ store }: RuleSet, names: Names, check: Check): void {
  const known = store.currencies.includes(store.defaultCurrency);
  check('/store/defaultCurrency', known, 'must be one of "currencies"');
  if (store.defaultShipping !== null) names.method('/store/defaultShipping', store.defaultShipping);
}

function checkPriceList(list: PriceList, store: Store, names: Names, check: Check): void {
  const path = pointer('/priceLists', list.id);
  const sold = store.currencies.includes(list.currency);
  check(
    `${path}/currency`,
    sold,
    `the store does not sell in ${list.currency}, only in ${store.currencies.join(', ')}`,
  );
  each(`${path}/customerGroups`, list.customerGroups, names.group);
  each(`${path}/channels`, list.channels, names.channel);
  for (const sku of Object.keys(list.entries)) names.sku(pointer(`${path}/entries`, sku), sku);
}

function checkPromotion(promotion: Promotion, names: Names, check: Check): void {
  const path = pointer('/promotions', promotion.id);
  const { conditions, action } = promotion;
  each(`${path}/conditions/customerGroups`, conditions?.customerGroups, names.group);
  each(`${path}/conditions/channels`, conditions?.channels, names.channel);
  each(`${path}/conditions/zones`, conditions?.zones, names.zone);
  conditions?.goods?.forEach(({ items }, i) => {
    checkSelector(`${path}/conditions/goods/${i}/items`, items, names);
  });
  for (const [at, items] of selectorsOf(action)) checkSelector(`${path}/action/${at}`, items, names);
  if (action.kind === 'gift') names.sku(`${path}/action/sku`, action.sku);
  if (action.kind === 'shipping') each(`${path}/action/methods`, action.methods, names.method);
  if (action.kind === 'shipping' || action.kind === 'gift') return;
  const currencies = currenciesOf(action);
  if (currencies === null || promotion.maxAmount === undefined) return;
  const useful = Object.keys(promotion.maxAmount).some((currency) => currencies.has(currency));
  check(`${path}/maxAmount`, useful, 'names no currency in which the promotion takes anything off');
}

/** In which an action can take something off; null: in any. */
function currenciesOf(action: PromotionAction): ReadonlySet<string> | null {
  if (action.kind === 'amount') return new Set(Object.keys(action.amounts));
  if (action.kind === 'fixed_price') return new Set(Object.keys(action.prices));
  return null;
}

function selectorsOf(action: PromotionAction): readonly (readonly [string, ItemSelector])[] {
  switch (action.kind) {
    case 'percent':
    case 'amount':
    case 'fixed_price':
    case 'tiers':
      return [['items', action.items]];
    case 'buy_get':
      return [
        ['buy/items', action.buy.items],
        ['get/items', action.get.items],
      ];
    case 'shipping':
    case 'gift':
      return [];
  }
}

function checkSelector(path: string, { skus, exceptSkus }: ItemSelector, names: Names): void {
  each(`${path}/skus`, skus, names.sku);
  each(`${path}/exceptSkus`, exceptSkus, names.sku);
}

/** A gift that its own condition asks for, or that goes round through others, is a mistake, though a gift opens no promotion. */
function checkGifts(promotions: readonly Promotion[], check: Check): void {
  const asking = new Map<string, Promotion[]>();
  const gifts = promotions.filter(({ action }) => action.kind === 'gift');
  for (const promotion of gifts) {
    for (const { items } of promotion.conditions?.goods ?? []) {
      for (const sku of items.skus ?? []) asking.set(sku, [...(asking.get(sku) ?? []), promotion]);
    }
  }
  const done = new Set<Promotion>();
  const visit = (promotion: Promotion, way: readonly Promotion[]): void => {
    if (way.includes(promotion)) {
      const circle = [...way.slice(way.indexOf(promotion)), promotion].map(({ id }) => id).join(' → ');
      check(
        pointer('/promotions', `${promotion.id}`).concat('/action/sku'),
        false,
        `gives what is asked for in a circle: ${circle}`,
      );
      return;
    }
    if (done.has(promotion)) return;
    done.add(promotion);
    if (promotion.action.kind !== 'gift') return;
    for (const next of asking.get(promotion.action.sku) ?? []) visit(next, [...way, promotion]);
  };
  for (const promotion of gifts) visit(promotion, []);
}

function checkGroups(groups: readonly PromotionGroup[], names: Names, check: Check): void {
  const groupOf = new Map<string, string>();
  for (const { id, promotions } of groups) {
    const path = `${pointer('/promotionGroups', id)}/promotions`;
    each(path, promotions, (at, promotion) => {
      names.promotion(at, promotion);
      const other = groupOf.get(promotion);
      check(
        at,
        other === undefined || other === id,
        `is in the group "${other}" too: exclusive groups must not overlap`,
      );
      groupOf.set(promotion, id);
    });
  }
}

function checkCoupon(coupon: Coupon, promotions: readonly Promotion[], check: Check): void {
  if (coupon.kind !== 'promotion') return;
  const path = pointer('/coupons', coupon.code);
  const opened = promotions.find(({ id }) => id === coupon.promotion);
  check(`${path}/promotion`, opened !== undefined, `there is no promotion "${coupon.promotion}"`);
  const byCoupon = opened === undefined || opened.trigger === 'coupon';
  check(`${path}/promotion`, byCoupon, 'applies without a coupon: its trigger is "automatic"');
}

function checkMethod(method: ShippingMethod, names: Names, check: Check): void {
  const path = pointer('/shippingMethods', method.id);
  each(`${path}/customerGroups`, method.customerGroups, names.group);
  each(`${path}/channels`, method.channels, names.channel);
  method.zones.forEach(({ zone, countries }, i) => {
    if (zone !== undefined) names.zone(`${path}/zones/${i}/zone`, zone);
    const last = countries !== null || zone !== undefined || i === method.zones.length - 1;
    check(`${path}/zones/${i}`, last, 'is everywhere, so that the zones after it never count');
  });
}
