/**
 * The order as it is shown, made from its state: without personal data, which the edge opens from the sealed contact, and without the
 * payment's token.
 */
import type { OrderDoc } from './order-protocol.ts';
import type { OrderPhase, OrderState } from './order-state.ts';

function shownState(phase: OrderPhase): OrderDoc['state'] {
  switch (phase) {
    case 'failed':
      return 'failed';
    case 'confirmed':
    // A cancel shows when its money is back, and then for good.
    case 'cancelling':
      return 'confirmed';
    case 'cancelled':
      return 'cancelled';
    default:
      return 'pending';
  }
}

export function orderDoc(state: OrderState): OrderDoc {
  const { provider, reference, amount, currency, history, declineCode, problem } = state.payment;
  return {
    id: state.id,
    version: state.seq,
    cartId: state.cartId,
    state: shownState(state.phase),
    fulfilment: 'none',
    quote: state.quote,
    lines: state.lines.map(({ id, sku, quantity, cartHoldId }) => ({ id, sku, quantity, cartHoldId })),
    payment: {
      state: state.payment.state,
      provider,
      reference,
      amount,
      currency,
      ...(declineCode === null ? {} : { declineCode }),
      ...(problem === null ? {} : { problem }),
      history,
    },
    failure: state.phase === 'failed' ? (state.failure?.code ?? null) : null,
    placedAt: state.placedAt,
    contact: state.contact,
  };
}
