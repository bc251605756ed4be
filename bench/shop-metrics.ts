/** What a running shop tells of itself at `/metrics`, by name. */
import type { Storefront } from './shop-process.ts';

/** All plain numbers, without the prefix `stampede_`. */
export async function metrics(shop: Storefront): Promise<ReadonlyMap<string, number>> {
  const { text } = await shop.request('GET', '/metrics');
  const found = new Map<string, number>();
  for (const [, name = '', value] of text.matchAll(/^stampede_(\w+) ([\d.eE+-]+)$/gm)) found.set(name, Number(value));
  return found;
}

/** @throws where the shop tells no such number */
export async function metric(shop: Storefront, name: string): Promise<number> {
  const value = (await metrics(shop)).get(name);
  if (value === undefined) throw new Error(`the shop tells no stampede_${name}`);
  return value;
}
