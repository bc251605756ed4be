/** Mutants of the shop itself: carts, skus, orders, and what the payment provider is asked. */
import type { CartState } from '../actors/cart-state.ts';
import type { CouponCommand } from '../actors/coupon-protocol.ts';
import type { CouponState } from '../actors/coupon-state.ts';
import type { OrderCommand } from '../actors/order-protocol.ts';
import type { OrderEvent, OrderState } from '../actors/order-state.ts';
import type { SkuEvent, SkuState } from '../actors/sku-holds.ts';
import type { SkuCommand, SkuReply } from '../actors/sku-protocol.ts';
import type { AnyActorType, DecideContext, Decision, Effect, RuntimeCommand } from '../runtime/actor.ts';
import type { Quote } from '../workers/quote.ts';
import { all, type Mutant, redefined, replaced, type Undo } from './mutant.ts';
import { ProviderClient } from './payments.ts';

type Decide<State, Command, Event, Reply> = (
  state: State,
  command: Command | RuntimeCommand,
  ctx: DecideContext,
) => Decision<Event, Reply>;

function sku(change: (decide: Decide<SkuState, SkuCommand, SkuEvent, SkuReply>) => typeof decide): Undo {
  return redefined('sku', ({ decide }: AnyActorType) => ({ decide: change(decide) }));
}

function order(change: (decide: Decide<OrderState, OrderCommand, OrderEvent, unknown>) => typeof decide): Undo {
  return redefined('order', ({ decide }: AnyActorType) => ({ decide: change(decide) }));
}

/** An actor no longer waits for effects of the kind. */
function forgotten(type: string, which: (effect: Effect) => boolean): Undo {
  return redefined(type, ({ pending }) => ({
    pending: (state: unknown) => (pending?.(state) ?? []).filter((effect) => !which(effect)),
  }));
}

/** The hold that an undo gives back. */
function askedAgain(state: OrderState, undo: Effect): readonly Effect[] {
  const line = state.lines.find(({ holdId }) => undo.id === `undo:${holdId}`);
  if (undo.kind !== 'send' || line === undefined || line.cartHoldId !== null) return [];
  const { holdId, quantity } = line;
  const notAfter = state.giveUpAt + 600_000;
  const command = { kind: 'hold', holdId, owner: state.id, rev: 1, quantity, ttlMs: null, notAfter };
  return [{ ...undo, id: `hold:${holdId}`, command }];
}

