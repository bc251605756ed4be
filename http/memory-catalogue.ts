/**
 * For tests only: the catalogue in memory without a database, from the demo data. Rules are changed by the decisions of `schema/`, so what is
 * refused there is refused here.
 */
import type { AnswerRow } from '../runtime/journal.ts';
import { couponCode } from '../schema/coupon.ts';
import { type DemoData, rulesOf } from '../schema/demo.ts';
import { type PriceBook, ProductTable } from '../schema/price-book.ts';
import { listedIn } from '../schema/price-list.ts';
import type { Product } from '../schema/product.ts';
import { ProductIndex, type ProductPage, type ProductQuery } from '../schema/product-index.ts';
import { isForFirstOrders } from '../schema/promotion.ts';
import {
  type ChangedBy,
  decideChanges,
  type RuleChange,
  type RuleOutcome,
  type RulesChanged,
} from '../schema/rule-changes.ts';
import type { ShippingMethod } from '../schema/shipping-method.ts';
import { StoredRules } from '../schema/stored-rules.ts';
import type { CatalogueAccess } from './app.ts';

export class MemoryCatalogue implements CatalogueAccess {
  readonly #products = new ProductIndex();
  readonly #record: (answer: AnswerRow) => void;
  #rules: StoredRules;
  #version = 1;
  #book: PriceBook | null = null;

  constructor(data: DemoData, record: (answer: AnswerRow) => void) {
    this.#record = record;
    this.#products.apply(new Map(data.products.map((product) => [product.sku, product])));
    const updatedAt = new Date(0);
    const rules = rulesOf(data).map((rule) => ({ ...rule, version: 1, updatedAt, deleted: false }));
    this.#rules = StoredRules.EMPTY.with(rules);
  }

  get rules(): StoredRules {
    return this.#rules;
  }
  get defaultCurrency(): string {
    return this.#rules.store.defaultCurrency;
  }
  get currencies(): readonly string[] {
    return this.#rules.store.currencies;
  }

  book(): PriceBook {
    this.#book ??= {
      version: this.#version,
      products: ProductTable.of([...this.#products].map((product) => [product.sku, product])),
      ...this.#rules.book(),
    };
    return this.#book;
  }

  product(sku: string): Product | undefined {
    return this.#products.get(sku);
  }
  list(query: ProductQuery): ProductPage {
    return this.#products.list(query);
  }
  hasCoupon(code: string): boolean {
    return this.#rules.get('coupon', couponCode(code)) !== undefined;
  }
  countsOrders(): boolean {
    return this.#rules.book().promotions.some(isForFirstOrders);
  }
  listedIn(sku: string): readonly string[] {
    return listedIn(this.#rules.book().priceLists, sku);
  }
  shippingMethods(): readonly ShippingMethod[] {
    return this.#rules.book().shippingMethods;
  }

  async put(product: Product, answer?: AnswerRow): Promise<void> {
    this.#write(new Map([[product.sku, product]]), answer);
  }
  async importMany(products: readonly Product[], answer?: AnswerRow): Promise<void> {
    this.#write(new Map(products.map((product) => [product.sku, product])), answer);
  }
  async remove(sku: string, answer?: AnswerRow): Promise<boolean> {
    this.#write(new Map([[sku, null]]), answer);
    return true;
  }

  async changeRules(
    changes: readonly RuleChange[],
    by: ChangedBy,
    answer: (changed: RulesChanged) => AnswerRow | undefined,
  ): Promise<RuleOutcome> {
    const hasSku = (sku: string) => this.#products.get(sku) !== undefined;
    const decision = decideChanges(this.#rules, hasSku, this.#version + 1, changes, by.at);
    if (!decision.ok) return decision;
    this.#rules = this.#rules.with(decision.news);
    this.#write(new Map(), answer(decision));
    return decision;
  }

  #write(changes: ReadonlyMap<string, Product | null>, answer: AnswerRow | undefined): void {
    if (answer !== undefined) this.#record(answer);
    this.#products.apply(changes);
    this.#version++;
    this.#book = null;
  }
}
