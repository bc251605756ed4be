/** Stock as operators see and change it: both are the sku's own actor. */
import type { SkuCommand } from '../../actors/sku-protocol.ts';
import type { App } from '../app.ts';
import { problem } from '../problem.ts';
import { freshStock } from '../product-view.ts';
import { type AnyRoute, type EdgeReply, route } from '../route.ts';
import { StockAdjustmentInput, StockLevel } from '../schemas-admin.ts';
import { SkuParams } from '../schemas-product.ts';
import { stockReply } from '../sku-view.ts';
import { keyOf } from './cart-access.ts';
import { stockOf } from './products.ts';

export function adminStockRoutes(app: App): AnyRoute[] {
  const read = route({
    method: 'GET',
    path: '/v1/admin/stock/{sku}',
    operationId: 'adminGetStock',
    summary: 'Read the stock of a sku',
    tag: 'admin: stock',
    access: 'viewer',
    limit: 'admin',
    params: SkuParams,
    responses: { 200: { description: 'The stock.', schema: StockLevel } },
    problems: ['sku_unknown'],
    async handle(request) {
      const { sku } = request.params;
      if (app.catalogue.product(sku) === undefined && !(await hadStock(app, sku))) return problem('sku_unknown');
      return stockReply(await stockOf(app, sku));
    },
  });

  const adjust = route({
    method: 'POST',
    path: '/v1/admin/stock/{sku}/adjustments',
    operationId: 'adminAdjustStock',
    summary: 'Add units to the stock on hand, or take some from it',
    tag: 'admin: stock',
    access: 'operator',
    limit: 'admin',
    params: SkuParams,
    body: StockAdjustmentInput,
    responses: { 200: { description: 'The stock after it.', schema: StockLevel } },
    problems: ['sku_unknown', 'stock_negative', 'stock_limit', 'idempotency_full'],
    async handle(request) {
      const { sku } = request.params;
      // what left the catalogue may still have to be written off, and an earlier call repeated
      if (app.catalogue.product(sku) === undefined && !(await hadStock(app, sku))) return problem('sku_unknown');
      const { delta, reason } = request.body;
      const command: SkuCommand = { kind: 'adjust', delta, reason };
      const options = { render: true, key: keyOf(request) };
      return (await app.system.ask({ type: 'sku', id: sku }, command, options)) as EdgeReply;
    },
  });

  return [read, adjust];
}

/** A product that was taken out of the catalogue may have units on the shelf and in orders still. */
async function hadStock(app: App, sku: string): Promise<boolean> {
  await freshStock(app.stock, [sku]);
  return (app.stock.get(sku)?.version ?? 0) > 0;
}
