/**
 * Promotions and coupons, one after another in a fixed order, each on what the ones before it have left of each line; so the
 * result depends neither on the order in which codes were typed nor on that of the lines. What one takes is in
 * `promotion-action.ts`, whether it is open to the cart in `promotion-condition.ts`; here is how they go together: groups, `last`,
 * caps, and the coupons with terms of their own, which come after all promotions.
 */
import { type Coupon, couponCode } from '../schema/coupon.ts';
import type { PriceTerms } from '../schema/price-book.ts';
import type { Promotion, PromotionGroup, ShippingAction } from '../schema/promotion.ts';
import type { Store } from '../schema/rules.ts';
import type { ShippingMethod } from '../schema/shipping-method.ts';
import type { Zone } from '../schema/zone.ts';
import type { GoodsLine } from './goods.ts';
import { mulDiv, mulDivHalfUp, PPM } from './money.ts';
import { ownAmount } from './price-lookup.ts';
import { capTakes, sumLeft, type Take, takesOf, takeTogether } from './promotion-action.ts';
import { type Closed, closedBecause, couponClosedBecause } from './promotion-condition.ts';
import { type PromotionIndex, promotionIndex, type ReadyGroup, type ReadyPromotion } from './promotion-index.ts';
import type { PriceRequest } from './quote.ts';
import type { ShippingChoice } from './shipping.ts';

export interface PromotionRules {
  readonly store: Store;
  readonly products: { get(sku: string): PriceTerms | undefined };
  readonly zones: ReadonlyMap<string, Zone>;
  readonly shippingMethods: readonly ShippingMethod[];
  readonly promotions: readonly Promotion[];
  readonly promotionGroups: readonly PromotionGroup[];
  readonly coupons: ReadonlyMap<string, Coupon>;
}

/** One that did something, in the order in which they did; lines name it by its place in that order. */
export interface Applied {
  /** null: a coupon with terms of its own. */
  readonly ready: ReadyPromotion | null;
  /** Place among the codes that were asked for; -1: automatic. */
  readonly coupon: number;
  /** Taken off the goods. */
  readonly amount: number;
  readonly gift: boolean;
  readonly shipping: ShippingOff | null;
}
export interface ShippingOff {
  readonly action: ShippingAction;
  readonly max: number;
}
export interface Promoted {
  readonly applied: readonly Applied[];
  /** Places of codes that did nothing, by code. */
  readonly idle: readonly number[];
}

/** Why a promotion or coupon did nothing; of a promotion by its id, of a coupon by `coupon:` and its code. */
export type Because = Closed | 'applied' | 'not_best' | 'group_used' | 'after_last' | 'took_nothing';
export type Trace = (id: string, because: Because) => void;

interface Coupons {
  readonly opened: ReadonlyMap<ReadyPromotion, number>;
  /** With terms of their own: percentages, then amounts, each by code. */
  readonly own: readonly { readonly coupon: Coupon; readonly position: number }[];
  readonly positions: readonly number[];
}
interface Outcome {
  readonly takes: readonly Take[];
  readonly shipping: ShippingOff | null;
  readonly gift: boolean;
  /** What the buyer saves. */
  readonly worth: number;
}

const NOTHING: Promoted = Object.freeze({ applied: [], idle: [] });
const NO_COUPONS: Coupons = { opened: new Map(), own: [], positions: [] };

/** Lowers `left` of the lines by what is taken off them. */
export function promote(
  rules: PromotionRules,
  request: PriceRequest,
  lines: readonly GoodsLine[],
  shipping: ShippingChoice | null,
  trace?: Trace,
): Promoted {
  if (rules.promotions.length === 0 && request.coupons.length === 0) return NOTHING;
  const index = promotionIndex(rules.promotions, rules.promotionGroups);
  const automatic = index.matching(lines);
  if (automatic.length === 0 && request.coupons.length === 0) return NOTHING;
  return new Promoting(rules, request, lines, shipping, trace).run(index, automatic);
}

