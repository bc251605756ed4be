/** What a cart's actor is told of a product with a command that adds units of it. */
import type { ProductTerms } from '../../actors/cart-protocol.ts';
import type { Product } from '../../schema/product.ts';
import type { LockedPrice } from '../../workers/quote.ts';

const TERMS = new WeakMap<Product, ProductTerms>();

/**
 * What the actor decides from; made once for each version of a product that no price list names.
 * @param listed currencies of the lists that do
 */
export function termsOf(product: Product, listed: readonly string[] = []): ProductTerms {
  const known = TERMS.get(product);
  if (known !== undefined && listed.length === 0) return known;
  const { sku, maxPerOrder, holdAt, holdTtlMs, prices } = product;
  const currencies = [...new Set([...Object.keys(prices), ...listed])];
  const locks = holdAt === 'cart' && listed.length === 0 ? { prices: ownPrices(product) } : {};
  const terms = Object.freeze({ sku, maxPerOrder, holdAt, holdTtlMs, currencies, ...locks });
  if (listed.length === 0) TERMS.set(product, terms);
  return terms;
}

function ownPrices({ prices, compareAtPrices }: Product): Record<string, LockedPrice> {
  return Object.fromEntries(
    Object.entries(prices).map(([currency, unitPrice]) => {
      const compareAt = compareAtPrices[currency];
      return [currency, { unitPrice, list: null, ...(compareAt === undefined ? {} : { compareAt }) }];
    }),
  );
}
