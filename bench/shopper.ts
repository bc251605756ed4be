/**
 * What a shopper does, as calls of the public contract: for process tests and load scenarios.
 */
import { randomUUID } from 'node:crypto';
import { type Answer, pause, type Storefront } from './shop-process.ts';

export const ADDRESS = {
  name: 'A Shopper',
  line1: '1 Main St',
  city: 'Austin',
  region: 'TX',
  postalCode: '73301',
  country: 'US',
};
export const TEXAS = { country: 'US', region: 'TX', postalCode: '73301' };

export interface CartHandle {
  readonly id: string;
  readonly token: string;
  total: { readonly amount: number; readonly currency: string } | null;
}

export async function newCart(
  shop: Storefront,
  body: object = { currency: 'USD', destination: TEXAS },
): Promise<CartHandle> {
  const answer = await shop.request('POST', '/v1/carts', { body });
  if (answer.status !== 201) throw new Error(`cart: ${answer.status} ${answer.text}`);
  return { id: answer.body.cart.id, token: answer.body.token, total: answer.body.cart.totals.total };
}

export async function addLine(
  shop: Storefront,
  cart: CartHandle,
  sku: string,
  quantity = 1,
  key?: string,
): Promise<Answer> {
  const answer = await shop.request('POST', `/v1/carts/${cart.id}/lines`, {
    token: cart.token,
    body: { sku, quantity },
    ...(key === undefined ? {} : { key }),
  });
  if (answer.status === 200) cart.total = answer.body.totals.total;
  return answer;
}

export async function cartOf(shop: Storefront, sku: string, quantity = 1): Promise<CartHandle> {
  const cart = await newCart(shop);
  const answer = await addLine(shop, cart, sku, quantity);
  if (answer.status !== 200) throw new Error(`line: ${answer.status} ${answer.text}`);
  return cart;
}

export function checkout(
  shop: Storefront,
  cart: CartHandle,
  options: { key?: string; payWith?: string; total?: object } = {},
): Promise<Answer> {
  return shop.request('POST', `/v1/carts/${cart.id}/checkout`, {
    token: cart.token,
    key: options.key ?? randomUUID(),
    timeoutMs: 30_000,
    body: {
      email: 'shopper@example.com',
      shippingAddress: ADDRESS,
      expectedTotal: options.total ?? cart.total,
      payment: { method: 'card', token: options.payWith ?? 'tok_ok' },
    },
  });
}

/** The order once it is pending no longer. */
export async function orderAtRest(shop: Storefront, cart: CartHandle, orderId: string): Promise<Answer['body']> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const answer = await shop.request('GET', `/v1/orders/${orderId}`, { token: cart.token });
    if (answer.status === 200 && answer.body.state !== 'pending') return answer.body;
    await pause(50);
  }
  throw new Error(`order ${orderId} stays pending`);
}

/** Brings what is for sale of a sku to exactly `units`. */
export async function setAvailable(shop: Storefront, sku: string, units: number): Promise<void> {
  const before = await shop.admin('GET', `/v1/admin/stock/${sku}`);
  const delta = units - before.body.available;
  if (delta === 0) return;
  const answer = await shop.admin('POST', `/v1/admin/stock/${sku}/adjustments`, {
    key: randomUUID(),
    body: { delta, reason: 'test' },
  });
  if (answer.status !== 200) throw new Error(`adjustment: ${answer.status} ${answer.text}`);
}

/** Runs `task` for 0 … count − 1, at most `width` at a time. */
export async function inParallel<T>(count: number, width: number, task: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = new Array(count);
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(width, count) }, async () => {
      while (next < count) {
        const index = next++;
        results[index] = await task(index);
      }
    }),
  );
  return results;
}