class Promoting {
  readonly #rules: PromotionRules;
  readonly #request: PriceRequest;
  readonly #lines: readonly GoodsLine[];
  /** Before promotions; null: nothing is shipped. */
  readonly #shipping: ShippingChoice | null;
  readonly #trace: Trace | undefined;
  readonly #applied: Applied[] = [];
  readonly #usedGroups = new Set<ReadyGroup>();
  /** What may still be taken off the goods. */
  #budget: number;
  #over = false;

  constructor(
    rules: PromotionRules,
    request: PriceRequest,
    lines: readonly GoodsLine[],
    shipping: ShippingChoice | null,
    trace: Trace | undefined,
  ) {
    this.#rules = rules;
    this.#request = request;
    this.#lines = lines;
    this.#shipping = shipping;
    this.#trace = trace;
    const max = rules.store.discountMaxPpm;
    this.#budget = max === undefined ? Number.MAX_SAFE_INTEGER : mulDiv(sumLeft(lines), max, PPM);
  }

  run(index: PromotionIndex, automatic: readonly ReadyPromotion[]): Promoted {
    const coupons = this.#sortCoupons(index);
    const candidates =
      coupons.opened.size === 0
        ? automatic
        : [...automatic, ...coupons.opened.keys()].sort((a, b) => a.order - b.order);
    for (const ready of candidates) this.#offer(ready, candidates, coupons);
    for (const { coupon, position } of coupons.own) this.#offerCoupon(coupon, position);
    const used = new Set(this.#applied.map(({ coupon }) => coupon));
    return { applied: this.#applied, idle: coupons.positions.filter((position) => !used.has(position)) };
  }

  #offer(ready: ReadyPromotion, candidates: readonly ReadyPromotion[], coupons: Coupons): void {
    const { group } = ready;
    if (group !== null && this.#usedGroups.has(group)) {
      this.#trace?.(ready.promotion.id, group.choose === 'best' ? 'not_best' : 'group_used');
      return;
    }
    const outcome = this.#outcome(ready);
    if (outcome === null) return;
    let best = ready;
    let chosen = outcome;
    if (group?.choose === 'best') {
      for (const member of group.members) {
        if (member === ready || !candidates.includes(member)) continue;
        const other = this.#outcome(member);
        if (other !== null && other.worth > chosen.worth) {
          best = member;
          chosen = other;
        }
      }
      if (best !== ready) this.#trace?.(ready.promotion.id, 'not_best');
    }
    if (group !== null) this.#usedGroups.add(group);
    this.#apply(best, coupons.opened.get(best) ?? -1, chosen);
    this.#trace?.(best.promotion.id, 'applied');
    if (best.promotion.last === true) this.#over = true;
  }

  /** null: it does nothing here. */
  #outcome(ready: ReadyPromotion): Outcome | null {
    const { promotion } = ready;
    const because = this.#over ? 'after_last' : closedBecause(ready, this.#lines, this.#rules.zones, this.#request);
    if (because !== null) {
      this.#trace?.(promotion.id, because);
      return null;
    }
    const outcome = this.#does(ready);
    if (outcome === null) this.#trace?.(promotion.id, 'took_nothing');
    return outcome;
  }

  #does(ready: ReadyPromotion): Outcome | null {
    const { promotion } = ready;
    const { action } = promotion;
    const { currency, withoutGifts } = this.#request;
    const max = promotion.maxAmount === undefined ? undefined : ownAmount(promotion.maxAmount, currency);
    switch (action.kind) {
      case 'gift': {
        const some = this.#lines.some(({ product }) => product !== undefined);
        const sold = this.#rules.products.get(action.sku)?.active === true;
        return some && sold && !withoutGifts?.includes(promotion.id)
          ? { takes: [], shipping: null, gift: true, worth: 0 }
          : null;
      }
      case 'shipping': {
        const shipping = { action, max: max ?? Number.MAX_SAFE_INTEGER };
        if (this.#shipping === null) return null;
        const method = this.#rules.shippingMethods[this.#shipping.index]?.id ?? '';
        let { price } = this.#shipping;
        for (const { shipping: before } of this.#applied) {
          if (before !== null) price -= offShipping(before, method, price, currency);
        }
        const worth = offShipping(shipping, method, price, currency);
        return worth > 0 ? { takes: [], shipping, gift: false, worth } : null;
      }
      default: {
        const takes = this.#capped(takesOf(ready, this.#lines, currency), max);
        return takes.length === 0 ? null : { takes, shipping: null, gift: false, worth: sumOf(takes) };
      }
    }
  }

