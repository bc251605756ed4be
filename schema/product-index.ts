/**
 * Products in memory, in the orders in which they are listed. A page is found by binary search and read on from there, so the
 * plain list costs the same with a hundred products and with 100,000 (0.1 ms). A search by words, or by a rare category, reads products
 * until the page is full, but at most `SCAN_MAX` (some 8 ms): past that the page is short, perhaps empty, and `next` goes on from there.
 *
 * An order is sorted when it is first asked for (100,000 products: some 0.2 s, once) and kept sorted under changes; where very
 * many change at once, or the prices that it goes by, it is dropped and sorted anew.
 */
import type { Product } from './product.ts';

export type ProductSort = 'sku' | '-sku' | 'name' | '-name' | 'price' | '-price';
/** Sort value and sku of the last product that a page looked at. Stays good while products come and go. */
export type ListPosition = readonly (string | number | null)[];

export interface ProductQuery {
  /** Words, each of which must occur in name, description or sku, in any case. */
  readonly q?: string | undefined;
  readonly category?: string | undefined;
  /** Only products with a price in this currency. Sorting by price needs it. */
  readonly currency?: string | undefined;
  /** What they cost in it, where that is more than their own prices say; the same value as long as that is the same. */
  readonly prices?: ShownAmounts | undefined;
  /** Default `name`. */
  readonly sort?: ProductSort | undefined;
  readonly limit: number;
  readonly after?: ListPosition | null | undefined;
  /** True: archived products too. */
  readonly all?: boolean | undefined;
}
export interface ShownAmounts {
  /** undefined: no price. */
  amountOf(product: Product): number | undefined;
}

export interface ProductPage {
  readonly items: readonly Product[];
  /** Where the next page starts; null: this is the last. */
  readonly next: ListPosition | null;
}

/** What a page looks at, beside the product and not inside it: a list that reads 100,000 of these misses the cache less often. */
interface Listed {
  readonly product: Product;
  readonly active: boolean;
  /** Number of the category: whole numbers compare faster than texts. */
  readonly category: number;
  /** What a search looks at; made when first searched. */
  text: string | null;
}
type Key = string | number;
interface Order {
  /** By what prices it is sorted; undefined: their own, or by something else. */
  readonly prices: ShownAmounts | undefined;
  readonly keyOf: (product: Product) => Key | undefined;
  readonly items: Listed[];
}

/** Products that one page looks at; only a search in a larger catalogue meets it. */
export const SCAN_MAX = 20_000;
/** More changes than this at once, and the orders are sorted anew. */
const SPLICE_MAX = 256;

export class ProductIndex {
  readonly #listed = new Map<string, Listed>();
  readonly #orders = new Map<string, Order>();
  readonly #categories = new Map<string, number>();

  get size(): number {
    return this.#listed.size;
  }

  get(sku: string): Product | undefined {
    return this.#listed.get(sku)?.product;
  }

  *[Symbol.iterator](): Generator<Product> {
    for (const { product } of this.#listed.values()) yield product;
  }

  /** null: removed. */
  apply(changes: ReadonlyMap<string, Product | null>): void {
    const splice = changes.size <= SPLICE_MAX;
    if (!splice) this.#orders.clear();
    for (const [sku, product] of changes) {
      const before = this.#listed.get(sku);
      const now = product === null ? undefined : this.#listedOf(product);
      for (const order of this.#orders.values()) {
        if (before !== undefined) remove(order, before);
        if (now !== undefined) insert(order, now);
      }
      if (now === undefined) this.#listed.delete(sku);
      else this.#listed.set(sku, now);
    }
  }

  list(query: ProductQuery): ProductPage {
    const { currency, prices } = query;
    const category = query.category === undefined ? undefined : this.#categories.get(query.category);
    if (query.category !== undefined && category === undefined) return { items: [], next: null };
    const sort = query.sort ?? 'name';
    const down = sort.startsWith('-');
    const order = this.#order(down ? sort.slice(1) : sort, currency, prices);
    const words = (query.q ?? '')
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '');
    const all = query.all === true;
    const fits = (listed: Listed): boolean =>
      (all || listed.active) &&
      (category === undefined || listed.category === category) &&
      (words.length === 0 || words.every((word) => textOf(listed).includes(word))) &&
      (currency === undefined || amountIn(currency, prices, listed.product) !== undefined);
    const items: Product[] = [];
    let last: Listed | undefined;
    let left = SCAN_MAX;
    const step = down ? -1 : 1;
    for (let at = start(order, query.after ?? null, down); at >= 0 && at < order.items.length; at += step) {
      const listed = order.items[at];
      if (listed === undefined) break;
      const fit = fits(listed);
      if (last !== undefined && (left-- === 0 || (fit && items.length === query.limit))) {
        return { items, next: positionOf(order, last) };
      }
      if (fit) items.push(listed.product);
      last = listed;
    }
    return { items, next: null };
  }

