/**
 * What one connection of a generator does: a list of ready-made requests in turn, or a shopper's way through calls of which each needs what the
 * last one answered. A walker has one request under way; it counts what it finished (an order) and names each call, so that calls are told apart.
 */
import { randomUUID } from 'node:crypto';
import {
  type NumberedCarts,
  NumberedCartsWalker,
  type SkuReads,
  SkuReadsWalker,
  type SkuTurns,
  SkuTurnsWalker,
} from './growth-journeys.ts';
import { failureOf, request } from './http-request.ts';
import { type MedusaShopping, MedusaWalker } from './medusa-journeys.ts';
import { ADDRESS, TEXAS } from './shopper.ts';
import { type VendureShopping, VendureWalker } from './vendure-journeys.ts';

/** Whole HTTP/1.1 requests, which each connection takes in an order of its own. */
export interface Requests {
  readonly kind: 'requests';
  readonly requests: readonly string[];
}

/** Cart, line, checkout: three calls for an order. The cart's skus are taken in turn. */
export interface Checkouts {
  readonly kind: 'checkouts';
  readonly skus: readonly string[];
}

/** Of a hundred things that shoppers do, 80 read a product, 15 add to a cart, 5 are a whole checkout. */
export interface MixedShop {
  readonly kind: 'mixed';
  readonly reads: readonly string[];
  readonly adds: readonly string[];
  readonly skus: readonly string[];
}

export type Script =
  | Requests
  | Checkouts
  | MixedShop
  | NumberedCarts
  | SkuReads
  | SkuTurns
  | VendureShopping
  | MedusaShopping;

export interface Walker {
  /** The next request, which `operation` names; null: there is nothing left to do. */
  next(): string | null;
  readonly operation: string;
  /** @returns the failure's name, or null. @param body text of the answer's body, and of its head */
  answered(status: number, body: () => string, head: () => string): string | null;
  /** Orders finished so far. */
  readonly completed: number;
}

/** @param acknowledged told of each 2xx answer by the place of its request in the script's list */
export function walkerOf(script: Script, index: number, of: number, acknowledged: number[]): Walker {
  switch (script.kind) {
    case 'requests':
      return new RequestsWalker(script.requests, 'request', index, of, acknowledged);
    case 'checkouts':
      return new CheckoutWalker(script.skus, index);
    case 'mixed':
      return new MixedWalker(script, index, of, acknowledged);
    case 'numbered-carts':
      return new NumberedCartsWalker(script, index, of);
    case 'sku-reads':
      return new SkuReadsWalker(script, index);
    case 'sku-turns':
      return new SkuTurnsWalker(script, index);
    case 'vendure':
      return new VendureWalker(script);
    case 'medusa':
      return new MedusaWalker(script);
  }
}

class RequestsWalker implements Walker {
  readonly operation: string;
  readonly completed = 0;
  readonly #requests: readonly string[];
  readonly #acknowledged: number[];
  #at: number;

  /** Connections start far apart and walk in step, so that no two ask for the same thing at one time. */
  constructor(requests: readonly string[], operation: string, index: number, of: number, acknowledged: number[]) {
    this.operation = operation;
    this.#requests = requests;
    this.#acknowledged = acknowledged;
    this.#at = Math.floor((index * requests.length) / of);
  }

  next(): string {
    this.#at = (this.#at + 1) % this.#requests.length;
    return this.#requests[this.#at] ?? '';
  }

  answered(status: number): string | null {
    const failure = failureOf(status);
    if (failure === null) this.#acknowledged[this.#at] = (this.#acknowledged[this.#at] ?? 0) + 1;
    return failure;
  }
}

type CheckoutStep = 'cart' | 'line' | 'checkout';

class CheckoutWalker implements Walker {
  operation: CheckoutStep = 'checkout';
  completed = 0;
  readonly #skus: readonly string[];
  #serial: number;
  #next: CheckoutStep = 'cart';
  #id = '';
  #token = '';
  #total: unknown = null;

  constructor(skus: readonly string[], index: number) {
    this.#skus = skus;
    this.#serial = index;
  }

  /** Whether the next call begins another order. */
  get atStart(): boolean {
    return this.#next === 'cart';
  }

  next(): string {
    this.operation = this.#next;
    switch (this.#next) {
      case 'cart':
        return request('POST', '/v1/carts', '', { currency: 'USD', destination: TEXAS });
      case 'line': {
        const sku = this.#skus[this.#serial++ % this.#skus.length];
        return request('POST', `/v1/carts/${this.#id}/lines`, this.#authorization(), { sku, quantity: 1 });
      }
      case 'checkout':
        return request(
          'POST',
          `/v1/carts/${this.#id}/checkout`,
          `${this.#authorization()}Idempotency-Key: ${randomUUID()}\r\n`,
          {
            email: 'shopper@example.com',
            shippingAddress: ADDRESS,
            expectedTotal: this.#total,
            payment: { method: 'card', token: 'tok_ok' },
          },
        );
    }
  }

  answered(status: number, body: () => string): string | null {
    const step = this.operation;
    this.#next = 'cart';
    // A checkout answered 202 is not known to have become an order.
    if (status === 202) return `${step} 202`;
    if (status < 200 || status > 299) return `${step} ${status}`;
    if (step === 'checkout') {
      this.completed++;
      return null;
    }
    const answer = JSON.parse(body());
    if (step === 'cart') {
      this.#id = answer.cart.id;
      this.#token = answer.token;
      this.#next = 'line';
    } else {
      this.#total = answer.totals.total;
      this.#next = 'checkout';
    }
    return null;
  }

  #authorization(): string {
    return `Authorization: Bearer ${this.#token}\r\n`;
  }
}

class MixedWalker implements Walker {
  readonly #read: RequestsWalker;
  readonly #add: RequestsWalker;
  readonly #checkout: CheckoutWalker;
  #current: Walker;
  #serial: number;

  constructor({ reads, adds, skus }: MixedShop, index: number, of: number, acknowledged: number[]) {
    this.#read = new RequestsWalker(reads, 'read', index, of, []);
    this.#add = new RequestsWalker(adds, 'add', index, of, acknowledged);
    this.#checkout = new CheckoutWalker(skus, index);
    this.#current = this.#read;
    this.#serial = index * 37;
  }

  get operation(): string {
    return this.#current.operation;
  }

  get completed(): number {
    return this.#checkout.completed;
  }

  next(): string | null {
    if (this.#current !== this.#checkout || this.#checkout.atStart) this.#current = this.#choose();
    return this.#current.next();
  }

  answered(status: number, body: () => string, head: () => string): string | null {
    return this.#current.answered(status, body, head);
  }

  /** 61 has no factor in common with 100: every hundred in a row has each remainder once, well mixed. */
  #choose(): Walker {
    const dice = (this.#serial++ * 61) % 100;
    if (dice < 80) return this.#read;
    return dice < 95 ? this.#add : this.#checkout;
  }
}
