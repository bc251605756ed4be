/**
 * Price books for pricing: making one from plain lists, and carrying one to a thread. The book's types live in
 * `schema/price-book.ts`, where the catalogue builds them; this file relies on them being immutable.
 *
 * A book travels as two encoded parts in shared memory: the products' base, which many versions have in common, and the rest (rules
 * and changed products), which is small. Each part is encoded once, whatever the number of threads and tasks; a thread
 * decodes a part when it first meets its number. Names stay behind: figures are computed without them.
 */
import { Packr } from 'msgpackr';
import { type BookProduct, type PriceBook, type PriceTerms, ProductTable } from '../schema/price-book.ts';
import type { Coupon, ShippingMethod, Store, TaxRate } from '../schema/rules.ts';
import type { PricingView } from './pricing.ts';

export type { BookProduct, PriceBook, PriceTerms } from '../schema/price-book.ts';
export type { Amounts, Coupon, ShippingMethod, Store, TaxRate } from '../schema/rules.ts';

export interface BookParts {
  readonly version: number;
  readonly store: Store;
  readonly products: Readonly<Record<string, BookProduct>>;
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
    coupons: new Map((parts.coupons ?? []).map((coupon) => [coupon.code, coupon])),
    taxRates: [...(parts.taxRates ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1)),
    shippingMethods: parts.shippingMethods ?? [],
  };
}

/** How a task names the book that its carts are priced by. The numbers are the pool's own, never used twice in a process. */
export interface SentBook {
  readonly edition: number;
  readonly rest: SharedArrayBuffer;
  readonly baseNumber: number;
  readonly base: SharedArrayBuffer;
}

type EncodedProduct =
  | [sku: string, active: boolean, taxCategory: string, prices: Readonly<Record<string, number>>]
  | [sku: string];
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
  return product === null ? [sku] : [sku, product.active, product.taxCategory, product.prices];
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
  const products = new Map<string, PriceTerms | null>();
  for (const [sku, active, taxCategory, prices] of encoded) {
    const gone = active === undefined || taxCategory === undefined || prices === undefined;
    products.set(sku, gone ? null : { active, taxCategory, prices });
  }
  return products;
}

function keepTwo<T>(kept: Map<number, T>, number: number, value: T): void {
  kept.set(number, value);
  for (const old of kept.keys()) {
    if (kept.size <= 2) return;
    kept.delete(old);
  }
}
