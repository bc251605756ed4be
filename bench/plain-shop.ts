/**
 * A shop without offers of its own. The benches that stand beside peers sell by plain prices, taxes and shipping, because the peers have
 * no promotions to find, weigh and explain; what those cost is measured apart, by `npm run bench:pricing`.
 */
import type { Storefront } from './shop-process.ts';

/** Takes the demo shop's automatic promotions out, over the operators' calls. */
export async function withoutOffers(shop: Storefront): Promise<void> {
  const list = await shop.admin('GET', '/v1/admin/promotions?limit=100');
  if (list.status !== 200) throw new Error(`promotions: ${list.status} ${list.text}`);
  for (const { id, trigger } of list.body.items as readonly { id: string; trigger: string }[]) {
    if (trigger !== 'automatic') continue;
    const gone = await shop.admin('DELETE', `/v1/admin/promotions/${id}`);
    if (gone.status >= 300) throw new Error(`promotion ${id}: ${gone.status} ${gone.text}`);
  }
}