  #listedOf(product: Product): Listed {
    let category = this.#categories.get(product.category);
    if (category === undefined) {
      category = this.#categories.size;
      this.#categories.set(product.category, category);
    }
    return { product, active: product.active, category, text: null };
  }

  #order(by: string, currency: string | undefined, shown: ShownAmounts | undefined): Order {
    const name = by === 'price' ? `price:${currency ?? ''}` : by;
    const prices = by === 'price' ? shown : undefined;
    let order = this.#orders.get(name);
    if (order === undefined || order.prices !== prices) {
      const keyOf = keyFor(by, currency, prices);
      const items = [...this.#listed.values()].filter(({ product }) => keyOf(product) !== undefined);
      order = { prices, keyOf, items: items.sort((a, b) => compare(keyOf, a.product, b.product)) };
      // Currencies that no product has a price in are not worth remembering, and there is no end of them.
      if (items.length > 0) this.#orders.set(name, order);
    }
    return order;
  }
}

function amountIn(currency: string, prices: ShownAmounts | undefined, product: Product): number | undefined {
  return prices === undefined ? product.prices[currency] : prices.amountOf(product);
}

function keyFor(by: string, currency: string | undefined, prices: ShownAmounts | undefined): Order['keyOf'] {
  switch (by) {
    case 'price':
      return (product) => (currency === undefined ? undefined : amountIn(currency, prices, product));
    case 'sku':
      return (product) => product.sku;
    default:
      return (product) => product.name.toLowerCase();
  }
}

function textOf(listed: Listed): string {
  const { name, description, sku } = listed.product;
  listed.text ??= `${name}\n${description}\n${sku}`.toLowerCase();
  return listed.text;
}

function compareKeys(a: Key, aSku: string, b: Key, bSku: string): number {
  if (a !== b) return a < b ? -1 : 1;
  return aSku < bSku ? -1 : aSku > bSku ? 1 : 0;
}

function compare(keyOf: Order['keyOf'], a: Product, b: Product): number {
  return compareKeys(keyOf(a) ?? 0, a.sku, keyOf(b) ?? 0, b.sku);
}

/** Place of the first item that is not before the key; `past`: of the first that is after it. */
function bound(order: Order, key: Key, sku: string, past: boolean): number {
  let low = 0;
  let high = order.items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const product = order.items[middle]?.product;
    const side = product === undefined ? 1 : compareKeys(order.keyOf(product) ?? 0, product.sku, key, sku);
    if (side < 0 || (past && side === 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function start(order: Order, after: ListPosition | null, down: boolean): number {
  const key = after?.[0] ?? null;
  const sku = after?.[1];
  if (key === null || typeof sku !== 'string') return down ? order.items.length - 1 : 0;
  return down ? bound(order, key, sku, false) - 1 : bound(order, key, sku, true);
}

function positionOf(order: Order, { product }: Listed): ListPosition {
  return [order.keyOf(product) ?? null, product.sku];
}

function insert(order: Order, listed: Listed): void {
  const key = order.keyOf(listed.product);
  if (key !== undefined) order.items.splice(bound(order, key, listed.product.sku, false), 0, listed);
}

function remove(order: Order, listed: Listed): void {
  const key = order.keyOf(listed.product);
  if (key !== undefined) order.items.splice(bound(order, key, listed.product.sku, false), 1);
}
