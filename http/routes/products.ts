/** The catalogue as shoppers read it: lists, one product, its stock, its picture. */
import Type from 'typebox';
import type { SkuReply } from '../../actors/sku-protocol.ts';
import type { Product as ProductRecord } from '../../schema/product.ts';
import type { App } from '../app.ts';
import { problem } from '../problem.ts';
import { etagOf, freshStock, matches, ProductView } from '../product-view.ts';
import { type AnyRoute, type EdgeReply, type EdgeRequest, route } from '../route.ts';
import { PathWord } from '../schemas.ts';
import { Product, ProductList, ProductListQuery, ProductQuery, PublicStock, SkuParams } from '../schemas-product.ts';
import { ShownPrices } from '../shown-prices.ts';
import { nextCursor, pagingOf } from './paging.ts';

const SVG = '.svg';

export function productRoutes(app: App): AnyRoute[] {
  const view = new ProductView(app.stock);
  const shown = new ShownPrices(
    () => app.catalogue.book(),
    () => app.clock.now(),
  );

  const list = route({
    method: 'GET',
    path: '/v1/products',
    operationId: 'listProducts',
    summary: 'Products on sale that have a price in the currency',
    tag: 'products',
    access: 'none',
    query: ProductListQuery,
    responses: {
      200: { description: 'A page of products.', schema: ProductList },
      304: { description: 'Nothing has changed since the answer with that ETag.' },
    },
    problems: ['cursor_invalid'],
    async handle(request) {
      const { q, category, currency = app.catalogue.defaultCurrency, sort = 'name' } = request.query;
      const paging = pagingOf(app, 'listProducts', request.query);
      if ('refused' in paging) return paging.refused;
      const { limit, after } = paging;
      const prices = shown.in(currency);
      const query = { q, category: category || undefined, currency, prices, sort, limit, after, all: false };
      const page = app.catalogue.list(query);
      return view.listReply(page.items, prices, nextCursor(app, paging, page.next), request.header('if-none-match'));
    },
  });

  const read = route({
    method: 'GET',
    path: '/v1/products/{sku}',
    operationId: 'getProduct',
    summary: 'Read a product',
    tag: 'products',
    access: 'none',
    params: SkuParams,
    query: ProductQuery,
    responses: {
      200: { description: 'The product.', schema: Product },
      304: { description: 'Nothing has changed since the answer with that ETag.' },
    },
    problems: ['sku_unknown', 'price_unavailable'],
    handle(request) {
      const product = onSale(app, request.params.sku);
      if (product === undefined) return problem('sku_unknown');
      const currency = request.query.currency ?? app.catalogue.defaultCurrency;
      const price = shown.in(currency).of(product);
      if (price === undefined) return problem('price_unavailable');
      return view.reply(product, currency, price, request.header('if-none-match'));
    },
  });

  const stock = route({
    method: 'GET',
    path: '/v1/products/{sku}/stock',
    operationId: 'getProductStock',
    summary: 'How many units can be bought now',
    tag: 'products',
    access: 'none',
    params: SkuParams,
    responses: { 200: { description: 'The stock.', schema: PublicStock } },
    problems: ['sku_unknown'],
    handle: (request) => readStock(app, request.params.sku),
  });

  const image = route({
    method: 'GET',
    path: '/images/{file}',
    operationId: 'getProductImage',
    summary: 'The picture of a product: its sku and .svg',
    tag: 'products',
    access: 'none',
    params: Type.Object({ file: PathWord }),
    responses: {
      200: { description: 'The picture.', contentType: 'image/svg+xml' },
      304: { description: 'Nothing has changed since the answer with that ETag.' },
    },
    problems: ['not_found'],
    handle: (request) => readImage(app, request, request.params.file),
  });

  return [list, read, stock, image];
}

export function onSale(app: App, sku: string): ProductRecord | undefined {
  const product = app.catalogue.product(sku);
  return product?.active ? product : undefined;
}

const NO_STOCK = Object.freeze({ available: 0, version: 0 });

async function readStock(app: App, sku: string): Promise<EdgeReply> {
  if (onSale(app, sku) === undefined) return problem('sku_unknown');
  await freshStock(app.stock, [sku]);
  const { available, version } = app.stock.get(sku) ?? NO_STOCK;
  return { status: 200, headers: { 'cache-control': 'no-store' }, body: { sku, available, version } };
}

/** From the sku's own actor. The sku must be in the catalogue, so that strangers cannot wake actors by the million. */
export async function stockOf(app: App, sku: string): Promise<Extract<SkuReply, { kind: 'stock' }>['stock']> {
  const reply = (await app.system.ask({ type: 'sku', id: sku }, { kind: 'get' }, { repeatable: true })) as SkuReply;
  if (!reply.ok || reply.kind !== 'stock') throw new TypeError('a sku answers `get` with its stock');
  return reply.stock;
}

function readImage(app: App, request: EdgeRequest, file: string): EdgeReply {
  const product = file.endsWith(SVG) ? app.catalogue.product(file.slice(0, -SVG.length)) : undefined;
  if (product === undefined) return problem('not_found');
  const body = app.productImage(product.sku, product.name, product.category);
  const headers = { 'content-type': 'image/svg+xml', 'cache-control': 'public, max-age=86400', etag: etagOf(body) };
  return matches(request.header('if-none-match'), headers.etag)
    ? { status: 304, headers }
    : { status: 200, headers, body };
}
