/**
 * All commercial rules at one version of the book, as an immutable value: what is stored, by kind and id. A change makes a new value
 * that shares with the one before all kinds that it does not touch, and so do the lists and maps that are made of it: pricing
 * keeps what it derives from one for as long as it meets it.
 */
import type { Coupon } from './coupon.ts';
import type { PriceBook } from './price-book.ts';
import type { RuleKind, RuleNews, StoredRule } from './rule-rows.ts';
import { RULE_KINDS, STORE_ID } from './rule-rows.ts';
import type { RuleSet } from './rule-set.ts';
import type { Store } from './rules.ts';
import type { ShippingMethod } from './shipping-method.ts';
import type { Zone } from './zone.ts';

/** The store of a database in which none was set up. */
export const NO_STORE: Store = Object.freeze({ defaultCurrency: 'USD', currencies: ['USD'], defaultShipping: null });

/** A shipping method as it is stored: with its place among those that are offered. */
export type PlacedMethod = ShippingMethod & { readonly place?: number };

type OfKind = ReadonlyMap<string, StoredRule>;

export class StoredRules {
  static readonly EMPTY = new StoredRules(new Map(RULE_KINDS.map((kind) => [kind, new Map()])));

  readonly #byKind: ReadonlyMap<RuleKind, OfKind>;

  private constructor(byKind: ReadonlyMap<RuleKind, OfKind>) {
    this.#byKind = byKind;
  }

  get(kind: RuleKind, id: string): StoredRule | undefined {
    return this.#ofKind(kind).get(id);
  }

  /** In order of their ids. */
  all(kind: RuleKind): readonly StoredRule[] {
    return IN_ORDER.of(this.#ofKind(kind));
  }

  size(kind: RuleKind): number {
    return this.#ofKind(kind).size;
  }

  get store(): Store {
    return (this.get('store', STORE_ID)?.doc as Store | undefined) ?? NO_STORE;
  }

  /** What a book has of them. Each list and map is the same one until a rule of its kind changes. */
  book(): Omit<PriceBook, 'version' | 'products'> {
    return {
      store: this.store,
      zones: ZONES.of(this.#docs('zone')),
      priceLists: this.#docs('price_list'),
      promotions: this.#docs('promotion'),
      promotionGroups: this.#docs('promotion_group'),
      coupons: COUPONS.of(this.#docs('coupon')),
      taxRates: this.#docs('tax_rate'),
      shippingMethods: METHODS.of(this.#docs('shipping_method')),
    };
  }

  /** For checking them together. */
  set(): RuleSet {
    const { zones, coupons, ...others } = this.book();
    return { ...others, zones: [...zones.values()], coupons: [...coupons.values()] };
  }

  with(news: Iterable<RuleNews>): StoredRules {
    const changed = new Map<RuleKind, Map<string, StoredRule>>();
    for (const { deleted, ...rule } of news) {
      let ofKind = changed.get(rule.kind);
      if (ofKind === undefined) {
        ofKind = new Map(this.#ofKind(rule.kind));
        changed.set(rule.kind, ofKind);
      }
      if (deleted) ofKind.delete(rule.id);
      else ofKind.set(rule.id, rule);
    }
    return changed.size === 0 ? this : new StoredRules(new Map([...this.#byKind, ...changed]));
  }

  #ofKind(kind: RuleKind): OfKind {
    return this.#byKind.get(kind) ?? NONE;
  }

  /** As their own checks let them in, whatever release wrote them. */
  #docs<Doc>(kind: RuleKind): readonly Doc[] {
    return DOCS.of(this.#ofKind(kind)) as readonly Doc[];
  }
}

const NONE: OfKind = new Map();

/** Made once of each value, and gone with it. */
class Derived<From extends object, To> {
  readonly #made = new WeakMap<From, { readonly value: To }>();
  readonly #make: (from: From) => To;

  constructor(make: (from: From) => To) {
    this.#make = make;
  }

  of(from: From): To {
    let made = this.#made.get(from);
    if (made === undefined) {
      made = { value: this.#make(from) };
      this.#made.set(from, made);
    }
    return made.value;
  }
}

const IN_ORDER = new Derived((rules: OfKind) => [...rules.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
const DOCS = new Derived((rules: OfKind) => IN_ORDER.of(rules).map(({ doc }) => doc));
const ZONES = new Derived((zones: readonly Zone[]) => new Map(zones.map((zone) => [zone.id, zone])));
const COUPONS = new Derived((coupons: readonly Coupon[]) => new Map(coupons.map((coupon) => [coupon.code, coupon])));
const METHODS = new Derived((methods: readonly PlacedMethod[]): readonly ShippingMethod[] =>
  [...methods].sort((a, b) => (a.place ?? 0) - (b.place ?? 0)).map(({ place: _place, ...method }) => method),
);
