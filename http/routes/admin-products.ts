/** The catalogue as operators keep it: read, write, archive, import. A write's answer is kept in the write's transaction. */
import { type Product, validateProduct } from '../../schema/product.ts';
import { answerRow, earlierAnswer } from '../admin-answers.ts';
import type { App } from '../app.ts';
import { CSV, importForm, NDJSON } from '../import-rows.ts';
import { problem } from '../problem.ts';
import { IMPORT_BYTES_MAX, readImport } from '../product-import.ts';
import { type AnyRoute, type EdgeReply, type EdgeRequest, route } from '../route.ts';
import {
  AdminProduct,
  AdminProductList,
  AdminProductListQuery,
  ImportResult,
  ProductInput,
  SkuParams,
} from '../schemas-product.ts';
import { ERRORS_MAX } from '../validation.ts';
import { nextCursor, pagingOf } from './paging.ts';

export function adminProductRoutes(app: App): AnyRoute[] {
  const { catalogue } = app;

  const list = route({
    method: 'GET',
    path: '/v1/admin/products',
    operationId: 'adminListProducts',
    summary: 'All products, also those not on sale',
    tag: 'admin: catalogue',
    access: 'viewer',
    limit: 'admin',
    query: AdminProductListQuery,
    responses: { 200: { description: 'A page of products, by sku.', schema: AdminProductList } },
    problems: ['cursor_invalid'],
    async handle(request) {
      const { q, category, sort = 'sku' } = request.query;
      const paging = pagingOf(app, 'adminListProducts', request.query);
      if ('refused' in paging) return paging.refused;
      const { limit, after } = paging;
      const page = catalogue.list({ q, category: category || undefined, sort, limit, after, all: true });
      const items = page.items.map(adminDocument);
      return { status: 200, body: { items, nextCursor: nextCursor(app, paging, page.next) } };
    },
  });

  const read = route({
    method: 'GET',
    path: '/v1/admin/products/{sku}',
    operationId: 'adminGetProduct',
    summary: 'Read a product as operators write it',
    tag: 'admin: catalogue',
    access: 'viewer',
    limit: 'admin',
    params: SkuParams,
    responses: { 200: { description: 'The product.', schema: AdminProduct } },
    problems: ['sku_unknown'],
    handle(request) {
      const product = catalogue.product(request.params.sku);
      return product === undefined ? problem('sku_unknown') : { status: 200, body: adminDocument(product) };
    },
  });

  const put = route({
    method: 'PUT',
    path: '/v1/admin/products/{sku}',
    operationId: 'adminPutProduct',
    summary: 'Create or replace a product',
    tag: 'admin: catalogue',
    access: 'operator',
    limit: 'admin',
    params: SkuParams,
    body: ProductInput,
    responses: {
      200: { description: 'Replaced.', schema: AdminProduct },
      201: { description: 'Created.', schema: AdminProduct },
    },
    handle: (request) => putProduct(app, request, request.params.sku, request.body),
  });

  const remove = route({
    method: 'DELETE',
    path: '/v1/admin/products/{sku}',
    operationId: 'adminDeleteProduct',
    summary: 'Take a product out of the catalogue; its stock and the orders of it stay',
    tag: 'admin: catalogue',
    access: 'operator',
    limit: 'admin',
    params: SkuParams,
    responses: { 204: { description: 'Gone.' } },
    problems: ['sku_unknown'],
    async handle(request) {
      const { sku } = request.params;
      const earlier = await earlierAnswer(app.adminAnswers, request);
      if (earlier !== null) return earlier;
      if (catalogue.product(sku) === undefined) return problem('sku_unknown');
      const reply = { status: 204 };
      const removed = await catalogue.remove(sku, answerRow(request, reply, app.clock.now()));
      return removed ? reply : problem('sku_unknown');
    },
  });

  const load = route({
    method: 'POST',
    path: '/v1/admin/products/import',
    operationId: 'adminImportProducts',
    summary: 'Create or replace many products, all or none',
    tag: 'admin: catalogue',
    access: 'operator',
    limit: 'admin',
    rawBody: { maxBytes: IMPORT_BYTES_MAX, contentTypes: [...NDJSON, CSV] },
    responses: { 200: { description: 'How many were written.', schema: ImportResult } },
    handle: (request) => importProducts(app, request),
  });

  return [list, read, put, remove, load];
}

function adminDocument(product: Product): object {
  const { sku, name, description, category, taxCategory, prices, compareAtPrices } = product;
  const { maxPerOrder, holdAt, holdTtlMs, weightGrams = 0, digital = false, active } = product;
  const terms = { maxPerOrder, holdAt, holdTtlMs, weightGrams, digital, active };
  return { sku, name, description, category, taxCategory, prices, compareAtPrices, ...terms };
}

async function putProduct(app: App, request: EdgeRequest, sku: string, input: ProductInput): Promise<EdgeReply> {
  const earlier = await earlierAnswer(app.adminAnswers, request);
  if (earlier !== null) return earlier;
  const check = validateProduct({ sku, ...input });
  if (!check.ok) {
    const errors = check.errors.map(({ path, message }) => ({ path: path === '/sku' ? '/params/sku' : path, message }));
    return problem('invalid_request', { errors: errors.slice(0, ERRORS_MAX) });
  }
  const status = app.catalogue.product(sku) === undefined ? 201 : 200;
  const reply = { status, headers: { location: `/v1/admin/products/${sku}` }, body: adminDocument(check.product) };
  await app.catalogue.put(check.product, answerRow(request, reply, app.clock.now()));
  return reply;
}

async function importProducts(app: App, request: EdgeRequest): Promise<EdgeReply> {
  const earlier = await earlierAnswer(app.adminAnswers, request);
  if (earlier !== null) return earlier;
  const outcome = readImport(request.raw ?? new Uint8Array(), importForm(request.header('content-type')));
  if ('errors' in outcome) return problem('invalid_request', { errors: outcome.errors });
  const reply = { status: 200, body: { imported: outcome.products.length } };
  await app.catalogue.importMany(outcome.products, answerRow(request, reply, app.clock.now()));
  return reply;
}
