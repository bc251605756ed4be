/** Carts and their lines. Adding a line is the hottest call of the shop: one lookup, one command. */
import type { CartCommand, CartReply } from '../../actors/cart-protocol.ts';
import type { PriceFacts } from '../../actors/cart-state.ts';
import type { App } from '../app.ts';
import type { CartAnswer } from '../cart-view.ts';
import { sealExemption } from '../exemption.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, type EdgeRequest, route } from '../route.ts';
import {
  Cart,
  CartCreated,
  CartCreateInput,
  CartLineParams,
  CartParams,
  LineAddInput,
  LineSetInput,
} from '../schemas-cart.ts';
import { roleCovers } from '../tokens.ts';
import {
  askCart,
  CART_PROBLEMS,
  CART_WRITE_PROBLEMS,
  cartRef,
  finish,
  glanceOrReplay,
  keyOf,
  shut,
} from './cart-access.ts';
import { addListed, setQuantity } from './held-lines.ts';
import { termsOf } from './product-terms.ts';

export function cartRoutes(app: App): AnyRoute[] {
  const create = route({
    method: 'POST',
    path: '/v1/carts',
    operationId: 'createCart',
    summary: 'Open a cart',
    tag: 'carts',
    access: 'none',
    body: CartCreateInput,
    bodyOptional: true,
    idempotency: 'uuid',
    limit: 'cart_create',
    responses: { 201: { description: 'The cart and the token that opens it.', schema: CartCreated } },
    problems: ['pricing_unavailable', 'forbidden'],
    handle: (request) => createCart(app, request, request.body),
  });

  const read = route({
    method: 'GET',
    path: '/v1/carts/{id}',
    operationId: 'getCart',
    summary: 'Read a cart, priced',
    tag: 'carts',
    access: 'cart',
    params: CartParams,
    responses: { 200: { description: 'The cart.', schema: Cart } },
    problems: CART_PROBLEMS,
    handle: (request) => shut(app, request, request.params.id) ?? askCart(app, request, request.params.id, GET),
  });

  const addLine = route({
    method: 'POST',
    path: '/v1/carts/{id}/lines',
    operationId: 'addCartLine',
    summary: 'Add units of a sku',
    tag: 'carts',
    access: 'cart',
    params: CartParams,
    body: LineAddInput,
    responses: { 200: { description: 'The cart.', schema: Cart } },
    problems: [
      ...CART_WRITE_PROBLEMS,
      'sku_unknown',
      'price_unavailable',
      'limit_reached',
      'cart_full',
      'out_of_stock',
      'hold_cooldown',
    ],
    handle(request) {
      const { id } = request.params;
      const refused = shut(app, request, id);
      if (refused !== null) return refused;
      const product = app.catalogue.product(request.body.sku);
      if (product === undefined || !product.active) return unknownSku(app, request, id);
      const { quantity } = request.body;
      const { ifMatch } = request;
      const listed = app.catalogue.listedIn(product.sku);
      if (listed.length > 0 && product.holdAt === 'cart') return addListed(app, request, id, product, quantity);
      return askCart(app, request, id, { kind: 'add_line', product: termsOf(product, listed), quantity, ifMatch });
    },
  });

  const setLine = route({
    method: 'PATCH',
    path: '/v1/carts/{id}/lines/{line}',
    operationId: 'setCartLine',
    summary: "Set a line's quantity; 0 removes it",
    tag: 'carts',
    access: 'cart',
    params: CartLineParams,
    body: LineSetInput,
    responses: { 200: { description: 'The cart.', schema: Cart } },
    problems: [
      ...CART_WRITE_PROBLEMS,
      'line_unknown',
      'ambiguous_line',
      'limit_reached',
      'out_of_stock',
      'hold_cooldown',
    ],
    handle(request) {
      const { id, line } = request.params;
      const { quantity } = request.body;
      const refused = shut(app, request, id);
      if (refused !== null) return refused;
      if (quantity > 0) return setQuantity(app, request, id, line, quantity);
      return askCart(app, request, id, { kind: 'remove_line', line, ifMatch: request.ifMatch });
    },
  });

  const removeLine = route({
    method: 'DELETE',
    path: '/v1/carts/{id}/lines/{line}',
    operationId: 'removeCartLine',
    summary: 'Remove a line',
    tag: 'carts',
    access: 'cart',
    params: CartLineParams,
    responses: { 200: { description: 'The cart.', schema: Cart } },
    problems: [...CART_WRITE_PROBLEMS, 'line_unknown', 'ambiguous_line'],
    handle(request) {
      const { id, line } = request.params;
      return (
        shut(app, request, id) ?? askCart(app, request, id, { kind: 'remove_line', line, ifMatch: request.ifMatch })
      );
    },
  });

  return [create, read, addLine, setLine, removeLine];
}

