/**
 * Promotions made ready for pricing, once for each list of them: in the order in which they apply, with their selectors as sets, and
 * found by what they need. A promotion that can only do something where the cart has certain skus or categories is looked at
 * only for such carts; so a cart costs lines × promotions that match it, however many there are.
 */
import type { Coupon } from '../schema/coupon.ts';
import {
  type GoodsCondition,
  type ItemSelector,
  PRIORITY_DEFAULT,
  type Promotion,
  type PromotionGroup,
} from '../schema/promotion.ts';
import type { GoodsLine } from './goods.ts';

export interface ReadySelector {
  /** null: any sku or category is taken. */
  readonly skus: ReadonlySet<string> | null;
  readonly categories: ReadonlySet<string> | null;
  readonly exceptSkus: ReadonlySet<string> | null;
  readonly exceptCategories: ReadonlySet<string> | null;
  readonly notOnSale: boolean;
}
export interface ReadyGroup {
  readonly choose: PromotionGroup['choose'];
  /** Ready promotions, in order. */
  readonly members: ReadyPromotion[];
}
export interface ReadyPromotion {
  readonly promotion: Promotion;
  /** Place in the book's list, by which the row of figures names it. */
  readonly place: number;
  /** Place in the order in which promotions apply. */
  readonly order: number;
  /** What the action takes from; of `buy_get` what is taken off. */
  readonly items: ReadySelector;
  /** Of `buy_get`: what is bought. */
  readonly buy: ReadySelector | null;
  readonly goods: readonly ReadyGoods[];
  group: ReadyGroup | null;
}
export interface ReadyGoods {
  readonly condition: GoodsCondition;
  readonly items: ReadySelector;
}

export class PromotionIndex {
  readonly groups: readonly PromotionGroup[];
  /** In the order in which they apply. */
  readonly all: readonly ReadyPromotion[];
  /** Automatic ones that any cart may meet. */
  readonly broad: readonly ReadyPromotion[];
  readonly #bySku = new Map<string, ReadyPromotion[]>();
  readonly #byCategory = new Map<string, ReadyPromotion[]>();
  readonly #byId = new Map<string, ReadyPromotion>();

  constructor(promotions: readonly Promotion[], groups: readonly PromotionGroup[]) {
    this.groups = groups;
    const priority = ({ promotion }: { readonly promotion: Promotion }) => promotion.priority ?? PRIORITY_DEFAULT;
    this.all = promotions
      .map((promotion, place) => ({ promotion, place }))
      .filter(({ promotion }) => promotion.active !== false)
      .sort((a, b) => priority(a) - priority(b) || (a.promotion.id < b.promotion.id ? -1 : 1))
      .map(({ promotion, place }, order) => ready(promotion, place, order));
    for (const one of this.all) this.#byId.set(one.promotion.id, one);
    for (const group of groups) this.#group(group);
    const broad: ReadyPromotion[] = [];
    for (const one of this.all) if (one.promotion.trigger === 'automatic' && !this.#fileUnder(one)) broad.push(one);
    this.broad = broad;
  }

  get size(): number {
    return this.all.length;
  }

  /** That a coupon opens. */
  opened(coupon: Coupon | undefined): ReadyPromotion | undefined {
    if (coupon?.kind !== 'promotion') return undefined;
    const one = this.#byId.get(coupon.promotion);
    return one?.promotion.trigger === 'coupon' ? one : undefined;
  }

  /** Automatic ones that may do something with these lines, in the order in which they apply. */
  matching(lines: readonly GoodsLine[]): readonly ReadyPromotion[] {
    if (this.#bySku.size === 0 && this.#byCategory.size === 0) return this.broad;
    let found: Set<ReadyPromotion> | null = null;
    for (const { product, sku } of lines) {
      if (product === undefined) continue;
      const bySku = this.#bySku.get(sku);
      const byCategory = this.#byCategory.get(product.category);
      if (bySku === undefined && byCategory === undefined) continue;
      found ??= new Set();
      if (bySku !== undefined) for (const one of bySku) found.add(one);
      if (byCategory !== undefined) for (const one of byCategory) found.add(one);
    }
    if (found === null) return this.broad;
    return [...this.broad, ...found].sort((a, b) => a.order - b.order);
  }

  #group({ promotions, choose }: PromotionGroup): void {
    const members = promotions.flatMap((id) => this.#byId.get(id) ?? []).sort((a, b) => a.order - b.order);
    const group: ReadyGroup = { choose, members };
    for (const member of members) member.group = group;
  }

  /** False: it needs nothing in particular. */
  #fileUnder(one: ReadyPromotion): boolean {
    const needed = neededBy(one);
    if (needed === null) return false;
    for (const sku of needed.skus ?? []) file(this.#bySku, sku, one);
    for (const category of needed.categories ?? []) file(this.#byCategory, category, one);
    return true;
  }
}

// Derived from an immutable list, and gone with it.
const indexes = new WeakMap<readonly Promotion[], PromotionIndex>();

export function promotionIndex(promotions: readonly Promotion[], groups: readonly PromotionGroup[]): PromotionIndex {
  let index = indexes.get(promotions);
  if (index === undefined || index.groups !== groups) {
    index = new PromotionIndex(promotions, groups);
    indexes.set(promotions, index);
  }
  return index;
}

export function selects(selector: ReadySelector, { product, sku, onSale }: GoodsLine): boolean {
  if (product === undefined) return false;
  const { skus, categories, exceptSkus, exceptCategories } = selector;
  if (skus !== null || categories !== null) {
    const named = skus?.has(sku) === true || categories?.has(product.category) === true;
    if (!named) return false;
  }
  if (exceptSkus?.has(sku) === true || exceptCategories?.has(product.category) === true) return false;
  return !(selector.notOnSale && onSale);
}

function ready(promotion: Promotion, place: number, order: number): ReadyPromotion {
  const { action, conditions } = promotion;
  const items = action.kind === 'buy_get' ? action.get.items : 'items' in action ? action.items : {};
  const goods = (conditions?.goods ?? []).map((condition) => ({ condition, items: readySelector(condition.items) }));
  const buy = action.kind === 'buy_get' ? readySelector(action.buy.items) : null;
  return { promotion, place, order, items: readySelector(items), buy, goods, group: null };
}

function readySelector(selector: ItemSelector): ReadySelector {
  const set = (words: readonly string[] | undefined) => (words === undefined ? null : new Set(words));
  return {
    skus: set(selector.skus),
    categories: set(selector.categories),
    exceptSkus: set(selector.exceptSkus),
    exceptCategories: set(selector.exceptCategories),
    notOnSale: selector.notOnSale === true,
  };
}

/** A selector that the cart must meet for the promotion to do anything; null: there is none. */
function neededBy({ promotion, items, buy, goods }: ReadyPromotion): ReadySelector | null {
  const narrow = (selector: ReadySelector | null) =>
    selector !== null && (selector.skus ?? selector.categories) !== null;
  const { kind } = promotion.action;
  if (kind !== 'shipping' && kind !== 'gift' && narrow(items)) return items;
  if (narrow(buy)) return buy;
  const asked = goods.find(({ condition, items: of }) => narrow(of) && asksForSome(condition));
  return asked?.items ?? null;
}

function asksForSome({ quantity }: GoodsCondition): boolean {
  return (quantity?.min ?? 0) > 0;
}

function file(map: Map<string, ReadyPromotion[]>, key: string, one: ReadyPromotion): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [one]);
  else list.push(one);
}