  #offerCoupon(coupon: Coupon, position: number): void {
    const { currency } = this.#request;
    const because = this.#over ? 'after_last' : couponClosedBecause(coupon, this.#lines, this.#request);
    if (because !== null) {
      this.#trace?.(`coupon:${coupon.code}`, because);
      return;
    }
    const left = sumLeft(this.#lines);
    const off =
      coupon.kind === 'percent'
        ? mulDivHalfUp(left, coupon.ratePpm, PPM)
        : coupon.kind === 'fixed'
          ? Math.min(ownAmount(coupon.amounts, currency) ?? 0, left)
          : 0;
    const takes = this.#capped(takeTogether(off, this.#lines), undefined);
    this.#trace?.(`coupon:${coupon.code}`, takes.length === 0 ? 'took_nothing' : 'applied');
    if (takes.length > 0) this.#apply(null, position, { takes, shipping: null, gift: false, worth: 0 });
  }

  #capped(takes: Take[], max: number | undefined): readonly Take[] {
    const limit = Math.min(max ?? Number.MAX_SAFE_INTEGER, this.#budget);
    return limit === Number.MAX_SAFE_INTEGER ? takes : capTakes(takes, limit);
  }

  #apply(ready: ReadyPromotion | null, coupon: number, { takes, shipping, gift }: Outcome): void {
    const source = this.#applied.length;
    for (const { line, amount, units } of takes) {
      line.left -= amount;
      if (line.discounts === null) line.discounts = [source, amount, units];
      else line.discounts.push(source, amount, units);
    }
    const amount = sumOf(takes);
    this.#budget -= amount;
    this.#applied.push({ ready, coupon, amount, gift, shipping });
  }

  #sortCoupons(index: PromotionIndex): Coupons {
    if (this.#request.coupons.length === 0) return NO_COUPONS;
    const opened = new Map<ReadyPromotion, number>();
    const own: { coupon: Coupon; position: number }[] = [];
    const asked = distinct(this.#request.coupons);
    for (const { code, position } of asked) {
      const coupon = this.#rules.coupons.get(code);
      if (coupon === undefined) continue;
      if (coupon.kind !== 'promotion') {
        own.push({ coupon, position });
        continue;
      }
      const because = couponClosedBecause(coupon, this.#lines, this.#request);
      if (because !== null) this.#trace?.(`coupon:${code}`, because);
      const ready = because === null ? index.opened(coupon) : undefined;
      if (ready !== undefined && !opened.has(ready)) opened.set(ready, position);
    }
    const rank = ({ kind }: Coupon) => (kind === 'percent' ? 0 : 1);
    own.sort((a, b) => rank(a.coupon) - rank(b.coupon));
    return { opened, own, positions: asked.map(({ position }) => position) };
  }
}

/** What a shipping promotion takes off a price of this method, at most all of it. */
export function offShipping({ action, max }: ShippingOff, method: string, price: number, currency: string): number {
  if (action.methods !== undefined && !action.methods.includes(method)) return 0;
  return Math.min(price, max, wantedOff(action.off, price, currency));
}

function wantedOff(off: ShippingAction['off'], price: number, currency: string): number {
  switch (off.kind) {
    case 'percent':
      return mulDivHalfUp(price, off.ratePpm, PPM);
    case 'amount':
      return ownAmount(off.amounts, currency) ?? 0;
    case 'price':
      return Math.max(0, price - (ownAmount(off.prices, currency) ?? price));
  }
}

function sumOf(takes: readonly Take[]): number {
  let sum = 0;
  for (const { amount } of takes) sum += amount;
  return sum;
}

/** Of a code that is given twice the second is left out; by code. */
function distinct(codes: readonly string[]): { readonly code: string; readonly position: number }[] {
  const seen = new Map<string, number>();
  codes.forEach((typed, position) => {
    const code = couponCode(typed);
    if (!seen.has(code)) seen.set(code, position);
  });
  const all = [...seen].map(([code, position]) => ({ code, position }));
  return all.sort((a, b) => (a.code < b.code ? -1 : 1));
}
