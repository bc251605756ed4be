/** A shopper's way through Vendure's public GraphQL API: what its own storefronts do, seven calls for an order. */
import { randomUUID } from 'node:crypto';
import { request } from './http-request.ts';
import type { Walker } from './journeys.ts';
import { ADDRESS } from './shopper.ts';

export interface VendureShopping {
  readonly kind: 'vendure';
  /** 1: the plain product, 2: the scarce one. */
  readonly variant: 1 | 2;
  /** `adds`: one order that grows. `orders`: whole checkouts, one after another. `one-order`: one for each connection. */
  readonly way: 'adds' | 'orders' | 'one-order';
}

const REFUSED = '... on ErrorResult { errorCode }';
const MONEY = '... on Order { state totalWithTax }';

/** In order; each is a document and the call's name. */
const CHECKOUT: readonly (readonly [name: string, document: (variant: number) => string])[] = [
  [
    'add',
    (variant) => `mutation { addItemToOrder(productVariantId: "${variant}", quantity: 1) { ${MONEY} ${REFUSED} } }`,
  ],
  [
    'customer',
    () =>
      `mutation { setCustomerForOrder(input: { firstName: "A", lastName: "Shopper", emailAddress: "${randomUUID()}@example.com" }) { ${MONEY} ${REFUSED} } }`,
  ],
  [
    'address',
    () =>
      `mutation { setOrderShippingAddress(input: { fullName: "${ADDRESS.name}", streetLine1: "${ADDRESS.line1}", city: "${ADDRESS.city}", province: "${ADDRESS.region}", postalCode: "${ADDRESS.postalCode}", countryCode: "US" }) { ${MONEY} ${REFUSED} } }`,
  ],
  ['methods', () => '{ eligibleShippingMethods { id priceWithTax } }'],
  ['shipping', () => `mutation { setOrderShippingMethod(shippingMethodId: ["1"]) { ${MONEY} ${REFUSED} } }`],
  ['arrange', () => `mutation { transitionOrderToState(state: "ArrangingPayment") { ${MONEY} ${REFUSED} } }`],
  ['pay', () => `mutation { addPaymentToOrder(input: { method: "dummy", metadata: {} }) { ${MONEY} ${REFUSED} } }`],
];
const TOKEN = /^vendure-auth-token: *(\S+)/im;

export class VendureWalker implements Walker {
  operation = 'add';
  completed = 0;
  readonly #shopping: VendureShopping;
  #step = 0;
  #token = '';
  #over = false;

  constructor(shopping: VendureShopping) {
    this.#shopping = shopping;
  }

  next(): string | null {
    const call = CHECKOUT[this.#step];
    if (this.#over || call === undefined) return null;
    const [name, document] = call;
    this.operation = name;
    const authorization = this.#token === '' ? '' : `Authorization: Bearer ${this.#token}\r\n`;
    return request('POST', '/shop-api', authorization, { query: document(this.#shopping.variant) });
  }

  answered(status: number, body: () => string, head: () => string): string | null {
    const { way } = this.#shopping;
    const name = this.operation;
    const text = body();
    const code = /"errorCode":"(\w+)"/.exec(text)?.[1] ?? (text.includes('"errors":[') ? 'error' : null);
    const failure = status !== 200 ? `${name} ${status}` : code === null ? null : `${name} ${code}`;
    this.#token = TOKEN.exec(head())?.[1] ?? this.#token;
    if (failure !== null) {
      this.#begin();
      return failure;
    }
    if (way === 'adds') return null;
    if (++this.#step < CHECKOUT.length) return null;
    if (/"state":"Payment(Authorized|Settled)"/.test(text)) this.completed++;
    this.#begin();
    return null;
  }

  /** The next order is another session's. */
  #begin(): void {
    this.#step = 0;
    this.#token = '';
    this.#over = this.#shopping.way === 'one-order';
  }
}