const GET: CartCommand = Object.freeze({ kind: 'get' });

type CreateInput = Partial<CartCreateInput> | undefined;

/** Whom a cart is for is not a shopper's to say, nor a viewer's. */
function maySay(app: App, request: EdgeRequest, input: CreateInput): boolean {
  const { customerGroup, channel, exemption } = input ?? {};
  if (customerGroup === undefined && channel === undefined && exemption === undefined) return true;
  const role = app.operators.roleOf(request.bearer);
  return role !== null && roleCovers(role, 'operator');
}

async function factsOf(app: App, cartId: string, input: CreateInput): Promise<PriceFacts> {
  const { customerGroup, channel, exemption } = input ?? {};
  return {
    ...(customerGroup === undefined ? {} : { customerGroup }),
    ...(channel === undefined ? {} : { channel }),
    ...(exemption === undefined ? {} : { exemption: await sealExemption(app.subjects, cartId, exemption) }),
  };
}

async function createCart(app: App, request: EdgeRequest, input: CreateInput): Promise<EdgeReply> {
  const currency = input?.currency ?? app.catalogue.defaultCurrency;
  if (!app.catalogue.currencies.includes(currency)) {
    return problem('invalid_request', {
      errors: [{ path: '/currency', message: `must be one of ${app.catalogue.currencies.join(', ')}` }],
    });
  }
  if (!maySay(app, request, input)) return problem('forbidden');
  const key = keyOf(request);
  const id = request.key === undefined ? app.newId('cart') : await idUnderKey(app, request.key.raw);
  const facts = await factsOf(app, id, input);
  const said = Object.keys(facts).length === 0 ? {} : { facts };
  const command: CartCommand = { kind: 'create', currency, destination: input?.destination ?? null, ...said };
  const options = key === undefined ? { render: true, fresh: true, repeatable: true } : { render: true, key };
  const answer = await app.system.ask(cartRef(id), command, options);
  return withToken(app, id, await finish(app, answer as CartAnswer));
}

/** The id that a first try under this key gave the cart, under whichever secret it was made. */
async function idUnderKey(app: App, key: string): Promise<string> {
  const [newest, ...older] = app.tokens.candidates(key);
  for (const id of older) {
    const glance: CartCommand = { kind: 'glance' };
    const reply = (await app.system.ask(cartRef(id), glance, { repeatable: true })) as CartReply;
    if (reply.ok) return id;
  }
  return newest ?? app.newId('cart');
}

/** The token is made anew for each answer, so that none is ever recorded. */
function withToken(app: App, id: string, reply: EdgeReply): EdgeReply {
  if (reply.status !== 201 || typeof reply.body !== 'string') return reply;
  return {
    status: 201,
    headers: reply.headers ?? {},
    body: `{"cart":${reply.body},"token":"${app.tokens.issue(id)}"}`,
  };
}

/** A retry of an add that went well is answered even where the product has gone since. */
async function unknownSku(app: App, request: EdgeRequest, cartId: string): Promise<EdgeReply> {
  if (request.key === undefined) return problem('sku_unknown');
  const earlier = await glanceOrReplay(app, request, cartId);
  return 'reply' in earlier ? earlier.reply : problem('sku_unknown');
}
