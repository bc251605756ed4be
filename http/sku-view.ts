/** The responder of skus: an operator's adjustment is the one call of a sku whose answer is shown and kept. */
import { Packr } from 'msgpackr';
import type { SkuReply, StockLevel } from '../actors/sku-protocol.ts';
import type { ActorRef, RenderContext, Rendered, Responder } from '../runtime/actor.ts';
import { invariant } from '../runtime/fault.ts';
import { replayed } from './cart-view.ts';
import { problem } from './problem.ts';
import type { EdgeReply } from './reply.ts';

const FORM = 1;
const packr = new Packr({ useRecords: false });

export function skuResponder(): Responder<unknown, SkuReply> {
  return {
    render(_ref: ActorRef, _state: unknown, reply: SkuReply, ctx: RenderContext): Rendered {
      if (!reply.ok) return { value: problem(reply.code) };
      invariant(reply.kind === 'stock', 'only stock levels are rendered');
      const value = stockReply(reply.stock);
      return ctx.keyed ? { value, recorded: packr.pack([FORM, reply.stock]) } : { value };
    },
    replay(_ref: ActorRef, recorded: Uint8Array): EdgeReply {
      const [form, stock] = packr.unpack(recorded as Buffer) as [number, StockLevel];
      invariant(form === FORM, `recorded answer of an unknown form ${form}`);
      return replayed(stockReply(stock));
    },
  };
}

export function stockReply(stock: StockLevel): EdgeReply {
  const { sku, onHand, held, allocated, available, version } = stock;
  return {
    status: 200,
    headers: { 'cache-control': 'no-store' },
    body: { sku, onHand, held, allocated, available, version },
  };
}
