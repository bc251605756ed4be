/**
 * What each kind of actor is to a client who knows only what it asked and heard: the sequential objects against which recorded calls are
 * checked (`linearizability.ts`). They are written from the contract, not from the actors: what passes between actors (holds, sagas)
 * is not seen here, and where it decides (a refusal for want of stock) both outcomes are allowed.
 */
import type { CartCommand } from '../actors/cart-protocol.ts';
import type { OrderCommand, OrderDoc } from '../actors/order-protocol.ts';
import type { SkuCommand, SkuReply } from '../actors/sku-protocol.ts';
import type { CallRecord } from './history.ts';
import { leavesOpen } from './history.ts';
import type { Operation, Specification } from './linearizability.ts';
import type { Answer } from './shop.ts';

interface CartModel {
  readonly status: 'absent' | 'open' | 'out';
  readonly lines: readonly (readonly [sku: string, quantity: number])[];
  readonly coupons: readonly string[];
}

function withLine(state: CartModel, sku: string, quantity: number): CartModel {
  const known = state.lines.some(([other]) => other === sku);
  const lines = known
    ? state.lines.map((line) => (line[0] === sku ? ([sku, quantity] as const) : line))
    : [...state.lines, [sku, quantity] as const];
  return { ...state, lines };
}

function withoutLine(state: CartModel, sku: string): CartModel {
  return { ...state, lines: state.lines.filter(([other]) => other !== sku) };
}

/** The cart after the command took effect; null where it has none in this state. */
function cartAfter(state: CartModel, command: CartCommand): CartModel | null {
  if (command.kind === 'create') return state.status === 'absent' ? { ...state, status: 'open' } : state;
  if (command.kind === 'get') return state.status === 'absent' ? null : state;
  if (state.status !== 'open') return null;
  const quantityOf = (sku: string): number | undefined => state.lines.find(([other]) => other === sku)?.[1];
  switch (command.kind) {
    case 'add_line': {
      const { sku } = command.product;
      return withLine(state, sku, (quantityOf(sku) ?? 0) + command.quantity);
    }
    case 'set_quantity':
      if (quantityOf(command.line) === undefined) return null;
      return command.quantity === 0
        ? withoutLine(state, command.line)
        : withLine(state, command.line, command.quantity);
    case 'remove_line':
      return quantityOf(command.line) === undefined ? null : withoutLine(state, command.line);
    case 'apply_coupon':
      return state.coupons.includes(command.code) ? state : { ...state, coupons: [...state.coupons, command.code] };
    case 'remove_coupon':
      return { ...state, coupons: state.coupons.filter((code) => code !== command.code) };
    case 'checkout':
      return state.lines.length === 0 ? null : { ...state, status: 'out' };
    default:
      return null;
  }
}

/** Refusals that say something of the state. */
function mayRefuse(state: CartModel, command: CartCommand, code: string): boolean {
  switch (code) {
    case 'not_found':
      return state.status === 'absent';
    case 'cart_checked_out':
      return state.status === 'out';
    case 'cart_empty':
      return state.status === 'open' && state.lines.length === 0;
    case 'line_unknown':
      return 'line' in command && !state.lines.some(([sku]) => sku === command.line);
    default:
      // All others need an open cart, or one that is being checked out.
      return state.status === 'open';
  }
}

function shown(answer: Answer): string {
  return answer.kind === 'cart' ? JSON.stringify([answer.lines, answer.coupons]) : '';
}

export const cartSpecification: Specification<CartModel, CartCommand, Answer> = {
  initial: { status: 'absent', lines: [], coupons: [] },
  step(state, command, answer) {
    const after = cartAfter(state, command);
    if (answer === null) return after === null || after === state ? [state] : [state, after];
    if (answer.kind === 'refused') return mayRefuse(state, command, answer.code) ? [state] : [];
    if (after === null) return [];
    if (answer.kind === 'order') return command.kind === 'checkout' ? [after] : [];
    if (command.kind === 'checkout' || shown(answer) !== JSON.stringify([after.lines, after.coupons])) return [];
    return (answer.status === 'checked_out') === (after.status === 'out') ? [after] : [];
  },
  key: (state) => `${state.status} ${JSON.stringify([state.lines, state.coupons])}`,
};

/** A `ship`, as the operator meant it: the sku itself looks the quantity up. */
export type SkuRequest = SkuCommand & { readonly quantity?: number };

