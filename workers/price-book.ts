/**
 * Price books for pricing: making one from plain lists, and carrying one to a thread. The book's types live in
 * `schema/price-book.ts`, where the catalogue builds them; this file relies on them being immutable.
 *
 * A book travels as two encoded parts in shared memory: the products' base, which many versions have in common, and the rest (rules
 * and changed products), which is small. Each part is encoded once, whatever the number of threads and tasks; a thread
 * decodes a part when it first meets its number. Names stay behind: figures are computed without them.
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

/** How a task names the book that its carts are priced by. The numbers are the pool's own, never used twice in a process. */
export interface SentBook {
  readonly edition: number;
  readonly rest: SharedArrayBuffer;
  readonly baseNumber: number;
  readonly base: SharedArrayBuffer;
}

type EncodedProduct = [sku: string, terms: PriceTerms | null];
type EncodedRest = [
  store: Store,
  coupons: readonly Coupon[],
  taxRates: readonly TaxRate[],
  shippingMethods: readonly ShippingMethod[],
  changes: EncodedProduct[],
];

export class BookEncoder {
  readonly #packr = new Packr({ useRecords: false });
  #products: ReadonlyMap<string, BookProduct> | undefined;
  #base = new SharedArrayBuffer(0);
  #baseNumber = 0;
  #edition = 0;

  encode(book: PriceBook): SentBook {
    if (this.#products !== book.products.base) {
      this.#base = this.#shared([...book.products.base].map(([sku, product]) => encodeProduct(sku, product)));
      this.#products = book.products.base;
      this.#baseNumber++;
    }
    const rest: EncodedRest = [
      book.store,
      [...book.coupons.values()],
      book.taxRates,
      book.shippingMethods,
      [...book.products.changes].map(([sku, product]) => encodeProduct(sku, product)),
    ];
    this.#edition++;
    return { edition: this.#edition, rest: this.#shared(rest), baseNumber: this.#baseNumber, base: this.#base };
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

/** A thread's side: at most two books and two bases are kept, the newest ones met. */
export class BookShelf {
  readonly #packr = new Packr({ useRecords: false });
  readonly #bases = new Map<number, ReadonlyMap<string, PriceTerms | null>>();
  readonly #books = new Map<number, PricingView>();

  open(sent: SentBook): PricingView {
    const known = this.#books.get(sent.edition);
    if (known !== undefined) return known;
    let base = this.#bases.get(sent.baseNumber);
    if (base === undefined) {
      base = decodeProducts(this.#unpack<EncodedProduct[]>(sent.base));
      keepTwo(this.#bases, sent.baseNumber, base);
    }
    const [store, coupons, taxRates, shippingMethods, changed] = this.#unpack<EncodedRest>(sent.rest);
    const stable = base;
    const changes = decodeProducts(changed);
    const view: PricingView = {
      store,
      coupons: new Map(coupons.map((coupon) => [coupon.code, coupon])),
      taxRates,
      shippingMethods,
      products: {
        get: (sku) => {
          const product = changes.get(sku);
          return (product === undefined ? stable.get(sku) : product) ?? undefined;
        },
      },
    };
    keepTwo(this.#books, sent.edition, view);
    return view;
  }

  #unpack<T>(shared: SharedArrayBuffer): T {
    // Copied first: text decoders refuse shared memory.
    return this.#packr.unpack(new Uint8Array(shared).slice()) as T;
  }
}

function decodeProducts(encoded: readonly EncodedProduct[]): Map<string, PriceTerms | null> {
  return new Map(encoded);
}

function keepTwo<T>(kept: Map<number, T>, number: number, value: T): void {
  kept.set(number, value);
  for (const old of kept.keys()) {
    if (kept.size <= 2) return;
    kept.delete(old);
  }
}
