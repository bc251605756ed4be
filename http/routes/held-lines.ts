/**
 * Lines whose units are held at the cart keep the unit price at which they were taken. The cart's actor knows no prices: it is told here
 * what a unit costs with the command that takes a hold. Where only the product's own prices are in question they go along as they are
 * (`product-terms.ts`); where a price list names the sku, the cart is looked at and the line priced first. Should the cart change in between,
 * the hold has the price that was right a moment ago.
 */
import type { CartGlance } from '../../actors/cart-protocol.ts';
import type { Product } from '../../schema/product.ts';
import type { LockedPrice } from '../../workers/quote.ts';
import type { App } from '../app.ts';
import type { EdgeReply, EdgeRequest } from '../route.ts';
import { QUANTITY_MAX } from '../schemas-cart.ts';
import { askCart, glanceOrReplay } from './cart-access.ts';
import { priceRequestOf } from './cart-terms.ts';
import { termsOf } from './product-terms.ts';

/** Adds units of a sku that is held at the cart and that price lists name. */
export async function addListed(
  app: App,
  request: EdgeRequest,
  cartId: string,
  product: Product,
  quantity: number,
): Promise<EdgeReply> {
  const earlier = await glanceOrReplay(app, request, cartId);
  if ('reply' in earlier) return earlier.reply;
  const { sku } = product;
  const line = earlier.cart.lines.find((other) => other.sku === sku);
  const price = await unitPrice(app, earlier.cart, sku, (line?.quantity ?? 0) + quantity);
  const terms = termsOf(product, app.catalogue.listedIn(sku));
  const { ifMatch } = request;
  return await askCart(app, request, cartId, {
    kind: 'add_line',
    product: terms,
    quantity,
    ...price,
    ifMatch,
  }).promise();
}

/** Of a line that is held the cart may have to be told a price. */
export async function setQuantity(
  app: App,
  request: EdgeRequest,
  cartId: string,
  name: string,
  quantity: number,
): Promise<EdgeReply> {
  const earlier = await glanceOrReplay(app, request, cartId);
  if ('reply' in earlier) return earlier.reply;
  const { cart } = earlier;
  const line = cart.lines.find(({ id, sku }) => id === name || sku === name);
  const taken = line?.held === true && (quantity > line.quantity || line.locked === undefined);
  const price = taken ? await unitPrice(app, cart, line.sku, quantity) : {};
  const { ifMatch } = request;
  return await askCart(app, request, cartId, {
    kind: 'set_quantity',
    line: name,
    quantity,
    ...price,
    ifMatch,
  }).promise();
}

/** As the book has it at this moment for so many units in this cart; empty where it has no price. */
async function unitPrice(
  app: App,
  cart: CartGlance,
  sku: string,
  quantity: number,
): Promise<{ readonly price?: LockedPrice }> {
  if (cart.status !== 'open' || quantity > QUANTITY_MAX) return {};
  const lines = [{ id: sku, sku, quantity }];
  const asked = { ...priceRequestOf(app, cart), lines, coupons: [], destination: null };
  const quote = await app.pricing.price(asked, { final: false });
  const [line] = quote.lines;
  if (line === undefined || quote.blocked === 'price_unavailable') return {};
  const { list = null, tier = 1, compareAt, sale, listed = line.unitPrice } = line.price ?? {};
  return {
    price: {
      unitPrice: listed,
      list,
      ...(tier === 1 ? {} : { tier }),
      ...(compareAt === undefined ? {} : { compareAt }),
      ...(sale === undefined ? {} : { sale }),
    },
  };
}