interface SkuModel {
  readonly onHand: number;
  /** Holds that were shipped: a second time changes nothing. */
  readonly shipped: readonly string[];
}

function skuAfter(state: SkuModel, command: SkuRequest): SkuModel {
  if (command.kind === 'adjust') return { ...state, onHand: state.onHand + command.delta };
  if (command.kind !== 'ship' || state.shipped.includes(command.holdId)) return state;
  return { onHand: state.onHand - (command.quantity ?? 0), shipped: [...state.shipped, command.holdId] };
}

/** Only what is on hand: nobody but those who adjust it and ship changes that; what is held and sold of it is others' doing. */
export const skuSpecification: Specification<SkuModel, SkuRequest, SkuReply> = {
  initial: { onHand: 0, shipped: [] },
  step(state, command, reply) {
    const after = skuAfter(state, command);
    if (reply === null) return after === state ? [state] : [state, after];
    if (!reply.ok) return command.kind === 'get' ? [] : [state];
    if (command.kind === 'ship') return reply.kind === 'done' ? [after] : [];
    return reply.kind === 'stock' && reply.stock.onHand === after.onHand ? [after] : [];
  },
  key: ({ onHand, shipped }) => `${onHand} ${[...shipped].sort().join()}`,
};

type OrderModel = OrderDoc['state'] | 'absent';

/** Where an order gets without anybody's call. */
const BY_ITSELF: Readonly<Record<string, readonly OrderModel[]>> = {
  absent: ['absent', 'pending', 'confirmed', 'failed'],
  pending: ['pending', 'confirmed', 'failed'],
};

export const orderSpecification: Specification<OrderModel, OrderCommand, Answer> = {
  initial: 'absent',
  step(state, command, answer) {
    const here = BY_ITSELF[state] ?? [state];
    const cancels = command.kind === 'cancel';
    if (answer === null) return cancels && here.includes('confirmed') ? [state, 'cancelled'] : [state];
    if (answer.kind === 'order') {
      const shows = answer.order.state;
      if (!cancels) return here.includes(shows) ? [shows] : [];
      return shows === 'cancelled' && (here.includes('confirmed') || state === 'cancelled') ? ['cancelled'] : [];
    }
    if (answer.kind !== 'refused') return [];
    if (answer.code === 'not_found') return here.includes('absent') ? ['absent'] : [];
    if (answer.code === 'not_cancellable') {
      return here.filter((one) => one === 'pending' || one === 'failed');
    }
    return [state];
  },
  key: (state) => state,
};

/** A refusal that is decided anew each time; what an earlier attempt of the same intention did is not said by it. */
function isDecidedAnew(value: unknown): boolean {
  const answer = value as { readonly kind?: string; readonly ok?: boolean; readonly recorded?: boolean };
  return answer.kind === 'refused' && answer.recorded !== true;
}

/**
 * The attempts of each intention as what they are to the object: one operation, from the first attempt to the first answer that counts.
 * Faults that say that nothing was done are no operations at all: should something have been done, nothing will explain it.
 */
export function operationsOf<Input, Output>(calls: readonly CallRecord[]): Operation<Input, Output>[] {
  const intents = new Map<string, CallRecord[]>();
  for (const call of calls) {
    const attempts = intents.get(call.intent);
    if (attempts === undefined) intents.set(call.intent, [call]);
    else attempts.push(call);
  }
  const operations: Operation<Input, Output>[] = [];
  for (const attempts of intents.values()) {
    const first = attempts[0];
    if (first === undefined) continue;
    const input = first.command as Input;
    const replies = attempts.filter((call) => call.outcome?.kind === 'reply');
    const answered = replies
      .filter((call) => call.outcome?.kind === 'reply' && !isDecidedAnew(call.outcome.value))
      .sort((a, b) => (a.end ?? 0) - (b.end ?? 0))[0];
    if (answered?.outcome?.kind === 'reply') {
      const { outcome, end } = answered;
      operations.push({ input, output: outcome.value as Output, start: first.start, end: end ?? first.start });
      continue;
    }
    for (const call of replies) {
      if (call.outcome?.kind !== 'reply') continue;
      const { outcome, start, end } = call;
      operations.push({ input, output: outcome.value as Output, start, end: end ?? start });
    }
    const open = attempts.find((call) => leavesOpen(call.outcome));
    if (open !== undefined) {
      operations.push({ input, output: null, start: open.start, end: Number.POSITIVE_INFINITY });
    }
  }
  return operations;
}
