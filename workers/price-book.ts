/**
 * Price books for pricing: making one from plain lists, and carrying one to a thread. The book's types live in
 * `schema/price-book.ts`, where the catalogue builds them; this file relies on them being immutable.
 *
 * A book travels as encoded parts in shared memory: the products' base, which many versions have in common, the changed products,
 * the rules, and each price list. A part is encoded once for as long as it stays the same value, whatever the number of versions, threads and tasks; a
 * thread decodes it when it first meets its number. Names of products stay behind: figures are computed without them.
 */
import { Packr } from 'msgpackr';
import type { Coupon } from '../schema/coupon.ts';
import { type BookProduct, type PriceBook, type PriceTerms, ProductTable } from '../schema/price-book.ts';
import type { PriceList } from '../schema/price-list.ts';
import type { Promotion, PromotionGroup } from '../schema/promotion.ts';
import type { Store } from '../schema/rules.ts';
import type { ShippingMethod } from '../schema/shipping-method.ts';
import type { TaxRate } from '../schema/tax-rate.ts';
import type { Zone } from '../schema/zone.ts';
import type { PricingView } from './pricing.ts';

export type { BookProduct, PriceBook, PriceTerms } from '../schema/price-book.ts';

export interface BookParts {
  readonly version: number;
  readonly store: Store;
  readonly products: Readonly<Record<string, BookProduct>>;
  readonly zones?: readonly Zone[];
  readonly priceLists?: readonly PriceList[];
  readonly promotions?: readonly Promotion[];
  readonly promotionGroups?: readonly PromotionGroup[];
  readonly coupons?: readonly Coupon[];
  readonly taxRates?: readonly TaxRate[];
  readonly shippingMethods?: readonly ShippingMethod[];
}

/** A book from plain lists, for tests, simulations and benches. */
export function createBook(parts: BookParts): PriceBook {
  return {
    version: parts.version,
    store: parts.store,
    products: ProductTable.of(Object.entries(parts.products)),
    zones: new Map(byId(parts.zones).map((zone) => [zone.id, zone])),
    priceLists: byId(parts.priceLists),
    promotions: byId(parts.promotions),
    promotionGroups: byId(parts.promotionGroups),
    coupons: new Map((parts.coupons ?? []).map((coupon) => [coupon.code, coupon])),
    taxRates: byId(parts.taxRates),
    shippingMethods: parts.shippingMethods ?? [],
  };
}

function byId<T extends { readonly id: string }>(rules: readonly T[] = []): T[] {
  return [...rules].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** A part of a book in shared memory, by a number of its own, never used twice in a process. */
interface SentPart {
  readonly number: number;
  readonly bytes: SharedArrayBuffer;
}
/** How a task names the book that its carts are priced by; `edition` is never used twice in a process. */
export interface SentBook {
  readonly edition: number;
  readonly rules: SentPart;
  readonly base: SentPart;
  readonly changes: SentPart;
  readonly lists: readonly SentPart[];
}

type EncodedProduct = readonly [sku: string, terms: PriceTerms | null];

type RuleLists = readonly [
  store: Store,
  zones: readonly Zone[],
  promotions: readonly Promotion[],
  groups: readonly PromotionGroup[],
  coupons: readonly Coupon[],
  taxRates: readonly TaxRate[],
  shippingMethods: readonly ShippingMethod[],
];

export class BookEncoder {
  readonly #packr = new Packr({ useRecords: false });
  /** A part is kept for as long as the value that it was made from. */
  readonly #sent = new WeakMap<object, SentPart>();
  #rulesOf: readonly unknown[] = [];
  #rules: SentPart | null = null;
  #number = 0;
  #edition = 0;

  encode(book: PriceBook): SentBook {
    const { base, changes } = book.products;
    const products = (table: ReadonlyMap<string, BookProduct | null>) =>
      this.#part(table, () => [...table].map(([sku, product]) => encodeProduct(sku, product)));
    return {
      edition: ++this.#edition,
      rules: this.#rulesPart(book),
      base: products(base),
      changes: products(changes),
      lists: book.priceLists.map((list) => this.#part(list, () => list)),
    };
  }

  #rulesPart({ store, zones, promotions, promotionGroups, coupons, taxRates, shippingMethods }: PriceBook): SentPart {
    const of = [store, zones, promotions, promotionGroups, coupons, taxRates, shippingMethods];
    if (this.#rules !== null && of.every((value, i) => value === this.#rulesOf[i])) return this.#rules;
    const lists: RuleLists = [
      store,
      [...zones.values()],
      promotions,
      promotionGroups,
      [...coupons.values()],
      taxRates,
      shippingMethods,
    ];
    this.#rulesOf = of;
    this.#rules = this.#encoded(lists);
    return this.#rules;
  }

  #part(value: object, plain: () => unknown): SentPart {
    let known = this.#sent.get(value);
    if (known === undefined) {
      known = this.#encoded(plain());
      this.#sent.set(value, known);
    }
    return known;
  }

  #encoded(value: unknown): SentPart {
    return { number: ++this.#number, bytes: this.#shared(value) };
  }

  #shared(value: unknown): SharedArrayBuffer {
    const bytes = this.#packr.pack(value);
    const shared = new SharedArrayBuffer(bytes.byteLength);
    new Uint8Array(shared).set(bytes);
    return shared;
  }
}

