/** What connections do while something grows: they touch all of it, without a list of it. */

import { failureOf, request } from './http-request.ts';
import type { Walker } from './journeys.ts';
import { type NumberedCart, numberedCart } from './numbered-carts.ts';

/**
 * Changes of the one line of carts that are known by their number (`numbered-carts.ts`), so that a million of them need no list: each cart as likely as any
 * other, or by Zipf's law (the k-th with a chance of 1/k), or each once and in turn (reads, to the end).
 */
export interface NumberedCarts {
  readonly kind: 'numbered-carts';
  readonly count: number;
  readonly sku: string;
  readonly access: 'uniform' | 'zipf' | 'each-once';
  readonly seed?: number;
}

/** Reads of products, each of `count` as likely as any other. */
export interface SkuReads {
  readonly kind: 'sku-reads';
  readonly count: number;
  readonly seed?: number;
}

/** Each connection has a cart of its own: it adds one of `count` skus and takes it out again, so that carts stay as they are. */
export interface SkuTurns {
  readonly kind: 'sku-turns';
  readonly count: number;
  readonly carts: readonly NumberedCart[];
  readonly seed?: number;
}

/** As `generatedProducts` names them. */
export const skuOf = (place: number) => `GEN-${String(place + 1).padStart(6, '0')}`;

const MOST_CONNECTIONS = 4_096;

/** From 0 to 1, the same for the same connection and the script's seed (Marsaglia's xorshift). */
class Dice {
  #state: number;

  constructor(connection: number, seed = 0) {
    this.#state = Math.imul(seed * MOST_CONNECTIONS + connection + 1, 0x9e3779b1) >>> 0;
  }

  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }
}

/** Credentials of carts that were asked for before: an HMAC costs as much as a request. */
const kept = new Map<number, NumberedCart>();

export class NumberedCartsWalker implements Walker {
  readonly operation = 'change';
  readonly completed = 0;
  readonly #script: NumberedCarts;
  readonly #of: number;
  readonly #dice: Dice;
  #turn: number;

  constructor(script: NumberedCarts, index: number, of: number) {
    this.#script = script;
    this.#of = of;
    this.#dice = new Dice(index, script.seed);
    this.#turn = index - of;
  }

  next(): string | null {
    const { sku, access, count } = this.#script;
    if (access === 'each-once') {
      this.#turn += this.#of;
      if (this.#turn >= count) return null;
      const { id, token } = cartOf(this.#turn);
      return request('GET', `/v1/carts/${id}`, `Authorization: Bearer ${token}\r\n`);
    }
    const uniform = this.#dice.next();
    const place = access === 'zipf' ? Math.floor(count ** uniform) - 1 : Math.floor(count * uniform);
    const { id, token } = cartOf(place);
    const quantity = 1 + Math.floor(this.#dice.next() * 900);
    return request('PATCH', `/v1/carts/${id}/lines/${sku}`, `Authorization: Bearer ${token}\r\n`, { quantity });
  }

  answered(status: number): string | null {
    return failureOf(status);
  }
}

function cartOf(place: number): NumberedCart {
  let cart = kept.get(place);
  if (cart === undefined) {
    cart = numberedCart(place);
    kept.set(place, cart);
  }
  return cart;
}

export class SkuReadsWalker implements Walker {
  readonly operation = 'read';
  readonly completed = 0;
  readonly #count: number;
  readonly #dice: Dice;

  constructor({ count, seed }: SkuReads, index: number) {
    this.#count = count;
    this.#dice = new Dice(index, seed);
  }

  next(): string {
    return request('GET', `/v1/products/${skuOf(Math.floor(this.#dice.next() * this.#count))}`, '');
  }

  answered(status: number): string | null {
    return failureOf(status);
  }
}

export class SkuTurnsWalker implements Walker {
  operation: 'add' | 'remove' = 'remove';
  readonly completed = 0;
  readonly #count: number;
  readonly #cart: NumberedCart;
  readonly #dice: Dice;
  #sku = '';

  constructor({ count, carts, seed }: SkuTurns, index: number) {
    const cart = carts[index % carts.length];
    if (cart === undefined) throw new Error('turns need carts');
    this.#count = count;
    this.#cart = cart;
    this.#dice = new Dice(index, seed);
  }

  next(): string {
    const { id, token } = this.#cart;
    const authorization = `Authorization: Bearer ${token}\r\n`;
    if (this.operation === 'add') {
      this.operation = 'remove';
      return request('DELETE', `/v1/carts/${id}/lines/${this.#sku}`, authorization);
    }
    this.operation = 'add';
    this.#sku = skuOf(Math.floor(this.#dice.next() * this.#count));
    return request('POST', `/v1/carts/${id}/lines`, authorization, { sku: this.#sku, quantity: 1 });
  }

  answered(status: number): string | null {
    return failureOf(status);
  }
}
