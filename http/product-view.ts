/**
 * Products as shoppers see them. A product's JSON and its ETag are kept for as long as nothing in them changes: for each sku and currency
 * one rendering, found again while the catalogue's record is the same object, and the price and the stock's status are the same. The
 * number of renderings kept is bounded.
 */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Product } from '../schema/product.ts';
import type { Awaitable, StockCopy } from './app.ts';
import { databaseFault } from './database-fault.ts';
import { headerBlock } from './header-block.ts';
import { moneyTail } from './json.ts';
import type { EdgeReply } from './reply.ts';
import type { PricesNow, ShownPrice } from './shown-prices.ts';

export type StockStatus = 'in_stock' | 'low' | 'sold_out';

/** So many units or fewer are shown as `low`. */
export const LOW_STOCK = 10;
/** Renderings kept; about 2 KB each. */
const RENDERINGS_MAX = 10_000;
/** What it writes has memory of its own: a piece of a shared block would keep the whole block. */
const utf8 = new TextEncoder();
const CACHE_CONTROL = 'max-age=2, stale-while-revalidate=10';

/** A sku that no stock was ever recorded for has none to sell. */
export function stockStatus(stock: { readonly available: number } | undefined): StockStatus {
  if (stock === undefined || stock.available <= 0) return 'sold_out';
  return stock.available <= LOW_STOCK ? 'low' : 'in_stock';
}

/**
 * Makes sure that there is a copy of each sku's stock, at most 2 s old where the stock can be read; where it cannot, an older
 * one is better than no page.
 * @throws Fault `database_unavailable` where there is none at all
 */
export async function freshStock(stock: StockCopy, skus: readonly string[]): Promise<void> {
  try {
    await stock.ensure(skus);
  } catch (error) {
    if (skus.some((sku) => stock.get(sku) === undefined)) throw databaseFault(error);
  }
}

interface Rendering {
  readonly product: Product;
  readonly price: ShownPrice;
  readonly status: StockStatus;
  readonly json: string;
  readonly etag: string;
  readonly found: EdgeReply;
  readonly unchanged: EdgeReply;
}

export class ProductView {
  readonly #stock: StockCopy;
  readonly #renderings = new LRUCache<string, Rendering>({ max: RENDERINGS_MAX });

  constructor(stock: StockCopy) {
    this.#stock = stock;
  }

  /** At once where the stock is known: promises would be a tenth of what a read costs. */
  reply(product: Product, currency: string, price: ShownPrice, ifNoneMatch: string): Awaitable<EdgeReply> {
    const answer = () => this.#replyNow(product, currency, price, ifNoneMatch);
    return this.#stock.isFresh(product.sku) ? answer() : freshStock(this.#stock, [product.sku]).then(answer);
  }

  #replyNow(product: Product, currency: string, price: ShownPrice, ifNoneMatch: string): EdgeReply {
    const rendering = this.#render(product, currency, price);
    return matches(ifNoneMatch, rendering.etag) ? rendering.unchanged : rendering.found;
  }

  /** What has no price in the currency is left out. */
  async listReply(
    products: readonly Product[],
    prices: PricesNow,
    nextCursor: string | null,
    ifNoneMatch: string,
  ): Promise<EdgeReply> {
    await freshStock(
      this.#stock,
      products.map(({ sku }) => sku),
    );
    let body = '{"items":[';
    let first = true;
    for (const product of products) {
      const price = prices.of(product);
      if (price === undefined) continue;
      if (!first) body += ',';
      first = false;
      body += this.#render(product, prices.currency, price).json;
    }
    body += `],"nextCursor":${nextCursor === null ? 'null' : `"${nextCursor}"`}}`;
    const headers = cacheHeaders(etagOf(body));
    return matches(ifNoneMatch, headers.etag) ? { status: 304, headers } : { status: 200, headers, body };
  }

  #render(product: Product, currency: string, price: ShownPrice): Rendering {
    const key = `${currency} ${product.sku}`;
    const status = stockStatus(this.#stock.get(product.sku));
    const kept = this.#renderings.get(key);
    if (kept !== undefined && kept.product === product && kept.status === status && isSame(kept.price, price))
      return kept;
    const json = productJson(product, currency, price, status);
    const headers = cacheHeaders(etagOf(json));
    const rendering: Rendering = {
      product,
      price,
      status,
      json,
      etag: headers.etag,
      found: { status: 200, headers, block: headerBlock(headers, true), body: utf8.encode(json) },
      unchanged: { status: 304, headers, block: headerBlock(headers, false) },
    };
    this.#renderings.set(key, rendering);
    return rendering;
  }
}

function cacheHeaders(etag: string): { readonly etag: string; readonly 'cache-control': string } {
  return { etag, 'cache-control': CACHE_CONTROL };
}

/** Strong: the same tag means the same bytes, on every node. */
export function etagOf(body: string): string {
  return `"${hash('sha256', body, 'base64url').slice(0, 22)}"`;
}

/** RFC 9110, section 13.1.2: weak comparison with each tag of the list. */
export function matches(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch === '') return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

export function imagePath(sku: string): string {
  return `/images/${sku}.svg`;
}

function isSame(a: ShownPrice, b: ShownPrice): boolean {
  return a.amount === b.amount && a.compareAt === b.compareAt;
}

function productJson(product: Product, currency: string, price: ShownPrice, status: StockStatus): string {
  const tail = moneyTail(currency);
  const { amount, compareAt } = price;
  return (
    `{"sku":"${product.sku}","name":${JSON.stringify(product.name)},"description":${JSON.stringify(product.description)}` +
    `,"category":${JSON.stringify(product.category)},"image":"${imagePath(product.sku)}","price":{"amount":${amount}${tail}` +
    (compareAt === undefined ? '' : `,"compareAtPrice":{"amount":${compareAt}${tail}`) +
    `,"taxCategory":${JSON.stringify(product.taxCategory)}` +
    (product.maxPerOrder === null ? '' : `,"maxPerOrder":${product.maxPerOrder}`) +
    (product.weightGrams ? `,"weightGrams":${product.weightGrams}` : '') +
    (product.digital ? ',"digital":true' : '') +
    `,"holdAt":"${product.holdAt}","stock":{"status":"${status}"}}`
  );
}
