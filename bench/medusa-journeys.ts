/** A shopper's way through Medusa's public store API: what its own storefronts do, eight calls for an order. */
import { randomUUID } from 'node:crypto';
import { request } from './http-request.ts';
import type { Walker } from './journeys.ts';
import { ADDRESS } from './shopper.ts';

export interface MedusaShopping {
  readonly kind: 'medusa';
  /** As its database has them. */
  readonly key: string;
  readonly region: string;
  readonly option: string;
  readonly variant: string;
  /** `adds`: one cart that grows. `orders`: whole checkouts, one after another. `one-order`: one for each connection. */
  readonly way: 'adds' | 'orders' | 'one-order';
}

const CALLS = ['cart', 'line', 'address', 'options', 'shipping', 'payment', 'session', 'complete'] as const;
type Call = (typeof CALLS)[number];

const STREET = {
  first_name: 'A',
  last_name: 'Shopper',
  address_1: ADDRESS.line1,
  city: ADDRESS.city,
  province: ADDRESS.region,
  postal_code: ADDRESS.postalCode,
  country_code: 'us',
};

export class MedusaWalker implements Walker {
  completed = 0;
  readonly #shopping: MedusaShopping;
  #step = 0;
  #cart = '';
  #payment = '';
  #over = false;

  constructor(shopping: MedusaShopping) {
    this.#shopping = shopping;
  }

  get operation(): Call {
    return CALLS[this.#step] ?? 'cart';
  }

  next(): string | null {
    if (this.#over) return null;
    const { region, option, variant } = this.#shopping;
    const cart = `/store/carts/${this.#cart}`;
    switch (this.operation) {
      case 'cart':
        return this.#post('/store/carts', { region_id: region });
      case 'line':
        return this.#post(`${cart}/line-items`, { variant_id: variant, quantity: 1 });
      case 'address':
        return this.#post(cart, { email: `${randomUUID()}@example.com`, shipping_address: STREET });
      case 'options':
        return request('GET', `/store/shipping-options?cart_id=${this.#cart}`, this.#headers());
      case 'shipping':
        return this.#post(`${cart}/shipping-methods`, { option_id: option });
      case 'payment':
        return this.#post('/store/payment-collections', { cart_id: this.#cart });
      case 'session':
        return this.#post(`/store/payment-collections/${this.#payment}/payment-sessions`, {
          provider_id: 'pp_system_default',
        });
      case 'complete':
        return this.#post(`${cart}/complete`, {});
    }
  }

  answered(status: number, body: () => string): string | null {
    const call = this.operation;
    const text = body();
    // A cart that could not be completed is told with status 200 and itself.
    const failed =
      status !== 200 ? status : call === 'complete' && !text.startsWith('{"type":"order"') ? 'no order' : 0;
    if (failed !== 0) {
      const code = /"code":"(\w+)"/.exec(text)?.[1] ?? /"type":"(\w+)"/.exec(text)?.[1] ?? '';
      this.#begin();
      return `${call} ${failed} ${code}`.trim();
    }
    if (call === 'cart') this.#cart = /"id":"(cart_\w+)"/.exec(text)?.[1] ?? '';
    if (call === 'payment') this.#payment = /"id":"(pay_col_\w+)"/.exec(text)?.[1] ?? '';
    if (call === 'line' && this.#shopping.way === 'adds') return null;
    if (call !== 'complete') {
      this.#step++;
      return null;
    }
    this.completed++;
    this.#begin();
    return null;
  }

  #begin(): void {
    this.#step = 0;
    this.#over = this.#shopping.way === 'one-order';
  }

  #post(path: string, body: object): string {
    return request('POST', path, this.#headers(), body);
  }

  #headers(): string {
    return `x-publishable-api-key: ${this.#shopping.key}\r\n`;
  }
}
