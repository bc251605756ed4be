/**
 * How a route reaches a cart: only with its token, and only by a command to its actor. A credential that does not open the cart
 * gets the same answer as a cart that does not exist. That holds for ids of no form as well: no token was issued for one.
 */
import type { CartCommand, CartGlance } from '../../actors/cart-protocol.ts';
import type { ActorRef, KeyRef } from '../../runtime/actor.ts';
import type { App } from '../app.ts';
import type { CartAnswer } from '../cart-view.ts';
import { Later } from '../later.ts';
import { orderReply } from '../order-view.ts';
import { type ProblemCode, type ProblemReply, problem } from '../problem.ts';
import type { EdgeReply, EdgeRequest } from '../route.ts';

/** What any call of a cart may answer besides its own problems. */
export const CART_PROBLEMS = ['not_found', 'pricing_unavailable'] as const satisfies readonly ProblemCode[];
/** What any change of a cart may answer besides. */
export const CART_WRITE_PROBLEMS = [
  ...CART_PROBLEMS,
  'version_mismatch',
  'cart_closed',
  'checkout_in_progress',
  'cart_checked_out',
  'idempotency_full',
] as const satisfies readonly ProblemCode[];

export function cartRef(id: string): ActorRef {
  return { type: 'cart', id };
}

/** Refuses who may not open the cart; null: go on. */
export function shut(app: App, request: EdgeRequest, cartId: string): ProblemReply | null {
  if (request.bearer === null) return problem('unauthenticated', { headers: { 'www-authenticate': 'Bearer' } });
  return app.tokens.opens(request.bearer, cartId) ? null : problem('not_found');
}

/** The key as the runtime takes it, without the words that the client sent. */
export function keyOf(request: EdgeRequest): KeyRef | undefined {
  const key = request.key;
  return key === undefined ? undefined : { hash: key.hash, fingerprint: key.fingerprint };
}

/** A command under the request's own key; the caller has made sure that the credential opens the cart. */
export function askCart(app: App, request: EdgeRequest, cartId: string, command: CartCommand): Later {
  const key = keyOf(request);
  const unkeyed = command.kind === 'get' ? READ : RENDERED;
  const later = new Later();
  app.system.submit(
    cartRef(cartId),
    command,
    key === undefined ? unkeyed : { render: true, key },
    (answer) => finishLater(app, answer as CartAnswer, later),
    (thrown) => later.fail(thrown),
  );
  return later;
}

function finishLater(app: App, answer: CartAnswer, later: Later): void {
  try {
    const reply = finish(app, answer);
    if (!('then' in reply)) later.settle(reply);
    else
      reply.then(
        (opened) => later.settle(opened),
        (thrown: unknown) => later.fail(thrown),
      );
  } catch (thrown) {
    later.fail(thrown);
  }
}
const RENDERED = Object.freeze({ render: true });
/** Looked at twice it is the same: it may be asked again where its shard moves. */
const READ = Object.freeze({ render: true, repeatable: true });

export function finish(app: App, answer: CartAnswer): EdgeReply | Promise<EdgeReply> {
  if ('order' in answer) return orderReply(answer, app.subjects);
  if ('glance' in answer) throw new TypeError('a glance is not an answer');
  return answer;
}

/**
 * For a call that has to look at the cart before it can send its command: the answer recorded under the request's key, if there
 * is one (a retry is answered before anything else is looked at), or else the cart as it is.
 */
export async function glanceOrReplay(
  app: App,
  request: EdgeRequest,
  cartId: string,
): Promise<{ readonly reply: EdgeReply } | { readonly cart: CartGlance }> {
  const key = keyOf(request);
  const answer = (await app.system.ask(
    cartRef(cartId),
    { kind: 'glance' } satisfies CartCommand,
    key === undefined ? READ : { render: true, key },
  )) as CartAnswer;
  return 'glance' in answer ? { cart: answer.glance } : { reply: await finish(app, answer) };
}