export const SHOP_MUTANTS: readonly Mutant[] = [
  {
    name: 'hold not pinned',
    breaks: "An order takes a cart's hold over and lets it expire as before. Every unit is pinned before the charge.",
    within: 20,
    install: () =>
      sku((decide) => (state, command, ctx) => {
        const decision = decide(state, command, ctx);
        return command.kind === 'adopt' && decision.events !== undefined
          ? { ...decision, events: decision.events.filter(({ kind }) => kind !== 'pinned') }
          : decision;
      }),
  },
  {
    name: 'charged with holds on their way',
    breaks: 'An order charges when the first of its lines is held. Every unit is pinned before the charge.',
    within: 20,
    install: () =>
      order((decide) => (state, command, ctx) => {
        const decision = decide(state, command, ctx);
        const [first, ...others] = decision.events ?? [];
        if (first?.kind !== 'line_held' || others.length > 0 || state.payment.amount === 0) return decision;
        return { ...decision, events: [first, { kind: 'charging', at: ctx.now }] };
      }),
  },
  {
    name: 'release before its hold',
    breaks:
      'An order that fails goes on asking for what it gives back, and a hold is taken though its release came before; either alone does no harm, as the other guards it. Stock is conserved.',
    within: 60,
    install: () =>
      all(
        redefined('order', ({ pending }) => ({
          pending: (state: OrderState) => {
            const effects: readonly Effect[] = pending?.(state) ?? [];
            return state.phase === 'failing'
              ? [...effects, ...effects.flatMap((one) => askedAgain(state, one))]
              : effects;
          },
        })),
        sku((decide) => (state, command, ctx) => {
          const forgetful = command.kind === 'hold' ? { ...state, tombstones: new Map() } : state;
          return decide(forgetful, command, ctx);
        }),
      ),
  },
  {
    name: 'release of one line forgotten',
    breaks: 'A failed order does not give back what refused lines may still be granted. Stock is conserved.',
    within: 20,
    install: () =>
      redefined('order', ({ pending }) => ({
        pending: (state: OrderState) =>
          (pending?.(state) ?? []).filter(({ id }) => {
            const line = state.lines.find(({ holdId }) => id === `undo:${holdId}`);
            return line === undefined || state.lines.indexOf(line) === 0;
          }),
      })),
  },
  {
    name: 'void forgotten',
    breaks: 'An order that gave up leaves a charge that came late open. Exactly one charge, and none for what failed.',
    within: 20,
    install: () => forgotten('order', ({ id }) => id === 'void'),
  },
  {
    name: 'result forgotten',
    breaks: 'The cart is not told how its order ended. Everything becomes available again.',
    within: 20,
    install: () => forgotten('order', ({ id }) => id === 'result'),
  },
  {
    name: 'cancel without refund',
    breaks: 'A cancelled order keeps the money. Exactly one charge, and none for what was cancelled.',
    within: 20,
    install: () =>
      order((decide) => (state, command, ctx) => {
        const decision = decide(state, command, ctx);
        const [first] = decision.events ?? [];
        if (first?.kind !== 'cancel_started' || decision.park === undefined) return decision;
        const reply = decide(state, { kind: 'get' }, ctx).reply;
        return { events: [first, { kind: 'cancelled', at: ctx.now }], reply };
      }),
  },
  {
    name: 'coupon not given back',
    breaks: 'An order that failed or was cancelled keeps the use of its coupon. Uses are conserved.',
    within: 40,
    install: () =>
      redefined('order', ({ pending }) => ({
        pending: (state: OrderState) =>
          ((pending?.(state) ?? []) as readonly Effect[]).map((effect) =>
            effect.kind === 'send' && effect.id.startsWith('use_undo')
              ? { ...effect, command: { kind: 'get' } satisfies CouponCommand }
              : effect,
          ),
      })),
  },
  {
    name: 'limit looked up',
    breaks: 'A coupon with uses left is granted without holding one. Every use is held before the charge.',
    within: 20,
    install: () =>
      redefined('coupon', ({ decide }) => ({
        decide: (state: CouponState, command: CouponCommand, ctx: DecideContext) => {
          const decision = decide(state, command, ctx);
          return command.kind === 'hold' ? { reply: decision.reply } : decision;
        },
      })),
  },
  {
    name: 'two orders for one cart',
    breaks: 'A checkout under another key begins while one is under way. At most one order for each cart.',
    within: 20,
    install: () =>
      redefined('cart', ({ decide }) => ({
        decide: (state: CartState, command: { readonly kind: string }, ctx: DecideContext) => {
          const another = command.kind === 'checkout' && state.checkout !== null;
          const own = another && state.checkout?.key.hash === ctx.key?.hash;
          return decide(another && !own ? { ...state, status: 'open', checkout: null } : state, command, ctx);
        },
      })),
  },
  {
    name: 'unknown charge looked up',
    breaks:
      'A charge without an answer is looked up, and what is not found is called declined. Not found proves nothing.',
    within: 100,
    kinds: ['payment_lost', 'payment_slow'],
    install: () =>
      replaced(
        ProviderClient.prototype,
        'authorise',
        (original) =>
          async function (this: ProviderClient, request, key) {
            try {
              return await original.call(this, request, key);
            } catch {
              const [payment] = await this.listByReference(request.reference);
              return payment === undefined ? { ok: false, code: 'not_found' } : { ok: true, payment };
            }
          },
      ),
  },
  {
    name: 'charge repeated under a new key',
    breaks: 'Each attempt to charge has a key of its own. Exactly one charge.',
    within: 60,
    kinds: ['payment_lost', 'payment_answer_lost', 'crash'],
    install: () => {
      let attempts = 0;
      return replaced(
        ProviderClient.prototype,
        'authorise',
        (original) =>
          async function (this: ProviderClient, request, key) {
            return await original.call(this, request, `${key}#${++attempts}`);
          },
      );
    },
  },
  {
    name: 'rounding drift',
    breaks:
      'A discount that is split over lines loses its last unit. Money is conserved: the lines add up to the whole.',
    within: 40,
    install: () =>
      order((decide) => (state, command, ctx) => {
        if (command.kind !== '$outcome' || command.effectId !== 'price') return decide(state, command, ctx);
        const quote = command.outcome as Quote;
        const [first, ...rest] = quote.lines;
        if (first === undefined || first.discount === 0) return decide(state, command, ctx);
        const lines = [{ ...first, discount: first.discount - 1, total: first.total + 1 }, ...rest];
        return decide(state, { ...command, outcome: { ...quote, lines } }, ctx);
      }),
  },
];