function encodeProduct(sku: string, product: BookProduct | null): EncodedProduct {
  if (product === null) return [sku, null];
  const { active, taxCategory, prices, compareAtPrices, category, weightGrams, digital } = product;
  return [
    sku,
    {
      active,
      taxCategory,
      prices,
      category,
      ...(compareAtPrices === undefined ? undefined : { compareAtPrices }),
      ...(weightGrams === undefined ? undefined : { weightGrams }),
      ...(digital === undefined ? undefined : { digital }),
    },
  ];
}

/**
 * A thread's side: at most two books are kept, the newest ones met, and the parts of these. What pricing derives from a part (its
 * indexes) lives as long as the part.
 */
export class BookShelf {
  readonly #packr = new Packr({ useRecords: false });
  readonly #books = new Map<number, { readonly view: PricingView; readonly numbers: readonly number[] }>();
  readonly #parts = new Map<number, unknown>();
  /** The last book's price lists; the same list of them is given again where none has changed. */
  #lists: readonly PriceList[] = [];

  open(sent: SentBook): PricingView {
    const known = this.#books.get(sent.edition);
    if (known !== undefined) return known.view;
    const numbers = [sent.rules, sent.base, sent.changes, ...sent.lists].map(({ number }) => number);
    const view = this.#read(sent);
    this.#books.set(sent.edition, { view, numbers });
    for (const old of this.#books.keys()) if (this.#books.size > 2) this.#books.delete(old);
    const needed = new Set([...this.#books.values()].flatMap((book) => book.numbers));
    for (const number of this.#parts.keys()) if (!needed.has(number)) this.#parts.delete(number);
    return view;
  }

  #read({ rules, base, changes, lists }: SentBook): PricingView {
    const products = (encoded: unknown) => new Map(encoded as EncodedProduct[]);
    const stable = this.#part(base, products);
    const changed = this.#part(changes, products);
    return {
      ...this.#part(rules, (value) => rulesOf(value as RuleLists)),
      priceLists: this.#sameLists(lists),
      products: {
        get: (sku) => {
          const product = changed.size === 0 ? undefined : changed.get(sku);
          return (product === undefined ? stable.get(sku) : product) ?? undefined;
        },
      },
    };
  }

  #sameLists(parts: readonly SentPart[]): readonly PriceList[] {
    const lists = parts.map((part) => this.#part(part, (value) => value as PriceList));
    const same = lists.length === this.#lists.length && lists.every((list, i) => list === this.#lists[i]);
    if (!same) this.#lists = lists;
    return this.#lists;
  }

  #part<T>({ number, bytes }: SentPart, make: (value: unknown) => T): T {
    if (!this.#parts.has(number)) {
      // Copied first: text decoders refuse shared memory.
      this.#parts.set(number, make(this.#packr.unpack(new Uint8Array(bytes).slice())));
    }
    return this.#parts.get(number) as T;
  }
}

function rulesOf([store, zones, promotions, promotionGroups, coupons, taxRates, shippingMethods]: RuleLists) {
  return {
    store,
    zones: new Map(zones.map((zone) => [zone.id, zone])),
    promotions,
    promotionGroups,
    coupons: new Map(coupons.map((coupon) => [coupon.code, coupon])),
    taxRates,
    shippingMethods,
  };
}
