/**
 * What operators change in a shopper's cart: whether its buyer owes taxes. A shop verifies a VAT number or a certificate outside and then
 * says so, also of a cart that has been filled already; the shopper's next answer is priced by it.
 */
import type { CartCommand } from '../../actors/cart-protocol.ts';
import type { TaxExemption } from '../../workers/quote.ts';
import type { App } from '../app.ts';
import { openId, sealExemption } from '../exemption.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, type EdgeReply, type EdgeRequest, route } from '../route.ts';
import { UUID } from '../schemas.ts';
import { Cart, CartParams, ExemptionInput } from '../schemas-cart.ts';
import { askCart, CART_WRITE_PROBLEMS, glanceOrReplay } from './cart-access.ts';

const CART_ID = new RegExp(`^cart_${UUID}$`);

export function adminCartRoutes(app: App): AnyRoute[] {
  const common = {
    path: '/v1/admin/carts/{id}/exemption',
    tag: 'admin: carts',
    access: 'operator',
    limit: 'admin',
    params: CartParams,
    ifMatch: true,
    problems: CART_WRITE_PROBLEMS,
  } as const;
  const responses = { 200: { description: 'The cart, priced.', schema: Cart } };

  const put = route({
    ...common,
    method: 'PUT',
    operationId: 'adminPutCartExemption',
    summary: 'Exempt a cart from taxes',
    description: 'That the id is genuine was verified before. It is shown by the order, not by the cart.',
    body: ExemptionInput,
    responses,
    handle: (request) => putExemption(app, request, request.params.id, request.body),
  });

  const remove = route({
    ...common,
    method: 'DELETE',
    operationId: 'adminDeleteCartExemption',
    summary: "Take a cart's exemption from taxes away",
    responses,
    handle(request) {
      const { id } = request.params;
      const command: CartCommand = { kind: 'set_exemption', exemption: null, ifMatch: request.ifMatch };
      return CART_ID.test(id) ? askCart(app, request, id, command) : problem('not_found');
    },
  });

  return [put, remove];
}

async function putExemption(app: App, request: EdgeRequest, id: string, input: ExemptionInput): Promise<EdgeReply> {
  // an id of no form wakes no actor, and only a cart that is there gets a key
  if (!CART_ID.test(id)) return problem('not_found');
  const earlier = await glanceOrReplay(app, request, id);
  if ('reply' in earlier) return earlier.reply;
  const exemption = await sealedOnce(app, id, input, earlier.cart.facts?.exemption);
  const command: CartCommand = { kind: 'set_exemption', exemption, ifMatch: request.ifMatch };
  return await askCart(app, request, id, command).promise();
}

/** The same id is not sealed again: so the cart sees that nothing has changed, and writes nothing. */
async function sealedOnce(
  app: App,
  cartId: string,
  input: ExemptionInput,
  known: TaxExemption | null | undefined,
): Promise<TaxExemption> {
  const same = known ? (await openId(app.subjects, known.id)) === input.id : false;
  return known && same ? { ...input, id: known.id } : await sealExemption(app.subjects, cartId, input);
}
